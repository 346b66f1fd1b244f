/* Text -> one classified message: kinds, ids, params, _meta, and what is refused with which code.
 */
#include "support/unit.h"

#include "base/json.h"
#include "mcp/peer.h"
#include "support/mem_loop.h"

#define VERSION_KEY "\"io.modelcontextprotocol/protocolVersion\""

static struct mcp_message parse(const char *text)
{
    struct mcp_message m;
    memset(&m, 0xA5, sizeof(m)); /* all of it is to be filled */
    mcp_message_parse(&m, slice_from_cstr(text));
    return m;
}

static void expect_kind(const char *text, enum mcp_kind kind)
{
    struct mcp_message m = parse(text);
    if (m.kind != kind)
        fail_msg("%s is of kind %d, not %d: %s", text, (int)m.kind, (int)kind, m.error_text);
    assert_non_null(m.root);
    mcp_message_deinit(&m);
}

static void expect_refused(const char *text, int code, const char *words)
{
    struct mcp_message m = parse(text);
    if (m.kind != MCP_INVALID || m.error_code != code || !strstr(m.error_text, words))
        fail_msg("%s: kind %d, code %d, \"%s\"", text, (int)m.kind, m.error_code, m.error_text);
    mcp_message_deinit(&m);
    assert_null(m.root);
}

static void messages_are_told_apart(void **state)
{
    (void)state;
    expect_kind("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}", MCP_REQUEST);
    expect_kind("{\"jsonrpc\":\"2.0\",\"id\":\"\",\"method\":\"ping\"}", MCP_REQUEST);
    expect_kind("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}", MCP_NOTIFICATION);
    expect_kind("{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}", MCP_RESPONSE);
    expect_kind("{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-1,\"message\":\"\"}}",
                MCP_RESPONSE);
    expect_kind("[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}]", MCP_BATCH);
    expect_kind("[1]", MCP_BATCH); /* its members are judged one by one */
}

static void members_may_come_in_any_order_with_others_between(void **state)
{
    (void)state;
    struct mcp_message m =
        parse(" { \"params\" : {} , \"x\" : 1 , \"method\" : \"a/b\" , \"id\" : 7 ,"
              "\"jsonrpc\" : \"2.0\" } ");
    assert_int_equal(m.kind, MCP_REQUEST);
    assert_string_equal(m.method, "a/b");
    assert_ptr_equal(m.params, json_get(m.root, "params"));
    mcp_message_deinit(&m);
}

static void arguments_that_are_null_are_none(void **state)
{
    (void)state;
    struct mcp_message m = parse("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\","
                                 "\"params\":{\"name\":\"a\",\"arguments\":null,\"other\":null}}");
    assert_int_equal(m.kind, MCP_REQUEST);
    assert_null(json_get(m.params, "arguments"));
    assert_non_null(json_get(m.params, "other"));
    assert_string_equal(json_get_string(m.params, "name"), "a");
    mcp_message_deinit(&m);
}

static void an_id_is_a_string_or_an_integer(void **state)
{
    static const char *const good[] = {"0", "-7", "1.0", "9007199254740991", "\"\"", "\"a\""};
    static const char *const bad[] = {"null", "1.5", "true", "[1]", "{}", "9007199254740993",
                                      "1e300"};
    char text[128];
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        snprintf(text, sizeof(text), "{\"jsonrpc\":\"2.0\",\"id\":%s,\"method\":\"m\"}", good[i]);
        struct mcp_message m = parse(text);
        assert_int_equal(m.kind, MCP_REQUEST);
        assert_ptr_equal(m.id, json_get(m.root, "id"));
        mcp_message_deinit(&m);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        snprintf(text, sizeof(text), "{\"jsonrpc\":\"2.0\",\"id\":%s,\"method\":\"m\"}", bad[i]);
        struct mcp_message m = parse(text);
        assert_int_equal(m.kind, MCP_INVALID);
        assert_null(m.id);
        mcp_message_deinit(&m);
        expect_refused(text, MCP_INVALID_REQUEST, "id must be");
    }
}

static void a_refused_message_keeps_the_id_that_its_answer_needs(void **state)
{
    (void)state;
    struct mcp_message m = parse("{\"jsonrpc\":\"2.0\",\"id\":\"q\",\"method\":1}");
    assert_int_equal(m.kind, MCP_INVALID);
    assert_string_equal(m.id->valuestring, "q");
    mcp_message_deinit(&m);
    m = parse("{\"id\":5,\"method\":\"m\"}");
    assert_int_equal(m.kind, MCP_INVALID);
    assert_int_equal(m.id->valueint, 5);
    mcp_message_deinit(&m);
}

static void what_is_no_message_is_an_invalid_request(void **state)
{
    (void)state;
    expect_refused("1", MCP_INVALID_REQUEST, "JSON object");
    expect_refused("null", MCP_INVALID_REQUEST, "JSON object");
    expect_refused("\"text\"", MCP_INVALID_REQUEST, "JSON object");
    expect_refused("[]", MCP_INVALID_REQUEST, "empty batch");
    expect_refused("{}", MCP_INVALID_REQUEST, "jsonrpc");
    expect_refused("{\"jsonrpc\":2.0,\"id\":1,\"method\":\"m\"}", MCP_INVALID_REQUEST, "jsonrpc");
    expect_refused("{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"m\"}", MCP_INVALID_REQUEST,
                   "jsonrpc");
    expect_refused("{\"jsonrpc\":\"2.0\",\"id\":1}", MCP_INVALID_REQUEST, "method is missing");
    expect_refused("{\"jsonrpc\":\"2.0\",\"result\":{}}", MCP_INVALID_REQUEST, "method is missing");
    expect_refused("{\"jsonrpc\":\"2.0\",\"id\":1,\"Method\":\"m\"}", MCP_INVALID_REQUEST,
                   "method is missing");
    expect_refused("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":null}", MCP_INVALID_REQUEST,
                   "method must be");
    expect_refused("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\",\"params\":[]}",
                   MCP_INVALID_REQUEST, "params must be");
    expect_refused("{\"jsonrpc\":\"2.0\",\"method\":\"m\",\"params\":null}", MCP_INVALID_REQUEST,
                   "params must be");
}

