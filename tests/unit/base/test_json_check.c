#include "support/unit.h"

#include "base/buf.h"
#include "base/error.h"
#include "base/json.h"
#include "base/mem.h"

/* Checks a copy of exactly `text`, so that AddressSanitizer sees any read past its end. */
static int check_exact(struct slice text, struct error *err)
{
    char *copy = mem_alloc(text.len + 1);
    if (text.len > 0)
        memmove(copy + 1, text.ptr, text.len); /* odd address: no read relies on alignment */
    int status = json_check((struct slice){copy + 1, text.len}, err);
    mem_free(copy);
    return status;
}

static void expect_taken(struct slice text)
{
    struct error err = {.text = ""};
    if (check_exact(text, &err))
        fail_msg("%.*s: %s", (int)text.len, text.ptr, err.text);
}

static void expect_refused(struct slice text, int code)
{
    struct error err = {.text = ""};
    int status = check_exact(text, &err);
    if (status != code)
        fail_msg("%.*s: %d (%s), expected %d", (int)text.len, text.ptr, status, err.text, code);
    assert_int_equal(err.code, code);
    assert_true(err.text[0] != '\0');
}

#define EACH(texts, call)                                                                          \
    for (size_t i_ = 0; i_ < sizeof(texts) / sizeof(*(texts)); i_++)                               \
    call

static void valid_values_are_taken(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "null",
        "true",
        "false",
        "0",
        "-0",
        "1",
        "-1",
        "10",
        "0.5",
        "-0.25",
        "1e5",
        "1E+5",
        "1.5e-300",
        "123456789012345678901234567890",
        "\"\"",
        "\"text\"",
        "[]",
        "{}",
        "[[]]",
        "[1,2,3]",
        "{\"a\":1}",
        "{\"a\":{\"b\":[1,{\"c\":null}]},\"d\":\"e\"}",
        " \t\r\n[ 1 , 2 ] \n",
        "{ \"a\" : 1 , \"b\" : 2 }",
        "{\"\":0}",
        "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\"",
        "\"\\ud83d\\ude00\"",
        "\"\\uD83D\\uDE00\"",
        "\"\\uFFFF\"",
        "\"\x7f\"",
        "\"caf\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80\"",
    };
    EACH(texts, expect_taken(slice_from_cstr(texts[i_])));
}

static void malformed_values_are_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        " ",
        "nul",
        "nulll",
        "True",
        "NaN",
        "Infinity",
        "-Infinity",
        "undefined",
        "'a'",
        "a",
        "[",
        "]",
        "[1",
        "[1,",
        "[1,]",
        "[,1]",
        "[1 2]",
        "[1,,2]",
        "{",
        "}",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":1",
        "{\"a\":1,",
        "{\"a\":1,}",
        "{,}",
        "{\"a\" 1}",
        "{a:1}",
        "{1:1}",
        "{\"a\"::1}",
        "{\"a\":1 \"b\":2}",
        "{null:1}",
        "[}",
        "{]",
        "[1}",
        "{\"a\":1]",
        "1 2",
        "[] []",
        "{}x",
        "// comment\n1",
        "/* */1",
        "1 // x",
        "\xEF\xBB\xBF{}",
        "\"a\" \"b\"",
        ":",
        ",",
        "\v1",
        "\f1",
        "1\xC2\xA0",
    };
    EACH(texts, expect_refused(slice_from_cstr(texts[i_]), BASE_ESYNTAX));
}

static void numbers_follow_the_grammar_strictly(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "01",  "-01",  "00",    "+1",   "-",     "--1", ".5",    "-.5", "1.", "1.e5",  "1e", "1e+",
        "1e-", "1ee5", "1e5.5", "0x10", "1_000", "1,5", "1e1e1", "- 1", "0e", "1.2.3", "1f"};
    EACH(texts, expect_refused(slice_from_cstr(texts[i_]), BASE_ESYNTAX));
}

