#include "support/unit.h"

#include "base/utf8.h"

/* The encoding of any number, even of what UTF-8 forbids. */
static size_t encode(uint32_t code, char *out)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    size_t len = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = len - 1; i > 0; i--) {
        out[i] = (char)(0x80 | (code & 0x3F));
        code >>= 6;
    }
    out[0] = (char)((len == 2 ? 0xC0u : len == 3 ? 0xE0u : 0xF0u) | code);
    return len;
}

static void every_code_point_but_the_surrogates_is_taken(void **state)
{
    (void)state;
    for (uint32_t code = 0; code < 0x110000; code++) {
        char text[4];
        size_t len = encode(code, text);
        bool is_surrogate = code >= 0xD800 && code <= 0xDFFF;
        if (utf8_length_at(text, len) != (is_surrogate ? 0 : len))
            fail_msg("U+%04X", code);
    }
}

static void code_points_past_the_last_are_refused(void **state)
{
    (void)state;
    for (uint32_t code = 0x110000; code < 0x200000; code += 97) {
        char text[4];
        assert_int_equal(utf8_length_at(text, encode(code, text)), 0);
    }
}

static void overlong_forms_are_refused(void **state)
{
    (void)state;
    assert_int_equal(utf8_length_at("\xC0\x80", 2), 0);
    assert_int_equal(utf8_length_at("\xC1\xBF", 2), 0);
    assert_int_equal(utf8_length_at("\xE0\x9F\xBF", 3), 0);
    assert_int_equal(utf8_length_at("\xF0\x8F\xBF\xBF", 4), 0);
}

static void bytes_that_begin_nothing_are_refused(void **state)
{
    (void)state;
    for (int lead = 0x80; lead < 0xC2; lead++)
        assert_int_equal(utf8_length_at((char[]){(char)lead, '\x80', '\x80', '\x80'}, 4), 0);
    for (int lead = 0xF5; lead <= 0xFF; lead++)
        assert_int_equal(utf8_length_at((char[]){(char)lead, '\x80', '\x80', '\x80'}, 4), 0);
}

static void a_sequence_that_the_end_cuts_is_refused(void **state)
{
    (void)state;
    assert_int_equal(utf8_length_at("", 0), 0);
    for (size_t len = 1; len < 4; len++)
        assert_int_equal(utf8_length_at("\xF0\x9F\x98\x80", len), 0);
}

static void a_sequence_without_its_continuation_is_refused(void **state)
{
    (void)state;
    assert_int_equal(utf8_length_at("\xC3(", 2), 0);
    assert_int_equal(utf8_length_at("\xE2(\xA1", 3), 0);
    assert_int_equal(utf8_length_at("\xE2\x82(", 3), 0);
    assert_int_equal(utf8_length_at("\xF0\x90\x8C(", 4), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_point_but_the_surrogates_is_taken),
        cmocka_unit_test(code_points_past_the_last_are_refused),
        cmocka_unit_test(overlong_forms_are_refused),
        cmocka_unit_test(bytes_that_begin_nothing_are_refused),
        cmocka_unit_test(a_sequence_that_the_end_cuts_is_refused),
        cmocka_unit_test(a_sequence_without_its_continuation_is_refused),
    };
    return cmocka_run_group_tests_name("base/utf8", tests, NULL, NULL);
}
