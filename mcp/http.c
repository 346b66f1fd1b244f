/* One HTTP request -> one message -> the core -> JSON or SSE.
 *
 *   OPTIONS -> what a browser may send        DELETE -> a session ends
 *   GET     -> a session's stream             POST   -> read the message, then by its version:
 *      stateless (2026-07-28): headers must mirror the body; no session
 *      handshake (older):      initialize opens a session, all else names one */
#include "mcp/http.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "mcp/http_int.h"

#define HEADERS_MAX     8
#define JANITOR_MS      1000
#define SESSION_HEADER  "Mcp-Session-Id"
#define VERSION_HEADER  "MCP-Protocol-Version"
#define BROWSER_METHODS "GET, POST, DELETE, OPTIONS"
#define BROWSER_HEADERS                                                                            \
    "Accept, Authorization, Content-Type, Last-Event-ID, MCP-Protocol-Version, Mcp-Method, "       \
    "Mcp-Name, Mcp-Session-Id, traceparent"

/* ---- answers ---- */

/* `own` and, for a browser's page of an allowed origin, what lets it read the answer. */
static size_t gather_headers(const struct http_request *req, const struct http_header *own,
                             size_t own_count, struct http_header *all)
{
    size_t count = 0;
    struct slice origin = http_request_header(req, "Origin");
    for (; count < own_count; count++)
        all[count] = own[count];
    if (origin.ptr) {
        all[count++] = (struct http_header){SLICE_LIT("Access-Control-Allow-Origin"), origin};
        all[count++] = (struct http_header){SLICE_LIT("Access-Control-Expose-Headers"),
                                            SLICE_LIT(SESSION_HEADER ", WWW-Authenticate")};
        all[count++] = (struct http_header){SLICE_LIT("Vary"), SLICE_LIT("Origin")};
    }
    return count;
}

void http_answer(struct mcp_http *t, struct http_request *req, int status,
                 const struct http_header *own, size_t own_count, struct slice body)
{
    struct http_header all[HEADERS_MAX];
    bool shows_origin = http_check_origin(t, req);
    size_t count = gather_headers(req, own, own_count, all);
    http_respond(req, status, all, shows_origin ? count : own_count, body);
}

static const struct http_header json_type = {{"Content-Type", 12}, {"application/json", 16}};

void http_refuse(struct mcp_http *t, struct http_request *req, int status, int code,
                 const char *message)
{
    struct buf b;
    struct http_header own[2] = {json_type};
    own[1] = (struct http_header){SLICE_LIT("Allow"), SLICE_LIT(BROWSER_METHODS)};
    buf_init(&b, MCP_ANSWER_BYTES_MAX);
    mcp_render_error(&b, NULL, false, code, message);
    http_answer(t, req, status, own, status == 405 ? 2 : 1, buf_slice(&b));
    buf_deinit(&b);
}

int http_start_stream(struct mcp_http *t, struct http_request *req)
{
    static const struct http_header own[] = {
        {{"Content-Type", 12}, {"text/event-stream", 17}},
        {{"Cache-Control", 13}, {"no-cache", 8}},
        {{"X-Accel-Buffering", 17}, {"no", 2}},
    };
    struct http_header all[HEADERS_MAX];
    (void)t; /* the origin was checked when the request came in */
    return http_stream_start(req, 200, all, gather_headers(req, own, 3, all));
}

static void write_event(struct http_request *req, struct slice json)
{
    (void)http_stream_write(req, SLICE_LIT("event: message\ndata: "));
    (void)http_stream_write(req, json);
    (void)http_stream_write(req, SLICE_LIT("\n\n"));
}

/* ---- one POST ---- */

static void exchange_notify(struct mcp_out *out, struct slice json)
{
    struct http_exchange *x = (struct http_exchange *)out;
    if (!x->is_streaming) {
        x->is_streaming = true;
        x->stream = (struct http_stream){.req = x->req, .transport = x->transport};
        http_stream_link(&x->stream);
        (void)http_start_stream(x->transport, x->req);
    }
    write_event(x->req, json);
}

