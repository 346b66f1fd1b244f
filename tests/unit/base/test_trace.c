/* The tracer against a collector of our own on loopback: one loop carries both. */
#include "support/mem_loop.h"
#include "support/unit.h"

#include <stdio.h>
#include <uv.h>

#include "base/error.h"
#include "base/http_server.h"
#include "base/json.h"
#include "base/trace.h"

#define PARENT "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

struct fixture {
    uv_loop_t loop;
    struct http_server *server;
    struct tracer *tracer;
    int requests;
    int answer; /* the status that the collector gives */
    cJSON *last;
    char path[64];
    bool is_server_closed, is_tracer_closed;
};

static void on_request(void *ctx, struct http_request *req)
{
    struct fixture *f = ctx;
    struct slice path = http_request_path(req);
    f->requests++;
    cJSON_Delete(f->last);
    f->last = json_parse(http_request_body(req), NULL);
    snprintf(f->path, sizeof(f->path), "%.*s", (int)path.len, path.ptr);
    http_respond(req, f->answer, NULL, 0, SLICE_LIT("{}"));
}

static struct tracer_options options_for(const struct fixture *f, char *url, size_t size)
{
    snprintf(url, size, "http://127.0.0.1:%u/", http_server_port(f->server));
    return (struct tracer_options){.endpoint = url,
                                   .service_name = "backend",
                                   .service_version = "1.2.3",
                                   .sample_percent = 100,
                                   .interval_ms = 20};
}

static int setup(void **state)
{
    struct fixture *f = test_calloc(1, sizeof(*f));
    char url[64];
    f->answer = 200;
    assert_int_equal(uv_loop_init(&f->loop), 0);
    assert_int_equal(
        http_server_new(&f->loop, &http_limits_default, NULL, on_request, f, &f->server), 0);
    assert_int_equal(http_server_listen(f->server, "127.0.0.1", 0, NULL), 0);
    const struct tracer_options options = options_for(f, url, sizeof(url));
    assert_int_equal(tracer_new(&f->loop, &options, NULL, &f->tracer, NULL), 0);
    *state = f;
    return 0;
}

static void on_closed(void *ctx)
{
    *(bool *)ctx = true;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    if (f->tracer)
        tracer_close(f->tracer, 100, on_closed, &f->is_tracer_closed);
    while (f->tracer && !f->is_tracer_closed)
        uv_run(&f->loop, UV_RUN_ONCE);
    http_server_close(f->server, 100, on_closed, &f->is_server_closed);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_true(f->is_server_closed);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    cJSON_Delete(f->last);
    test_free(f);
    return 0;
}

static void wait_for_requests(struct fixture *f, int count)
{
    while (f->requests < count)
        uv_run(&f->loop, UV_RUN_ONCE);
}

static const struct trace_end plain = {.name = "add_task", .kind = TRACE_SERVER};

/* ---- context ---- */

static void a_traceparent_reads_back_as_it_was_written(void **state)
{
    (void)state;
    struct trace_context context;
    char text[TRACE_PARENT_SIZE];
    assert_true(trace_context_parse(SLICE_LIT(PARENT), &context));
    assert_true(context.is_sampled);
    trace_context_format(&context, text);
    assert_string_equal(text, PARENT);
}

static void a_wrong_traceparent_is_none(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",
        "00",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-extra",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01",
        "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01extra",
    };
    struct trace_context context;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        if (trace_context_parse(slice_from_cstr(wrong[i]), &context))
            fail_msg("taken: %s", wrong[i]);
    }
}

