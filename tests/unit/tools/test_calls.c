/* Whole calls: what each tool asks of the database, what its replies become, and when the relay is
 * woken. */
#include "support/unit.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "fake.h"

/* ---- add_task ---- */

static void add_task_with_a_title_alone_takes_the_defaults(void **state)
{
    struct fake *f = *state;
    fake_call(f, "add_task", "{\"title\":\"  Buy milk \"}");
    assert_int_equal(f->db.op, FAKE_ADD);
    assert_int_equal(f->db.user_id, FAKE_USER);
    fake_assert_text(f->db.add.title, "Buy milk");
    assert_int_equal(f->db.add.priority, DB_PRIORITY_MEDIUM);
    assert_int_equal(f->db.add.category_id, 0);
    assert_int_equal(f->db.add.tag_count, 0);
    assert_false(f->db.add.has_due_date);
    fake_assert_text(f->db.add.recurrence_rule, "");
    fake_assert_text(f->db.add.timezone, "");
    fake_assert_text(f->db.add.traceparent, "00-trace-01");
    fake_reply_with_task(f, true);
}

static void add_task_takes_every_argument(void **state)
{
    struct fake *f = *state;
    fake_call(f, "add_task",
              "{\"title\":\"t\",\"description\":\" d \",\"priority\":\"urgent\",\"category_id\":3,"
              "\"tag_ids\":[4,5],\"due_date\":\"2026-12-01T00:00:00Z\",\"recurrence_rule\":"
              "\"weekly\",\"timezone\":\"europe/berlin\",\"idempotency_key\":\"k\"}");
    fake_assert_text(f->db.add.description, " d ");
    assert_int_equal(f->db.add.priority, DB_PRIORITY_URGENT);
    assert_int_equal(f->db.add.category_id, 3);
    assert_int_equal(f->db.add.tag_count, 2);
    assert_int_equal(f->db.add.tag_ids[1], 5);
    assert_true(f->db.add.has_due_date);
    assert_int_equal(f->db.add.due_date, INT64_C(1796083200000000));
    fake_assert_text(f->db.add.recurrence_rule, "FREQ=WEEKLY");
    fake_assert_text(f->db.add.timezone, "Europe/Berlin");
    fake_assert_text(f->db.add.idempotency_key, "k");
    fake_reply_with_task(f, true);
    assert_int_equal(f->call.end, FAKE_RESULT);
}

static void add_task_takes_null_and_empty_as_not_given(void **state)
{
    struct fake *f = *state;
    fake_call(f, "add_task",
              "{\"title\":\"t\",\"description\":null,\"category_id\":null,\"due_date\":\"\","
              "\"recurrence_rule\":\"\",\"timezone\":null}");
    assert_int_equal(f->db.op, FAKE_ADD);
    assert_false(f->db.add.has_due_date);
    fake_assert_text(f->db.add.recurrence_rule, "");
    fake_reply_with_task(f, true);
}

static void lengths_are_counted_in_characters(void **state)
{
    struct fake *f = *state;
    char args[1024];
    struct buf b;
    buf_init_fixed(&b, args, sizeof(args));
    buf_append_cstr(&b, "{\"title\":\"");
    for (int i = 0; i < 200; i++)
        buf_append_cstr(&b, "\xC3\xA4");
    size_t end = b.len;
    buf_append_cstr(&b, "\"}");
    fake_call(f, "add_task", args);
    assert_int_equal(f->db.add.title.len, 400);
    fake_reply_with_task(f, true);
    b.len = end;
    buf_append_cstr(&b, "a\"}");
    fake_assert_failed(fake_call(f, "add_task", args), "validation_error", "title");
}

/* ---- get, complete, delete ---- */

static void get_task_answers_the_task_and_wakes_nobody(void **state)
{
    struct fake *f = *state;
    fake_call(f, "get_task", "{\"task_id\":12}");
    assert_int_equal(f->db.op, FAKE_GET);
    assert_int_equal(f->db.task_id, 12);
    fake_reply_with_task(f, false);
    assert_int_equal(f->call.end, FAKE_RESULT);
    assert_null(f->call.text);
    assert_string_equal(fake_string(&f->call, "title"), "Buy milk");
    assert_int_equal(f->commits, 0);
}

