/* Whole calls: what each tool asks of the database, what its replies become, when the relay is
 * woken, and what is refused before the database hears of it. */
#include "support/unit.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
#include "fake.h"
#include "support/mem_loop.h"

static void assert_text(struct slice got, const char *want)
{
    assert_int_equal(got.len, strlen(want));
    assert_memory_equal(got.len ? got.ptr : "", want, got.len);
}

static void assert_failed(const struct mcp_call *call, const char *code, const char *field)
{
    if (call->end != FAKE_FAIL)
        fail_msg("the call did not fail: %s", call->structured ? call->structured : "still open");
    assert_string_equal(fake_string(call, "code"), code);
    assert_string_equal(fake_string(call, "field"), field);
    assert_true(strlen(fake_string(call, "message")) > 10);
    assert_int_equal(strncmp(call->text, code, strlen(code)), 0);
}

static void reply_with_task(struct fake *f, bool changed)
{
    struct db_task t = fake_full_task();
    const struct db_task_reply reply = {.outcome = DB_OK, .task = &t, .changed = changed};
    fake_reply_task(f, &reply);
}

/* ---- registration ---- */

static void there_are_eighteen_tools_with_distinct_names(void **state)
{
    struct fake *f = *state;
    assert_int_equal(f->server.tool_count, 18);
    for (int i = 0; i < 18; i++) {
        for (int j = 0; j < i; j++)
            assert_string_not_equal(f->server.tools[i].name, f->server.tools[j].name);
    }
}

static void every_schema_is_json_of_an_object_that_takes_no_unknown_member(void **state)
{
    struct fake *f = *state;
    for (int i = 0; i < f->server.tool_count; i++) {
        struct error err = {0};
        cJSON *in = json_parse(slice_from_cstr(f->server.tools[i].input_schema), &err);
        cJSON *out = json_parse(slice_from_cstr(f->server.tools[i].output_schema), &err);
        assert_non_null(in);
        assert_non_null(out);
        assert_string_equal(json_get_string(in, "type"), "object");
        assert_string_equal(json_get_string(out, "type"), "object");
        assert_true(cJSON_IsFalse(json_get(in, "additionalProperties")));
        cJSON_Delete(in);
        cJSON_Delete(out);
    }
}

/* Some clients check a failure's structured content against the output schema as well. */
static void every_output_schema_lets_a_failure_through(void **state)
{
    struct fake *f = *state;
    for (int i = 0; i < f->server.tool_count; i++) {
        struct error err = {0};
        cJSON *out = json_parse(slice_from_cstr(f->server.tools[i].output_schema), &err);
        assert_non_null(out);
        assert_null(json_get(out, "required"));
        const cJSON *failure = cJSON_GetArrayItem(json_get(out, "anyOf"), 1);
        char *text = cJSON_PrintUnformatted(failure);
        assert_string_equal(text, "{\"required\":[\"code\"]}");
        cJSON_free(text);
        cJSON_Delete(out);
    }
}

static void readers_need_the_read_scope_and_writers_the_write_scope(void **state)
{
    struct fake *f = *state;
    for (int i = 0; i < f->server.tool_count; i++) {
        const struct mcp_tool *t = &f->server.tools[i];
        assert_int_equal(t->scopes, t->read_only ? TOOLS_SCOPE_READ : TOOLS_SCOPE_WRITE);
        bool is_read = strncmp(t->name, "get_", 4) == 0 || strncmp(t->name, "list_", 5) == 0 ||
                       strncmp(t->name, "search_", 7) == 0;
        assert_int_equal(t->read_only, is_read);
        assert_false(t->read_only && t->destructive);
    }
}

static void an_unknown_default_zone_stops_the_start(void **state)
{
    (void)state;
    struct mcp_server server = {0};
    struct tools tools = {.timezone = "Mars/Olympus"};
    struct error err = {0};
    assert_int_equal(tools_register(&tools, &server, &err), BASE_EINVAL);
    assert_string_equal(err.field, "timezone");
    tools_deinit(&tools);
}