static void exchange_answer(struct http_exchange *x, struct slice json, int http_status)
{
    struct http_header own[2];
    size_t count = 0;
    if (json.len > 0)
        own[count++] = json_type;
    if (x->opened)
        own[count++] =
            (struct http_header){SLICE_LIT(SESSION_HEADER), {x->opened->id, SESSION_ID_LEN}};
    http_answer(x->transport, x->req, http_status, own, count, json);
}

static void exchange_finish(struct mcp_out *out, struct slice json, int http_status)
{
    struct http_exchange *x = (struct http_exchange *)out;
    struct mcp_http *t = x->transport;
    if (x->is_streaming) {
        http_stream_unlink(&x->stream);
        if (json.len > 0)
            write_event(x->req, json);
        http_stream_end(x->req);
    } else {
        exchange_answer(x, json, http_status);
    }
    t->exchanges--; /* x is gone with its request */
    http_try_free(t);
}

static void on_exchange_gone(void *ctx, struct http_request *req)
{
    struct http_exchange *x = ctx;
    (void)req;
    if (x->cancels_when_gone)
        mcp_out_cancel(&x->out);
}

static struct http_exchange *exchange_new(struct mcp_http *t, struct http_request *req)
{
    struct http_exchange *x = arena_calloc(http_request_arena(req), 1, sizeof(*x));
    if (!x)
        return NULL;
    x->out = (struct mcp_out){.notify = exchange_notify, .finish = exchange_finish};
    x->transport = t;
    x->req = req;
    t->exchanges++;
    http_request_on_gone(req, on_exchange_gone, x);
    return x;
}

/* ---- stateless ---- */

/* True when the headers say what the message says; else the exchange was answered. A version that
 * we lack is left to the core, which lists those that we have. */
static bool check_headers(const struct mcp_request_context *rx, const struct mcp_message *m,
                          struct slice version, struct http_exchange *x)
{
    char text[160];
    enum mcp_revision revision;
    if (!version.ptr) {
        snprintf(text, sizeof(text), "Header mismatch: the header " VERSION_HEADER " is missing");
    } else if (m->version && (http_request_header_count(x->req, VERSION_HEADER) > 1 ||
                              !slice_is_equal(version, slice_from_cstr(m->version)))) {
        snprintf(text, sizeof(text), "Header mismatch: " VERSION_HEADER " differs from _meta's");
    } else if (m->kind != MCP_REQUEST || !m->version ||
               !mcp_revision_parse(m->version, &revision) ||
               http_check_mirrored(x->req, m, text, sizeof(text))) {
        return true;
    }
    finish_error(rx, m->id, false, MCP_HEADER_MISMATCH, text, 400, &x->out);
    return false;
}

static void post_stateless(struct mcp_http *t, struct http_exchange *x, struct mcp_message *take_m,
                           struct slice version)
{
    struct mcp_request_context rx = {.server = t->server,
                                     .identity = t->options.identity,
                                     .traceparent = http_request_header(x->req, "traceparent"),
                                     .is_stateless = true};
    x->cancels_when_gone = true;
    if (!check_headers(&rx, take_m, version, x)) {
        mcp_message_deinit(take_m);
    } else if (take_m->kind == MCP_RESPONSE) {
        finish_error(&rx, NULL, false, MCP_INVALID_REQUEST,
                     "this protocol revision has no responses from clients", 400, &x->out);
        mcp_message_deinit(take_m);
    } else {
        mcp_dispatch(&rx, take_m, &x->out);
    }
}

/* ---- handshake ---- */

static struct http_session *named_session(struct mcp_http *t, const struct http_request *req,
                                          const char **fault, int *status)
{
    struct slice id = http_request_header(req, SESSION_HEADER);
    struct http_session *s = id.ptr ? http_session_find(t, id) : NULL;
    *status = id.ptr ? 404 : 400;
    *fault = id.ptr ? "Session not found: send initialize again"
                    : "the header " SESSION_HEADER " is missing: send initialize first, or a "
                      "protocol version in params._meta and " VERSION_HEADER;
    return s;
}

