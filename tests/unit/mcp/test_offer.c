/* What a server offers: lists and their pages, resources, prompts, completion, and who sees what.
 */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "harness.h"
#include "support/unit.h"

static void say_ok(void *ctx, struct mcp_call *call)
{
    (void)ctx;
    mcp_call_text(call, "ok");
}

static void read_thing(void *ctx, struct mcp_call *call)
{
    struct buf b;
    struct json_writer w;
    (void)ctx;
    struct slice id = mcp_call_uri_variable(call, "id");
    if (slice_is_equal(id, SLICE_LIT("none"))) {
        mcp_call_not_found(call);
        return;
    }
    buf_init(&b, 4096);
    json_writer_init(&w, &b);
    json_begin_array(&w);
    if (id.len > 0)
        mcp_content_resource_text(&w, mcp_call_name(call), "text/plain", id);
    else
        mcp_content_resource_blob(&w, mcp_call_name(call), NULL, SLICE_LIT("\x01\x02\x03\x04"));
    json_end_array(&w);
    mcp_call_contents(call, buf_slice(&b));
    buf_deinit(&b);
}

static void write_prompt(void *ctx, struct mcp_call *call)
{
    struct buf b;
    struct json_writer w;
    (void)ctx;
    buf_init(&b, 4096);
    json_writer_init(&w, &b);
    json_begin_array(&w);
    mcp_content_message_begin(&w, "user");
    mcp_content_text(&w, slice_from_cstr(json_get_string(mcp_call_arguments(call), "topic")));
    mcp_content_message_end(&w);
    json_end_array(&w);
    mcp_call_messages(call, "about it", buf_slice(&b));
    buf_deinit(&b);
}

static void suggest(void *ctx, struct mcp_call *call)
{
    const char *values[2] = {mcp_call_typed(call), mcp_call_chosen(call, "other")};
    (void)ctx;
    mcp_call_values(call, values, values[1] ? 2 : 1, 150);
}

static bool is_visible(void *ctx, const struct mcp_identity *identity, const char *tool)
{
    (void)ctx;
    return identity->user_id == 1 || strcmp(tool, "tool3") != 0;
}

static void start(struct harness *h)
{
    static const struct mcp_server_info info = {.name = "test",
                                                .version = "1",
                                                .page_size = 2,
                                                .logs = true,
                                                .is_tool_visible = is_visible};
    static const struct mcp_prompt_argument arguments[] = {{"topic", NULL, NULL, true},
                                                           {"other", NULL, NULL, false}};
    harness_init(h, &info);
    for (int i = 1; i <= 5; i++) {
        char name[16];
        snprintf(name, sizeof(name), "tool%d", i);
        assert_int_equal(
            mcp_server_add_tool(h->server,
                                &(struct mcp_tool){.name = name,
                                                   .description = "d",
                                                   .input_schema = "{\"type\":\"object\"}",
                                                   .scopes = i == 5 ? 4 : 0,
                                                   .call = say_ok},
                                NULL),
            0);
    }
    assert_int_equal(mcp_server_add_resource(h->server,
                                             &(struct mcp_resource){.uri = "thing://all",
                                                                    .name = "all",
                                                                    .ttl_ms = 7,
                                                                    .is_public = true,
                                                                    .read = read_thing},
                                             NULL),
                     0);
    assert_int_equal(
        mcp_server_add_resource_template(
            h->server,
            &(struct mcp_resource_template){
                .resource = {.uri = "thing://{id}/x", .name = "one", .read = read_thing},
                .complete = suggest},
            NULL),
        0);
    assert_int_equal(mcp_server_add_prompt(h->server,
                                           &(struct mcp_prompt){.name = "ask",
                                                                .arguments = arguments,
                                                                .argument_count = 2,
                                                                .get = write_prompt,
                                                                .complete = suggest},
                                           NULL),
                     0);
}

/* Sends one stateless request and looks for `part` in its answer. */
static void expect(struct harness *h, const char *method, const char *params, const char *part)
{
    struct request r;
    harness_call(h, &r, &h->identity, 1, method, params, "{}");
    assert_has(r.answer, part);
    request_deinit(&r);
}

static void lists_come_in_pages_until_there_is_no_cursor(void **state)
{
    struct harness h;
    struct request r;
    (void)state;
    start(&h);
    expect(&h, "tools/list", "", "\"nextCursor\":\"t2\"");
    expect(&h, "tools/list", "\"cursor\":\"t2\"", "tool4");
    harness_call(&h, &r, &h.identity, 1, "tools/list", "\"cursor\":\"t2\"", "{}");
    assert_has_not(r.answer, "nextCursor"); /* the fifth needs a scope */
    assert_has(r.answer, "\"cacheScope\":\"private\"");
    request_deinit(&r);
    static const char *const bad[] = {"\"\"",   "7",       "\"t\"",  "\"r2\"",
                                      "\"tx\"", "\"t-2\"", "\"t 2\""};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        char params[64];
        snprintf(params, sizeof(params), "\"cursor\":%s", bad[i]);
        expect(&h, "tools/list", params, "-32602");
    }
    mcp_server_remove_tool(h.server, "tool2");
    expect(&h, "tools/list", "\"cursor\":\"t2\"", "tool3");
    harness_deinit(&h);
}