static void numbers_that_a_double_cannot_hold_are_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"1e999",
                                        "-1e999",
                                        "1e309",
                                        "[1,2e400]",
                                        "1234567890123456789012345678901234567890123456789012345"
                                        "678901234",
                                        "0.12345678901234567890123456789012345678901234567890123"
                                        "4567890123"};
    EACH(texts, expect_refused(slice_from_cstr(texts[i_]), BASE_EINVAL));
    expect_taken(SLICE_LIT("1e308"));
    expect_taken(SLICE_LIT("1e-999")); /* underflows to zero, which is a number */
    expect_taken(SLICE_LIT("123456789012345678901234567890123456789012345678901234567890123"));
}

static void malformed_strings_are_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "\"",          "\"a",         "\"\\",        "\"\\\"",      "\"\\x41\"",
        "\"\\a\"",     "\"\\'\"",     "\"\\u\"",     "\"\\u00\"",   "\"\\u004\"",
        "\"\\u004g\"", "\"\\U0041\"", "\"\\u 041\"", "\"\\u+041\"", "\"a\nb\"",
        "\"a\tb\"",    "\"\x01\"",    "\"\x1f\"",    "\"\\u0041",   "\"12345678\n\"",
        "\"\\\n\"",
    };
    EACH(texts, expect_refused(slice_from_cstr(texts[i_]), BASE_ESYNTAX));
}

static void lone_surrogate_escapes_are_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "\"\\ud800\"",
        "\"\\udbff\"",
        "\"\\udc00\"",
        "\"\\udfff\"",
        "\"\\ud800x\"",
        "\"\\ud800\\n\"",
        "\"\\ud800\\u0041\"",
        "\"\\ud800\\ud800\"",
        "\"\\udc00\\ud800\"",
        "\"\\ud800\\u\"",
        "\"\\ud800\\",
        "\"\\ud800\\udc0",
        "\"\\ud83d\\ude00\\ud800\"",
    };
    EACH(texts, expect_refused(slice_from_cstr(texts[i_]), BASE_ESYNTAX));
}

static void invalid_utf8_is_refused_at_every_place_in_a_run(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "\x80", "\xFF", "\xC0\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xE2\x82", "\xC3"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        for (int before = 0; before < 20; before++) {
            char text[64];
            snprintf(text, sizeof(text), "\"%.*s%s%s\"", before, "abcdefghijklmnopqrstuvwxyz",
                     bad[i], "0123456789");
            expect_refused(slice_from_cstr(text), BASE_ESYNTAX);
        }
    }
}

static void every_byte_is_judged_right_at_every_place_in_a_run(void **state)
{
    (void)state;
    for (int byte = 1; byte < 256; byte++) {
        for (int before = 0; before < 17; before++) {
            char text[64];
            snprintf(text, sizeof(text), "[\"%.*s%c%s\"]", before, "abcdefghijklmnopqrstuvwxyz",
                     byte, "0123456789");
            bool is_plain = byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
            int expected = is_plain ? 0 : BASE_ESYNTAX;
            if (check_exact(slice_from_cstr(text), NULL) != expected)
                fail_msg("byte 0x%02x after %d others", (unsigned)byte, before);
        }
    }
}

static void nul_is_refused_escaped_or_raw(void **state)
{
    (void)state;
    expect_refused(SLICE_LIT("\"a\\u0000b\""), BASE_EINVAL);
    expect_refused(SLICE_LIT("{\"a\\u0000\":1}"), BASE_EINVAL);
    expect_refused(SLICE_LIT("\"a\0b\""), BASE_ESYNTAX);
    expect_refused(SLICE_LIT("\"a\\\0b\""), BASE_ESYNTAX);
    expect_refused(SLICE_LIT("{}\0"), BASE_ESYNTAX);
    expect_refused(SLICE_LIT("\0"), BASE_ESYNTAX);
    expect_refused(SLICE_LIT("tru\0"), BASE_ESYNTAX);
}

#define NESTING_BYTES 2000

