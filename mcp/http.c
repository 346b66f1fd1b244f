/* The door: one HTTP request -> may it come from there? -> who calls? -> its method.
 *
 *   OPTIONS -> what a browser may send        DELETE -> a session ends
 *   GET     -> a session's stream             POST   -> http_exchange.c */
#include "mcp/http.h"

#include <assert.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/mem.h"
#include "mcp/http_int.h"

#define HEADERS_MAX     16
#define JANITOR_MS      250
#define TICKS_A_SECOND  4
#define BROWSER_METHODS "GET, POST, DELETE, OPTIONS"
/* The star lets Mcp-Param-… in; it does not stand for Authorization, and old browsers want names.
 */
#define BROWSER_HEADERS                                                                            \
    "*, Accept, Authorization, Content-Type, Last-Event-ID, MCP-Protocol-Version, Mcp-Method, "    \
    "Mcp-Name, Mcp-Session-Id, traceparent"
#define BROWSER_READS "Mcp-Session-Id, WWW-Authenticate, Retry-After"

struct mcp_http_admission {
    struct mcp_http *transport;
    struct http_request *req;
    bool is_over;
};

/* ---- answers ---- */

/* `own` and, for a browser's page of an allowed origin, what lets it read the answer. */
static size_t gather_headers(const struct http_request *req, const struct http_header *own,
                             size_t own_count, struct http_header *all)
{
    size_t count = 0;
    struct slice origin = http_request_header(req, "Origin");
    for (; count < own_count && count < HEADERS_MAX - 3; count++)
        all[count] = own[count];
    if (origin.ptr) {
        all[count++] = (struct http_header){SLICE_LIT("Access-Control-Allow-Origin"), origin};
        all[count++] = (struct http_header){SLICE_LIT("Access-Control-Expose-Headers"),
                                            SLICE_LIT(BROWSER_READS)};
        all[count++] = (struct http_header){SLICE_LIT("Vary"), SLICE_LIT("Origin")};
    }
    return count;
}

void http_answer(struct mcp_http *t, struct http_request *req, int status,
                 const struct http_header *own, size_t own_count, struct slice body)
{
    struct http_header all[HEADERS_MAX];
    if (http_check_origin(t, req))
        http_respond(req, status, all, gather_headers(req, own, own_count, all), body);
    else
        http_respond(req, status, own, own_count, body);
}

static void refuse_with(struct mcp_http *t, struct http_request *req, int status, int code,
                        const char *message, const struct http_header *more, size_t more_count)
{
    struct buf b;
    struct http_header own[HEADERS_MAX - 3] = {{{"Content-Type", 12}, {"application/json", 16}}};
    size_t count = 1;
    for (size_t i = 0; i < more_count && count < HEADERS_MAX - 3; i++)
        own[count++] = more[i];
    buf_init(&b, MCP_ANSWER_BYTES_MAX);
    mcp_render_error(&b, NULL, false, code, message);
    http_answer(t, req, status, own, count, buf_slice(&b));
    buf_deinit(&b);
}

void http_refuse(struct mcp_http *t, struct http_request *req, int status, int code,
                 const char *message)
{
    static const struct http_header allow = {{"Allow", 5},
                                             {BROWSER_METHODS, sizeof(BROWSER_METHODS) - 1}};
    refuse_with(t, req, status, code, message, &allow, status == 405 ? 1 : 0);
}

/* The origin was checked when the request came in. */
void http_start_events(struct http_request *req)
{
    static const struct http_header own[] = {
        {{"Content-Type", 12}, {"text/event-stream", 17}},
        {{"Cache-Control", 13}, {"no-cache", 8}},
        {{"X-Accel-Buffering", 17}, {"no", 2}},
    };
    struct http_header all[HEADERS_MAX];
    (void)http_stream_start(req, 200, all, gather_headers(req, own, 3, all));
}

/* ---- methods ---- */

static void get_stream(struct mcp_http *t, struct http_session *s, struct http_request *req,
                       const struct mcp_identity *identity)
{
    struct slice last = http_request_header(req, "Last-Event-ID");
    if (!http_accepts(req, "text/event-stream"))
        http_refuse(t, req, 406, MCP_INVALID_REQUEST, "Accept must have text/event-stream");
    else if (last.ptr)
        http_session_resume(s, req, identity, last);
    else
        http_session_listen(s, req, identity);
}

