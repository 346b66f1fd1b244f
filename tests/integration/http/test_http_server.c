/* What a client and a handler may do: connections that stay, requests in a row, bodies, streams. */
#include "fixture.h"

#include <sys/socket.h>

#define GET(path)  "GET " path " HTTP/1.1\r\nHost: h\r\n\r\n"
#define HEAD(path) "HEAD " path " HTTP/1.1\r\nHost: h\r\n\r\n"

/* ---- connections ---- */

static void a_connection_stays_for_the_next_request(void **state)
{
    struct fixture *f = *state;
    struct client c;
    fixture_start(f);
    client_open(&c, f);
    for (int i = 0; i < 3; i++) {
        client_send_text(&c, GET("/now"));
        client_expect(&c, 200, "now");
    }
    assert_int_equal(http_server_connections(f->server), 1);
    client_close(&c);
    fixture_wait(f, http_server_connections(f->server) == 0);
}

static void connection_close_is_obeyed_and_announced(void **state)
{
    struct fixture *f = *state;
    struct client c;
    char value[128];
    fixture_start(f);
    client_open(&c, f);
    client_send_text(&c, "GET /now HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n" GET("/now"));
    struct answer a = client_answer(&c);
    assert_string_equal(answer_header(&a, "Connection", value), "close");
    answer_free(&a);
    client_expect_end(&c);
    assert_int_equal(f->request_count, 1);
    client_close(&c);
}