static void a_task_that_is_not_there_is_not_found(void **state)
{
    struct fake *f = *state;
    const struct db_task_reply reply = {.outcome = DB_NOT_FOUND};
    fake_call(f, "get_task", "{\"task_id\":12}");
    fake_reply_task(f, &reply);
    fake_assert_failed(&f->call, "not_found", "task_id");
    assert_non_null(strstr(f->call.text, "no task has id 12"));
}

static void complete_task_says_whether_it_was_done_before(void **state)
{
    struct fake *f = *state;
    for (int changed = 0; changed < 2; changed++) {
        fake_call(f, "complete_task", "{\"task_id\":12}");
        assert_int_equal(f->db.op, FAKE_COMPLETE);
        fake_reply_with_task(f, changed);
        assert_int_equal(cJSON_IsTrue(json_get(f->call.answer, "already_completed")), !changed);
        assert_int_equal(f->commits, changed);
    }
}

static void delete_task_answers_the_id(void **state)
{
    struct fake *f = *state;
    const struct db_task_reply reply = {.outcome = DB_OK, .changed = true};
    fake_call(f, "delete_task", "{\"task_id\":12}");
    assert_int_equal(f->db.op, FAKE_DELETE);
    fake_reply_task(f, &reply);
    assert_string_equal(f->call.structured, "{\"deleted\":true,\"task_id\":12}");
    assert_int_equal(f->commits, 1);
}

/* ---- update_task ---- */

static void update_task_sets_only_what_is_given(void **state)
{
    struct fake *f = *state;
    fake_call(f, "update_task", "{\"task_id\":12,\"title\":\"n\",\"completed\":true}");
    assert_int_equal(f->db.op, FAKE_UPDATE);
    assert_int_equal(f->db.task_id, 12);
    assert_int_equal(f->db.patch.set, DB_FIELD_TITLE | DB_FIELD_COMPLETED);
    assert_true(f->db.patch.completed);
    assert_int_equal(f->db.patch.expected_version, 0);
    fake_reply_with_task(f, true);
}

static void a_new_rule_is_looked_at_with_the_due_date_that_the_task_has(void **state)
{
    struct fake *f = *state;
    fake_call(f, "update_task",
              "{\"task_id\":12,\"recurrence_rule\":\"FREQ=DAILY;UNTIL=20261129\"}");
    assert_int_equal(f->db.op, FAKE_GET);
    assert_int_equal(f->db.task_id, 12);
    fake_reply_with_task(f, false);
    fake_assert_failed(&f->call, "validation_error", "recurrence_rule");
    assert_int_equal(f->commits, 0);

    fake_call(f, "update_task",
              "{\"task_id\":12,\"recurrence_rule\":\"FREQ=DAILY;UNTIL=20261202\"}");
    fake_reply_with_task(f, false);
    assert_int_equal(f->call.end, FAKE_OPEN);
    assert_int_equal(f->db.op, FAKE_UPDATE);
    fake_assert_text(f->db.patch.recurrence_rule, "FREQ=DAILY;UNTIL=20261202");
    fake_reply_with_task(f, true);
    assert_int_equal(f->call.end, FAKE_RESULT);
    assert_int_equal(f->commits, 1);
}

/* The last task of a series may be put off beyond the rule's end: it is not asked what the rule is.
 */
static void a_due_date_alone_moves_where_it_is_told_to(void **state)
{
    struct fake *f = *state;
    fake_call(f, "update_task", "{\"task_id\":12,\"due_date\":\"2099-01-01T00:00:00Z\"}");
    assert_int_equal(f->db.op, FAKE_UPDATE);
    assert_int_equal(f->db.patch.set, DB_FIELD_DUE_DATE);
    fake_reply_with_task(f, true);
    assert_int_equal(f->call.end, FAKE_RESULT);
}

