#include "fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"

#define TURN_MS  5
#define WAIT_NS  (UINT64_C(10000) * 1000000)
#define IN_BYTES (16 << 20)

/* ---- the server ---- */

static void on_gone(void *ctx, struct http_request *req)
{
    struct fixture *f = ctx;
    f->gone_count++;
    f->gone = req;
}

static void on_request(void *ctx, struct http_request *req)
{
    struct fixture *f = ctx;
    struct slice path = http_request_path(req);
    f->request_count++;
    if (slice_is_equal(path, SLICE_LIT("/now"))) {
        http_respond(req, 200, NULL, 0, SLICE_LIT("now"));
    } else if (slice_is_equal(path, SLICE_LIT("/echo"))) {
        http_respond(req, 200, NULL, 0, http_request_body(req));
    } else {
        assert_true(f->kept_count < KEPT_MAX);
        f->kept[f->kept_count++] = req;
        http_request_on_gone(req, on_gone, f);
        if (slice_is_equal(path, SLICE_LIT("/stream")))
            (void)http_stream_start(req, 200, NULL, 0);
    }
}

static void on_closed(void *ctx)
{
    struct fixture *f = ctx;
    f->server = NULL;
}

int fixture_setup(void **state)
{
    struct fixture *f = mem_calloc(1, sizeof(*f));
    f->limits = http_limits_default;
    *state = f;
    return uv_loop_init(&f->loop);
}

int fixture_teardown(void **state)
{
    struct fixture *f = *state;
    if (f->server)
        fixture_close(f, 0);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    mem_free(f);
    return 0;
}

int fixture_try_start(struct fixture *f)
{
    int status = http_server_new(&f->loop, &f->limits, NULL, on_request, f, &f->server);
    if (!status)
        status = http_server_listen(f->server, "127.0.0.1", 0, NULL);
    f->port = status ? 0 : http_server_port(f->server);
    return status;
}

void fixture_start(struct fixture *f)
{
    assert_int_equal(fixture_try_start(f), 0);
}

void fixture_begin_close(struct fixture *f, uint32_t drain_ms)
{
    http_server_close(f->server, drain_ms, on_closed, f);
}

void fixture_finish(struct fixture *f)
{
    fixture_wait(f, !f->server);
}

void fixture_close(struct fixture *f, uint32_t drain_ms)
{
    fixture_begin_close(f, drain_ms);
    fixture_finish(f);
}

void fixture_turn(struct fixture *f, uint64_t *since_ns)
{
    struct pollfd backend = {.fd = uv_backend_fd(&f->loop), .events = POLLIN};
    poll(&backend, 1, *since_ns ? TURN_MS : 0);
    uv_run(&f->loop, UV_RUN_NOWAIT);
    if (*since_ns == 0)
        *since_ns = uv_hrtime();
    else if (uv_hrtime() - *since_ns > WAIT_NS)
        fail_msg("waited for what does not come");
}

void fixture_wait_requests(struct fixture *f, int count)
{
    fixture_wait(f, f->request_count >= count);
    assert_int_equal(f->request_count, count);
}

void answer_kept(struct fixture *f, int index, const char *text)
{
    http_respond(f->kept[index], 200, NULL, 0, slice_from_cstr(text));
}

/* ---- a client ---- */

bool client_try_open(struct client *c, struct fixture *f)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(f->port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int on = 1;
    *c = (struct client){.f = f, .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    buf_init(&c->in, IN_BYTES);
    assert_true(c->fd >= 0);
    /* The kernel completes it from the listener's backlog, before the loop turns. */
    if (connect(c->fd, (const struct sockaddr *)&address, sizeof(address))) {
        client_close(c);
        return false;
    }
    assert_int_equal(setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)), 0);
    assert_int_equal(fcntl(c->fd, F_SETFL, O_NONBLOCK), 0);
    return true;
}

void client_open(struct client *c, struct fixture *f)
{
    assert_true(client_try_open(c, f));
}

void client_close(struct client *c)
{
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    buf_deinit(&c->in);
}

