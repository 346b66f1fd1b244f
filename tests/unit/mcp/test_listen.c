/* Subscriptions of both eras, and notifications within a call. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "harness.h"
#include "support/unit.h"

/* `ctx` is where the call goes that the test ends. */
static void hold(void *ctx, struct mcp_call *call)
{
    *(struct mcp_call **)ctx = call;
    mcp_call_progress(call, 1, 2, "half");
    mcp_call_progress(call, 1, 2, "again"); /* does not grow: not sent */
    mcp_call_log(call, MCP_LOG_INFO, "test", SLICE_LIT("{\"a\":1}"));
    mcp_call_log(call, MCP_LOG_DEBUG, NULL, SLICE_LIT("\"fine\""));
}

static void read_nothing(void *ctx, struct mcp_call *call)
{
    (void)ctx;
    mcp_call_not_found(call);
}

static int add_tool(struct harness *h, const char *name, struct mcp_call **held)
{
    const struct mcp_tool tool = {.name = name,
                                  .description = "d",
                                  .input_schema = "{\"type\":\"object\"}",
                                  .call = hold,
                                  .ctx = held};
    return mcp_server_add_tool(h->server, &tool, NULL);
}

static void start(struct harness *h, struct mcp_call **held)
{
    static const struct mcp_server_info info = {
        .name = "test", .version = "1", .logs = true, .subscribers_max = 3};
    harness_init(h, &info);
    assert_int_equal(add_tool(h, "hold", held), 0);
    assert_int_equal(
        mcp_server_add_resource_template(
            h->server,
            &(struct mcp_resource_template){
                .resource = {.uri = "thing://{id}", .name = "one", .read = read_nothing}},
            NULL),
        0);
}

static void listen_to(struct harness *h, struct request *r, int id, const char *filter)
{
    char params[512];
    snprintf(params, sizeof(params), "\"notifications\":%s", filter);
    harness_call(h, r, &h->identity, id, "subscriptions/listen", params, "{}");
}

static void a_stream_hears_what_it_asked_for_and_nothing_else(void **state)
{
    struct harness h;
    struct request tools;
    struct request thing;
    (void)state;
    start(&h, NULL);
    listen_to(&h, &tools, 7, "{\"toolsListChanged\":true,\"promptsListChanged\":true}");
    listen_to(&h, &thing, 8,
              "{\"resourceSubscriptions\":[\"thing://1\",\"thing://1\",\"other://1\"]}");
    assert_has(tools.sent[0], "notifications/subscriptions/acknowledged");
    assert_has(tools.sent[0], "\"io.modelcontextprotocol/subscriptionId\":7");
    assert_has(tools.sent[0], "\"notifications\":{\"toolsListChanged\":true}");
    assert_has_not(thing.sent[0], "other://1");
    assert_int_equal(add_tool(&h, "another", NULL), 0);
    assert_int_equal(tools.sent_count, 2);
    assert_has(tools.sent[1], "notifications/tools/list_changed");
    mcp_server_resource_updated(h.server, 1, "thing://1");
    mcp_server_resource_updated(h.server, 2, "thing://1"); /* another user's */
    mcp_server_resource_updated(h.server, 0, "thing://2");
    assert_int_equal(thing.sent_count, 2);
    assert_has(thing.sent[1], "\"uri\":\"thing://1\"");
    assert_has(thing.sent[1], "\"io.modelcontextprotocol/subscriptionId\":8");
    mcp_out_cancel(&tools.out);
    assert_true(tools.is_finished);
    mcp_server_stop(h.server);
    assert_has(thing.answer, "\"id\":8,\"result\":{\"resultType\":\"complete\"");
    request_deinit(&tools);
    request_deinit(&thing);
    harness_deinit(&h);
}

