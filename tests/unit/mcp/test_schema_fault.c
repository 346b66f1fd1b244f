/* What an agent is told: the field, what came, what was expected, and the likely slip. */
#include "schema_case.h"

#include "base/utf8.h"

struct fault_case {
    const char *schema, *value, *field, *expected, *message;
};

static void check_faults(const struct fault_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct fault_case *k = &cases[i];
        struct mcp_schema_fault fault = {.message = ""};
        if (check_quoted(k->schema, k->value, &fault) != BASE_EINVAL)
            fail_msg("%s takes %s", k->schema, k->value);
        assert_string_equal(fault.message, k->message);
        assert_string_equal(fault.expected, k->expected);
        assert_string_equal(fault.field, k->field);
    }
}

#define CHECK(cases) check_faults(cases, sizeof(cases) / sizeof((cases)[0]))

#define TASK                                                                                       \
    "{'type':'object','properties':{'title':{'type':'string','minLength':1,'maxLength':5},"        \
    "'priority':{'type':'string','enum':['low','medium','high','urgent']},'category_id':{'type':"  \
    "['integer','null'],'minimum':1},'tag_ids':{'type':'array','items':{'type':'integer',"         \
    "'minimum':1},'maxItems':3,'uniqueItems':true},'done':{'type':'boolean'},'due_date':{'type':"  \
    "'string','format':'date-time'},'limit':{'type':'integer','minimum':1,'maximum':200},"         \
    "'color':{'type':['string','null'],'pattern':'^#[0-9]{6}$'},'where':{'type':'object',"         \
    "'properties':{'street':{'type':'string'}},'required':['street'],'additionalProperties':"      \
    "false}},'required':['title'],'dependentRequired':{'limit':['due_date']},"                     \
    "'additionalProperties':false}"
#define DATE_TIME "an RFC 3339 date-time with a UTC offset, like 2026-01-31T09:00:00Z"
#define TAGS      "an array of at most 3 distinct items, each an integer >= 1"

static void a_missing_field_is_told_with_what_it_wants(void **state)
{
    static const struct fault_case cases[] = {
        {TASK, "{}", "title", "a string of 1 to 5 characters",
         "title is missing; it must be a string of 1 to 5 characters"},
        {TASK, "{'title':'a','where':{}}", "where.street", "a string",
         "where.street is missing; it must be a string"},
        {TASK, "{'title':'a','limit':1}", "due_date", DATE_TIME,
         "due_date is missing, which \"limit\" needs; it must be " DATE_TIME},
        {"{'required':['a']}", "{}", "a", "a value", "a is missing"},
    };
    (void)state;
    CHECK(cases);
}

static void an_unknown_property_is_told_with_its_nearest_neighbour(void **state)
{
#define KNOWN "title, priority, category_id, tag_ids, done, due_date, limit, color, where"
    static const struct fault_case cases[] = {
        {TASK, "{'prioritty':'low'}", "prioritty", "one of the properties " KNOWN,
         "unknown property \"prioritty\"; did you mean \"priority\"?"},
        {TASK, "{'dueDate':1}", "dueDate", "one of the properties " KNOWN,
         "unknown property \"dueDate\"; did you mean \"due_date\"?"},
        {TASK, "{'DUE-DATE':1}", "DUE-DATE", "one of the properties " KNOWN,
         "unknown property \"DUE-DATE\"; did you mean \"due_date\"?"},
        {TASK, "{'tilte':1}", "tilte", "one of the properties " KNOWN,
         "unknown property \"tilte\"; did you mean \"title\"?"},
        {TASK, "{'assignee':1}", "assignee", "one of the properties " KNOWN,
         "unknown property \"assignee\"; the known ones are " KNOWN},
        {TASK, "{'title':'a','where':{'stret':1}}", "where.stret", "one of the properties street",
         "unknown property \"stret\" in where; did you mean \"street\"?"},
        {"{'additionalProperties':false}", "{'a':1}", "a", "no properties",
         "unknown property \"a\"; none is taken here"},
    };
    (void)state;
    CHECK(cases);
}

