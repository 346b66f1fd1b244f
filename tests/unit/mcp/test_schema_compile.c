/* Schemas that are refused, limits, and memory that runs out. */
#include "schema_case.h"

#include "support/mem_loop.h"

static void expect_refused(const char *text, int code, const char *field, const char *words)
{
    struct mcp_schema *schema = NULL;
    struct error err = {.text = ""};
    cJSON *tree = parse_quoted(text);
    int status = mcp_schema_compile(tree, &schema, &err);
    cJSON_Delete(tree);
    if (!status)
        fail_msg("%s is taken", text);
    assert_int_equal(status, code);
    assert_int_equal(err.code, code);
    assert_null(schema);
    if (strcmp(err.field, field) != 0 || !strstr(err.text, words))
        fail_msg("%s: field \"%s\", text \"%s\"", text, err.field, err.text);
}

static void a_malformed_keyword_is_refused_with_its_place(void **state)
{
    static const struct {
        const char *schema, *field, *words;
    } cases[] = {
        {"1", "", "object or a boolean"},
        {"{'properties':{'a':1}}", "/properties/a", "object or a boolean"},
        {"{'properties':[]}", "/properties", "object of schemas"},
        {"{'type':'text'}", "/type", "integer"},
        {"{'type':[]}", "/type", "empty"},
        {"{'type':['string',1]}", "/type", "array of these"},
        {"{'enum':'a'}", "/enum", "array"},
        {"{'enum':[]}", "/enum", "at least one"},
        {"{'minimum':'1'}", "/minimum", "minimum must be a number"},
        {"{'multipleOf':0}", "/multipleOf", "> 0"},
        {"{'maxLength':-1}", "/maxLength", "integer >= 0"},
        {"{'minItems':1.5}", "/minItems", "integer >= 0"},
        {"{'uniqueItems':1}", "/uniqueItems", "true or false"},
        {"{'required':'a'}", "/required", "array of strings"},
        {"{'required':[1]}", "/required", "array of strings"},
        {"{'dependentRequired':{'a':'b'}}", "/dependentRequired", "arrays of strings"},
        {"{'allOf':[]}", "/allOf", "at least one schema"},
        {"{'allOf':{}}", "/allOf", "at least one schema"},
        {"{'anyOf':[{},{'not':1}]}", "/anyOf/1/not", "object or a boolean"},
        {"{'items':[{}]}", "/items", "prefixItems"},
        {"{'format':1}", "/format", "string"},
        {"{'$id':1}", "/$id", "string"},
        {"{'$ref':1}", "/$ref", "string"},
        {"{'$defs':{'a/b':{'type':1}}}", "/$defs/a~1b/type", "type must be"},
        {"{'patternProperties':{'(':{}}}", "/patternProperties/(", "POSIX"},
        {"{'unevaluatedProperties':false}", "/unevaluatedProperties", "not supported"},
        {"{'$dynamicRef':'#a'}", "/$dynamicRef", "not supported"},
        {"{'items':{'$id':'other'}}", "/items/$id", "within"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect_refused(cases[i].schema, BASE_EINVAL, cases[i].field, cases[i].words);
}

static void a_pattern_that_would_mislead_or_harm_is_refused(void **state)
{
    static const struct {
        const char *schema, *words;
    } cases[] = {
        {"{'pattern':1}", "string"},
        {"{'pattern':'a('}", "POSIX"},
        {"{'pattern':'[a'}", "POSIX"},
        {"{'pattern':'^\\\\d+$'}", "[0-9]"},
        {"{'pattern':'\\\\p{L}'}", "escape"},
        {"{'pattern':'(a)\\\\1'}", "escape"},
        {"{'pattern':'a\\\\'}", "backslash"},
        {"{'pattern':'[\\\\w]'}", "brackets"},
        {"{'pattern':'(?i)a'}", "(?"},
        {"{'pattern':'a*?'}", "lazy"},
        {"{'pattern':'((a{100}){100}){100}'}", "repeats"},
        {"{'pattern':'a{99999}'}", "repeats"},
        {"{'pattern':'a**'}", "repetition"},
        {"{'pattern':'b********{6}'}", "repetition"},
        {"{'pattern':'((((((((((((((((((a))))))))))))))))))'}", "deep"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect_refused(cases[i].schema, BASE_EINVAL, "/pattern", cases[i].words);
}

static void a_reference_that_leads_out_or_nowhere_is_refused(void **state)
{
    static const char *const outside[] = {
        "{'$ref':'https://example.com/schema'}", "{'$ref':'other.json#/a'}",
        "{'items':{'$ref':'file:///etc/passwd'}}",
        "{'$id':'https://example.com/a','$ref':'https://example.com/b'}"};
    static const char *const nowhere[] = {
        "{'$ref':'#/$defs/none'}", "{'$ref':'#none'}", "{'allOf':[{}],'$ref':'#/allOf/1'}",
        "{'allOf':[{}],'$ref':'#/allOf/x'}", "{'$defs':{'a':{}},'$ref':'#/$defs/a%2'}"};
    (void)state;
    for (size_t i = 0; i < sizeof(outside) / sizeof(outside[0]); i++)
        expect_refused(outside[i], BASE_EINVAL, "/$ref", "not fetched");
    for (size_t i = 0; i < sizeof(nowhere) / sizeof(nowhere[0]); i++)
        expect_refused(nowhere[i], BASE_EINVAL, "/$ref", "nowhere");
    expect_refused("{'type':'object','$ref':'#/type'}", BASE_EINVAL, "/$ref",
                   "object or a boolean");
}

static void a_reference_that_comes_back_with_the_same_value_is_refused(void **state)
{
    static const char *const cases[] = {
        "{'$ref':'#'}",
        "{'$defs':{'a':{'$ref':'#/$defs/b'},'b':{'$ref':'#/$defs/a'}}}",
        "{'allOf':[{'$ref':'#'}]}",
        "{'not':{'anyOf':[{},{'oneOf':[{'$ref':'#'}]}]}}",
        "{'if':{},'then':{'if':{},'else':{'$ref':'#'}}}",
        "{'dependentSchemas':{'a':{'if':{'$ref':'#'}}}}"};
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect_refused(cases[i], BASE_EINVAL, "/$ref", "comes back");
}

static void another_dialect_is_refused(void **state)
{
    (void)state;
    expect_refused("{'$schema':'http://json-schema.org/draft-04/schema#'}", BASE_EINVAL, "/$schema",
                   "2020-12 and draft-07");
    expect_refused("{'$schema':7}", BASE_EINVAL, "/$schema", "dialect");
}

static cJSON *nest(unsigned levels)
{
    cJSON *tree = cJSON_CreateObject();
    for (unsigned i = 1; i < levels; i++) {
        cJSON *outer = cJSON_CreateObject();
        assert_true(cJSON_AddItemToObject(outer, "items", tree));
        tree = outer;
    }
    return tree;
}

static void a_schema_nests_as_deep_as_json_may(void **state)
{
    (void)state;
    for (unsigned levels = JSON_DEPTH_MAX; levels <= JSON_DEPTH_MAX + 2; levels++) {
        struct mcp_schema *schema = NULL;
        cJSON *tree = nest(levels + 1);
        int status = mcp_schema_compile(tree, &schema, NULL);
        assert_int_equal(status, levels <= JSON_DEPTH_MAX ? 0 : BASE_ELIMIT);
        cJSON_Delete(tree);
        mcp_schema_free(schema);
    }
}

static void a_schema_has_a_thousand_subschemas_at_most(void **state)
{
    (void)state;
    for (int count = 998; count <= 1001; count++) {
        struct mcp_schema *schema = NULL;
        struct error err = {.text = ""};
        cJSON *tree = cJSON_CreateObject();
        cJSON *list = cJSON_AddArrayToObject(tree, "allOf");
        for (int i = 0; i < count; i++)
            assert_true(cJSON_AddItemToArray(list, cJSON_CreateObject()));
        assert_int_equal(mcp_schema_compile(tree, &schema, &err), count < 1000 ? 0 : BASE_ELIMIT);
        cJSON_Delete(tree);
        mcp_schema_free(schema);
    }
}

static void no_schema_is_refused(void **state)
{
    struct mcp_schema *schema = NULL;
    (void)state;
    assert_int_equal(mcp_schema_compile(NULL, &schema, NULL), BASE_EINVAL);
    mcp_schema_free(NULL);
}

static void a_compiled_schema_outlives_its_source(void **state)
{
    (void)state;
    struct mcp_schema_fault fault;
    cJSON *tree = parse_quoted("{'properties':{'a':{'enum':['x','y']}},'required':['a']}");
    struct mcp_schema *schema;
    assert_int_equal(mcp_schema_compile(tree, &schema, NULL), 0);
    cJSON_Delete(tree);
    cJSON *value = parse_quoted("{'a':'z'}");
    assert_int_equal(mcp_schema_check(schema, value, &fault), BASE_EINVAL);
    assert_string_equal(fault.expected, "one of \"x\", \"y\"");
    cJSON_Delete(value);
    mcp_schema_free(schema);
}

static void compiling_survives_every_failed_allocation(void **state)
{
    (void)state;
    struct mem_loop loop = {0};
    cJSON *tree = parse_quoted("{'$defs':{'a':{'pattern':'^a$'}},'properties':{'x':{'$ref':"
                               "'#/$defs/a'},'y':{'$ref':'#/x-lazy'}},'required':['x'],"
                               "'x-lazy':{'allOf':[{'type':'string'}]},"
                               "'patternProperties':{'^z':{'enum':[1]}},'anyOf':[{},true]}");
    while (mem_loop_next(&loop)) {
        struct mcp_schema *schema = NULL;
        struct error err = {.code = 0};
        int status = mcp_schema_compile(tree, &schema, &err);
        mem_loop_expect(&loop, status, BASE_ENOMEM);
        assert_int_equal(err.code, status);
        mcp_schema_free(schema);
    }
    cJSON_Delete(tree);
}

static void checking_allocates_nothing(void **state)
{
    (void)state;
    struct mcp_schema *schema = compile_quoted("{'type':'object','properties':{'a':{'type':"
                                               "'array','items':{'type':'integer'},'uniqueItems':"
                                               "true}},'additionalProperties':false}");
    cJSON *good = parse_quoted("{'a':[1,2,3]}");
    cJSON *bad = parse_quoted("{'b':[1,2,3]}");
    struct mcp_schema_fault fault;
    struct mem_loop loop = {0};
    assert_true(mem_loop_next(&loop));
    assert_int_equal(mcp_schema_check(schema, good, &fault), 0);
    assert_int_equal(mcp_schema_check(schema, bad, &fault), BASE_EINVAL);
    assert_false(mem_loop_has_failed(&loop));
    cJSON_Delete(good);
    cJSON_Delete(bad);
    mcp_schema_free(schema);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_malformed_keyword_is_refused_with_its_place),
        cmocka_unit_test(a_pattern_that_would_mislead_or_harm_is_refused),
        cmocka_unit_test(a_reference_that_leads_out_or_nowhere_is_refused),
        cmocka_unit_test(a_reference_that_comes_back_with_the_same_value_is_refused),
        cmocka_unit_test(another_dialect_is_refused),
        cmocka_unit_test(a_schema_nests_as_deep_as_json_may),
        cmocka_unit_test(a_schema_has_a_thousand_subschemas_at_most),
        cmocka_unit_test(no_schema_is_refused),
        cmocka_unit_test(a_compiled_schema_outlives_its_source),
        cmocka_unit_test(compiling_survives_every_failed_allocation),
        cmocka_unit_test(checking_allocates_nothing),
    };
    mem_loop_hook_cjson();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