static void a_new_rule_of_a_task_that_is_not_there_is_not_set(void **state)
{
    struct fake *f = *state;
    const struct db_task_reply none = {.outcome = DB_NOT_FOUND};
    fake_call(f, "update_task", "{\"task_id\":12,\"recurrence_rule\":\"daily\"}");
    fake_reply_task(f, &none);
    fake_assert_failed(&f->call, "not_found", "task_id");
    fake_call(f, "update_task", "{\"task_id\":12,\"recurrence_rule\":\"daily\"}");
    fake_reply_status(f, DB_EUNAVAILABLE);
    fake_assert_failed(&f->call, "unavailable", "");
}

/* A rule needs a due date: that is the update's to say. */
static void a_new_rule_of_a_task_without_a_due_date_goes_to_the_update(void **state)
{
    struct fake *f = *state;
    struct db_task t = fake_bare_task();
    const struct db_task_reply bare = {.outcome = DB_OK, .task = &t};
    fake_call(f, "update_task", "{\"task_id\":12,\"recurrence_rule\":\"FREQ=DAILY;COUNT=1\"}");
    fake_reply_task(f, &bare);
    assert_int_equal(f->db.op, FAKE_UPDATE);
    fake_reply_with_task(f, true);
}

static void update_task_takes_every_field(void **state)
{
    struct fake *f = *state;
    fake_call(f, "update_task",
              "{\"task_id\":12,\"title\":\"n\",\"description\":\"d\",\"completed\":false,"
              "\"priority\":\"low\",\"category_id\":3,\"due_date\":\"2026-12-01T00:00:00Z\","
              "\"recurrence_rule\":\"daily\",\"timezone\":\"UTC\",\"expected_version\":4}");
    assert_int_equal(f->db.patch.set, 0xFF);
    assert_int_equal(f->db.patch.priority, DB_PRIORITY_LOW);
    assert_int_equal(f->db.patch.category_id, 3);
    assert_true(f->db.patch.has_due_date);
    fake_assert_text(f->db.patch.recurrence_rule, "FREQ=DAILY");
    fake_assert_text(f->db.patch.timezone, "UTC");
    assert_int_equal(f->db.patch.expected_version, 4);
    fake_assert_text(f->db.patch.traceparent, "00-trace-01");
    fake_reply_with_task(f, true);
}

static void update_task_removes_with_null_and_with_empty_dates(void **state)
{
    struct fake *f = *state;
    const char *const rows[] = {
        "{\"task_id\":12,\"description\":null,\"category_id\":null,\"due_date\":null,"
        "\"recurrence_rule\":null,\"timezone\":null}",
        "{\"task_id\":12,\"description\":\"\",\"category_id\":null,\"due_date\":\"\","
        "\"recurrence_rule\":\"\",\"timezone\":\"\"}",
    };
    for (int i = 0; i < 2; i++) {
        fake_call(f, "update_task", rows[i]);
        assert_int_equal(f->db.patch.set, DB_FIELD_DESCRIPTION | DB_FIELD_CATEGORY |
                                              DB_FIELD_DUE_DATE | DB_FIELD_RECURRENCE |
                                              DB_FIELD_TIMEZONE);
        assert_false(f->db.patch.has_due_date);
        assert_int_equal(f->db.patch.category_id, 0);
        fake_assert_text(f->db.patch.description, "");
        fake_assert_text(f->db.patch.recurrence_rule, "");
        fake_reply_with_task(f, true);
    }
}

static void update_task_lists_what_really_changed(void **state)
{
    struct fake *f = *state;
    struct db_task t = fake_full_task();
    const struct db_task_reply reply = {
        .outcome = DB_OK, .task = &t, .changed = true, .updated_fields = DB_FIELD_TITLE};
    fake_call(f, "update_task", "{\"task_id\":12,\"title\":\"n\",\"completed\":true}");
    fake_reply_task(f, &reply);
    assert_non_null(strstr(f->call.structured, "\"updated_fields\":[\"title\"]"));
    assert_int_equal(f->commits, 1);
}

