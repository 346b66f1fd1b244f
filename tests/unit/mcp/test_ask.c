/* Questions to the client, in the three ways that the protocol knows. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "harness.h"
#include "support/unit.h"

#define FORM                                                                                       \
    "{\"message\":\"Who?\",\"requestedSchema\":{\"type\":\"object\",\"properties\":{\"name\":"     \
    "{\"type\":\"string\"}},\"required\":[\"name\"]}}"
#define ANN "{\"action\":\"accept\",\"content\":{\"name\":\"Ann\"}}"

static const char *name_in(const cJSON *answer)
{
    const char *name = json_get_string(json_get(answer, "content"), "name");
    return name ? name : json_get_string(answer, "action");
}

/* Asks for two names, one after the other. */
static void greet(void *ctx, struct mcp_call *call)
{
    char text[128];
    (void)ctx;
    const cJSON *first = mcp_call_ask(call, "first", "elicitation/create", SLICE_LIT(FORM));
    if (!first) {
        mcp_call_wait(call);
        return;
    }
    const cJSON *second = mcp_call_ask(call, "second", "elicitation/create", SLICE_LIT(FORM));
    if (!second) {
        mcp_call_wait(call);
        return;
    }
    snprintf(text, sizeof(text), "Hello %s and %s", name_in(first), name_in(second));
    mcp_call_text(call, text);
}

/* Becomes a task where it can, and asks for both names at once. */
static void greet_slowly(void *ctx, struct mcp_call *call)
{
    char text[128];
    (void)ctx;
    if (!mcp_call_start_task(call, 60000, 1000)) {
        mcp_call_text(call, "now");
        return;
    }
    const cJSON *first = mcp_call_ask(call, "first", "elicitation/create", SLICE_LIT(FORM));
    const cJSON *second = mcp_call_ask(call, "second", "elicitation/create", SLICE_LIT(FORM));
    if (!first || !second) {
        mcp_call_wait(call);
        return;
    }
    snprintf(text, sizeof(text), "Hello %s and %s", name_in(first), name_in(second));
    mcp_call_text(call, text);
}

static void start(struct harness *h)
{
    static const struct mcp_server_info info = {.name = "test", .version = "1"};
    static const struct mcp_tool tools[] = {
        {.name = "greet",
         .description = "d",
         .input_schema = "{\"type\":\"object\"}",
         .call = greet},
        {.name = "slow",
         .description = "d",
         .input_schema = "{\"type\":\"object\"}",
         .task = MCP_TASK_OPTIONAL,
         .call = greet_slowly},
    };
    harness_init(h, &info);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(mcp_server_add_tool(h->server, &tools[i], NULL), 0);
}

/* requestState of an input_required answer, as a member with a leading comma. */
static void state_of(const struct request *r, char *out, size_t size)
{
    cJSON *tree = request_answer(r);
    const char *state = json_get_string(json_get(tree, "result"), "requestState");
    assert_non_null(state);
    snprintf(out, size, ",\"requestState\":\"%s\"", state);
    cJSON_Delete(tree);
}

static void call_greet(struct harness *h, struct request *r, const struct mcp_identity *who,
                       const char *more)
{
    char params[4096];
    snprintf(params, sizeof(params), "\"name\":\"greet\",\"arguments\":{}%s", more);
    harness_call(h, r, who, 1, "tools/call", params, "{\"elicitation\":{}}");
}

static void round_trips_carry_the_earlier_answers_in_the_state(void **state)
{
    struct harness h;
    struct request r;
    char more[3000];
    char sealed[2000];
    (void)state;
    start(&h);
    call_greet(&h, &r, &h.identity, "");
    assert_has(r.answer, "\"resultType\":\"input_required\"");
    assert_has(r.answer, "\"first\":{\"method\":\"elicitation/create\"");
    state_of(&r, sealed, sizeof(sealed));
    request_deinit(&r);
    snprintf(more, sizeof(more), ",\"inputResponses\":{\"first\":" ANN ",\"odd\":1}%s", sealed);
    call_greet(&h, &r, &h.identity, more);
    assert_has(r.answer, "\"second\":{");
    assert_has_not(r.answer, "\"first\":{");
    state_of(&r, sealed, sizeof(sealed));
    request_deinit(&r);
    snprintf(more, sizeof(more), ",\"inputResponses\":{\"second\":{\"action\":\"decline\"}}%s",
             sealed);
    call_greet(&h, &r, &h.identity, more);
    assert_has(r.answer, "Hello Ann and decline");
    assert_has(r.answer, "\"resultType\":\"complete\"");
    request_deinit(&r);
    harness_deinit(&h);
}

