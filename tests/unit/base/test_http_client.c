/* The client against our own server on loopback: one loop carries both. */
#include "support/mem_loop.h"
#include "support/unit.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "base/error.h"
#include "base/http_client.h"
#include "base/http_server.h"
#include "base/mem.h"

struct answer {
    int count;
    int status;
    int http_status;
    char body[256];
    size_t body_len;
    char header[64];
    char text[256];
};

struct fixture {
    uv_loop_t loop;
    struct http_server *server;
    struct http_client *client;
    struct http_request *held; /* a request that the server does not answer */
    uint32_t connections_seen;
    struct answer answers[8];
    struct http_call *call;
    char url[128];
    char large[100000];
    bool is_server_closed, is_client_closed;
};

/* ---- the server ---- */

static void echo(struct http_request *req)
{
    static const struct http_header headers[] = {{{"X-Test", 6}, {"seen", 4}}};
    char text[200];
    struct slice method = http_request_method(req);
    struct slice body = http_request_body(req);
    struct slice own = http_request_header(req, "X-Own");
    int len =
        snprintf(text, sizeof(text), "%.*s|%.*s|%.*s", (int)method.len, method.ptr, (int)own.len,
                 own.ptr ? own.ptr : "", (int)body.len, body.ptr ? body.ptr : "");
    http_respond(req, 201, headers, 1, (struct slice){text, (size_t)len});
}

static void on_request(void *ctx, struct http_request *req)
{
    struct fixture *f = ctx;
    static const struct http_header location[] = {{{"Location", 8}, {"/echo", 5}}};
    struct slice path = http_request_path(req);
    if (http_server_connections(f->server) > f->connections_seen)
        f->connections_seen = http_server_connections(f->server);
    if (slice_is_equal(path, SLICE_LIT("/echo")))
        echo(req);
    else if (slice_is_equal(path, SLICE_LIT("/large")))
        http_respond(req, 200, NULL, 0, (struct slice){f->large, sizeof(f->large)});
    else if (slice_is_equal(path, SLICE_LIT("/moved")))
        http_respond(req, 302, location, 1, SLICE_EMPTY);
    else
        f->held = req;
}

static void on_server_closed(void *ctx)
{
    ((struct fixture *)ctx)->is_server_closed = true;
}

static void on_client_closed(void *ctx)
{
    ((struct fixture *)ctx)->is_client_closed = true;
}

/* ---- life ---- */

static int setup(void **state)
{
    struct fixture *f = test_calloc(1, sizeof(*f));
    *state = f;
    assert_int_equal(uv_loop_init(&f->loop), 0);
    assert_int_equal(
        http_server_new(&f->loop, &http_limits_default, NULL, on_request, f, &f->server), 0);
    assert_int_equal(http_server_listen(f->server, "127.0.0.1", 0, NULL), 0);
    assert_int_equal(http_client_new(&f->loop, &http_client_options_default, &f->client), 0);
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    if (f->held)
        http_respond(f->held, 200, NULL, 0, SLICE_EMPTY);
    if (f->client)
        http_client_close(f->client, on_client_closed, f);
    http_server_close(f->server, 0, on_server_closed, f);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_true(f->is_client_closed && f->is_server_closed);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    test_free(f);
    return 0;
}

static void on_answer(void *ctx, int status, const struct http_client_response *res,
                      const struct error *err)
{
    struct answer *a = ctx;
    a->count++;
    a->status = status;
    assert_true((status == 0) == (res != NULL));
    if (err)
        snprintf(a->text, sizeof(a->text), "%s", err->text);
    if (!res)
        return;
    struct slice header = http_client_header(res, "x-test");
    a->http_status = res->status;
    a->body_len = res->body.len;
    snprintf(a->body, sizeof(a->body), "%.*s", (int)(res->body.len < 200 ? res->body.len : 200),
             res->body.len ? res->body.ptr : "");
    snprintf(a->header, sizeof(a->header), "%.*s", (int)header.len, header.ptr ? header.ptr : "-");
}

static const char *url_of(struct fixture *f, const char *path)
{
    snprintf(f->url, sizeof(f->url), "http://127.0.0.1:%u%s", http_server_port(f->server), path);
    return f->url;
}

static void start(struct fixture *f, struct http_client_request req, struct answer *a)
{
    struct error err = {0};
    req.is_direct = true;
    assert_int_equal(http_client_start(f->client, &req, on_answer, a, &f->call, &err), 0);
    assert_int_equal(a->count, 0);
}

static void wait_for(struct fixture *f, const struct answer *a)
{
    while (a->count == 0)
        uv_run(&f->loop, UV_RUN_ONCE);
}

static struct answer *get(struct fixture *f, struct http_client_request req)
{
    struct answer *a = &f->answers[0];
    *a = (struct answer){0};
    start(f, req, a);
    wait_for(f, a);
    return a;
}

/* ---- tests ---- */