static void registering_survives_every_failed_allocation(void **state)
{
    (void)state;
    struct mem_loop loop = {0};
    while (mem_loop_next(&loop)) {
        struct mcp_server server = {0};
        struct tools tools = {.timezone = "UTC"};
        int status = tools_register(&tools, &server, NULL);
        mem_loop_expect(&loop, status, BASE_ENOMEM);
        tools_deinit(&tools);
    }
}

/* ---- add_task ---- */

static void add_task_with_a_title_alone_takes_the_defaults(void **state)
{
    struct fake *f = *state;
    fake_call(f, "add_task", "{\"title\":\"  Buy milk \"}");
    assert_int_equal(f->db.op, FAKE_ADD);
    assert_int_equal(f->db.user_id, FAKE_USER);
    assert_text(f->db.add.title, "Buy milk");
    assert_int_equal(f->db.add.priority, DB_PRIORITY_MEDIUM);
    assert_int_equal(f->db.add.category_id, 0);
    assert_int_equal(f->db.add.tag_count, 0);
    assert_false(f->db.add.has_due_date);
    assert_text(f->db.add.recurrence_rule, "");
    assert_text(f->db.add.timezone, "");
    assert_text(f->db.add.traceparent, "00-trace-01");
    reply_with_task(f, true);
}

static void add_task_takes_every_argument(void **state)
{
    struct fake *f = *state;
    fake_call(f, "add_task",
              "{\"title\":\"t\",\"description\":\" d \",\"priority\":\"urgent\",\"category_id\":3,"
              "\"tag_ids\":[4,5],\"due_date\":\"2026-12-01T00:00:00Z\",\"recurrence_rule\":"
              "\"weekly\",\"timezone\":\"europe/berlin\",\"idempotency_key\":\"k\"}");
    assert_text(f->db.add.description, " d ");
    assert_int_equal(f->db.add.priority, DB_PRIORITY_URGENT);
    assert_int_equal(f->db.add.category_id, 3);
    assert_int_equal(f->db.add.tag_count, 2);
    assert_int_equal(f->db.add.tag_ids[1], 5);
    assert_true(f->db.add.has_due_date);
    assert_int_equal(f->db.add.due_date, INT64_C(1796083200000000));
    assert_text(f->db.add.recurrence_rule, "FREQ=WEEKLY");
    assert_text(f->db.add.timezone, "Europe/Berlin");
    assert_text(f->db.add.idempotency_key, "k");
    reply_with_task(f, true);
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
    assert_text(f->db.add.recurrence_rule, "");
    reply_with_task(f, true);
}

