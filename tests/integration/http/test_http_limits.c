/* What is refused, with which status, and that the connection ends with it; times and counts. */
#include "fixture.h"

#define GET(path) "GET " path " HTTP/1.1\r\nHost: h\r\n\r\n"
#define POST      "POST /echo HTTP/1.1\r\nHost: h\r\n"
#define CHUNKED   POST "Transfer-Encoding: chunked\r\n"

/* A request that the handler must not see, and that a parser of another mind would find. */
#define SMUGGLED GET("/later/smuggled")

static void expect_refused(struct fixture *f, struct slice request, int status)
{
    struct client c;
    char value[128];
    int seen = f->request_count;
    client_open(&c, f);
    assert_int_equal(client_send(&c, request), request.len);
    struct answer a = client_answer(&c);
    if (a.status != status)
        fail_msg("%d and not %d to %s", a.status, status, request.ptr);
    assert_string_equal(answer_header(&a, "Connection", value), "close");
    answer_free(&a);
    client_expect_end(&c);
    assert_false(c.is_reset);
    client_close(&c);
    assert_int_equal(f->request_count, seen);
}

static void expect_text_refused(struct fixture *f, const char *request, int status)
{
    expect_refused(f, slice_from_cstr(request), status);
}

/* ---- smuggling and what else is no request ---- */

static void what_two_parsers_may_read_differently_is_refused(void **state)
{
    static const char *const requests[] = {
        CHUNKED "Content-Length: 4\r\n\r\n0\r\n\r\n" SMUGGLED,
        POST "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" SMUGGLED,
        POST "Content-Length: 0\r\nContent-Length: 70\r\n\r\n" SMUGGLED,
        POST "Content-Length: 0, 70\r\n\r\n" SMUGGLED,
        POST "Content-Length: +0\r\n\r\n" SMUGGLED,
        POST "Content-Length: -1\r\n\r\n" SMUGGLED,
        POST "Content-Length: 0x0\r\n\r\n" SMUGGLED,
        POST "Content-Length: 0 0\r\n\r\n" SMUGGLED,
        POST "Content-Length: 99999999999999999999999\r\n\r\n" SMUGGLED,
        POST "Content-Length : 0\r\n\r\n" SMUGGLED,
        POST " Content-Length: 0\r\n\r\n" SMUGGLED,
        POST "X: a\r\n Content-Length: 0\r\n\r\n" SMUGGLED,
        POST "X: a\r\n\tb\r\n\r\n" SMUGGLED,
        POST "X: a\rContent-Length: 70\r\n\r\n" SMUGGLED,
        POST "X:\rContent-Length: 70\r\n\r\n" SMUGGLED,
        POST "X: a\nContent-Length: 70\r\n\r\n" SMUGGLED,
        POST "X:\nContent-Length: 70\r\n\r\n" SMUGGLED,
        POST "X: a\r\n\nContent-Length: 70\r\n\r\n" SMUGGLED,
        POST "no colon\r\n\r\n" SMUGGLED,
        POST ": no name\r\n\r\n" SMUGGLED,
        POST "X(): no token\r\n\r\n" SMUGGLED,
        "GET /now HTTP/1.1\nHost: h\n\n" SMUGGLED,
        "GET /now HTTP/1.1\r\nHost: h\r\n\nGET /x HTTP/1.1\r\n\r\n",
        "GET /now HTTP/1.1\r\n\r\n" SMUGGLED,
        "GET /now HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n" SMUGGLED,
        "GET /n\x01ow HTTP/1.1\r\nHost: h\r\n\r\n" SMUGGLED,
        "get /now HTTP/1.1\r\nHost: h\r\n\r\n" SMUGGLED,
        "GET /now http/1.1\r\nHost: h\r\n\r\n" SMUGGLED,
        "\x16\x03\x01\x02\x01",
    };
    struct fixture *f = *state;
    fixture_start(f);
    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++)
        expect_text_refused(f, requests[i], 400);
}

