/* bytes -> lines -> messages -> mcp_dispatch -> lines out.
 *
 * States: READING -> (end of input, or close) DRAINING -> (nothing in flight, all written, or time
 * is up) ENDED -> (close was called) CLOSING -> handles closed -> freed.
 * Input and output may each be a stream (pipe, socket, terminal) or a file; a file is read through
 * libuv's pool and written directly, since a file never blocks for long. */
#include "mcp/stdio.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "mcp/peer.h"

#define READ_BYTES    65536
#define OUT_BYTES_MAX (64u << 20)

enum stdio_state { STDIO_READING, STDIO_DRAINING, STDIO_ENDED, STDIO_CLOSING };

union any_stream {
    uv_handle_t handle;
    uv_stream_t stream;
    uv_pipe_t pipe;
    uv_tty_t tty;
    uv_tcp_t tcp;
};

struct mcp_stdio {
    uv_loop_t *loop;           /* borrowed */
    struct mcp_server *server; /* borrowed */
    const struct log *log;     /* borrowed */
    struct mcp_peer peer;
    struct mcp_stdio_options options;
    enum stdio_state state;
    mcp_stdio_ended_fn ended;
    void *ctx;
    union any_stream in, out;
    bool is_in_stream, is_out_stream;
    bool is_reading; /* a read is armed */
    bool was_closed; /* mcp_stdio_close was called */
    bool has_told;   /* ended was called */
    uv_fs_t file_read;
    uv_timer_t timer; /* defers the end, and bounds draining */
    uv_write_t write;
    bool is_writing;
    struct buf line;     /* the unfinished line */
    struct buf queued;   /* output not handed to libuv yet */
    struct buf in_write; /* output that libuv is writing */
    bool is_skipping;    /* in a line that was too long */
    uint32_t in_flight;
    int open_handles;
    char bytes[READ_BYTES];
};

struct stdio_request {
    struct mcp_out out;
    struct mcp_stdio *t;
};

static void check_end(struct mcp_stdio *t);
static void on_timer(uv_timer_t *timer);
static void update_reading(struct mcp_stdio *t);

/* ---- output ---- */

static void output_broken(struct mcp_stdio *t, const char *why)
{
    log_debug(t->log, "stdio output closed", log_str("reason", why));
    buf_reset(&t->queued);
    if (t->state == STDIO_READING)
        t->state = STDIO_DRAINING;
    update_reading(t);
    if (t->state == STDIO_DRAINING) /* later, since the core may be in the middle of something */
        uv_timer_start(&t->timer, on_timer, 0, 0);
}

static void write_file(struct mcp_stdio *t)
{
    size_t at = 0;
    while (at < t->queued.len) {
        ssize_t n = write(t->options.out_fd, t->queued.ptr + at, t->queued.len - at);
        if (n < 0 && errno != EINTR) {
            output_broken(t, uv_strerror(-errno));
            return;
        }
        at += n > 0 ? (size_t)n : 0;
    }
    buf_reset(&t->queued);
}

static void flush(struct mcp_stdio *t);

static void on_written(uv_write_t *req, int status)
{
    struct mcp_stdio *t = req->data;
    t->is_writing = false;
    buf_reset(&t->in_write);
    if (status < 0)
        output_broken(t, uv_strerror(status));
    else
        flush(t);
    check_end(t);
}

static void flush(struct mcp_stdio *t)
{
    if (t->is_writing || t->queued.len == 0 || t->state >= STDIO_ENDED)
        return;
    if (!t->is_out_stream) {
        write_file(t);
        return;
    }
    struct buf swap = t->in_write;
    t->in_write = t->queued;
    t->queued = swap;
    uv_buf_t chunk = uv_buf_init(t->in_write.ptr, (unsigned)t->in_write.len);
    t->write.data = t;
    t->is_writing = true;
    int status = uv_write(&t->write, &t->out.stream, &chunk, 1, on_written);
    if (status) {
        t->is_writing = false;
        buf_reset(&t->in_write);
        output_broken(t, uv_strerror(status));
    }
}

static void send_line(struct mcp_stdio *t, struct slice json)
{
    buf_append_slice(&t->queued, json);
    buf_append_char(&t->queued, '\n');
    if (buf_status(&t->queued)) /* a peer that does not read, or no memory: no way to go on */
        output_broken(t, "too much unread output");
    else
        flush(t);
}

/* ---- messages ---- */

static void on_send(struct mcp_out *out, struct slice json)
{
    struct stdio_request *request = (struct stdio_request *)out;
    send_line(request->t, json);
}

