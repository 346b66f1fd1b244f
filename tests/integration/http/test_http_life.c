/* Clients that leave, clients that do not read, the server's end, and memory that runs out. */
#include <sys/socket.h>

#include "fixture.h"

#include "base/error.h"
#include "base/mem.h"
#include "support/mem_loop.h"

#define GET(path) "GET " path " HTTP/1.1\r\nHost: h\r\n\r\n"

static void reset(struct client *c)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    assert_int_equal(setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
    client_close(c);
}

/* ---- clients that leave ---- */

static void a_handler_hears_once_that_its_client_is_gone(void **state)
{
    struct fixture *f = *state;
    struct client c;
    fixture_start(f);
    client_open(&c, f);
    client_send_text(&c, GET("/later") GET("/later"));
    fixture_wait_requests(f, 2);
    reset(&c);
    fixture_wait(f, f->gone_count == 2);
    assert_true(http_request_is_gone(f->kept[0]));
    assert_int_equal(http_server_connections(f->server), 0);
    answer_kept(f, 1, "nobody hears");
    answer_kept(f, 0, "nobody hears");
    uv_run(&f->loop, UV_RUN_NOWAIT);
    assert_int_equal(f->gone_count, 2);
}

static void a_stream_to_nobody_says_so_until_it_is_ended(void **state)
{
    struct fixture *f = *state;
    struct client c;
    fixture_start(f);
    client_open(&c, f);
    client_send_text(&c, GET("/stream"));
    fixture_wait_requests(f, 1);
    reset(&c);
    fixture_wait(f, f->gone_count == 1);
    assert_int_equal(http_stream_write(f->kept[0], SLICE_LIT("x")), BASE_ECLOSED);
    assert_int_equal(http_stream_write(f->kept[0], SLICE_LIT("y")), BASE_ECLOSED);
    http_stream_end(f->kept[0]);
    assert_int_equal(f->gone_count, 1);
}

static void a_stream_whose_reader_stops_sending_is_ended(void **state)
{
    struct fixture *f = *state;
    struct client c;
    fixture_start(f);
    client_open(&c, f);
    client_send_text(&c, GET("/stream"));
    fixture_wait_requests(f, 1);
    shutdown(c.fd, SHUT_WR);
    fixture_wait(f, f->gone_count == 1);
    http_stream_end(f->kept[0]);
    client_close(&c);
}

