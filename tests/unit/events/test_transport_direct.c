/* The direct transport against our own HTTP server on loopback: one loop carries both. */
#include "support/mem_loop.h"
#include "support/unit.h"

#include <uv.h>

#include "base/error.h"
#include "base/http_server.h"
#include "base/secret.h"
#include "events/transport.h"
#include "events/transport_direct.h"

#define POSTS_MAX 64

struct post {
    char path[64], token[32], content_type[64], body[128], reason[64], attempts[16];
};

struct fixture {
    uv_loop_t loop;
    struct http_server *server;
    struct transport *transport;
    int status[2]; /* what /a and /b answer; 0: nothing */
    struct http_request *held[POSTS_MAX];
    int held_count;
    struct post posts[POSTS_MAX];
    int post_count;
    struct transport_result results[16];
    size_t result_count;
    int done_count;
    bool is_closed, is_server_closed;
    char subscribers[256];
    struct secret token;
};

static void copy(char *out, size_t size, struct slice text)
{
    snprintf(out, size, "%.*s", (int)text.len, text.len ? text.ptr : "");
}

static void on_request(void *ctx, struct http_request *req)
{
    struct fixture *f = ctx;
    assert_true(f->post_count < POSTS_MAX);
    struct post *p = &f->posts[f->post_count++];
    copy(p->path, sizeof(p->path), http_request_path(req));
    copy(p->token, sizeof(p->token), http_request_header(req, "dapr-api-token"));
    copy(p->content_type, sizeof(p->content_type), http_request_header(req, "Content-Type"));
    copy(p->reason, sizeof(p->reason), http_request_header(req, "todo-dead-letter-reason"));
    copy(p->attempts, sizeof(p->attempts), http_request_header(req, "todo-dead-letter-attempts"));
    copy(p->body, sizeof(p->body), http_request_body(req));
    int status = f->status[strcmp(p->path, "/b") == 0];
    if (status)
        http_respond(req, status, NULL, 0, SLICE_EMPTY);
    else
        f->held[f->held_count++] = req;
}

static void on_server_closed(void *ctx)
{
    ((struct fixture *)ctx)->is_server_closed = true;
}

static void on_closed(void *ctx)
{
    struct fixture *f = ctx;
    f->is_closed = true;
    f->transport = NULL;
}

static void on_done(void *ctx, const struct transport_result *results, size_t count)
{
    struct fixture *f = ctx;
    f->done_count++;
    f->result_count = count;
    memcpy(f->results, results, count * sizeof(*results));
}

static void open_transport(struct fixture *f, const char *token)
{
    f->token = (struct secret){.fixed = token};
    struct error err;
    unsigned port = http_server_port(f->server);
    snprintf(f->subscribers, sizeof(f->subscribers),
             "task-events=http://127.0.0.1:%u/a, task-events=http://127.0.0.1:%u/b,"
             "task-events-dlq=http://127.0.0.1:%u/a",
             port, port, port);
    const struct transport_direct_options options = {
        .timeout_ms = 1000, .subscribers = f->subscribers, .token = &f->token};
    if (transport_direct_new(&f->loop, &options, &f->transport, &err))
        fail_msg("%s", err.text);
}

