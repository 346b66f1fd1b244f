/* What tools/recurrence takes, how it writes it, and why it refuses the rest. */
#include "support/unit.h"

#include "base/error.h"
#include "tools/recurrence.h"

struct row {
    const char *rule, *canonical;
};

static const struct row taken[] = {
    {"daily", "FREQ=DAILY"},
    {"Weekly", "FREQ=WEEKLY"},
    {"MONTHLY", "FREQ=MONTHLY"},
    {" yearly ", "FREQ=YEARLY"},
    {"\xE2\x80\x83"
     "daily\xC2\xA0",
     "FREQ=DAILY"},
    {"FREQ=DAILY", "FREQ=DAILY"},
    {"freq=daily", "FREQ=DAILY"},
    {"RRULE:FREQ=DAILY", "FREQ=DAILY"},
    {"rrule:freq=daily;interval=2", "FREQ=DAILY;INTERVAL=2"},
    {"FREQ=WEEKLY", "FREQ=WEEKLY"},
    {"FREQ=MONTHLY", "FREQ=MONTHLY"},
    {"FREQ=YEARLY", "FREQ=YEARLY"},
    {"INTERVAL=2;FREQ=WEEKLY", "FREQ=WEEKLY;INTERVAL=2"},
    {"BYDAY=MO;INTERVAL=2;FREQ=WEEKLY;COUNT=3", "FREQ=WEEKLY;BYDAY=MO;INTERVAL=2;COUNT=3"},
    {"FREQ=DAILY;INTERVAL=1", "FREQ=DAILY;INTERVAL=1"},
    {"FREQ=DAILY;INTERVAL=007", "FREQ=DAILY;INTERVAL=7"},
    {"FREQ=DAILY;INTERVAL=+7", "FREQ=DAILY;INTERVAL=7"},
    {"FREQ=DAILY;INTERVAL=10", "FREQ=DAILY;INTERVAL=10"},
    {"FREQ=DAILY;INTERVAL=1000", "FREQ=DAILY;INTERVAL=1000"},
    {"FREQ=DAILY;COUNT=1", "FREQ=DAILY;COUNT=1"},
    {"FREQ=DAILY;COUNT=10000", "FREQ=DAILY;COUNT=10000"},
    {"FREQ=DAILY;UNTIL=20261231T235959Z", "FREQ=DAILY;UNTIL=20261231T235959Z"},
    {"FREQ=DAILY;UNTIL=20261231t235959z", "FREQ=DAILY;UNTIL=20261231T235959Z"},
    {"FREQ=DAILY;UNTIL=20280229", "FREQ=DAILY;UNTIL=20280229"},
    {"FREQ=DAILY;UNTIL=00010101T000000Z", "FREQ=DAILY;UNTIL=00010101T000000Z"},
    {"FREQ=WEEKLY;BYDAY=MO", "FREQ=WEEKLY;BYDAY=MO"},
    {"FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR,SA,SU", "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR,SA,SU"},
    {"FREQ=WEEKLY;BYDAY=mo,we", "FREQ=WEEKLY;BYDAY=MO,WE"},
    {"FREQ=DAILY;BYDAY=MO,FR", "FREQ=DAILY;BYDAY=MO,FR"},
    {"FREQ=MONTHLY;BYDAY=2TU", "FREQ=MONTHLY;BYDAY=2TU"},
    {"FREQ=MONTHLY;BYDAY=+2TU", "FREQ=MONTHLY;BYDAY=2TU"},
    {"FREQ=MONTHLY;BYDAY=02TU", "FREQ=MONTHLY;BYDAY=2TU"},
    {"FREQ=MONTHLY;BYDAY=-1FR", "FREQ=MONTHLY;BYDAY=-1FR"},
    {"FREQ=MONTHLY;BYDAY=-01FR", "FREQ=MONTHLY;BYDAY=-1FR"},
    {"FREQ=MONTHLY;BYDAY=5SU,-5MO", "FREQ=MONTHLY;BYDAY=5SU,-5MO"},
    {"FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1",
     "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1"},
    {"FREQ=YEARLY;BYDAY=53MO", "FREQ=YEARLY;BYDAY=53MO"},
    {"FREQ=YEARLY;BYDAY=-53MO", "FREQ=YEARLY;BYDAY=-53MO"},
    {"FREQ=YEARLY;BYMONTH=11;BYDAY=4TH", "FREQ=YEARLY;BYMONTH=11;BYDAY=4TH"},
    {"FREQ=MONTHLY;BYMONTHDAY=1", "FREQ=MONTHLY;BYMONTHDAY=1"},
    {"FREQ=MONTHLY;BYMONTHDAY=31", "FREQ=MONTHLY;BYMONTHDAY=31"},
    {"FREQ=MONTHLY;BYMONTHDAY=-1", "FREQ=MONTHLY;BYMONTHDAY=-1"},
    {"FREQ=MONTHLY;BYMONTHDAY=-31", "FREQ=MONTHLY;BYMONTHDAY=-31"},
    {"FREQ=MONTHLY;BYMONTHDAY=1,15,+20,-01", "FREQ=MONTHLY;BYMONTHDAY=1,15,20,-1"},
    {"FREQ=DAILY;BYMONTHDAY=10", "FREQ=DAILY;BYMONTHDAY=10"},
    {"FREQ=DAILY;BYMONTH=1,12", "FREQ=DAILY;BYMONTH=1,12"},
    {"FREQ=WEEKLY;BYMONTH=6", "FREQ=WEEKLY;BYMONTH=6"},
    {"FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29", "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29"},
    {"FREQ=YEARLY;BYMONTH=2,3;BYMONTHDAY=31", "FREQ=YEARLY;BYMONTH=2,3;BYMONTHDAY=31"},
    {"FREQ=YEARLY;BYMONTH=04;BYMONTHDAY=30", "FREQ=YEARLY;BYMONTH=4;BYMONTHDAY=30"},
    {"FREQ=YEARLY;BYMONTH=1;BYSETPOS=366", "FREQ=YEARLY;BYMONTH=1;BYSETPOS=366"},
    {"FREQ=MONTHLY;BYMONTHDAY=1,2;BYSETPOS=-366", "FREQ=MONTHLY;BYMONTHDAY=1,2;BYSETPOS=-366"},
    {"FREQ=WEEKLY;WKST=SU", "FREQ=WEEKLY;WKST=SU"},
    {"daily\nexdate:20261224", "FREQ=DAILY\nEXDATE:20261224"},
    {"RRULE:FREQ=DAILY\r\nEXDATE:20261224T080000Z,20261225T090000\r\n",
     "FREQ=DAILY\nEXDATE:20261224T080000Z,20261225T090000"},
    {"FREQ=DAILY\nEXDATE;VALUE=DATE:20261224,20280229\nEXDATE:20270101",
     "FREQ=DAILY\nEXDATE;VALUE=DATE:20261224,20280229\nEXDATE:20270101"},
    {"FREQ=WEEKLY;INTERVAL=2;COUNT=8;WKST=SU;BYDAY=TU,TH",
     "FREQ=WEEKLY;INTERVAL=2;COUNT=8;WKST=SU;BYDAY=TU,TH"},
};

