/* Listening, the janitor (one timer for all connections) and the end. */
#include "base/http_server.h"

#include <assert.h>
#include <stdio.h>
#include <time.h>

#include "base/error.h"
#include "base/http_int.h"
#include "base/log.h"
#include "base/mem.h"

#define JANITOR_MS 250
#define BACKLOG    1024

const struct http_limits http_limits_default = {
    .header_bytes = 16 << 10,
    .body_bytes = 1 << 20,
    .connections = 1024,
    .pipeline = 64,
    .request_ms = 30000,
    .idle_ms = 60000,
    .write_stall_ms = 30000,
    .arena_bytes = 8 << 20,
    .stream_bytes = 1 << 20,
};

/* Made once a second at most. */
const char *http_server_date(struct http_server *s)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    if (s->date_s != (uint64_t)now.tv_sec) {
        struct tm utc;
        gmtime_r(&now.tv_sec, &utc);
        strftime(s->date, sizeof(s->date), "%a, %d %b %Y %H:%M:%S GMT", &utc);
        s->date_s = (uint64_t)now.tv_sec;
    }
    return s->date;
}

static void force_close_all(struct http_server *s)
{
    for (struct http_conn *c = s->conns, *next; c; c = next) {
        next = c->next;
        http_conn_close(c);
    }
}

static void accept_waiting(struct http_server *s)
{
    for (struct http_listener *l = s->listeners; l; l = l->next) {
        if (l->is_waiting && !uv_is_closing((uv_handle_t *)&l->tcp))
            l->is_waiting = !http_conn_accept(s, (uv_stream_t *)&l->tcp);
    }
}

static void on_janitor(uv_timer_t *timer)
{
    struct http_server *s = timer->data;
    uint64_t now = uv_now(s->loop);
    accept_waiting(s);
    for (struct http_conn *c = s->conns, *next; c; c = next) {
        next = c->next;
        http_conn_expire(c, now);
    }
    if (s->is_closing && now >= s->drain_by_ms)
        force_close_all(s);
}

int http_server_new(uv_loop_t *loop, const struct http_limits *limits, const struct log *log,
                    http_request_fn on_request, void *ctx, struct http_server **out)
{
    struct http_server *s = mem_calloc(1, sizeof(*s));
    if (!s)
        return BASE_ENOMEM;
    s->loop = loop;
    s->limits = *limits;
    s->log = log;
    s->on_request = on_request;
    s->ctx = ctx;
    http_conn_settings_init(&s->settings);
    uv_timer_init(loop, &s->janitor);
    s->janitor.data = s;
    uv_timer_start(&s->janitor, on_janitor, JANITOR_MS, JANITOR_MS);
    *out = s;
    return 0;
}

static void on_connection(uv_stream_t *stream, int status)
{
    struct http_listener *l = (struct http_listener *)stream;
    if (status < 0)
        log_warn(l->server->log, "accept failed", log_str("reason", uv_strerror(status)));
    else
        l->is_waiting = !http_conn_accept(l->server, stream);
}

static void on_listener_closed(uv_handle_t *handle)
{
    struct http_listener *l = (struct http_listener *)handle;
    struct http_server *s = l->server;
    struct http_listener **at = &s->listeners;
    while (*at != l)
        at = &(*at)->next;
    *at = l->next;
    mem_free(l);
    http_server_try_free(s);
}

static uint16_t port_of(const uv_tcp_t *tcp)
{
    struct sockaddr_storage address;
    int size = sizeof(address);
    if (uv_tcp_getsockname(tcp, (struct sockaddr *)&address, &size))
        return 0;
    const void *raw = &address;
    return ntohs(address.ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)raw)->sin6_port
                                               : ((const struct sockaddr_in *)raw)->sin_port);
}

static int bind_and_listen(struct http_listener *l, const char *host, uint16_t port)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } address;
    int status = uv_ip4_addr(host, port, &address.v4);
    if (status)
        status = uv_ip6_addr(host, port, &address.v6);
    if (!status)
        status = uv_tcp_bind(&l->tcp, &address.any, 0);
    if (!status)
        status = uv_listen((uv_stream_t *)&l->tcp, BACKLOG, on_connection);
    return status;
}

int http_server_listen(struct http_server *s, const char *host, uint16_t port, struct error *err)
{
    struct http_listener *l = mem_calloc(1, sizeof(*l));
    if (!l)
        return error_set(err, BASE_ENOMEM, NULL, "out of memory");
    l->server = s;
    int status = uv_tcp_init(s->loop, &l->tcp);
    assert(!status);
    bool is_first = !s->listeners;
    l->next = s->listeners;
    s->listeners = l;
    status = bind_and_listen(l, host, port);
    if (status) {
        uv_close((uv_handle_t *)&l->tcp, on_listener_closed);
        return error_set(err, status, NULL, "cannot listen at %s port %u: %s", host, port,
                         uv_strerror(status));
    }
    if (is_first)
        s->port = port_of(&l->tcp);
    return 0;
}

uint16_t http_server_port(const struct http_server *s)
{
    return s->port;
}

void http_server_measure(struct http_server *s, http_measure_fn fn, void *ctx)
{
    s->measure = fn;
    s->measure_ctx = ctx;
}

uint32_t http_server_connections(const struct http_server *s)
{
    return s->conn_count;
}

static void on_janitor_closed(uv_handle_t *handle)
{
    struct http_server *s = handle->data;
    http_closed_fn closed = s->closed;
    void *ctx = s->closed_ctx;
    while (s->free_requests) {
        struct http_request *req = s->free_requests;
        s->free_requests = req->next;
        http_request_destroy(req);
    }
    mem_free(s);
    closed(ctx);
}

/* Frees once nothing is left that points here. */
void http_server_try_free(struct http_server *s)
{
    if (!s->is_closing || s->listeners || s->conns || s->closing_count > 0 ||
        s->request_count > 0 || s->is_janitor_closed)
        return;
    s->is_janitor_closed = true;
    uv_close((uv_handle_t *)&s->janitor, on_janitor_closed);
}

/* That they are to end. Corked, since what ends would leave the list. */
static void tell_streams(struct http_conn *c)
{
    c->is_corked = true;
    for (struct http_request *req = c->first; req; req = req->next) {
        if (req->is_streaming && !req->is_answered && req->on_gone)
            req->on_gone(req->on_gone_ctx, req);
    }
    c->is_corked = false;
}

void http_server_leave(struct http_server *s)
{
    s->is_leaving = true;
}

void http_server_close(struct http_server *s, uint32_t drain_ms, http_closed_fn closed, void *ctx)
{
    assert(!s->is_closing);
    s->is_closing = true;
    s->closed = closed;
    s->closed_ctx = ctx;
    s->drain_by_ms = uv_now(s->loop) + drain_ms;
    for (struct http_listener *l = s->listeners; l; l = l->next) {
        if (!uv_is_closing((uv_handle_t *)&l->tcp))
            uv_close((uv_handle_t *)&l->tcp, on_listener_closed);
    }
    for (struct http_conn *c = s->conns, *next; c; c = next) {
        next = c->next;
        tell_streams(c);
        http_conn_finish_reading(c);
    }
    http_server_try_free(s);
}