static void a_broken_line_is_seen_wherever_the_request_is_cut(void **state)
{
    static const char *const requests[] = {
        POST "X:\rContent-Length: 70\r\n\r\n" SMUGGLED,
        POST "X: a\nContent-Length: 70\r\n\r\n" SMUGGLED,
    };
    struct fixture *f = *state;
    struct client c;
    fixture_start(f);
    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
        for (size_t cut = 1; requests[i][cut]; cut++) {
            client_open(&c, f);
            client_send(&c, (struct slice){requests[i], cut});
            for (int turn = 0; turn < 3; turn++)
                uv_run(&f->loop, UV_RUN_NOWAIT);
            client_send_text(&c, requests[i] + cut);
            client_expect(&c, 400, NULL);
            client_expect_end(&c);
            client_close(&c);
        }
    }
    assert_int_equal(f->request_count, 0);
}

static void chunks_that_are_none_are_refused(void **state)
{
    static const char *const requests[] = {
        CHUNKED "\r\nx\r\n" SMUGGLED,
        CHUNKED "\r\n0x1\r\na\r\n0\r\n\r\n",
        CHUNKED "\r\n-1\r\na\r\n0\r\n\r\n",
        CHUNKED "\r\n1 \r\na\r\n0\r\n\r\n",
        CHUNKED "\r\n1\na\r\n0\r\n\r\n",
        CHUNKED "\r\n1;\na\r\n0\r\n\r\n",
        CHUNKED "\r\n1\r\nab0\r\n\r\n",
        CHUNKED "\r\n1\r\na\n0\r\n\r\n",
        CHUNKED "\r\nFFFFFFFFFFFFFFFFF\r\na\r\n0\r\n\r\n",
        CHUNKED "\r\n1\r\na\r\n0\r\nno colon\r\n\r\n",
    };
    struct fixture *f = *state;
    fixture_start(f);
    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++)
        expect_text_refused(f, requests[i], 400);
}

static void a_nul_is_refused_wherever_it_stands(void **state)
{
    static const char request[] = "GET /now HTTP/1.1\r\nHost: h\r\nX: a\r\n\r\n";
    const char *version = strstr(request, "1.1");
    struct fixture *f = *state;
    fixture_start(f);
    for (size_t at = 0; at < sizeof(request) - 1; at++) {
        char broken[sizeof(request)];
        bool is_version = request + at >= version && request + at <= version + 4;
        memcpy(broken, request, sizeof(request));
        broken[at] = '\0';
        expect_refused(f, (struct slice){broken, sizeof(request) - 1}, is_version ? 505 : 400);
    }
}

static void codings_and_versions_that_are_not_ours_are_named(void **state)
{
    struct fixture *f = *state;
    fixture_start(f);
    expect_text_refused(f, POST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501);
    expect_text_refused(f, POST "Transfer-Encoding: x, chunked\r\n\r\n0\r\n\r\n", 501);
    expect_text_refused(f, "GET /now HTTP/2.0\r\nHost: h\r\n\r\n" SMUGGLED, 505);
    expect_text_refused(f, "GET /now HTTP/1.1 \r\nHost: h\r\n\r\n" SMUGGLED, 505);
    expect_text_refused(f, "GET /now\r\n\r\n" SMUGGLED, 505);
}

static void a_refusal_comes_after_the_answers_before_it(void **state)
{
    struct fixture *f = *state;
    struct client c;
    fixture_start(f);
    client_open(&c, f);
    client_send_text(&c, GET("/later") "GET /now HTTP/1.1\r\n\r\n" SMUGGLED);
    fixture_wait_requests(f, 1);
    client_expect_nothing(&c);
    answer_kept(f, 0, "good");
    client_expect(&c, 200, "good");
    client_expect(&c, 400, NULL);
    client_expect_end(&c);
    client_close(&c);
    assert_int_equal(f->request_count, 1);
}

/* ---- sizes ---- */