static void an_update_with_the_same_values_wakes_nobody(void **state)
{
    struct fake *f = *state;
    fake_call(f, "update_task", "{\"task_id\":12,\"title\":\"n\"}");
    fake_reply_with_task(f, false);
    assert_non_null(strstr(f->call.structured, "\"updated_fields\":[]"));
    assert_int_equal(f->commits, 0);
}

static void a_version_conflict_carries_the_current_task(void **state)
{
    struct fake *f = *state;
    struct db_task t = fake_full_task();
    const struct db_task_reply reply = {.outcome = DB_VERSION_CONFLICT, .task = &t};
    fake_call(f, "update_task", "{\"task_id\":12,\"title\":\"n\",\"expected_version\":4}");
    fake_reply_task(f, &reply);
    fake_assert_failed(&f->call, "conflict", "expected_version");
    const cJSON *current = json_get(f->call.answer, "current");
    assert_int_equal(json_get(current, "version")->valueint, 5);
    assert_int_equal(f->commits, 0);
}

/* ---- tags on tasks, reminders ---- */

static void tagging_says_whether_it_changed_anything(void **state)
{
    struct fake *f = *state;
    const char *const tools[] = {"remove_tag_from_task", "add_tag_to_task"};
    for (int add = 0; add < 2; add++) {
        fake_call(f, tools[add], "{\"task_id\":12,\"tag_id\":4}");
        assert_int_equal(f->db.op, FAKE_TAG);
        assert_int_equal(f->db.is_adding, add);
        assert_int_equal(f->db.task_id, 12);
        assert_int_equal(f->db.tag_id, 4);
        fake_reply_with_task(f, add);
        assert_int_equal(cJSON_IsTrue(json_get(f->call.answer, "changed")), add);
    }
    assert_int_equal(f->commits, 1);
}

static void a_reminder_is_before_the_due_date_or_at_a_time_or_cleared(void **state)
{
    struct fake *f = *state;
    fake_call(f, "set_reminder", "{\"task_id\":12,\"remind_before_minutes\":0}");
    assert_int_equal(f->db.op, FAKE_REMINDER);
    assert_false(f->db.reminder.clear);
    assert_int_equal(f->db.reminder.remind_before_minutes, 0);
    fake_reply_with_task(f, true);

    fake_call(f, "set_reminder",
              "{\"task_id\":12,\"remind_at\":\"2999-01-01T00:00:00Z\","
              "\"remind_before_minutes\":null}");
    assert_false(f->db.reminder.clear);
    assert_int_equal(f->db.reminder.remind_before_minutes, -1);
    assert_true(f->db.reminder.remind_at > clock_now_us());
    fake_reply_with_task(f, true);

    fake_call(f, "set_reminder", "{\"task_id\":12,\"remind_at\":null}");
    assert_true(f->db.reminder.clear);
    fake_reply_with_task(f, true);
    fake_call(f, "set_reminder", "{\"task_id\":12,\"remind_before_minutes\":null}");
    assert_true(f->db.reminder.clear);
    fake_reply_with_task(f, false);
    assert_int_equal(f->commits, 3);
}

/* ---- lists ---- */

static void list_tasks_orders_newest_first_but_due_dates_soonest_first(void **state)
{
    struct fake *f = *state;
    const struct {
        const char *args;
        enum db_sort sort;
        bool descending;
    } rows[] = {
        {"{}", DB_SORT_CREATED_AT, true},
        {"{\"sort_by\":\"updated_at\"}", DB_SORT_UPDATED_AT, true},
        {"{\"sort_by\":\"priority\"}", DB_SORT_PRIORITY, true},
        {"{\"sort_by\":\"due_date\"}", DB_SORT_DUE_DATE, false},
        {"{\"sort_by\":\"due_date\",\"order\":\"desc\"}", DB_SORT_DUE_DATE, true},
        {"{\"order\":\"asc\"}", DB_SORT_CREATED_AT, false},
    };
    const struct db_task_list_reply none = {.total = -1};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        fake_call(f, "list_tasks", rows[i].args);
        assert_int_equal(f->db.filter.sort, rows[i].sort);
        assert_int_equal(f->db.filter.descending, rows[i].descending);
        fake_reply_list(f, &none);
    }
}