static void bad_filters_and_too_many_streams_are_refused(void **state)
{
    static const char *const bad[] = {"7", "{\"toolsListChanged\":1}",
                                      "{\"resourceSubscriptions\":\"x\"}",
                                      "{\"resourceSubscriptions\":[1]}"};
    struct harness h;
    struct request r[4];
    (void)state;
    start(&h, NULL);
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        listen_to(&h, &r[0], 1, bad[i]);
        assert_int_equal(request_error_code(&r[0]), MCP_INVALID_PARAMS);
        request_deinit(&r[0]);
    }
    for (int i = 0; i < 4; i++)
        listen_to(&h, &r[i], i, "{}");
    assert_int_equal(request_error_code(&r[3]), MCP_SERVER_BUSY);
    mcp_server_stop(h.server);
    for (int i = 0; i < 4; i++)
        request_deinit(&r[i]);
    listen_to(&h, &r[0], 1, "{}");
    assert_int_equal(request_error_code(&r[0]), MCP_SERVER_BUSY);
    request_deinit(&r[0]);
    harness_deinit(&h);
}

/* A stream whose client is gone: sending cuts it, in the middle of a round of notifications. */
static void on_broken_send(struct mcp_out *out, struct slice json)
{
    (void)json;
    mcp_out_cancel(out);
}

static void a_stream_may_end_while_it_is_told(void **state)
{
    struct harness h;
    struct request r[3];
    (void)state;
    start(&h, NULL);
    for (int i = 0; i < 3; i++)
        listen_to(&h, &r[i], i,
                  "{\"toolsListChanged\":true,\"resourceSubscriptions\":[\"thing://1\"]}");
    r[1].out.send = on_broken_send;
    mcp_server_resource_updated(h.server, 1, "thing://1");
    assert_true(r[1].is_finished);
    assert_int_equal(r[0].sent_count, 2);
    assert_int_equal(r[2].sent_count, 2);
    r[0].out.send = on_broken_send;
    mcp_server_remove_tool(h.server, "hold");
    assert_true(r[0].is_finished);
    assert_int_equal(r[2].sent_count, 3);
    mcp_server_stop(h.server);
    for (int i = 0; i < 3; i++)
        request_deinit(&r[i]);
    harness_deinit(&h);
}

static void all_that_begins_so_is_told_of(void **state)
{
    struct harness h;
    struct request r[2];
    (void)state;
    start(&h, NULL);
    listen_to(&h, &r[0], 1, "{\"resourceSubscriptions\":[\"thing://1\",\"thing://12\"]}");
    listen_to(&h, &r[1], 2, "{\"resourceSubscriptions\":[\"thing://1\"]}");
    mcp_server_resources_updated(h.server, 1, "thing://12");
    assert_int_equal(r[0].sent_count, 2);
    assert_has(r[0].sent[1], "\"uri\":\"thing://12\"");
    mcp_server_resources_updated(h.server, 2, ""); /* another user */
    assert_int_equal(r[0].sent_count + r[1].sent_count, 3);
    r[1].out.send = on_broken_send;
    mcp_server_resources_updated(h.server, 0, "");
    assert_int_equal(r[0].sent_count, 4);
    assert_true(r[1].is_finished);
    mcp_server_resources_updated(h.server, 1, "thing:");
    assert_int_equal(r[0].sent_count, 6);
    mcp_server_stop(h.server);
    mcp_server_resources_updated(h.server, 1, "");
    for (int i = 0; i < 2; i++)
        request_deinit(&r[i]);
    harness_deinit(&h);
}

static void send_ok(struct harness *h, const char *method, const char *params)
{
    struct request r;
    char text[512];
    snprintf(text, sizeof(text), "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"%s\",\"params\":{%s}}",
             method, params);
    harness_send(h, &r, text);
    assert_int_equal(request_error_code(&r), 0);
    request_deinit(&r);
}

