/* bytes -> llhttp -> request -> handler.
 * All connections read into one buffer of the server; what must stay is copied to the request. */
#include <assert.h>

#include "base/error.h"
#include "base/http_int.h"
#include "base/log.h"
#include "base/mem.h"

static struct http_conn *conn_of(llhttp_t *parser)
{
    return parser->data;
}

/* ---- closing ---- */

/* A request whose connection is gone: freed now if answered, else when its handler answers. */
static void orphan(struct http_request *req)
{
    req->conn = NULL;
    req->next = NULL;
    if (req->is_answered || !req->is_handed)
        http_request_free(req);
    else
        http_request_tell_gone(req);
}

/* Only here do handlers hear that their client is gone: never from inside a call of theirs. */
static void on_conn_closed(uv_handle_t *handle)
{
    struct http_conn *c = handle->data;
    struct http_server *s = c->server;
    while (c->first) {
        struct http_request *req = c->first;
        c->first = req->next;
        orphan(req);
    }
    buf_deinit(&c->out);
    buf_deinit(&c->in_write);
    buf_deinit(&c->pending);
    mem_free(c);
    s->closing_count--;
    http_server_try_free(s);
}

static void unlink_conn(struct http_conn *c)
{
    if (c->prev)
        c->prev->next = c->next;
    else
        c->server->conns = c->next;
    if (c->next)
        c->next->prev = c->prev;
    c->server->conn_count--;
    c->server->closing_count++;
}

void http_conn_close(struct http_conn *c)
{
    if (c->is_closing)
        return;
    c->is_closing = true;
    unlink_conn(c);
    /* What a peer does not take must not wait for it in the kernel either. */
    if (!c->is_writing || uv_tcp_close_reset(&c->tcp, on_conn_closed))
        uv_close((uv_handle_t *)&c->tcp, on_conn_closed);
    if (c->reading) {
        http_request_free(c->reading);
        c->reading = NULL;
    }
}

void http_conn_finish_reading(struct http_conn *c)
{
    if (c->is_closing)
        return;
    c->is_read_done = true;
    if (c->reading) {
        http_request_free(c->reading);
        c->reading = NULL;
    }
    c->started_ms = 0;
    http_conn_flush(c);
}

/* Refuses what is being read; earlier requests are still answered. */
static int refuse(struct http_conn *c, int status)
{
    struct http_request *req = c->reading ? c->reading : http_request_new(c->server);
    c->reading = NULL;
    c->started_ms = 0;
    c->is_read_done = true;
    c->is_refused = true;
    if (!req) {
        http_conn_close(c);
        return HPE_USER;
    }
    req->conn = c;
    if (c->last)
        c->last->next = req;
    else
        c->first = req;
    c->last = req;
    c->in_flight++;
    http_respond_refusal(req, status);
    return HPE_USER;
}

/* ---- llhttp's callbacks; non-zero stops the parser ---- */

static int on_message_begin(llhttp_t *parser)
{
    struct http_conn *c = conn_of(parser);
    if (c->is_read_done)
        return HPE_USER;
    c->reading = http_request_new(c->server);
    if (!c->reading) {
        http_conn_close(c);
        return HPE_USER;
    }
    c->reading->conn = c;
    c->head_bytes = 0;
    c->started_ms = uv_now(c->server->loop);
    return 0;
}

/* `span` is NULL where memory for it is out. */
static int append_head(struct http_conn *c, struct http_span *span, const char *at, size_t len)
{
    struct buf *head = &c->reading->head;
    if (!span) {
        http_conn_close(c);
        return HPE_USER;
    }
    if (span->len == 0)
        span->at = (uint32_t)head->len;
    buf_append(head, at, len);
    if (buf_status(head)) {
        http_conn_close(c);
        return HPE_USER;
    }
    span->len += (uint32_t)len;
    return 0;
}

static int on_url(llhttp_t *parser, const char *at, size_t len)
{
    struct http_conn *c = conn_of(parser);
    if (c->head_bytes == 0) {
        c->lines_at = at;
        c->last_byte = '\0';
    }
    c->head_bytes += (uint32_t)len;
    if (c->head_bytes > c->server->limits.header_bytes)
        return refuse(c, 414);
    return append_head(c, &c->reading->target, at, len);
}