size_t client_send(struct client *c, struct slice bytes)
{
    size_t sent = 0;
    uint64_t since_ns = 0;
    while (sent < bytes.len) {
        ssize_t n = send(c->fd, bytes.ptr + sent, bytes.len - sent, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN)
            break;
        if (n > 0)
            since_ns = 0;
        else
            fixture_turn(c->f, &since_ns);
        sent += n > 0 ? (size_t)n : 0;
    }
    return sent;
}

void client_send_text(struct client *c, const char *text)
{
    assert_int_equal(client_send(c, slice_from_cstr(text)), strlen(text));
}

bool client_receive(struct client *c)
{
    char bytes[65536];
    ssize_t n = recv(c->fd, bytes, sizeof(bytes), 0);
    if (n > 0)
        buf_append(&c->in, bytes, (size_t)n);
    else if (n == 0 || errno != EAGAIN)
        c->is_ended = true;
    c->is_reset = c->is_reset || (n < 0 && errno != EAGAIN);
    assert_int_equal(buf_status(&c->in), 0);
    return n > 0 || c->is_ended;
}

/* Receives until `text` has come; where it ends. */
static size_t wait_for(struct client *c, const char *text)
{
    const char *at = NULL;
    uint64_t since_ns = 0;
    while (!(at = c->in.len ? strstr(c->in.ptr, text) : NULL)) {
        if (c->is_ended)
            fail_msg("the connection ended before %s; so far: %s", text,
                     c->in.len ? c->in.ptr : "");
        if (!client_receive(c))
            fixture_turn(c->f, &since_ns);
    }
    return (size_t)(at - c->in.ptr) + strlen(text);
}

static struct answer take_answer(struct client *c, bool is_head)
{
    struct answer a = {0};
    char length[128];
    size_t head_len = wait_for(c, "\r\n\r\n");
    assert_true(head_len < sizeof(a.head));
    memcpy(a.head, c->in.ptr, head_len);
    buf_consume(&c->in, head_len);
    assert_int_equal(strncmp(a.head, "HTTP/1.1 ", 9), 0);
    a.status = (int)strtol(a.head + 9, NULL, 10);
    if (!is_head)
        a.body_len = (size_t)strtol(answer_header(&a, "Content-Length", length), NULL, 10);
    fixture_wait(c->f, c->in.len >= a.body_len || (client_receive(c) && c->is_ended));
    assert_true(c->in.len >= a.body_len);
    a.body = mem_calloc(1, a.body_len + 1);
    if (a.body_len > 0)
        memcpy(a.body, c->in.ptr, a.body_len);
    buf_consume(&c->in, a.body_len);
    return a;
}

struct answer client_answer(struct client *c)
{
    return take_answer(c, false);
}

struct answer client_answer_to_head(struct client *c)
{
    return take_answer(c, true);
}

void answer_free(struct answer *a)
{
    mem_free(a->body);
}

const char *answer_header(const struct answer *a, const char *name, char *room)
{
    char start[64];
    snprintf(start, sizeof(start), "\r\n%s: ", name);
    const char *at = strstr(a->head, start);
    at = at ? at + strlen(start) : "\r";
    snprintf(room, 128, "%.*s", (int)strcspn(at, "\r"), at);
    return room;
}

void client_expect(struct client *c, int status, const char *body)
{
    struct answer a = client_answer(c);
    assert_int_equal(a.status, status);
    if (body)
        assert_string_equal(a.body, body);
    answer_free(&a);
}

void client_expect_text(struct client *c, const char *text)
{
    size_t end = wait_for(c, text);
    if (end != strlen(text))
        fail_msg("%s stands before %s", c->in.ptr, text);
    buf_consume(&c->in, end);
}

void client_expect_end(struct client *c)
{
    fixture_wait(c->f, c->is_ended || (client_receive(c) && c->is_ended));
    if (c->in.len > 0)
        fail_msg("more came: %s", c->in.ptr);
}

void client_expect_nothing(struct client *c)
{
    for (int i = 0; i < 3; i++)
        uv_run(&c->f->loop, UV_RUN_NOWAIT); /* what we sent is there at once, on loopback */
    assert_false(client_receive(c));
    assert_int_equal(c->in.len, 0);
}