static void state_is_refused_when_changed_or_of_another_caller_or_request(void **state)
{
    struct harness h;
    struct request r;
    char sealed[2000];
    char params[4000];
    struct mcp_identity other = {.user_id = 2, .subject = "bob", .scopes = 3};
    (void)state;
    start(&h);
    call_greet(&h, &r, &h.identity, "");
    state_of(&r, sealed, sizeof(sealed));
    request_deinit(&r);
    call_greet(&h, &r, &other, sealed);
    assert_int_equal(request_error_code(&r), MCP_INVALID_PARAMS);
    request_deinit(&r);
    snprintf(params, sizeof(params), "\"name\":\"greet\",\"arguments\":{\"a\":1}%s", sealed);
    harness_call(&h, &r, &h.identity, 1, "tools/call", params, "{\"elicitation\":{}}");
    assert_int_equal(request_error_code(&r), MCP_INVALID_PARAMS);
    request_deinit(&r);
    sealed[40] = sealed[40] == 'A' ? 'B' : 'A';
    call_greet(&h, &r, &h.identity, sealed);
    assert_int_equal(request_error_code(&r), MCP_INVALID_PARAMS);
    request_deinit(&r);
    harness_deinit(&h);
}

static void answers_that_do_not_fit_are_refused(void **state)
{
    static const char *const bad[] = {
        ",\"inputResponses\":[]",
        ",\"inputResponses\":{\"first\":7}",
        ",\"inputResponses\":{\"first\":{}}",
        ",\"inputResponses\":{\"first\":{\"action\":\"maybe\"}}",
        ",\"inputResponses\":{\"first\":{\"action\":\"accept\"}}",
        ",\"inputResponses\":{\"first\":{\"action\":\"accept\",\"content\":{\"name\":7}}}",
        ",\"inputResponses\":{\"first\":{\"action\":\"accept\",\"content\":{}}}",
        ",\"requestState\":7",
    };
    struct harness h;
    struct request r;
    (void)state;
    start(&h);
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        call_greet(&h, &r, &h.identity, bad[i]);
        assert_int_equal(request_error_code(&r), MCP_INVALID_PARAMS);
        request_deinit(&r);
    }
    harness_deinit(&h);
}

static void a_client_that_cannot_be_asked_gets_the_capability_it_lacks(void **state)
{
    struct harness h;
    struct request r;
    (void)state;
    start(&h);
    harness_call(&h, &r, &h.identity, 1, "tools/call", "\"name\":\"greet\"", "{\"sampling\":{}}");
    assert_int_equal(request_error_code(&r), MCP_MISSING_CLIENT_CAPABILITY);
    assert_int_equal(r.http_status, 400);
    assert_has(r.answer, "\"requiredCapabilities\":{\"elicitation\":{\"form\":{}}}");
    request_deinit(&r);
    harness_initialize(&h, "2025-11-25", "{}");
    harness_send(&h, &r,
                 "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":"
                 "\"greet\"}}");
    assert_has(r.answer, "\"isError\":true");
    request_deinit(&r);
    harness_deinit(&h);
}

static void answer_peer(struct harness *h, const char *text)
{
    struct request r;
    harness_send(h, &r, text);
    assert_string_equal(r.answer, "");
    request_deinit(&r);
}

static void start_handshake_call(struct harness *h, struct request *r)
{
    start(h);
    harness_initialize(h, "2025-06-18", "{\"elicitation\":{}}");
    harness_send(h, r,
                 "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":"
                 "\"greet\"}}");
    assert_false(r->is_finished);
    assert_has(r->sent[0], "\"id\":1,\"method\":\"elicitation/create\"");
}

