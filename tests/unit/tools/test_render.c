/* What tasks and labels look like in answers, and what failures do. */
#include "support/unit.h"

#include "base/buf.h"
#include "base/json.h"
#include "fake.h"
#include "tools/error_int.h"
#include "tools/render_int.h"

struct page {
    struct buf buf;
    struct json_writer w;
};

static int setup(void **state)
{
    struct page *p = test_calloc(1, sizeof(*p));
    buf_init(&p->buf, 1 << 20);
    json_writer_init(&p->w, &p->buf);
    *state = p;
    return 0;
}

static int teardown(void **state)
{
    struct page *p = *state;
    buf_deinit(&p->buf);
    test_free(p);
    return 0;
}

static void assert_page(struct page *p, const char *want)
{
    assert_int_equal(buf_status(&p->buf), 0);
    assert_string_equal(p->buf.ptr ? p->buf.ptr : "", want);
}

static void a_whole_task_has_every_member(void **state)
{
    struct page *p = *state;
    struct db_task t = fake_full_task();
    render_task(&p->w, &t);
    assert_page(
        p, "{\"id\":12,\"title\":\"Buy milk\",\"description\":\"two litres\",\"completed\":true,"
           "\"status\":\"completed\",\"priority\":\"urgent\",\"due_date\":\"2026-12-01T00:00:00Z\","
           "\"recurrence_rule\":\"FREQ=WEEKLY;BYDAY=MO\",\"timezone\":\"Europe/Berlin\","
           "\"category\":{\"id\":3,\"name\":\"Home\",\"color\":\"#FF0000\"},"
           "\"tags\":[{\"id\":4,\"name\":\"shop\",\"color\":null}],"
           "\"reminder\":{\"remind_at\":\"2026-11-30T23:00:00Z\",\"remind_before_minutes\":60,"
           "\"sent\":false},\"version\":5,\"created_at\":\"2026-11-27T18:04:05.123Z\","
           "\"updated_at\":\"2026-11-27T18:04:05.123Z\","
           "\"completed_at\":\"2026-11-27T18:04:05.123Z\"}");
}

static void a_bare_task_has_nulls(void **state)
{
    struct page *p = *state;
    struct db_task t = fake_bare_task();
    render_task(&p->w, &t);
    assert_page(p, "{\"id\":12,\"title\":\"Buy milk\",\"description\":null,\"completed\":false,"
                   "\"status\":\"pending\",\"priority\":\"medium\",\"due_date\":null,"
                   "\"recurrence_rule\":null,\"timezone\":\"UTC\",\"category\":null,\"tags\":[],"
                   "\"reminder\":null,\"version\":1,\"created_at\":\"2026-11-27T18:04:05.123Z\","
                   "\"updated_at\":\"2026-11-27T18:04:05.123Z\",\"completed_at\":null}");
}

static void render_in_list(struct page *p, const struct db_task *t, uint32_t members)
{
    json_begin_object(&p->w);
    render_list_members(&p->w, t, members);
    json_end_object(&p->w);
}

static void a_list_leaves_out_what_is_null_empty_or_false(void **state)
{
    struct page *p = *state;
    struct db_task t = fake_bare_task();
    render_in_list(p, &t, RENDER_ALL);
    assert_page(p, "{\"id\":12,\"title\":\"Buy milk\",\"status\":\"pending\","
                   "\"priority\":\"medium\",\"timezone\":\"UTC\",\"version\":1,"
                   "\"created_at\":\"2026-11-27T18:04:05.123Z\","
                   "\"updated_at\":\"2026-11-27T18:04:05.123Z\"}");
}

static void a_list_says_where_a_description_is_cut(void **state)
{
    struct page *p = *state;
    struct db_task t = fake_bare_task();
    t.description = SLICE_LIT("long");
    t.description_truncated = true;
    render_in_list(p, &t, 1u << RENDER_ID | 1u << RENDER_DESCRIPTION);
    assert_page(p, "{\"id\":12,\"description\":\"long\",\"truncated\":true}");
}

