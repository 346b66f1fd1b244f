/* Each keyword of JSON Schema: values that fit and values that do not. */
#include "schema_case.h"

struct keyword_case {
    const char *schema;
    const char *fits[8];
    const char *fails[8];
};

static void check_cases(const struct keyword_case *cases, size_t count)
{
    struct mcp_schema_fault fault;
    for (size_t i = 0; i < count; i++) {
        const struct keyword_case *k = &cases[i];
        for (size_t j = 0; j < 8 && k->fits[j]; j++) {
            if (check_quoted(k->schema, k->fits[j], &fault))
                fail_msg("%s refuses %s: %s", k->schema, k->fits[j], fault.message);
        }
        for (size_t j = 0; j < 8 && k->fails[j]; j++) {
            if (check_quoted(k->schema, k->fails[j], &fault) != BASE_EINVAL)
                fail_msg("%s takes %s", k->schema, k->fails[j]);
            assert_true(strlen(fault.message) > 10 && strlen(fault.expected) > 0);
            if (check_quoted(k->schema, k->fails[j], NULL) != BASE_EINVAL)
                fail_msg("%s takes %s without a report", k->schema, k->fails[j]);
        }
    }
}

#define CHECK(cases) check_cases(cases, sizeof(cases) / sizeof((cases)[0]))

static void types_are_told_apart(void **state)
{
    static const struct keyword_case cases[] = {
        {"true", {"1", "null", "{}"}, {0}},
        {"{}", {"1", "null", "[{}]"}, {0}},
        {"false", {0}, {"1", "null", "{}"}},
        {"{'type':'null'}", {"null"}, {"0", "false", "''", "[]", "{}"}},
        {"{'type':'boolean'}", {"true", "false"}, {"0", "null", "'true'"}},
        {"{'type':'string'}", {"''", "'a'"}, {"1", "null", "['a']"}},
        {"{'type':'array'}", {"[]", "[1]"}, {"{}", "'[]'"}},
        {"{'type':'object'}", {"{}", "{'a':1}"}, {"[]", "null"}},
        {"{'type':'number'}", {"1", "1.5", "-1e300"}, {"'1'", "true"}},
        {"{'type':'integer'}",
         {"1", "-0", "1.0", "9007199254740991", "-9007199254740991"},
         {"1.5", "9007199254740993", "1e300", "'1'"}},
        {"{'type':['string','null']}", {"'a'", "null"}, {"1", "[]", "true"}},
        {"{'type':['integer','boolean']}", {"1", "true", "false"}, {"1.5", "null"}},
    };
    (void)state;
    CHECK(cases);
}

static void enum_and_const_compare_by_value(void **state)
{
    static const struct keyword_case cases[] = {
        {"{'enum':['a',1,null,[1,{'x':2}],true]}",
         {"'a'", "1.0", "null", "[1,{'x':2}]", "true"},
         {"'b'", "2", "false", "[1,{'x':3}]", "[1]", "[1,{'x':2},3]"}},
        {"{'const':{'a':1,'b':[2]}}",
         {"{'b':[2],'a':1}"},
         {"{'a':1}", "{'a':1,'b':[2],'c':3}", "{'a':1,'c':[2]}", "[]"}},
        {"{'const':9007199254740991}", {"9007199254740991"}, {"9007199254740990"}},
        {"{'const':false}", {"false"}, {"0", "true", "null"}},
    };
    (void)state;
    CHECK(cases);
}

