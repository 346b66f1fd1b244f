/* Each allocation of each kind of request fails once: the request is still answered, and nothing
 * leaks. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "harness.h"
#include "support/mem_loop.h"
#include "support/unit.h"

#define FORM  "{\"message\":\"Who?\"}"
#define TASKS "{\"elicitation\":{},\"extensions\":{\"io.modelcontextprotocol/tasks\":{}}}"

static void ask_one(void *ctx, struct mcp_call *call)
{
    (void)ctx;
    const cJSON *answer = mcp_call_ask(call, "who", "elicitation/create", SLICE_LIT(FORM));
    if (answer)
        mcp_call_result(call, SLICE_LIT("{\"ok\":true}"), SLICE_LIT("ok"));
    else
        mcp_call_wait(call);
}

static void become_task(void *ctx, struct mcp_call *call)
{
    if (mcp_call_start_task(call, 60000, 1000))
        ask_one(ctx, call);
    else
        mcp_call_text(call, "no task");
}

static void read_thing(void *ctx, struct mcp_call *call)
{
    (void)ctx;
    if (mcp_call_uri_variable(call, "id").len > 0)
        mcp_call_contents(call, SLICE_LIT("[]"));
    else
        mcp_call_not_found(call);
}

static void write_prompt(void *ctx, struct mcp_call *call)
{
    (void)ctx;
    mcp_call_messages(call, NULL, SLICE_LIT("[]"));
}

static void suggest(void *ctx, struct mcp_call *call)
{
    const char *values[] = {"a", "b"};
    (void)ctx;
    mcp_call_values(call, values, 2, 2);
}

static int offer(struct mcp_server *s)
{
    static const struct mcp_prompt_argument arguments[] = {{"topic", "t", "d", false}};
    struct mcp_tool tool = {.name = "ask",
                            .title = "Ask",
                            .description = "d",
                            .icon = "data:,",
                            .input_schema =
                                "{\"type\":\"object\",\"properties\":{\"r\":{\"type\":\"string\","
                                "\"x-mcp-header\":\"R\"}}}",
                            .output_schema = "{\"type\":\"object\"}",
                            .call = ask_one};
    int status = mcp_server_add_tool(s, &tool, NULL);
    tool.name = "task";
    tool.task = MCP_TASK_OPTIONAL;
    tool.call = become_task;
    if (!status)
        status = mcp_server_add_tool(s, &tool, NULL);
    struct mcp_resource_template t = {
        .resource = {.uri = "thing://{id}", .name = "n", .read = read_thing}, .complete = suggest};
    if (!status)
        status = mcp_server_add_resource_template(s, &t, NULL);
    struct mcp_prompt prompt = {.name = "p",
                                .arguments = arguments,
                                .argument_count = 1,
                                .get = write_prompt,
                                .complete = suggest};
    return status ? status : mcp_server_add_prompt(s, &prompt, NULL);
}

static void making_a_server_fails_cleanly(void **state)
{
    static const struct mcp_server_info info = {.name = "n",
                                                .title = "t",
                                                .version = "1",
                                                .instructions = "i",
                                                .icon = {"data:,", "m", "1x1"}};
    struct mem_loop loop = {0};
    (void)state;
    while (mem_loop_next(&loop)) {
        struct mcp_server *s = NULL;
        int status = mcp_server_new(&info, NULL, &s);
        if (!status)
            status = offer(s);
        bool has_failed = mem_loop_has_failed(&loop);
        assert_int_equal(status < 0, has_failed);
        if (s)
            mcp_server_free(s);
    }
}

struct step {
    const char *method, *params;
};

/* Each step from a fresh server; those that stay open are ended with it. */
static void torture(const struct step *steps, size_t count, const char *capabilities)
{
    static const struct mcp_server_info info = {.name = "n", .version = "1"};
    for (size_t i = 0; i < count; i++) {
        struct mem_loop loop = {0};
        struct harness h;
        harness_init(&h, &info);
        assert_int_equal(offer(h.server), 0);
        while (mem_loop_next(&loop)) {
            struct request r;
            harness_call(&h, &r, &h.identity, 1, steps[i].method, steps[i].params, capabilities);
            (void)mem_loop_has_failed(&loop);
            mcp_out_cancel(&r.out);
            assert_true(r.is_finished);
            request_deinit(&r);
        }
        harness_deinit(&h);
    }
}

static void requests_are_answered_whatever_allocation_fails(void **state)
{
    static const struct step steps[] = {
        {"server/discover", ""},
        {"tools/list", ""},
        {"tools/call", "\"name\":\"ask\",\"arguments\":{\"r\":\"x\"}"},
        {"tools/call", "\"name\":\"ask\",\"inputResponses\":{\"who\":{\"action\":\"decline\"}}"},
        {"tools/call", "\"name\":\"ask\",\"arguments\":{\"r\":7}"},
        {"tools/call", "\"name\":\"none\""},
        {"tools/call", "\"name\":\"task\""},
        {"resources/templates/list", ""},
        {"resources/read", "\"uri\":\"thing://a\""},
        {"resources/read", "\"uri\":\"none://a\""},
        {"prompts/get", "\"name\":\"p\",\"arguments\":{\"topic\":\"x\"}"},
        {"completion/complete", "\"ref\":{\"type\":\"ref/prompt\",\"name\":\"p\"},\"argument\":{"
                                "\"name\":\"topic\",\"value\":\"\"}"},
        {"subscriptions/listen", "\"notifications\":{\"toolsListChanged\":true,"
                                 "\"resourceSubscriptions\":[\"thing://1\",\"thing://2\"]}"},
    };
    (void)state;
    torture(steps, sizeof(steps) / sizeof(*steps), TASKS);
}

static void a_peer_lives_through_lost_memory(void **state)
{
    static const struct mcp_server_info info = {.name = "n", .version = "1"};
    static const char *const lines[] = {
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"ask\"}}",
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"action\":\"decline\"}}",
        "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"resources/subscribe\",\"params\":{\"uri\":"
        "\"thing://1\"}}",
        "[{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"ping\"}]",
    };
    struct mem_loop loop = {0};
    (void)state;
    while (mem_loop_next(&loop)) {
        struct request r[4];
        struct harness h;
        mem_fail_nth(0);
        harness_init(&h, &info);
        assert_int_equal(offer(h.server), 0);
        harness_initialize(&h, "2025-03-26", "{\"elicitation\":{}}");
        mem_fail_nth(loop.nth);
        for (size_t i = 0; i < 4; i++)
            harness_send(&h, &r[i], lines[i]);
        (void)mem_loop_has_failed(&loop);
        harness_deinit(&h);
        for (size_t i = 0; i < 4; i++)
            request_deinit(&r[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(making_a_server_fails_cleanly),
        cmocka_unit_test(requests_are_answered_whatever_allocation_fails),
        cmocka_unit_test(a_peer_lives_through_lost_memory),
    };
    mem_loop_hook_cjson();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