static void a_list_shows_only_the_fields_asked_for(void **state)
{
    struct page *p = *state;
    struct db_task t = fake_full_task();
    render_in_list(p, &t, 1u << RENDER_ID | 1u << RENDER_TAGS | 1u << RENDER_REMINDER);
    assert_page(p, "{\"id\":12,\"tags\":[{\"id\":4,\"name\":\"shop\"}],"
                   "\"reminder\":{\"remind_at\":\"2026-11-30T23:00:00Z\","
                   "\"remind_before_minutes\":60}}");
}

static void a_reminder_that_waits_for_a_due_date_has_no_time(void **state)
{
    struct page *p = *state;
    struct db_task t = fake_bare_task();
    t.reminder = (struct db_reminder){true, 0, 30, false};
    render_in_list(p, &t, 1u << RENDER_REMINDER);
    assert_page(p, "{\"reminder\":{\"remind_before_minutes\":30}}");
}

static void updated_fields_are_named_as_the_arguments_are(void **state)
{
    struct page *p = *state;
    json_begin_object(&p->w);
    render_updated_fields(&p->w, DB_FIELD_TITLE | DB_FIELD_DESCRIPTION | DB_FIELD_COMPLETED |
                                     DB_FIELD_PRIORITY | DB_FIELD_CATEGORY | DB_FIELD_DUE_DATE |
                                     DB_FIELD_RECURRENCE | DB_FIELD_TIMEZONE);
    json_end_object(&p->w);
    assert_page(p, "{\"updated_fields\":[\"title\",\"description\",\"completed\",\"priority\","
                   "\"due_date\",\"recurrence_rule\",\"timezone\",\"category_id\"]}");
}

static void no_updated_fields_is_an_empty_list(void **state)
{
    struct page *p = *state;
    json_begin_object(&p->w);
    render_updated_fields(&p->w, 0);
    json_end_object(&p->w);
    assert_page(p, "{\"updated_fields\":[]}");
}

static void a_label_shows_its_count_in_lists_only(void **state)
{
    struct page *p = *state;
    const struct db_label label = {
        .id = 3, .name = SLICE_LIT("Home"), .created_at = 1000, .task_count = 8};
    json_begin_object(&p->w);
    render_label_members(&p->w, &label, true);
    json_end_object(&p->w);
    assert_page(p, "{\"id\":3,\"name\":\"Home\",\"color\":null,"
                   "\"created_at\":\"1970-01-01T00:00:00.001Z\",\"task_count\":8}");
    buf_reset(&p->buf);
    json_writer_init(&p->w, &p->buf);
    json_begin_object(&p->w);
    render_label_members(&p->w, &label, false);
    json_end_object(&p->w);
    assert_null(strstr(p->buf.ptr, "task_count"));
}

/* ---- text ---- */

static void a_line_is_short(void **state)
{
    struct page *p = *state;
    struct db_task full = fake_full_task(), bare = fake_bare_task();
    render_task_line(&p->buf, &full);
    render_task_line(&p->buf, &bare);
    assert_page(p, "12 [x] urgent due 2026-12-01 Buy milk\n12 [ ] Buy milk\n");
}

static void a_line_cuts_the_title_between_characters(void **state)
{
    struct page *p = *state;
    struct db_task t = fake_bare_task();
    char title[200];
    for (size_t i = 0; i < sizeof(title); i++)
        title[i] = "\xC3\xA4"[i % 2];
    t.title = (struct slice){title, sizeof(title)};
    render_task_line(&p->buf, &t);
    assert_int_equal(p->buf.len, strlen("12 [ ] ") + 120 + strlen("\xE2\x80\xA6\n"));
}