static void handshake_peers_subscribe_and_unsubscribe(void **state)
{
    struct harness h;
    struct request r;
    (void)state;
    start(&h, NULL);
    harness_initialize(&h, "2025-11-25", "{}");
    send_ok(&h, "resources/subscribe", "\"uri\":\"thing://1\"");
    mcp_server_resource_updated(h.server, 1, "thing://1");
    assert_int_equal(h.notified_count, 1);
    assert_string_equal(h.notified[0], "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/resources/"
                                       "updated\",\"params\":{\"uri\":\"thing://1\"}}");
    send_ok(&h, "resources/unsubscribe", "\"uri\":\"thing://1\"");
    send_ok(&h, "resources/unsubscribe", "\"uri\":\"thing://1\"");
    mcp_server_resource_updated(h.server, 1, "thing://1");
    assert_int_equal(h.notified_count, 1);
    mcp_server_resources_changed(h.server, 1);
    mcp_server_resources_changed(h.server, 2);
    assert_int_equal(h.notified_count, 2);
    assert_string_equal(
        h.notified[1], "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/resources/list_changed\"}");
    harness_send(&h, &r,
                 "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"resources/subscribe\",\"params\":"
                 "{\"uri\":\"other://1\"}}");
    assert_int_equal(request_error_code(&r), MCP_RESOURCE_NOT_FOUND);
    request_deinit(&r);
    harness_deinit(&h);
}

static void progress_and_logs_go_to_who_asked_for_them(void **state)
{
    struct harness h;
    struct mcp_call *held = NULL;
    struct request r;
    (void)state;
    start(&h, &held);
    harness_call(&h, &r, &h.identity, 1, "tools/call", "\"name\":\"hold\"", "{}");
    assert_int_equal(r.sent_count, 0);
    mcp_call_text(held, "end");
    request_deinit(&r);
    harness_initialize(&h, "2025-11-25", "{}");
    harness_send(&h, &r,
                 "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":"
                 "\"hold\",\"_meta\":{\"progressToken\":\"p\"}}}");
    assert_int_equal(r.sent_count, 2);
    assert_has(r.sent[0],
               "\"progressToken\":\"p\",\"progress\":1,\"total\":2,\"message\":\"half\"");
    assert_has(r.sent[1], "\"level\":\"info\",\"logger\":\"test\",\"data\":{\"a\":1}");
    mcp_call_text(held, "end");
    request_deinit(&r);
    send_ok(&h, "logging/setLevel", "\"level\":\"error\"");
    harness_send(&h, &r,
                 "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":"
                 "\"hold\"}}");
    assert_int_equal(r.sent_count, 0);
    mcp_call_text(held, "end");
    request_deinit(&r);
    harness_send(&h, &r,
                 "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"logging/setLevel\",\"params\":"
                 "{\"level\":\"loud\"}}");
    assert_int_equal(request_error_code(&r), MCP_INVALID_PARAMS);
    request_deinit(&r);
    harness_deinit(&h);
}

static void a_removed_tool_ends_its_calls_in_peace(void **state)
{
    struct harness h;
    struct mcp_call *held = NULL;
    struct request r;
    (void)state;
    start(&h, &held);
    harness_call(&h, &r, &h.identity, 1, "tools/call", "\"name\":\"hold\"", "{}");
    mcp_server_remove_tool(h.server, "hold");
    mcp_call_text(held, "end");
    assert_has(r.answer, "\"text\":\"end\"");
    request_deinit(&r);
    harness_deinit(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_hears_what_it_asked_for_and_nothing_else),
        cmocka_unit_test(bad_filters_and_too_many_streams_are_refused),
        cmocka_unit_test(a_stream_may_end_while_it_is_told),
        cmocka_unit_test(all_that_begins_so_is_told_of),
        cmocka_unit_test(handshake_peers_subscribe_and_unsubscribe),
        cmocka_unit_test(progress_and_logs_go_to_who_asked_for_them),
        cmocka_unit_test(a_removed_tool_ends_its_calls_in_peace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