/* A notification that belongs to no request. */
static void on_peer_notify(struct mcp_peer *peer, struct slice json)
{
    struct mcp_stdio *t = (struct mcp_stdio *)((char *)peer - offsetof(struct mcp_stdio, peer));
    if (t->state < STDIO_ENDED)
        send_line(t, json);
}

static void on_finish(struct mcp_out *out, struct slice json, int http_status)
{
    struct stdio_request *request = (struct stdio_request *)out;
    struct mcp_stdio *t = request->t;
    (void)http_status;
    t->in_flight--;
    if (json.len > 0 && t->state < STDIO_ENDED)
        send_line(t, json);
    mem_free(request);
    update_reading(t);
    check_end(t);
}

static void send_error(struct mcp_stdio *t, int code, const char *text)
{
    struct buf b;
    buf_init(&b, 4096);
    mcp_render_error(&b, NULL, true, code, text);
    if (!buf_status(&b))
        send_line(t, buf_slice(&b));
    buf_deinit(&b);
}

static void on_message(struct mcp_stdio *t, struct slice text)
{
    struct stdio_request *request = mem_alloc(sizeof(*request));
    if (!request) {
        send_error(t, MCP_INTERNAL_ERROR, "out of memory");
        return;
    }
    *request = (struct stdio_request){.out = {.send = on_send, .finish = on_finish}, .t = t};
    struct mcp_request_context rx = {
        .server = t->server, .peer = &t->peer, .identity = &t->peer.identity};
    struct mcp_message message;
    mcp_message_parse(&message, text);
    t->in_flight++;
    mcp_dispatch(&rx, &message, &request->out);
}

static bool is_blank(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (!strchr(" \t\r", text.ptr[i]))
            return false;
    }
    return true;
}

static void end_line(struct mcp_stdio *t)
{
    struct slice text = buf_slice(&t->line);
    if (t->is_skipping)
        send_error(t, MCP_PARSE_ERROR, "the message is longer than this server takes");
    else if (!is_blank(text))
        on_message(t, text);
    t->is_skipping = false;
    buf_reset(&t->line);
}

static void on_bytes(struct mcp_stdio *t, const char *bytes, size_t len)
{
    while (len > 0) {
        const char *newline = memchr(bytes, '\n', len);
        size_t part = newline ? (size_t)(newline - bytes) : len;
        if (!t->is_skipping)
            buf_append(&t->line, bytes, part);
        if (buf_status(&t->line))
            t->is_skipping = true;
        if (!newline)
            return;
        end_line(t);
        bytes += part + 1;
        len -= part + 1;
    }
}

static void on_end_of_input(struct mcp_stdio *t)
{
    if (t->line.len > 0 || t->is_skipping)
        end_line(t); /* the last line may lack its newline */
    if (t->state == STDIO_READING)
        t->state = STDIO_DRAINING;
    mcp_peer_hang_up(&t->peer);
    check_end(t);
}

/* ---- input ---- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    struct mcp_stdio *t = handle->data;
    (void)suggested;
    *out = uv_buf_init(t->bytes, READ_BYTES);
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *chunk)
{
    struct mcp_stdio *t = stream->data;
    if (count > 0) {
        on_bytes(t, chunk->base, (size_t)count);
    } else if (count < 0) {
        uv_read_stop(stream);
        t->is_reading = false;
        on_end_of_input(t);
    }
    update_reading(t);
}

static void on_file_read(uv_fs_t *req)
{
    struct mcp_stdio *t = req->data;
    ssize_t count = req->result;
    uv_fs_req_cleanup(req);
    t->is_reading = false;
    if (count > 0)
        on_bytes(t, t->bytes, (size_t)count);
    else if (t->state == STDIO_READING)
        on_end_of_input(t);
    update_reading(t);
    check_end(t);
}

/* Reading cannot go on: what came of an unended line is no message. */
static void on_read_failure(struct mcp_stdio *t)
{
    t->is_reading = false;
    if (t->state == STDIO_READING)
        t->state = STDIO_DRAINING;
    mcp_peer_hang_up(&t->peer);
    check_end(t);
}

/* Arms or disarms reading: only while READING, and not past the limit of requests in flight. */
static void update_reading(struct mcp_stdio *t)
{
    bool want = t->state == STDIO_READING && t->in_flight < t->options.in_flight;
    if (want == t->is_reading)
        return;
    if (want) {
        t->is_reading = true;
        uv_buf_t chunk = uv_buf_init(t->bytes, READ_BYTES);
        t->file_read.data = t;
        int status = t->is_in_stream ? uv_read_start(&t->in.stream, on_alloc, on_read)
                                     : uv_fs_read(t->loop, &t->file_read, t->options.in_fd, &chunk,
                                                  1, -1, on_file_read);
        if (status < 0)
            on_read_failure(t);
    } else if (t->is_in_stream) {
        uv_read_stop(&t->in.stream);
        t->is_reading = false;
    }
}

