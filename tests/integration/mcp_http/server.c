/* A server whose calls do what the test says, when it says so:
 *
 *     mcp_http_server [--auth] [--name number]…     prints its port, ends on SIGTERM
 *
 * Beside /mcp it has paths that steer it: /go lets the tools "hold", "poll" and "ask" go on,
 * /touch?N tells of the resource N times, /admit lets slow callers in, /stats counts, /fail?N makes
 * the N-th allocation from then on fail. With --auth
 * a caller is who its token says: "Bearer NAME"; "slow-NAME" waits for /admit, "bad" is refused,
 * and the credential of "brief-NAME" ends soon.
 * SIGUSR1 does what /go does, also when nobody is let in any more. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/http_server.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "mcp/call.h"
#include "mcp/http.h"
#include "mcp/resource.h"
#include "mcp/server.h"
#include "mcp/tool.h"

#define HELD_MAX 64
#define NOTE_URI "note://1"

struct fixture {
    uv_loop_t loop;
    uv_signal_t term, go;
    struct log log;
    struct mcp_server *server;
    struct mcp_http *mcp;
    struct http_server *http;
    struct mcp_call *held[HELD_MAX];
    struct mcp_http_admission *slow[HELD_MAX];
    struct mcp_identity slow_identity[HELD_MAX];
    size_t held_count, slow_count;
    uint64_t cancelled;
};

/* ---- tools ---- */

static void end_held(struct mcp_call *call)
{
    const char *subject = mcp_call_identity(call)->subject;
    mcp_call_text(call, subject ? subject : "done");
}

static void on_cancel(void *ctx, struct mcp_call *call)
{
    struct fixture *f = ctx;
    f->cancelled++;
    for (size_t i = 0; i < f->held_count; i++) {
        if (f->held[i] == call) {
            f->held[i] = f->held[--f->held_count];
            end_held(call);
            return;
        }
    }
}

static void hold(struct fixture *f, struct mcp_call *call)
{
    mcp_call_on_cancel(call, on_cancel, f);
    f->held[f->held_count++] = call;
}

static int64_t number_of(const struct mcp_call *call, const char *name)
{
    int64_t value = 0;
    (void)json_as_int(json_get(mcp_call_arguments(call), name), &value);
    return value;
}

/* Sends `count` steps of progress with `bytes` of text each, then waits for /go unless it `ends`.
 */
static void call_hold(void *ctx, struct mcp_call *call)
{
    int64_t count = number_of(call, "count");
    size_t bytes = (size_t)number_of(call, "bytes");
    char *text = arena_alloc(mcp_call_arena(call), bytes + 1);
    if (!text) {
        mcp_call_error(call, MCP_INTERNAL_ERROR, "out of memory");
        return;
    }
    memset(text, 'x', bytes);
    text[bytes] = '\0';
    for (int64_t i = 1; i <= count; i++)
        mcp_call_progress(call, (double)i, -1, text);
    if (cJSON_IsTrue(json_get(mcp_call_arguments(call), "ends")))
        end_held(call);
    else
        hold(ctx, call);
}

static void call_poll(void *ctx, struct mcp_call *call)
{
    mcp_call_release_connection(call, 10);
    hold(ctx, call);
}

static void call_ask(void *ctx, struct mcp_call *call)
{
    (void)ctx;
    const cJSON *answer = mcp_call_ask(
        call, "name", "elicitation/create",
        SLICE_LIT("{\"message\":\"name?\",\"requestedSchema\":{\"type\":\"object\",\"properties\":"
                  "{\"name\":{\"type\":\"string\"}}}}"));
    if (answer)
        mcp_call_text(call, json_get_string(json_get(answer, "content"), "name"));
    else
        mcp_call_wait(call);
}

static void call_echo(void *ctx, struct mcp_call *call)
{
    (void)ctx;
    const char *subject = mcp_call_identity(call)->subject;
    mcp_call_text(call, subject ? subject : "nobody");
}

#define NO_ARGUMENTS "{\"type\":\"object\"}"
static const struct mcp_tool tools[] = {
    {.name = "hold",
     .description = "progress, then waits",
     .input_schema = "{\"type\":\"object\",\"properties\":{\"count\":{\"type\":\"integer\"},"
                     "\"bytes\":{\"type\":\"integer\"},\"ends\":{\"type\":\"boolean\"}}}",
     .call = call_hold},
    {.name = "poll",
     .description = "releases its connection, then waits",
     .input_schema = NO_ARGUMENTS,
     .call = call_poll},
    {.name = "ask", .description = "asks", .input_schema = NO_ARGUMENTS, .call = call_ask},
    {.name = "echo",
     .description = "has mirrored parameters",
     .input_schema = "{\"type\":\"object\",\"properties\":{"
                     "\"region\":{\"type\":\"string\",\"x-mcp-header\":\"Region\"},"
                     "\"size\":{\"type\":\"integer\",\"x-mcp-header\":\"Size\"},"
                     "\"fast\":{\"type\":\"boolean\",\"x-mcp-header\":\"Fast\"},"
                     "\"at\":{\"type\":\"object\",\"properties\":{\"city\":{\"type\":\"string\","
                     "\"x-mcp-header\":\"City\"}}}}}",
     .call = call_echo},
    {.name = "admin",
     .description = "needs a scope",
     .input_schema = NO_ARGUMENTS,
     .scopes = 2,
     .call = call_echo},
};