static void numbers_are_bounded(void **state)
{
    static const struct keyword_case cases[] = {
        {"{'minimum':1}", {"1", "1.5", "'0'"}, {"0.999", "-5"}},
        {"{'maximum':3}", {"3", "-9", "null"}, {"3.0001"}},
        {"{'exclusiveMinimum':1}", {"1.001"}, {"1", "0"}},
        {"{'exclusiveMaximum':3}", {"2.9"}, {"3", "4"}},
        {"{'multipleOf':5}", {"0", "-10", "'7'"}, {"7", "0.5"}},
        {"{'multipleOf':0.01}", {"0.3", "19.99", "4.35"}, {"0.005", "0.301"}},
        {"{'type':'number','multipleOf':0.123456789}", {"0"}, {"1e308"}},
        {"{'multipleOf':0.5}", {"1e308"}, {"0.2"}},
    };
    (void)state;
    CHECK(cases);
}

static void strings_are_measured_in_code_points(void **state)
{
    static const struct keyword_case cases[] = {
        {"{'minLength':2}", {"'ab'", "'\xC3\xA9\xC3\xA9'", "1"}, {"'a'", "'\xF0\x9F\x98\x80'"}},
        {"{'maxLength':2}", {"''", "'\xF0\x9F\x98\x80\xF0\x9F\x98\x80'"}, {"'abc'"}},
        {"{'pattern':'^#[0-9A-Fa-f]{6}$'}", {"'#00ffAA'", "7"}, {"'00ffaa'", "'#00ffaaa'", "''"}},
        {"{'pattern':'b+'}", {"'abbc'"}, {"'ac'"}},
        {"{'pattern':'^(a|\\\\.)[^]\\\\\\\\[:digit:]]?$'}",
         {"'a'", "'.x'"},
         {"'a]'", "'a1'", "'b'"}},
        {"{'format':'date-time'}",
         {"'2026-01-31T09:00:00Z'", "'2026-01-31T09:00:00.5+02:00'", "5"},
         {"'2026-01-31'", "'2026-02-30T00:00:00Z'", "'2026-01-31T09:00:00'"}},
        {"{'format':'email'}", {"'no address'"}, {0}},
    };
    (void)state;
    CHECK(cases);
}

static void arrays_are_checked_item_by_item(void **state)
{
    static const struct keyword_case cases[] = {
        {"{'items':{'type':'integer'}}", {"[]", "[1,2]", "{}"}, {"[1,'2']"}},
        {"{'items':false}", {"[]"}, {"[1]"}},
        {"{'prefixItems':[{'type':'integer'},{'type':'string'}]}",
         {"[]", "[1]", "[1,'a',null]"},
         {"['a']", "[1,1]"}},
        {"{'prefixItems':[true],'items':{'type':'null'}}", {"[1]", "[1,null]"}, {"[1,1]"}},
        {"{'minItems':1,'maxItems':2}", {"[1]", "[1,2]", "''"}, {"[]", "[1,2,3]"}},
        {"{'uniqueItems':true}",
         {"[]", "[1,2,'1',true,[1],[2]]", "[{'a':1},{'a':2}]", "[1,true]", "[0,false]"},
         {"[1,1]", "[1,2,1.0]", "[{'a':1,'b':2},{'b':2,'a':1}]", "[[1],[1]]"}},
        {"{'uniqueItems':false}", {"[1,1]"}, {0}},
        {"{'contains':{'type':'string'}}", {"[1,'a']", "1"}, {"[]", "[1]"}},
        {"{'contains':{'const':1},'minContains':2,'maxContains':3}",
         {"[1,1]", "[1,1,1,2]"},
         {"[1]", "[1,1,1,1]"}},
        {"{'contains':{'const':1},'minContains':0}", {"[]", "[2]"}, {0}},
        {"{'minContains':2}", {"[]"}, {0}},
    };
    (void)state;
    CHECK(cases);
}