static int on_header_field(llhttp_t *parser, const char *at, size_t len)
{
    struct http_conn *c = conn_of(parser);
    struct http_request *req = c->reading;
    c->head_bytes += (uint32_t)len + 4;
    c->value_end = NULL;
    if (req->is_head_done) /* a trailer is no header: RFC 9110 section 6.5.1 */
        return c->head_bytes > c->server->limits.header_bytes ? refuse(c, 431) : 0;
    if (c->head_bytes > c->server->limits.header_bytes || req->header_count == HTTP_HEADERS_MAX)
        return refuse(c, 431);
    struct http_field *field = http_request_field(req);
    return append_head(c, field ? &field->name : NULL, at, len);
}

static int on_header_value(llhttp_t *parser, const char *at, size_t len)
{
    struct http_conn *c = conn_of(parser);
    struct http_request *req = c->reading;
    c->head_bytes += (uint32_t)len;
    if (c->head_bytes > c->server->limits.header_bytes)
        return refuse(c, 431);
    if (req->is_head_done)
        return 0;
    struct http_span *value = &req->fields[req->header_count].value; /* its name made room */
    if (value->len > 0 && c->value_end && at != c->value_end)
        return refuse(c, 400); /* a folded line: RFC 9112 section 5.2 */
    c->value_end = at + len;
    return append_head(c, value, at, len);
}

static int on_header_value_complete(llhttp_t *parser)
{
    struct http_conn *c = conn_of(parser);
    struct http_request *req = c->reading;
    if (!req->is_head_done)
        req->header_count++;
    req->is_in_field = false;
    c->value_end = NULL;
    return 0;
}

/* A token (RFC 9110 section 5.6.2): llhttp lets some names through that are none. */
static bool is_token(struct slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = (unsigned char)name.ptr[i];
        bool is_alnum = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
        if (!is_alnum && (c == 0 || !strchr("!#$%&'*+-.^_`|~", c)))
            return false;
    }
    return name.len > 0;
}

static bool has_valid_names(const struct http_request *req)
{
    for (uint32_t i = 0; i < req->header_count; i++) {
        if (!is_token(http_span_slice(req, req->fields[i].name)))
            return false;
    }
    return true;
}

/* 0, or the status that refuses the request. */
static int check_head(struct http_conn *c, const llhttp_t *parser)
{
    struct http_request *req = c->reading;
    if (parser->http_major != 1 || parser->http_minor > 1)
        return 505;
    size_t hosts = http_request_header_count(req, "host");
    if (hosts > 1 || (hosts == 0 && !req->is_http_1_0) || !has_valid_names(req))
        return 400;
    if ((parser->flags & F_CONTENT_LENGTH) && parser->content_length > c->server->limits.body_bytes)
        return 413;
    struct slice coding = http_request_header(req, "transfer-encoding");
    if (coding.len > 0 && !slice_is_equal_nocase(coding, SLICE_LIT("chunked")))
        return 501;
    if (coding.len > 0 && (parser->flags & F_CONTENT_LENGTH))
        return 400;
    struct slice expect = http_request_header(req, "expect");
    return expect.len > 0 && !slice_is_equal_nocase(expect, SLICE_LIT("100-continue")) ? 417 : 0;
}

static int on_headers_complete(llhttp_t *parser)
{
    struct http_conn *c = conn_of(parser);
    struct http_request *req = c->reading;
    req->method = parser->method;
    req->is_http_1_0 = parser->http_major == 1 && parser->http_minor == 0;
    req->is_keep_alive = llhttp_should_keep_alive(parser);
    req->is_head_done = true;
    int status = check_head(c, parser);
    if (status)
        return refuse(c, status);
    if (http_request_header(req, "expect").len > 0 && !c->first && !req->is_http_1_0) {
        buf_append_cstr(&c->out, "HTTP/1.1 100 Continue\r\n\r\n");
        http_conn_flush(c);
    }
    return HPE_PAUSED; /* so that execute() knows where the head ends */
}

static int on_body(llhttp_t *parser, const char *at, size_t len)
{
    struct http_conn *c = conn_of(parser);
    buf_append(&c->reading->body, at, len);
    if (buf_status(&c->reading->body) == BASE_ELIMIT)
        return refuse(c, 413);
    if (buf_status(&c->reading->body)) {
        http_conn_close(c);
        return HPE_USER;
    }
    return 0;
}

/* A client that asks and does not read gets no more done. */
static bool is_full(const struct http_conn *c)
{
    return c->in_flight >= c->server->limits.pipeline ||
           c->out.len + c->in_write.len > HTTP_UNSENT_BYTES;
}