static void every_refusal_names_its_field_and_never_reaches_the_database(void **state)
{
    struct fake *f = *state;
    const struct {
        const char *tool, *args, *field;
    } rows[] = {
        {"add_task", "{}", "title"},
        {"add_task", "{\"title\":\" \"}", "title"},
        {"add_task", "{\"title\":\"t\",\"priority\":\"asap\"}", "priority"},
        {"add_task", "{\"title\":\"t\",\"category_id\":0}", "category_id"},
        {"add_task", "{\"title\":\"t\",\"tag_ids\":[1,1]}", "tag_ids"},
        {"add_task", "{\"title\":\"t\",\"due_date\":\"2026-12-01\"}", "due_date"},
        {"add_task", "{\"title\":\"t\",\"recurrence_rule\":\"weekly\"}", "due_date"},
        {"add_task",
         "{\"title\":\"t\",\"due_date\":\"2026-12-01T00:00:00Z\",\"recurrence_rule\":\"x\"}",
         "recurrence_rule"},
        {"add_task",
         "{\"title\":\"t\",\"due_date\":\"2026-12-01T00:00:00Z\",\"recurrence_rule\":"
         "\"FREQ=DAILY;UNTIL=20251201T000000Z\"}",
         "recurrence_rule"},
        {"add_task", "{\"title\":\"t\",\"timezone\":\"CEST\"}", "timezone"},
        {"get_task", "{}", "task_id"},
        {"get_task", "{\"task_id\":0}", "task_id"},
        {"get_task", "{\"task_id\":9007199254740993}", "task_id"},
        {"complete_task", "{}", "task_id"},
        {"delete_task", "{\"task_id\":null}", "task_id"},
        {"update_task", "{}", "task_id"},
        {"update_task", "{\"task_id\":1}", ""},
        {"update_task", "{\"task_id\":1,\"expected_version\":2}", ""},
        {"update_task", "{\"task_id\":1,\"title\":null}", "title"},
        {"update_task", "{\"task_id\":1,\"title\":\"\"}", "title"},
        {"update_task", "{\"task_id\":1,\"completed\":null}", "completed"},
        {"update_task", "{\"task_id\":1,\"priority\":null}", "priority"},
        {"update_task", "{\"task_id\":1,\"due_date\":\"soon\"}", "due_date"},
        {"update_task", "{\"task_id\":1,\"completed\":true,\"expected_version\":0}",
         "expected_version"},
        {"update_task",
         "{\"task_id\":1,\"due_date\":\"2026-12-01T00:00:00Z\",\"recurrence_rule\":"
         "\"FREQ=DAILY;UNTIL=20261128\"}",
         "recurrence_rule"},
        {"add_tag_to_task", "{\"task_id\":1}", "tag_id"},
        {"remove_tag_from_task", "{\"tag_id\":1}", "task_id"},
        {"list_tasks", "{\"status\":\"done\"}", "status"},
        {"list_tasks", "{\"priority\":\"none\"}", "priority"},
        {"list_tasks", "{\"sort_by\":\"title\"}", "sort_by"},
        {"list_tasks", "{\"order\":\"up\"}", "order"},
        {"list_tasks", "{\"limit\":0}", "limit"},
        {"list_tasks", "{\"limit\":201}", "limit"},
        {"list_tasks", "{\"due_before\":\"2026\"}", "due_before"},
        {"list_tasks", "{\"due_after\":\"2026\"}", "due_after"},
        {"list_tasks", "{\"fields\":[\"user_id\"]}", "fields"},
        {"list_tasks", "{\"cursor\":\"\"}", "cursor"},
        {"list_tasks", "{\"cursor\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}", "cursor"},
        {"search_tasks", "{}", "query"},
        {"search_tasks", "{\"query\":\"\\u3000\"}", "query"},
        {"search_tasks", "{\"query\":\"q\",\"limit\":101}", "limit"},
        {"set_reminder", "{\"task_id\":1}", ""},
        {"set_reminder",
         "{\"task_id\":1,\"remind_before_minutes\":5,\"remind_at\":\"2999-01-01T00:00:00Z\"}", ""},
        {"set_reminder", "{\"task_id\":1,\"remind_before_minutes\":-1}", "remind_before_minutes"},
        {"set_reminder", "{\"task_id\":1,\"remind_before_minutes\":525601}",
         "remind_before_minutes"},
        {"set_reminder", "{\"task_id\":1,\"remind_at\":\"2020-01-01T00:00:00Z\"}", "remind_at"},
        {"set_reminder", "{\"task_id\":1,\"remind_at\":\"2999-01-01\"}", "remind_at"},
        {"create_category", "{}", "name"},
        {"create_category", "{\"name\":\"\\t\"}", "name"},
        {"create_tag", "{\"name\":\"1234567890123456789012345678901\"}", "name"},
        {"create_tag", "{\"name\":\"a\\nb\"}", "name"},
        {"update_category", "{\"category_id\":1,\"name\":\"a\\u007fb\"}", "name"},
        {"create_tag", "{\"name\":\"n\",\"color\":\"red\"}", "color"},
        {"update_category", "{\"category_id\":1}", ""},
        {"update_category", "{\"name\":\"n\"}", "category_id"},
        {"update_tag", "{\"tag_id\":1,\"name\":null}", "name"},
        {"delete_tag", "{}", "tag_id"},
        {"delete_category", "{\"category_id\":1.5}", "category_id"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_failed(fake_call(f, rows[i].tool, rows[i].args), "validation_error", rows[i].field);
        assert_int_equal(f->db.op, FAKE_NONE);
    }
    assert_int_equal(f->commits, 0);
}

static void lengths_are_counted_in_characters(void **state)
{
    struct fake *f = *state;
    char args[1024] = "{\"title\":\"";
    for (int i = 0; i < 200; i++)
        strcat(args, "\xC3\xA4");
    strcat(args, "\"}");
    fake_call(f, "add_task", args);
    assert_int_equal(f->db.add.title.len, 400);
    reply_with_task(f, true);
    strcpy(args + strlen(args) - 2, "a\"}");
    assert_failed(fake_call(f, "add_task", args), "validation_error", "title");
}

/* ---- get, complete, delete ---- */

static void get_task_answers_the_task_and_wakes_nobody(void **state)
{
    struct fake *f = *state;
    fake_call(f, "get_task", "{\"task_id\":12}");
    assert_int_equal(f->db.op, FAKE_GET);
    assert_int_equal(f->db.task_id, 12);
    reply_with_task(f, false);
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
    assert_failed(&f->call, "not_found", "task_id");
    assert_non_null(strstr(f->call.text, "no task has id 12"));
}

static void complete_task_says_whether_it_was_done_before(void **state)
{
    struct fake *f = *state;
    for (int changed = 0; changed < 2; changed++) {
        fake_call(f, "complete_task", "{\"task_id\":12}");
        assert_int_equal(f->db.op, FAKE_COMPLETE);
        reply_with_task(f, changed);
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
    reply_with_task(f, true);
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
    assert_text(f->db.patch.recurrence_rule, "FREQ=DAILY");
    assert_text(f->db.patch.timezone, "UTC");
    assert_int_equal(f->db.patch.expected_version, 4);
    assert_text(f->db.patch.traceparent, "00-trace-01");
    reply_with_task(f, true);
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
        assert_text(f->db.patch.description, "");
        assert_text(f->db.patch.recurrence_rule, "");
        reply_with_task(f, true);
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
    reply_with_task(f, false);
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
    assert_failed(&f->call, "conflict", "expected_version");
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
        reply_with_task(f, add);
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
    reply_with_task(f, true);

    fake_call(f, "set_reminder",
              "{\"task_id\":12,\"remind_at\":\"2999-01-01T00:00:00Z\","
              "\"remind_before_minutes\":null}");
    assert_false(f->db.reminder.clear);
    assert_int_equal(f->db.reminder.remind_before_minutes, -1);
    assert_true(f->db.reminder.remind_at > clock_now_us());
    reply_with_task(f, true);

    fake_call(f, "set_reminder", "{\"task_id\":12,\"remind_at\":null}");
    assert_true(f->db.reminder.clear);
    reply_with_task(f, true);
    fake_call(f, "set_reminder", "{\"task_id\":12,\"remind_before_minutes\":null}");
    assert_true(f->db.reminder.clear);
    reply_with_task(f, false);
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
    assert_failed(fake_call(f, "list_tasks", args), "validation_error", "cursor");
    assert_non_null(strstr(f->call.text, "another query"));
    snprintf(args, sizeof(args), "{\"query\":\"q\",\"cursor\":\"%s\"}", cursor);
    assert_failed(fake_call(f, "search_tasks", args), "validation_error", "cursor");
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
    assert_text(f->db.query, "milk");
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
        assert_text(f->db.name, "Home");
        assert_text(f->db.color, "#a0B1c2");
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
        assert_text(f->db.label_patch.color, "");
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
    assert_failed(&f->call, "duplicate_name", "name");
    assert_non_null(strstr(f->call.text, "\"shop\""));
}

static void deleting_a_label_of_no_task_wakes_nobody(void **state)
{
    struct fake *f = *state;
    fake_call(f, "delete_tag", "{\"tag_id\":3}");
    fake_reply_label(f, &(struct db_label_reply){.outcome = DB_OK});
    assert_int_equal(f->commits, 0);
}

/* ---- failures of the database ---- */

static const struct {
    const char *tool, *args;
} sample[] = {
    {"add_task", "{\"title\":\"t\"}"},
    {"get_task", "{\"task_id\":1}"},
    {"update_task", "{\"task_id\":1,\"title\":\"t\"}"},
    {"complete_task", "{\"task_id\":1}"},
    {"delete_task", "{\"task_id\":1}"},
    {"add_tag_to_task", "{\"task_id\":1,\"tag_id\":1}"},
    {"remove_tag_from_task", "{\"task_id\":1,\"tag_id\":1}"},
    {"list_tasks", "{}"},
    {"search_tasks", "{\"query\":\"q\"}"},
    {"set_reminder", "{\"task_id\":1,\"remind_at\":null}"},
    {"create_category", "{\"name\":\"n\"}"},
    {"list_categories", "{}"},
    {"update_category", "{\"category_id\":1,\"name\":\"n\"}"},
    {"delete_category", "{\"category_id\":1}"},
    {"create_tag", "{\"name\":\"n\"}"},
    {"list_tags", "{}"},
    {"update_tag", "{\"tag_id\":1,\"name\":\"n\"}"},
    {"delete_tag", "{\"tag_id\":1}"},
};
#define SAMPLE_COUNT (sizeof(sample) / sizeof(sample[0]))

static void every_tool_answers_unavailable_when_the_database_is(void **state)
{
    struct fake *f = *state;
    for (size_t i = 0; i < SAMPLE_COUNT; i++) {
        fake_call(f, sample[i].tool, sample[i].args);
        fake_reply_status(f, DB_EUNAVAILABLE);
        assert_failed(&f->call, "unavailable", "");
        assert_true(cJSON_IsTrue(json_get(f->call.answer, "retryable")));
        assert_null(strstr(f->call.structured, "secret"));
    }
    assert_int_equal(f->commits, 0);
}

static void every_tool_answers_when_its_operation_cannot_start(void **state)
{
    struct fake *f = *state;
    f->db.start_status = DB_EBUSY;
    for (size_t i = 0; i < SAMPLE_COUNT; i++) {
        fake_call(f, sample[i].tool, sample[i].args);
        assert_failed(&f->call, "unavailable", "");
        assert_null(f->call.on_cancel);
    }
}

static void a_bug_is_a_protocol_error_without_details(void **state)
{
    struct fake *f = *state;
    for (size_t i = 0; i < SAMPLE_COUNT; i++) {
        fake_call(f, sample[i].tool, sample[i].args);
        fake_reply_status(f, DB_EINTERNAL);
        assert_int_equal(f->call.end, FAKE_ERROR);
        assert_null(strstr(f->call.text, "secret"));
    }
}

static void an_unknown_outcome_may_be_retried_only_where_a_repeat_does_no_harm(void **state)
{
    struct fake *f = *state;
    const struct {
        const char *tool, *args;
        bool is_retryable;
    } rows[] = {
        {"add_task", "{\"title\":\"t\"}", false},
        {"add_task", "{\"title\":\"t\",\"idempotency_key\":\"k\"}", true},
        {"create_tag", "{\"name\":\"n\"}", false},
        {"complete_task", "{\"task_id\":1}", true},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        fake_call(f, rows[i].tool, rows[i].args);
        fake_reply_status(f, DB_EUNKNOWN);
        assert_failed(&f->call, "unavailable", "");
        assert_int_equal(cJSON_IsTrue(json_get(f->call.answer, "retryable")), rows[i].is_retryable);
    }
}

static void a_cancelled_read_is_given_up_and_a_write_is_not(void **state)
{
    struct fake *f = *state;
    for (size_t i = 0; i < SAMPLE_COUNT; i++) {
        struct mcp_call *call = fake_call(f, sample[i].tool, sample[i].args);
        bool is_read = strncmp(call->tool, "get_", 4) == 0 ||
                       strncmp(call->tool, "list_", 5) == 0 ||
                       strncmp(call->tool, "search_", 7) == 0;
        assert_int_equal(call->on_cancel != NULL, is_read);
        f->db.cancelled = 0;
        if (call->on_cancel)
            call->on_cancel(call->on_cancel_ctx, call);
        assert_int_equal(f->db.cancelled != 0, is_read);
        fake_reply_status(f, DB_ECANCELLED);
        assert_int_equal(call->end, FAKE_FAIL);
    }
}

/* ---- memory ---- */

static void reply_as_the_tool_wants(struct fake *f)
{
    struct db_task t = fake_full_task();
    const double rank = 1;
    const struct slice highlight = SLICE_LIT("x");
    const struct db_label label = {.id = 3, .name = SLICE_LIT("Home")};
    const struct db_task_list_reply list = {.tasks = &t,
                                            .count = 1,
                                            .has_more = true,
                                            .total = 1,
                                            .rank = &rank,
                                            .title_highlight = &highlight,
                                            .description_highlight = &highlight};
    if (f->db.op == FAKE_LIST || f->db.op == FAKE_SEARCH)
        fake_reply_list(f, &list);
    else if (f->db.op >= FAKE_LABEL_CREATE)
        fake_reply_label(f,
                         &(struct db_label_reply){.outcome = DB_OK, .labels = &label, .count = 1});
    else
        reply_with_task(f, true);
}

static void every_answer_survives_every_failed_allocation(void **state)
{
    struct fake *f = *state;
    for (size_t i = 0; i < SAMPLE_COUNT; i++) {
        struct mem_loop loop = {0};
        while (mem_loop_next(&loop)) {
            fake_call(f, sample[i].tool, sample[i].args);
            if (f->call.end == FAKE_OPEN)
                reply_as_the_tool_wants(f);
            bool has_failed = mem_loop_has_failed(&loop);
            assert_int_equal(f->call.end, has_failed ? FAKE_FAIL : FAKE_RESULT);
            if (has_failed)
                assert_string_equal(fake_string(&f->call, "code"), "unavailable");
        }
    }
}

static void every_refusal_survives_every_failed_allocation(void **state)
{
    struct fake *f = *state;
    struct mem_loop loop = {0};
    while (mem_loop_next(&loop)) {
        fake_call(f, "get_task", "{\"task_id\":1}");
        if (f->call.end == FAKE_OPEN)
            fake_reply_task(f, &(struct db_task_reply){.outcome = DB_NOT_FOUND});
        bool has_failed = mem_loop_has_failed(&loop);
        assert_failed(&f->call, has_failed ? "unavailable" : "not_found",
                      has_failed ? "" : "task_id");
    }
}

#define with_fake(test) cmocka_unit_test_setup_teardown(test, fake_setup, fake_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_fake(there_are_eighteen_tools_with_distinct_names),
        with_fake(every_schema_is_json_of_an_object_that_takes_no_unknown_member),
        with_fake(every_output_schema_lets_a_failure_through),
        with_fake(readers_need_the_read_scope_and_writers_the_write_scope),
        cmocka_unit_test(an_unknown_default_zone_stops_the_start),
        cmocka_unit_test(registering_survives_every_failed_allocation),
        with_fake(add_task_with_a_title_alone_takes_the_defaults),
        with_fake(add_task_takes_every_argument),
        with_fake(add_task_takes_null_and_empty_as_not_given),
        with_fake(every_refusal_names_its_field_and_never_reaches_the_database),
        with_fake(lengths_are_counted_in_characters),
        with_fake(get_task_answers_the_task_and_wakes_nobody),
        with_fake(a_task_that_is_not_there_is_not_found),
        with_fake(complete_task_says_whether_it_was_done_before),
        with_fake(delete_task_answers_the_id),
        with_fake(update_task_sets_only_what_is_given),
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
        with_fake(every_tool_answers_unavailable_when_the_database_is),
        with_fake(every_tool_answers_when_its_operation_cannot_start),
        with_fake(a_bug_is_a_protocol_error_without_details),
        with_fake(an_unknown_outcome_may_be_retried_only_where_a_repeat_does_no_harm),
        with_fake(a_cancelled_read_is_given_up_and_a_write_is_not),
        with_fake(every_answer_survives_every_failed_allocation),
        with_fake(every_refusal_survives_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
