/* answers -> bytes, in the order of the requests. What is ready is written at once where the
 * socket takes it; the rest follows when it does. */
#include <assert.h>
#include <stdio.h>
#include <strings.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/http_int.h"
#include "base/mem.h"

/* ---- the request as the handler sees it ---- */

struct slice http_span_slice(const struct http_request *req, struct http_span span)
{
    return req->head.ptr ? (struct slice){req->head.ptr + span.at, span.len} : SLICE_EMPTY;
}

struct http_request *http_request_new(struct http_server *s)
{
    struct http_request *req = s->free_requests;
    if (req) {
        struct http_request fresh = {.head = req->head,
                                     .body = req->body,
                                     .out = req->out,
                                     .fields = req->fields,
                                     .field_cap = req->field_cap};
        s->free_requests = req->next;
        s->free_count--;
        *req = fresh;
    } else {
        req = mem_calloc(1, sizeof(*req));
        if (!req)
            return NULL;
        buf_init(&req->head, s->limits.header_bytes + 4096u);
        buf_init(&req->body, s->limits.body_bytes);
        buf_init(&req->out, SIZE_MAX / 4);
    }
    req->server = s;
    arena_init_sized(&req->arena, s->limits.arena_bytes, HTTP_ARENA_BYTES);
    req->since_us = s->measure ? clock_monotonic_us() : 0;
    s->request_count++;
    return req;
}

/* Makes room for `cap` fields, or gives back what is more. */
static bool resize_fields(struct http_request *req, uint32_t cap)
{
    struct http_field *fields = mem_realloc(req->fields, cap * sizeof(*fields));
    if (!fields)
        return false;
    req->fields = fields;
    req->field_cap = cap;
    return true;
}

/* A name comes in pieces; the first one clears the field. */
struct http_field *http_request_field(struct http_request *req)
{
    if (req->header_count == req->field_cap &&
        !resize_fields(req, req->field_cap ? 2 * req->field_cap : HTTP_FIELDS))
        return NULL;
    struct http_field *field = &req->fields[req->header_count];
    if (!req->is_in_field)
        *field = (struct http_field){0};
    req->is_in_field = true;
    return field;
}

/* Empties a buffer; one of more than `keep` bytes is given back. */
static void recycle(struct buf *b, size_t keep)
{
    if (b->cap > keep)
        buf_deinit(b);
    buf_reset(b);
}

void http_request_destroy(struct http_request *req)
{
    buf_deinit(&req->head);
    buf_deinit(&req->body);
    buf_deinit(&req->out);
    mem_free(req->fields);
    mem_free(req);
}

void http_request_free(struct http_request *req)
{
    struct http_server *s = req->server;
    req->conn = NULL;
    if (req->is_held) {
        req->is_ended = true;
        return;
    }
    arena_deinit(&req->arena);
    s->request_count--;
    if (s->free_count < HTTP_FREE_REQUESTS) {
        recycle(&req->head, HTTP_KEEP_BYTES);
        recycle(&req->body, HTTP_KEEP_BYTES);
        recycle(&req->out, HTTP_KEEP_BYTES);
        req->next = s->free_requests;
        s->free_requests = req;
        s->free_count++;
    } else {
        http_request_destroy(req);
    }
    http_server_try_free(s);
}

void http_request_hold(struct http_request *req)
{
    req->is_held = true;
}

void http_request_unhold(struct http_request *req)
{
    req->is_held = false;
    if (req->is_ended)
        http_request_free(req);
}

void http_request_tell_gone(struct http_request *req)
{
    if (req->is_gone_told || !req->on_gone)
        return;
    req->is_gone_told = true;
    req->on_gone(req->on_gone_ctx, req);
}

struct slice http_request_method(const struct http_request *req)
{
    return slice_from_cstr(llhttp_method_name((llhttp_method_t)req->method));
}

struct slice http_request_path(const struct http_request *req)
{
    struct slice target = http_span_slice(req, req->target);
    const char *query = target.len > 0 ? memchr(target.ptr, '?', target.len) : NULL;
    if (query)
        target.len = (size_t)(query - target.ptr);
    return target;
}