/* Each with words that only its reason has. */
static const struct row refused[] = {
    {"", "is empty"},
    {"   ", "is empty"},
    {"RRULE:", "lacks its"},
    {"hourly", "lacks its"},
    {"every day", "white space"},
    {"FREQ=DAILY; INTERVAL=2", "white space"},
    {"FREQ=DAILY\nFREQ=DAILY", "only lines of EXDATE"},
    {"FREQ=DAILY\n\nEXDATE:20261224", "only lines of EXDATE"},
    {"EXDATE:20261224", "lacks its"},
    {"EXDATE:20261224\nFREQ=DAILY", "lacks its"},
    {"FREQ=DAILY;EXDATE=20261224", "a line of its own"},
    {"FREQ=DAILY\nEXDATE", "looks like EXDATE:"},
    {"FREQ=DAILY\nEXDATES:20261224", "looks like EXDATE:"},
    {"FREQ=DAILY\nEXDATE;X=1:20261224", "looks like EXDATE:"},
    {"FREQ=DAILY\nEXDATE;TZID=Europe/Berlin:20261224T080000", "takes no TZID"},
    {"FREQ=DAILY\nEXDATE:", "EXDATE must list"},
    {"FREQ=DAILY\nEXDATE:20261224,", "EXDATE must list"},
    {"FREQ=DAILY\nEXDATE:2026-12-24", "EXDATE must list"},
    {"FREQ=DAILY\nEXDATE:20270229", "does not exist"},
    {"FREQ=DAILY\nEXDATE:20261224T250000", "does not exist"},
    {"FREQ=DAILY\nEXDATE: 20261224", "white space"},
    {"biweekly", "lacks its"},
    {"FREQ", "lacks its"},
    {"FREQ=", "FREQ has no value"},
    {"FREQ=HOURLY", "at most once a day"},
    {"FREQ=MINUTELY", "at most once a day"},
    {"FREQ=SECONDLY;COUNT=1", "at most once a day"},
    {"FREQ=FORTNIGHTLY", "not \"FORTNIGHTLY\""},
    {"FREQ=DAILY,WEEKLY", "not \"DAILY,WEEKLY\""},
    {"INTERVAL=2", "needs FREQ"},
    {"COUNT=2;BYDAY=MO", "needs FREQ"},
    {"FREQ=DAILY;FREQ=DAILY", "FREQ stands twice"},
    {"FREQ=DAILY;COUNT=1;COUNT=1", "COUNT stands twice"},
    {"FREQ=DAILY;", "empty part"},
    {";FREQ=DAILY", "empty part"},
    {"FREQ=DAILY;;COUNT=1", "empty part"},
    {"FREQ=DAILY;INTERVAL=0", "INTERVAL must"},
    {"FREQ=DAILY;INTERVAL=-1", "INTERVAL must"},
    {"FREQ=DAILY;INTERVAL=1001", "INTERVAL must"},
    {"FREQ=DAILY;INTERVAL=1.5", "INTERVAL must"},
    {"FREQ=DAILY;INTERVAL=two", "INTERVAL must"},
    {"FREQ=DAILY;INTERVAL=99999999999999999999", "INTERVAL must"},
    {"FREQ=DAILY;INTERVAL=+", "INTERVAL must"},
    {"FREQ=DAILY;INTERVAL=", "INTERVAL has no value"},
    {"FREQ=DAILY;INTERVAL=1=2", "INTERVAL must"},
    {"FREQ=DAILY;COUNT=0", "COUNT must"},
    {"FREQ=DAILY;COUNT=10001", "COUNT must"},
    {"FREQ=DAILY;COUNT=1,2", "COUNT must"},
    {"FREQ=DAILY;COUNT=1;UNTIL=20261231", "COUNT or UNTIL"},
    {"FREQ=DAILY;UNTIL=20261231T235959", "end in Z"},
    {"FREQ=DAILY;UNTIL=2026-12-31", "UNTIL must look"},
    {"FREQ=DAILY;UNTIL=2026-12-31T00:00:00Z", "UNTIL must look"},
    {"FREQ=DAILY;UNTIL=20261231X235959Z", "UNTIL must look"},
    {"FREQ=DAILY;UNTIL=tomorrow", "UNTIL must look"},
    {"FREQ=DAILY;UNTIL=20260230", "does not exist"},
    {"FREQ=DAILY;UNTIL=20270229T000000Z", "does not exist"},
    {"FREQ=DAILY;UNTIL=20261301", "does not exist"},
    {"FREQ=DAILY;UNTIL=20261231T250000Z", "does not exist"},
    {"FREQ=DAILY;UNTIL=00000101", "does not exist"},
    {"FREQ=WEEKLY;BYDAY=MONDAY", "BYDAY must list"},
    {"FREQ=WEEKLY;BYDAY=OT", "BYDAY must list"},
    {"FREQ=WEEKLY;BYDAY=M", "BYDAY must list"},
    {"FREQ=WEEKLY;BYDAY=MO,", "BYDAY must list"},
    {"FREQ=WEEKLY;BYDAY=,MO", "BYDAY must list"},
    {"FREQ=WEEKLY;BYDAY=", "BYDAY has no value"},
    {"FREQ=MONTHLY;BYDAY=0MO", "BYDAY must list"},
    {"FREQ=MONTHLY;BYDAY=1XX", "BYDAY must list"},
    {"FREQ=MONTHLY;BYDAY=1", "BYDAY must list"},
    {"FREQ=WEEKLY;BYDAY=2TU", "only where FREQ is MONTHLY or YEARLY"},
    {"FREQ=DAILY;BYDAY=-1FR", "only where FREQ is MONTHLY or YEARLY"},
    {"FREQ=MONTHLY;BYDAY=6MO", "a month has at most 5"},
    {"FREQ=MONTHLY;BYDAY=-6MO", "a month has at most 5"},
    {"FREQ=YEARLY;BYDAY=54MO", "a year has at most 53"},
    {"FREQ=YEARLY;BYMONTH=3;BYDAY=6MO", "a month has at most 5"},
    {"FREQ=MONTHLY;BYMONTHDAY=0", "BYMONTHDAY must"},
    {"FREQ=MONTHLY;BYMONTHDAY=32", "BYMONTHDAY must"},
    {"FREQ=MONTHLY;BYMONTHDAY=-32", "BYMONTHDAY must"},
    {"FREQ=MONTHLY;BYMONTHDAY=1,,2", "BYMONTHDAY must"},
    {"FREQ=MONTHLY;BYMONTHDAY=first", "BYMONTHDAY must"},
    {"FREQ=WEEKLY;BYMONTHDAY=1", "does not go with FREQ=WEEKLY"},
    {"FREQ=YEARLY;BYMONTH=0", "BYMONTH must"},
    {"FREQ=YEARLY;BYMONTH=13", "BYMONTH must"},
    {"FREQ=YEARLY;BYMONTH=-1", "BYMONTH must"},
    {"FREQ=YEARLY;BYMONTH=JAN", "BYMONTH must"},
    {"FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "never happens"},
    {"FREQ=MONTHLY;BYMONTH=4,6,9,11;BYMONTHDAY=31", "never happens"},
    {"FREQ=DAILY;BYMONTH=2;BYMONTHDAY=-30", "never happens"},
    {"FREQ=MONTHLY;BYSETPOS=1", "needs BYDAY"},
    {"FREQ=MONTHLY;BYDAY=MO;BYSETPOS=0", "BYSETPOS must"},
    {"FREQ=MONTHLY;BYDAY=MO;BYSETPOS=367", "BYSETPOS must"},
    {"FREQ=MONTHLY;BYDAY=MO;BYSETPOS=-367", "BYSETPOS must"},
    {"FREQ=WEEKLY;WKST=MON", "WKST must"},
    {"FREQ=WEEKLY;WKST=1MO", "WKST must"},
    {"FREQ=DAILY;BYHOUR=9", "BYHOUR is not taken: the time of day comes from due_date"},
    {"FREQ=DAILY;BYMINUTE=30", "BYMINUTE is not taken"},
    {"FREQ=DAILY;BYSECOND=0", "BYSECOND is not taken"},
    {"FREQ=YEARLY;BYYEARDAY=100", "BYYEARDAY is not taken"},
    {"FREQ=YEARLY;BYWEEKNO=20", "BYWEEKNO is not taken"},
    {"FREQ=DAILY;DTSTART=20260101T000000Z", "DTSTART is not taken"},
    {"FREQ=DAILY;TZID=Europe/Berlin", "TZID is not taken"},
    {"FREQ=DAILY;RSCALE=CHINESE", "RSCALE is not taken"},
    {"FREQ=DAILY;SKIP=OMIT", "SKIP is not taken"},
    {"FREQ=DAILY;X-NAME=1", "\"X-NAME\" is no part"},
    {"FREQ=DAILY;=1", "\"\" is no part"},
    {"DTSTART:20260101;FREQ=DAILY", "lacks its"},
    {"FREQ=DAILY'; DROP TABLE tasks", "white space"},
    {"FREQ=T\xC3\x84GLICH", "FREQ must be"},
};

static void every_good_rule_is_taken_and_written_canonically(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
        struct recurrence rule;
        struct error err = {0};
        if (recurrence_parse(slice_from_cstr(taken[i].rule), &rule, NULL, &err) < 0)
            fail_msg("\"%s\" was refused: %s", taken[i].rule, err.text);
        assert_string_equal(rule.text, taken[i].canonical);
    }
}