static bool is_initialize(const struct mcp_message *m)
{
    return m->kind == MCP_REQUEST && strcmp(m->method, "initialize") == 0;
}

/* initialize without a session opens one, which goes again when initialize fails. */
static void post_initialize(struct mcp_http *t, struct http_exchange *x,
                            struct mcp_request_context *rx, struct mcp_message *take_m)
{
    struct http_session *s = http_session_new(t);
    if (!s) {
        finish_error(rx, take_m->id, true, MCP_INTERNAL_ERROR, "out of memory", 503, &x->out);
        mcp_message_deinit(take_m);
        return;
    }
    if (json_get_string(take_m->params, "protocolVersion"))
        x->opened = s;
    rx->peer = &s->peer;
    mcp_dispatch(rx, take_m, &x->out); /* answers at once: x is gone */
    if (!s->peer.is_initialized)
        http_session_end(t, s);
}

static void post_handshake(struct mcp_http *t, struct http_exchange *x, struct mcp_message *take_m)
{
    const char *fault;
    int status;
    struct mcp_request_context rx = {.server = t->server,
                                     .identity = t->options.identity,
                                     .traceparent = http_request_header(x->req, "traceparent")};
    if (take_m->kind == MCP_INVALID) {
        mcp_dispatch(&rx, take_m, &x->out);
        return;
    }
    struct http_session *s = named_session(t, x->req, &fault, &status);
    if (!s && status == 400 && is_initialize(take_m)) {
        post_initialize(t, x, &rx, take_m);
    } else if (!s) {
        finish_error(&rx, take_m->id, true,
                     status == 404 ? MCP_SESSION_NOT_FOUND : MCP_INVALID_REQUEST, fault, status,
                     &x->out);
        mcp_message_deinit(take_m);
    } else {
        rx.peer = &s->peer;
        mcp_dispatch(&rx, take_m, &x->out);
    }
}

/* ---- methods ---- */

static bool is_handshake_version(struct slice version)
{
    char name[16];
    enum mcp_revision revision;
    if (version.len >= sizeof(name))
        return false;
    snprintf(name, sizeof(name), "%.*s", (int)version.len, version.ptr);
    return mcp_revision_parse(name, &revision) && revision < MCP_2026_07_28;
}

static void handle_post(struct mcp_http *t, struct http_request *req)
{
    if (!http_is_json(req)) {
        http_refuse(t, req, 415, MCP_INVALID_REQUEST, "Content-Type must be application/json");
        return;
    }
    if (!http_accepts(req, "application/json") || !http_accepts(req, "text/event-stream")) {
        http_refuse(t, req, 406, MCP_INVALID_REQUEST,
                    "Accept must have application/json and text/event-stream");
        return;
    }
    struct http_exchange *x = exchange_new(t, req);
    if (!x) {
        http_refuse(t, req, 503, MCP_INTERNAL_ERROR, "out of memory");
        return;
    }
    struct mcp_message m;
    struct slice version = http_request_header(req, VERSION_HEADER);
    mcp_message_parse(&m, http_request_body(req));
    if (m.has_version || (version.ptr && !is_handshake_version(version)))
        post_stateless(t, x, &m, version);
    else
        post_handshake(t, x, &m);
}

/* GET and DELETE are about a session; the stateless revision has neither. */
static void handle_session(struct mcp_http *t, struct http_request *req, bool is_delete)
{
    const char *fault;
    int status;
    struct slice version = http_request_header(req, VERSION_HEADER);
    if (version.ptr && !is_handshake_version(version)) {
        http_refuse(t, req, 405, MCP_INVALID_REQUEST, "this protocol revision knows only POST");
        return;
    }
    if (!is_delete && !http_accepts(req, "text/event-stream")) {
        http_refuse(t, req, 406, MCP_INVALID_REQUEST, "Accept must have text/event-stream");
        return;
    }
    struct http_session *s = named_session(t, req, &fault, &status);
    if (!s) {
        http_refuse(t, req, status, status == 404 ? MCP_SESSION_NOT_FOUND : MCP_INVALID_REQUEST,
                    fault);
    } else if (is_delete) {
        http_session_end(t, s);
        http_answer(t, req, 204, NULL, 0, SLICE_EMPTY);
    } else {
        http_session_listen(t, s, req);
    }
}

