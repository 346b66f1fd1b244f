/* How single arguments are read: text, dates, zones, ids; and the sticky first fault. */
#include "support/unit.h"

#include "base/error.h"
#include "base/json.h"
#include "support/mem_loop.h"
#include "tools/args_int.h"
#include "tools/error_int.h"
#include "tools/utf8_int.h"
#include "tools/zones_int.h"

struct fixture {
    struct zones *zones;
    cJSON *object;
    struct tool_error error;
    struct args args;
};

static int setup(void **state)
{
    struct fixture *f = test_calloc(1, sizeof(*f));
    assert_int_equal(zones_load(ZONES_DIRECTORY, &f->zones), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    cJSON_Delete(f->object);
    zones_free(f->zones);
    test_free(f);
    return 0;
}

static struct args *given(void **state, const char *json)
{
    struct fixture *f = *state;
    cJSON_Delete(f->object);
    f->object = json_parse(slice_from_cstr(json), NULL);
    assert_non_null(f->object);
    memset(&f->error, 0, sizeof(f->error));
    f->args = (struct args){.object = f->object, .zones = f->zones, .error = &f->error};
    return &f->args;
}

static void assert_refused(const struct args *a, const char *field, const char *words)
{
    assert_int_equal(args_status(a), BASE_EINVAL);
    assert_int_equal(a->error->code, TOOL_VALIDATION_ERROR);
    assert_string_equal(a->error->field, field);
    if (!strstr(a->error->message, words))
        fail_msg("\"%s\" lacks \"%s\"", a->error->message, words);
    assert_false(a->error->retryable);
}

static void assert_text(struct slice got, const char *want)
{
    assert_int_equal(got.len, strlen(want));
    assert_memory_equal(got.ptr, want, got.len);
}

/* ---- utf8 ---- */

static void trimming_takes_every_unicode_white_space_from_both_ends(void **state)
{
    (void)state;
    const char *const spaces[] = {"\t",           "\n",           "\v",
                                  "\f",           "\r",           " ",
                                  "\xC2\x85",     "\xC2\xA0",     "\xE1\x9A\x80",
                                  "\xE2\x80\x80", "\xE2\x80\x8A", "\xE2\x80\xA8",
                                  "\xE2\x80\xA9", "\xE2\x80\xAF", "\xE2\x81\x9F",
                                  "\xE3\x80\x80"};
    for (size_t i = 0; i < sizeof(spaces) / sizeof(spaces[0]); i++) {
        char text[32];
        int len =
            snprintf(text, sizeof(text), "%s%sa%sb%s", spaces[i], spaces[i], spaces[i], spaces[i]);
        struct slice got = utf8_trim((struct slice){text, (size_t)len});
        assert_int_equal(got.len, 2 + strlen(spaces[i]));
        assert_int_equal(got.ptr[0], 'a');
        assert_int_equal(utf8_trim(slice_from_cstr(spaces[i])).len, 0);
    }
}

static void trimming_leaves_what_only_looks_like_white_space(void **state)
{
    (void)state;
    /* Zero-width space, byte order mark, a letter whose last byte is 0xA0, an emoji. */
    const char *const texts[] = {"\xE2\x80\x8B", "\xEF\xBB\xBF", "\xC3\xA0", "\xF0\x9F\x92\x85"};
    for (size_t i = 0; i < 4; i++)
        assert_text(utf8_trim(slice_from_cstr(texts[i])), texts[i]);
}

static void lengths_count_code_points(void **state)
{
    (void)state;
    assert_int_equal(utf8_length(SLICE_LIT("a\xC3\xA4\xE2\x82\xAC\xF0\x9F\x92\x85")), 4);
    assert_int_equal(utf8_length(SLICE_EMPTY), 0);
}

static void cutting_never_splits_a_character(void **state)
{
    (void)state;
    struct slice text = SLICE_LIT("\xC3\xA4\xE2\x82\xAC\xF0\x9F\x92\x85");
    assert_int_equal(utf8_cut(text, 0).len, 0);
    assert_int_equal(utf8_cut(text, 1).len, 2);
    assert_int_equal(utf8_cut(text, 2).len, 5);
    assert_int_equal(utf8_cut(text, 3).len, 9);
    assert_int_equal(utf8_cut(text, 9).len, 9);
}

static void bytes_that_are_no_utf8_are_handled_safely(void **state)
{
    (void)state;
    const char *const texts[] = {"\x80", "\x80\x80\x80\x80\x80", "\xE2\x80", "\xFF", " \xC2"};
    for (size_t i = 0; i < 5; i++) {
        size_t len = strlen(texts[i]);
        char *copy = test_malloc(len);
        memcpy(copy, texts[i], len);
        struct slice text = {copy, len};
        assert_true(utf8_trim(text).len <= len);
        assert_true(utf8_cut(text, 1).len <= len);
        assert_true(utf8_length(text) <= len);
        test_free(copy);
    }
}

/* ---- zones ---- */

static void the_system_knows_its_zones_whatever_their_case(void **state)
{
    struct fixture *f = *state;
    assert_text(zones_find(f->zones, SLICE_LIT("Europe/Berlin")), "Europe/Berlin");
    assert_text(zones_find(f->zones, SLICE_LIT("europe/berlin")), "Europe/Berlin");
    assert_text(zones_find(f->zones, SLICE_LIT("America/Argentina/Buenos_Aires")),
                "America/Argentina/Buenos_Aires");
    assert_text(zones_find(f->zones, SLICE_LIT("Etc/GMT+5")), "Etc/GMT+5");
    assert_text(zones_find(f->zones, SLICE_LIT("utc")), "UTC");
}

static void what_is_no_zone_is_not_found(void **state)
{
    struct fixture *f = *state;
    const char *const names[] = {"",         "Mars/Olympus",   "Europe",       "../etc/passwd",
                                 "zone.tab", "posixrules",     "tzdata.zi",    "localtime",
                                 "Factory",  "Europe/",        "/Europe/Rome", "posix/Europe/Rome",
                                 "UTC\n",    "Europe/Berlin ", "CEST+2",       "right/UTC"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        assert_int_equal(zones_find(f->zones, slice_from_cstr(names[i])).len, 0);
    char text[200];
    memset(text, 'A', sizeof(text));
    assert_int_equal(zones_find(f->zones, (struct slice){text, sizeof(text)}).len, 0);
}

static void without_a_zone_database_there_is_utc(void **state)
{
    (void)state;
    struct zones *z = NULL;
    assert_int_equal(zones_load("/nonexistent", &z), 0);
    assert_int_equal(zones_count(z), 1);
    assert_text(zones_find(z, SLICE_LIT("UTC")), "UTC");
    zones_free(z);
}

static void loading_zones_survives_every_failed_allocation(void **state)
{
    (void)state;
    struct mem_loop loop = {0};
    while (mem_loop_next(&loop)) {
        struct zones *z = NULL;
        int status = zones_load(ZONES_DIRECTORY, &z);
        mem_loop_expect(&loop, status, BASE_ENOMEM);
        zones_free(z);
    }
}

/* ---- text ---- */

static void a_title_is_trimmed_before_it_is_measured(void **state)
{
    struct slice out = SLICE_EMPTY;
    struct args *a = given(state, "{\"t\":\"   abc\\u00a0\\u3000\"}");
    args_line(a, "t", 3, &out);
    assert_int_equal(args_status(a), 0);
    assert_text(out, "abc");
}

static void a_title_of_white_space_is_empty(void **state)
{
    struct slice out = SLICE_EMPTY;
    struct args *a = given(state, "{\"t\":\" \\u2003\"}");
    args_line(a, "t", 3, &out);
    assert_refused(a, "t", "t is empty; give 1 to 3 characters");
}

static void a_title_too_long_is_told_its_length(void **state)
{
    struct slice out = SLICE_EMPTY;
    struct args *a = given(state, "{\"t\":\"\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4\"}");
    args_line(a, "t", 3, &out);
    assert_refused(a, "t", "has 4 characters; at most 3 fit");
}

static void a_text_keeps_its_white_space_and_may_be_empty(void **state)
{
    struct slice out = SLICE_EMPTY;
    struct args *a = given(state, "{\"d\":\" x \",\"e\":\"\"}");
    args_text(a, "d", 3, &out);
    assert_text(out, " x ");
    args_text(a, "e", 3, &out);
    assert_int_equal(out.len, 0);
    assert_int_equal(args_status(a), 0);
}

static void absent_and_null_leave_the_default(void **state)
{
    struct args *a = given(state, "{\"n\":null}");
    const char *const names[] = {"n", "absent"};
    for (size_t i = 0; i < 2; i++) {
        int64_t id = 5, time = 6, ids[DB_TASK_TAGS_MAX];
        int count = 0, word = 2;
        bool flag = true, has = false;
        struct slice text = SLICE_LIT("default");
        struct recurrence rule = {0};
        const char *const words[] = {"a"};
        args_id(a, names[i], &id);
        args_ids(a, names[i], ids, &count);
        args_bool(a, names[i], &flag);
        args_word(a, names[i], words, 1, &word);
        args_line(a, names[i], 3, &text);
        args_text(a, names[i], 3, &text);
        args_time(a, names[i], &has, &time);
        args_zone(a, names[i], &text);
        args_color(a, names[i], &text);
        args_rule(a, names[i], &rule);
        assert_int_equal(args_status(a), 0);
        assert_true(id == 5 && time == 6 && count == 0 && word == 2 && flag && !has);
        assert_text(text, "default");
        assert_string_equal(rule.text, "");
    }
}

static void has_tells_null_from_absent_and_a_value_from_both(void **state)
{
    struct args *a = given(state, "{\"null\":null,\"empty\":\"\",\"value\":0}");
    assert_true(args_has(a, "null") && args_has(a, "empty") && args_has(a, "value"));
    assert_false(args_has(a, "absent"));
    assert_true(args_is_null(a, "null"));
    assert_false(args_is_null(a, "absent") || args_is_null(a, "empty"));
    assert_true(args_has_value(a, "value"));
    assert_false(args_has_value(a, "null") || args_has_value(a, "empty"));
}

static void required_means_neither_absent_nor_null(void **state)
{
    struct args *a = given(state, "{\"n\":null}");
    args_require(a, "n");
    assert_refused(a, "n", "n is missing");
    a = given(state, "{}");
    args_require(a, "n");
    assert_refused(a, "n", "n is missing");
}

static void the_first_fault_stays(void **state)
{
    int64_t id = 0;
    bool flag = false;
    struct args *a = given(state, "{\"id\":0,\"flag\":3}");
    args_id(a, "id", &id);
    args_bool(a, "flag", &flag);
    args_refuse(a, "other", NULL, "later");
    assert_refused(a, "id", "id must be");
}

/* ---- numbers ---- */

static void ids_are_whole_numbers_that_lose_no_digit(void **state)
{
    const struct {
        const char *json;
        bool is_taken;
    } rows[] = {
        {"{\"id\":1}", true},
        {"{\"id\":1.0}", true},
        {"{\"id\":9007199254740991}", true},
        {"{\"id\":9007199254740992}", false},
        {"{\"id\":9007199254740993}", false},
        {"{\"id\":0}", false},
        {"{\"id\":-1}", false},
        {"{\"id\":1.5}", false},
        {"{\"id\":1e300}", false},
        {"{\"id\":\"1\"}", false},
        {"{\"id\":true}", false},
        {"{\"id\":[1]}", false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t id = 0;
        struct args *a = given(state, rows[i].json);
        args_id(a, "id", &id);
        assert_int_equal(args_status(a) == 0, rows[i].is_taken);
        if (!rows[i].is_taken)
            assert_refused(a, "id", "id must be a whole number from 1 to 9007199254740991");
    }
}

static void integers_keep_to_their_range(void **state)
{
    int64_t n = -1;
    struct args *a = given(state, "{\"low\":0,\"high\":525600,\"over\":525601}");
    args_int(a, "low", 0, 525600, &n);
    assert_int_equal(n, 0);
    args_int(a, "high", 0, 525600, &n);
    assert_int_equal(n, 525600);
    args_int(a, "over", 0, 525600, &n);
    assert_refused(a, "over", "from 0 to 525600");
}

static void tag_ids_are_distinct_and_at_most_ten(void **state)
{
    const struct {
        const char *json, *words;
    } rows[] = {
        {"{\"t\":[]}", NULL},
        {"{\"t\":[1,2,3,4,5,6,7,8,9,10]}", NULL},
        {"{\"t\":[1,2,3,4,5,6,7,8,9,10,11]}", "at most 10"},
        {"{\"t\":[1,2,1]}", "has 1 twice"},
        {"{\"t\":[1,0]}", "t[1] must be"},
        {"{\"t\":[\"1\"]}", "t[0] must be"},
        {"{\"t\":5}", "array of ids"},
        {"{\"t\":{\"a\":1}}", "array of ids"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t ids[DB_TASK_TAGS_MAX];
        int count = 0;
        struct args *a = given(state, rows[i].json);
        args_ids(a, "t", ids, &count);
        if (rows[i].words)
            assert_refused(a, "t", rows[i].words);
        else
            assert_int_equal(args_status(a), 0);
    }
}

static void words_are_matched_exactly_and_all_named(void **state)
{
    const char *const words[] = {"low", "high"};
    int word = -1;
    struct args *a = given(state, "{\"a\":\"high\",\"b\":\"High\"}");
    args_word(a, "a", words, 2, &word);
    assert_int_equal(word, 1);
    args_word(a, "b", words, 2, &word);
    assert_refused(a, "b", "b must be one of: low, high");
    assert_string_equal(a->error->expected, "low, high");
}

/* ---- dates, zones, colours, rules ---- */

static void a_time_needs_an_offset(void **state)
{
    bool has = false;
    int64_t us = 0;
    struct args *a = given(state, "{\"a\":\"2026-12-01T01:00:00+01:00\",\"b\":\"2026-12-01T00:00\","
                                  "\"c\":\"\"}");
    args_time(a, "a", &has, &us);
    assert_true(has);
    assert_int_equal(us, INT64_C(1796083200000000));
    has = false;
    args_time(a, "c", &has, &us);
    assert_false(has);
    assert_int_equal(args_status(a), 0);
    args_time(a, "b", &has, &us);
    assert_refused(a, "b", "b ");
    assert_non_null(strstr(a->error->expected, "2026-12-31T17:00:00Z"));
}

static void a_zone_is_kept_in_the_database_s_spelling(void **state)
{
    struct slice zone = SLICE_EMPTY;
    struct args *a = given(state, "{\"a\":\"asia/tokyo\",\"b\":\"Asia/Atlantis\"}");
    args_zone(a, "a", &zone);
    assert_text(zone, "Asia/Tokyo");
    args_zone(a, "b", &zone);
    assert_refused(a, "b", "no time zone");
}

static void a_colour_is_a_hash_and_six_digits(void **state)
{
    const char *const bad[] = {"{\"c\":\"red\"}",     "{\"c\":\"#12345\"}",  "{\"c\":\"#1234567\"}",
                               "{\"c\":\"1234567\"}", "{\"c\":\"#12345g\"}", "{\"c\":7}"};
    struct slice color = SLICE_EMPTY;
    struct args *a = given(state, "{\"c\":\"#1e90FF\"}");
    args_color(a, "c", &color);
    assert_text(color, "#1e90FF");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        a = given(state, bad[i]);
        args_color(a, "c", &color);
        assert_refused(a, "c", "must be");
    }
}

static void a_rule_is_refused_in_its_own_words(void **state)
{
    struct recurrence rule = {0};
    struct args *a = given(state, "{\"r\":\"FREQ=HOURLY\"}");
    args_rule(a, "r", &rule);
    assert_refused(a, "r", "at most once a day");
    a = given(state, "{\"r\":\"weekly\"}");
    args_rule(a, "r", &rule);
    assert_string_equal(rule.text, "FREQ=WEEKLY");
}

static void every_reader_refuses_every_wrong_type(void **state)
{
    const char *const values[] = {"{\"x\":{}}", "{\"x\":[{}]}"};
    for (size_t i = 0; i < 2; i++) {
        for (int reader = 0; reader < 9; reader++) {
            int64_t id = 0, ids[DB_TASK_TAGS_MAX];
            int n = 0;
            bool flag = false;
            struct slice text = SLICE_EMPTY;
            struct recurrence rule = {0};
            struct db_cursor cursor = {0};
            const char *const words[] = {"a"};
            struct args *a = given(state, values[i]);
            switch (reader) {
            case 0:
                args_id(a, "x", &id);
                break;
            case 1:
                args_ids(a, "x", ids, &n);
                break;
            case 2:
                args_bool(a, "x", &flag);
                break;
            case 3:
                args_word(a, "x", words, 1, &n);
                break;
            case 4:
                args_line(a, "x", 3, &text);
                break;
            case 5:
                args_text(a, "x", 3, &text);
                break;
            case 6:
                args_time(a, "x", &flag, &id);
                break;
            case 7:
                args_zone(a, "x", &text);
                break;
            default:
                args_rule(a, "x", &rule);
                break;
            }
            assert_refused(a, "x", "must be");
            args_cursor(a, 1, &cursor);
        }
    }
}

static void a_cursor_is_refused_on_its_own_field(void **state)
{
    struct db_cursor cursor = {0};
    struct args *a = given(state, "{\"cursor\":\"gibberish\"}");
    args_cursor(a, 1, &cursor);
    assert_refused(a, "cursor", "cursor is damaged");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trimming_takes_every_unicode_white_space_from_both_ends),
        cmocka_unit_test(trimming_leaves_what_only_looks_like_white_space),
        cmocka_unit_test(lengths_count_code_points),
        cmocka_unit_test(cutting_never_splits_a_character),
        cmocka_unit_test(bytes_that_are_no_utf8_are_handled_safely),
        cmocka_unit_test(the_system_knows_its_zones_whatever_their_case),
        cmocka_unit_test(what_is_no_zone_is_not_found),
        cmocka_unit_test(without_a_zone_database_there_is_utc),
        cmocka_unit_test(loading_zones_survives_every_failed_allocation),
        cmocka_unit_test(a_title_is_trimmed_before_it_is_measured),
        cmocka_unit_test(a_title_of_white_space_is_empty),
        cmocka_unit_test(a_title_too_long_is_told_its_length),
        cmocka_unit_test(a_text_keeps_its_white_space_and_may_be_empty),
        cmocka_unit_test(absent_and_null_leave_the_default),
        cmocka_unit_test(has_tells_null_from_absent_and_a_value_from_both),
        cmocka_unit_test(required_means_neither_absent_nor_null),
        cmocka_unit_test(the_first_fault_stays),
        cmocka_unit_test(ids_are_whole_numbers_that_lose_no_digit),
        cmocka_unit_test(integers_keep_to_their_range),
        cmocka_unit_test(tag_ids_are_distinct_and_at_most_ten),
        cmocka_unit_test(words_are_matched_exactly_and_all_named),
        cmocka_unit_test(a_time_needs_an_offset),
        cmocka_unit_test(a_zone_is_kept_in_the_database_s_spelling),
        cmocka_unit_test(a_colour_is_a_hash_and_six_digits),
        cmocka_unit_test(a_rule_is_refused_in_its_own_words),
        cmocka_unit_test(every_reader_refuses_every_wrong_type),
        cmocka_unit_test(a_cursor_is_refused_on_its_own_field),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
