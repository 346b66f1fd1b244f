/* Bytes sent to the HTTP server by one client of its own loop. The first byte is the size of the
 * pieces that they come in (0: all at once). The path says how a request is answered: "/s…" as a
 * stream, "/l…" after all was read, others at once. Afterwards the server must have let go of the
 * client, serve another one, and close. */
#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/http_server.h"
#include "wire/peer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LATER_MAX 16
/* Rounds of the loop, each of which waits for an event or for the server's janitor. */
#define ROUNDS_MAX 200

struct fixture {
    uv_loop_t loop;
    struct http_server *server;
    struct http_request *later[LATER_MAX];
    size_t later_count;
    bool is_closed;
    size_t received;
    char start[16]; /* of what the client received */
};

/* ---- the server's side ---- */

static void respond(struct http_request *req)
{
    static const struct http_header type = {{"Content-Type", 12}, {"text/plain", 10}};
    struct slice host = http_request_header(req, "host");
    http_respond(req, 200, &type, 1, host.len > 0 ? host : http_request_body(req));
}

static void stream(struct http_request *req)
{
    int status = http_stream_start(req, 200, NULL, 0);
    for (int i = 0; i < 3 && !status; i++)
        status = http_stream_write(req, http_request_path(req));
    http_stream_end(req);
}

static void on_request(void *ctx, struct http_request *req)
{
    struct fixture *f = ctx;
    struct slice path = http_request_path(req);
    assert(http_request_method(req).len > 0 && http_request_is_loopback(req));
    if (path.len > 1 && path.ptr[1] == 's')
        stream(req);
    else if (path.len > 1 && path.ptr[1] == 'l' && f->later_count < LATER_MAX)
        f->later[f->later_count++] = req;
    else
        respond(req);
}

static void on_closed(void *ctx)
{
    struct fixture *f = ctx;
    f->is_closed = true;
}

/* The order is turned round: answers must leave in that of the requests all the same. */
static void answer_later(struct fixture *f)
{
    while (f->later_count > 0)
        respond(f->later[--f->later_count]);
}

/* ---- the client's side ---- */

static void receive(struct fixture *f, int fd)
{
    char bytes[4096];
    ssize_t count;
    while ((count = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0) {
        for (ssize_t i = 0; i < count && f->received < sizeof(f->start); i++)
            f->start[f->received++] = bytes[i];
    }
}

static void turn(struct fixture *f, int fd, uv_run_mode mode)
{
    uv_run(&f->loop, mode);
    receive(f, fd);
}

/* Sends what the server takes; it may have closed the connection in the middle. */
static void send_pieces(struct fixture *f, int fd, const char *bytes, size_t len, size_t piece)
{
    size_t done = 0;
    while (done < len) {
        size_t want = piece == 0 || piece > len - done ? len - done : piece;
        ssize_t sent = send(fd, bytes + done, want, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN)
            return;
        done += sent > 0 ? (size_t)sent : 0;
        turn(f, fd, UV_RUN_NOWAIT);
    }
}

static void talk(struct fixture *f, const char *bytes, size_t len, size_t piece)
{
    f->received = 0;
    int fd = peer_connect(http_server_port(f->server));
    for (int i = 0; i < ROUNDS_MAX && http_server_connections(f->server) == 0; i++)
        turn(f, fd, UV_RUN_ONCE);
    assert(http_server_connections(f->server) == 1);
    send_pieces(f, fd, bytes, len, piece);
    shutdown(fd, SHUT_WR);
    for (int i = 0; i < ROUNDS_MAX && http_server_connections(f->server) > 0; i++) {
        answer_later(f);
        turn(f, fd, UV_RUN_ONCE);
    }
    assert(http_server_connections(f->server) == 0);
    answer_later(f);
    receive(f, fd);
    close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct http_limits limits = {.header_bytes = 512,
                                              .body_bytes = 1024,
                                              .connections = 4,
                                              .pipeline = 4,
                                              .request_ms = 3600000,
                                              .idle_ms = 3600000,
                                              .write_stall_ms = 3600000,
                                              .arena_bytes = 65536,
                                              .stream_bytes = 4096};
    static const char hello[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    struct fixture f = {.is_closed = false};
    if (size == 0)
        return 0;
    int status = uv_loop_init(&f.loop);
    assert(status == 0);
    status = http_server_new(&f.loop, &limits, NULL, on_request, &f, &f.server);
    assert(status == 0);
    status = http_server_listen(f.server, "127.0.0.1", 0, NULL);
    assert(status == 0);
    talk(&f, (const char *)data + 1, size - 1, data[0]);
    assert(f.received == 0 || memcmp(f.start, "HTTP/1.1 ", 9) == 0);
    talk(&f, hello, sizeof(hello) - 1, 0);
    assert(f.received > 12 && memcmp(f.start, "HTTP/1.1 200", 12) == 0);
    http_server_close(f.server, 0, on_closed, &f);
    uv_run(&f.loop, UV_RUN_DEFAULT);
    status = uv_loop_close(&f.loop);
    assert(f.is_closed && status == 0);
    return 0;
}