static void handle_options(struct mcp_http *t, struct http_request *req)
{
    static const struct http_header own[] = {
        {{"Allow", 5}, {BROWSER_METHODS, sizeof(BROWSER_METHODS) - 1}},
        {{"Access-Control-Allow-Methods", 28}, {BROWSER_METHODS, sizeof(BROWSER_METHODS) - 1}},
        {{"Access-Control-Allow-Headers", 28}, {BROWSER_HEADERS, sizeof(BROWSER_HEADERS) - 1}},
        {{"Access-Control-Max-Age", 22}, {"86400", 5}},
    };
    http_answer(t, req, 204, own, 4, SLICE_EMPTY);
}

void mcp_http_handle(struct mcp_http *t, struct http_request *req)
{
    struct slice method = http_request_method(req);
    if (t->is_closing)
        http_refuse(t, req, 503, MCP_SERVER_BUSY, "the server is stopping");
    else if (!http_check_host(t, req))
        http_refuse(t, req, 403, MCP_INVALID_REQUEST, "this Host is not one of the server's names");
    else if (!http_check_origin(t, req))
        http_refuse(t, req, 403, MCP_INVALID_REQUEST, "this Origin may not use the server");
    else if (slice_is_equal(method, SLICE_LIT("POST")))
        handle_post(t, req);
    else if (slice_is_equal(method, SLICE_LIT("GET")))
        handle_session(t, req, false);
    else if (slice_is_equal(method, SLICE_LIT("DELETE")))
        handle_session(t, req, true);
    else if (slice_is_equal(method, SLICE_LIT("OPTIONS")))
        handle_options(t, req);
    else
        http_refuse(t, req, 405, MCP_INVALID_REQUEST, "the methods are " BROWSER_METHODS);
}

/* ---- life ---- */

static void on_janitor(uv_timer_t *timer)
{
    http_session_tick(timer->data);
}

int mcp_http_new(uv_loop_t *loop, struct mcp_server *server, const struct mcp_http_options *options,
                 const struct log *log, struct mcp_http **out)
{
    struct mcp_http *t = mem_calloc(1, sizeof(*t));
    if (!t)
        return BASE_ENOMEM;
    *t = (struct mcp_http){.loop = loop, .server = server, .options = *options, .log = log};
    if (t->options.sessions_max == 0)
        t->options.sessions_max = 10000;
    if (t->options.session_idle_ms == 0)
        t->options.session_idle_ms = 30 * 60 * 1000;
    if (t->options.keepalive_ms == 0)
        t->options.keepalive_ms = 15 * 1000;
    t->keepalive_at_ms = uv_now(loop) + t->options.keepalive_ms;
    uv_timer_init(loop, &t->janitor);
    t->janitor.data = t;
    uv_timer_start(&t->janitor, on_janitor, JANITOR_MS, JANITOR_MS);
    uv_unref((uv_handle_t *)&t->janitor);
    *out = t;
    return 0;
}

void http_try_free(struct mcp_http *t)
{
    if (!t->is_closing || !t->is_janitor_closed || t->exchanges > 0)
        return;
    mcp_http_closed_fn closed = t->closed;
    void *ctx = t->closed_ctx;
    mem_free(t);
    closed(ctx);
}

static void on_janitor_closed(uv_handle_t *handle)
{
    struct mcp_http *t = handle->data;
    t->is_janitor_closed = true;
    http_try_free(t);
}

void mcp_http_close(struct mcp_http *t, mcp_http_closed_fn closed, void *ctx)
{
    t->is_closing = true;
    t->closed = closed;
    t->closed_ctx = ctx;
    while (t->oldest)
        http_session_end(t, t->oldest);
    uv_close((uv_handle_t *)&t->janitor, on_janitor_closed);
}

uint32_t mcp_http_sessions(const struct mcp_http *t)
{
    return t->session_count;
}
