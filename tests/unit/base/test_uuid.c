#include "support/unit.h"

#include "base/clock.h"
#include "base/uuid.h"

static void text_has_the_shape_of_version_7(void **state)
{
    (void)state;
    struct uuid_gen g;
    uuid_gen_init(&g);
    for (int i = 0; i < 1000; i++) {
        char text[UUID_TEXT_SIZE];
        assert_int_equal(uuid_v7(&g, text), 0);
        assert_int_equal(strlen(text), 36);
        assert_int_equal(strspn(text, "0123456789abcdef-"), 36);
        assert_true(text[8] == '-' && text[13] == '-' && text[18] == '-' && text[23] == '-');
        assert_int_equal(text[14], '7');
        assert_non_null(strchr("89ab", text[19]));
    }
}

static void ids_of_one_generator_strictly_increase(void **state)
{
    (void)state;
    struct uuid_gen g;
    uuid_gen_init(&g);
    char last[UUID_TEXT_SIZE] = "";
    for (int i = 0; i < 50000; i++) {
        char text[UUID_TEXT_SIZE];
        assert_int_equal(uuid_v7(&g, text), 0);
        assert_true(strcmp(last, text) < 0);
        memcpy(last, text, sizeof(last));
    }
}

static int64_t ms_of(const char *text)
{
    char digits[13];
    memcpy(digits, text, 8);
    memcpy(digits + 8, text + 9, 4);
    digits[12] = '\0';
    return strtoll(digits, NULL, 16);
}

static void the_first_48_bits_are_the_time_in_milliseconds(void **state)
{
    (void)state;
    struct uuid_gen g;
    char text[UUID_TEXT_SIZE];
    uuid_gen_init(&g);
    int64_t before = clock_now_us() / 1000;
    assert_int_equal(uuid_v7(&g, text), 0);
    int64_t after = clock_now_us() / 1000;
    assert_in_range(ms_of(text), before, after);
}

static void a_clock_that_steps_back_does_not_turn_the_order(void **state)
{
    (void)state;
    struct uuid_gen g;
    char first[UUID_TEXT_SIZE];
    char second[UUID_TEXT_SIZE];
    uuid_gen_init(&g);
    g.last_ms = (uint64_t)clock_now_us() / 1000 + 3600000; /* as if an hour had been taken back */
    assert_int_equal(uuid_v7(&g, first), 0);
    assert_int_equal(uuid_v7(&g, second), 0);
    assert_true(strcmp(first, second) < 0);
}

static void a_full_counter_moves_the_time_ahead(void **state)
{
    (void)state;
    struct uuid_gen g;
    char text[UUID_TEXT_SIZE];
    uuid_gen_init(&g);
    uint64_t future_ms = (uint64_t)clock_now_us() / 1000 + 3600000;
    g.last_ms = future_ms;
    g.counter = 0xFFF;
    assert_int_equal(uuid_v7(&g, text), 0);
    assert_int_equal(ms_of(text), future_ms + 1);
    assert_int_equal(text[14], '7');
}

static void two_generators_differ(void **state)
{
    (void)state;
    struct uuid_gen a;
    struct uuid_gen b;
    char of_a[UUID_TEXT_SIZE];
    char of_b[UUID_TEXT_SIZE];
    uuid_gen_init(&a);
    uuid_gen_init(&b);
    assert_int_equal(uuid_v7(&a, of_a), 0);
    assert_int_equal(uuid_v7(&b, of_b), 0);
    assert_string_not_equal(of_a + 19, of_b + 19);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_has_the_shape_of_version_7),
        cmocka_unit_test(ids_of_one_generator_strictly_increase),
        cmocka_unit_test(the_first_48_bits_are_the_time_in_milliseconds),
        cmocka_unit_test(a_clock_that_steps_back_does_not_turn_the_order),
        cmocka_unit_test(a_full_counter_moves_the_time_ahead),
        cmocka_unit_test(two_generators_differ),
    };
    return cmocka_run_group_tests_name("base/uuid", tests, NULL, NULL);
}
