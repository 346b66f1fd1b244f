/* A call's way:
 *
 *   call_start -> send -> on_answer -> reply -> freed
 *                  ^          | no connection, or a read that broke, and time is left
 *                  |          v
 *               on_tick <- client.waiting
 *
 * The probe (GET /v1.0/healthz/outbound) runs beside the calls: on_probe_timer -> on_probe -> the
 * next one after 5 s, or with backoff while there is no yes. */
#include "dapr/client.h"

#include <assert.h>
#include <string.h>

#include "base/http_client.h"
#include "base/http_server.h"
#include "base/log.h"
#include "base/mem.h"
#include "dapr/client_int.h"

#define PORT             3500
#define TIMEOUT_MS       10000
#define CALLS_MAX        256
#define CONNECTIONS_MAX  16
#define ANSWER_MAX_BYTES ((uint32_t)4 << 20)
#define BODY_MAX_BYTES   ((size_t)32 << 20)
#define URL_MAX_BYTES    8192
#define TRIES_MAX        4
#define RETRY_MS         50 /* doubling */
#define TICK_MS          25
#define PROBE_MS         5000 /* while it is up */
#define PROBE_MIN_MS     50   /* while it is not, doubling */
#define PROBE_MAX_MS     1000
#define PROBE_TIMEOUT_MS 2000

struct waiter {
    struct waiter *next;
    uint64_t deadline_ms;
    dapr_done_fn fn;
    void *ctx;
};

struct dapr_client {
    uv_loop_t *loop;
    const struct log *log;
    struct dapr_client_options options;
    struct http_client *http;
    char base[320]; /* "http://127.0.0.1:3500" */
    char *token;    /* "" where none is sent */
    struct dapr_call *waiting;
    struct waiter *waiters;
    uv_timer_t tick, probe_timer;
    uint32_t probe_wait_ms;
    uint32_t call_count; /* in flight or waiting */
    int open_handles;
    bool is_up, is_probing, is_probed, is_closing;
    dapr_closed_fn closed;
    void *closed_ctx;
};

/* ---- making a call ---- */

struct dapr_call *call_new(struct dapr_client *c, const char *method, dapr_reply_fn reply)
{
    struct dapr_call *call = mem_calloc(1, sizeof(*call));
    if (!call)
        return NULL;
    call->client = c;
    call->method = method;
    call->reply = reply;
    buf_init(&call->url, URL_MAX_BYTES);
    buf_init(&call->body, BODY_MAX_BYTES);
    buf_init(&call->if_match, URL_MAX_BYTES);
    buf_init(&call->names, BODY_MAX_BYTES);
    buf_append_cstr(&call->url, c->base);
    return call;
}

void call_free(struct dapr_call *call)
{
    buf_deinit(&call->url);
    buf_deinit(&call->body);
    buf_deinit(&call->if_match);
    buf_deinit(&call->names);
    mem_free(call);
}

void call_path(struct dapr_call *call, const char *path)
{
    buf_append_cstr(&call->url, path);
}

/* RFC 3986, section 2.3: what stands for itself. */
static bool is_unreserved(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

static void append_encoded(struct buf *b, struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (is_unreserved(c))
            buf_append_char(b, (char)c);
        else
            buf_printf(b, "%%%02X", c);
    }
}

void call_segment(struct dapr_call *call, struct slice text)
{
    buf_append_char(&call->url, '/');
    append_encoded(&call->url, text);
}

void call_query(struct dapr_call *call, const char *name, struct slice value)
{
    buf_append_char(&call->url, call->has_query ? '&' : '?');
    call->has_query = true;
    buf_append_cstr(&call->url, name);
    buf_append_char(&call->url, '=');
    append_encoded(&call->url, value);
}

void call_query_int(struct dapr_call *call, const char *name, uint32_t value)
{
    call_query(call, name, SLICE_EMPTY);
    buf_append_i64(&call->url, value);
}

void call_name(struct dapr_call *call, struct slice name)
{
    buf_append_slice(&call->names, name);
    buf_append_char(&call->names, '\0');
    call->name_count++;
}

struct slice call_next_name(const struct dapr_call *call, size_t *at)
{
    struct slice name = slice_from_cstr(call->names.ptr + *at);
    *at += name.len + 1;
    return name;
}

/* ---- health ---- */

static void on_probe_timer(uv_timer_t *timer);

static void call_waiters(struct dapr_client *c, int status)
{
    struct waiter *list = c->waiters;
    struct error err = {0};
    c->waiters = NULL;
    if (status)
        error_set(&err, status, NULL, "%s", "the client is closed");
    while (list) {
        struct waiter *next = list->next;
        list->fn(list->ctx, status, status ? &err : NULL);
        mem_free(list);
        list = next;
    }
}