static void http_1_0_ends_unless_it_asks_to_stay(void **state)
{
    struct fixture *f = *state;
    struct client c;
    char value[128];
    fixture_start(f);
    client_open(&c, f);
    client_send_text(&c, "GET /now HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    struct answer a = client_answer(&c);
    assert_string_equal(answer_header(&a, "Connection", value), "keep-alive");
    answer_free(&a);
    client_send_text(&c, "GET /now HTTP/1.0\r\n\r\n");
    client_expect(&c, 200, "now");
    client_expect_end(&c);
    client_close(&c);
}

static void a_client_that_has_sent_all_still_gets_its_answers(void **state)
{
    struct fixture *f = *state;
    struct client c;
    fixture_start(f);
    client_open(&c, f);
    client_send_text(&c, GET("/later") GET("/now"));
    shutdown(c.fd, SHUT_WR);
    fixture_wait_requests(f, 2);
    client_expect_nothing(&c);
    answer_kept(f, 0, "late");
    client_expect(&c, 200, "late");
    client_expect(&c, 200, "now");
    client_expect_end(&c);
    client_close(&c);
}

/* ---- requests in a row ---- */

static void answers_leave_in_the_order_of_the_requests(void **state)
{
    struct fixture *f = *state;
    struct client c;
    fixture_start(f);
    client_open(&c, f);
    client_send_text(&c, GET("/later") GET("/later") GET("/now") GET("/later"));
    fixture_wait_requests(f, 4);
    answer_kept(f, 2, "third");
    answer_kept(f, 1, "second");
    client_expect_nothing(&c);
    answer_kept(f, 0, "first");
    client_expect(&c, 200, "first");
    client_expect(&c, 200, "second");
    client_expect(&c, 200, "now");
    client_expect(&c, 200, "third");
    client_close(&c);
}

static void a_stream_waits_for_the_answers_before_it_and_holds_back_those_after(void **state)
{
    struct fixture *f = *state;
    struct client c;
    fixture_start(f);
    client_open(&c, f);
    client_send_text(&c, GET("/later") GET("/stream") GET("/now"));
    fixture_wait_requests(f, 3);
    assert_int_equal(http_stream_write(f->kept[1], SLICE_LIT("tick")), 0);
    client_expect_nothing(&c);
    answer_kept(f, 0, "first");
    client_expect(&c, 200, "first");
    struct answer a = client_answer(&c);
    answer_free(&a);
    client_expect_text(&c, "4\r\ntick\r\n");
    client_expect_nothing(&c);
    http_stream_end(f->kept[1]);
    client_expect_text(&c, "0\r\n\r\n");
    client_expect(&c, 200, "now");
    client_close(&c);
}

/* ---- reading ---- */

static void a_request_may_come_in_any_two_pieces(void **state)
{
    static const char request[] =
        "POST /echo?q HTTP/1.1\r\nHost: h\r\nX-Long: a b\r\nContent-Length: 5\r\n\r\nhello";
    struct fixture *f = *state;
    struct client c;
    fixture_start(f);
    client_open(&c, f);
    for (size_t cut = 1; cut < sizeof(request) - 1; cut++) {
        client_send(&c, (struct slice){request, cut});
        client_expect_nothing(&c);
        client_send_text(&c, request + cut);
        client_expect(&c, 200, "hello");
    }
    client_close(&c);
}

static void a_chunked_body_may_come_in_any_two_pieces(void **state)
{
    static const char request[] = "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n"
                                  "\r\n5;ext=1\r\nhello\r\n1\r\n!\r\n0\r\nTrailer: x\r\n\r\n";
    struct fixture *f = *state;
    struct client c;
    fixture_start(f);
    client_open(&c, f);
    for (size_t cut = 1; cut < sizeof(request) - 1; cut++) {
        client_send(&c, (struct slice){request, cut});
        client_expect_nothing(&c);
        client_send_text(&c, request + cut);
        client_expect(&c, 200, "hello!");
    }
    client_close(&c);
}

static void assert_slice(struct slice got, const char *want)
{
    assert_non_null(got.ptr);
    assert_int_equal(got.len, strlen(want));
    assert_memory_equal(got.ptr, want, got.len);
}

static void the_handler_sees_the_request_as_it_came(void **state)
{
    struct fixture *f = *state;
    struct client c;
    fixture_start(f);
    client_open(&c, f);
    client_send_text(&c,
                     "PUT /later/%2F?a=1&b=? HTTP/1.1\r\nhOST: h\r\nX-One:  a \t\r\nx-one: b\r\n"
                     "X-Empty:\r\nContent-Length: 2\r\n\r\nhi");
    fixture_wait_requests(f, 1);
    struct http_request *req = f->kept[0];
    assert_slice(http_request_method(req), "PUT");
    assert_slice(http_request_path(req), "/later/%2F");
    assert_slice(http_request_query(req), "a=1&b=?");
    assert_slice(http_request_body(req), "hi");
    assert_slice(http_request_header(req, "host"), "h");
    assert_slice(http_request_header(req, "X-ONE"), "a");
    assert_int_equal(http_request_header_count(req, "x-one"), 2);
    assert_slice(http_request_header(req, "x-empty"), "");
    assert_null(http_request_header(req, "x-none").ptr);
    assert_string_equal(http_request_peer(req), "127.0.0.1");
    assert_true(http_request_is_loopback(req));
    assert_non_null(arena_alloc(http_request_arena(req), 100));
    assert_false(http_request_is_gone(req));
    answer_kept(f, 0, "");
    client_expect(&c, 200, "");
    client_close(&c);
}

/* ---- Expect ---- */

#define EXPECT(expectation, length)                                                                \
    "POST /echo HTTP/1.1\r\nHost: h\r\nExpect: " expectation "\r\nContent-Length: " length         \
    "\r\n\r\n"

static void who_waits_for_100_continue_gets_it(void **state)
{
    struct fixture *f = *state;
    struct client c;
    fixture_start(f);
    client_open(&c, f);
    client_send_text(&c, EXPECT("100-Continue", "5"));
    client_expect_text(&c, "HTTP/1.1 100 Continue\r\n\r\n");
    client_send_text(&c, "hello");
    client_expect(&c, 200, "hello");
    client_close(&c);
}

static void a_body_that_is_refused_is_not_asked_for(void **state)
{
    struct fixture *f = *state;
    struct client c;
    fixture_start(f);
    client_open(&c, f);
    client_send_text(&c, EXPECT("100-continue", "99999999"));
    client_expect(&c, 413, NULL);
    client_expect_end(&c);
    client_close(&c);
    client_open(&c, f);
    client_send_text(&c, EXPECT("200-maybe", "5"));
    client_expect(&c, 417, NULL);
    client_expect_end(&c);
    client_close(&c);
    assert_int_equal(f->request_count, 0);
}

static void http_1_0_knows_no_100_continue(void **state)
{
    struct fixture *f = *state;
    struct client c;
    fixture_start(f);
    client_open(&c, f);
    client_send_text(&c,
                     "POST /echo HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    client_expect_nothing(&c);
    client_send_text(&c, "hi");
    client_expect(&c, 200, "hi");
    client_close(&c);
}

/* ---- answers ---- */

static void head_gets_the_length_of_the_body_but_no_body(void **state)
{
    struct fixture *f = *state;
    struct client c;
    char value[128];
    fixture_start(f);
    client_open(&c, f);
    client_send_text(&c, HEAD("/now") HEAD("/stream") GET("/now"));
    struct answer a = client_answer_to_head(&c);
    assert_string_equal(answer_header(&a, "Content-Length", value), "3");
    answer_free(&a);
    fixture_wait_requests(f, 3);
    assert_int_equal(http_stream_write(f->kept[0], SLICE_LIT("never seen")), 0);
    http_stream_end(f->kept[0]);
    a = client_answer_to_head(&c);
    assert_string_equal(answer_header(&a, "Transfer-Encoding", value), "chunked");
    answer_free(&a);
    client_expect(&c, 200, "now");
    client_close(&c);
}

static void an_answer_carries_its_headers_and_the_date(void **state)
{
    const struct http_header headers[] = {{SLICE_LIT("X-A"), SLICE_LIT("1")},
                                          {SLICE_LIT("X-B"), SLICE_LIT("2")}};
    struct fixture *f = *state;
    struct client c;
    char value[128];
    fixture_start(f);
    client_open(&c, f);
    client_send_text(&c, GET("/later") GET("/later"));
    fixture_wait_requests(f, 2);
    http_respond(f->kept[0], 404, headers, 2, SLICE_LIT("no"));
    http_respond(f->kept[1], 204, NULL, 0, SLICE_EMPTY);
    struct answer a = client_answer(&c);
    assert_int_equal(strncmp(a.head, "HTTP/1.1 404 Not Found\r\n", 24), 0);
    assert_string_equal(answer_header(&a, "X-A", value), "1");
    assert_string_equal(answer_header(&a, "X-B", value), "2");
    assert_int_equal(strlen(answer_header(&a, "Date", value)), 29);
    assert_string_equal(a.body, "no");
    answer_free(&a);
    a = client_answer(&c);
    assert_int_equal(a.status, 204);
    assert_string_equal(answer_header(&a, "Content-Length", value), "");
    answer_free(&a);
    client_close(&c);
}

static void a_stream_leaves_as_it_is_written(void **state)
{
    struct fixture *f = *state;
    struct client c;
    fixture_start(f);
    client_open(&c, f);
    client_send_text(&c, GET("/stream"));
    struct answer a = client_answer(&c);
    answer_free(&a);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(http_stream_write(f->kept[0], SLICE_LIT("a line of sixteen")), 0);
        client_expect_text(&c, "11\r\na line of sixteen\r\n");
    }
    assert_int_equal(http_stream_write(f->kept[0], SLICE_EMPTY), 0); /* would end the stream */
    client_expect_nothing(&c);
    http_stream_end(f->kept[0]);
    client_expect_text(&c, "0\r\n\r\n");
    client_send_text(&c, GET("/now"));
    client_expect(&c, 200, "now");
    client_close(&c);
}

static void a_stream_to_http_1_0_ends_with_the_connection(void **state)
{
    struct fixture *f = *state;
    struct client c;
    char value[128];
    fixture_start(f);
    client_open(&c, f);
    client_send_text(&c, "GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    struct answer a = client_answer(&c);
    assert_string_equal(answer_header(&a, "Transfer-Encoding", value), "");
    assert_string_equal(answer_header(&a, "Connection", value), "close");
    answer_free(&a);
    assert_int_equal(http_stream_write(f->kept[0], SLICE_LIT("tick")), 0);
    client_expect_text(&c, "tick");
    http_stream_end(f->kept[0]);
    client_expect_end(&c);
    client_close(&c);
}

static void a_held_request_outlives_its_answer(void **state)
{
    struct fixture *f = *state;
    struct client c;
    fixture_start(f);
    client_open(&c, f);
    client_send_text(&c, GET("/later"));
    fixture_wait_requests(f, 1);
    char *text = arena_strdup(http_request_arena(f->kept[0]), "still here");
    http_request_hold(f->kept[0]);
    answer_kept(f, 0, "done");
    client_expect(&c, 200, "done");
    client_close(&c);
    fixture_wait(f, http_server_connections(f->server) == 0);
    assert_slice(http_request_path(f->kept[0]), "/later");
    assert_string_equal(text, "still here");
    http_request_unhold(f->kept[0]);
}

/* ---- measuring ---- */

struct measured {
    int count, statuses[4];
    char method[8], path[16]; /* of the last one */
};

static void on_measure(void *ctx, const struct http_measure *m)
{
    struct measured *all = ctx;
    assert_true(all->count < 4 && m->duration_us >= 0);
    all->statuses[all->count++] = m->status;
    snprintf(all->method, sizeof(all->method), "%.*s", (int)m->method.len, m->method.ptr);
    snprintf(all->path, sizeof(all->path), "%.*s", (int)m->path.len, m->path.ptr);
}

static void each_answer_is_measured_once(void **state)
{
    struct fixture *f = *state;
    struct measured all = {0};
    struct client c;
    fixture_start(f);
    http_server_measure(f->server, on_measure, &all);
    client_open(&c, f);
    client_send_text(&c, GET("/now?x=1"));
    client_expect(&c, 200, "now");
    assert_string_equal(all.method, "GET");
    assert_string_equal(all.path, "/now");
    client_send_text(&c, GET("/later"));
    fixture_wait_requests(f, 2);
    assert_int_equal(all.count, 1); /* not before its answer */
    answer_kept(f, 0, "late");
    assert_int_equal(all.count, 2);
    client_expect(&c, 200, "late");
    client_send_text(&c, "GET /now HTTP/1.1\r\n\r\n");
    client_expect(&c, 400, NULL);
    assert_int_equal(all.count, 3);
    assert_int_equal(all.statuses[2], 400);
    client_close(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_fixture(a_connection_stays_for_the_next_request),
        with_fixture(connection_close_is_obeyed_and_announced),
        with_fixture(http_1_0_ends_unless_it_asks_to_stay),
        with_fixture(a_client_that_has_sent_all_still_gets_its_answers),
        with_fixture(answers_leave_in_the_order_of_the_requests),
        with_fixture(a_stream_waits_for_the_answers_before_it_and_holds_back_those_after),
        with_fixture(a_request_may_come_in_any_two_pieces),
        with_fixture(a_chunked_body_may_come_in_any_two_pieces),
        with_fixture(the_handler_sees_the_request_as_it_came),
        with_fixture(who_waits_for_100_continue_gets_it),
        with_fixture(a_body_that_is_refused_is_not_asked_for),
        with_fixture(http_1_0_knows_no_100_continue),
        with_fixture(head_gets_the_length_of_the_body_but_no_body),
        with_fixture(an_answer_carries_its_headers_and_the_date),
        with_fixture(a_stream_leaves_as_it_is_written),
        with_fixture(a_stream_to_http_1_0_ends_with_the_connection),
        with_fixture(a_held_request_outlives_its_answer),
        with_fixture(each_answer_is_measured_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
