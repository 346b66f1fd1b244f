/* One POST: one message -> the core -> JSON or SSE.
 *
 *   stateless (2026-07-28): headers must mirror the body; no session; whoever goes away cancels
 *   handshake (older):      initialize opens a session, all else names one; whoever goes away may
 *                           come back for what was streamed */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "mcp/http_int.h"

/* ---- the end ---- */

static void leave_session(struct http_exchange *x)
{
    struct http_session *s = x->session;
    if (!s)
        return;
    *(x->prev ? &x->prev->next : &s->exchanges) = x->next;
    if (x->next)
        x->next->prev = x->prev;
    x->session = NULL;
    if (s->transport->is_closing && !s->exchanges)
        http_hurry(s->transport);
}

static void exchange_free(struct http_exchange *x)
{
    struct mcp_http *t = x->transport;
    leave_session(x);
    http_request_unhold(x->req); /* x was in its arena */
    t->exchanges--;
    http_try_free(t);
}

void http_exchange_orphan(struct http_exchange *x)
{
    leave_session(x);
}

/* Nobody listens, and nobody can come back. */
static bool is_lost(const struct http_exchange *x)
{
    return x->stream ? !x->stream->wire.req : http_request_is_gone(x->req);
}

void http_exchanges_cancel_lost(struct http_session *s)
{
    struct http_exchange *next;
    for (struct http_exchange *x = s->exchanges; x; x = next) {
        next = x->next;
        if (is_lost(x))
            mcp_out_cancel(&x->out);
    }
}

/* ---- what the core calls ---- */

/* Whether a message before the answer has a way to the client. */
static bool can_stream(struct http_exchange *x)
{
    if (x->stream || x->wire.req)
        return true;
    if (x->is_cut || http_request_is_gone(x->req) || (!x->is_stateless && !x->session))
        return false;
    if (x->is_stateless)
        http_wire_open(x->transport, &x->wire, x->req);
    else
        x->stream = http_stream_open(x->session, x);
    return x->stream || x->wire.req;
}

static void exchange_send(struct mcp_out *out, struct slice json)
{
    struct http_exchange *x = (struct http_exchange *)out;
    if (!can_stream(x))
        return;
    if (x->stream)
        http_stream_send(x->stream, json);
    else
        http_wire_send(x->transport, &x->wire, json);
}

static void exchange_release(struct mcp_out *out, uint32_t retry_ms)
{
    struct http_exchange *x = (struct http_exchange *)out;
    if (x->session && x->session->peer.revision >= MCP_2025_11_25 && can_stream(x))
        http_stream_release(x->stream, retry_ms);
}

static void exchange_answer(struct http_exchange *x, struct slice json, int http_status)
{
    static const struct http_header json_type = {{"Content-Type", 12}, {"application/json", 16}};
    const struct mcp_http_options *options = &x->transport->options;
    struct http_header own[3];
    size_t count = 0;
    if (json.len > 0)
        own[count++] = json_type;
    if (x->is_opening && x->session && x->session->peer.is_initialized)
        own[count++] = (struct http_header){SLICE_LIT(HTTP_SESSION_HEADER),
                                            {x->session->id, HTTP_SESSION_ID_LEN}};
    struct slice challenge = SLICE_EMPTY;
    if (http_status == 403 && x->out.missing_scopes && options->challenge)
        challenge = options->challenge(options->auth_ctx, x->out.missing_scopes | x->scopes,
                                       http_request_arena(x->req));
    if (challenge.len > 0)
        own[count++] = (struct http_header){SLICE_LIT("WWW-Authenticate"), challenge};
    http_answer(x->transport, x->req, http_status, own, count, json);
}

static void exchange_finish(struct mcp_out *out, struct slice json, int http_status)
{
    struct http_exchange *x = (struct http_exchange *)out;
    bool is_orphan = !x->is_stateless && !x->session;
    if (x->stream) {
        http_stream_finish(x->stream, json);
    } else if (x->wire.req) {
        if (json.len > 0)
            http_wire_send(x->transport, &x->wire, json);
        http_wire_close(x->transport, &x->wire);
    } else if (!x->is_cut && json.len == 0 && x->is_request && is_orphan) {
        http_refuse(x->transport, x->req, 404, MCP_SESSION_NOT_FOUND, "the session has ended");
    } else if (!x->is_cut) {
        exchange_answer(x, json, http_status);
    }
    exchange_free(x);
}

/* ---- the start ---- */

/* The client went away, or the HTTP server closes: then only what has no end of its own ends. */
static void on_exchange_gone(void *ctx, struct http_request *req)
{
    struct http_exchange *x = ctx;
    if (x->is_stateless && (http_request_is_gone(req) || x->out.subscriber))
        mcp_out_cancel(&x->out);
    else if (x->transport->is_closing)
        http_hurry(x->transport);
}

static struct http_exchange *exchange_new(struct mcp_http *t, struct http_request *req)
{
    struct http_exchange *x = arena_calloc(http_request_arena(req), 1, sizeof(*x));
    if (!x)
        return NULL;
    x->out = (struct mcp_out){
        .send = exchange_send, .finish = exchange_finish, .release = exchange_release};
    x->transport = t;
    x->req = req;
    t->exchanges++;
    http_request_hold(req);
    http_request_on_gone(req, on_exchange_gone, x);
    return x;
}