static void half_a_request_is_forgotten_with_its_client(void **state)
{
    struct fixture *f = *state;
    struct client c;
    fixture_start(f);
    client_open(&c, f);
    client_send_text(&c, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhal");
    client_expect_nothing(&c);
    reset(&c);
    fixture_wait(f, http_server_connections(f->server) == 0);
    assert_int_equal(f->request_count, 0);
}

/* ---- clients that do not read ---- */

static void an_answer_larger_than_the_sockets_take_arrives_whole(void **state)
{
    struct fixture *f = *state;
    struct client c;
    size_t len = 8 << 20;
    char *body = mem_alloc(len);
    fixture_start(f);
    client_open(&c, f);
    client_send_text(&c, GET("/later") GET("/now"));
    fixture_wait_requests(f, 2);
    for (size_t i = 0; i < len; i++)
        body[i] = (char)('a' + (char)(i % 23));
    http_respond(f->kept[0], 200, NULL, 0, (struct slice){body, len});
    for (int i = 0; i < 3; i++)
        uv_run(&f->loop, UV_RUN_NOWAIT);
    struct answer a = client_answer(&c);
    assert_int_equal(a.body_len, len);
    assert_memory_equal(a.body, body, len);
    answer_free(&a);
    client_expect(&c, 200, "now");
    client_close(&c);
    mem_free(body);
}

static void a_stream_that_nobody_reads_is_cut_at_its_limit(void **state)
{
    struct fixture *f = *state;
    struct client c;
    char block[65536];
    size_t written = 0;
    f->limits.stream_bytes = 256 << 10;
    fixture_start(f);
    client_open(&c, f);
    client_send_text(&c, GET("/stream"));
    fixture_wait_requests(f, 1);
    memset(block, 'x', sizeof(block));
    while (http_stream_write(f->kept[0], (struct slice){block, sizeof(block)}) == 0) {
        written += sizeof(block);
        uv_run(&f->loop, UV_RUN_NOWAIT);
        assert_true(written < (256 << 20)); /* the kernel takes a few MiB */
    }
    assert_true(written >= f->limits.stream_bytes);
    assert_int_equal(f->gone_count, 0); /* never from inside a call of the handler's */
    fixture_wait(f, f->gone_count == 1);
    http_stream_end(f->kept[0]);
    client_close(&c);
}

static void a_peer_that_takes_no_bytes_is_cut(void **state)
{
    struct fixture *f = *state;
    struct client c;
    size_t len = 32 << 20;
    char *body = mem_calloc(1, len);
    f->limits.write_stall_ms = 50;
    fixture_start(f);
    client_open(&c, f);
    client_send_text(&c, GET("/later"));
    fixture_wait_requests(f, 1);
    http_respond(f->kept[0], 200, NULL, 0, (struct slice){body, len});
    assert_int_equal(http_server_connections(f->server), 1);
    fixture_wait(f, http_server_connections(f->server) == 0);
    client_close(&c);
    mem_free(body);
}

static void who_asks_without_reading_is_read_no_further(void **state)
{
    static const char head[] = "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 65536\r\n\r\n";
    struct fixture *f = *state;
    struct client c;
    struct buf ask;
    buf_init(&ask, 1 << 20);
    buf_append_cstr(&ask, head);
    for (int i = 0; i < 65536; i++)
        buf_append_char(&ask, 'b');
    fixture_start(f);
    client_open(&c, f);
    size_t asked = 0;
    for (int stuck = 0; stuck < 100 && asked < (1U << 30); stuck++) {
        ssize_t n = send(c.fd, ask.ptr + asked % ask.len, ask.len - asked % ask.len, MSG_NOSIGNAL);
        if (n > 0)
            stuck = 0;
        asked += n > 0 ? (size_t)n : 0;
        uv_run(&f->loop, UV_RUN_NOWAIT);
    }
    assert_in_range(asked, 1, 64 << 20); /* the kernel's buffers both ways, and a little of ours */
    assert_true(f->request_count > 0);
    buf_deinit(&ask);
    client_close(&c);
}

/* ---- the server's end ---- */

static void the_end_closes_idle_connections_and_waits_for_answers(void **state)
{
    struct fixture *f = *state;
    struct client idle, half, busy, late;
    char value[128];
    fixture_start(f);
    client_open(&idle, f);
    client_send_text(&idle, GET("/now"));
    client_expect(&idle, 200, "now");
    client_open(&half, f);
    client_send_text(&half, "GET /n");
    client_open(&busy, f);
    client_send_text(&busy, GET("/later") GET("/later"));
    fixture_wait_requests(f, 3);
    fixture_begin_close(f, 60000);
    client_expect_end(&idle);
    client_expect_end(&half);
    assert_false(client_try_open(&late, f));
    answer_kept(f, 1, "second");
    client_expect_nothing(&busy);
    assert_non_null(f->server);
    answer_kept(f, 0, "first");
    client_expect(&busy, 200, "first");
    struct answer a = client_answer(&busy);
    assert_string_equal(a.body, "second");
    assert_string_equal(answer_header(&a, "Connection", value), "close");
    answer_free(&a);
    client_expect_end(&busy);
    fixture_finish(f);
    assert_int_equal(f->gone_count, 0);
    client_close(&idle);
    client_close(&half);
    client_close(&busy);
}

static void open_streams_hear_of_the_end_at_once(void **state)
{
    struct fixture *f = *state;
    struct client c;
    fixture_start(f);
    client_open(&c, f);
    client_send_text(&c, GET("/stream"));
    fixture_wait_requests(f, 1);
    struct answer a = client_answer(&c);
    answer_free(&a);
    fixture_begin_close(f, 60000);
    assert_int_equal(f->gone_count, 1);
    assert_false(http_request_is_gone(f->kept[0]));
    assert_int_equal(http_stream_write(f->kept[0], SLICE_LIT("bye")), 0);
    http_stream_end(f->kept[0]);
    client_expect_text(&c, "3\r\nbye\r\n0\r\n\r\n");
    client_expect_end(&c);
    fixture_finish(f);
    client_close(&c);
}

static void what_is_left_when_the_time_is_over_is_cut(void **state)
{
    struct fixture *f = *state;
    struct client c;
    fixture_start(f);
    client_open(&c, f);
    client_send_text(&c, GET("/later"));
    fixture_wait_requests(f, 1);
    fixture_begin_close(f, 1);
    fixture_wait(f, f->gone_count == 1);
    client_expect_end(&c);
    assert_non_null(f->server); /* its handler still holds a request */
    answer_kept(f, 0, "too late");
    fixture_finish(f);
    client_close(&c);
}

static void a_server_may_listen_at_several_addresses_or_fail_to(void **state)
{
    struct fixture *f = *state;
    struct error err = {.text = ""};
    fixture_start(f);
    uint16_t port = http_server_port(f->server);
    assert_int_equal(http_server_listen(f->server, "127.0.0.1", port, &err), UV_EADDRINUSE);
    assert_non_null(strstr(err.text, "127.0.0.1"));
    assert_int_equal(http_server_listen(f->server, "localhost?", 0, &err), UV_EINVAL);
    assert_int_equal(http_server_listen(f->server, "127.0.0.1", 0, &err), 0);
    assert_int_equal(http_server_port(f->server), port);
}

/* ---- memory ---- */

static void making_a_server_survives_every_failed_allocation(void **state)
{
    struct fixture *f = *state;
    struct mem_loop loop = {0};
    while (mem_loop_next(&loop)) {
        int status = fixture_try_start(f);
        mem_loop_expect(&loop, status, BASE_ENOMEM);
        if (f->server)
            fixture_close(f, 0);
    }
}

static void end_streams(struct fixture *f)
{
    for (int i = 0; i < f->kept_count; i++) {
        (void)http_stream_write(f->kept[i], SLICE_LIT("tick"));
        http_stream_end(f->kept[i]);
    }
    f->kept_count = 0;
}

/* Whatever allocation fails while a client is served: it is answered, or cut; the next one is
 * served. */
static void serving_survives_every_failed_allocation(void **state)
{
    static const char request[] =
        "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nX: y\r\n\r\nhello" GET("/stream");
    struct fixture *f = *state;
    struct mem_loop loop = {0};
    struct client c;
    fixture_start(f);
    while (mem_loop_next(&loop)) {
        client_open(&c, f);
        client_send(&c, SLICE_LIT(request));
        for (int i = 0; i < 5; i++)
            uv_run(&f->loop, UV_RUN_NOWAIT);
        end_streams(f);
        (void)mem_loop_has_failed(&loop);
        reset(&c);
        fixture_wait(f, http_server_connections(f->server) == 0);
        client_open(&c, f);
        client_send_text(&c, GET("/now"));
        client_expect(&c, 200, "now");
        client_close(&c);
        fixture_wait(f, http_server_connections(f->server) == 0);
        end_streams(f); /* of a client that was taken when it had already gone */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_fixture(a_handler_hears_once_that_its_client_is_gone),
        with_fixture(a_stream_to_nobody_says_so_until_it_is_ended),
        with_fixture(a_stream_whose_reader_stops_sending_is_ended),
        with_fixture(half_a_request_is_forgotten_with_its_client),
        with_fixture(an_answer_larger_than_the_sockets_take_arrives_whole),
        with_fixture(a_stream_that_nobody_reads_is_cut_at_its_limit),
        with_fixture(a_peer_that_takes_no_bytes_is_cut),
        with_fixture(who_asks_without_reading_is_read_no_further),
        with_fixture(the_end_closes_idle_connections_and_waits_for_answers),
        with_fixture(open_streams_hear_of_the_end_at_once),
        with_fixture(what_is_left_when_the_time_is_over_is_cut),
        with_fixture(a_server_may_listen_at_several_addresses_or_fail_to),
        with_fixture(making_a_server_survives_every_failed_allocation),
        with_fixture(serving_survives_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