struct slice http_request_query(const struct http_request *req)
{
    struct slice target = http_span_slice(req, req->target);
    struct slice path = http_request_path(req);
    if (path.len == target.len)
        return SLICE_EMPTY;
    return (struct slice){target.ptr + path.len + 1, target.len - path.len - 1};
}

struct slice http_request_body(const struct http_request *req)
{
    return buf_slice(&req->body);
}

static struct slice trim(struct slice text)
{
    while (text.len > 0 && (text.ptr[text.len - 1] == ' ' || text.ptr[text.len - 1] == '\t'))
        text.len--;
    return text;
}

static bool is_named(const struct http_request *req, const struct http_field *field,
                     const char *name, size_t len)
{
    return field->name.len == len && req->head.ptr &&
           strncasecmp(req->head.ptr + field->name.at, name, len) == 0;
}

struct slice http_request_header(const struct http_request *req, const char *name)
{
    size_t len = strlen(name);
    for (uint32_t i = 0; i < req->header_count; i++) {
        if (is_named(req, &req->fields[i], name, len))
            return trim(http_span_slice(req, req->fields[i].value));
    }
    return SLICE_EMPTY;
}

size_t http_request_header_count(const struct http_request *req, const char *name)
{
    size_t len = strlen(name);
    size_t count = 0;
    for (uint32_t i = 0; i < req->header_count; i++)
        count += is_named(req, &req->fields[i], name, len);
    return count;
}

bool http_request_header_at(const struct http_request *req, size_t index, struct http_header *out)
{
    if (index >= req->header_count)
        return false;
    *out = (struct http_header){http_span_slice(req, req->fields[index].name),
                                trim(http_span_slice(req, req->fields[index].value))};
    return true;
}

struct arena *http_request_arena(struct http_request *req)
{
    return &req->arena;
}

const char *http_request_peer(const struct http_request *req)
{
    return req->conn ? req->conn->peer : "";
}

bool http_request_is_loopback(const struct http_request *req)
{
    return req->conn && req->conn->is_loopback;
}

void http_request_set_data(struct http_request *req, void *data)
{
    req->data = data;
}

void *http_request_data(const struct http_request *req)
{
    return req->data;
}

void http_request_on_gone(struct http_request *req, http_gone_fn fn, void *ctx)
{
    req->on_gone = fn;
    req->on_gone_ctx = ctx;
}

bool http_request_is_gone(const struct http_request *req)
{
    return !req->conn || req->conn->is_closing;
}

/* ---- writing ---- */

/* What a buffer may keep for the next answer: nothing where a stream idles in between. */
static size_t keep_bytes(const struct http_conn *c)
{
    return c->first && c->first->is_streaming ? 0 : HTTP_KEEP_BYTES;
}

static void on_written(uv_write_t *write, int status)
{
    struct http_conn *c = write->data;
    c->is_writing = false;
    if (c->is_closing)
        return;
    recycle(&c->in_write, keep_bytes(c));
    c->active_ms = uv_now(c->server->loop);
    if (status < 0)
        http_conn_close(c);
    else
        http_conn_flush(c);
}

static void write_rest(struct http_conn *c, size_t done)
{
    struct buf swap = c->in_write;
    buf_consume(&c->out, done);
    c->in_write = c->out;
    c->out = swap;
    c->is_writing = true;
    c->write.data = c;
    c->active_ms = uv_now(c->server->loop);
    uv_buf_t chunk = uv_buf_init(c->in_write.ptr, (unsigned)c->in_write.len);
    if (uv_write(&c->write, (uv_stream_t *)&c->tcp, &chunk, 1, on_written)) {
        c->is_writing = false;
        http_conn_close(c);
    }
}

static void write_out(struct http_conn *c)
{
    if (c->is_writing || c->out.len == 0)
        return;
    uv_buf_t chunk = uv_buf_init(c->out.ptr, (unsigned)c->out.len);
    int done = uv_try_write((uv_stream_t *)&c->tcp, &chunk, 1);
    if (done < 0 && done != UV_EAGAIN) {
        http_conn_close(c);
        return;
    }
    if (done >= 0 && (size_t)done == c->out.len)
        recycle(&c->out, keep_bytes(c));
    else
        write_rest(c, done > 0 ? (size_t)done : 0);
}