static void a_title_cannot_pass_for_another_line(void **state)
{
    struct page *p = *state;
    struct db_task t = fake_bare_task();
    t.title = SLICE_LIT("x\n99 [ ] fake\x7F\x1B");
    render_task_line(&p->buf, &t);
    assert_page(p, "12 [ ] x 99 [ ] fake  \n");
}

static void the_head_tells_counts_and_how_to_go_on(void **state)
{
    struct page *p = *state;
    render_list_head(&p->buf, 0, -1, false, NULL);
    render_list_head(&p->buf, 1, -1, false, NULL);
    render_list_head(&p->buf, 25, 312, false, "abc");
    render_list_head(&p->buf, 2, -1, true, NULL);
    assert_page(p, "no tasks\n1 task\n25 of 312 tasks; more: call again with cursor \"abc\"\n"
                   "2 tasks with similar words\n");
}

/* ---- errors ---- */

static void an_error_object_has_what_there_is_to_say(void **state)
{
    struct page *p = *state;
    struct tool_error e;
    tool_error_set(&e, TOOL_VALIDATION_ERROR, "title", "text", "title is %s", "empty");
    tool_error_write(&p->w, &e);
    assert_page(p, "{\"code\":\"validation_error\",\"message\":\"title is empty\","
                   "\"field\":\"title\",\"expected\":\"text\",\"retryable\":false}");
}

static void an_error_without_field_leaves_it_out(void **state)
{
    struct page *p = *state;
    struct tool_error e;
    tool_error_set(&e, TOOL_UNAVAILABLE, NULL, NULL, "down");
    tool_error_write(&p->w, &e);
    assert_page(p, "{\"code\":\"unavailable\",\"message\":\"down\",\"retryable\":true}");
}

static void a_conflict_shows_the_task_as_it_is(void **state)
{
    struct page *p = *state;
    struct tool_error e;
    struct db_task t = fake_full_task();
    const struct tool_subject s = {.task_id = 12, .expected_version = 4};
    tool_error_from_task(&e, DB_VERSION_CONFLICT, &s, &t);
    tool_error_write(&p->w, &e);
    assert_non_null(strstr(p->buf.ptr, "\"code\":\"conflict\""));
    assert_non_null(strstr(p->buf.ptr, "has version 5, not 4"));
    assert_non_null(strstr(p->buf.ptr, "\"current\":{\"id\":12,"));
}

