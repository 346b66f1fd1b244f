/* Publishing: what is sent, and what an answer says of each event. */
#include "support/mem_loop.h"
#include "support/unit.h"

#include "base/error.h"
#include "base/mem.h"
#include "dapr/pubsub.h"
#include "fixture.h"

#define TRACE "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

static void on_bulk(void *ctx, int status, const struct dapr_event_result *results, size_t count,
                    const struct error *err)
{
    struct heard *h = ctx;
    int at = 0;
    heard_error(h, status, err);
    h->value[0] = '\0';
    for (size_t i = 0; i < count; i++)
        at += snprintf(h->value + at, sizeof(h->value) - (size_t)at, "%d:%.*s;", results[i].status,
                       (int)results[i].reason.len,
                       results[i].reason.len ? results[i].reason.ptr : "");
}

static struct dapr_event event_of(const char *id, const char *body)
{
    return (struct dapr_event){.id = slice_from_cstr(id), .body = slice_from_cstr(body)};
}

static void one_event_goes_with_its_metadata(void **state)
{
    struct fixture *f = *state;
    struct dapr_event event = event_of("1", "{\"id\":\"1\"}");
    event.partition_key = SLICE_LIT("7&8");
    event.ttl_s = 60;
    fixture_wait(f, dapr_publish(f->client, "my bus", "a/b", &event, heard_done, &f->heard, NULL));
    assert_string_equal(f->method, "POST");
    assert_string_equal(f->path, "/v1.0/publish/my%20bus/a%2Fb");
    assert_string_equal(
        f->query, "metadata.rawPayload=false&metadata.partitionKey=7%268&metadata.ttlInSeconds=60");
    assert_string_equal(f->content_type, "application/cloudevents+json");
    assert_string_equal(f->body, "{\"id\":\"1\"}");
}

static void a_text_goes_with_its_type(void **state)
{
    struct fixture *f = *state;
    struct dapr_event event = event_of("1", "hello");
    event.content_type = "text/plain";
    fixture_wait(f, dapr_publish(f->client, "bus", "t", &event, heard_done, &f->heard, NULL));
    assert_string_equal(f->content_type, "text/plain");
    assert_string_equal(f->body, "hello");
}

static void several_events_go_as_entries(void **state)
{
    struct fixture *f = *state;
    struct dapr_event events[] = {event_of("a\"b", " {\"x\":[1,{}]}"), event_of("2", "say \"hi\""),
                                  event_of("3", "[true]")};
    events[0].partition_key = SLICE_LIT("7");
    events[0].ttl_s = 5;
    events[1].content_type = "text/plain";
    events[2].content_type = "application/json";
    fixture_wait(f, dapr_publish_bulk(f->client, "bus", "t", events, 3, on_bulk, &f->heard, NULL));
    assert_string_equal(f->path, "/v1.0/publish/bulk/bus/t");
    assert_string_equal(f->content_type, "application/json");
    assert_string_equal(
        f->body, "[{\"entryId\":\"a\\\"b\",\"contentType\":\"application/cloudevents+json\","
                 "\"metadata\":{\"rawPayload\":\"false\",\"partitionKey\":\"7\",\"ttlInSeconds\":"
                 "\"5\"},\"event\": {\"x\":[1,{}]}},"
                 "{\"entryId\":\"2\",\"contentType\":\"text/plain\",\"metadata\":{\"rawPayload\":"
                 "\"false\"},\"event\":\"say \\\"hi\\\"\"},"
                 "{\"entryId\":\"3\",\"contentType\":\"application/json\",\"metadata\":{"
                 "\"rawPayload\":\"false\"},\"event\":[true]}]");
    assert_string_equal(f->heard.value, "0:;0:;0:;");
}

static void the_events_own_trace_is_kept(void **state)
{
    static const char *const cases[][2] = {
        {"{\"traceparent\":\"" TRACE "\",\"a\":{\"traceid\":1}}",
         "{\"traceid\":\"" TRACE "\",\"traceparent\":\"" TRACE "\",\"a\":{\"traceid\":1}}"},
        {"{\"traceid\":\"x\",\"traceparent\":\"" TRACE "\"}",
         "{\"traceid\":\"x\",\"traceparent\":\"" TRACE "\"}"},
        {"{\"traceparent\":\"\"}", "{\"traceparent\":\"\"}"},
        {"{\"traceparent\":7}", "{\"traceparent\":7}"},
        {"{}", "{}"},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct dapr_event event = event_of("1", cases[i][0]);
        fixture_wait(f, dapr_publish(f->client, "bus", "t", &event, heard_done, &f->heard, NULL));
        assert_string_equal(f->body, cases[i][1]);
    }
}

static void events_that_cannot_be_sent_are_refused(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    static const struct {
        const char *id, *type, *body;
        int status;
    } bad[] = {
        {"1", NULL, "", BASE_ESYNTAX},
        {"1", NULL, "{", BASE_ESYNTAX},
        {"1", NULL, "[]", BASE_EINVAL},
        {"1", NULL, "\"text\"", BASE_EINVAL},
        {"1", "application/json", "{\"a\":1}x", BASE_ESYNTAX},
        {"1", "application/octet-stream", "x", BASE_EINVAL},
        {"", NULL, "{}", BASE_EINVAL},
        {"a\nb", NULL, "{}", BASE_EINVAL},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct dapr_event event = event_of(bad[i].id, bad[i].body);
        event.content_type = bad[i].type;
        assert_int_equal(
            dapr_publish_bulk(f->client, "bus", "t", &event, 1, on_bulk, &f->heard, &err),
            bad[i].status);
    }
    struct dapr_event event = event_of("1", "[]");
    assert_int_equal(dapr_publish(f->client, "bus", "t", &event, heard_done, &f->heard, &err),
                     BASE_EINVAL);
    assert_int_equal(dapr_publish_bulk(f->client, "bus", "t", &event, 0, on_bulk, &f->heard, &err),
                     BASE_EINVAL);
    assert_int_equal(f->heard.count, 0);
}

