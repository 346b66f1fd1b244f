#include "support/unit.h"

#include "base/buf.h"
#include "base/error.h"
#include "base/json.h"
#include "support/mem_loop.h"

static cJSON *parse(const char *text)
{
    struct error err = {.text = ""};
    cJSON *tree = json_parse(slice_from_cstr(text), &err);
    if (!tree)
        fail_msg("%s: %s", text, err.text);
    return tree;
}

static void expect_refused(const char *text, int code)
{
    struct error err = {.code = 0};
    assert_null(json_parse(slice_from_cstr(text), &err));
    assert_int_equal(err.code, code);
}

static void members_are_found_by_their_exact_name(void **state)
{
    (void)state;
    cJSON *tree = parse("{\"Id\":1,\"id\":\"x\",\"n\":null}");
    assert_string_equal(json_get_string(tree, "id"), "x");
    assert_true(cJSON_IsNumber(json_get(tree, "Id")));
    assert_null(json_get(tree, "ID"));
    assert_true(cJSON_IsNull(json_get(tree, "n")));
    assert_null(json_get_string(tree, "n"));
    assert_null(json_get_string(tree, "Id"));
    cJSON_Delete(tree);
}

static void look_up_in_what_is_no_object_finds_nothing(void **state)
{
    (void)state;
    cJSON *tree = parse("[{\"a\":1}]");
    assert_null(json_get(tree, "a"));
    assert_null(json_get(NULL, "a"));
    assert_null(json_get_string(NULL, "a"));
    cJSON_Delete(tree);
}

static void strings_come_out_decoded(void **state)
{
    (void)state;
    cJSON *tree = parse("{\"s\":\"\\u00e9\\ud83d\\ude00\\n\\/ \xE2\x82\xAC\"}");
    assert_string_equal(json_get_string(tree, "s"), "\xC3\xA9\xF0\x9F\x98\x80\n/ \xE2\x82\xAC");
    cJSON_Delete(tree);
}

static void a_slice_is_parsed_to_its_end_only(void **state)
{
    (void)state;
    cJSON *tree = json_parse((struct slice){"[1]garbage", 3}, NULL);
    assert_non_null(tree);
    assert_int_equal(cJSON_GetArraySize(tree), 1);
    cJSON_Delete(tree);
}

/* NOLINTNEXTLINE(misc-no-recursion): the texts are flat */
static void expect_same_tree(const cJSON *ours, const cJSON *theirs)
{
    while (ours && theirs) {
        assert_int_equal(ours->type, theirs->type);
        assert_int_equal(ours->valueint, theirs->valueint);
        assert_true(ours->valuedouble == theirs->valuedouble);
        assert_true(!ours->string == !theirs->string && !ours->valuestring == !theirs->valuestring);
        if (ours->string)
            assert_string_equal(ours->string, theirs->string);
        if (ours->valuestring)
            assert_string_equal(ours->valuestring, theirs->valuestring);
        if (ours->child)
            assert_null(ours->child->prev->next); /* the first one's `prev` is the last */
        expect_same_tree(ours->child, theirs->child);
        ours = ours->next;
        theirs = theirs->next;
    }
    assert_true(!ours && !theirs);
}

static void the_tree_is_what_cjson_would_make(void **state)
{
    static const char *const texts[] = {
        "0",
        "-0",
        "-12",
        "999999999999999",
        "-999999999999999",
        "1234567890123456789",
        "2147483648",
        "-2147483649",
        "-1.5e+3",
        "2.5E-3",
        "1e2",
        " true ",
        "false",
        "null",
        "\"\"",
        "\"a longer text than eight bytes, with a \\\"quote\\\" and \\\\\"",
        "\"\\b\\f\\n\\r\\t\\/\\u0041\\u00e9\\u20AC\\uD83D\\uDE00\"",
        "\"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\"",
        "[]",
        "{}",
        "[ 1 , [ ] , { } , \"x\" ]\n",
        "{ \"a\" : 1 , \"b\\u0062\" : [ { \"c\" : null } , -2 ] , \"\" : \"\\\\\" }",
        "[\"a\",\"b\",[\"c\"],{\"d\":\"e\",\"f\":true}]",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        cJSON *ours = parse(texts[i]);
        cJSON *theirs = cJSON_Parse(texts[i]);
        expect_same_tree(ours, theirs);
        cJSON_Delete(ours);
        cJSON_Delete(theirs);
    }
}

static void the_longest_number_and_the_deepest_tree_get_through(void **state)
{
    (void)state;
    char text[300];
    memset(text, '[', JSON_DEPTH_MAX);
    memset(text + JSON_DEPTH_MAX, '7', 63);
    memset(text + JSON_DEPTH_MAX + 63, ']', JSON_DEPTH_MAX);
    text[JSON_DEPTH_MAX * 2 + 63] = '\0';
    cJSON_Delete(parse(text));
}

static void duplicate_keys_are_refused_at_any_depth(void **state)
{
    (void)state;
    expect_refused("{\"a\":1,\"a\":2}", BASE_EINVAL);
    expect_refused("{\"a\":1,\"b\":2,\"\\u0061\":3}", BASE_EINVAL);
    expect_refused("[[{\"x\":{\"a\":1,\"b\":{},\"a\":1}}]]", BASE_EINVAL);
    expect_refused("{\"\":1,\"\":1}", BASE_EINVAL);
    cJSON_Delete(parse("{\"a\":1,\"A\":2,\"aa\":{\"a\":1}}"));
}