static void hidden_tools_are_unknown_and_scopes_are_asked_for(void **state)
{
    struct harness h;
    struct request r;
    struct mcp_identity other = {.user_id = 2, .subject = "bob", .scopes = 4};
    (void)state;
    start(&h);
    harness_call(&h, &r, &other, 1, "tools/call", "\"name\":\"tool3\"", "{}");
    assert_has(r.answer, "unknown tool");
    request_deinit(&r);
    harness_call(&h, &r, &other, 1, "tools/list", "\"cursor\":\"t2\"", "{}");
    assert_has_not(r.answer, "tool3");
    assert_has(r.answer, "tool5");
    request_deinit(&r);
    harness_call(&h, &r, &h.identity, 1, "tools/call", "\"name\":\"tool5\"", "{}");
    assert_int_equal(r.http_status, 403);
    assert_int_equal(r.missing_scopes, 4);
    assert_has(r.answer, "\"code\":\"forbidden\"");
    request_deinit(&r);
    harness_deinit(&h);
}

static void resources_are_read_by_uri_or_template(void **state)
{
    struct harness h;
    struct request r;
    (void)state;
    start(&h);
    expect(&h, "resources/list", "", "\"uri\":\"thing://all\"");
    expect(&h, "resources/templates/list", "", "\"uriTemplate\":\"thing://{id}/x\"");
    expect(&h, "resources/read", "\"uri\":\"thing://all\"", "\"blob\":\"AQIDBA==\"");
    expect(&h, "resources/read", "\"uri\":\"thing://all\"",
           "\"ttlMs\":7,\"cacheScope\":\"public\"");
    expect(&h, "resources/read", "\"uri\":\"thing://a%20b/x\"", "\"text\":\"a b\"");
    expect(&h, "resources/read", "\"uri\":\"thing://none/x\"", "\"code\":-32602");
    expect(&h, "resources/read", "\"uri\":\"thing:///x\"", "\"data\":{\"uri\":\"thing:///x\"}");
    expect(&h, "resources/read", "", "-32602");
    harness_initialize(&h, "2025-11-25", "{}");
    harness_send(&h, &r,
                 "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"resources/read\",\"params\":{\"uri\":"
                 "\"thing://none/x\"}}");
    assert_int_equal(request_error_code(&r), MCP_RESOURCE_NOT_FOUND);
    request_deinit(&r);
    harness_deinit(&h);
}

static void prompts_take_strings_and_what_is_required(void **state)
{
    struct harness h;
    (void)state;
    start(&h);
    expect(&h, "prompts/list", "", "\"arguments\":[{\"name\":\"topic\",\"required\":true}");
    expect(&h, "prompts/get", "\"name\":\"ask\",\"arguments\":{\"topic\":\"tea\"}",
           "\"description\":\"about it\",\"messages\":[{\"role\":\"user\",\"content\":{\"type\":"
           "\"text\",\"text\":\"tea\"}}]");
    expect(&h, "prompts/get", "\"name\":\"ask\"", "\\\"topic\\\" is missing");
    expect(&h, "prompts/get", "\"name\":\"ask\",\"arguments\":{\"topic\":7}", "must be a string");
    expect(&h, "prompts/get", "\"name\":\"no\"", "unknown prompt");
    mcp_server_remove_prompt(h.server, "ask");
    expect(&h, "prompts/get", "\"name\":\"ask\"", "unknown prompt");
    harness_deinit(&h);
}

