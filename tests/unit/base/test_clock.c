#include "support/unit.h"

#include <time.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"

#define US_PER_S INT64_C(1000000)

struct text_and_time {
    const char *text;
    int64_t us;
};

static void format_writes_utc_with_the_shortest_fraction(void **state)
{
    (void)state;
    static const struct text_and_time cases[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"1970-01-01T00:00:00.000001Z", 1},
        {"1970-01-01T00:00:00.5Z", 500000},
        {"1969-12-31T23:59:59.999999Z", -1},
        {"1969-12-31T23:59:59Z", -US_PER_S},
        {"2026-11-23T18:04:05.12Z", 1795457045 * US_PER_S + 120000},
        {"2000-02-29T00:00:00Z", 951782400 * US_PER_S},
        {"0001-01-01T00:00:00Z", -62135596800 * US_PER_S},
        {"9999-12-31T23:59:59.999999Z", 253402300799 * US_PER_S + 999999},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        char out[CLOCK_RFC3339_SIZE];
        size_t len = clock_format_rfc3339(cases[i].us, out);
        assert_string_equal(out, cases[i].text);
        assert_int_equal(len, strlen(out));
    }
}

static void format_agrees_with_libc_on_every_day_of_four_centuries(void **state)
{
    (void)state;
    for (int64_t day = -146097; day < 146097; day += 1) {
        time_t seconds = (time_t)(day * 86400 + 86399);
        char expected[CLOCK_RFC3339_SIZE];
        char out[CLOCK_RFC3339_SIZE];
        struct tm parts;
        strftime(expected, sizeof(expected), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&seconds, &parts));
        clock_format_rfc3339(seconds * US_PER_S, out);
        assert_string_equal(out, expected);
    }
}

static void parse_reads_what_format_wrote(void **state)
{
    (void)state;
    for (int64_t us = -62135596800 * US_PER_S; us <= 253402300799 * US_PER_S;
         us += 86400 * US_PER_S * 3 + 12345678) {
        char out[CLOCK_RFC3339_SIZE];
        int64_t back;
        clock_format_rfc3339(us, out);
        assert_int_equal(clock_parse_rfc3339(slice_from_cstr(out), &back, NULL), 0);
        assert_int_equal(back, us);
    }
}

static void parse_takes_every_form_of_the_grammar(void **state)
{
    (void)state;
    static const struct text_and_time cases[] = {
        {"1985-04-12T23:20:50.52Z", 482196050 * US_PER_S + 520000},
        {"1996-12-19T16:39:57-08:00", 851042397 * US_PER_S},
        {"1937-01-01T12:00:27.87+00:20", -1041337172 * US_PER_S - 130000},
        {"1990-12-31T23:59:60Z", 662688000 * US_PER_S - 1},
        {"1990-12-31T15:59:60-08:00", 662688000 * US_PER_S - 1},
        {"1990-12-31T23:59:60.7Z", 662688000 * US_PER_S - 1},
        {"1970-01-01t00:00:00z", 0},
        {"1970-01-01T00:00:00-00:00", 0},
        {"1970-01-01T23:59:00+23:59", 0},
        {"1970-01-01T00:00:00.1234567899999999999999999Z", 123456},
        {"2024-02-29T00:00:00Z", 1709164800 * US_PER_S},
        {"0001-01-01T00:00:00Z", -62135596800 * US_PER_S},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        int64_t us;
        struct error err = {.text = ""};
        int status = clock_parse_rfc3339(slice_from_cstr(cases[i].text), &us, &err);
        if (status || us != cases[i].us)
            fail_msg("%s: %d %s", cases[i].text, status, err.text);
    }
}

static void expect_refused(const char *text, const char *part_of_reason)
{
    int64_t us = 42;
    struct error err = {.text = ""};
    if (clock_parse_rfc3339(slice_from_cstr(text), &us, &err) != BASE_EINVAL)
        fail_msg("\"%s\" was taken", text);
    if (!strstr(err.text, part_of_reason))
        fail_msg("\"%s\": the reason is \"%s\", expected \"%s\"", text, err.text, part_of_reason);
    assert_int_equal(us, 42);
}

static void parse_says_that_the_offset_is_missing(void **state)
{
    (void)state;
    expect_refused("2026-11-23T18:04:05", "needs a UTC offset such as Z or +02:00");
    expect_refused("2026-11-23T18:04:05.123", "needs a UTC offset");
}