static void the_ids_of_a_traceparent_are_read_in_hex(void **state)
{
    (void)state;
    struct trace_ids ids;
    trace_ids_read(SLICE_LIT("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"), &ids);
    assert_string_equal(ids.trace_id, "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_string_equal(ids.span_id, "00f067aa0ba902b7");
    trace_ids_read(SLICE_LIT("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01"), &ids);
    assert_string_equal(ids.trace_id, "");
    assert_string_equal(ids.span_id, "");
    trace_ids_read(SLICE_EMPTY, &ids);
    assert_string_equal(ids.trace_id, "");
}

static void a_later_version_may_go_on_after_the_flags(void **state)
{
    (void)state;
    struct trace_context context;
    assert_true(trace_context_parse(
        SLICE_LIT("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00-what"), &context));
    assert_false(context.is_sampled);
}

/* ---- spans ---- */

static const cJSON *spans_of(const cJSON *batch)
{
    const cJSON *resource = cJSON_GetArrayItem(json_get(batch, "resourceSpans"), 0);
    const cJSON *scope = cJSON_GetArrayItem(json_get(resource, "scopeSpans"), 0);
    return json_get(scope, "spans");
}

static void a_span_reaches_the_collector_with_its_parent_and_attributes(void **state)
{
    struct fixture *f = *state;
    struct trace_context parent;
    struct trace_span span;
    const struct trace_attribute attributes[] = {trace_text("todo.tool", "add_task \"x\""),
                                                 trace_int("todo.task_id", 7)};
    const struct trace_end end = {.name = "add_task",
                                  .kind = TRACE_SERVER,
                                  .attributes = attributes,
                                  .attribute_count = 2,
                                  .error = "no"};
    assert_true(trace_context_parse(SLICE_LIT(PARENT), &parent));
    trace_span_start(f->tracer, &parent, &span);
    trace_span_end(f->tracer, &span, &end);
    wait_for_requests(f, 1);
    assert_string_equal(f->path, "/v1/traces");
    assert_int_equal(cJSON_GetArraySize(spans_of(f->last)), 1);
    const cJSON *sent = cJSON_GetArrayItem(spans_of(f->last), 0);
    assert_string_equal(json_get_string(sent, "traceId"), "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_string_equal(json_get_string(sent, "parentSpanId"), "00f067aa0ba902b7");
    assert_string_not_equal(json_get_string(sent, "spanId"), "00f067aa0ba902b7");
    assert_string_equal(json_get_string(sent, "name"), "add_task");
    assert_int_equal(json_get(sent, "kind")->valueint, 2);
    const cJSON *first = cJSON_GetArrayItem(json_get(sent, "attributes"), 0);
    assert_string_equal(json_get_string(json_get(first, "value"), "stringValue"), "add_task \"x\"");
    const cJSON *second = cJSON_GetArrayItem(json_get(sent, "attributes"), 1);
    assert_string_equal(json_get_string(json_get(second, "value"), "intValue"), "7");
    assert_int_equal(json_get(json_get(sent, "status"), "code")->valueint, 2);
}

static void spans_that_end_together_go_together(void **state)
{
    struct fixture *f = *state;
    struct trace_span span;
    for (int i = 0; i < 100; i++) {
        trace_span_start(f->tracer, NULL, &span);
        trace_span_end(f->tracer, &span, &plain);
    }
    wait_for_requests(f, 1);
    assert_int_equal(cJSON_GetArraySize(spans_of(f->last)), 100);
}

static void a_trace_that_its_caller_does_not_sample_is_not_recorded(void **state)
{
    struct fixture *f = *state;
    struct trace_context parent;
    struct trace_span span;
    struct trace_span wanted;
    assert_true(trace_context_parse(
        SLICE_LIT("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"), &parent));
    trace_span_start(f->tracer, &parent, &span);
    assert_false(span.is_recorded);
    trace_span_end(f->tracer, &span, &plain);
    trace_span_start(f->tracer, NULL, &wanted);
    trace_span_end(f->tracer, &wanted, &plain);
    wait_for_requests(f, 1);
    assert_int_equal(cJSON_GetArraySize(spans_of(f->last)), 1);
}

static void without_a_tracer_the_callers_context_is_passed_on(void **state)
{
    (void)state;
    struct trace_context parent;
    struct trace_span span;
    char text[TRACE_PARENT_SIZE];
    assert_true(trace_context_parse(SLICE_LIT(PARENT), &parent));
    trace_span_start(NULL, &parent, &span);
    trace_context_format(&span.context, text);
    assert_string_equal(text, PARENT);
    trace_span_end(NULL, &span, &plain);
}

/* ---- the collector ---- */

static uint64_t exported(const struct fixture *f)
{
    struct tracer_stats stats;
    tracer_stats(f->tracer, &stats);
    return stats.exported;
}

static uint64_t dropped(const struct fixture *f)
{
    struct tracer_stats stats;
    tracer_stats(f->tracer, &stats);
    return stats.dropped;
}

static void what_a_busy_collector_did_not_take_is_sent_again(void **state)
{
    struct fixture *f = *state;
    struct trace_span span;
    f->answer = 503;
    trace_span_start(f->tracer, NULL, &span);
    trace_span_end(f->tracer, &span, &plain);
    wait_for_requests(f, 1);
    f->answer = 200;
    while (exported(f) == 0)
        uv_run(&f->loop, UV_RUN_ONCE);
    assert_int_equal(exported(f), 1);
    assert_int_equal(dropped(f), 0);
}

static void what_the_collector_refuses_is_dropped_and_counted(void **state)
{
    struct fixture *f = *state;
    struct trace_span span;
    f->answer = 400;
    trace_span_start(f->tracer, NULL, &span);
    trace_span_end(f->tracer, &span, &plain);
    while (dropped(f) == 0)
        uv_run(&f->loop, UV_RUN_ONCE);
    assert_int_equal(f->requests, 1);
}

static void closing_sends_what_is_left(void **state)
{
    struct fixture *f = *state;
    struct trace_span span;
    trace_span_start(f->tracer, NULL, &span);
    trace_span_end(f->tracer, &span, &plain);
    tracer_close(f->tracer, 5000, on_closed, &f->is_tracer_closed);
    while (!f->is_tracer_closed)
        uv_run(&f->loop, UV_RUN_ONCE);
    f->tracer = NULL;
    assert_int_equal(f->requests, 1);
}

static void a_full_batch_drops_the_span_and_stays_whole(void **state)
{
    struct fixture *f = *state;
    char url[64];
    struct trace_span span;
    struct tracer_options options = options_for(f, url, sizeof(url));
    bool is_closed = false;
    struct tracer *small;
    struct tracer_stats stats;
    options.batch_bytes = 1000;
    options.interval_ms = 60000;
    assert_int_equal(tracer_new(&f->loop, &options, NULL, &small, NULL), 0);
    for (int i = 0; i < 20; i++) {
        trace_span_start(small, NULL, &span);
        trace_span_end(small, &span, &plain);
    }
    tracer_stats(small, &stats);
    assert_in_range(stats.dropped, 1, 18);
    tracer_close(small, 5000, on_closed, &is_closed);
    while (!is_closed)
        uv_run(&f->loop, UV_RUN_ONCE);
    assert_non_null(f->last);
}

static void a_wrong_endpoint_is_refused_by_name(void **state)
{
    struct fixture *f = *state;
    static const char *const wrong[] = {NULL, "", "127.0.0.1:4318", "ftp://x/", "http://"};
    struct tracer *t;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        struct error err = {0};
        const struct tracer_options options = {
            .endpoint = wrong[i], .service_name = "s", .service_version = "v"};
        assert_int_equal(tracer_new(&f->loop, &options, NULL, &t, &err), BASE_EINVAL);
        assert_string_equal(err.field, "OTEL_EXPORTER_OTLP_ENDPOINT");
    }
}

static void a_tracer_without_memory_is_not_made(void **state)
{
    struct fixture *f = *state;
    struct mem_loop loop = {0};
    char url[64];
    const struct tracer_options options = options_for(f, url, sizeof(url));
    while (mem_loop_next(&loop)) {
        struct tracer *t = NULL;
        bool is_closed = false;
        int status = tracer_new(&f->loop, &options, NULL, &t, NULL);
        mem_loop_expect(&loop, status, BASE_ENOMEM);
        if (t)
            tracer_close(t, 0, on_closed, &is_closed);
        while (t && !is_closed)
            uv_run(&f->loop, UV_RUN_ONCE);
    }
}

/* Each allocation on the way of a span, from its end to its arrival or its loss. */
static void a_span_without_memory_is_lost_and_no_more(void **state)
{
    struct fixture *f = *state;
    struct mem_loop loop = {0};
    while (mem_loop_next(&loop)) {
        struct trace_span span;
        uint64_t before = exported(f) + dropped(f);
        trace_span_start(f->tracer, NULL, &span);
        trace_span_end(f->tracer, &span, &plain);
        while (exported(f) + dropped(f) == before)
            uv_run(&f->loop, UV_RUN_ONCE);
        mem_loop_has_failed(&loop);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_traceparent_reads_back_as_it_was_written),
        cmocka_unit_test(a_wrong_traceparent_is_none),
        cmocka_unit_test(the_ids_of_a_traceparent_are_read_in_hex),
        cmocka_unit_test(a_later_version_may_go_on_after_the_flags),
        cmocka_unit_test(without_a_tracer_the_callers_context_is_passed_on),
        cmocka_unit_test_setup_teardown(a_span_reaches_the_collector_with_its_parent_and_attributes,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(spans_that_end_together_go_together, setup, teardown),
        cmocka_unit_test_setup_teardown(a_trace_that_its_caller_does_not_sample_is_not_recorded,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(what_a_busy_collector_did_not_take_is_sent_again, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(what_the_collector_refuses_is_dropped_and_counted, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(closing_sends_what_is_left, setup, teardown),
        cmocka_unit_test_setup_teardown(a_full_batch_drops_the_span_and_stays_whole, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_wrong_endpoint_is_refused_by_name, setup, teardown),
        cmocka_unit_test_setup_teardown(a_tracer_without_memory_is_not_made, setup, teardown),
        cmocka_unit_test_setup_teardown(a_span_without_memory_is_lost_and_no_more, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