static void a_canonical_rule_stays_as_it_is(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
        struct recurrence rule;
        assert_int_equal(recurrence_parse(slice_from_cstr(taken[i].canonical), &rule, NULL, NULL),
                         0);
        assert_string_equal(rule.text, taken[i].canonical);
    }
}

static void every_bad_rule_is_refused_with_its_own_reason(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        struct recurrence rule;
        struct error err = {0};
        if (recurrence_parse(slice_from_cstr(refused[i].rule), &rule, NULL, &err) != BASE_EINVAL)
            fail_msg("\"%s\" was taken", refused[i].rule);
        if (!strstr(err.text, refused[i].canonical))
            fail_msg("\"%s\": \"%s\" lacks \"%s\"", refused[i].rule, err.text,
                     refused[i].canonical);
    }
}

static void a_rule_of_the_longest_length_is_taken_and_one_byte_more_is_not(void **state)
{
    (void)state;
    char text[RECURRENCE_RULE_MAX + 2];
    struct recurrence rule;
    struct error err = {0};
    int len = snprintf(text, sizeof(text), "FREQ=DAILY;INTERVAL=");
    memset(text + len, '0', sizeof(text) - (size_t)len);
    text[RECURRENCE_RULE_MAX] = '\0';
    text[RECURRENCE_RULE_MAX - 1] = '7';
    /* Nine digits are the longest number. */
    assert_int_equal(recurrence_parse(slice_from_cstr(text), &rule, NULL, &err), BASE_EINVAL);
    assert_non_null(strstr(err.text, "INTERVAL must"));
    text[RECURRENCE_RULE_MAX] = '7';
    text[RECURRENCE_RULE_MAX + 1] = '\0';
    assert_int_equal(recurrence_parse(slice_from_cstr(text), &rule, NULL, &err), BASE_EINVAL);
    assert_non_null(strstr(err.text, "longer than 255 bytes"));
}