static void handshake_peers_are_asked_by_requests(void **state)
{
    struct harness h;
    struct request r;
    (void)state;
    start_handshake_call(&h, &r);
    answer_peer(&h, "{\"jsonrpc\":\"2.0\",\"id\":99,\"result\":" ANN "}");
    answer_peer(&h, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":" ANN "}");
    assert_has(r.sent[1], "\"id\":2,");
    answer_peer(&h, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":" ANN "}");
    answer_peer(&h, "{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":" ANN "}");
    assert_has(r.answer, "Hello Ann and Ann");
    request_deinit(&r);
    harness_deinit(&h);
}

static void a_refused_question_fails_the_call(void **state)
{
    struct harness h;
    struct request r;
    (void)state;
    start_handshake_call(&h, &r);
    answer_peer(&h, "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-1,\"message\":\"no\"}}");
    assert_has(r.answer, "\"isError\":true");
    request_deinit(&r);
    harness_deinit(&h);
}

static void a_cancelled_call_withdraws_its_questions(void **state)
{
    struct harness h;
    struct request r;
    (void)state;
    start_handshake_call(&h, &r);
    answer_peer(&h, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":"
                    "{\"requestId\":1}}");
    assert_true(r.is_finished);
    assert_string_equal(r.answer, "");
    assert_has(r.sent[1], "notifications/cancelled");
    request_deinit(&r);
    answer_peer(&h, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":" ANN "}");
    harness_deinit(&h);
}

static void a_peer_that_hangs_up_ends_what_waits_for_it(void **state)
{
    struct harness h;
    struct request r;
    (void)state;
    start_handshake_call(&h, &r);
    mcp_peer_hang_up(&h.peer);
    assert_true(r.is_finished);
    request_deinit(&r);
    harness_deinit(&h);
}

static void a_peer_that_goes_ends_what_waits_for_it(void **state)
{
    struct harness h;
    struct request r;
    (void)state;
    start_handshake_call(&h, &r);
    harness_deinit(&h);
    assert_true(r.is_finished);
    request_deinit(&r);
}

#define TASKS "{\"elicitation\":{},\"extensions\":{\"io.modelcontextprotocol/tasks\":{}}}"

static void call_task(struct harness *h, struct request *r, const struct mcp_identity *who,
                      const char *method, const char *id, const char *more)
{
    char params[1024];
    snprintf(params, sizeof(params), "\"taskId\":\"%s\"%s", id, more);
    harness_call(h, r, who, 5, method, params, TASKS);
}

static void assert_task(struct harness *h, const char *id, const char *part)
{
    struct request r;
    call_task(h, &r, &h->identity, "tasks/get", id, "");
    assert_has(r.answer, part);
    request_deinit(&r);
}

static void start_slow(struct harness *h, char *id, size_t size)
{
    struct request r;
    start(h);
    harness_call(h, &r, &h->identity, 1, "tools/call", "\"name\":\"slow\"", TASKS);
    assert_has(r.answer, "\"resultType\":\"task\"");
    cJSON *tree = request_answer(&r);
    snprintf(id, size, "%s", json_get_string(json_get(tree, "result"), "taskId"));
    cJSON_Delete(tree);
    request_deinit(&r);
}

static void a_task_waits_for_all_its_answers(void **state)
{
    struct harness h;
    struct request r;
    char id[64];
    (void)state;
    start_slow(&h, id, sizeof(id));
    assert_task(&h, id, "\"status\":\"input_required\"");
    call_task(&h, &r, &h.identity, "tasks/update", id, ",\"inputResponses\":{\"first\":{}}");
    assert_int_equal(request_error_code(&r), MCP_INVALID_PARAMS);
    request_deinit(&r);
    call_task(&h, &r, &h.identity, "tasks/update", id, ",\"inputResponses\":{\"first\":" ANN "}");
    assert_int_equal(request_error_code(&r), 0);
    request_deinit(&r);
    assert_task(&h, id, "\"inputRequests\":{\"second\"");
    call_task(&h, &r, &h.identity, "tasks/update", id, ",\"inputResponses\":{\"second\":" ANN "}");
    request_deinit(&r);
    assert_task(&h, id, "\"result\":{\"content\":[{\"type\":\"text\",\"text\":\"Hello Ann and Ann");
    harness_deinit(&h);
}

