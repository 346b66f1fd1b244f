/* The way out by a sidecar, against answers that are told to it; a real one is in
 * tests/stack/dapr_test.py. */
#include "support/mem_loop.h"
#include "support/unit.h"

#include "base/error.h"
#include "base/mem.h"
#include "events/transport_dapr.h"
#include "unit/dapr/fixture.h"

struct told {
    int count;
    char text[1024]; /* outcome:reason; */
};

struct test {
    struct fixture *f;
    struct transport *transport;
    struct told told;
    int closed;
};

static const struct transport_entry three[] = {
    {.id = {"a", 1}, .key = {"7", 1}, .event = {"{\"id\":\"a\"}", 10}},
    {.id = {"b", 1}, .key = {"8", 1}, .event = {"{\"id\":\"b\"}", 10}},
    {.id = {"c", 1}, .key = {"9", 1}, .event = {"{\"id\":\"c\"}", 10}},
};

static void on_done(void *ctx, const struct transport_result *results, size_t count)
{
    struct told *told = ctx;
    size_t at = 0;
    told->count++;
    told->text[0] = '\0';
    for (size_t i = 0; i < count; i++)
        at += (size_t)snprintf(told->text + at, sizeof(told->text) - at, "%d:%s;",
                               (int)results[i].outcome, results[i].reason);
}

static void on_identity(void *ctx, struct slice identity)
{
    struct told *told = ctx;
    told->count++;
    snprintf(told->text, sizeof(told->text), "%.*s", (int)identity.len,
             identity.len ? identity.ptr : "");
}

static void on_closed(void *ctx)
{
    ((struct test *)ctx)->closed++;
}

static int setup(void **state)
{
    struct test *t = test_calloc(1, sizeof(*t));
    void *fixture = NULL;
    fixture_setup(&fixture);
    t->f = fixture;
    const struct transport_dapr_options options = {t->f->client, "bus"};
    assert_int_equal(transport_dapr_new(&t->f->loop, &options, NULL, &t->transport, NULL), 0);
    *state = t;
    return 0;
}

static void close_transport(struct test *t)
{
    transport_close(t->transport, on_closed, t);
    t->transport = NULL;
    while (t->closed == 0)
        uv_run(&t->f->loop, UV_RUN_ONCE);
}

static int teardown(void **state)
{
    struct test *t = *state;
    void *fixture = t->f;
    if (t->transport)
        close_transport(t);
    fixture_teardown(&fixture);
    test_free(t);
    return 0;
}

static void wait_up(struct test *t)
{
    fixture_wait(t->f, dapr_client_wait(t->f->client, 5000, heard_done, &t->f->heard));
}

static void wait_told(struct test *t)
{
    while (t->told.count == 0)
        uv_run(&t->f->loop, UV_RUN_ONCE);
    assert_int_equal(t->told.count, 1);
    t->told.count = 0;
}

static const char *publish(struct test *t, const struct transport_entry *entries, size_t count)
{
    assert_int_equal(
        transport_publish(t->transport, "task-events", entries, count, on_done, &t->told), 0);
    assert_int_equal(t->told.count, 0);
    wait_told(t);
    return t->told.text;
}

static void while_the_sidecar_is_down_nothing_is_sent(void **state)
{
    struct test *t = *state;
    assert_string_equal(publish(t, three, 2), "1:the sidecar is down;1:the sidecar is down;");
    assert_int_equal(t->f->request_count, 0);
}