static void completions_suggest_for_prompts_and_templates(void **state)
{
    struct harness h;
    (void)state;
    start(&h);
    expect(&h, "completion/complete",
           "\"ref\":{\"type\":\"ref/prompt\",\"name\":\"ask\"},\"argument\":{\"name\":\"topic\","
           "\"value\":\"te\"},\"context\":{\"arguments\":{\"other\":\"x\"}}",
           "\"values\":[\"te\",\"x\"],\"total\":150,\"hasMore\":true");
    expect(&h, "completion/complete",
           "\"ref\":{\"type\":\"ref/resource\",\"uri\":\"thing://{id}/x\"},\"argument\":{\"name\":"
           "\"id\",\"value\":\"1\"}",
           "\"values\":[\"1\"]");
    static const char *const bad[] = {
        "",
        "\"ref\":7,\"argument\":{\"name\":\"id\",\"value\":\"1\"}",
        "\"ref\":{\"type\":\"ref/prompt\",\"name\":\"ask\"},\"argument\":{\"name\":\"topic\"}",
        "\"ref\":{\"type\":\"ref/prompt\",\"name\":\"ask\"},\"argument\":{\"name\":\"no\","
        "\"value\":\"\"}",
        "\"ref\":{\"type\":\"ref/prompt\",\"name\":\"no\"},\"argument\":{\"name\":\"topic\","
        "\"value\":\"\"}",
        "\"ref\":{\"type\":\"ref/resource\",\"uri\":\"thing://{id}/x\"},\"argument\":{\"name\":"
        "\"x\",\"value\":\"\"}",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        expect(&h, "completion/complete", bad[i], "-32602");
    harness_deinit(&h);
}

static void what_a_server_lacks_is_no_method(void **state)
{
    static const struct mcp_server_info info = {.name = "bare", .version = "1"};
    static const char *const methods[] = {
        "tools/list", "resources/list", "prompts/list",     "tasks/get",  "completion/complete",
        "ping",       "initialize",     "logging/setLevel", "tools/call", "resources/subscribe"};
    struct harness h;
    (void)state;
    harness_init(&h, &info);
    for (size_t i = 0; i < sizeof(methods) / sizeof(*methods); i++)
        expect(&h, methods[i], "", "-32601");
    expect(&h, "server/discover", "", "\"capabilities\":{}");
    harness_deinit(&h);
}

static void definitions_that_break_a_rule_are_refused(void **state)
{
    static const char *const schemas[] = {
        "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\",\"x-mcp-header\":\"\"}}}",
        "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\",\"x-mcp-header\":\"a "
        "b\"}}}",
        "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"number\",\"x-mcp-header\":\"a\"}}}",
        "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\",\"x-mcp-header\":\"A\"},"
        "\"b\":{\"type\":\"string\",\"x-mcp-header\":\"a\"}}}",
        "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"array\",\"items\":{\"type\":"
        "\"string\",\"x-mcp-header\":\"A\"}}}}",
        "{",
        "{\"type\":\"object\",\"properties\":{\"a\":{\"$ref\":\"https://x.example/y\"}}}",
    };
    struct harness h;
    struct error err;
    (void)state;
    start(&h);
    for (size_t i = 0; i < sizeof(schemas) / sizeof(*schemas); i++) {
        struct mcp_tool tool = {
            .name = "bad", .description = "d", .input_schema = schemas[i], .call = say_ok};
        assert_true(mcp_server_add_tool(h.server, &tool, &err) < 0);
    }
    struct mcp_tool twin = {
        .name = "tool1", .description = "d", .input_schema = "{}", .call = say_ok};
    assert_int_equal(mcp_server_add_tool(h.server, &twin, &err), BASE_EINVAL);
    static const char *const templates[] = {"x://{", "x://{a}{b}", "x://{a b}", "x://{}"};
    for (size_t i = 0; i < sizeof(templates) / sizeof(*templates); i++) {
        struct mcp_resource_template t = {.resource = {.uri = templates[i], .name = "n"}};
        assert_int_equal(mcp_server_add_resource_template(h.server, &t, &err), BASE_EINVAL);
    }
    harness_deinit(&h);
}

static void annotated_arguments_are_told_to_the_transport(void **state)
{
    struct harness h;
    size_t count;
    struct mcp_identity other = {.user_id = 2, .subject = "bob"};
    (void)state;
    start(&h);
    struct mcp_request_context rx = {.server = h.server, .identity = &h.identity};
    mcp_server_remove_tool(h.server, "tool3");
    struct mcp_tool tool = {.name = "tool3", /* hidden from all but the first user */
                            .description = "d",
                            .input_schema =
                                "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"object\","
                                "\"properties\":{\"region\":{\"type\":\"string\",\"x-mcp-header\":"
                                "\"Region\"}}}}}",
                            .call = say_ok};
    assert_int_equal(mcp_server_add_tool(h.server, &tool, NULL), 0);
    const struct mcp_header_param *list = mcp_tool_header_params(&rx, "tool3", &count);
    assert_int_equal(count, 1);
    assert_string_equal(list->header, "Mcp-Param-Region");
    assert_string_equal(list->path[0], "a");
    assert_string_equal(list->path[1], "region");
    assert_null(list->path[2]);
    assert_null(mcp_tool_header_params(&rx, "none", &count));
    rx.identity = &other;
    assert_null(mcp_tool_header_params(&rx, "tool3", &count));
    assert_int_equal(count, 0);
    harness_deinit(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_come_in_pages_until_there_is_no_cursor),
        cmocka_unit_test(hidden_tools_are_unknown_and_scopes_are_asked_for),
        cmocka_unit_test(resources_are_read_by_uri_or_template),
        cmocka_unit_test(prompts_take_strings_and_what_is_required),
        cmocka_unit_test(completions_suggest_for_prompts_and_templates),
        cmocka_unit_test(what_a_server_lacks_is_no_method),
        cmocka_unit_test(definitions_that_break_a_rule_are_refused),
        cmocka_unit_test(annotated_arguments_are_told_to_the_transport),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