static void list_tasks_passes_every_filter_on(void **state)
{
    struct fake *f = *state;
    const struct db_task_list_reply none = {.total = 0};
    fake_call(f, "list_tasks",
              "{\"status\":\"completed\",\"priority\":\"high\",\"category_id\":3,\"tag_ids\":[4],"
              "\"due_before\":\"2026-12-01T00:00:00Z\",\"due_after\":\"2026-11-01T00:00:00Z\","
              "\"limit\":200,\"include_total\":true}");
    const struct db_task_filter *q = &f->db.filter;
    assert_int_equal(q->status, 1);
    assert_int_equal(q->priority, DB_PRIORITY_HIGH);
    assert_int_equal(q->category_id, 3);
    assert_int_equal(q->tag_count, 1);
    assert_true(q->has_due_before && q->has_due_after && q->due_after < q->due_before);
    assert_int_equal(q->limit, 200);
    assert_true(q->with_total);
    assert_false(q->cursor.is_set);
    fake_reply_list(f, &none);
    assert_string_equal(f->call.structured, "{\"tasks\":[],\"next_cursor\":null,\"total\":0}");
    assert_string_equal(f->call.text, "no tasks\n");
    fake_call(f, "list_tasks", "{}");
    assert_int_equal(q->status, -1);
    assert_int_equal(q->priority, -1);
    assert_int_equal(q->limit, 25);
    assert_false(q->with_total);
    fake_reply_list(f, &none);
}

static void next_cursor_leads_to_the_place_after_the_last_task(void **state)
{
    struct fake *f = *state;
    struct db_task tasks[2] = {fake_full_task(), fake_bare_task()};
    const struct db_task_list_reply reply = {
        .tasks = tasks, .count = 2, .has_more = true, .total = -1};
    char args[256];
    fake_call(f, "list_tasks", "{\"status\":\"pending\",\"limit\":2}");
    fake_reply_list(f, &reply);
    const char *cursor = fake_string(&f->call, "next_cursor");
    assert_non_null(strstr(f->call.text, cursor));
    snprintf(args, sizeof(args), "{\"status\":\"pending\",\"limit\":5,\"cursor\":\"%s\"}", cursor);
    fake_call(f, "list_tasks", args);
    assert_int_equal(f->db.op, FAKE_LIST);
    assert_true(f->db.filter.cursor.is_set);
    assert_int_equal(f->db.filter.cursor.key, tasks[1].created_at);
    assert_int_equal(f->db.filter.cursor.id, tasks[1].id);
    fake_reply_list(f, &(struct db_task_list_reply){.total = -1});
    assert_true(cJSON_IsNull(json_get(f->call.answer, "next_cursor")));
}

static void a_cursor_does_not_fit_another_filter_tool_or_user(void **state)
{
    struct fake *f = *state;
    struct db_task task = fake_bare_task();
    const struct db_task_list_reply reply = {
        .tasks = &task, .count = 1, .has_more = true, .total = -1};
    char cursor[64], args[256];
    fake_call(f, "list_tasks", "{}");
    fake_reply_list(f, &reply);
    snprintf(cursor, sizeof(cursor), "%s", fake_string(&f->call, "next_cursor"));
    snprintf(args, sizeof(args), "{\"status\":\"pending\",\"cursor\":\"%s\"}", cursor);
    fake_assert_failed(fake_call(f, "list_tasks", args), "validation_error", "cursor");
    assert_non_null(strstr(f->call.text, "another query"));
    snprintf(args, sizeof(args), "{\"query\":\"q\",\"cursor\":\"%s\"}", cursor);
    fake_assert_failed(fake_call(f, "search_tasks", args), "validation_error", "cursor");
}