static void exdates_up_to_the_longest_text_are_taken(void **state)
{
    (void)state;
    char text[RECURRENCE_TEXT_MAX + 32];
    struct recurrence rule;
    struct recurrence_rule says;
    struct error err = {0};
    /* A word grows when it is written as a rule. */
    int len = snprintf(text, sizeof(text), "daily\nEXDATE:20261201");
    for (int i = 1; i < 64; i++)
        len += snprintf(text + len, sizeof(text) - (size_t)len, ",202612%02d", i % 28 + 1);
    assert_int_equal(recurrence_parse(slice_from_cstr(text), &rule, &says, &err), 0);
    assert_int_equal(says.exdate_count, 64);
    memcpy(text + len, ",20261201", 10);
    assert_int_equal(recurrence_parse(slice_from_cstr(text), &rule, NULL, &err), BASE_EINVAL);
    assert_non_null(strstr(err.text, "more than 64 times"));
    len = snprintf(text, sizeof(text), "daily\nEXDATE:20261201T080000Z");
    while (len + 17 <= RECURRENCE_TEXT_MAX)
        len += snprintf(text + len, sizeof(text) - (size_t)len, ",20261202T080000Z");
    memcpy(text + len, "\nEXDATE:20261201", 17);
    text[RECURRENCE_TEXT_MAX] = '\0';
    assert_int_equal(recurrence_parse(slice_from_cstr(text), &rule, NULL, &err), BASE_EINVAL);
    assert_non_null(strstr(err.text, "longer than 999 bytes"));
}