static void a_wrong_type_is_told_with_the_likely_slip(void **state)
{
    static const struct fault_case cases[] = {
        {TASK, "[]", "", "an object with \"title\"",
         "the value must be an object with \"title\", not an array of 0 items"},
        {TASK, "{'title':7}", "title", "a string of 1 to 5 characters",
         "title must be a string of 1 to 5 characters, not 7; send it in quotes"},
        {TASK, "{'category_id':'12'}", "category_id", "an integer >= 1 or null",
         "category_id must be an integer >= 1 or null, not the string \"12\"; send the number "
         "without quotes"},
        {TASK, "{'category_id':'null'}", "category_id", "an integer >= 1 or null",
         "category_id must be an integer >= 1 or null, not the string \"null\"; send null without "
         "quotes"},
        {TASK, "{'category_id':'work'}", "category_id", "an integer >= 1 or null",
         "category_id must be an integer >= 1 or null, not the string \"work\""},
        {TASK, "{'category_id':1.5}", "category_id", "an integer >= 1 or null",
         "category_id must be an integer >= 1 or null, not 1.5"},
        {TASK, "{'category_id':9007199254740993}", "category_id", "an integer >= 1 or null",
         "category_id must be an integer >= 1 or null, not 9007199254740992; integers beyond "
         "9007199254740991 lose digits"},
        {TASK, "{'done':'true'}", "done", "true or false",
         "done must be true or false, not the string \"true\"; send true without quotes"},
        {TASK, "{'tag_ids':5}", "tag_ids", TAGS,
         "tag_ids must be " TAGS ", not 5; put it in an array"},
        {TASK, "{'tag_ids':'[5]'}", "tag_ids", TAGS,
         "tag_ids must be " TAGS
         ", not the string \"[5]\"; send the JSON itself, not a string that "
         "holds it"},
        {TASK, "{'tag_ids':[1,2,'3']}", "tag_ids[2]", "an integer >= 1",
         "tag_ids[2] must be an integer >= 1, not the string \"3\"; send the number without "
         "quotes"},
        {TASK, "{'where':true}", "where", "an object with \"street\"",
         "where must be an object with \"street\", not true"},
    };
    (void)state;
    CHECK(cases);
}

static void a_value_out_of_bounds_is_told_with_the_bounds(void **state)
{
    static const struct fault_case cases[] = {
        {TASK, "{'title':''}", "title", "a string of 1 to 5 characters",
         "title must be a string of 1 to 5 characters, not 0 characters"},
        {TASK, "{'title':'abcdef'}", "title", "a string of 1 to 5 characters",
         "title must be a string of 1 to 5 characters, not 6 characters"},
        {TASK, "{'limit':500}", "limit", "an integer from 1 to 200",
         "limit must be an integer from 1 to 200, not 500"},
        {TASK, "{'tag_ids':[1,2,3,4]}", "tag_ids", TAGS,
         "tag_ids must be " TAGS ", not an array of 4 items"},
        {TASK, "{'tag_ids':[7,8,7]}", "tag_ids", TAGS,
         "tag_ids must be " TAGS ", not items [0] and [2] that are equal"},
        {TASK, "{'color':'red'}", "color", "a string that matches ^#[0-9]{6}$ or null",
         "color must be a string that matches ^#[0-9]{6}$ or null, not \"red\""},
        {TASK, "{'due_date':'2026-01-31T09:00:00'}", "due_date", DATE_TIME,
         "due_date must be " DATE_TIME
         ", not \"2026-01-31T09:00:00\": needs a UTC offset such as Z or +02:00"},
        {"{'exclusiveMinimum':0,'exclusiveMaximum':1}", "2", "", "a number > 0 and < 1",
         "the value must be a number > 0 and < 1, not 2"},
        {"{'type':'integer','multipleOf':5,'maximum':20}", "7", "",
         "an integer <= 20 that is a multiple of 5",
         "the value must be an integer <= 20 that is a multiple of 5, not 7"},
        {"{'type':'array','minItems':1,'maxItems':1}", "[]", "", "an array of exactly 1 item",
         "the value must be an array of exactly 1 item, not an array of 0 items"},
        {"{'type':'object','minProperties':2}", "{'a':1}", "", "an object of at least 2 properties",
         "the value must be an object of at least 2 properties, not an object of 1 property"},
        {"{'type':'array','contains':{'const':1}}", "[2]", "", "an array, at least 1 of them 1",
         "the value must be an array, at least 1 of them 1, not an array with 0 of these"},
    };
    (void)state;
    CHECK(cases);
}

