/* events/source_http when memory ends: each delivery is answered, and what was not done is asked
 * for again. What it answers else: tests/hostile/events_test.py. */
#include "fixture.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/http_server.h"
#include "base/secret.h"
#include "events/source_http.h"
#include "support/mem_loop.h"

static const struct secret token = {.fixed = "t"};

struct site {
    struct fixture *f;
    struct http_server *server;
    struct source_http *source;
    char answer[512]; /* the beginning of it */
    size_t received;
};

static void on_request(void *ctx, struct http_request *req)
{
    const struct site *s = ctx;
    assert_true(source_http_handle(s->source, req));
}

static void on_closed(void *ctx)
{
    ((struct site *)ctx)->server = NULL;
}

static void open_site(struct site *s, struct fixture *f, const char *pubsub)
{
    const struct source_http_options options = {
        .routes = &f->route, .route_count = 1, .token = &token, .pubsub = pubsub};
    *s = (struct site){.f = f};
    assert_int_equal(source_http_new(&options, NULL, &s->source, NULL), 0);
    source_http_attach(s->source, f->consumer);
    assert_int_equal(
        http_server_new(&f->loop, &http_limits_default, NULL, on_request, s, &s->server), 0);
    assert_int_equal(http_server_listen(s->server, "127.0.0.1", 0, NULL), 0);
}

static void close_site(struct site *s)
{
    http_server_close(s->server, 1000, on_closed, s);
    fixture_wait(s->f, !s->server);
    source_http_free(s->source);
}

static int connect_site(const struct site *s)
{
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_port = htons(http_server_port(s->server)),
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const void *raw = &address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, raw, sizeof(address)), 0);
    return fd;
}

/* The answer's status; 0 where the server had no memory for one and cut the connection. */
static int post(struct site *s, const char *type, const char *headers, const char *body)
{
    char request[8192];
    int len = snprintf(request, sizeof(request),
                       "POST /events HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                       "dapr-api-token: t\r\nContent-Type: %s\r\n%sContent-Length: %zu\r\n\r\n%s",
                       type, headers, strlen(body), body);
    int fd = connect_site(s);
    assert_true(len > 0 && (size_t)len < sizeof(request));
    assert_int_equal(send(fd, request, (size_t)len, MSG_NOSIGNAL), len);
    ssize_t count;
    s->received = 0;
    while ((count = recv(fd, s->answer + s->received, sizeof(s->answer) - 1 - s->received,
                         MSG_DONTWAIT)) != 0) {
        s->received += count > 0 ? (size_t)count : 0;
        uv_run(&s->f->loop, UV_RUN_ONCE);
    }
    s->answer[s->received] = '\0';
    close(fd);
    return s->received > 12 ? (int)strtol(s->answer + 9, NULL, 10) : 0;
}

static void each_way_survives_lost_memory(struct fixture *f, const char *pubsub, const char *type,
                                          const char *headers, const char *body)
{
    struct site s;
    struct mem_loop loop = {0};
    open_site(&s, f, pubsub);
    while (mem_loop_next(&loop)) {
        f->runs = 0;
        int status = post(&s, type, headers, body);
        bool has_failed = mem_loop_has_failed(&loop);
        if (!has_failed) {
            assert_int_equal(status, 200);
            assert_int_equal(f->runs, 1);
        }
        assert_true(status == 200 || status == 503 || status == 400 || status == 401 ||
                    status == 413 || status == 0);
    }
    close_site(&s);
    assert_int_equal(dead_letters(f), 0);
}

static void a_delivery_of_the_relay_survives_lost_memory(void **state)
{
    struct fixture *f = *state;
    each_way_survives_lost_memory(f, NULL, CLOUDEVENT_MIME, "", event_text(f, NULL, NULL));
}

static void a_delivery_in_binary_mode_survives_lost_memory(void **state)
{
    struct fixture *f = *state;
    const char *data = strstr(event_text(f, NULL, NULL), "\"data\":") + 7;
    char body[1024];
    snprintf(body, sizeof(body), "%.*s", (int)strlen(data) - 1, data);
    each_way_survives_lost_memory(f, NULL, "application/json",
                                  "ce-specversion: 1.0\r\nce-id: " EVENT_ID
                                  "\r\nce-source: %2Fs\r\nce-type: TaskDeletedEvent\r\n"
                                  "ce-time: 2026-01-02T03:04:05Z\r\n",
                                  body);
}

static void a_bulk_of_daprd_survives_lost_memory(void **state)
{
    struct fixture *f = *state;
    char body[4096];
    snprintf(body, sizeof(body), "{\"entries\":[{\"entryId\":\"1\",\"event\":%s}]}",
             event_text(f, NULL, NULL));
    each_way_survives_lost_memory(f, "p", "application/json", "", body);
}

static void a_failed_allocation_makes_no_half_source(void **state)
{
    struct fixture *f = *state;
    struct mem_loop loop = {0};
    const struct source_http_options options = {
        .routes = &f->route, .route_count = 1, .token = &token, .pubsub = "p"};
    while (mem_loop_next(&loop)) {
        struct source_http *source = NULL;
        int status = source_http_new(&options, NULL, &source, NULL);
        mem_loop_expect(&loop, status, BASE_ENOMEM);
        if (source)
            source_http_free(source);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        consumer_test(a_delivery_of_the_relay_survives_lost_memory),
        consumer_test(a_delivery_in_binary_mode_survives_lost_memory),
        consumer_test(a_bulk_of_daprd_survives_lost_memory),
        consumer_test(a_failed_allocation_makes_no_half_source),
    };
    mem_loop_hook_cjson();
    return cmocka_run_group_tests(tests, postgres_setup, postgres_teardown);
}