static void what_is_no_json_is_a_parse_error_that_says_where(void **state)
{
    (void)state;
    expect_refused("", MCP_PARSE_ERROR, "byte 0");
    expect_refused("{\"jsonrpc\":", MCP_PARSE_ERROR, "byte 11");
    expect_refused("{\"jsonrpc\":\"2.0\"}{}", MCP_PARSE_ERROR, "after the value");
    expect_refused("{\"id\":1,\"id\":2}", MCP_PARSE_ERROR, "twice");
    expect_refused("{\"a\":\"\\u0000\"}", MCP_PARSE_ERROR, "");
    expect_refused("{\"a\":\"\xFF\"}", MCP_PARSE_ERROR, "");
    char deep[2 * JSON_DEPTH_MAX + 3];
    size_t levels = JSON_DEPTH_MAX + 1;
    memset(deep, '[', levels);
    memset(deep + levels, ']', levels);
    deep[2 * levels] = '\0';
    expect_refused(deep, MCP_PARSE_ERROR, "deeper");
}

static void the_version_in_meta_is_seen(void **state)
{
    (void)state;
    struct mcp_message m = parse("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\",\"params\":{"
                                 "\"_meta\":{" VERSION_KEY ":\"2026-07-28\"}}}");
    assert_ptr_equal(m.meta, json_get(m.params, "_meta"));
    assert_true(m.has_version);
    assert_string_equal(m.version, "2026-07-28");
    mcp_message_deinit(&m);
    m = parse("{\"jsonrpc\":\"2.0\",\"method\":\"m\",\"params\":{\"_meta\":{" VERSION_KEY ":7}}}");
    assert_int_equal(m.kind, MCP_NOTIFICATION);
    assert_true(m.has_version);
    assert_null(m.version);
    mcp_message_deinit(&m);
}

static void a_message_without_a_version_has_none(void **state)
{
    static const char *const params[] = {"{}", "{\"_meta\":{}}", "{\"_meta\":7}",
                                         "{" VERSION_KEY ":\"2026-07-28\"}"};
    (void)state;
    for (size_t i = 0; i < sizeof(params) / sizeof(params[0]); i++) {
        char text[200];
        snprintf(text, sizeof(text),
                 "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\",\"params\":%s}", params[i]);
        struct mcp_message m = parse(text);
        assert_int_equal(m.kind, MCP_REQUEST);
        assert_false(m.has_version);
        assert_null(m.version);
        assert_true((m.meta != NULL) == (i == 1));
        mcp_message_deinit(&m);
    }
    struct mcp_message m = parse("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\"}");
    assert_null(m.params);
    assert_null(m.meta);
    mcp_message_deinit(&m);
}

static void a_tree_that_is_there_is_taken_over(void **state)
{
    (void)state;
    struct mcp_message m;
    cJSON *tree = json_parse(SLICE_LIT("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\"}"), NULL);
    mcp_message_from_tree(&m, tree);
    assert_ptr_equal(m.root, tree);
    assert_int_equal(m.kind, MCP_REQUEST);
    mcp_message_deinit(&m);
    mcp_message_deinit(&m); /* a second end does no harm */
}

static void parsing_survives_every_failed_allocation(void **state)
{
    (void)state;
    struct mem_loop loop = {0};
    while (mem_loop_next(&loop)) {
        struct mcp_message m =
            parse("{\"jsonrpc\":\"2.0\",\"id\":\"a\",\"method\":\"m\",\"params\":"
                  "{\"_meta\":{" VERSION_KEY ":\"2026-07-28\"},\"a\":[1]}}");
        if (mem_loop_has_failed(&loop)) {
            assert_int_equal(m.kind, MCP_INVALID);
            assert_int_equal(m.error_code, MCP_INTERNAL_ERROR);
            assert_non_null(strstr(m.error_text, "memory"));
        } else {
            assert_int_equal(m.kind, MCP_REQUEST);
        }
        mcp_message_deinit(&m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_are_told_apart),
        cmocka_unit_test(members_may_come_in_any_order_with_others_between),
        cmocka_unit_test(arguments_that_are_null_are_none),
        cmocka_unit_test(an_id_is_a_string_or_an_integer),
        cmocka_unit_test(a_refused_message_keeps_the_id_that_its_answer_needs),
        cmocka_unit_test(what_is_no_message_is_an_invalid_request),
        cmocka_unit_test(what_is_no_json_is_a_parse_error_that_says_where),
        cmocka_unit_test(the_version_in_meta_is_seen),
        cmocka_unit_test(a_message_without_a_version_has_none),
        cmocka_unit_test(a_tree_that_is_there_is_taken_over),
        cmocka_unit_test(parsing_survives_every_failed_allocation),
    };
    mem_loop_hook_cjson();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