static void nesting(char *text, int depth, const char *open, const char *close)
{
    struct buf b;
    buf_init_fixed(&b, text, NESTING_BYTES);
    for (int i = 0; i < depth; i++)
        buf_append_cstr(&b, open);
    buf_append_char(&b, '0');
    for (int i = 0; i < depth; i++)
        buf_append_cstr(&b, close);
    assert_int_equal(buf_status(&b), 0);
}

static void nesting_ends_at_64(void **state)
{
    (void)state;
    char text[NESTING_BYTES];
    nesting(text, JSON_DEPTH_MAX, "[", "]");
    expect_taken(slice_from_cstr(text));
    nesting(text, JSON_DEPTH_MAX, "{\"a\":", "}");
    expect_taken(slice_from_cstr(text));
    nesting(text, JSON_DEPTH_MAX + 1, "[", "]");
    expect_refused(slice_from_cstr(text), BASE_ELIMIT);
    nesting(text, JSON_DEPTH_MAX + 1, "{\"a\":", "}");
    expect_refused(slice_from_cstr(text), BASE_ELIMIT);
}

static void a_million_open_brackets_cost_no_stack(void **state)
{
    (void)state;
    size_t len = 1000000;
    char *text = mem_alloc(len);
    memset(text, '[', len);
    expect_refused((struct slice){text, len}, BASE_ELIMIT);
    mem_free(text);
}

static void levels_beside_each_other_do_not_add_up(void **state)
{
    (void)state;
    char text[1000];
    struct buf b;
    buf_init_fixed(&b, text, sizeof(text));
    for (int i = 0; i < 200; i++)
        buf_append_cstr(&b, i ? ",[]" : "[[]");
    buf_append_char(&b, ']');
    expect_taken(buf_slice(&b));
}

static void every_prefix_of_a_message_is_refused(void **state)
{
    (void)state;
    static const char text[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"params\":{\"a\":[true,null,-1.5e3,"
                               "\"\\ud83d\\ude00\\n caf\xC3\xA9\"]}}";
    for (size_t len = 0; len < sizeof(text) - 1; len++)
        expect_refused((struct slice){text, len}, BASE_ESYNTAX);
    expect_taken(SLICE_LIT(text));
}

static void the_message_says_what_and_where(void **state)
{
    (void)state;
    struct error err;
    json_check(SLICE_LIT("{\"a\":1,}"), &err);
    assert_string_equal(err.text, "expected a member name at byte 7");
    json_check(SLICE_LIT("[1 2]"), &err);
    assert_string_equal(err.text, "expected ',' or ']' at byte 3");
    json_check(SLICE_LIT(""), &err);
    assert_string_equal(err.text, "unexpected end at byte 0");
    json_check(SLICE_LIT("{} x"), &err);
    assert_string_equal(err.text, "unexpected text after the value at byte 3");
}

static void an_empty_slice_without_a_pointer_is_refused(void **state)
{
    (void)state;
    assert_int_equal(json_check(SLICE_EMPTY, NULL), BASE_ESYNTAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(valid_values_are_taken),
        cmocka_unit_test(malformed_values_are_refused),
        cmocka_unit_test(numbers_follow_the_grammar_strictly),
        cmocka_unit_test(numbers_that_a_double_cannot_hold_are_refused),
        cmocka_unit_test(malformed_strings_are_refused),
        cmocka_unit_test(lone_surrogate_escapes_are_refused),
        cmocka_unit_test(invalid_utf8_is_refused_at_every_place_in_a_run),
        cmocka_unit_test(every_byte_is_judged_right_at_every_place_in_a_run),
        cmocka_unit_test(nul_is_refused_escaped_or_raw),
        cmocka_unit_test(nesting_ends_at_64),
        cmocka_unit_test(a_million_open_brackets_cost_no_stack),
        cmocka_unit_test(levels_beside_each_other_do_not_add_up),
        cmocka_unit_test(every_prefix_of_a_message_is_refused),
        cmocka_unit_test(the_message_says_what_and_where),
        cmocka_unit_test(an_empty_slice_without_a_pointer_is_refused),
    };
    return cmocka_run_group_tests_name("base/json_check", tests, NULL, NULL);
}
