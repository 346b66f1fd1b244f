#include "support/unit.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include "base/error.h"
#include "base/secret.h"

struct fixture {
    uv_loop_t loop;
    uv_timer_t limit;
    struct secret_watch watch;
    struct secret secret;
    char dir[64];
    char path[128];
    char other[128];
};

static void on_limit(uv_timer_t *timer)
{
    fail_msg("it did not come in time: %s", (const char *)timer->data);
}

static int setup(void **state)
{
    struct fixture *f = test_calloc(1, sizeof(*f));
    snprintf(f->dir, sizeof(f->dir), "/tmp/todo-secret-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->path, sizeof(f->path), "%s/TOKEN", f->dir);
    snprintf(f->other, sizeof(f->other), "%s/other", f->dir);
    assert_int_equal(uv_loop_init(&f->loop), 0);
    uv_timer_init(&f->loop, &f->limit);
    f->limit.data = f->path;
    uv_timer_start(&f->limit, on_limit, 30000, 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    secret_watch_close(&f->watch);
    secret_watch_close(&f->watch);
    uv_close((uv_handle_t *)&f->limit, NULL);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    unlink(f->path);
    unlink(f->other);
    rmdir(f->dir);
    test_free(f);
    return 0;
}

static void put_bytes(const char *path, const char *bytes, size_t len)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

static void put(const char *path, const char *text)
{
    put_bytes(path, text, strlen(text));
}

static int init(struct fixture *f, const char *fixed, struct error *err)
{
    return secret_init(&f->secret, "TOKEN", fixed, f->dir, err);
}

static void follow(struct fixture *f)
{
    secret_watch_open(&f->watch, &f->loop, NULL);
    secret_watch_add(&f->watch, &f->secret);
}

static void wait_for_change(struct fixture *f)
{
    uint32_t before = f->secret.version;
    while (f->secret.version == before)
        uv_run(&f->loop, UV_RUN_ONCE);
}

static bool accepts(const struct fixture *f, const char *text)
{
    return secret_accepts(&f->secret, slice_from_cstr(text));
}

static void what_is_set_wins_over_the_file(void **state)
{
    struct fixture *f = *state;
    put(f->path, "of the file");
    assert_int_equal(init(f, "set", NULL), 0);
    assert_string_equal(secret_text(&f->secret), "set");
    assert_true(accepts(f, "set"));
    assert_false(accepts(f, "of the file"));
}

static void without_a_file_there_is_none(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(init(f, NULL, NULL), 0);
    assert_null(secret_text(&f->secret));
    assert_false(accepts(f, ""));
    put(f->path, "\n\r\n");
    assert_int_equal(init(f, NULL, NULL), 0);
    assert_null(secret_text(&f->secret));
    assert_false(accepts(f, ""));
    assert_null(secret_text(NULL));
    assert_false(secret_accepts(NULL, SLICE_LIT("")));
    assert_int_equal(secret_version(NULL), 0);
}

static void each_line_is_good_and_the_first_is_used(void **state)
{
    struct fixture *f = *state;
    put(f->path, "\nnew one\r\n\nold\n");
    assert_int_equal(init(f, NULL, NULL), 0);
    assert_string_equal(secret_text(&f->secret), "new one");
    assert_true(accepts(f, "new one"));
    assert_true(accepts(f, "old"));
    assert_false(accepts(f, "ol"));
    assert_false(accepts(f, "new one\r"));
    assert_false(accepts(f, ""));
}

static void a_file_that_can_be_no_secret_is_refused(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    char text[SECRET_BYTES_MAX + 1];
    memset(text, 'x', sizeof(text));
    put_bytes(f->path, text, sizeof(text) - 1);
    assert_int_equal(init(f, NULL, &err), 0);
    assert_int_equal(strlen(secret_text(&f->secret)), SECRET_BYTES_MAX);
    put_bytes(f->path, text, sizeof(text));
    assert_int_equal(init(f, NULL, &err), BASE_EINVAL);
    assert_string_equal(err.field, "TOKEN");
    assert_null(strstr(err.text, "xx"));
    put_bytes(f->path, "a\0b", 3);
    assert_int_equal(init(f, NULL, &err), BASE_EINVAL);
    assert_int_equal(unlink(f->path), 0);
    assert_int_equal(mkdir(f->path, 0700), 0);
    assert_int_equal(init(f, NULL, &err), BASE_EINVAL);
    rmdir(f->path);
}

static void a_new_content_holds_without_a_restart(void **state)
{
    struct fixture *f = *state;
    put(f->path, "one");
    assert_int_equal(init(f, NULL, NULL), 0);
    follow(f);
    put(f->path, "two"); /* in place */
    wait_for_change(f);
    assert_string_equal(secret_text(&f->secret), "two");
    put(f->other, "three\ntwo");
    assert_int_equal(rename(f->other, f->path), 0); /* another file, as Kubernetes does it */
    wait_for_change(f);
    assert_string_equal(secret_text(&f->secret), "three");
    assert_true(accepts(f, "two"));
    assert_int_equal(secret_version(&f->secret), 2);
}

static void a_secret_may_come_later(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(init(f, NULL, NULL), 0);
    follow(f);
    put(f->path, "late");
    wait_for_change(f);
    assert_string_equal(secret_text(&f->secret), "late");
}

/* A file that goes, or is emptied while it is written again, takes nothing away. */
static void a_file_that_goes_leaves_the_last_value(void **state)
{
    struct fixture *f = *state;
    put(f->path, "one");
    assert_int_equal(init(f, NULL, NULL), 0);
    follow(f);
    put(f->path, "");
    while (!f->secret.is_missed)
        uv_run(&f->loop, UV_RUN_ONCE);
    assert_string_equal(secret_text(&f->secret), "one");
    put(f->path, "one");
    while (f->secret.is_missed)
        uv_run(&f->loop, UV_RUN_ONCE);
    assert_int_equal(secret_version(&f->secret), 0);
    assert_int_equal(unlink(f->path), 0);
    while (!f->secret.is_missed)
        uv_run(&f->loop, UV_RUN_ONCE);
    assert_string_equal(secret_text(&f->secret), "one");
    put(f->path, "two");
    wait_for_change(f);
    assert_string_equal(secret_text(&f->secret), "two");
}

#define secret_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        secret_test(what_is_set_wins_over_the_file),
        secret_test(without_a_file_there_is_none),
        secret_test(each_line_is_good_and_the_first_is_used),
        secret_test(a_file_that_can_be_no_secret_is_refused),
        secret_test(a_new_content_holds_without_a_restart),
        secret_test(a_secret_may_come_later),
        secret_test(a_file_that_goes_leaves_the_last_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
