/* The deletion of a label that many tasks have asks first, where the client can be asked. */
#include "support/unit.h"

#include "fake.h"

#include "base/json.h"

#define ARGUMENTS(kind) ((kind) == DB_CATEGORY ? "{\"category_id\":3}" : "{\"tag_id\":3}")

static const char *tool_of(enum db_label_kind kind)
{
    return kind == DB_CATEGORY ? "delete_category" : "delete_tag";
}

static void reply_count(struct fake *f, int64_t tasks)
{
    const struct db_label label = {.id = 3, .name = SLICE_LIT("the \"old\""), .task_count = tasks};
    assert_int_equal(f->db.op, FAKE_LABEL_GET);
    assert_int_equal(f->db.label_id, 3);
    fake_reply_label(f, &(struct db_label_reply){.outcome = DB_OK, .labels = &label, .count = 1});
}

static void reply_deleted(struct fake *f, int64_t tasks)
{
    assert_int_equal(f->db.op, FAKE_LABEL_DELETE);
    assert_int_equal(f->db.label_id, 3);
    fake_reply_label(
        f, &(struct db_label_reply){.outcome = DB_OK, .changed = true, .tasks_affected = tasks});
    assert_int_equal(f->call.end, FAKE_RESULT);
}

static struct mcp_call *call_with(struct fake *f, enum db_label_kind kind, const char *given)
{
    f->call.capabilities = MCP_CAN_ELICIT;
    f->call.given = given;
    return fake_call(f, tool_of(kind), ARGUMENTS(kind));
}

static void who_cannot_be_asked_is_not(void **state)
{
    struct fake *f = *state;
    for (int kind = DB_CATEGORY; kind <= DB_TAG; kind++) {
        f->call.capabilities = MCP_CAN_ELICIT_URL | MCP_CAN_SAMPLE;
        fake_call(f, tool_of((enum db_label_kind)kind), ARGUMENTS(kind));
        reply_deleted(f, 1000);
    }
}

static void few_tasks_are_not_worth_a_question(void **state)
{
    struct fake *f = *state;
    for (int kind = DB_CATEGORY; kind <= DB_TAG; kind++) {
        const struct mcp_call *call = call_with(f, (enum db_label_kind)kind, NULL);
        reply_count(f, 9);
        assert_string_equal(call->question, "");
        reply_deleted(f, 9);
    }
}

static void many_tasks_make_the_call_wait_for_an_answer(void **state)
{
    struct fake *f = *state;
    for (int kind = DB_CATEGORY; kind <= DB_TAG; kind++) {
        const struct mcp_call *call = call_with(f, (enum db_label_kind)kind, NULL);
        reply_count(f, 10);
        assert_true(call->is_waiting);
        assert_int_equal(call->end, FAKE_OPEN);
        cJSON *question = cJSON_Parse(call->question);
        assert_non_null(question);
        const char *message = json_get_string(question, "message");
        assert_non_null(strstr(message, kind == DB_TAG ? "the tag \"the \"old\"\"?" : "category"));
        assert_non_null(strstr(message, "10 tasks"));
        assert_non_null(json_get(question, "requestedSchema"));
        cJSON_Delete(question);
    }
}

static void a_yes_deletes(void **state)
{
    struct fake *f = *state;
    call_with(f, DB_TAG, "{\"action\":\"accept\",\"content\":{\"confirm\":true}}");
    reply_count(f, 10);
    reply_deleted(f, 10);
}

static void all_else_changes_nothing(void **state)
{
    static const char *const answers[] = {"{\"action\":\"decline\"}", "{\"action\":\"cancel\"}",
                                          "{\"action\":\"accept\",\"content\":{\"confirm\":false}}",
                                          "{\"action\":\"accept\",\"content\":{}}",
                                          "{\"action\":\"accept\"}"};
    struct fake *f = *state;
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        const struct mcp_call *call = call_with(f, DB_CATEGORY, answers[i]);
        reply_count(f, 12);
        fake_assert_failed(call, "forbidden", "category_id");
        assert_non_null(strstr(call->text, "nothing was changed"));
        assert_int_equal(f->db.op, FAKE_LABEL_GET);
    }
}

static void what_is_not_there_and_what_fails_is_told(void **state)
{
    struct fake *f = *state;
    const struct mcp_call *call = call_with(f, DB_TAG, NULL);
    fake_reply_label(f, &(struct db_label_reply){.outcome = DB_OK});
    assert_int_equal(f->db.op, FAKE_LABEL_DELETE); /* which says that there is none */
    fake_reply_label(f, &(struct db_label_reply){.outcome = DB_NOT_FOUND});
    fake_assert_failed(call, "not_found", "tag_id");
    call = call_with(f, DB_TAG, NULL);
    fake_reply_status(f, DB_EUNAVAILABLE);
    fake_assert_failed(call, "unavailable", "");
    call = call_with(f, DB_TAG, NULL);
    f->db.start_status = DB_EBUSY;
    reply_count(f, 1);
    fake_assert_failed(call, "unavailable", "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_fake(who_cannot_be_asked_is_not),
        with_fake(few_tasks_are_not_worth_a_question),
        with_fake(many_tasks_make_the_call_wait_for_an_answer),
        with_fake(a_yes_deletes),
        with_fake(all_else_changes_nothing),
        with_fake(what_is_not_there_and_what_fails_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