static void a_duplicate_key_is_named(void **state)
{
    (void)state;
    struct error err;
    assert_null(json_parse(SLICE_LIT("{\"title\":1,\"title\":2}"), &err));
    assert_string_equal(err.field, "title");
    assert_string_equal(err.text, "the member \"title\" comes twice");
}

/* {"k0":0,"k1":0,…,"<last>":0}; the caller ends `text`. */
static void large_object(struct buf *text, int count, const char *last)
{
    buf_init(text, 64 << 20);
    buf_append_char(text, '{');
    for (int i = 0; i < count; i++)
        buf_printf(text, "\"k%d\":0,", i);
    buf_printf(text, "\"%s\":0}", last);
    assert_int_equal(buf_status(text), 0);
}

static void duplicates_are_found_in_objects_of_every_size(void **state)
{
    (void)state;
    for (int count = 1; count < 40; count++) {
        struct buf text;
        char last[16];
        snprintf(last, sizeof(last), "k%d", count / 2);
        large_object(&text, count, last);
        assert_null(json_parse(buf_slice(&text), NULL));
        buf_deinit(&text);
        large_object(&text, count, "other");
        cJSON *tree = json_parse(buf_slice(&text), NULL);
        assert_non_null(tree);
        cJSON_Delete(tree);
        buf_deinit(&text);
    }
}

/* Pair by pair this would take minutes, and the test its time limit. */
static void an_object_of_many_keys_is_checked_in_time(void **state)
{
    (void)state;
    struct buf text;
    struct error err;
    large_object(&text, 300000, "k150000");
    assert_null(json_parse(buf_slice(&text), &err));
    assert_string_equal(err.field, "k150000");
    buf_deinit(&text);
}

static void what_the_check_refuses_is_not_parsed(void **state)
{
    (void)state;
    expect_refused("{", BASE_ESYNTAX);
    expect_refused("\"a\\u0000b\"", BASE_EINVAL);
    expect_refused("\xEF\xBB\xBF{}", BASE_ESYNTAX); /* cJSON would skip the mark */
    expect_refused("[1e999]", BASE_EINVAL);
    assert_null(json_parse(SLICE_EMPTY, NULL));
}

static void expect_int(const char *text, bool is_taken, int64_t expected)
{
    cJSON *tree = parse(text);
    int64_t out = 42;
    if (json_as_int(tree, &out) != is_taken)
        fail_msg("%s", text);
    assert_int_equal(out, is_taken ? expected : 42);
    cJSON_Delete(tree);
}

static void integers_are_exact_or_refused(void **state)
{
    (void)state;
    expect_int("0", true, 0);
    expect_int("-0", true, 0);
    expect_int("42", true, 42);
    expect_int("1.0", true, 1);
    expect_int("1e3", true, 1000);
    expect_int("9007199254740991", true, JSON_INTEGER_MAX);
    expect_int("-9007199254740991", true, -JSON_INTEGER_MAX);
    expect_int("9007199254740992", false, 0);
    expect_int("9007199254740993", false, 0);
    expect_int("-9007199254740992", false, 0);
    expect_int("1.5", false, 0);
    expect_int("1e300", false, 0);
    expect_int("\"1\"", false, 0);
    expect_int("true", false, 0);
    expect_int("null", false, 0);
    assert_false(json_as_int(NULL, &(int64_t){0}));
}

static void memory_running_out_is_reported_and_nothing_is_kept(void **state)
{
    (void)state;
    struct buf text;
    large_object(&text, 20, "inner\":{\"a\":[1,2,\"three\"]},\"last\\n");
    struct mem_loop loop = {0};
    while (mem_loop_next(&loop)) {
        struct error err = {.code = 0};
        cJSON *tree = json_parse(buf_slice(&text), &err);
        mem_loop_expect(&loop, err.code, BASE_ENOMEM);
        assert_true(mem_loop_has_failed(&loop) == !tree);
        cJSON_Delete(tree);
    }
    buf_deinit(&text);
}

int main(void)
{
    mem_loop_hook_cjson();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_are_found_by_their_exact_name),
        cmocka_unit_test(look_up_in_what_is_no_object_finds_nothing),
        cmocka_unit_test(strings_come_out_decoded),
        cmocka_unit_test(a_slice_is_parsed_to_its_end_only),
        cmocka_unit_test(the_tree_is_what_cjson_would_make),
        cmocka_unit_test(the_longest_number_and_the_deepest_tree_get_through),
        cmocka_unit_test(duplicate_keys_are_refused_at_any_depth),
        cmocka_unit_test(a_duplicate_key_is_named),
        cmocka_unit_test(duplicates_are_found_in_objects_of_every_size),
        cmocka_unit_test(an_object_of_many_keys_is_checked_in_time),
        cmocka_unit_test(what_the_check_refuses_is_not_parsed),
        cmocka_unit_test(integers_are_exact_or_refused),
        cmocka_unit_test(memory_running_out_is_reported_and_nothing_is_kept),
    };
    return cmocka_run_group_tests_name("base/json_parse", tests, NULL, NULL);
}