static void parse_refuses_what_the_calendar_lacks(void **state)
{
    (void)state;
    static const char *const dates[] = {"2026-02-29", "1900-02-29", "2100-02-29",
                                        "2026-04-31", "2026-13-01", "2026-00-10",
                                        "2026-01-00", "2026-01-32", "0000-01-01"};
    for (size_t i = 0; i < sizeof(dates) / sizeof(*dates); i++) {
        char text[40];
        snprintf(text, sizeof(text), "%sT00:00:00Z", dates[i]);
        expect_refused(text, "names a date that does not exist");
    }
}

static void parse_refuses_what_the_clock_lacks(void **state)
{
    (void)state;
    expect_refused("2026-11-23T24:00:00Z", "names a time of day that does not exist");
    expect_refused("2026-11-23T23:60:00Z", "names a time of day that does not exist");
    expect_refused("2026-11-23T23:00:61Z", "names a time of day that does not exist");
}

static void parse_refuses_other_shapes(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "2026",
        "2026-11-23",
        "2026-11-23T18:04",
        "2026-11-23T18:04Z",
        "20261123T180405Z",
        "2026-11-23 18:04:05Z",
        "2026-1-23T18:04:05Z",
        "2026-11-23T18:04:05.Z",
        "2026-11-23T18:04:05,5Z",
        "2026-11-23T18:04:05+0200",
        "2026-11-23T18:04:05+02",
        "2026-11-23T18:04:05+24:00",
        "2026-11-23T18:04:05+02:60",
        "2026-11-23T18:04:05Z ",
        " 2026-11-23T18:04:05Z",
        "+2026-11-23T18:04:05Z",
        "-2026-11-23T18:04:05Z",
        "2026-11-23T18:04:05ZZ",
        "2026-11-23T18:04:05+02:00Z",
        "tomorrow",
        "1795457045",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        expect_refused(texts[i], "is not an RFC 3339 time");
}

static void parse_refuses_every_prefix_of_a_time(void **state)
{
    (void)state;
    static const char text[] = "2026-11-23T18:04:05.5+02:00";
    for (size_t len = 0; len < sizeof(text) - 1; len++) {
        int64_t us;
        char *exact = mem_alloc(len + 1); /* so that AddressSanitizer sees a read past the slice */
        memcpy(exact, text, len);
        assert_int_equal(clock_parse_rfc3339((struct slice){exact, len}, &us, NULL), BASE_EINVAL);
        mem_free(exact);
    }
}

static void parse_refuses_a_nul_inside(void **state)
{
    (void)state;
    int64_t us;
    struct slice text = SLICE_LIT("2026-11-23\0T18:04:05Z");
    assert_int_equal(clock_parse_rfc3339(text, &us, NULL), BASE_EINVAL);
    assert_int_equal(clock_parse_rfc3339(SLICE_EMPTY, &us, NULL), BASE_EINVAL);
}

static void parse_refuses_an_offset_that_leaves_the_years(void **state)
{
    (void)state;
    expect_refused("0001-01-01T00:00:00+00:01", "lies outside the years 0001 to 9999");
    expect_refused("9999-12-31T23:59:59-00:01", "lies outside the years 0001 to 9999");
}

static void now_is_after_this_was_written(void **state)
{
    (void)state;
    assert_true(clock_now_us() > 1700000000 * US_PER_S);
    int64_t before = clock_monotonic_us();
    assert_true(clock_monotonic_us() >= before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(format_writes_utc_with_the_shortest_fraction),
        cmocka_unit_test(format_agrees_with_libc_on_every_day_of_four_centuries),
        cmocka_unit_test(parse_reads_what_format_wrote),
        cmocka_unit_test(parse_takes_every_form_of_the_grammar),
        cmocka_unit_test(parse_says_that_the_offset_is_missing),
        cmocka_unit_test(parse_refuses_what_the_calendar_lacks),
        cmocka_unit_test(parse_refuses_what_the_clock_lacks),
        cmocka_unit_test(parse_refuses_other_shapes),
        cmocka_unit_test(parse_refuses_every_prefix_of_a_time),
        cmocka_unit_test(parse_refuses_a_nul_inside),
        cmocka_unit_test(parse_refuses_an_offset_that_leaves_the_years),
        cmocka_unit_test(now_is_after_this_was_written),
    };
    return cmocka_run_group_tests_name("base/clock", tests, NULL, NULL);
}