/* What the sidecar says of three events, a, b and c; whatever it says, each is heard of once. */
static void each_event_has_its_result(void **state)
{
    static const struct {
        int http_status;
        const char *body;
        int status;
        const char *results;
    } cases[] = {
        {204, "", 0, "0:;0:;0:;"},
        {200, "{\"failedEntries\":[{\"entryId\":\"a\"}]}", 0, "0:;0:;0:;"},
        {500, "{\"failedEntries\":[{\"entryId\":\"b\",\"error\":\"down\"}]}", 0,
         "0:;-25010:down;0:;"},
        {500, "{\"failedEntries\":[{\"entryId\":\"c\"},{\"entryId\":\"a\",\"error\":7}]}", 0,
         "-25010:;0:;-25010:;"},
        {500, "{\"failedEntries\":[{\"entryId\":\"b\",\"error\":\"a message larger than that\"}]}",
         0, "0:;-25009:a message larger than that;0:;"},
        {500, "{\"failedEntries\":[{\"entryId\":\"b\"},{\"entryId\":\"b\"}]}", 0, "0:;-25010:;0:;"},
        {500, "{\"failedEntries\":[{\"entryId\":\"z\"}]}", DAPR_ECOMPONENT, ""},
        {500, "{\"failedEntries\":[{\"entryId\":1}]}", DAPR_ECOMPONENT, ""},
        {500, "{\"failedEntries\":[]}", DAPR_ECOMPONENT, ""},
        {500, "{\"failedEntries\":{\"entryId\":\"a\"}}", DAPR_ECOMPONENT, ""},
        {500, "{\"failedEntries\":[7]}", DAPR_ECOMPONENT, ""},
        {500, "{\"failedEntries\":[{\"entryId\":\"a\"}", DAPR_ECOMPONENT, ""},
        {500, "", DAPR_ECOMPONENT, ""},
        {500, "null", DAPR_ECOMPONENT, ""},
        {500, "{\"errorCode\":\"ERR_PUBSUB_CLOUD_EVENTS_SER\",\"message\":\"x\"}", DAPR_EREFUSED,
         ""},
        {400, "{\"errorCode\":\"ERR_PUBSUB_EVENTS_SER\",\"message\":\"stream too large\"}",
         DAPR_ETOOLARGE, ""},
    };
    struct fixture *f = *state;
    struct dapr_event events[] = {event_of("a", "{}"), event_of("b", "{}"), event_of("c", "{}")};
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        f->answer = (struct canned){cases[i].http_status, cases[i].body, NULL};
        fixture_wait(f,
                     dapr_publish_bulk(f->client, "bus", "t", events, 3, on_bulk, &f->heard, NULL));
        assert_int_equal(f->heard.status, cases[i].status);
        assert_string_equal(f->heard.value, cases[i].results);
    }
}

static void publishing_survives_lost_memory(void **state)
{
    struct fixture *f = *state;
    struct mem_loop loop = {0};
    struct dapr_event event = event_of("a", "{\"traceparent\":\"" TRACE "\"}");
    while (mem_loop_next(&loop)) {
        int status = dapr_publish_bulk(f->client, "bus", "t", &event, 1, on_bulk, &f->heard, NULL);
        mem_loop_expect(&loop, status, BASE_ENOMEM);
        if (!status)
            fixture_wait(f, 0);
    }
    loop = (struct mem_loop){0};
    while (mem_loop_next(&loop)) {
        int status = dapr_publish(f->client, "bus", "t", &event, heard_done, &f->heard, NULL);
        mem_loop_expect(&loop, status, BASE_ENOMEM);
        if (!status)
            fixture_wait(f, 0);
    }
}

/* From the answer on each allocation fails once, of the client's, of its connection and of the
 * server: the call ends all the same, once. */
static void an_answer_survives_lost_memory(void **state)
{
    struct fixture *f = *state;
    struct dapr_event event = event_of("a", "{}");
    fixture_reopen(f, &(struct dapr_client_options){.timeout_ms = 200});
    f->answer = (struct canned){500, "{\"failedEntries\":[{\"entryId\":\"a\"}]}", NULL};
    bool is_failing = true;
    for (f->fail_nth = 1; is_failing && f->fail_nth < 100; f->fail_nth++) {
        fixture_wait(f,
                     dapr_publish_bulk(f->client, "bus", "t", &event, 1, on_bulk, &f->heard, NULL));
        is_failing = mem_fail_happened();
        mem_fail_nth(0);
        assert_true(f->heard.status != 0 || strcmp(f->heard.value, "-25010:;") == 0);
    }
    assert_false(is_failing);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(one_event_goes_with_its_metadata),
        FIXTURE_TEST(a_text_goes_with_its_type),
        FIXTURE_TEST(several_events_go_as_entries),
        FIXTURE_TEST(the_events_own_trace_is_kept),
        FIXTURE_TEST(events_that_cannot_be_sent_are_refused),
        FIXTURE_TEST(each_event_has_its_result),
        FIXTURE_TEST(publishing_survives_lost_memory),
        FIXTURE_TEST(an_answer_survives_lost_memory),
    };
    mem_loop_hook_cjson();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