static int setup(void **state)
{
    struct fixture *f = test_calloc(1, sizeof(*f));
    f->status[0] = f->status[1] = 200;
    assert_int_equal(uv_loop_init(&f->loop), 0);
    assert_int_equal(
        http_server_new(&f->loop, &http_limits_default, NULL, on_request, f, &f->server), 0);
    assert_int_equal(http_server_listen(f->server, "127.0.0.1", 0, NULL), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    if (f->transport)
        transport_close(f->transport, on_closed, f);
    for (int i = 0; i < f->held_count; i++)
        http_respond(f->held[i], 200, NULL, 0, SLICE_EMPTY);
    http_server_close(f->server, 0, on_server_closed, f);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_true(f->is_server_closed);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    test_free(f);
    return 0;
}

static void publish(struct fixture *f, const char *topic, const struct transport_entry *entries,
                    size_t count)
{
    int before = f->done_count;
    assert_int_equal(transport_publish(f->transport, topic, entries, count, on_done, f), 0);
    assert_int_equal(f->done_count, before); /* never from inside */
    while (f->done_count == before)
        uv_run(&f->loop, UV_RUN_ONCE);
    assert_int_equal(f->done_count, before + 1);
    assert_int_equal(f->result_count, count);
}

static const struct transport_entry two[2] = {
    {.id = {"1", 1}, .key = {"7", 1}, .event = {"{\"n\":1}", 7}},
    {.id = {"2", 1}, .key = {"8", 1}, .event = {"{\"n\":2}", 7}},
};

/* ---- tests ---------------------------------------------------------------------------------- */

static void each_event_goes_to_each_subscriber(void **state)
{
    struct fixture *f = *state;
    open_transport(f, "the token");
    publish(f, "task-events", two, 2);
    assert_int_equal(f->post_count, 4);
    assert_string_equal(f->posts[0].token, "the token");
    assert_string_equal(f->posts[0].content_type, "application/cloudevents+json");
    assert_string_equal(f->posts[0].body, "{\"n\":1}");
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(f->results[i].outcome, TRANSPORT_ACKED);
}

static void a_topic_that_nobody_wants_is_acked(void **state)
{
    struct fixture *f = *state;
    open_transport(f, NULL);
    publish(f, "task-reminders", two, 2);
    assert_int_equal(f->post_count, 0);
    assert_int_equal(f->results[1].outcome, TRANSPORT_ACKED);
}

static void what_a_subscriber_answers_is_the_outcome(void **state)
{
    static const struct {
        int status;
        enum transport_outcome outcome;
    } table[] = {
        {200, TRANSPORT_ACKED},       {204, TRANSPORT_ACKED},       {302, TRANSPORT_UNAVAILABLE},
        {400, TRANSPORT_REFUSED},     {401, TRANSPORT_UNAVAILABLE}, {404, TRANSPORT_UNAVAILABLE},
        {413, TRANSPORT_REFUSED},     {408, TRANSPORT_UNAVAILABLE}, {425, TRANSPORT_UNAVAILABLE},
        {429, TRANSPORT_UNAVAILABLE}, {500, TRANSPORT_UNAVAILABLE}, {503, TRANSPORT_UNAVAILABLE}};
    struct fixture *f = *state;
    open_transport(f, NULL);
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        f->status[1] = table[i].status;
        publish(f, "task-events", two, 1);
        assert_int_equal(f->results[0].outcome, table[i].outcome);
    }
}

static void one_subscriber_that_is_down_outweighs_one_that_refuses(void **state)
{
    struct fixture *f = *state;
    f->status[0] = 503;
    f->status[1] = 400;
    open_transport(f, NULL);
    publish(f, "task-events", two, 1);
    assert_int_equal(f->results[0].outcome, TRANSPORT_UNAVAILABLE);
    assert_string_equal(f->results[0].reason, "a subscriber answered 503");
}

static void nobody_listening_is_unavailable(void **state)
{
    struct fixture *f = *state;
    const struct transport_direct_options options = {.subscribers =
                                                         "task-events=http://127.0.0.1:1/"};
    assert_int_equal(transport_direct_new(&f->loop, &options, &f->transport, NULL), 0);
    publish(f, "task-events", two, 2);
    assert_int_equal(f->results[0].outcome, TRANSPORT_UNAVAILABLE);
    assert_int_equal(f->results[1].outcome, TRANSPORT_UNAVAILABLE);
}

static void a_dead_letter_says_why_it_is_one(void **state)
{
    struct fixture *f = *state;
    const struct transport_death death = {.topic = SLICE_LIT("task-reminders"),
                                          .consumer = SLICE_LIT("email"),
                                          .reason = SLICE_LIT("no\r\nuser\xff"),
                                          .attempts = 4};
    struct transport_entry letter = two[0];
    letter.event = SLICE_LIT("{broken");
    letter.death = &death;
    open_transport(f, NULL);
    publish(f, "task-events-dlq", &letter, 1);
    assert_int_equal(f->results[0].outcome, TRANSPORT_ACKED);
    assert_string_equal(f->posts[0].body, "{broken");
    assert_string_equal(f->posts[0].reason, "no??user?");
    assert_string_equal(f->posts[0].attempts, "4");
}