static void fields_choose_members_and_id_is_always_there(void **state)
{
    struct fake *f = *state;
    struct db_task task = fake_full_task();
    const struct db_task_list_reply reply = {.tasks = &task, .count = 1, .total = -1};
    fake_call(f, "list_tasks", "{\"fields\":[\"title\",\"due_date\"]}");
    fake_reply_list(f, &reply);
    assert_string_equal(f->call.structured,
                        "{\"tasks\":[{\"id\":12,\"title\":\"Buy milk\",\"due_date\":"
                        "\"2026-12-01T00:00:00Z\"}],\"next_cursor\":null}");
    fake_call(f, "list_tasks", "{\"fields\":[]}");
    fake_reply_list(f, &reply);
    assert_string_equal(f->call.structured, "{\"tasks\":[{\"id\":12}],\"next_cursor\":null}");
}

static void search_tasks_shows_rank_and_highlights(void **state)
{
    struct fake *f = *state;
    struct db_task tasks[2] = {fake_bare_task(), fake_bare_task()};
    const double rank[] = {0.75, 0.5};
    const struct slice title[] = {SLICE_LIT("Buy <b>milk</b>"), SLICE_EMPTY};
    const struct slice description[] = {SLICE_EMPTY, SLICE_LIT("some <b>milk</b>")};
    const struct db_task_list_reply reply = {.tasks = tasks,
                                             .count = 2,
                                             .has_more = true,
                                             .total = -1,
                                             .rank = rank,
                                             .title_highlight = title,
                                             .description_highlight = description};
    char args[256];
    fake_call(f, "search_tasks", "{\"query\":\" milk \",\"status\":\"pending\"}");
    assert_int_equal(f->db.op, FAKE_SEARCH);
    fake_assert_text(f->db.query, "milk");
    assert_int_equal(f->db.status, 0);
    assert_int_equal(f->db.limit, 25);
    assert_false(f->db.cursor.is_set);
    fake_reply_list(f, &reply);
    assert_non_null(strstr(f->call.structured, "\"search_rank\":0.75,\"highlights\":{\"title\":"
                                               "\"Buy <b>milk</b>\"}"));
    snprintf(args, sizeof(args), "{\"query\":\"milk\",\"status\":\"pending\",\"cursor\":\"%s\"}",
             fake_string(&f->call, "next_cursor"));
    fake_call(f, "search_tasks", args);
    assert_true(f->db.cursor.is_set);
    assert_true(f->db.cursor.rank == 0.5);
    fake_reply_list(f, &(struct db_task_list_reply){.total = -1, .is_fuzzy = true});
    assert_true(cJSON_IsTrue(json_get(f->call.answer, "fuzzy")));
}

/* ---- labels ---- */

static void labels_are_created_listed_updated_and_deleted(void **state)
{
    struct fake *f = *state;
    const struct {
        enum db_label_kind kind;
        const char *noun, *list, *id;
    } kinds[] = {{DB_CATEGORY, "category", "categories", "category_id"},
                 {DB_TAG, "tag", "tags", "tag_id"}};
    const struct db_label label = {.id = 3, .name = SLICE_LIT("Home"), .task_count = 2};
    struct db_label_reply reply = {.outcome = DB_OK, .labels = &label, .count = 1, .changed = true};
    for (size_t i = 0; i < 2; i++) {
        char tool[64], args[128];
        snprintf(tool, sizeof(tool), "create_%s", kinds[i].noun);
        fake_call(f, tool, "{\"name\":\" Home \",\"color\":\"#a0B1c2\"}");
        assert_int_equal(f->db.op, FAKE_LABEL_CREATE);
        assert_int_equal(f->db.kind, kinds[i].kind);
        fake_assert_text(f->db.name, "Home");
        fake_assert_text(f->db.color, "#a0B1c2");
        fake_reply_label(f, &reply);
        assert_string_equal(fake_string(&f->call, "name"), "Home");

        snprintf(tool, sizeof(tool), "list_%s", kinds[i].list);
        fake_call(f, tool, "{}");
        assert_int_equal(f->db.op, FAKE_LABEL_LIST);
        fake_reply_label(f, &reply);
        assert_int_equal(cJSON_GetArraySize(json_get(f->call.answer, kinds[i].list)), 1);

        snprintf(tool, sizeof(tool), "update_%s", kinds[i].noun);
        snprintf(args, sizeof(args), "{\"%s\":3,\"color\":null}", kinds[i].id);
        fake_call(f, tool, args);
        assert_int_equal(f->db.op, FAKE_LABEL_UPDATE);
        assert_int_equal(f->db.label_id, 3);
        assert_true(f->db.label_patch.set_color && !f->db.label_patch.set_name);
        fake_assert_text(f->db.label_patch.color, "");
        fake_reply_label(f, &reply);
        assert_int_equal(f->commits, (int)i);

        snprintf(tool, sizeof(tool), "delete_%s", kinds[i].noun);
        snprintf(args, sizeof(args), "{\"%s\":3}", kinds[i].id);
        fake_call(f, tool, args);
        assert_int_equal(f->db.op, FAKE_LABEL_DELETE);
        fake_reply_label(f, &(struct db_label_reply){.outcome = DB_OK, .tasks_affected = 2});
        assert_string_equal(f->call.structured, "{\"deleted\":true,\"tasks_affected\":2}");
        assert_int_equal(f->commits, (int)i + 1);
    }
}

