/* Registration, and calls that fail: refused before the database hears of them, failed by it, or
 * out of memory. */
#include "support/unit.h"

#include "base/error.h"
#include "base/json.h"
#include "fake.h"
#include "support/mem_loop.h"

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

/* ---- refusals ---- */

static const struct {
    const char *tool, *args, *field;
} refusals[] = {
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
    {"add_task",
     "{\"title\":\"t\",\"due_date\":\"2026-12-01T00:00:00Z\",\"recurrence_rule\":"
     "\"FREQ=DAILY;COUNT=1\"}",
     "recurrence_rule"},
    {"add_task", /* the day after is there, but not in time */
     "{\"title\":\"t\",\"due_date\":\"2026-12-01T12:00:00Z\",\"recurrence_rule\":"
     "\"FREQ=DAILY;UNTIL=20261202T115959Z\"}",
     "recurrence_rule"},
    {"add_task", /* no Sunday is a multiple of seven days away from a Tuesday */
     "{\"title\":\"t\",\"due_date\":\"2026-12-01T12:00:00Z\",\"recurrence_rule\":"
     "\"FREQ=DAILY;INTERVAL=7;BYDAY=SU\"}",
     "recurrence_rule"},
    {"add_task", /* it is 30 January in Berlin */
     "{\"title\":\"t\",\"due_date\":\"2026-01-30T12:00:00Z\",\"recurrence_rule\":"
     "\"FREQ=YEARLY;BYMONTH=2\",\"timezone\":\"Europe/Berlin\"}",
     "recurrence_rule"},
    {"add_task",
     "{\"title\":\"t\",\"due_date\":\"9999-12-31T00:00:00Z\",\"recurrence_rule\":\"weekly\"}",
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
    {"set_reminder", "{\"task_id\":1,\"remind_before_minutes\":525601}", "remind_before_minutes"},
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

static void every_refusal_names_its_field_and_never_reaches_the_database(void **state)
{
    struct fake *f = *state;
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        fake_assert_failed(fake_call(f, refusals[i].tool, refusals[i].args), "validation_error",
                           refusals[i].field);
        assert_int_equal(f->db.op, FAKE_NONE);
    }
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
        fake_assert_failed(&f->call, "unavailable", "");
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
        fake_assert_failed(&f->call, "unavailable", "");
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
        fake_assert_failed(&f->call, "unavailable", "");
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
        fake_reply_with_task(f, true);
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
        fake_assert_failed(&f->call, has_failed ? "unavailable" : "not_found",
                           has_failed ? "" : "task_id");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_fake(there_are_eighteen_tools_with_distinct_names),
        with_fake(every_schema_is_json_of_an_object_that_takes_no_unknown_member),
        with_fake(every_output_schema_lets_a_failure_through),
        with_fake(readers_need_the_read_scope_and_writers_the_write_scope),
        cmocka_unit_test(an_unknown_default_zone_stops_the_start),
        cmocka_unit_test(registering_survives_every_failed_allocation),
        with_fake(every_refusal_names_its_field_and_never_reaches_the_database),
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