static void who_listens_to_a_task_hears_each_change_of_it(void **state)
{
    struct harness h;
    struct request r;
    struct request stream;
    char id[64];
    char params[256];
    (void)state;
    start_slow(&h, id, sizeof(id));
    snprintf(params, sizeof(params), "\"notifications\":{\"taskIds\":[\"%s\",\"none\"]}", id);
    harness_call(&h, &r, &h.identity, 8, "subscriptions/listen", params, "{}");
    assert_int_equal(request_error_code(&r), MCP_MISSING_CLIENT_CAPABILITY);
    request_deinit(&r);
    harness_call(&h, &stream, &h.identity, 8, "subscriptions/listen", params, TASKS);
    assert_has(stream.sent[0], id);
    assert_has_not(stream.sent[0], "none");
    call_task(&h, &r, &h.identity, "tasks/update", id,
              ",\"inputResponses\":{\"first\":" ANN ",\"second\":" ANN "}");
    request_deinit(&r);
    assert_int_equal(stream.sent_count, 3);
    assert_has(stream.sent[1], "\"method\":\"notifications/tasks\"");
    assert_has(stream.sent[1], "\"status\":\"working\"");
    assert_has(stream.sent[2], "\"status\":\"completed\"");
    assert_has(stream.sent[2], "Hello Ann and Ann");
    assert_has(stream.sent[2], "\"io.modelcontextprotocol/subscriptionId\":8");
    mcp_out_cancel(&stream.out);
    request_deinit(&stream);
    harness_deinit(&h);
}

static void a_task_is_its_callers_alone_and_can_be_cancelled(void **state)
{
    struct harness h;
    struct request r;
    struct mcp_identity other = {.user_id = 2, .subject = "bob", .scopes = 3};
    char id[64];
    (void)state;
    start_slow(&h, id, sizeof(id));
    call_task(&h, &r, &other, "tasks/get", id, "");
    assert_int_equal(request_error_code(&r), MCP_INVALID_PARAMS);
    request_deinit(&r);
    harness_call(&h, &r, &h.identity, 1, "tasks/get", "\"taskId\":\"x\"", "{}");
    assert_int_equal(request_error_code(&r), MCP_MISSING_CLIENT_CAPABILITY);
    request_deinit(&r);
    call_task(&h, &r, &h.identity, "tasks/cancel", id, "");
    assert_int_equal(request_error_code(&r), 0);
    request_deinit(&r);
    assert_task(&h, id, "\"status\":\"cancelled\"");
    harness_deinit(&h);
}

static void without_the_extension_a_call_stays_a_call(void **state)
{
    struct harness h;
    struct request r;
    (void)state;
    start(&h);
    harness_call(&h, &r, &h.identity, 1, "tools/call", "\"name\":\"slow\"", "{}");
    assert_has(r.answer, "\"text\":\"now\"");
    request_deinit(&r);
    harness_deinit(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trips_carry_the_earlier_answers_in_the_state),
        cmocka_unit_test(state_is_refused_when_changed_or_of_another_caller_or_request),
        cmocka_unit_test(answers_that_do_not_fit_are_refused),
        cmocka_unit_test(a_client_that_cannot_be_asked_gets_the_capability_it_lacks),
        cmocka_unit_test(handshake_peers_are_asked_by_requests),
        cmocka_unit_test(a_refused_question_fails_the_call),
        cmocka_unit_test(a_cancelled_call_withdraws_its_questions),
        cmocka_unit_test(a_peer_that_hangs_up_ends_what_waits_for_it),
        cmocka_unit_test(a_peer_that_goes_ends_what_waits_for_it),
        cmocka_unit_test(a_task_waits_for_all_its_answers),
        cmocka_unit_test(who_listens_to_a_task_hears_each_change_of_it),
        cmocka_unit_test(a_task_is_its_callers_alone_and_can_be_cancelled),
        cmocka_unit_test(without_the_extension_a_call_stays_a_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