static void each_task_outcome_has_its_code_and_remedy(void **state)
{
    (void)state;
    const struct {
        enum db_outcome outcome;
        struct tool_subject subject;
        const char *code, *field, *words;
    } rows[] = {
        {DB_NOT_FOUND, {.task_id = 9}, "not_found", "task_id", "no task has id 9; list_tasks"},
        {DB_NOT_FOUND,
         {.has_idempotency_key = true},
         "not_found",
         "idempotency_key",
         "was deleted; give another key"},
        {DB_CATEGORY_NOT_FOUND,
         {.category_id = 8},
         "not_found",
         "category_id",
         "no category has id 8; list_categories"},
        {DB_TAG_NOT_FOUND, {.tag_id = 7}, "not_found", "tag_id", "no tag has id 7; list_tags"},
        {DB_TAG_NOT_FOUND, {0}, "not_found", "tag_ids", "list_tags"},
        {DB_LIMIT_EXCEEDED, {.tag_id = 7}, "limit_exceeded", "tag_id", "at most 10 tags"},
        {DB_NO_DUE_DATE, {0}, "validation_error", "due_date", "repeats needs a due date"},
        {DB_NO_DUE_DATE,
         {.is_reminder = true},
         "validation_error",
         "remind_before_minutes",
         "update_task"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tool_error e;
        tool_error_from_task(&e, rows[i].outcome, &rows[i].subject, NULL);
        assert_string_equal(tool_error_code_name(e.code), rows[i].code);
        assert_string_equal(e.field, rows[i].field);
        assert_non_null(strstr(e.message, rows[i].words));
        assert_false(e.retryable);
    }
}

static void each_label_outcome_has_its_code_and_remedy(void **state)
{
    (void)state;
    const struct {
        enum db_outcome outcome;
        struct tool_subject subject;
        const char *code, *field, *words;
    } rows[] = {
        {DB_NAME_TAKEN,
         {.kind = DB_TAG, .name = SLICE_LIT("home")},
         "duplicate_name",
         "name",
         "a tag named \"home\" exists already; list_tags"},
        {DB_LIMIT_EXCEEDED, {.kind = DB_TAG}, "limit_exceeded", "", "100 tags already"},
        {DB_LIMIT_EXCEEDED, {.kind = DB_CATEGORY}, "limit_exceeded", "", "50 categories already"},
        {DB_NOT_FOUND,
         {.kind = DB_CATEGORY, .label_id = 6},
         "not_found",
         "category_id",
         "no category has id 6; list_categories"},
        {DB_NOT_FOUND, {.kind = DB_TAG, .label_id = 6}, "not_found", "tag_id", "list_tags"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tool_error e;
        tool_error_from_label(&e, rows[i].outcome, &rows[i].subject);
        assert_string_equal(tool_error_code_name(e.code), rows[i].code);
        assert_string_equal(e.field, rows[i].field);
        assert_non_null(strstr(e.message, rows[i].words));
    }
}

static void each_status_says_whether_to_call_again(void **state)
{
    (void)state;
    const struct {
        int status;
        bool is_repeatable, is_known, is_retryable;
        const char *code;
    } rows[] = {
        {DB_ENOMEM, false, true, true, "unavailable"},
        {DB_EBUSY, false, true, true, "unavailable"},
        {DB_ECLOSED, false, true, true, "unavailable"},
        {DB_EUNAVAILABLE, false, true, true, "unavailable"},
        {DB_EUNKNOWN, true, true, true, "unavailable"},
        {DB_EUNKNOWN, false, true, false, "unavailable"},
        {DB_ETIMEOUT, false, true, true, "unavailable"},
        {DB_ECANCELLED, false, true, true, "unavailable"},
        {DB_EUNIQUE, false, true, false, "unavailable"},
        {DB_ECONSTRAINT, false, true, false, "unavailable"},
        {DB_ESERIALIZE, false, true, true, "conflict"},
        {DB_EINTERNAL, false, false, false, ""},
        {DB_ENEWER, false, false, false, ""},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tool_error e;
        assert_int_equal(tool_error_from_status(&e, rows[i].status, rows[i].is_repeatable),
                         rows[i].is_known);
        if (!rows[i].is_known)
            continue;
        assert_string_equal(tool_error_code_name(e.code), rows[i].code);
        assert_int_equal(e.retryable, rows[i].is_retryable);
    }
}

#define with_page(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_page(a_whole_task_has_every_member),
        with_page(a_bare_task_has_nulls),
        with_page(a_list_leaves_out_what_is_null_empty_or_false),
        with_page(a_list_says_where_a_description_is_cut),
        with_page(a_list_shows_only_the_fields_asked_for),
        with_page(a_reminder_that_waits_for_a_due_date_has_no_time),
        with_page(updated_fields_are_named_as_the_arguments_are),
        with_page(no_updated_fields_is_an_empty_list),
        with_page(a_label_shows_its_count_in_lists_only),
        with_page(a_line_is_short),
        with_page(a_line_cuts_the_title_between_characters),
        with_page(a_title_cannot_pass_for_another_line),
        with_page(the_head_tells_counts_and_how_to_go_on),
        with_page(an_error_object_has_what_there_is_to_say),
        with_page(an_error_without_field_leaves_it_out),
        with_page(a_conflict_shows_the_task_as_it_is),
        with_page(each_task_outcome_has_its_code_and_remedy),
        with_page(each_label_outcome_has_its_code_and_remedy),
        with_page(each_status_says_whether_to_call_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