/* ---- the end ---- */

static void on_closed(uv_handle_t *handle)
{
    struct mcp_stdio *t = handle->data;
    if (--t->open_handles > 0)
        return;
    mcp_peer_deinit(&t->peer);
    buf_deinit(&t->line);
    buf_deinit(&t->queued);
    buf_deinit(&t->in_write);
    mem_free(t);
}

static bool is_quiet(const struct mcp_stdio *t)
{
    bool has_file_read = t->is_reading && !t->is_in_stream;
    return t->in_flight == 0 && !has_file_read;
}

/* Frees itself once closed, told, and nothing in flight points here. */
static void try_free(struct mcp_stdio *t)
{
    if (!t->was_closed || !t->has_told || !is_quiet(t) || t->state == STDIO_CLOSING)
        return;
    t->state = STDIO_CLOSING;
    uv_close((uv_handle_t *)&t->timer, on_closed);
    if (t->is_in_stream)
        uv_close(&t->in.handle, on_closed);
    if (t->is_out_stream)
        uv_close(&t->out.handle, on_closed);
}

static void on_timer(uv_timer_t *timer)
{
    struct mcp_stdio *t = timer->data;
    if (t->state < STDIO_ENDED)
        t->state = STDIO_ENDED;
    update_reading(t);
    if (!t->has_told) {
        t->has_told = true;
        t->ended(t->ctx);
    }
    try_free(t);
}

static void check_end(struct mcp_stdio *t)
{
    bool is_done = t->in_flight == 0 && !t->is_writing && t->queued.len == 0;
    if (t->state == STDIO_DRAINING && is_done)
        uv_timer_start(&t->timer, on_timer, 0, 0);
    else if (t->state == STDIO_ENDED)
        try_free(t);
}

void mcp_stdio_close(struct mcp_stdio *t, uint32_t drain_ms)
{
    assert(!t->was_closed);
    t->was_closed = true;
    if (t->state == STDIO_READING)
        t->state = STDIO_DRAINING;
    update_reading(t);
    mcp_peer_hang_up(&t->peer);
    if (t->has_told)
        try_free(t);
    else
        uv_timer_start(&t->timer, on_timer, drain_ms, 0);
    check_end(t);
}

/* ---- the start ---- */

static int open_stream(struct mcp_stdio *t, union any_stream *s, int fd, bool *is_stream)
{
    int status;
    switch (uv_guess_handle(fd)) {
    case UV_TTY:
        status = uv_tty_init(t->loop, &s->tty, fd, 0);
        break;
    case UV_NAMED_PIPE:
        status = uv_pipe_init(t->loop, &s->pipe, 0);
        status = status ? status : uv_pipe_open(&s->pipe, fd);
        break;
    case UV_TCP:
        status = uv_tcp_init(t->loop, &s->tcp);
        status = status ? status : uv_tcp_open(&s->tcp, fd);
        break;
    default:
        return 0; /* a file: read and written without a handle */
    }
    if (status)
        return status;
    s->handle.data = t;
    t->open_handles++;
    *is_stream = true;
    return 0;
}

int mcp_stdio_open(uv_loop_t *loop, struct mcp_server *server, const struct mcp_identity *identity,
                   const struct mcp_stdio_options *options, const struct log *log,
                   mcp_stdio_ended_fn ended, void *ctx, struct mcp_stdio **out, struct error *err)
{
    struct mcp_stdio *t = mem_calloc(1, sizeof(*t));
    if (!t)
        return error_set(err, BASE_ENOMEM, NULL, "out of memory");
    t->loop = loop;
    t->server = server;
    t->log = log;
    t->options = *options;
    t->ended = ended;
    t->ctx = ctx;
    mcp_peer_init(&t->peer, server, identity);
    t->peer.notify = on_peer_notify;
    buf_init(&t->line, options->line_bytes);
    buf_init(&t->queued, OUT_BYTES_MAX);
    buf_init(&t->in_write, OUT_BYTES_MAX);
    uv_timer_init(loop, &t->timer);
    t->timer.data = t;
    t->open_handles = 1;
    int status = open_stream(t, &t->in, options->in_fd, &t->is_in_stream);
    if (!status)
        status = open_stream(t, &t->out, options->out_fd, &t->is_out_stream);
    if (status) {
        t->has_told = true;
        t->was_closed = true;
        t->state = STDIO_ENDED;
        try_free(t);
        return error_set(err, status, NULL, "cannot use stdio: %s", uv_strerror(status));
    }
    *out = t;
    update_reading(t);
    return 0;
}