static void read_note(void *ctx, struct mcp_call *call)
{
    (void)ctx;
    mcp_call_contents(call, SLICE_LIT("[{\"uri\":\"" NOTE_URI "\",\"text\":\"a note\"}]"));
}

static int add_all(struct fixture *f, struct error *err)
{
    static const struct mcp_resource note = {.uri = NOTE_URI, .name = "note", .read = read_note};
    for (size_t i = 0; i < sizeof(tools) / sizeof(*tools); i++) {
        struct mcp_tool tool = tools[i];
        tool.ctx = f;
        if (mcp_server_add_tool(f->server, &tool, err))
            return -1;
    }
    return mcp_server_add_resource(f->server, &note, err);
}

/* ---- callers ---- */

static void refuse(struct mcp_http_admission *admission)
{
    static const struct http_header challenge = {{"WWW-Authenticate", 16}, {"Bearer", 6}};
    mcp_http_refuse(admission, 401, &challenge, 1, "who are you?");
}

static void authenticate(void *ctx, struct mcp_http_admission *admission, struct http_request *req)
{
    struct fixture *f = ctx;
    struct slice token = http_request_header(req, "Authorization");
    bool is_token = token.len > 7 && memcmp(token.ptr, "Bearer ", 7) == 0;
    struct slice name = is_token ? (struct slice){token.ptr + 7, token.len - 7} : SLICE_EMPTY;
    bool is_slow = name.len > 5 && memcmp(name.ptr, "slow-", 5) == 0;
    if (is_slow)
        name = (struct slice){name.ptr + 5, name.len - 5};
    struct mcp_identity identity = {.user_id = 1, .scopes = 1};
    if (name.len > 6 && memcmp(name.ptr, "brief-", 6) == 0)
        identity.until_us = clock_now_us() + 1500000;
    identity.subject = arena_copy(http_request_arena(req), name);
    if (!is_token || slice_is_equal(name, SLICE_LIT("bad"))) {
        refuse(admission);
    } else if (is_slow) {
        f->slow_identity[f->slow_count] = identity;
        f->slow[f->slow_count++] = admission;
    } else {
        mcp_http_admit(admission, &identity);
    }
}

static struct slice challenge(void *ctx, uint32_t scopes, struct arena *arena)
{
    (void)ctx;
    char *text = arena_printf(arena, "Bearer error=\"insufficient_scope\", scope=\"%u\"", scopes);
    return slice_from_cstr(text);
}

/* ---- steering ---- */

static void answer_stats(struct fixture *f, struct http_request *req)
{
    struct mcp_server_stats stats;
    struct buf b;
    buf_init(&b, 4096);
    mcp_server_stats(f->server, &stats);
    buf_printf(&b,
               "{\"failed\":%d,\"in_flight\":%u,\"subscribers\":%u,\"held\":%zu,\"cancelled\":%llu,"
               "\"sessions\":%u,\"slow\":%zu}",
               mem_fail_happened(), stats.in_flight, stats.subscribers, f->held_count,
               (unsigned long long)f->cancelled, mcp_http_sessions(f->mcp), f->slow_count);
    http_respond(req, 200, NULL, 0, buf_slice(&b));
    buf_deinit(&b);
}

static void go_on(struct fixture *f)
{
    while (f->held_count > 0)
        end_held(f->held[--f->held_count]);
}

static void admit_slow(struct fixture *f)
{
    while (f->slow_count > 0) {
        f->slow_count--;
        mcp_http_admit(f->slow[f->slow_count], &f->slow_identity[f->slow_count]);
    }
}

static unsigned long query_number(const struct http_request *req)
{
    struct slice query = http_request_query(req);
    return query.len > 0 ? strtoul(query.ptr, NULL, 10) : 1;
}

static void touch(struct fixture *f, unsigned long count)
{
    for (unsigned long i = 0; i < count; i++)
        mcp_server_resource_updated(f->server, 0, NOTE_URI);
}