static void a_value_that_is_not_listed_is_told_with_the_list(void **state)
{
#define WORDS "one of \"low\", \"medium\", \"high\", \"urgent\""
    static const struct fault_case cases[] = {
        {TASK, "{'priority':'hihg'}", "priority", WORDS,
         "priority must be " WORDS ", not \"hihg\"; did you mean \"high\"?"},
        {TASK, "{'priority':'HIGH'}", "priority", WORDS,
         "priority must be " WORDS ", not \"HIGH\"; did you mean \"high\"?"},
        {TASK, "{'priority':'critical'}", "priority", WORDS,
         "priority must be " WORDS ", not \"critical\""},
        {TASK, "{'priority':1}", "priority", WORDS,
         "priority must be " WORDS ", not 1; send it in quotes"},
        {"{'const':'a'}", "'b'", "", "\"a\"", "the value must be \"a\", not \"b\""},
    };
    (void)state;
    CHECK(cases);
}

static void composition_is_told_by_the_branch_that_was_meant(void **state)
{
    static const struct fault_case cases[] = {
        {"{'anyOf':[{'type':'integer','minimum':1},{'type':'null'}]}", "0", "", "an integer >= 1",
         "the value must be an integer >= 1, not 0"},
        {"{'anyOf':[{'type':'integer','minimum':1},{'type':'null'}]}", "'a'", "",
         "an integer >= 1 or null", "the value must be an integer >= 1 or null, not \"a\""},
        {"{'anyOf':[{'required':['a']},{'required':['b']}]}", "{}", "",
         "an object with \"a\" or an object with \"b\"",
         "the value must be an object with \"a\" or an object with \"b\", not an object of 0 "
         "properties"},
        {"{'oneOf':[{'required':['a']},{'required':['b']}]}", "{'a':1,'b':1}", "",
         "an object with \"a\" or else an object with \"b\"",
         "the value must be an object with \"a\" or else an object with \"b\", not a value that "
         "fits 2 of these at once"},
        {"{'properties':{'a':{'allOf':[{'type':'string'},{'maxLength':1}]}}}", "{'a':'xy'}", "a",
         "a string of at most 1 character",
         "a must be a string of at most 1 character, not 2 characters"},
        {"{'not':{'type':'string'}}", "'a'", "", "anything but a string",
         "the value must not be a string, and is \"a\""},
        {"{'properties':{'a':false}}", "{'a':1}", "a", "nothing", "a is not allowed here"},
        {"{'if':{'required':['a']},'then':{'properties':{'b':{'type':'null'}},'required':['b']}}",
         "{'a':1}", "b", "null", "b is missing; it must be null"},
        {"{'$defs':{'n':{'type':'integer'}},'properties':{'a':{'$ref':'#/$defs/n'}}}", "{'a':'1'}",
         "a", "an integer",
         "a must be an integer, not the string \"1\"; send the number without quotes"},
    };
    (void)state;
    CHECK(cases);
}

static void a_name_that_would_be_misread_is_quoted(void **state)
{
    static const struct fault_case cases[] = {
        {"{'additionalProperties':{'type':'null'}}", "{'a.b':1}", "[\"a.b\"]", "null",
         "[\"a.b\"] must be null, not 1"},
        {"{'additionalProperties':{'additionalProperties':{'type':'null'}}}", "{'x':{'':1}}",
         "x[\"\"]", "null", "x[\"\"] must be null, not 1"},
        {"{'propertyNames':{'maxLength':1}}", "{'ab':1}", "ab", "a string of at most 1 character",
         "the property name \"ab\" must be a string of at most 1 character"},
        {"{'items':{'items':{'type':'null'}}}", "[[],[null,'\\n\\u0001']]", "[1][1]", "null",
         "[1][1] must be null, not the string \"\\u000a\\u0001\""},
    };
    (void)state;
    CHECK(cases);
}

static void assert_utf8(const char *text)
{
    size_t left = strlen(text);
    while (left > 0) {
        size_t len = utf8_length_at(text, left);
        assert_true(len > 0);
        text += len;
        left -= len;
    }
}

/* Each length of a name of three-byte characters, so that each buffer is cut at each byte. */
static void long_texts_are_cut_between_characters(void **state)
{
    (void)state;
    struct mcp_schema *schema = compile_quoted(
        "{'additionalProperties':{'enum':['\xE2\x82\xAC\xE2\x82\xAC','aaaaaaaaaaaaaaaaaaaaaaaaaaa',"
        "'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb','ccccccccccccccccccccccccccccccccccccccccc'"
        ","
        "'ddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd','e','f','g',"
        "'hhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh','\xE2\x82\xAC\xE2\x82\xAC\xE2\x82\xAC'"
        "]}}");
    for (size_t count = 4; count < 300; count++) {
        char name[1000] = "";
        struct mcp_schema_fault fault;
        for (size_t i = 0; i < count; i++)
            memcpy(name + 3 * i + count % 3, "\xE2\x82\xAC", 4);
        memcpy(name, "ab", count % 3);
        cJSON *value = cJSON_CreateObject();
        assert_non_null(cJSON_AddStringToObject(value, name, name));
        assert_int_equal(mcp_schema_check(schema, value, &fault), BASE_EINVAL);
        assert_utf8(fault.field);
        assert_utf8(fault.expected);
        assert_utf8(fault.message);
        if (count > 50)
            assert_string_equal(fault.field + strlen(fault.field) - 3, "...");
        cJSON_Delete(value);
    }
    mcp_schema_free(schema);
}

