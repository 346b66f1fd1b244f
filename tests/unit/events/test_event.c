/* The table of events: what is checked, and the schemas that come out of it. */
#include "base/buf.h"
#include "base/error.h"
#include "base/json.h"
#include "events/error.h"
#include "events/event.h"
#include "mcp/schema.h"
#include "support/mem_loop.h"
#include "support/unit.h"

#define HEAD(type)                                                                                 \
    "\"event_id\":\"0190e4a0-7a2b-7cc0-8000-000000000001\",\"event_type\":\"" type                 \
    "\",\"timestamp\":\"2026-11-24T10:00:00Z\",\"user_id\":1,\"schema_version\":\"1.0\","          \
    "\"task_id\":7"

static const char *const good[EVENT_KINDS] = {
    [EVENT_TASK_CREATED] =
        "{" HEAD("task.created") ",\"title\":\"t\",\"description\":null,"
                                 "\"priority\":\"high\",\"due_date\":null,\"recurrence_rule\":null,"
                                 "\"category_id\":null,\"tag_ids\":[1,2]}",
    [EVENT_TASK_UPDATED] = "{" HEAD("task.updated") ",\"updated_fields\":{\"title\":\"x\"},"
                                                    "\"version\":2}",
    [EVENT_TASK_DELETED] = "{" HEAD("task.deleted") "}",
    [EVENT_TASK_COMPLETED] =
        "{" HEAD("task.completed") ",\"completed_at\":\"2026-11-24T10:00:00Z\","
                                   "\"recurrence_rule\":\"FREQ=DAILY\",\"due_date\":"
                                   "\"2026-11-24T10:00:00Z\",\"timezone\":\"Europe/Paris\"}",
    [EVENT_REMINDER_SENT] =
        "{" HEAD("reminder.sent") ",\"reminder_time\":\"2026-11-24T10:00:00Z\","
                                  "\"title\":\"t\",\"due_date\":null,\"priority\":\"low\"}",
};

static int check(enum event_kind kind, const char *text, struct error *err)
{
    cJSON *data = json_parse(slice_from_cstr(text), NULL);
    assert_non_null(data);
    int status = event_check(kind, data, err);
    cJSON_Delete(data);
    return status;
}

static void each_type_takes_its_own_data_and_no_other(void **state)
{
    (void)state;
    for (int kind = 0; kind < EVENT_KINDS; kind++) {
        for (int other = 0; other < EVENT_KINDS; other++)
            assert_int_equal(check((enum event_kind)kind, good[other], NULL) == 0, kind == other);
    }
}

static void unknown_members_pass_and_missing_ones_do_not(void **state)
{
    struct error err;
    (void)state;
    assert_int_equal(check(EVENT_TASK_DELETED, "{" HEAD("task.deleted") ",\"new\":{}}", &err), 0);
    assert_int_equal(check(EVENT_TASK_UPDATED, "{" HEAD("task.updated") ",\"version\":2}", &err),
                     BASE_EINVAL);
    assert_string_equal(err.field, "updated_fields");
    assert_int_equal(check(EVENT_TASK_DELETED, "[]", &err), BASE_EINVAL);
}

static void values_of_the_wrong_type_are_named(void **state)
{
    static const struct {
        const char *data, *field;
    } bad[] = {
        {"{\"schema_version\":\"1.0\",\"event_id\":\"x\"}", "event_id"},
        {"{\"schema_version\":\"1.0\",\"event_id\":7}", "event_id"},
        {"{\"schema_version\":\"1.0\",\"event_id\":\"0190e4a0-7a2b-7cc0-8000-00000000000g\"}",
         "event_id"},
        {"{\"schema_version\":\"1.0\",\"event_id\":\"0190e4a0-7a2b-7cc0-8000-000000000001\","
         "\"event_type\":\"task.deleted\",\"timestamp\":\"today\"}",
         "timestamp"},
        {"{\"schema_version\":\"1.0\",\"event_id\":\"0190e4a0-7a2b-7cc0-8000-000000000001\","
         "\"event_type\":\"task.deleted\",\"timestamp\":\"2026-11-24T10:00:00Z\",\"user_id\":0}",
         "user_id"},
        {"{\"schema_version\":1}", "schema_version"},
        {"{\"schema_version\":\"one\"}", "schema_version"},
        {"{\"schema_version\":\"1.\"}", "schema_version"},
        {"{\"schema_version\":\"1.0.0\"}", "schema_version"},
        {"{}", "schema_version"},
    };
    struct error err;
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        assert_int_equal(check(EVENT_TASK_DELETED, bad[i].data, &err), BASE_EINVAL);
        assert_string_equal(err.field, bad[i].field);
    }
}

static void another_major_version_is_told_apart(void **state)
{
    struct error err;
    (void)state;
    assert_int_equal(check(EVENT_TASK_DELETED, "{\"schema_version\":\"2.0\"}", &err),
                     EVENTS_EVERSION);
    assert_int_equal(check(EVENT_TASK_DELETED, "{\"schema_version\":\"0.9\"}", &err),
                     EVENTS_EVERSION);
}

static void the_schemas_agree_with_the_checks(void **state)
{
    (void)state;
    for (int kind = 0; kind < EVENT_KINDS; kind++) {
        struct buf b;
        struct json_writer w;
        struct mcp_schema *schema;
        struct mcp_schema_fault fault;
        buf_init(&b, 65536);
        json_writer_init(&w, &b);
        event_write_schema(&w, (enum event_kind)kind);
        cJSON *tree = json_parse(buf_slice(&b), NULL);
        assert_int_equal(mcp_schema_compile(tree, &schema, NULL), 0);
        for (int other = 0; other < EVENT_KINDS; other++) {
            cJSON *data = json_parse(slice_from_cstr(good[other]), NULL);
            assert_int_equal(mcp_schema_check(schema, data, &fault) == 0, kind == other);
            cJSON_Delete(data);
        }
        mcp_schema_free(schema);
        cJSON_Delete(tree);
        buf_deinit(&b);
    }
}

static void types_are_found_by_name(void **state)
{
    enum event_kind kind;
    (void)state;
    assert_true(event_kind_of_type("TaskCompletedEvent", &kind));
    assert_string_equal(event_def(kind)->topic, "task-recurrence");
    assert_false(event_kind_of_type("taskcompletedevent", &kind));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_type_takes_its_own_data_and_no_other),
        cmocka_unit_test(unknown_members_pass_and_missing_ones_do_not),
        cmocka_unit_test(values_of_the_wrong_type_are_named),
        cmocka_unit_test(another_major_version_is_told_apart),
        cmocka_unit_test(the_schemas_agree_with_the_checks),
        cmocka_unit_test(types_are_found_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