static void join_session(struct http_exchange *x, struct http_session *s)
{
    x->session = s;
    x->next = s->exchanges;
    if (x->next)
        x->next->prev = x;
    s->exchanges = x;
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
        snprintf(text, sizeof(text), "Header mismatch: " HTTP_VERSION_HEADER " is missing");
    } else if (m->version && (http_request_header_count(x->req, HTTP_VERSION_HEADER) > 1 ||
                              !slice_is_equal(version, slice_from_cstr(m->version)))) {
        snprintf(text, sizeof(text),
                 "Header mismatch: " HTTP_VERSION_HEADER " differs from the body");
    } else if (m->kind != MCP_REQUEST || !m->version ||
               !mcp_revision_parse(m->version, &revision) ||
               http_check_mirrored(rx, x->req, m, text, sizeof(text))) {
        return true;
    }
    finish_error(rx, m->id, false, MCP_HEADER_MISMATCH, text, 400, &x->out);
    return false;
}

static void post_stateless(struct http_exchange *x, struct mcp_request_context *rx,
                           struct mcp_message *take_m, struct slice version)
{
    rx->is_stateless = true;
    x->is_stateless = true;
    if (!check_headers(rx, take_m, version, x)) {
        mcp_message_deinit(take_m);
    } else if (take_m->kind == MCP_RESPONSE) {
        finish_error(rx, NULL, false, MCP_INVALID_REQUEST,
                     "this protocol revision has no responses from clients", 400, &x->out);
        mcp_message_deinit(take_m);
    } else {
        mcp_dispatch(rx, take_m, &x->out);
    }
}

/* ---- handshake ---- */

struct http_session *http_named_session(struct mcp_http *t, const struct http_request *req,
                                        const struct mcp_identity *identity, const char **fault,
                                        int *status)
{
    struct slice id = http_request_header(req, HTTP_SESSION_HEADER);
    struct http_session *s = id.ptr ? http_session_find(t, id, identity) : NULL;
    *status = id.ptr ? 404 : 400;
    *fault = id.ptr ? "Session not found: send initialize again"
                    : "the header " HTTP_SESSION_HEADER " is missing: send initialize first, or a "
                      "protocol version in params._meta and " HTTP_VERSION_HEADER;
    return s;
}

static bool is_initialize(const struct mcp_message *m)
{
    return m->kind == MCP_REQUEST && strcmp(m->method, "initialize") == 0;
}

/* initialize without a session opens one, which goes again when initialize fails. It is answered
 * at once: x is gone afterwards. */
static void post_initialize(struct http_exchange *x, struct mcp_request_context *rx,
                            struct mcp_message *take_m)
{
    struct mcp_http *t = x->transport;
    struct http_session *s = http_session_new(t, rx->identity);
    if (!s) {
        finish_error(rx, take_m->id, true, MCP_INTERNAL_ERROR, "out of memory", 503, &x->out);
        mcp_message_deinit(take_m);
        return;
    }
    x->is_opening = true;
    join_session(x, s);
    rx->peer = &s->peer;
    mcp_dispatch(rx, take_m, &x->out);
    if (!s->peer.is_initialized)
        http_session_end(t, s);
}

static void post_handshake(struct http_exchange *x, struct mcp_request_context *rx,
                           struct mcp_message *take_m)
{
    const char *fault;
    int status;
    x->is_request = take_m->kind == MCP_REQUEST || take_m->kind == MCP_BATCH;
    if (take_m->kind == MCP_INVALID) {
        mcp_dispatch(rx, take_m, &x->out);
        return;
    }
    struct http_session *s =
        http_named_session(x->transport, x->req, rx->identity, &fault, &status);
    if (!s && status == 400 && is_initialize(take_m)) {
        post_initialize(x, rx, take_m);
    } else if (!s) {
        finish_error(rx, take_m->id, true,
                     status == 404 ? MCP_SESSION_NOT_FOUND : MCP_INVALID_REQUEST, fault, status,
                     &x->out);
        mcp_message_deinit(take_m);
    } else {
        join_session(x, s);
        rx->peer = &s->peer;
        if (x->is_request && x->transport->options.streams_answers)
            (void)can_stream(x); /* without memory for a stream: JSON */
        mcp_dispatch(rx, take_m, &x->out);
    }
}

/* ---- the door ---- */

bool http_is_handshake_version(struct slice version)
{
    char name[16];
    enum mcp_revision revision;
    if (version.len >= sizeof(name))
        return false;
    snprintf(name, sizeof(name), "%.*s", (int)version.len, version.ptr);
    return mcp_revision_parse(name, &revision) && revision < MCP_2026_07_28;
}

static void post_message(struct http_exchange *x, const struct mcp_identity *identity)
{
    struct mcp_message m;
    struct slice version = http_request_header(x->req, HTTP_VERSION_HEADER);
    struct mcp_request_context rx = {.server = x->transport->server,
                                     .identity = identity,
                                     .traceparent = http_request_header(x->req, "traceparent")};
    mcp_message_parse(&m, http_request_body(x->req));
    if (m.has_version || (version.ptr && !http_is_handshake_version(version)))
        post_stateless(x, &rx, &m, version);
    else
        post_handshake(x, &rx, &m);
}

void http_post(struct mcp_http *t, struct http_request *req, const struct mcp_identity *identity)
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
    x->scopes = identity->scopes;
    post_message(x, identity);
}
