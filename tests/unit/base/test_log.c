#include "support/unit.h"

#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"

/* A log into a pipe; what it wrote is read back. */
struct fixture {
    struct log log;
    int read_fd;
    char text[8192];
};

static void open_log(struct fixture *f, enum log_level level, enum log_format format)
{
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    log_init(&f->log, fds[1], level, format);
    f->read_fd = fds[0];
}

/* Ends the log; its whole output is in f->text. */
static const char *close_log(struct fixture *f)
{
    close(f->log.fd);
    ssize_t got = read(f->read_fd, f->text, sizeof(f->text) - 1);
    assert_true(got >= 0);
    f->text[got] = '\0';
    close(f->read_fd);
    return f->text;
}

/* The one line of output as JSON; the caller ends it. */
static cJSON *close_log_json(struct fixture *f)
{
    const char *text = close_log(f);
    size_t len = strlen(text);
    assert_true(len > 0);
    assert_ptr_equal(strchr(text, '\n'), text + len - 1);
    cJSON *line = json_parse((struct slice){text, len - 1}, NULL);
    assert_non_null(line);
    return line;
}

static void a_json_line_has_time_level_message_and_fields(void **state)
{
    (void)state;
    struct fixture f;
    open_log(&f, LOG_INFO, LOG_FORMAT_JSON);
    log_info(&f.log, "listening", log_str("address", "127.0.0.1"), log_int("port", 8080));
    cJSON *line = close_log_json(&f);
    int64_t number;
    assert_int_equal(
        clock_parse_rfc3339(slice_from_cstr(json_get_string(line, "ts")), &number, NULL), 0);
    assert_string_equal(json_get_string(line, "level"), "info");
    assert_string_equal(json_get_string(line, "msg"), "listening");
    assert_string_equal(json_get_string(line, "address"), "127.0.0.1");
    assert_true(json_as_int(json_get(line, "port"), &number));
    assert_int_equal(number, 8080);
    cJSON_Delete(line);
}

static void hostile_values_stay_inside_their_line(void **state)
{
    (void)state;
    static const char hostile[] = "a\"\n{\"level\":\"error\"}\x1b[2J\r\xC2\x9B";
    struct fixture f;
    open_log(&f, LOG_INFO, LOG_FORMAT_JSON);
    log_warn(&f.log, "refused", log_str("code", hostile));
    cJSON *line = close_log_json(&f);
    assert_string_equal(json_get_string(line, "code"), hostile);
    assert_string_equal(json_get_string(line, "level"), "warn");
    cJSON_Delete(line);
    assert_null(strchr(f.text, '\x1b'));
    assert_null(strstr(f.text, "\xC2\x9B"));
}

static void a_null_value_prints_as_null(void **state)
{
    (void)state;
    struct fixture f;
    open_log(&f, LOG_INFO, LOG_FORMAT_JSON);
    log_info(&f.log, "started", log_str("version", NULL));
    cJSON *line = close_log_json(&f);
    assert_true(cJSON_IsNull(json_get(line, "version")));
    cJSON_Delete(line);
}

static void what_lies_below_the_level_is_not_written(void **state)
{
    (void)state;
    struct fixture f;
    open_log(&f, LOG_WARN, LOG_FORMAT_JSON);
    log_debug(&f.log, "no");
    log_info(&f.log, "no");
    log_write(&f.log, LOG_INFO, "no", (const struct log_field[]){{0}});
    log_warn(&f.log, "yes");
    log_error(&f.log, "yes");
    const char *text = close_log(&f);
    assert_null(strstr(text, "\"no\""));
    assert_non_null(strstr(text, "\"level\":\"warn\""));
    assert_non_null(strstr(text, "\"level\":\"error\""));
}

static void off_writes_nothing(void **state)
{
    (void)state;
    struct fixture f;
    open_log(&f, LOG_OFF, LOG_FORMAT_JSON);
    log_error(&f.log, "no");
    log_write(&f.log, LOG_OFF, "no", (const struct log_field[]){{0}});
    assert_string_equal(close_log(&f), "");
}