static void each_event_has_its_result(void **state)
{
    static const struct {
        int status;
        const char *body, *told;
    } cases[] = {
        {204, "", "0:;0:;0:;"},
        {500, "{\"failedEntries\":[{\"entryId\":\"1\",\"error\":\"no broker\"}]}",
         "0:;1:no broker;0:;"},
        {500, "{\"failedEntries\":[{\"entryId\":\"2\",\"error\":\"larger than allowed\"}]}",
         "0:;0:;2:larger than allowed;"},
        {500, "{\"errorCode\":\"E\",\"message\":\"m\"}", "1:m;1:m;1:m;"},
        {401, "no", "1:HTTP 401: no;1:HTTP 401: no;1:HTTP 401: no;"},
        {404, "{\"errorCode\":\"ERR_PUBSUB_NOT_FOUND\",\"message\":\"m\"}", "1:m;1:m;1:m;"},
    };
    struct test *t = *state;
    wait_up(t);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        t->f->answer = (struct canned){cases[i].status, cases[i].body, NULL};
        assert_string_equal(publish(t, three, 3), cases[i].told);
    }
    assert_string_equal(t->f->path, "/v1.0/publish/bulk/bus/task-events");
    assert_non_null(strstr(t->f->body, "\"metadata\":{\"rawPayload\":\"false\","
                                       "\"partitionKey\":\"8\"},\"event\":{\"id\":\"b\"}"));
}

static void a_bulk_that_is_refused_as_a_whole_goes_event_by_event(void **state)
{
    struct test *t = *state;
    wait_up(t);
    t->f->answer = (struct canned){400, "{\"errorCode\":\"E\",\"message\":\"m\"}", NULL};
    assert_string_equal(publish(t, three, 3), "2:m;2:m;2:m;");
    assert_int_equal(t->f->request_count, 4);
}

static void events_that_cannot_be_sent_are_refused_alone(void **state)
{
    struct test *t = *state;
    struct transport_entry entries[3];
    size_t size = 901 << 10;
    char *large = test_malloc(size);
    memset(large, ' ', size);
    memcpy(entries, three, sizeof(entries));
    entries[0].event = SLICE_LIT("[]");
    entries[2].event = (struct slice){large, size};
    wait_up(t);
    assert_string_equal(publish(t, entries, 3),
                        "2:a CloudEvent is a JSON object;0:;2:the event is too large;");
    entries[1].event = SLICE_LIT("{\"torn");
    t->f->request_count = 0;
    publish(t, entries, 3);
    assert_int_equal(t->f->request_count, 0);
    test_free(large);
}

static void dead_letters_carry_why(void **state)
{
    static const struct transport_death death = {SLICE_LIT("task-reminders"), SLICE_LIT("email"),
                                                 SLICE_LIT("no \xff event"), 3};
    struct test *t = *state;
    struct transport_entry entries[] = {
        {.id = SLICE_LIT("x"), .event = SLICE_LIT("\xff\x00torn"), .death = &death},
        {.id = SLICE_LIT("y"),
         .event = SLICE_LIT("{\"specversion\":\"1.0\",\"id\":\"y\",\"source\":\"/s\",\"type\":"
                            "\"T\",\"time\":\"2026-11-24T10:00:00Z\",\"datacontenttype\":"
                            "\"application/json\",\"deadletterattempts\":9,\"data\":{}}"),
         .death = &death},
    };
    wait_up(t);
    assert_string_equal(publish(t, entries, 2), "0:;0:;");
    assert_non_null(strstr(t->f->body, "\"data_base64\":\"/wB0b3Ju\""));
    assert_non_null(strstr(t->f->body, "\"type\":\"DeadLetterEvent\""));
    assert_non_null(strstr(t->f->body, "\"deadletterreason\":\"no \xef\xbf\xbd event\""));
    assert_non_null(strstr(t->f->body, "\"id\":\"y\""));
    assert_null(strstr(t->f->body, "\"deadletterattempts\":9"));
}

static void publishes_past_the_limit_are_refused(void **state)
{
    struct test *t = *state;
    struct told others[8] = {0};
    wait_up(t);
    t->f->answer.status = 0;
    for (uint32_t i = 0; i < t->transport->publish_max; i++)
        assert_int_equal(transport_publish(t->transport, "t", three, 1, on_done, &others[i]), 0);
    assert_int_equal(transport_publish(t->transport, "t", three, 1, on_done, &t->told),
                     BASE_ELIMIT);
    close_transport(t); /* tells them, after a while */
    for (uint32_t i = 0; i < 4; i++)
        assert_string_equal(others[i].text, "1:the sidecar has not answered yet;");
}

