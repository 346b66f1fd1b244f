/* What is seen of calls from outside: reports, and a span each that the handler's work goes below.
 */
#include "support/unit.h"

#include <uv.h>

#include "base/http_server.h"
#include "base/json.h"
#include "base/trace.h"
#include "harness.h"

#define PARENT "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

struct fixture {
    uv_loop_t loop;
    struct harness h;
    struct http_server *collector;
    struct tracer *tracer;
    cJSON *batch; /* what the collector got last */
    char seen[TRACE_PARENT_SIZE];
    struct mcp_call_report report;
    char name[64];
    int reports;
    bool is_closed;
};

static void on_call(void *ctx, const struct mcp_call_report *report)
{
    struct fixture *f = ctx;
    f->reports++;
    f->report = *report;
    snprintf(f->name, sizeof(f->name), "%s", report->name);
}

static void say_hello(void *ctx, struct mcp_call *call)
{
    struct fixture *f = ctx;
    struct slice text = mcp_call_traceparent(call);
    snprintf(f->seen, sizeof(f->seen), "%.*s", (int)text.len, text.len ? text.ptr : "");
    mcp_call_text(call, "hello");
}

static void say_no(void *ctx, struct mcp_call *call)
{
    (void)ctx;
    mcp_call_fail(call, SLICE_LIT("{\"code\":\"conflict\"}"), SLICE_LIT("no"));
}

static void on_batch(void *ctx, struct http_request *req)
{
    struct fixture *f = ctx;
    cJSON_Delete(f->batch);
    f->batch = json_parse(http_request_body(req), NULL);
    http_respond(req, 200, NULL, 0, SLICE_LIT("{}"));
}

static void make_tracer(struct fixture *f)
{
    char url[64];
    assert_int_equal(
        http_server_new(&f->loop, &http_limits_default, NULL, on_batch, f, &f->collector), 0);
    assert_int_equal(http_server_listen(f->collector, "127.0.0.1", 0, NULL), 0);
    snprintf(url, sizeof(url), "http://127.0.0.1:%u", http_server_port(f->collector));
    const struct tracer_options options = {.endpoint = url,
                                           .service_name = "s",
                                           .service_version = "1",
                                           .sample_percent = 100,
                                           .interval_ms = 10};
    assert_int_equal(tracer_new(&f->loop, &options, NULL, &f->tracer, NULL), 0);
}

static void add(struct fixture *f, const char *name, mcp_call_fn fn)
{
    const struct mcp_tool tool = {.name = name,
                                  .description = "d",
                                  .input_schema = "{\"type\":\"object\"}",
                                  .call = fn,
                                  .ctx = f};
    assert_int_equal(mcp_server_add_tool(f->h.server, &tool, NULL), 0);
}

static int setup_with(void **state, bool has_tracer)
{
    struct fixture *f = test_calloc(1, sizeof(*f));
    assert_int_equal(uv_loop_init(&f->loop), 0);
    if (has_tracer)
        make_tracer(f);
    const struct mcp_server_info info = {
        .name = "n", .version = "1", .on_call = on_call, .on_call_ctx = f, .tracer = f->tracer};
    harness_init(&f->h, &info);
    add(f, "hello", say_hello);
    add(f, "fail", say_no);
    *state = f;
    return 0;
}

static int setup(void **state)
{
    return setup_with(state, false);
}

static int setup_traced(void **state)
{
    return setup_with(state, true);
}

static void on_closed(void *ctx)
{
    *(bool *)ctx = true;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    harness_deinit(&f->h);
    if (f->tracer) {
        tracer_close(f->tracer, 1000, on_closed, &f->is_closed);
        while (!f->is_closed)
            uv_run(&f->loop, UV_RUN_ONCE);
        http_server_close(f->collector, 0, on_closed, &f->is_closed);
    }
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    cJSON_Delete(f->batch);
    test_free(f);
    return 0;
}

static void call(struct fixture *f, const char *tool, const char *more)
{
    struct request r = {0};
    char text[512];
    if (!f->h.peer.is_initialized)
        harness_initialize(&f->h, "2025-11-25", "{}");
    snprintf(
        text, sizeof(text),
        "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"tools/call\",\"params\":{\"name\":\"%s\"%s}}",
        tool, more);
    harness_send(&f->h, &r, text);
    request_deinit(&r);
}

static const cJSON *first_span(const struct fixture *f)
{
    const cJSON *resource = cJSON_GetArrayItem(json_get(f->batch, "resourceSpans"), 0);
    const cJSON *scope = cJSON_GetArrayItem(json_get(resource, "scopeSpans"), 0);
    return cJSON_GetArrayItem(json_get(scope, "spans"), 0);
}

static void wait_for_batch(struct fixture *f)
{
    while (!f->batch)
        uv_run(&f->loop, UV_RUN_ONCE);
}

static void each_call_is_reported_with_its_name_and_outcome(void **state)
{
    struct fixture *f = *state;
    call(f, "hello", "");
    assert_int_equal(f->reports, 1);
    assert_string_equal(f->report.method, "tools/call");
    assert_string_equal(f->name, "hello");
    assert_false(f->report.is_error);
    assert_true(f->report.duration_us >= 0);
    call(f, "fail", "");
    assert_int_equal(f->reports, 2);
    assert_true(f->report.is_error);
}

static void a_tool_that_is_not_there_is_not_reported_by_its_name(void **state)
{
    struct fixture *f = *state;
    call(f, "whatever a client makes up", "");
    assert_int_equal(f->reports, 0);
}

static void without_a_tracer_the_clients_context_is_passed_on(void **state)
{
    struct fixture *f = *state;
    call(f, "hello", ",\"_meta\":{\"traceparent\":\"" PARENT "\"}");
    assert_string_equal(f->seen, PARENT);
    call(f, "hello", "");
    assert_string_equal(f->seen, "");
    call(f, "hello", ",\"_meta\":{\"traceparent\":\"00-zz\"}");
    assert_string_equal(f->seen, "");
}

static void a_calls_span_stands_between_the_client_and_the_handlers_work(void **state)
{
    struct fixture *f = *state;
    struct trace_context seen;
    char span_id[17];
    call(f, "hello", ",\"_meta\":{\"traceparent\":\"" PARENT "\"}");
    wait_for_batch(f);
    const cJSON *span = first_span(f);
    assert_string_equal(json_get_string(span, "name"), "tools/call hello");
    assert_string_equal(json_get_string(span, "traceId"), "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_string_equal(json_get_string(span, "parentSpanId"), "00f067aa0ba902b7");
    assert_true(trace_context_parse(slice_from_cstr(f->seen), &seen));
    snprintf(span_id, sizeof(span_id), "%.16s", f->seen + 36);
    assert_string_equal(json_get_string(span, "spanId"), span_id);
}

static void a_failed_calls_span_says_so(void **state)
{
    struct fixture *f = *state;
    call(f, "fail", "");
    wait_for_batch(f);
    assert_int_equal(json_get(json_get(first_span(f), "status"), "code")->valueint, 2);
    assert_null(json_get(first_span(f), "parentSpanId"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_call_is_reported_with_its_name_and_outcome, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_tool_that_is_not_there_is_not_reported_by_its_name, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(without_a_tracer_the_clients_context_is_passed_on, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            a_calls_span_stands_between_the_client_and_the_handlers_work, setup_traced, teardown),
        cmocka_unit_test_setup_teardown(a_failed_calls_span_says_so, setup_traced, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