static void objects_are_checked_member_by_member(void **state)
{
    static const struct keyword_case cases[] = {
        {"{'properties':{'a':{'type':'integer'},'b':false}}",
         {"{}", "{'a':1}", "{'A':'x'}", "[]"},
         {"{'a':'1'}", "{'b':1}"}},
        {"{'required':['a','b']}", {"{'a':1,'b':null}", "[]"}, {"{'a':1}", "{}", "{'A':1,'b':1}"}},
        {"{'properties':{'a':{}},'additionalProperties':false}", {"{'a':1}"}, {"{'b':1}"}},
        {"{'properties':{'a':{}},'additionalProperties':{'type':'null'}}",
         {"{'a':1,'b':null}"},
         {"{'b':1}"}},
        {"{'patternProperties':{'^x-':{'type':'string'},'n$':{'maxLength':2}},"
         "'additionalProperties':false}",
         {"{'x-a':'long'}", "{'x-n':'ab'}", "{'n':1}"},
         {"{'x-a':1}", "{'x-n':'abc'}", "{'y':1}"}},
        {"{'propertyNames':{'pattern':'^[a-z]+$','maxLength':3}}",
         {"{'abc':1}"},
         {"{'A':1}", "{'abcd':1}"}},
        {"{'minProperties':1,'maxProperties':2}", {"{'a':1}"}, {"{}", "{'a':1,'b':1,'c':1}"}},
        {"{'dependentRequired':{'a':['b','c']}}",
         {"{}", "{'b':1}", "{'a':1,'b':1,'c':1}"},
         {"{'a':1}", "{'a':1,'b':1}"}},
        {"{'dependentSchemas':{'a':{'required':['b']}}}", {"{}", "{'a':1,'b':1}"}, {"{'a':1}"}},
    };
    (void)state;
    CHECK(cases);
}

static void schemas_are_composed(void **state)
{
    static const struct keyword_case cases[] = {
        {"{'allOf':[{'minimum':1},{'maximum':3}]}", {"1", "3"}, {"0", "4"}},
        {"{'anyOf':[{'type':'string'},{'minimum':5}]}", {"'a'", "5", "null"}, {"4"}},
        {"{'oneOf':[{'minimum':1},{'maximum':3}]}", {"0", "4"}, {"1", "2", "3"}},
        {"{'oneOf':[{'required':['a']},{'required':['b']}]}",
         {"{'a':1}", "{'b':1}"},
         {"{}", "{'a':1,'b':1}"}},
        {"{'not':{'type':'string'}}", {"1"}, {"'a'"}},
        {"{'not':{'not':{'type':'string'}}}", {"'a'"}, {"1"}},
        {"{'if':{'type':'string'},'then':{'minLength':2},'else':{'minimum':5}}",
         {"'ab'", "5"},
         {"'a'", "4"}},
        {"{'if':{'type':'string'},'then':{'minLength':2}}", {"1", "'ab'"}, {"'a'"}},
        {"{'if':{'type':'string'},'else':{'type':'null'}}", {"'a'", "null"}, {"1"}},
        {"{'then':false,'else':false}", {"1"}, {0}},
    };
    (void)state;
    CHECK(cases);
}

static void references_stay_in_the_document(void **state)
{
    static const struct keyword_case cases[] = {
        {"{'$defs':{'id':{'type':'integer'}},'properties':{'a':{'$ref':'#/$defs/id'}}}",
         {"{'a':1}"},
         {"{'a':'1'}"}},
        {"{'definitions':{'a/b~c %':{'type':'null'}},'$ref':'#/definitions/a~1b~0c%20%25'}",
         {"null"},
         {"1"}},
        {"{'$defs':{'x':{'$anchor':'here','type':'null'}},'$ref':'#here'}", {"null"}, {"1"}},
        {"{'$id':'https://example.com/s','$defs':{'x':{'type':'null'}},"
         "'$ref':'https://example.com/s#/$defs/x'}",
         {"null"},
         {"1"}},
        {"{'$defs':{'x':{'minimum':1}},'$ref':'#/$defs/x','maximum':2}", {"1", "2"}, {"0", "3"}},
        {"{'x-shared':{'type':'null','allOf':[{'$ref':'#/x-shared/y'}],'y':{'$ref':'#/$defs/z'}},"
         "'$defs':{'z':{}},'$ref':'#/x-shared'}",
         {"null"},
         {"1"}},
        {"{'prefixItems':[{'type':'null'},{'$ref':'#/prefixItems/0'}]}",
         {"[null,null]"},
         {"[null,1]"}},
        {"{'x':{'a~1':{'type':'null'},'a/':{'type':'integer'}},'$ref':'#/x/a~01'}",
         {"null"},
         {"1"}},
        {"{'properties':{'$ref':{'type':'string'}}}", {"{'$ref':'a'}"}, {"{'$ref':1}"}},
        {"{'const':{'$ref':'#/nowhere'}}", {"{'$ref':'#/nowhere'}"}, {"1"}},
    };
    (void)state;
    CHECK(cases);
}

