/* The end of an HTTP server whose clients go in the middle of it. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "support/unit.h"

#include "base/http_server.h"
#include "base/log.h"

struct fixture {
    uv_loop_t loop;
    struct http_server *server;
    struct http_request *request;
    int client;
    bool is_closed;
};

/* A handler that gives up on a request as soon as its client is gone. */
static void on_gone(void *ctx, struct http_request *req)
{
    struct fixture *f = ctx;
    f->request = NULL;
    http_respond(req, 200, NULL, 0, SLICE_EMPTY);
}

static void on_request(void *ctx, struct http_request *req)
{
    struct fixture *f = ctx;
    f->request = req;
    http_request_on_gone(req, on_gone, f);
}

static void on_closed(void *ctx)
{
    struct fixture *f = ctx;
    f->is_closed = true;
}

static int connect_client(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static void reset_client(int fd)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
    close(fd);
}

static void start(struct fixture *f)
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_int_equal(uv_loop_init(&f->loop), 0);
    assert_int_equal(
        http_server_new(&f->loop, &http_limits_default, NULL, on_request, f, &f->server), 0);
    assert_int_equal(http_server_listen(f->server, "127.0.0.1", 0, NULL), 0);
    f->client = connect_client(http_server_port(f->server));
    assert_int_equal(write(f->client, request, sizeof(request) - 1), (int)sizeof(request) - 1);
    while (!f->request)
        uv_run(&f->loop, UV_RUN_ONCE);
}

static void finish(struct fixture *f)
{
    while (!f->is_closed)
        uv_run(&f->loop, UV_RUN_ONCE);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&f->loop), 0);
}

static void a_client_that_goes_during_the_drain_ends_the_server(void **state)
{
    struct fixture f = {0};
    (void)state;
    start(&f);
    http_server_close(f.server, 60000, on_closed, &f);
    for (int i = 0; i < 3; i++) /* the listener's close callback */
        uv_run(&f.loop, UV_RUN_NOWAIT);
    assert_false(f.is_closed);
    reset_client(f.client);
    finish(&f);
}

static void a_request_in_flight_is_answered_before_the_end(void **state)
{
    char answer[256] = {0};
    struct fixture f = {0};
    (void)state;
    start(&f);
    http_server_close(f.server, 60000, on_closed, &f);
    http_respond(f.request, 200, NULL, 0, SLICE_LIT("done"));
    finish(&f);
    assert_true(read(f.client, answer, sizeof(answer) - 1) > 0);
    assert_non_null(strstr(answer, "Connection: close"));
    assert_non_null(strstr(answer, "\r\n\r\ndone"));
    close(f.client);
}

static void a_request_that_never_ends_is_cut_when_the_time_is_over(void **state)
{
    struct fixture f = {0};
    (void)state;
    start(&f);
    http_server_close(f.server, 1, on_closed, &f);
    finish(&f);
    assert_null(f.request);
    close(f.client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_that_goes_during_the_drain_ends_the_server),
        cmocka_unit_test(a_request_in_flight_is_answered_before_the_end),
        cmocka_unit_test(a_request_that_never_ends_is_cut_when_the_time_is_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