static void a_list_of_more_than_64_days_is_refused(void **state)
{
    (void)state;
    char text[RECURRENCE_RULE_MAX + 1];
    struct recurrence rule;
    struct error err = {0};
    int len = snprintf(text, sizeof(text), "FREQ=WEEKLY;BYDAY=MO");
    for (int i = 0; i < 64; i++)
        len += snprintf(text + len, sizeof(text) - (size_t)len, ",MO");
    assert_int_equal(recurrence_parse(slice_from_cstr(text), &rule, NULL, &err), BASE_EINVAL);
    assert_non_null(strstr(err.text, "more than 64 days"));
    text[len - 3] = '\0';
    assert_int_equal(recurrence_parse(slice_from_cstr(text), &rule, NULL, &err), 0);
}

static void until_tells_the_last_moment_of_an_occurrence(void **state)
{
    (void)state;
    struct recurrence rule;
    assert_int_equal(
        recurrence_parse(SLICE_LIT("FREQ=DAILY;UNTIL=19700102T000000Z"), &rule, NULL, NULL), 0);
    assert_int_equal(rule.last_us, INT64_C(86400000000));
    assert_int_equal(recurrence_parse(SLICE_LIT("FREQ=DAILY"), &rule, NULL, NULL), 0);
    assert_int_equal(rule.last_us, INT64_MAX);
}