/* Moves the answers whose turn it is to the connection's buffer. */
static void gather(struct http_conn *c)
{
    while (c->first) {
        struct http_request *req = c->first;
        if (req->out.len > 0 && c->out.len == 0) {
            struct buf swap = c->out; /* no copy where nothing stands before it */
            c->out = req->out;
            req->out = swap;
        } else {
            buf_append_slice(&c->out, buf_slice(&req->out));
        }
        recycle(&req->out, keep_bytes(c));
        if (!req->is_answered)
            return;
        c->first = req->next;
        if (!c->first)
            c->last = NULL;
        c->in_flight--;
        http_request_free(req);
    }
}

static void on_shutdown(uv_shutdown_t *shutdown, int status)
{
    if (status < 0)
        http_conn_close(shutdown->data);
}

/* All is said. A client that was refused while it sent gets time to read why: were the connection
 * closed with its bytes unread, the reset would take the answer from it (RFC 9112 section 9.6). */
static void end(struct http_conn *c)
{
    if (!c->is_refused || c->linger_by_ms || c->server->is_closing) {
        http_conn_close(c);
        return;
    }
    c->linger_by_ms = uv_now(c->server->loop) + HTTP_LINGER_MS;
    c->shutdown.data = c;
    if (uv_shutdown(&c->shutdown, (uv_stream_t *)&c->tcp, on_shutdown))
        http_conn_close(c);
}

void http_conn_flush(struct http_conn *c)
{
    if (c->is_corked || c->is_closing)
        return;
    gather(c);
    if (buf_status(&c->out)) {
        http_conn_close(c);
        return;
    }
    write_out(c);
    if (c->is_closing)
        return;
    if (c->is_read_done && !c->first && !c->reading && !c->is_writing && c->out.len == 0)
        end(c);
    else if (c->is_paused)
        http_conn_resume(c);
}

/* ---- answers ---- */

