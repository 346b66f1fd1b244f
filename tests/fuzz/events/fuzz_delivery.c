/* Any bytes as a delivery by HTTP: the first one says who delivers and as what, the rest are the
 * body; in binary mode header lines come first, an empty line ends them. No consumer is attached,
 * so that what is good is asked for again. */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/http_server.h"
#include "events/source_http.h"
#include "wire/peer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ROUNDS_MAX 200

enum { FROM_DAPRD = 1, AS_BINARY = 2, AS_BULK = 4 };

struct fixture {
    uv_loop_t loop;
    struct http_server *server;
    struct source_http *source;
    char start[16]; /* of the answer */
    size_t received;
};

static void on_event(void *ctx, const struct consumer_event *event, struct consumer_turn *turn)
{
    (void)ctx;
    (void)event;
    (void)turn;
    assert(false); /* there is no consumer */
}

static void on_request(void *ctx, struct http_request *req)
{
    const struct fixture *f = ctx;
    if (!source_http_handle(f->source, req))
        http_respond(req, 404, NULL, 0, SLICE_EMPTY);
}

static void on_closed(void *ctx)
{
    struct fixture *f = ctx;
    f->server = NULL;
}

static void write_request(struct buf *out, int how, struct slice rest)
{
    struct slice lines = {rest.ptr, 0};
    const char *end =
        how & AS_BINARY && rest.len > 1 ? memmem(rest.ptr, rest.len, "\n\n", 2) : NULL;
    if (end) {
        lines.len = (size_t)(end - rest.ptr) + 1;
        rest = (struct slice){end + 2, rest.len - lines.len - 1};
    }
    buf_append_cstr(out, "POST /e HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: ");
    buf_append_cstr(out, how & (AS_BINARY | AS_BULK) ? "application/json" : CLOUDEVENT_MIME);
    buf_append_cstr(out, "\r\n");
    if (how & AS_BINARY)
        buf_append_cstr(out, "ce-specversion: 1.0\r\n");
    buf_append_slice(out, lines);
    buf_printf(out, "Content-Length: %zu\r\n\r\n", rest.len);
    buf_append_slice(out, rest);
    assert(!buf_status(out));
}

static void talk(struct fixture *f, struct slice request)
{
    int fd = peer_connect(http_server_port(f->server));
    ssize_t sent = send(fd, request.ptr, request.len, MSG_NOSIGNAL);
    assert(sent == (ssize_t)request.len); /* less than the kernel's buffer */
    for (int i = 0; i < ROUNDS_MAX && f->received < sizeof(f->start); i++) {
        uv_run(&f->loop, UV_RUN_ONCE);
        ssize_t count =
            recv(fd, f->start + f->received, sizeof(f->start) - f->received, MSG_DONTWAIT);
        f->received += count > 0 ? (size_t)count : 0;
    }
    close(fd);
}

static int open_source(struct fixture *f, int how)
{
    static const struct consumer_route route = {EVENT_TASK_DELETED, "/e", on_event, NULL};
    const struct source_http_options options = {
        .routes = &route, .route_count = 1, .pubsub = how & FROM_DAPRD ? "p" : NULL};
    return source_http_new(&options, NULL, &f->source, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fixture f = {0};
    struct buf request;
    if (size == 0)
        return 0;
    int status = uv_loop_init(&f.loop);
    assert(status == 0);
    status = open_source(&f, data[0]);
    assert(status == 0);
    status = http_server_new(&f.loop, &http_limits_default, NULL, on_request, &f, &f.server);
    assert(status == 0);
    status = http_server_listen(f.server, "127.0.0.1", 0, NULL);
    assert(status == 0);
    buf_init(&request, 1u << 20);
    write_request(&request, data[0], (struct slice){(const char *)data + 1, size - 1});
    talk(&f, buf_slice(&request));
    assert(f.received > 12 && memcmp(f.start, "HTTP/1.1 ", 9) == 0);
    buf_deinit(&request);
    http_server_close(f.server, 0, on_closed, &f);
    uv_run(&f.loop, UV_RUN_DEFAULT);
    status = uv_loop_close(&f.loop);
    assert(!f.server && status == 0);
    source_http_free(f.source);
    return 0;
}