static void set_up(struct dapr_client *c, bool is_up)
{
    bool is_change = c->is_up != is_up || (!is_up && !c->is_probed);
    c->is_up = is_up;
    c->is_probed = true;
    if (!is_change || c->is_closing)
        return;
    if (is_up)
        log_info(c->log, "sidecar is up", log_str("address", c->base));
    else
        log_warn(c->log, "sidecar is down", log_str("address", c->base));
    if (c->options.on_change)
        c->options.on_change(c->options.ctx, is_up);
}

static void probe_later(struct dapr_client *c)
{
    uint32_t wait_ms = PROBE_MS;
    if (!c->is_up) {
        wait_ms = c->probe_wait_ms;
        c->probe_wait_ms = wait_ms * 2 > PROBE_MAX_MS ? PROBE_MAX_MS : wait_ms * 2;
    }
    uv_timer_start(&c->probe_timer, on_probe_timer, wait_ms, 0);
}

static void on_probe(void *ctx, int status, const struct http_client_response *res,
                     const struct error *err)
{
    struct dapr_client *c = ctx;
    (void)err;
    c->is_probing = false;
    if (c->is_closing)
        return;
    bool is_up = status == 0 && res->status >= 200 && res->status <= 299;
    if (is_up)
        c->probe_wait_ms = PROBE_MIN_MS;
    set_up(c, is_up);
    if (is_up && !c->is_closing)
        call_waiters(c, 0);
    if (!c->is_closing)
        probe_later(c);
}

static size_t set_headers(const struct dapr_client *c, struct http_header *headers)
{
    headers[0] = (struct http_header){SLICE_LIT("dapr-api-token"), slice_from_cstr(c->token)};
    return c->token[0] ? 1 : 0;
}

static void probe(struct dapr_client *c)
{
    char url[sizeof(c->base) + 32];
    struct buf b;
    struct http_header headers[1];
    buf_init_fixed(&b, url, sizeof(url));
    buf_printf(&b, "%s/v1.0/healthz/outbound", c->base);
    struct http_client_request req = {.method = "GET",
                                      .url = url,
                                      .headers = headers,
                                      .header_count = set_headers(c, headers),
                                      .timeout_ms = PROBE_TIMEOUT_MS,
                                      .is_direct = true};
    if (http_client_start(c->http, &req, on_probe, c, NULL, NULL) == 0)
        c->is_probing = true;
    else
        probe_later(c);
}

static void on_probe_timer(uv_timer_t *timer)
{
    probe(timer->data);
}

/* A call did not find it: look now. */
static void suspect(struct dapr_client *c)
{
    if (!c->is_probing && !c->is_closing && c->is_up)
        uv_timer_start(&c->probe_timer, on_probe_timer, 0, 0);
}

bool dapr_client_is_up(const struct dapr_client *c)
{
    return c->is_up;
}

/* ---- sending ---- */

static void on_tick(uv_timer_t *timer);

static void end_call(struct dapr_call *call, int status, const struct dapr_reply *reply,
                     const struct error *err)
{
    call->client->call_count--;
    call->reply(call, status, reply, err);
    call_free(call);
}

static bool can_retry(const struct dapr_call *call, int status)
{
    const struct dapr_client *c = call->client;
    bool is_safe = status == DAPR_EUNAVAILABLE || (status == DAPR_EUNKNOWN && call->is_read);
    uint64_t due_ms = uv_now(c->loop) + ((uint64_t)RETRY_MS << (call->tries - 1));
    return is_safe && !call->is_once && !c->is_closing && call->tries < TRIES_MAX &&
           due_ms < call->deadline_ms;
}

static void wait_turn(struct dapr_call *call)
{
    struct dapr_client *c = call->client;
    call->due_ms = uv_now(c->loop) + ((uint64_t)RETRY_MS << (call->tries - 1));
    call->prev = NULL;
    call->next = c->waiting;
    if (c->waiting)
        c->waiting->prev = call;
    c->waiting = call;
    if (!uv_is_active((uv_handle_t *)&c->tick))
        uv_timer_start(&c->tick, on_tick, TICK_MS, TICK_MS);
}

static void unlink_waiting(struct dapr_call *call)
{
    if (call->prev)
        call->prev->next = call->next;
    else
        call->client->waiting = call->next;
    if (call->next)
        call->next->prev = call->prev;
}