static void too_much_at_once_is_refused(void **state)
{
    struct fixture *f = *state;
    struct transport_entry many[17];
    for (size_t i = 0; i < 17; i++)
        many[i] = two[0];
    open_transport(f, NULL);
    f->status[0] = f->status[1] = 0; /* held */
    assert_int_equal(transport_publish(f->transport, "task-events", many, 17, on_done, f),
                     BASE_ELIMIT);
    for (uint32_t i = 0; i < f->transport->publish_max; i++)
        assert_int_equal(transport_publish(f->transport, "task-events", two, 1, on_done, f), 0);
    assert_int_equal(transport_publish(f->transport, "task-events", two, 1, on_done, f),
                     BASE_ELIMIT);
}

static void a_close_ends_what_is_in_flight(void **state)
{
    struct fixture *f = *state;
    open_transport(f, NULL);
    f->status[0] = 0;
    assert_int_equal(transport_publish(f->transport, "task-events", two, 2, on_done, f), 0);
    assert_int_equal(transport_publish(f->transport, "task-reminders", two, 1, on_done, f), 0);
    transport_close(f->transport, on_closed, f);
    assert_int_equal(transport_publish(f->transport, "task-events", two, 1, on_done, f),
                     BASE_ECLOSED);
    while (!f->is_closed)
        uv_run(&f->loop, UV_RUN_ONCE);
    assert_int_equal(f->done_count, 2);
}

static void a_list_that_will_not_do_is_refused_with_its_entry(void **state)
{
    static const struct {
        const char *text, *words;
    } table[] = {{"task-events", "\"task-events\"; expected topic=url"},
                 {"events=http://a/", "names the topic \"events\""},
                 {"task-events=a:80", "http://"},
                 {"task-events=ftp://a/", "http://"},
                 {"task-events=http://", "http://"},
                 {"task-events=http:///path", "http://"},
                 {"task-events=http://a/,x", "\"x\""}};
    struct error err;
    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        assert_int_equal(transport_direct_check(table[i].text, &err), BASE_EINVAL);
        if (!strstr(err.text, table[i].words))
            fail_msg("\"%s\" says: %s", table[i].text, err.text);
    }
    assert_int_equal(transport_direct_check(TRANSPORT_DIRECT_DEFAULT, &err), 0);
    assert_int_equal(transport_direct_check(" ", &err), 0);
    assert_int_equal(transport_direct_check("task-events=https://[::1]:8443/x ", &err), 0);
}

static void a_new_one_without_memory_fails_whole(void **state)
{
    struct fixture *f = *state;
    struct mem_loop loop = {0};
    while (mem_loop_next(&loop)) {
        const struct transport_direct_options options = {.subscribers = "task-events=http://a/",
                                                         .token = SECRET_FIXED("t")};
        int status = transport_direct_new(&f->loop, &options, &f->transport, NULL);
        mem_loop_expect(&loop, status, BASE_ENOMEM);
        if (status)
            continue;
        transport_close(f->transport, on_closed, f);
        while (f->transport)
            uv_run(&f->loop, UV_RUN_ONCE);
    }
}

static void a_publish_without_memory_is_unavailable_or_not_started(void **state)
{
    struct fixture *f = *state;
    struct mem_loop loop = {0};
    open_transport(f, NULL);
    while (mem_loop_next(&loop)) {
        int before = f->done_count;
        int status = transport_publish(f->transport, "task-events", two, 1, on_done, f);
        while (!status && f->done_count == before)
            uv_run(&f->loop, UV_RUN_ONCE);
        bool has_failed = mem_loop_has_failed(&loop);
        f->post_count = 0;
        if (status)
            assert_int_equal(status, BASE_ENOMEM);
        else if (!has_failed)
            assert_int_equal(f->results[0].outcome, TRANSPORT_ACKED);
        else
            assert_int_not_equal(f->results[0].outcome, TRANSPORT_REFUSED);
    }
}

#define direct_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        direct_test(each_event_goes_to_each_subscriber),
        direct_test(a_topic_that_nobody_wants_is_acked),
        direct_test(what_a_subscriber_answers_is_the_outcome),
        direct_test(one_subscriber_that_is_down_outweighs_one_that_refuses),
        direct_test(nobody_listening_is_unavailable),
        direct_test(a_dead_letter_says_why_it_is_one),
        direct_test(too_much_at_once_is_refused),
        direct_test(a_close_ends_what_is_in_flight),
        direct_test(a_list_that_will_not_do_is_refused_with_its_entry),
        direct_test(a_new_one_without_memory_fails_whole),
        direct_test(a_publish_without_memory_is_unavailable_or_not_started),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