static void a_schema_may_refer_to_itself(void **state)
{
    static const char tree[] =
        "{'type':'object','properties':{'v':{'type':'integer'},'kids':{'type':'array','items':"
        "{'$ref':'#'}}},'required':['v'],'additionalProperties':false}";
    static const struct keyword_case cases[] = {
        {tree,
         {"{'v':1}", "{'v':1,'kids':[{'v':2,'kids':[{'v':3}]}]}"},
         {"{'v':1,'kids':[{'v':2,'kids':[{}]}]}", "{'v':1,'kids':[{'v':2,'kid':[]}]}"}},
    };
    (void)state;
    CHECK(cases);
}

static void draft_07_is_read_as_it_is_written(void **state)
{
#define DRAFT_07 "'$schema':'http://json-schema.org/draft-07/schema#',"
    static const struct keyword_case cases[] = {
        {"{" DRAFT_07 "'items':[{'type':'null'}],'additionalItems':{'type':'integer'}}",
         {"[]", "[null,1]"},
         {"[1]", "[null,null]"}},
        {"{" DRAFT_07 "'items':{'type':'null'},'additionalItems':false}", {"[null,null]"}, {"[1]"}},
        {"{" DRAFT_07 "'definitions':{'x':{'type':'integer'}},'properties':{'a':{"
         "'$ref':'#/definitions/x','minimum':5}}}",
         {"{'a':1}"},
         {"{'a':'1'}"}},
        {"{" DRAFT_07 "'dependencies':{'a':['b']}}", {"{'b':1}"}, {"{'a':1}"}},
        {"{" DRAFT_07 "'dependencies':{'a':{'required':['b']}}}", {"{'b':1}"}, {"{'a':1}"}},
        {"{" DRAFT_07 "'definitions':{'x':{'$id':'#y','type':'null'}},'items':{'$ref':'#y'}}",
         {"[null]"},
         {"[1]"}},
    };
    (void)state;
    CHECK(cases);
}

static void annotations_and_unknown_keywords_change_nothing(void **state)
{
    static const struct keyword_case cases[] = {
        {"{'$schema':'https://json-schema.org/draft/2020-12/schema','$comment':'c','title':1,"
         "'description':'d','default':1,'examples':[],'deprecated':true,'readOnly':true,"
         "'x-mcp-header':'Region','contentEncoding':'base64','type':'string'}",
         {"'a'"},
         {"1"}},
    };
    (void)state;
    CHECK(cases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_are_told_apart),
        cmocka_unit_test(enum_and_const_compare_by_value),
        cmocka_unit_test(numbers_are_bounded),
        cmocka_unit_test(strings_are_measured_in_code_points),
        cmocka_unit_test(arrays_are_checked_item_by_item),
        cmocka_unit_test(objects_are_checked_member_by_member),
        cmocka_unit_test(schemas_are_composed),
        cmocka_unit_test(references_stay_in_the_document),
        cmocka_unit_test(a_schema_may_refer_to_itself),
        cmocka_unit_test(draft_07_is_read_as_it_is_written),
        cmocka_unit_test(annotations_and_unknown_keywords_change_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