static void it_tells_which_broker_there_is(void **state)
{
    struct test *t = *state;
    struct told late = {0};
    t->f->answer = (struct canned){
        200, "{\"components\":[{\"name\":\"bus\",\"type\":\"pubsub.redis\",\"version\":\"v1\"}]}",
        NULL};
    assert_int_equal(t->transport->identify(t->transport, on_identity, &t->told), 0);
    wait_told(t);
    assert_string_equal(t->told.text, "pubsub.redis/v1");
    t->f->answer = (struct canned){500, "", NULL};
    assert_int_equal(t->transport->identify(t->transport, on_identity, &t->told), 0);
    wait_told(t);
    assert_string_equal(t->told.text, "");
    t->f->answer.status = 0;
    assert_int_equal(t->transport->identify(t->transport, on_identity, &late), 0);
    struct transport *transport = t->transport;
    t->transport = NULL;
    transport_close(transport, on_closed, t);
    assert_int_equal(transport->identify(transport, on_identity, &t->told), BASE_ECLOSED);
    assert_int_equal(transport_publish(transport, "t", three, 1, on_done, &t->told), BASE_ECLOSED);
    while (t->closed == 0)
        uv_run(&t->f->loop, UV_RUN_ONCE);
    assert_int_equal(late.count, 1);
}

static void it_survives_lost_memory(void **state)
{
    struct test *t = *state;
    struct mem_loop loop = {0};
    const struct transport_dapr_options options = {t->f->client, "bus"};
    static const struct transport_death death = {SLICE_LIT("t"), SLICE_LIT("c"), SLICE_LIT("r"), 1};
    struct transport_entry entries[2] = {three[0], three[1]};
    entries[1].death = &death;
    while (mem_loop_next(&loop)) {
        struct transport *transport = NULL;
        int status = transport_dapr_new(&t->f->loop, &options, NULL, &transport, NULL);
        mem_loop_expect(&loop, status, BASE_ENOMEM);
        if (!status)
            transport_close(transport, on_closed, t);
    }
    t->closed = 0;
    wait_up(t);
    loop = (struct mem_loop){0};
    while (mem_loop_next(&loop)) {
        int status = transport_publish(t->transport, "task-events", entries, 2, on_done, &t->told);
        bool has_failed = mem_loop_has_failed(&loop);
        assert_true(status == 0 || (has_failed && status == BASE_ENOMEM));
        if (status)
            continue;
        wait_told(t);
        assert_true(has_failed || strcmp(t->told.text, "0:;0:;") == 0);
        assert_null(strstr(t->told.text, "2:")); /* no event is to blame */
    }
    loop = (struct mem_loop){0};
    t->f->answer = (struct canned){200, "{}", NULL};
    while (mem_loop_next(&loop)) {
        int status = t->transport->identify(t->transport, on_identity, &t->told);
        mem_loop_expect(&loop, status, BASE_ENOMEM);
        if (!status)
            wait_told(t);
    }
}

static void it_needs_a_component(void **state)
{
    struct test *t = *state;
    struct transport *transport = NULL;
    const struct transport_dapr_options options = {t->f->client, ""};
    assert_int_equal(transport_dapr_new(&t->f->loop, &options, NULL, &transport, NULL),
                     BASE_EINVAL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(while_the_sidecar_is_down_nothing_is_sent),
        TEST(each_event_has_its_result),
        TEST(a_bulk_that_is_refused_as_a_whole_goes_event_by_event),
        TEST(events_that_cannot_be_sent_are_refused_alone),
        TEST(dead_letters_carry_why),
        TEST(publishes_past_the_limit_are_refused),
        TEST(it_tells_which_broker_there_is),
        TEST(it_survives_lost_memory),
        TEST(it_needs_a_component),
    };
    mem_loop_hook_cjson();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
