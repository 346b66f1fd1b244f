/* Lines of text as the messages of one client, after a byte that says how it stands to the server
 * (see open_client). Tools answer at once, later, after a question to the client, or as a task.
 * Each message is finished exactly once, and all that is sent is JSON. A line "!" breaks off what
 * is in flight. */
#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "mcp/call.h"
#include "mcp/peer.h"
#include "mcp/prompt.h"
#include "mcp/resource.h"
#include "mcp/tool.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LINES_MAX 24
#define HELD_MAX  256 /* a batch may hold many calls */

struct request {
    struct mcp_out out; /* first */
    bool is_finished;
};

struct client {
    struct mcp_server *server;
    struct mcp_identity identity;
    struct mcp_peer peer;
    bool has_peer, is_stateless;
    struct request requests[LINES_MAX];
    size_t request_count;
    struct mcp_call *held[HELD_MAX];
    size_t held_count;
};

static void on_send(struct mcp_out *out, struct slice json)
{
    assert(!((struct request *)out)->is_finished);
    assert(json_check(json, NULL) == 0);
}

static void on_finish(struct mcp_out *out, struct slice json, int http_status)
{
    struct request *r = (struct request *)out;
    assert(!r->is_finished && http_status >= 200 && http_status < 600);
    assert(json.len == 0 || json_check(json, NULL) == 0);
    r->is_finished = true;
}

static void on_notify(struct mcp_peer *peer, struct slice json)
{
    (void)peer;
    assert(json_check(json, NULL) == 0);
}

/* ---- the handlers ---- */

static void on_echo(void *ctx, struct mcp_call *call)
{
    (void)ctx;
    assert(cJSON_IsObject(mcp_call_arguments(call)));
    mcp_call_progress(call, 1, 2, "half");
    mcp_call_log(call, MCP_LOG_INFO, NULL, SLICE_LIT("{\"a\":1}"));
    mcp_call_result(call, SLICE_LIT("{\"ok\":true}"), SLICE_EMPTY);
}

static void on_hold(void *ctx, struct mcp_call *call)
{
    struct client *c = ctx;
    if (c->held_count < HELD_MAX)
        c->held[c->held_count++] = call;
    else
        mcp_call_error(call, MCP_INTERNAL_ERROR, "too many");
}

static void on_ask(void *ctx, struct mcp_call *call)
{
    (void)ctx;
    const cJSON *name =
        mcp_call_ask(call, "name", "elicitation/create",
                     SLICE_LIT("{\"message\":\"Who?\",\"requestedSchema\":{\"type\":\"object\","
                               "\"properties\":{\"name\":{\"type\":\"string\"}}}}"));
    if (name)
        mcp_call_text(call, "thanks");
    else
        mcp_call_wait(call);
}

static void on_task(void *ctx, struct mcp_call *call)
{
    if (mcp_call_start_task(call, 60000, 1000))
        on_ask(ctx, call);
    else
        mcp_call_fail(call, SLICE_LIT("{\"code\":\"no\"}"), SLICE_LIT("no task"));
}

static void on_read(void *ctx, struct mcp_call *call)
{
    (void)ctx;
    if (mcp_call_uri_variable(call, "id").len == 1)
        mcp_call_contents(call, SLICE_LIT("[]"));
    else
        mcp_call_not_found(call);
}

static void on_prompt(void *ctx, struct mcp_call *call)
{
    (void)ctx;
    mcp_call_messages(call, NULL, SLICE_LIT("[]"));
}

static void on_complete(void *ctx, struct mcp_call *call)
{
    const char *const values[] = {"one", "two"};
    (void)ctx;
    mcp_call_values(call, values, 2, -1);
}

/* ---- the server and its client ---- */

#define INPUT                                                                                      \
    "{\"type\":\"object\",\"properties\":{\"id\":{\"type\":\"integer\",\"minimum\":1},\"region\":" \
    "{\"type\":\"string\",\"x-mcp-header\":\"Region\"}}}"