/* GET and DELETE are about a session; the stateless revision has neither. */
static void handle_session(struct mcp_http *t, struct http_request *req,
                           const struct mcp_identity *identity, bool is_delete)
{
    const char *fault;
    int status;
    struct slice version = http_request_header(req, HTTP_VERSION_HEADER);
    if (version.ptr && !http_is_handshake_version(version)) {
        http_refuse(t, req, 405, MCP_INVALID_REQUEST, "this protocol revision knows only POST");
        return;
    }
    struct http_session *s = http_named_session(t, req, identity, &fault, &status);
    if (!s) {
        http_refuse(t, req, status, status == 404 ? MCP_SESSION_NOT_FOUND : MCP_INVALID_REQUEST,
                    fault);
    } else if (is_delete) {
        http_session_end(t, s);
        http_answer(t, req, 204, NULL, 0, SLICE_EMPTY);
    } else {
        get_stream(t, s, req, identity);
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

static bool is_method(const struct http_request *req, const char *name)
{
    return slice_is_equal(http_request_method(req), slice_from_cstr(name));
}

/* The caller is known. A client that went away meanwhile gets no stream and starts nothing; what
 * it told a session counts. */
static void route(struct mcp_http *t, struct http_request *req, const struct mcp_identity *identity)
{
    bool is_gone = http_request_is_gone(req);
    if (t->is_closing)
        http_refuse(t, req, 503, MCP_SERVER_BUSY, "the server is stopping");
    else if (is_gone &&
             (!is_method(req, "POST") || !http_request_header(req, HTTP_SESSION_HEADER).ptr))
        http_respond(req, 503, NULL, 0, SLICE_EMPTY); /* nobody hears it */
    else if (is_method(req, "POST"))
        http_post(t, req, identity);
    else if (is_method(req, "GET"))
        handle_session(t, req, identity, false);
    else if (is_method(req, "DELETE"))
        handle_session(t, req, identity, true);
    else
        http_refuse(t, req, 405, MCP_INVALID_REQUEST, "the methods are " BROWSER_METHODS);
}

/* ---- who calls ---- */

static void authenticate(struct mcp_http *t, struct http_request *req)
{
    struct mcp_http_admission *admission =
        arena_calloc(http_request_arena(req), 1, sizeof(*admission));
    if (!admission) {
        http_refuse(t, req, 503, MCP_INTERNAL_ERROR, "out of memory");
        return;
    }
    *admission = (struct mcp_http_admission){.transport = t, .req = req};
    t->exchanges++;
    t->options.authenticate(t->options.auth_ctx, admission, req);
}

/* The admission dies with its request, which the next step answers. */
static struct mcp_http *end_admission(struct mcp_http_admission *admission)
{
    assert(!admission->is_over);
    admission->is_over = true;
    http_request_on_gone(admission->req, NULL, NULL); /* was the authenticator's */
    return admission->transport;
}

static void admission_ended(struct mcp_http *t)
{
    t->exchanges--;
    http_try_free(t);
}

void mcp_http_admit(struct mcp_http_admission *admission, const struct mcp_identity *identity)
{
    struct http_request *req = admission->req;
    struct mcp_http *t = end_admission(admission);
    route(t, req, identity);
    admission_ended(t);
}

void mcp_http_refuse(struct mcp_http_admission *admission, int status,
                     const struct http_header *headers, size_t count, const char *message)
{
    struct http_request *req = admission->req;
    struct mcp_http *t = end_admission(admission);
    refuse_with(t, req, status, status >= 500 ? MCP_INTERNAL_ERROR : MCP_INVALID_REQUEST, message,
                headers, count);
    admission_ended(t);
}

void mcp_http_handle(struct mcp_http *t, struct http_request *req)
{
    if (t->is_closing)
        http_refuse(t, req, 503, MCP_SERVER_BUSY, "the server is stopping");
    else if (!http_check_host(t, req))
        http_refuse(t, req, 403, MCP_INVALID_REQUEST, "this Host is not one of the server's names");
    else if (!http_check_origin(t, req))
        http_refuse(t, req, 403, MCP_INVALID_REQUEST, "this Origin may not use the server");
    else if (is_method(req, "OPTIONS"))
        handle_options(t, req);
    else if (t->options.authenticate)
        authenticate(t, req);
    else
        route(t, req, t->options.identity);
}

/* ---- life ---- */

static void on_janitor_closed(uv_handle_t *handle)
{
    struct mcp_http *t = handle->data;
    t->is_janitor_closed = true;
    http_try_free(t);
}

static void on_janitor(uv_timer_t *timer)
{
    struct mcp_http *t = timer->data;
    bool is_second = t->ticks++ % TICKS_A_SECOND == 0;
    http_wires_tick(t);
    if (is_second || t->is_closing)
        http_sessions_tick(t);
    if (is_second)
        mcp_server_tick(t->server);
    if (t->is_closing && t->session_count == 0 && !t->is_janitor_closing) {
        t->is_janitor_closing = true;
        uv_close((uv_handle_t *)&t->janitor, on_janitor_closed);
    }
}

void http_hurry(struct mcp_http *t)
{
    if (!t->is_janitor_closing)
        uv_timer_start(&t->janitor, on_janitor, 0, JANITOR_MS);
}

static uint32_t or_default(uint32_t value, uint32_t otherwise)
{
    return value ? value : otherwise;
}

int mcp_http_new(uv_loop_t *loop, struct mcp_server *server, const struct mcp_http_options *options,
                 const struct log *log, struct mcp_http **out)
{
    struct mcp_http *t = mem_calloc(1, sizeof(*t));
    if (!t)
        return BASE_ENOMEM;
    *t = (struct mcp_http){.loop = loop, .server = server, .options = *options, .log = log};
    struct mcp_http_options *o = &t->options;
    o->sessions_max = or_default(o->sessions_max, 10000);
    o->session_idle_ms = or_default(o->session_idle_ms, 30 * 60 * 1000);
    o->keepalive_ms = or_default(o->keepalive_ms, 15 * 1000);
    o->retry_ms = or_default(o->retry_ms, 1000);
    o->replay_bytes = or_default(o->replay_bytes, 256 << 10);
    o->replay_ms = or_default(o->replay_ms, 60 * 1000);
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

/* Sessions without a call in flight end on the next turn of the loop, the others when their calls
 * have ended. */
void mcp_http_close(struct mcp_http *t, mcp_http_closed_fn closed, void *ctx)
{
    assert(!t->is_closing);
    t->is_closing = true;
    t->closed = closed;
    t->closed_ctx = ctx;
    uv_ref((uv_handle_t *)&t->janitor);
    http_hurry(t);
}

uint32_t mcp_http_sessions(const struct mcp_http *t)
{
    return t->session_count;
}