static void on_request(void *ctx, struct http_request *req)
{
    struct fixture *f = ctx;
    struct slice path = http_request_path(req);
    if (slice_is_equal(path, SLICE_LIT("/mcp"))) {
        mcp_http_handle(f->mcp, req);
        return;
    }
    if (slice_is_equal(path, SLICE_LIT("/stats"))) {
        answer_stats(f, req);
        return;
    }
    if (slice_is_equal(path, SLICE_LIT("/go")))
        go_on(f);
    else if (slice_is_equal(path, SLICE_LIT("/admit")))
        admit_slow(f);
    else if (slice_is_equal(path, SLICE_LIT("/touch")))
        touch(f, query_number(req));
    unsigned long nth = slice_is_equal(path, SLICE_LIT("/fail")) ? query_number(req) : 0;
    http_respond(req, 204, NULL, 0, SLICE_EMPTY);
    if (nth > 0)
        mem_fail_nth(nth);
}

/* ---- life ---- */

static void on_closed(void *ctx)
{
    (void)ctx;
}

static void on_go(uv_signal_t *handle, int number)
{
    (void)number;
    go_on(handle->data);
}

static void on_all_closed(void *ctx)
{
    struct fixture *f = ctx;
    uv_close((uv_handle_t *)&f->go, NULL);
}

static void on_term(uv_signal_t *handle, int number)
{
    struct fixture *f = handle->data;
    (void)number;
    uv_close((uv_handle_t *)handle, NULL);
    admit_slow(f);
    mcp_server_stop(f->server);
    mcp_http_close(f->mcp, on_closed, f);
    http_server_close(f->http, 2000, on_all_closed, f);
}

static uint32_t option(int argc, char **argv, const char *name, uint32_t otherwise)
{
    for (int i = 1; i + 1 < argc; i++) {
        if (strcmp(argv[i], name) == 0)
            return (uint32_t)strtoul(argv[i + 1], NULL, 10);
    }
    return otherwise;
}

static int start(struct fixture *f, int argc, char **argv, struct error *err)
{
    static const struct mcp_identity everybody = {.user_id = 1, .scopes = 1};
    static const struct mcp_server_info info = {.name = "test", .version = "1"};
    bool has_auth = argc > 1 && strcmp(argv[1], "--auth") == 0;
    struct http_limits limits = http_limits_default;
    limits.connections = option(argc, argv, "--connections", 1024);
    limits.stream_bytes = option(argc, argv, "--stream-bytes", limits.stream_bytes);
    const struct mcp_http_options options = {
        .identity = &everybody,
        .authenticate = has_auth ? authenticate : NULL,
        .challenge = challenge,
        .auth_ctx = f,
        .sessions_max = option(argc, argv, "--sessions-max", 0),
        .session_idle_ms = option(argc, argv, "--session-idle-ms", 0),
        .keepalive_ms = option(argc, argv, "--keepalive-ms", 0),
        .replay_bytes = option(argc, argv, "--replay-bytes", 0),
        .replay_ms = option(argc, argv, "--replay-ms", 0),
    };
    int status = mcp_server_new(&info, &f->log, &f->server);
    if (!status)
        status = add_all(f, err);
    if (!status)
        status = mcp_http_new(&f->loop, f->server, &options, &f->log, &f->mcp);
    if (!status)
        status = http_server_new(&f->loop, &limits, &f->log, on_request, f, &f->http);
    return status ? status : http_server_listen(f->http, "127.0.0.1", 0, err);
}

int main(int argc, char **argv)
{
    struct fixture f = {0};
    struct error err = {0};
    cJSON_Hooks hooks = {.malloc_fn = mem_alloc, .free_fn = mem_free};
    cJSON_InitHooks(&hooks);
    signal(SIGPIPE, SIG_IGN);
    log_init(&f.log, STDERR_FILENO, LOG_ERROR, LOG_FORMAT_JSON);
    if (uv_loop_init(&f.loop) || start(&f, argc, argv, &err)) {
        fprintf(stderr, "mcp_http_server: %s\n", err.text);
        return EXIT_FAILURE;
    }
    uv_signal_init(&f.loop, &f.term);
    f.term.data = &f;
    uv_signal_start(&f.term, on_term, SIGTERM);
    uv_signal_init(&f.loop, &f.go);
    f.go.data = &f;
    uv_signal_start(&f.go, on_go, SIGUSR1);
    printf("%u\n", http_server_port(f.http));
    fflush(stdout);
    uv_run(&f.loop, UV_RUN_DEFAULT);
    if (uv_loop_close(&f.loop)) {
        fprintf(stderr, "mcp_http_server: handles were left open\n");
        return EXIT_FAILURE;
    }
    mcp_server_free(f.server);
    return EXIT_SUCCESS;
}
