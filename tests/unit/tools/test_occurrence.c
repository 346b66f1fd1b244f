/* What the next occurrence is counted from. The rules themselves are compared with python-dateutil
 * by tests/recurrence. */
#include "support/unit.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/zone.h"
#include "tools/occurrence.h"

static int64_t at(const char *text)
{
    int64_t time_us;
    assert_int_equal(clock_parse_rfc3339(slice_from_cstr(text), &time_us, NULL), 0);
    return time_us;
}

/* `wanted` is the next due time of a series in Berlin, or "ended", "rare"; `wall` may be NULL. */
static void check(const char *text, const char *due, const char *wall, int number,
                  const char *wanted)
{
    static const char *const words[] = {"", "ended", "rare"};
    struct recurrence checked;
    struct recurrence_rule rule;
    struct zone *zone;
    struct occurrence o = {.due_us = at(due), .has_wall = wall, .number = number};
    char next[CLOCK_RFC3339_SIZE];
    if (wall)
        o.wall_us = at(wall);
    assert_int_equal(recurrence_parse(slice_from_cstr(text), &checked, &rule, NULL), 0);
    assert_int_equal(zone_open(ZONE_DIRECTORY, SLICE_LIT("Europe/Berlin"), &zone, NULL), 0);
    enum occurrence_outcome outcome = occurrence_next(&rule, zone, &o, &o);
    zone_free(zone);
    clock_format_rfc3339(o.due_us, next);
    assert_string_equal(outcome == OCCURRENCE_FOUND ? next : words[outcome], wanted);
}

static void an_occurrence_that_clocks_skipped_goes_on_at_its_own_time(void **state)
{
    (void)state;
    check("daily", "2026-03-29T01:30:00Z", "2026-03-29T02:30:00Z", 2, "2026-03-30T00:30:00Z");
    /* As a first due date it is a half past three. */
    check("daily", "2026-03-29T01:30:00Z", NULL, 1, "2026-03-30T01:30:00Z");
}

static void a_due_date_that_was_moved_is_a_new_start(void **state)
{
    (void)state;
    /* From Monday to Wednesday, and to another time of day. */
    check("weekly", "2026-06-03T16:00:00Z", "2026-06-01T09:00:00Z", 2, "2026-06-10T16:00:00Z");
    check("FREQ=WEEKLY;BYDAY=MO", "2026-06-03T16:00:00Z", "2026-06-01T09:00:00Z", 2,
          "2026-06-08T16:00:00Z");
}

static void an_occurrence_that_was_moved_to_an_earlier_day_does_not_come_again(void **state)
{
    (void)state;
    check("FREQ=WEEKLY;BYDAY=MO", "2026-06-05T07:00:00Z", "2026-06-08T09:00:00Z", 2,
          "2026-06-15T07:00:00Z");
    check("FREQ=WEEKLY;BYDAY=MO", "2026-06-05T16:00:00Z", "2026-06-08T09:00:00Z", 2,
          "2026-06-15T16:00:00Z");
    check("daily", "2026-06-05T07:00:00Z", "2026-06-08T09:00:00Z", 2, "2026-06-09T07:00:00Z");
}

static void count_is_counted_by_the_number_of_the_occurrence(void **state)
{
    (void)state;
    check("FREQ=DAILY;COUNT=3", "2026-06-01T07:00:00Z", NULL, 2, "2026-06-02T07:00:00Z");
    check("FREQ=DAILY;COUNT=3", "2026-06-01T07:00:00Z", NULL, 3, "ended");
}

static void microseconds_stay(void **state)
{
    (void)state;
    check("daily", "2026-06-01T07:00:00.000001Z", NULL, 1, "2026-06-02T07:00:00.000001Z");
}

static void the_first_and_the_last_year_have_occurrences(void **state)
{
    (void)state;
    check("FREQ=WEEKLY;BYDAY=MO", "0001-01-01T12:00:00Z", NULL, 1, "0001-01-08T12:00:00Z");
    check("daily", "9999-12-30T12:00:00Z", NULL, 1, "9999-12-31T12:00:00Z");
    check("daily", "9999-12-31T12:00:00Z", NULL, 1, "ended");
    check("FREQ=DAILY;INTERVAL=1000", "9999-12-31T12:00:00Z", NULL, 1, "ended");
}

static void an_occurrence_that_is_too_rare_is_not_looked_for_long(void **state)
{
    (void)state;
    check("FREQ=DAILY;INTERVAL=7;BYDAY=SU", "2026-06-01T07:00:00Z", NULL, 1, "rare");
    check("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29;BYDAY=MO", "2080-02-29T07:00:00Z", NULL, 1,
          "2112-02-29T07:00:00Z");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_occurrence_that_clocks_skipped_goes_on_at_its_own_time),
        cmocka_unit_test(a_due_date_that_was_moved_is_a_new_start),
        cmocka_unit_test(an_occurrence_that_was_moved_to_an_earlier_day_does_not_come_again),
        cmocka_unit_test(count_is_counted_by_the_number_of_the_occurrence),
        cmocka_unit_test(microseconds_stay),
        cmocka_unit_test(the_first_and_the_last_year_have_occurrences),
        cmocka_unit_test(an_occurrence_that_is_too_rare_is_not_looked_for_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