static void on_failure(struct dapr_call *call, int http_status, const struct error *why)
{
    struct error err = {0};
    int status = answer_failure(http_status, why, &err);
    if (status == DAPR_EUNAVAILABLE || status == DAPR_EUNKNOWN || status == DAPR_ETIMEOUT)
        suspect(call->client);
    if (can_retry(call, status))
        wait_turn(call);
    else
        end_call(call, status, NULL, &err);
}

static void on_answer(void *ctx, int status, const struct http_client_response *res,
                      const struct error *why)
{
    struct dapr_call *call = ctx;
    struct error err = {0};
    if (status) {
        on_failure(call, status, why);
        return;
    }
    struct dapr_reply reply = {
        .http_status = res->status, .body = res->body, .etag = http_client_header(res, "ETag")};
    int code = answer_status(&reply, &err);
    end_call(call, code, &reply, code ? &err : NULL);
}

static int send_call(struct dapr_call *call, struct error *err)
{
    struct dapr_client *c = call->client;
    struct http_header headers[3];
    uint64_t now = uv_now(c->loop);
    size_t count = set_headers(c, headers);
    if (call->body.len > 0)
        headers[count++] = (struct http_header){
            SLICE_LIT("Content-Type"),
            slice_from_cstr(call->content_type ? call->content_type : "application/json")};
    if (call->if_match.len > 0)
        headers[count++] = (struct http_header){SLICE_LIT("If-Match"), buf_slice(&call->if_match)};
    struct http_client_request req = {
        .method = call->method,
        .url = call->url.ptr,
        .headers = headers,
        .header_count = count,
        .body = buf_slice(&call->body),
        .timeout_ms = (uint32_t)(call->deadline_ms > now ? call->deadline_ms - now : 1),
        .max_bytes = c->options.answer_max_bytes,
        .is_direct = true,
    };
    call->tries++;
    return http_client_start(c->http, &req, on_answer, call, NULL, err);
}

int call_start(struct dapr_call *call, struct error *err)
{
    struct dapr_client *c = call->client;
    int status = buf_status(&call->url);
    if (!status)
        status = buf_status(&call->body);
    if (!status)
        status = buf_status(&call->if_match);
    if (!status)
        status = buf_status(&call->names);
    if (status)
        error_set(err, status, NULL, "%s",
                  status == BASE_ELIMIT ? "the request is too large" : "out of memory");
    else if (c->is_closing)
        status = error_set(err, BASE_ECLOSED, NULL, "the client is closed");
    else if (c->call_count >= c->options.calls_max)
        status = error_set(err, BASE_ELIMIT, NULL, "too many calls of the sidecar are in flight");
    call->deadline_ms = uv_now(c->loop) + c->options.timeout_ms;
    if (!status)
        status = send_call(call, err);
    if (status)
        call_free(call);
    else
        c->call_count++;
    return status;
}

void call_reply_done(struct dapr_call *call, int status, const struct dapr_reply *reply,
                     const struct error *err)
{
    (void)reply;
    call->fn.done(call->ctx, status, err);
}

/* ---- time ---- */

static void send_again(struct dapr_call *call)
{
    struct error err = {0};
    unlink_waiting(call);
    int status = send_call(call, &err);
    if (status)
        end_call(call, status, NULL, &err);
}

/* A callback may close the client or start calls; the list is read anew after each. */
static void send_due(struct dapr_client *c)
{
    uint64_t now = uv_now(c->loop);
    struct dapr_call *call = c->waiting;
    while (call && !c->is_closing) {
        struct dapr_call *next = call->next;
        if (call->due_ms <= now) {
            send_again(call);
            next = c->waiting;
        }
        call = next;
    }
}

static void end_late_waiters(struct dapr_client *c)
{
    uint64_t now = uv_now(c->loop);
    struct waiter **at = &c->waiters;
    struct error err = {0};
    error_set(&err, DAPR_EUNAVAILABLE, NULL, "the sidecar did not come up in time");
    while (*at && !c->is_closing) {
        struct waiter *w = *at;
        if (w->deadline_ms > now) {
            at = &w->next;
            continue;
        }
        *at = w->next;
        w->fn(w->ctx, DAPR_EUNAVAILABLE, &err);
        mem_free(w);
        at = &c->waiters;
    }
}

static void on_tick(uv_timer_t *timer)
{
    struct dapr_client *c = timer->data;
    send_due(c);
    end_late_waiters(c);
    if (!c->waiting && !c->waiters)
        uv_timer_stop(&c->tick);
}