/* RFC 9110 section 15, RFC 6585; llhttp has the names of its constants only. */
static const char *reason_of(int status)
{
    static const struct {
        int status;
        const char *reason;
    } known[] = {
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {303, "See Other"},
        {304, "Not Modified"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {410, "Gone"},
        {411, "Length Required"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {417, "Expectation Failed"},
        {421, "Misdirected Request"},
        {422, "Unprocessable Content"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (known[i].status == status)
            return known[i].reason;
    }
    return "Unknown";
}

static void write_head(struct http_request *req, int status, const struct http_header *headers,
                       size_t count)
{
    struct buf *out = &req->out;
    buf_append_cstr(out, "HTTP/1.1 ");
    buf_append_i64(out, status);
    buf_append_char(out, ' ');
    buf_append_cstr(out, reason_of(status));
    buf_append_cstr(out, "\r\nDate: ");
    buf_append_cstr(out, http_server_date(req->server));
    for (size_t i = 0; i < count; i++) {
        buf_append_cstr(out, "\r\n");
        buf_append_slice(out, headers[i].name);
        buf_append_cstr(out, ": ");
        buf_append_slice(out, headers[i].value);
    }
    if (!req->is_keep_alive)
        buf_append_cstr(out, "\r\nConnection: close");
    else if (req->is_http_1_0)
        buf_append_cstr(out, "\r\nConnection: keep-alive");
}

/* The last answer of a connection that is to end says so. */
static void settle_keep_alive(struct http_request *req)
{
    struct http_conn *c = req->conn;
    if (req->server->is_closing || req->server->is_leaving)
        c->is_read_done = true;
    if (c->is_read_done && c->last == req)
        req->is_keep_alive = false;
    if (!req->is_keep_alive)
        c->is_read_done = true;
}

/* The answer is complete: before it is sent, since the request may not outlive that. */
static void complete(struct http_request *req)
{
    const struct http_server *s = req->server;
    req->is_answered = true;
    if (!s->measure)
        return;
    const struct http_measure m = {.method = http_request_method(req),
                                   .path = http_request_path(req),
                                   .status = req->status,
                                   .duration_us = clock_monotonic_us() - req->since_us};
    s->measure(s->measure_ctx, &m);
}

/* The client of an answered request is gone: a connection that closes frees it in the end. */
static void drop_answer(struct http_request *req)
{
    if (!req->conn)
        http_request_free(req);
}

void http_respond(struct http_request *req, int status, const struct http_header *headers,
                  size_t header_count, struct slice body)
{
    assert(!req->is_answered && !req->is_streaming);
    struct http_conn *c = req->conn;
    req->status = http_request_is_gone(req) ? 0 : status;
    complete(req);
    if (http_request_is_gone(req)) {
        drop_answer(req);
        return;
    }
    settle_keep_alive(req);
    (void)buf_reserve(&req->out, body.len + 512); /* a failure shows in the appends */
    write_head(req, status, headers, header_count);
    if (status != 204 && status >= 200) {
        buf_append_cstr(&req->out, "\r\nContent-Length: ");
        buf_append_i64(&req->out, (int64_t)body.len);
    }
    buf_append_cstr(&req->out, "\r\n\r\n");
    if (req->method != HTTP_HEAD)
        buf_append_slice(&req->out, body);
    if (buf_status(&req->out))
        http_conn_close(c);
    else
        http_conn_flush(c);
}

void http_respond_refusal(struct http_request *req, int status)
{
    static const struct http_header type = {{"Content-Type", 12},
                                            {"text/plain; charset=utf-8", 25}};
    req->is_keep_alive = false;
    req->is_handed = true;
    http_respond(req, status, &type, 1, slice_from_cstr(reason_of(status)));
}

/* A stream lives long and idles most of it. The head stays: slices of it were handed out. */
static void shrink(struct http_request *req)
{
    if (req->header_count > 0)
        (void)resize_fields(req, req->header_count);
    buf_deinit(&req->body);
    if (!req->conn->is_writing)
        buf_deinit(&req->conn->in_write);
}

int http_stream_start(struct http_request *req, int status, const struct http_header *headers,
                      size_t header_count)
{
    assert(!req->is_answered && !req->is_streaming);
    struct http_conn *c = req->conn;
    req->is_streaming = true;
    if (!c)
        return BASE_ECLOSED;
    req->status = status;
    shrink(req);
    if (req->is_http_1_0)
        req->is_keep_alive = false;
    settle_keep_alive(req);
    write_head(req, status, headers, header_count);
    buf_append_cstr(&req->out,
                    req->is_http_1_0 ? "\r\n\r\n" : "\r\nTransfer-Encoding: chunked\r\n\r\n");
    http_conn_flush(c);
    return http_request_is_gone(req) ? BASE_ECLOSED : 0;
}

static void append_chunk(struct http_request *req, const struct slice *parts, size_t count,
                         size_t len)
{
    if (!req->is_http_1_0)
        buf_printf(&req->out, "%zx\r\n", len);
    for (size_t i = 0; i < count; i++)
        buf_append_slice(&req->out, parts[i]);
    if (!req->is_http_1_0)
        buf_append_cstr(&req->out, "\r\n");
}

int http_stream_write_parts(struct http_request *req, const struct slice *parts, size_t count)
{
    struct http_conn *c = req->conn;
    size_t len = 0;
    if (http_request_is_gone(req))
        return BASE_ECLOSED;
    for (size_t i = 0; i < count; i++)
        len += parts[i].len;
    if (len == 0 || req->method == HTTP_HEAD)
        return 0;
    size_t unsent = req->out.len + (c->first == req ? c->out.len + c->in_write.len : 0);
    append_chunk(req, parts, count, len);
    if (buf_status(&req->out) || unsent > req->server->limits.stream_bytes) {
        http_conn_close(c); /* a reader that does not read */
        return BASE_ECLOSED;
    }
    http_conn_flush(c);
    return c->is_closing ? BASE_ECLOSED : 0;
}

int http_stream_write(struct http_request *req, struct slice bytes)
{
    return http_stream_write_parts(req, &bytes, 1);
}

void http_stream_end(struct http_request *req)
{
    assert(req->is_streaming && !req->is_answered);
    struct http_conn *c = req->conn;
    complete(req);
    if (http_request_is_gone(req)) {
        drop_answer(req);
        return;
    }
    if (!req->is_http_1_0 && req->method != HTTP_HEAD)
        buf_append_cstr(&req->out, "0\r\n\r\n");
    http_conn_flush(c);
}