static void until_as_a_date_is_that_whole_day_wherever_it_ends_last(void **state)
{
    (void)state;
    struct recurrence rule;
    assert_int_equal(recurrence_parse(SLICE_LIT("FREQ=DAILY;UNTIL=19700101"), &rule, NULL, NULL),
                     0);
    assert_int_equal(rule.last_us, INT64_C(36) * 3600 * 1000000);
}

static void the_part_at_fault_is_named(void **state)
{
    (void)state;
    struct recurrence rule;
    struct error err = {0};
    assert_int_equal(recurrence_parse(SLICE_LIT("FREQ=DAILY;COUNT=0"), &rule, NULL, &err),
                     BASE_EINVAL);
    assert_string_equal(err.field, "COUNT");
}

static void no_prefix_of_a_rule_is_read_past_its_end(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
        for (size_t len = 0; len <= strlen(taken[i].rule); len++) {
            /* Memory that ends with the rule: the sanitizer sees a byte too many. */
            char *copy = test_malloc(len + !len);
            struct recurrence rule;
            memcpy(copy, taken[i].rule, len);
            int status = recurrence_parse((struct slice){copy, len}, &rule, NULL, NULL);
            assert_true(status == 0 || status == BASE_EINVAL);
            test_free(copy);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_good_rule_is_taken_and_written_canonically),
        cmocka_unit_test(a_canonical_rule_stays_as_it_is),
        cmocka_unit_test(every_bad_rule_is_refused_with_its_own_reason),
        cmocka_unit_test(a_rule_of_the_longest_length_is_taken_and_one_byte_more_is_not),
        cmocka_unit_test(exdates_up_to_the_longest_text_are_taken),
        cmocka_unit_test(a_list_of_more_than_64_days_is_refused),
        cmocka_unit_test(until_tells_the_last_moment_of_an_occurrence),
        cmocka_unit_test(until_as_a_date_is_that_whole_day_wherever_it_ends_last),
        cmocka_unit_test(the_part_at_fault_is_named),
        cmocka_unit_test(no_prefix_of_a_rule_is_read_past_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