static void a_get_brings_status_headers_and_body(void **state)
{
    struct fixture *f = *state;
    struct answer *a =
        get(f, (struct http_client_request){.method = "GET", .url = url_of(f, "/echo")});
    assert_int_equal(a->status, 0);
    assert_int_equal(a->http_status, 201);
    assert_string_equal(a->header, "seen");
    assert_string_equal(a->body, "GET||");
}

static void a_post_carries_its_headers_and_body(void **state)
{
    struct fixture *f = *state;
    struct http_header headers[] = {{SLICE_LIT("X-Own"), SLICE_LIT("mine")},
                                    {SLICE_LIT("X-Empty"), SLICE_EMPTY}};
    struct answer *a = get(f, (struct http_client_request){.method = "POST",
                                                           .url = url_of(f, "/echo"),
                                                           .headers = headers,
                                                           .header_count = 2,
                                                           .body = SLICE_LIT("a body")});
    assert_string_equal(a->body, "POST|mine|a body");
}

static void an_empty_post_and_other_methods_work(void **state)
{
    struct fixture *f = *state;
    struct http_client_request req = {.method = "POST", .url = url_of(f, "/echo")};
    assert_string_equal(get(f, req)->body, "POST||");
    req.method = "DELETE";
    assert_string_equal(get(f, req)->body, "DELETE||");
    req.method = "PUT";
    req.body = SLICE_LIT("x");
    assert_string_equal(get(f, req)->body, "PUT||x");
    req.method = "HEAD";
    req.body = SLICE_EMPTY;
    assert_int_equal(get(f, req)->http_status, 201);
    assert_int_equal(get(f, req)->body_len, 0);
}

static void calls_one_after_the_other_share_a_connection(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 20; i++)
        get(f, (struct http_client_request){
                   .method = "POST", .url = url_of(f, "/echo"), .body = SLICE_LIT("small")});
    assert_int_equal(f->connections_seen, 1);
}

static void calls_at_the_same_time_all_end(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 8; i++)
        start(f, (struct http_client_request){.method = "GET", .url = url_of(f, "/echo")},
              &f->answers[i]);
    for (int i = 0; i < 8; i++) {
        wait_for(f, &f->answers[i]);
        assert_int_equal(f->answers[i].count, 1);
        assert_int_equal(f->answers[i].http_status, 201);
    }
}

static void a_redirect_is_an_answer_unless_it_shall_be_followed(void **state)
{
    struct fixture *f = *state;
    struct http_client_request req = {.method = "GET", .url = url_of(f, "/moved")};
    assert_int_equal(get(f, req)->http_status, 302);
    req.follows_redirects = true;
    assert_int_equal(get(f, req)->http_status, 201);
}

static void an_answer_over_the_limit_is_refused(void **state)
{
    struct fixture *f = *state;
    struct http_client_request req = {
        .method = "GET", .url = url_of(f, "/large"), .max_bytes = 99999};
    struct answer *a = get(f, req);
    assert_int_equal(a->status, BASE_ELIMIT);
    assert_string_equal(a->text, "the answer is too large");
    req.max_bytes = 100000;
    assert_int_equal(get(f, req)->status, 0);
    assert_int_equal(f->answers[0].body_len, 100000);
}

static void a_server_that_does_not_answer_is_given_up(void **state)
{
    struct fixture *f = *state;
    struct http_client_request req = {
        .method = "GET", .url = url_of(f, "/never"), .timeout_ms = 50};
    assert_int_equal(get(f, req)->status, UV_ETIMEDOUT);
}

static void a_cancelled_call_is_told_later_and_once(void **state)
{
    struct fixture *f = *state;
    struct answer *a = &f->answers[1];
    start(f, (struct http_client_request){.method = "GET", .url = url_of(f, "/never")}, a);
    while (!f->held)
        uv_run(&f->loop, UV_RUN_ONCE);
    http_client_cancel(f->call);
    http_client_cancel(f->call);
    assert_int_equal(a->count, 0);
    wait_for(f, a);
    assert_int_equal(a->status, UV_ECANCELED);
    assert_int_equal(
        get(f, (struct http_client_request){.method = "GET", .url = url_of(f, "/echo")})->status,
        0);
    assert_int_equal(a->count, 1);
}

static void closing_cancels_what_is_in_flight(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    struct http_client_request req = {.method = "GET", .url = url_of(f, "/never")};
    start(f, req, &f->answers[0]);
    start(f, req, &f->answers[1]);
    http_client_close(f->client, on_client_closed, f);
    assert_int_equal(http_client_start(f->client, &req, on_answer, &f->answers[2], NULL, &err),
                     BASE_ECLOSED);
    while (!f->is_client_closed)
        uv_run(&f->loop, UV_RUN_ONCE);
    f->client = NULL;
    assert_int_equal(f->answers[0].status, UV_ECANCELED);
    assert_int_equal(f->answers[1].status, UV_ECANCELED);
    assert_int_equal(f->answers[2].count, 0);
}

static int unused_port(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    close(fd);
    return ntohs(address.sin_port);
}

