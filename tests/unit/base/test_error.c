#include "support/unit.h"

#include "base/error.h"

static void set_returns_the_code_and_fills_every_member(void **state)
{
    (void)state;
    struct error err;
    assert_int_equal(error_set(&err, BASE_EINVAL, "title", "is %d long", 7), BASE_EINVAL);
    assert_int_equal(err.code, BASE_EINVAL);
    assert_string_equal(err.field, "title");
    assert_string_equal(err.text, "is 7 long");
}

static void set_takes_no_error_to_fill(void **state)
{
    (void)state;
    assert_int_equal(error_set(NULL, BASE_ENOMEM, "x", "text"), BASE_ENOMEM);
}

static void a_missing_field_is_an_empty_one(void **state)
{
    (void)state;
    struct error err = {.field = "left from before"};
    error_set(&err, BASE_EINVAL, NULL, "text");
    assert_string_equal(err.field, "");
}

static void long_text_is_cut_at_the_end_of_the_buffer(void **state)
{
    (void)state;
    struct error err;
    char longer[400];
    memset(longer, 'a', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    error_set(&err, BASE_EINVAL, longer, "%s", longer);
    assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
    assert_int_equal(strlen(err.field), sizeof(err.field) - 1);
}

/* 255 bytes fit: 254 letters and the first byte of what follows. */
static void expect_cut_before(const char *sequence)
{
    struct error err;
    char longer[400];
    memset(longer, 'a', 254);
    memcpy(longer + 254, sequence, strlen(sequence) + 1);
    error_set(&err, BASE_EINVAL, NULL, "%s", longer);
    assert_int_equal(strlen(err.text), 254);
}

static void a_sequence_is_never_cut_in_half(void **state)
{
    (void)state;
    expect_cut_before("\xC3\xA9");
    expect_cut_before("\xE2\x82\xAC");
    expect_cut_before("\xF0\x9F\x98\x80");
}

static void a_whole_sequence_at_the_very_end_stays(void **state)
{
    (void)state;
    struct error err;
    error_set(&err, BASE_EINVAL, NULL, "caf\xC3\xA9");
    assert_string_equal(err.text, "caf\xC3\xA9");
}

static void a_sequence_cut_inside_the_text_becomes_question_marks(void **state)
{
    (void)state;
    struct error err;
    error_set(&err, BASE_EINVAL, NULL, "\"%.2s\" is too long", "\xE2\x82\xAC");
    assert_string_equal(err.text, "\"?"
                                  "?\" is too long");
}

static void every_code_is_unique_and_in_the_range_of_base(void **state)
{
    (void)state;
    static const int codes[] = {
#define X(name, code, text) name,
        BASE_ERRORS(X)
#undef X
    };
    for (size_t i = 0; i < sizeof(codes) / sizeof(*codes); i++) {
        assert_in_range((uintmax_t)-codes[i], 20000, 20999);
        for (size_t j = 0; j < i; j++)
            assert_int_not_equal(codes[i], codes[j]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(set_returns_the_code_and_fills_every_member),
        cmocka_unit_test(set_takes_no_error_to_fill),
        cmocka_unit_test(a_missing_field_is_an_empty_one),
        cmocka_unit_test(long_text_is_cut_at_the_end_of_the_buffer),
        cmocka_unit_test(a_sequence_is_never_cut_in_half),
        cmocka_unit_test(a_whole_sequence_at_the_very_end_stays),
        cmocka_unit_test(a_sequence_cut_inside_the_text_becomes_question_marks),
        cmocka_unit_test(every_code_is_unique_and_in_the_range_of_base),
    };
    return cmocka_run_group_tests_name("base/error", tests, NULL, NULL);
}