static int on_message_complete(llhttp_t *parser)
{
    struct http_conn *c = conn_of(parser);
    struct http_request *req = c->reading;
    c->reading = NULL;
    c->started_ms = 0;
    if (c->last)
        c->last->next = req;
    else
        c->first = req;
    c->last = req;
    c->in_flight++;
    if (!req->is_keep_alive || parser->upgrade)
        c->is_read_done = true;
    req->is_handed = true;
    c->has_asked = true;
    c->server->on_request(c->server->ctx, req);
    if (c->is_closing)
        return HPE_USER;
    if (is_full(c) && !c->is_read_done) {
        c->is_paused = true;
        return HPE_PAUSED;
    }
    return 0;
}

void http_conn_settings_init(llhttp_settings_t *settings)
{
    llhttp_settings_init(settings);
    settings->on_message_begin = on_message_begin;
    settings->on_url = on_url;
    settings->on_header_field = on_header_field;
    settings->on_header_value = on_header_value;
    settings->on_header_value_complete = on_header_value_complete;
    settings->on_headers_complete = on_headers_complete;
    settings->on_body = on_body;
    settings->on_message_complete = on_message_complete;
}

/* ---- reading ---- */

static void hold_back(struct http_conn *c, const char *at, const char *end)
{
    buf_append(&c->pending, at, (size_t)(end - at));
    if (buf_status(&c->pending))
        http_conn_close(c);
    else
        uv_read_stop((uv_stream_t *)&c->tcp);
}

/* Each line of a head ends in CR LF, and neither of them stands anywhere else. llhttp takes LF
 * alone for an end too (RFC 9112 section 2.2 lets it), and some versions CR alone after an empty
 * value (CVE-2023-30589); a proxy in front may not. */
static bool has_whole_lines(struct http_conn *c, const char *end)
{
    const char *start = c->lines_at;
    if (!start || start == end)
        return true;
    if (c->last_byte == '\r' && *start != '\n')
        return false;
    for (const char *at = start, *lf; (lf = memchr(at, '\n', (size_t)(end - at))); at = lf + 1) {
        if ((lf == start ? c->last_byte : lf[-1]) != '\r')
            return false;
    }
    for (const char *at = start, *cr; (cr = memchr(at, '\r', (size_t)(end - at))); at = cr + 1) {
        if (cr + 1 < end && cr[1] != '\n')
            return false;
    }
    c->last_byte = end[-1];
    return true;
}

/* As llhttp_execute, with the lines of heads checked. */
static enum llhttp_errno execute(struct http_conn *c, const char *bytes, size_t len)
{
    const char *at = bytes;
    const char *end = bytes + len;
    for (;;) {
        enum llhttp_errno code = llhttp_execute(&c->parser, at, (size_t)(end - at));
        bool is_head_end = code == HPE_PAUSED && c->reading;
        at = is_head_end ? llhttp_get_error_pos(&c->parser) : end;
        if ((code == HPE_OK || is_head_end) && !has_whole_lines(c, at))
            return HPE_LF_EXPECTED;
        if (!is_head_end)
            return code;
        c->lines_at = NULL;
        llhttp_resume(&c->parser);
    }
}

static void parse(struct http_conn *c, const char *bytes, size_t len)
{
    c->is_corked = true;
    if (c->value_end)
        c->value_end = bytes; /* a value that went on to the end of the last chunk goes on here */
    if (c->lines_at)
        c->lines_at = bytes;
    enum llhttp_errno code = execute(c, bytes, len);
    if (c->is_closing)
        return;
    if (code == HPE_PAUSED)
        hold_back(c, llhttp_get_error_pos(&c->parser), bytes + len);
    else if (code != HPE_OK && !c->is_read_done)
        refuse(c, code == HPE_INVALID_VERSION ? 505 : 400);
    c->is_corked = false;
    if (!c->is_closing)
        http_conn_flush(c);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    struct http_conn *c = handle->data;
    (void)suggested;
    *out = uv_buf_init(c->server->read_bytes, HTTP_READ_BYTES);
}

/* The client sends no more. It may still read: what it asked for is answered, but a stream that
 * has no end would hold the connection for ever. */
