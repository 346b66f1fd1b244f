#include "support/unit.h"

#include "base/buf.h"
#include "base/error.h"
#include "support/mem_loop.h"

static void appends_follow_each_other_and_end_with_nul(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 1000);
    buf_append(&b, "ab", 2);
    buf_append_cstr(&b, "cd");
    buf_append_char(&b, 'e');
    buf_append_slice(&b, SLICE_LIT("fg"));
    assert_int_equal(buf_status(&b), 0);
    assert_string_equal(b.ptr, "abcdefg");
    assert_true(slice_is_equal(buf_slice(&b), SLICE_LIT("abcdefg")));
    buf_deinit(&b);
}

static void a_new_buffer_is_an_empty_slice(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 1000);
    assert_int_equal(buf_slice(&b).len, 0);
    buf_deinit(&b);
}

static void appending_nothing_makes_an_empty_text(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 1000);
    buf_append(&b, NULL, 0);
    assert_int_equal(buf_status(&b), 0);
    assert_string_equal(b.ptr, "");
    buf_deinit(&b);
}

static void bytes_survive_many_growths(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 1 << 20);
    for (int i = 0; i < 100000; i++)
        buf_append_char(&b, (char)('a' + i % 26));
    assert_int_equal(buf_status(&b), 0);
    assert_int_equal(b.len, 100000);
    for (int i = 0; i < 100000; i++)
        assert_int_equal(b.ptr[i], 'a' + i % 26);
    buf_deinit(&b);
}

static void the_limit_can_be_filled_to_its_last_byte(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 300);
    for (int i = 0; i < 300; i++)
        buf_append_char(&b, 'x');
    assert_int_equal(buf_status(&b), 0);
    buf_append_char(&b, 'x');
    assert_int_equal(buf_status(&b), BASE_ELIMIT);
    assert_int_equal(b.len, 300);
    buf_deinit(&b);
}

static void a_failure_sticks_until_reset(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 4);
    buf_append_cstr(&b, "12345");
    buf_append_cstr(&b, "1");
    buf_printf(&b, "1");
    buf_append_i64(&b, 1);
    assert_int_equal(buf_status(&b), BASE_ELIMIT);
    assert_int_equal(b.len, 0);
    buf_reset(&b);
    buf_append_cstr(&b, "1234");
    assert_int_equal(buf_status(&b), 0);
    assert_string_equal(b.ptr, "1234");
    buf_deinit(&b);
}

static void reset_keeps_the_memory(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 1000);
    buf_append_cstr(&b, "text");
    const char *before = b.ptr;
    buf_reset(&b);
    assert_int_equal(b.len, 0);
    assert_string_equal(b.ptr, "");
    buf_append_cstr(&b, "more");
    assert_ptr_equal(b.ptr, before);
    buf_deinit(&b);
}

static void consume_drops_from_the_front(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 1000);
    buf_consume(&b, 0);
    buf_append_cstr(&b, "line\nrest");
    buf_consume(&b, 5);
    assert_string_equal(b.ptr, "rest");
    buf_consume(&b, 4);
    assert_int_equal(b.len, 0);
    assert_string_equal(b.ptr, "");
    buf_deinit(&b);
}

static void reserve_makes_the_next_append_free_of_allocation(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 5000);
    assert_int_equal(buf_reserve(&b, 5000), 0);
    const char *before = b.ptr;
    for (int i = 0; i < 5000; i++)
        buf_append_char(&b, 'x');
    assert_ptr_equal(b.ptr, before);
    assert_int_equal(buf_status(&b), 0);
    buf_deinit(&b);
}

static void a_size_beyond_memory_is_refused_as_the_limit(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, SIZE_MAX);
    buf_append_cstr(&b, "x");
    assert_int_equal(buf_reserve(&b, SIZE_MAX), BASE_ELIMIT);
    buf_deinit(&b);
}

static void integers_print_as_decimal(void **state)
{
    (void)state;
    static const int64_t numbers[] = {0,         1,        -1, 9, 10, 99, 100, -100, 1234567890123,
                                      INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
        char expected[32];
        struct buf b;
        buf_init(&b, 100);
        buf_append_i64(&b, numbers[i]);
        snprintf(expected, sizeof(expected), "%lld", (long long)numbers[i]);
        assert_string_equal(b.ptr, expected);
        buf_deinit(&b);
    }
}

static void printf_appends_text_of_any_length(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 10000);
    buf_printf(&b, "%s", "");
    buf_printf(&b, "%d,", 7);
    for (int width = 250; width < 260; width++)
        buf_printf(&b, "%*d,", width, 7);
    assert_int_equal(buf_status(&b), 0);
    assert_int_equal(b.len, strlen(b.ptr));
    assert_int_equal(b.len, 2 + 10 * 254 + 5 + 10);
    buf_deinit(&b);
}

static void a_printf_that_does_not_fit_leaves_no_part(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 10);
    buf_append_cstr(&b, "12345");
    buf_printf(&b, "%s", "678901");
    assert_int_equal(buf_status(&b), BASE_ELIMIT);
    assert_string_equal(b.ptr, "12345");
    buf_deinit(&b);
}

static void a_fixed_buffer_stops_at_its_storage(void **state)
{
    (void)state;
    char storage[8];
    struct buf b;
    buf_init_fixed(&b, storage, sizeof(storage));
    assert_string_equal(storage, "");
    buf_append_cstr(&b, "1234567");
    assert_int_equal(buf_status(&b), 0);
    buf_append_char(&b, '8');
    assert_int_equal(buf_status(&b), BASE_ELIMIT);
    assert_string_equal(storage, "1234567");
    assert_ptr_equal(b.ptr, storage);
}

static void memory_running_out_marks_the_buffer(void **state)
{
    (void)state;
    struct mem_loop loop = {0};
    while (mem_loop_next(&loop)) {
        struct buf b;
        buf_init(&b, 100000);
        for (int i = 0; i < 2000; i++)
            buf_append_cstr(&b, "1234567890");
        buf_printf(&b, "%30000d", 1);
        mem_loop_expect(&loop, buf_status(&b), BASE_ENOMEM);
        buf_deinit(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appends_follow_each_other_and_end_with_nul),
        cmocka_unit_test(a_new_buffer_is_an_empty_slice),
        cmocka_unit_test(appending_nothing_makes_an_empty_text),
        cmocka_unit_test(bytes_survive_many_growths),
        cmocka_unit_test(the_limit_can_be_filled_to_its_last_byte),
        cmocka_unit_test(a_failure_sticks_until_reset),
        cmocka_unit_test(reset_keeps_the_memory),
        cmocka_unit_test(consume_drops_from_the_front),
        cmocka_unit_test(reserve_makes_the_next_append_free_of_allocation),
        cmocka_unit_test(a_size_beyond_memory_is_refused_as_the_limit),
        cmocka_unit_test(integers_print_as_decimal),
        cmocka_unit_test(printf_appends_text_of_any_length),
        cmocka_unit_test(a_printf_that_does_not_fit_leaves_no_part),
        cmocka_unit_test(a_fixed_buffer_stops_at_its_storage),
        cmocka_unit_test(memory_running_out_marks_the_buffer),
    };
    return cmocka_run_group_tests_name("base/buf", tests, NULL, NULL);
}
