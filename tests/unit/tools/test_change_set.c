/* What has changed: gathered, said once, written and read again. */
#include "support/unit.h"

#include "base/buf.h"
#include "base/mem.h"
#include "tools/changes.h"
#include "tools/changes_int.h"

#define MESSAGE_MAX 7900

static void add(struct change_set *s, struct change change)
{
    change_set_add(s, &change);
}

static void assert_writes(struct change_set *s, const char *expected)
{
    struct buf text;
    size_t at = 0;
    buf_init(&text, MESSAGE_MAX);
    change_set_settle(s);
    struct slice message = change_set_write(s, &at, &text, MESSAGE_MAX);
    assert_int_equal(buf_status(&text), 0);
    if (!slice_is_equal(message, slice_from_cstr(expected)))
        fail_msg("\"%.*s\" is not \"%s\"", (int)message.len, message.ptr, expected);
    assert_int_equal(change_set_write(s, &at, &text, MESSAGE_MAX).len, 0);
    buf_deinit(&text);
}

/* The set as it is after the way of its message. */
static void assert_reads_as(const char *message, const char *expected)
{
    struct change_set s = {0};
    change_set_read(&s, slice_from_cstr(message));
    assert_writes(&s, expected);
    change_set_deinit(&s);
}

static void each_change_is_said_once(void **state)
{
    struct change_set s = {0};
    (void)state;
    assert_true(change_set_is_empty(&s));
    for (int i = 0; i < 3; i++) {
        add(&s, (struct change){.user_id = 8, .task_id = 2, .category_id = 3});
        add(&s, (struct change){.user_id = 7, .task_id = 1});
        add(&s, (struct change){.user_id = 7, .category_id = 5});
    }
    assert_false(change_set_is_empty(&s));
    assert_writes(&s, "1 u7 c5 t1 u8 c3 t2");
    assert_int_equal(s.count, 6); /* with each user's lists */
    change_set_clear(&s);
    assert_true(change_set_is_empty(&s));
    change_set_deinit(&s);
}

static void what_stands_for_more_leaves_out_the_rest(void **state)
{
    struct change_set s = {0};
    (void)state;
    add(&s, (struct change){.user_id = 7, .task_id = 1, .category_id = 3});
    add(&s, (struct change){.user_id = 7, .task_id = 1, .category_id = 9, .is_any_category = true});
    add(&s, (struct change){.user_id = 8, .task_id = 1, .category_id = 3});
    add(&s, (struct change){.user_id = 8, .is_all = true});
    assert_writes(&s, "1 u7 C t1 u8 *");
    change_set_deinit(&s);
}

static void a_message_reads_as_it_was_written(void **state)
{
    (void)state;
    assert_reads_as("1 u7 c5 t1 u8 C t2 u9 *", "1 u7 c5 t1 u8 C t2 u9 *");
    assert_reads_as("1 u9007199254740991 t9007199254740991",
                    "1 u9007199254740991 t9007199254740991");
    assert_reads_as("1 u0 *", "1 u0 *");
    assert_reads_as("1", "");
}

static void what_is_not_understood_means_everything(void **state)
{
    static const char *const bad[] = {"",      "2 u7 t1",  "1 t1",      "1 u7 x1",  "1 u7 t",
                                      "1 u t", "1 u7  t1", "1 u7 t-1",  "1 u7 *1",  "1 u7 t1x",
                                      "hello", "1 u7 T1",  "1 u-7 t1 ", "1 u7 c1,", "1 *"};
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_reads_as(bad[i], "1 u0 *");
    assert_reads_as("1 u7 t9999999999999999999", "1 u0 *");
}

static void a_long_set_takes_several_messages(void **state)
{
    struct change_set s = {0};
    struct change_set back = {0};
    struct buf text;
    size_t at = 0;
    int messages = 0;
    (void)state;
    for (int i = 0; i < 2000; i++)
        add(&s, (struct change){.user_id = 1 + i % 7, .task_id = 9000000 + i});
    change_set_settle(&s);
    buf_init(&text, MESSAGE_MAX);
    for (;; messages++) {
        struct slice message = change_set_write(&s, &at, &text, MESSAGE_MAX);
        if (message.len == 0)
            break;
        assert_true(message.len <= MESSAGE_MAX);
        change_set_read(&back, message);
    }
    assert_int_equal(buf_status(&text), 0);
    assert_true(messages > 1);
    change_set_settle(&back);
    assert_int_equal(back.count, s.count);
    for (size_t i = 0; i < s.count; i++) {
        assert_int_equal(back.items[i].user_id, s.items[i].user_id);
        assert_int_equal(back.items[i].kind, s.items[i].kind);
        assert_int_equal(back.items[i].id, s.items[i].id);
    }
    buf_deinit(&text);
    change_set_deinit(&back);
    change_set_deinit(&s);
}

static void a_full_set_means_everything(void **state)
{
    struct change_set s = {0};
    (void)state;
    for (int i = 0; i < 100000; i++) /* of few things: never full */
        add(&s, (struct change){.user_id = 7, .task_id = 1 + i % 100});
    assert_false(s.is_everything);
    for (int i = 0; i < CHANGE_SET_MAX; i++)
        add(&s, (struct change){.user_id = 7, .task_id = 1000 + i});
    assert_writes(&s, "1 u0 *");
    add(&s, (struct change){.user_id = 7, .task_id = 1});
    assert_writes(&s, "1 u0 *");
    change_set_clear(&s);
    add(&s, (struct change){.user_id = 7, .task_id = 1});
    assert_writes(&s, "1 u7 t1");
    change_set_deinit(&s);
}

static int add_without_memory(void *ctx)
{
    struct change_set s = {0};
    (void)ctx;
    add(&s, (struct change){.user_id = 7, .task_id = 1});
    bool is_lost = s.is_everything;
    assert_false(change_set_is_empty(&s));
    change_set_deinit(&s);
    return is_lost ? -1 : 0;
}

static void without_memory_everything_has_changed(void **state)
{
    (void)state;
    mem_fail_nth(1);
    assert_int_equal(add_without_memory(NULL), -1);
    mem_fail_nth(0);
    assert_int_equal(add_without_memory(NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_change_is_said_once),
        cmocka_unit_test(what_stands_for_more_leaves_out_the_rest),
        cmocka_unit_test(a_message_reads_as_it_was_written),
        cmocka_unit_test(what_is_not_understood_means_everything),
        cmocka_unit_test(a_long_set_takes_several_messages),
        cmocka_unit_test(a_full_set_means_everything),
        cmocka_unit_test(without_memory_everything_has_changed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