int dapr_client_wait(struct dapr_client *c, uint32_t timeout_ms, dapr_done_fn fn, void *ctx)
{
    if (c->is_closing)
        return BASE_ECLOSED;
    struct waiter *w = mem_alloc(sizeof(*w));
    if (!w)
        return BASE_ENOMEM;
    *w = (struct waiter){
        .next = c->waiters, .deadline_ms = uv_now(c->loop) + timeout_ms, .fn = fn, .ctx = ctx};
    c->waiters = w;
    uv_timer_start(&c->tick, on_tick, TICK_MS, TICK_MS);
    /* Asked anew, so that the answer is not an old one. */
    if (!c->is_probing && c->is_up)
        uv_timer_start(&c->probe_timer, on_probe_timer, 0, 0);
    return 0;
}

/* ---- life ---- */

static void client_free(struct dapr_client *c)
{
    mem_free(c->token);
    mem_free(c);
}

static int fill_options(struct dapr_client *c, const struct dapr_client_options *o,
                        struct error *err)
{
    const char *host = o->host ? o->host : "127.0.0.1";
    const char *token = o->api_token ? o->api_token : "";
    struct buf b;
    buf_init_fixed(&b, c->base, sizeof(c->base));
    buf_printf(&b, strchr(host, ':') ? "http://[%s]:%u" : "http://%s:%u", host,
               o->port ? o->port : PORT);
    if (buf_status(&b) || !*host || strcspn(host, "/?#@ \t\r\n") != strlen(host))
        return error_set(err, BASE_EINVAL, "host", "the sidecar's host is malformed");
    if (strcspn(token, "\r\n") != strlen(token))
        return error_set(err, BASE_EINVAL, "api_token", "the API token has a line break");
    c->token = mem_strdup(token);
    if (!c->token)
        return error_set(err, BASE_ENOMEM, NULL, "out of memory");
    c->options = *o;
    c->options.host = c->options.api_token = NULL;
    c->options.timeout_ms = o->timeout_ms ? o->timeout_ms : TIMEOUT_MS;
    c->options.calls_max = o->calls_max ? o->calls_max : CALLS_MAX;
    c->options.answer_max_bytes = o->answer_max_bytes ? o->answer_max_bytes : ANSWER_MAX_BYTES;
    return 0;
}

int dapr_client_new(uv_loop_t *loop, const struct dapr_client_options *options,
                    const struct log *log, struct dapr_client **out, struct error *err)
{
    struct dapr_client *c = mem_calloc(1, sizeof(*c));
    if (!c)
        return error_set(err, BASE_ENOMEM, NULL, "out of memory");
    c->loop = loop;
    c->log = log;
    c->probe_wait_ms = PROBE_MIN_MS;
    int status = fill_options(c, options, err);
    struct http_client_options http = {
        .calls_max = c->options.calls_max + 1, /* the probe */
        .connections_per_host =
            options->connections_max ? options->connections_max : CONNECTIONS_MAX,
    };
    if (!status && http_client_new(loop, &http, &c->http))
        status = error_set(err, BASE_ENOMEM, NULL, "out of memory");
    if (status) {
        client_free(c);
        return status;
    }
    uv_timer_init(loop, &c->tick);
    uv_timer_init(loop, &c->probe_timer);
    c->tick.data = c->probe_timer.data = c;
    c->open_handles = 2;
    uv_timer_start(&c->probe_timer, on_probe_timer, 0, 0);
    *out = c;
    return 0;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct dapr_client *c = handle->data;
    if (--c->open_handles > 0)
        return;
    dapr_closed_fn closed = c->closed;
    void *ctx = c->closed_ctx;
    client_free(c);
    closed(ctx);
}

/* What was in flight has been told by now; what waits is told here. */
static void on_http_closed(void *ctx)
{
    struct dapr_client *c = ctx;
    struct error err = {0};
    error_set(&err, BASE_ECLOSED, NULL, "the client is closed");
    while (c->waiting) {
        struct dapr_call *call = c->waiting;
        unlink_waiting(call);
        end_call(call, BASE_ECLOSED, NULL, &err);
    }
    call_waiters(c, BASE_ECLOSED);
    uv_close((uv_handle_t *)&c->tick, on_timer_closed);
    uv_close((uv_handle_t *)&c->probe_timer, on_timer_closed);
}

void dapr_client_close(struct dapr_client *c, dapr_closed_fn closed, void *ctx)
{
    assert(!c->is_closing);
    c->is_closing = true;
    c->closed = closed;
    c->closed_ctx = ctx;
    uv_timer_stop(&c->tick);
    uv_timer_stop(&c->probe_timer);
    http_client_close(c->http, on_http_closed, c);
}