static void a_url_taken_apart_serves_many_calls(void **state)
{
    struct fixture *f = *state;
    struct http_client_request req = {.method = "GET", .url = url_of(f, "/moved")};
    struct http_url *url = NULL;
    assert_int_equal(http_url_new(req.url, &url), 0);
    req.parsed_url = url;
    for (int i = 0; i < 3; i++)
        assert_int_equal(get(f, req)->http_status, 302);
    req.follows_redirects = true;
    assert_int_equal(get(f, req)->http_status, 201);
    http_url_free(url);
    assert_int_equal(http_url_new("http://127.0.0.1:99999/", &url), BASE_EINVAL);
}

static void each_failure_has_its_own_code(void **state)
{
    struct fixture *f = *state;
    char refused[64];
    snprintf(refused, sizeof(refused), "http://127.0.0.1:%d/", unused_port());
    assert_int_equal(get(f, (struct http_client_request){.method = "GET", .url = refused})->status,
                     UV_ECONNREFUSED);
    assert_int_equal(
        get(f, (struct http_client_request){.method = "GET", .url = "http://"})->status,
        BASE_EINVAL);
    assert_int_equal(
        get(f, (struct http_client_request){.method = "GET", .url = "file:///etc/passwd"})->status,
        BASE_EINVAL);
    char tls[64];
    snprintf(tls, sizeof(tls), "https://127.0.0.1:%u/", http_server_port(f->server));
    assert_int_equal(get(f, (struct http_client_request){.method = "GET", .url = tls})->status,
                     UV_EPROTO);
    assert_true(f->answers[0].text[0]);
}

static void a_header_with_a_line_break_is_refused(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    struct http_header header = {SLICE_LIT("X-Own"), SLICE_LIT("a\r\nX-Other: b")};
    struct http_client_request req = {
        .method = "GET", .url = url_of(f, "/echo"), .headers = &header, .header_count = 1};
    assert_int_equal(http_client_start(f->client, &req, on_answer, &f->answers[0], NULL, &err),
                     BASE_EINVAL);
    assert_int_equal(f->answers[0].count, 0);
}

static void calls_past_the_limit_are_refused(void **state)
{
    struct fixture *f = *state;
    struct http_client_options options = http_client_options_default;
    struct http_client *narrow = NULL;
    struct http_client_request req = {.method = "GET", .url = url_of(f, "/echo")};
    options.calls_max = 1;
    assert_int_equal(http_client_new(&f->loop, &options, &narrow), 0);
    assert_int_equal(http_client_start(narrow, &req, on_answer, &f->answers[0], NULL, NULL), 0);
    assert_int_equal(http_client_start(narrow, &req, on_answer, &f->answers[1], NULL, NULL),
                     BASE_ELIMIT);
    wait_for(f, &f->answers[0]);
    assert_int_equal(http_client_start(narrow, &req, on_answer, &f->answers[1], NULL, NULL), 0);
    http_client_close(narrow, on_client_closed, f);
    while (!f->is_client_closed)
        uv_run(&f->loop, UV_RUN_ONCE);
    f->is_client_closed = false;
}

static void running_out_of_memory_at_the_start_is_told_there(void **state)
{
    struct fixture *f = *state;
    struct mem_loop loop = {0};
    while (mem_loop_next(&loop)) {
        struct answer *a = &f->answers[0];
        struct http_client_request req = {
            .method = "GET", .url = url_of(f, "/echo"), .is_direct = true};
        *a = (struct answer){0};
        int status = http_client_start(f->client, &req, on_answer, a, NULL, NULL);
        mem_loop_expect(&loop, status, BASE_ENOMEM);
        if (!status)
            wait_for(f, a);
        assert_int_equal(a->count, status ? 0 : 1);
    }
}

static void a_call_without_memory_for_its_socket_ends_at_once(void **state)
{
    struct fixture *f = *state;
    struct http_client_request req = {.method = "GET", .url = url_of(f, "/echo")};
    start(f, req, &f->answers[0]);
    mem_fail_nth(1);
    wait_for(f, &f->answers[0]);
    assert_true(mem_fail_happened());
    assert_int_equal(f->answers[0].status, BASE_ENOMEM);
    assert_int_equal(get(f, req)->http_status, 201);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(a_get_brings_status_headers_and_body),
        TEST(a_post_carries_its_headers_and_body),
        TEST(an_empty_post_and_other_methods_work),
        TEST(calls_one_after_the_other_share_a_connection),
        TEST(calls_at_the_same_time_all_end),
        TEST(a_redirect_is_an_answer_unless_it_shall_be_followed),
        TEST(an_answer_over_the_limit_is_refused),
        TEST(a_server_that_does_not_answer_is_given_up),
        TEST(a_cancelled_call_is_told_later_and_once),
        TEST(closing_cancels_what_is_in_flight),
        TEST(a_url_taken_apart_serves_many_calls),
        TEST(each_failure_has_its_own_code),
        TEST(a_header_with_a_line_break_is_refused),
        TEST(calls_past_the_limit_are_refused),
        TEST(running_out_of_memory_at_the_start_is_told_there),
        TEST(a_call_without_memory_for_its_socket_ends_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