static cJSON *nest_arrays(unsigned levels)
{
    cJSON *tree = cJSON_CreateArray();
    for (unsigned i = 1; i < levels; i++) {
        cJSON *outer = cJSON_CreateArray();
        assert_true(cJSON_AddItemToArray(outer, tree));
        tree = outer;
    }
    return tree;
}

static void a_value_may_nest_as_deep_as_json_may(void **state)
{
    (void)state;
    struct mcp_schema *schema =
        compile_quoted("{'type':'array','items':{'anyOf':[{'type':'null'},{'$ref':'#'}]}}");
    for (unsigned levels = JSON_DEPTH_MAX; levels <= JSON_DEPTH_MAX + 3; levels++) {
        struct mcp_schema_fault fault;
        cJSON *value = nest_arrays(levels);
        int status = mcp_schema_check(schema, value, &fault);
        assert_int_equal(status, levels <= JSON_DEPTH_MAX + 1 ? 0 : BASE_EINVAL);
        if (status)
            assert_non_null(strstr(fault.message, "nested too deep"));
        cJSON_Delete(value);
    }
    mcp_schema_free(schema);
}

/* 2^40 visits, would they be made. `not` must not turn the refusal into a pass. */
static void work_that_doubles_at_each_step_is_cut_short(void **state)
{
    static const char *const roots[] = {
        "'$ref':'#/$defs/d0'", "'not':{'$ref':'#/$defs/d0'}",
        "'anyOf':[{'not':{'not':{'not':{'$ref':'#/$defs/d0'}}}},true]"};
    (void)state;
    for (size_t root = 0; root < sizeof(roots) / sizeof(roots[0]); root++) {
        char text[4000] = "{'$defs':{";
        size_t len = strlen(text);
        for (int i = 0; i < 40; i++)
            len +=
                (size_t)snprintf(text + len, sizeof(text) - len,
                                 "'d%d':{'allOf':[{'$ref':'#/$defs/d%d'},{'$ref':'#/$defs/d%d'}]},",
                                 i, i + 1, i + 1);
        snprintf(text + len, sizeof(text) - len, "'d40':{'type':'null'}},%s}", roots[root]);
        struct mcp_schema_fault fault;
        assert_int_equal(check_quoted(text, "null", &fault), BASE_EINVAL);
        assert_non_null(strstr(fault.message, "takes too long"));
    }
}

static void too_many_items_are_not_compared_with_each_other(void **state)
{
    (void)state;
    struct mcp_schema *schema = compile_quoted("{'uniqueItems':true}");
    cJSON *value = cJSON_CreateArray();
    for (int i = 0; i < 5000; i++)
        assert_true(cJSON_AddItemToArray(value, cJSON_CreateNumber(i)));
    struct mcp_schema_fault fault;
    assert_int_equal(mcp_schema_check(schema, value, &fault), BASE_EINVAL);
    assert_non_null(strstr(fault.message, "takes too long"));
    cJSON_Delete(value);
    mcp_schema_free(schema);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_missing_field_is_told_with_what_it_wants),
        cmocka_unit_test(an_unknown_property_is_told_with_its_nearest_neighbour),
        cmocka_unit_test(a_wrong_type_is_told_with_the_likely_slip),
        cmocka_unit_test(a_value_out_of_bounds_is_told_with_the_bounds),
        cmocka_unit_test(a_value_that_is_not_listed_is_told_with_the_list),
        cmocka_unit_test(composition_is_told_by_the_branch_that_was_meant),
        cmocka_unit_test(a_name_that_would_be_misread_is_quoted),
        cmocka_unit_test(long_texts_are_cut_between_characters),
        cmocka_unit_test(a_value_may_nest_as_deep_as_json_may),
        cmocka_unit_test(work_that_doubles_at_each_step_is_cut_short),
        cmocka_unit_test(too_many_items_are_not_compared_with_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