static int offer(struct client *c)
{
    static const struct mcp_prompt_argument topic = {.name = "topic"};
    const struct mcp_tool tools[] = {
        {.name = "echo", .description = "d", .input_schema = INPUT, .scopes = 1, .call = on_echo},
        {.name = "hold", .description = "d", .input_schema = INPUT, .call = on_hold, .ctx = c},
        {.name = "ask", .description = "d", .input_schema = INPUT, .call = on_ask},
        {.name = "task",
         .description = "d",
         .input_schema = INPUT,
         .task = MCP_TASK_OPTIONAL,
         .call = on_task},
        {.name = "hidden", .description = "d", .input_schema = INPUT, .scopes = 4, .call = on_echo},
    };
    const struct mcp_resource_template thing = {
        .resource = {.uri = "thing://{id}", .name = "thing", .read = on_read},
        .complete = on_complete};
    const struct mcp_prompt prompt = {.name = "prompt",
                                      .arguments = &topic,
                                      .argument_count = 1,
                                      .get = on_prompt,
                                      .complete = on_complete};
    int status = 0;
    for (size_t i = 0; i < sizeof(tools) / sizeof(tools[0]) && !status; i++)
        status = mcp_server_add_tool(c->server, &tools[i], NULL);
    if (!status)
        status = mcp_server_add_resource_template(c->server, &thing, NULL);
    return status ? status : mcp_server_add_prompt(c->server, &prompt, NULL);
}

static void send_message(struct client *c, struct slice text)
{
    struct request *r = &c->requests[c->request_count++];
    struct mcp_message m;
    const struct mcp_request_context rx = {.server = c->server,
                                           .peer = c->has_peer ? &c->peer : NULL,
                                           .identity = &c->identity,
                                           .is_stateless = c->is_stateless};
    *r = (struct request){.out = {.send = on_send, .finish = on_finish}};
    mcp_message_parse(&m, text);
    assert(m.kind != MCP_INVALID || (m.error_code && m.error_text[0]));
    mcp_dispatch(&rx, &m, &r->out);
}

static void initialize(struct client *c, const char *version)
{
    char text[256];
    snprintf(text, sizeof(text),
             "{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"initialize\",\"params\":{"
             "\"protocolVersion\":\"%s\",\"capabilities\":{\"elicitation\":{}},\"clientInfo\":{"
             "\"name\":\"f\",\"version\":\"1\"}}}",
             version);
    send_message(c, slice_from_cstr(text));
    assert(c->requests[0].is_finished && c->peer.is_initialized);
}

/* '0' no peer; '1' the same, known to be stateless; '2' a peer that has said nothing; '3' to '5'
 * one that has initialized in a revision; '6' one beside which HTTP's header says stateless. */
static int open_client(struct client *c, uint8_t how)
{
    static const unsigned char key[32] = {7};
    static const struct mcp_server_info info = {
        .name = "fuzz", .version = "1", .logs = true, .page_size = 3, .seal_key = key};
    c->identity = (struct mcp_identity){.user_id = 1, .subject = "f", .scopes = 3};
    if (mcp_server_new(&info, NULL, &c->server) || offer(c))
        return -1;
    mcp_peer_init(&c->peer, c->server, &c->identity);
    c->peer.notify = on_notify;
    c->is_stateless = how == '1' || how == '6';
    c->has_peer = how != '0' && how != '1';
    if (how >= '3' && how <= '5')
        initialize(c, mcp_revision_name((enum mcp_revision)(how - '3')));
    return 0;
}

static void close_client(struct client *c)
{
    struct mcp_server_stats stats;
    mcp_server_stop(c->server);
    for (size_t i = 0; i < c->held_count; i++)
        mcp_call_text(c->held[i], "late");
    mcp_peer_hang_up(&c->peer);
    mcp_peer_deinit(&c->peer);
    for (size_t i = 0; i < c->request_count; i++)
        assert(c->requests[i].is_finished);
    mcp_server_stats(c->server, &stats);
    assert(stats.in_flight == 0 && stats.subscribers == 0);
    mcp_server_free(c->server);
}

static void take_line(struct client *c, struct slice line)
{
    if (!slice_is_equal(line, SLICE_LIT("!"))) {
        send_message(c, line);
        return;
    }
    for (size_t i = 0; i < c->request_count; i++) {
        if (!c->requests[i].is_finished)
            mcp_out_cancel(&c->requests[i].out);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct client c = {.server = NULL};
    if (size == 0)
        return 0;
    int status = open_client(&c, data[0]);
    assert(status == 0);
    const char *at = (const char *)data + 1;
    const char *end = (const char *)data + size;
    while (at < end && c.request_count < LINES_MAX) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        stop = stop ? stop : end;
        take_line(&c, (struct slice){at, (size_t)(stop - at)});
        mcp_server_tick(c.server);
        at = stop + 1;
    }
    close_client(&c);
    return 0;
}