/* `start`, `count` times `unit`, `end`. */
static struct buf make(const char *start, size_t count, const char *unit, const char *end)
{
    struct buf b;
    buf_init(&b, SIZE_MAX / 4);
    buf_append_cstr(&b, start);
    for (size_t i = 0; i < count; i++)
        buf_append_cstr(&b, unit);
    buf_append_cstr(&b, end);
    return b;
}

static void expect_made(struct fixture *f, struct buf b, int status)
{
    struct client c;
    if (status != 200) {
        expect_refused(f, buf_slice(&b), status);
    } else {
        client_open(&c, f);
        client_send(&c, buf_slice(&b));
        client_expect(&c, 200, NULL);
        client_close(&c);
    }
    buf_deinit(&b);
}

static void a_header_has_a_limit_in_bytes_and_in_lines(void **state)
{
    static const char start[] = "GET /now HTTP/1.1\r\nHost: h\r\nX: ";
    struct fixture *f = *state;
    fixture_start(f);
    size_t limit = f->limits.header_bytes;
    expect_made(f, make(start, limit - 100, "a", "\r\n\r\n"), 200);
    expect_made(f, make(start, limit, "a", "\r\n\r\n"), 431);
    expect_made(f, make("GET /now HTTP/1.1\r\nHost: h\r\n", 99, "X: a\r\n", "\r\n"), 200);
    expect_made(f, make("GET /now HTTP/1.1\r\nHost: h\r\n", 100, "X: a\r\n", "\r\n"), 431);
    expect_made(f, make("GET /now HTTP/1.1\r\nHost: h\r\n", limit, "a", ": x\r\n\r\n"), 431);
    expect_made(f, make(CHUNKED "\r\n0\r\n", limit, "X: a\r\n", "\r\n"), 431);
}

static void a_target_has_a_limit(void **state)
{
    struct fixture *f = *state;
    fixture_start(f);
    size_t limit = f->limits.header_bytes;
    expect_made(f, make("GET /now?", limit - 100, "a", " HTTP/1.1\r\nHost: h\r\n\r\n"), 200);
    expect_made(f, make("GET /now?", limit, "a", " HTTP/1.1\r\nHost: h\r\n\r\n"), 414);
}

static void a_body_has_a_limit(void **state)
{
    struct fixture *f = *state;
    f->limits.body_bytes = 1000;
    fixture_start(f);
    expect_made(f, make(POST "Content-Length: 1000\r\n\r\n", 1000, "a", ""), 200);
    expect_made(f, make(POST "Content-Length: 1001\r\n\r\n", 1001, "a", ""), 413);
    expect_made(f, make(CHUNKED "\r\n", 1000, "1\r\na\r\n", "0\r\n\r\n"), 200);
    expect_made(f, make(CHUNKED "\r\n", 1001, "1\r\na\r\n", "0\r\n\r\n"), 413);
    expect_made(f, make(CHUNKED "\r\n7FFFFFFF\r\n", 1001, "a", ""), 413);
}

/* Whoever sends on while we refuse must not lose the answer to a reset. */
static void a_refusal_reaches_a_client_that_is_still_sending(void **state)
{
    struct fixture *f = *state;
    fixture_start(f);
    expect_made(f, make(POST "Content-Length: 8000000\r\n\r\n", 8000000, "a", ""), 413);
}

/* ---- counts ---- */

static void a_connection_past_the_limit_is_told_to_come_again(void **state)
{
    struct fixture *f = *state;
    struct client held[2], c;
    f->limits.connections = 2;
    fixture_start(f);
    for (int i = 0; i < 2; i++) {
        client_open(&held[i], f);
        client_send_text(&held[i], GET("/now"));
        client_expect(&held[i], 200, "now");
    }
    client_open(&c, f);
    client_expect(&c, 503, "");
    client_expect_end(&c);
    client_close(&c);
    client_close(&held[0]);
    fixture_wait(f, http_server_connections(f->server) == 1);
    client_open(&c, f);
    client_send_text(&c, GET("/now"));
    client_expect(&c, 200, "now");
    client_close(&c);
    client_close(&held[1]);
}