static void on_end_of_input(struct http_conn *c)
{
    uv_read_stop((uv_stream_t *)&c->tcp);
    for (const struct http_request *req = c->first; req; req = req->next) {
        if (req->is_streaming) {
            http_conn_close(c);
            return;
        }
    }
    http_conn_finish_reading(c);
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *chunk)
{
    struct http_conn *c = stream->data;
    if (count == UV_EOF)
        on_end_of_input(c);
    else if (count < 0)
        http_conn_close(c);
    else if (count > 0) {
        c->active_ms = uv_now(c->server->loop);
        if (!c->is_read_done)
            parse(c, chunk->base, (size_t)count);
    }
}

void http_conn_resume(struct http_conn *c)
{
    if (!c->is_paused || c->is_closing || is_full(c))
        return;
    c->is_paused = false;
    llhttp_resume(&c->parser);
    struct buf held = c->pending;
    buf_init(&c->pending, HTTP_READ_BYTES);
    if (held.len > 0)
        parse(c, held.ptr, held.len);
    buf_deinit(&held);
    if (!c->is_closing && !c->is_paused && !c->is_read_done)
        uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);
}

/* ---- time ---- */

void http_conn_expire(struct http_conn *c, uint64_t now_ms)
{
    const struct http_limits *l = &c->server->limits;
    uint64_t still_ms = now_ms - c->active_ms;
    bool is_idle = !c->first && !c->reading && !c->is_writing;
    bool is_late = c->started_ms && now_ms - c->started_ms > l->request_ms;
    if ((c->is_writing && still_ms > l->write_stall_ms) ||
        (c->linger_by_ms && now_ms > c->linger_by_ms) ||
        (is_idle && !is_late && still_ms > l->idle_ms)) {
        http_conn_close(c);
    } else if (is_late) {
        refuse(c, 408);
        http_conn_flush(c);
    }
}

/* ---- the start ---- */

static void read_peer(struct http_conn *c)
{
    struct sockaddr_storage address;
    int size = sizeof(address);
    if (uv_tcp_getpeername(&c->tcp, (struct sockaddr *)&address, &size))
        return;
    const void *raw = &address;
    if (address.ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = raw;
        uv_ip6_name(v6, c->peer, sizeof(c->peer));
        c->is_loopback = IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr) ||
                         (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr) && v6->sin6_addr.s6_addr[12] == 127);
    } else {
        const struct sockaddr_in *v4 = raw;
        uv_ip4_name(v4, c->peer, sizeof(c->peer));
        c->is_loopback = ntohl(v4->sin_addr.s_addr) >> 24 == 127;
    }
}

static void refuse_crowd(struct http_conn *c)
{
    static const char answer[] =
        "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n"
        "Connection: close\r\n\r\n";
    uv_buf_t chunk = uv_buf_init((char *)(uintptr_t)answer, sizeof(answer) - 1);
    uv_try_write((uv_stream_t *)&c->tcp, &chunk, 1);
    http_conn_close(c);
}

/* Whoever only connects makes room for others: the connection before `newest` that has waited
 * longest for its first request. */
static struct http_conn *find_silent(struct http_conn *newest)
{
    struct http_conn *oldest = NULL;
    for (struct http_conn *c = newest->next; c; c = c->next) {
        if (!c->has_asked && c->in_flight == 0)
            oldest = c;
    }
    return oldest;
}

bool http_conn_accept(struct http_server *s, uv_stream_t *listener)
{
    struct http_conn *c = mem_calloc(1, sizeof(*c));
    if (!c) {
        log_warn(s->log, "no memory for a connection");
        return false;
    }
    c->server = s;
    uv_tcp_init(s->loop, &c->tcp);
    c->tcp.data = c;
    buf_init(&c->out, SIZE_MAX / 4);
    buf_init(&c->in_write, SIZE_MAX / 4);
    buf_init(&c->pending, HTTP_READ_BYTES);
    c->active_ms = uv_now(s->loop);
    c->next = s->conns;
    if (s->conns)
        s->conns->prev = c;
    s->conns = c;
    s->conn_count++;
    if (uv_accept(listener, (uv_stream_t *)&c->tcp)) {
        http_conn_close(c);
        return true;
    }
    struct http_conn *silent = s->conn_count > s->limits.connections ? find_silent(c) : NULL;
    if (silent)
        http_conn_close(silent);
    if (s->conn_count > s->limits.connections) {
        refuse_crowd(c);
        return true;
    }
    llhttp_init(&c->parser, HTTP_REQUEST, &s->settings);
    c->parser.data = c;
    read_peer(c);
    uv_tcp_nodelay(&c->tcp, 1);
    if (uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read))
        http_conn_close(c);
    return true;
}