static void a_taken_name_is_a_duplicate(void **state)
{
    struct fake *f = *state;
    fake_call(f, "update_tag", "{\"tag_id\":3,\"name\":\"shop\"}");
    fake_reply_label(f, &(struct db_label_reply){.outcome = DB_NAME_TAKEN});
    fake_assert_failed(&f->call, "duplicate_name", "name");
    assert_non_null(strstr(f->call.text, "\"shop\""));
}

static void deleting_a_label_of_no_task_wakes_nobody(void **state)
{
    struct fake *f = *state;
    fake_call(f, "delete_tag", "{\"tag_id\":3}");
    fake_reply_label(f, &(struct db_label_reply){.outcome = DB_OK});
    assert_int_equal(f->commits, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_fake(add_task_with_a_title_alone_takes_the_defaults),
        with_fake(add_task_takes_every_argument),
        with_fake(add_task_takes_null_and_empty_as_not_given),
        with_fake(lengths_are_counted_in_characters),
        with_fake(get_task_answers_the_task_and_wakes_nobody),
        with_fake(a_task_that_is_not_there_is_not_found),
        with_fake(complete_task_says_whether_it_was_done_before),
        with_fake(delete_task_answers_the_id),
        with_fake(update_task_sets_only_what_is_given),
        with_fake(a_due_date_alone_moves_where_it_is_told_to),
        with_fake(a_new_rule_is_looked_at_with_the_due_date_that_the_task_has),
        with_fake(a_new_rule_of_a_task_that_is_not_there_is_not_set),
        with_fake(a_new_rule_of_a_task_without_a_due_date_goes_to_the_update),
        with_fake(update_task_takes_every_field),
        with_fake(update_task_removes_with_null_and_with_empty_dates),
        with_fake(update_task_lists_what_really_changed),
        with_fake(an_update_with_the_same_values_wakes_nobody),
        with_fake(a_version_conflict_carries_the_current_task),
        with_fake(tagging_says_whether_it_changed_anything),
        with_fake(a_reminder_is_before_the_due_date_or_at_a_time_or_cleared),
        with_fake(list_tasks_orders_newest_first_but_due_dates_soonest_first),
        with_fake(list_tasks_passes_every_filter_on),
        with_fake(next_cursor_leads_to_the_place_after_the_last_task),
        with_fake(a_cursor_does_not_fit_another_filter_tool_or_user),
        with_fake(fields_choose_members_and_id_is_always_there),
        with_fake(search_tasks_shows_rank_and_highlights),
        with_fake(labels_are_created_listed_updated_and_deleted),
        with_fake(a_taken_name_is_a_duplicate),
        with_fake(deleting_a_label_of_no_task_wakes_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