static void connections_that_only_wait_make_room(void **state)
{
    struct fixture *f = *state;
    struct client busy, silent[2], c;
    f->limits.connections = 3;
    fixture_start(f);
    client_open(&busy, f);
    client_send_text(&busy, GET("/now"));
    client_expect(&busy, 200, "now");
    client_open(&silent[0], f);
    client_send_text(&silent[0], "GET /now HTTP/1.1\r\n"); /* half of one is none */
    fixture_wait(f, http_server_connections(f->server) == 2);
    client_open(&silent[1], f);
    fixture_wait(f, http_server_connections(f->server) == 3);
    client_open(&c, f);
    client_send_text(&c, GET("/now"));
    client_expect(&c, 200, "now");
    client_expect_end(&silent[0]); /* the older one */
    client_expect_nothing(&silent[1]);
    client_send_text(&busy, GET("/now"));
    client_expect(&busy, 200, "now");
    client_close(&silent[0]);
    client_close(&silent[1]);
    client_close(&c);
    client_close(&busy);
}

static void no_more_requests_are_read_than_may_be_in_flight(void **state)
{
    struct fixture *f = *state;
    struct client c;
    f->limits.pipeline = 4;
    fixture_start(f);
    client_open(&c, f);
    struct buf b = make("", 10, GET("/later"), "");
    client_send(&c, buf_slice(&b));
    fixture_wait_requests(f, 4);
    client_expect_nothing(&c);
    assert_int_equal(f->request_count, 4);
    for (int i = 0; i < 10; i++) {
        fixture_wait(f, f->kept_count > i);
        assert_in_range(f->kept_count, i + 1, i + 4);
        answer_kept(f, i, "kept");
        client_expect(&c, 200, "kept");
    }
    buf_deinit(&b);
    client_close(&c);
}

/* ---- times ---- */

static void a_slow_request_is_told_so(void **state)
{
    static const char *const starts[] = {"G", "GET /now HTTP/1.1\r\nHo", GET("/now") "GET",
                                         POST "Content-Length: 5\r\n\r\nhell"};
    struct fixture *f = *state;
    struct client c;
    f->limits.request_ms = 50;
    fixture_start(f);
    for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
        client_open(&c, f);
        client_send_text(&c, starts[i]);
        if (i == 2)
            client_expect(&c, 200, "now");
        client_expect(&c, 408, NULL);
        client_expect_end(&c);
        client_close(&c);
    }
}

static void an_idle_connection_is_closed_without_a_word(void **state)
{
    struct fixture *f = *state;
    struct client fresh, used, busy;
    f->limits.idle_ms = 50;
    fixture_start(f);
    client_open(&fresh, f);
    client_open(&used, f);
    client_open(&busy, f);
    client_send_text(&used, GET("/now"));
    client_expect(&used, 200, "now");
    client_send_text(&busy, GET("/later"));
    client_expect_end(&fresh);
    client_expect_end(&used);
    answer_kept(f, 0, "took its time");
    client_expect(&busy, 200, "took its time");
    client_close(&fresh);
    client_close(&used);
    client_close(&busy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_fixture(what_two_parsers_may_read_differently_is_refused),
        with_fixture(a_broken_line_is_seen_wherever_the_request_is_cut),
        with_fixture(chunks_that_are_none_are_refused),
        with_fixture(a_nul_is_refused_wherever_it_stands),
        with_fixture(codings_and_versions_that_are_not_ours_are_named),
        with_fixture(a_refusal_comes_after_the_answers_before_it),
        with_fixture(a_header_has_a_limit_in_bytes_and_in_lines),
        with_fixture(a_target_has_a_limit),
        with_fixture(a_body_has_a_limit),
        with_fixture(a_refusal_reaches_a_client_that_is_still_sending),
        with_fixture(a_connection_past_the_limit_is_told_to_come_again),
        with_fixture(connections_that_only_wait_make_room),
        with_fixture(no_more_requests_are_read_than_may_be_in_flight),
        with_fixture(a_slow_request_is_told_so),
        with_fixture(an_idle_connection_is_closed_without_a_word),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