static void no_log_is_no_fault(void **state)
{
    (void)state;
    const struct log *none = NULL;
    log_error(none, "nobody hears");
    log_write(NULL, LOG_ERROR, "nobody hears", (const struct log_field[]){{0}});
}

static void fields_that_do_not_fit_are_dropped_and_said_so(void **state)
{
    (void)state;
    struct fixture f;
    char value[5000];
    memset(value, 'v', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';
    open_log(&f, LOG_INFO, LOG_FORMAT_JSON);
    log_info(&f.log, "long", log_str("value", value));
    cJSON *line = close_log_json(&f);
    assert_string_equal(json_get_string(line, "msg"), "long");
    assert_non_null(json_get_string(line, "dropped"));
    cJSON_Delete(line);
}

static void the_longest_line_is_4096_bytes(void **state)
{
    (void)state;
    struct fixture f;
    char value[5000];
    size_t longest = 0;
    for (size_t len = 3950; len < 4096; len++) {
        memset(value, 'v', len);
        value[len] = '\0';
        open_log(&f, LOG_INFO, LOG_FORMAT_JSON);
        log_info(&f.log, "long", log_str("value", value));
        size_t written = strlen(close_log(&f));
        longest = written > longest ? written : longest;
    }
    assert_in_range(longest, 4090, 4096);
}

static void a_line_is_written_without_the_heap(void **state)
{
    (void)state;
    struct fixture f;
    open_log(&f, LOG_INFO, LOG_FORMAT_JSON);
    mem_fail_nth(1);
    log_error(&f.log, "out of memory", log_int("code", -1));
    assert_false(mem_fail_happened());
    mem_fail_nth(0);
    assert_non_null(strstr(close_log(&f), "out of memory"));
}

static void text_format_is_for_people(void **state)
{
    (void)state;
    struct fixture f;
    open_log(&f, LOG_INFO, LOG_FORMAT_TEXT);
    log_info(&f.log, "listening", log_str("address", "a\nb\x1b"), log_int("port", 80));
    const char *text = close_log(&f);
    assert_non_null(strstr(text, "info  listening  address=\"a\\nb\\u001b\"  port=80\n"));
    assert_int_equal(text[19], 'Z'); /* whole seconds */
}

static void auto_means_json_where_no_terminal_is(void **state)
{
    (void)state;
    struct fixture f;
    open_log(&f, LOG_INFO, LOG_FORMAT_AUTO);
    assert_int_equal(f.log.format, LOG_FORMAT_JSON);
    close_log(&f);
}

static void a_closed_descriptor_is_survived(void **state)
{
    (void)state;
    struct log log;
    log_init(&log, -1, LOG_INFO, LOG_FORMAT_JSON);
    log_info(&log, "lost");
}

static void level_names_are_parsed_exactly(void **state)
{
    (void)state;
    enum log_level level = LOG_OFF;
    assert_true(log_level_parse("debug", &level));
    assert_int_equal(level, LOG_DEBUG);
    assert_true(log_level_parse("error", &level));
    assert_int_equal(level, LOG_ERROR);
    assert_true(log_level_parse("off", &level));
    assert_int_equal(level, LOG_OFF);
    assert_false(log_level_parse("INFO", &level));
    assert_false(log_level_parse("", &level));
    assert_false(log_level_parse("warning", &level));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_json_line_has_time_level_message_and_fields),
        cmocka_unit_test(hostile_values_stay_inside_their_line),
        cmocka_unit_test(a_null_value_prints_as_null),
        cmocka_unit_test(what_lies_below_the_level_is_not_written),
        cmocka_unit_test(off_writes_nothing),
        cmocka_unit_test(no_log_is_no_fault),
        cmocka_unit_test(fields_that_do_not_fit_are_dropped_and_said_so),
        cmocka_unit_test(the_longest_line_is_4096_bytes),
        cmocka_unit_test(a_line_is_written_without_the_heap),
        cmocka_unit_test(text_format_is_for_people),
        cmocka_unit_test(auto_means_json_where_no_terminal_is),
        cmocka_unit_test(a_closed_descriptor_is_survived),
        cmocka_unit_test(level_names_are_parsed_exactly),
    };
    return cmocka_run_group_tests_name("base/log", tests, NULL, NULL);
}
