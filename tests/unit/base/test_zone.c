/* Time zones: files that are damaged, and the few times where clocks change. The offsets of all
 * zones are compared with Python's by tests/recurrence. */
#include "support/mem_loop.h"
#include "support/unit.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/zone.h"

#include <stdio.h>

static int64_t at(const char *text)
{
    int64_t time_us;
    assert_int_equal(clock_parse_rfc3339(slice_from_cstr(text), &time_us, NULL), 0);
    return time_us;
}

struct pair {
    const char *wall, *utc;
};

static void check(const char *name, const struct pair *pairs, size_t count)
{
    struct zone *z;
    char text[CLOCK_RFC3339_SIZE];
    assert_int_equal(zone_open(ZONE_DIRECTORY, slice_from_cstr(name), &z, NULL), 0);
    for (size_t i = 0; i < count; i++) {
        clock_format_rfc3339(zone_from_wall(z, at(pairs[i].wall)), text);
        assert_string_equal(text, pairs[i].utc);
    }
    zone_free(z);
}

#define CHECK(name, ...)                                                                           \
    do {                                                                                           \
        static const struct pair pairs[] = {__VA_ARGS__};                                          \
        check(name, pairs, sizeof(pairs) / sizeof(pairs[0]));                                      \
    } while (0)

static void
a_skipped_time_has_the_offset_before_the_gap_and_of_two_times_the_first_is_meant(void **state)
{
    (void)state;
    CHECK("Europe/Berlin", {"2026-03-29T01:59:59Z", "2026-03-29T00:59:59Z"},
          {"2026-03-29T02:30:00Z", "2026-03-29T01:30:00Z"},
          {"2026-03-29T03:00:00Z", "2026-03-29T01:00:00Z"},
          {"2026-10-25T02:30:00Z", "2026-10-25T00:30:00Z"},
          {"2026-10-25T03:00:00Z", "2026-10-25T02:00:00Z"},
          {"9998-07-01T12:00:00.5Z", "9998-07-01T10:00:00.5Z"});
    CHECK("Australia/Lord_Howe", {"2026-10-04T02:15:00Z", "2026-10-03T15:45:00Z"},
          {"2026-04-05T01:45:00Z", "2026-04-04T14:45:00Z"});
    CHECK("Pacific/Apia", {"2011-12-30T09:00:00Z", "2011-12-30T19:00:00Z"});
    CHECK("Europe/Dublin", {"2026-01-01T12:00:00Z", "2026-01-01T12:00:00Z"},
          {"2040-07-01T12:00:00Z", "2040-07-01T11:00:00Z"});
}

static void the_clock_on_the_wall_is_read_back(void **state)
{
    (void)state;
    struct zone *z;
    assert_int_equal(zone_open(ZONE_DIRECTORY, SLICE_LIT("Europe/Berlin"), &z, NULL), 0);
    assert_int_equal(zone_to_wall(z, at("2026-10-25T00:59:59Z")), at("2026-10-25T02:59:59Z"));
    assert_int_equal(zone_to_wall(z, at("2026-10-25T01:00:00Z")), at("2026-10-25T02:00:00Z"));
    assert_int_equal(zone_to_wall(z, at("2099-07-01T12:00:00Z")), at("2099-07-01T14:00:00Z"));
    zone_free(z);
}

static void what_is_no_zone_is_refused(void **state)
{
    (void)state;
    static const char *const names[] = {
        "",         "Europe/Nowhere", "../etc/passwd", "/etc/passwd",
        "Europe/.", "zone1970.tab",   "Europe",        "tzdata.zi"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct zone *z;
        struct error err = {0};
        assert_int_equal(zone_open(ZONE_DIRECTORY, slice_from_cstr(names[i]), &z, &err),
                         BASE_EINVAL);
        assert_null(z);
        assert_true(err.text[0] != '\0');
    }
}

static void a_file_that_is_cut_or_damaged_anywhere_is_read_within_its_bounds(void **state)
{
    (void)state;
    char *bytes = test_malloc(ZONE_FILE_MAX);
    FILE *file = fopen(ZONE_DIRECTORY "/Europe/Berlin", "rbe");
    assert_non_null(file);
    size_t len = fread(bytes, 1, ZONE_FILE_MAX, file);
    fclose(file);
    for (size_t cut = 0; cut < len; cut += 7) {
        char *copy = test_malloc(cut + !cut); /* the sanitizer sees a byte too many */
        struct zone *z = NULL;
        memcpy(copy, bytes, cut);
        assert_int_equal(zone_read((struct slice){copy, cut}, &z, NULL), BASE_EINVAL);
        test_free(copy);
    }
    for (size_t i = 0; i < len; i++) {
        struct zone *z = NULL;
        char was = bytes[i];
        bytes[i] = (char)(was ^ 0x55);
        if (zone_read((struct slice){bytes, len}, &z, NULL) == 0) {
            zone_from_wall(z, at("2026-03-29T02:30:00Z"));
            zone_to_wall(z, at("9999-12-31T23:59:59Z"));
        }
        zone_free(z);
        bytes[i] = was;
    }
    test_free(bytes);
}

/* The rule for the years after the file's, at its end. */
static int read_with_rule(const char *rule, struct zone **out)
{
    char bytes[ZONE_FILE_MAX + 128];
    FILE *file = fopen(ZONE_DIRECTORY "/Europe/Berlin", "rbe");
    assert_non_null(file);
    size_t len = fread(bytes, 1, ZONE_FILE_MAX, file) - 1;
    fclose(file);
    while (bytes[len - 1] != '\n')
        len--;
    len += (size_t)snprintf(bytes + len, 128, "%s\n", rule);
    return zone_read((struct slice){bytes, len}, out, NULL);
}

static void an_offset_that_no_zone_can_have_is_refused_in_the_rule_too(void **state)
{
    (void)state;
    static const char *const rules[] = {"CET-25", "CET25", "CET-1CEST-36,M3.5.0,M10.5.0/3"};
    struct zone *z;
    assert_int_equal(read_with_rule("CET-24:59:59CEST,M3.5.0,M10.5.0/3", &z), 0);
    zone_free(z);
    for (size_t i = 0; i < sizeof(rules) / sizeof(*rules); i++)
        assert_int_equal(read_with_rule(rules[i], &z), BASE_EINVAL);
}

static void a_zone_is_opened_or_not_when_memory_ends(void **state)
{
    (void)state;
    struct mem_loop loop = {0};
    while (mem_loop_next(&loop)) {
        struct zone *z;
        int status = zone_open(ZONE_DIRECTORY, SLICE_LIT("Asia/Kolkata"), &z, NULL);
        mem_loop_expect(&loop, status, BASE_ENOMEM);
        zone_free(z);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            a_skipped_time_has_the_offset_before_the_gap_and_of_two_times_the_first_is_meant),
        cmocka_unit_test(the_clock_on_the_wall_is_read_back),
        cmocka_unit_test(what_is_no_zone_is_refused),
        cmocka_unit_test(a_file_that_is_cut_or_damaged_anywhere_is_read_within_its_bounds),
        cmocka_unit_test(an_offset_that_no_zone_can_have_is_refused_in_the_rule_too),
        cmocka_unit_test(a_zone_is_opened_or_not_when_memory_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
