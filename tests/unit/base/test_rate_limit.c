#include "support/mem_loop.h"
#include "support/unit.h"

#include "base/error.h"
#include "base/rate_limit.h"

#define SECOND_US INT64_C(1000000)

static const struct slice alice = {"alice", 5};
static const struct slice bob = {"bob", 3};

static struct rate_limit *limit_new(uint32_t per_minute, uint32_t burst, uint32_t keys_max)
{
    struct rate_limit *r = NULL;
    struct rate_limit_options options = {per_minute, burst, keys_max};
    assert_int_equal(rate_limit_new(&options, &r), 0);
    return r;
}

static void a_burst_passes_and_the_next_must_wait_for_a_token(void **state)
{
    (void)state;
    struct rate_limit *r = limit_new(60, 5, 10);
    int64_t now = 100 * SECOND_US;
    for (int i = 0; i < 5; i++)
        assert_int_equal(rate_limit_take(r, alice, now), 0);
    assert_int_equal(rate_limit_take(r, alice, now), 1000);
    assert_int_equal(rate_limit_take(r, alice, now + SECOND_US / 4), 750);
    assert_int_equal(rate_limit_take(r, alice, now + SECOND_US), 0);
    assert_int_equal(rate_limit_take(r, alice, now + SECOND_US), 1000);
    rate_limit_free(r);
}

static void waiting_fills_the_bucket_up_to_the_burst_only(void **state)
{
    (void)state;
    struct rate_limit *r = limit_new(60, 3, 10);
    int64_t now = 100 * SECOND_US;
    for (int i = 0; i < 3; i++)
        assert_int_equal(rate_limit_take(r, alice, now), 0);
    now += 1000 * SECOND_US;
    for (int i = 0; i < 3; i++)
        assert_int_equal(rate_limit_take(r, alice, now), 0);
    assert_int_not_equal(rate_limit_take(r, alice, now), 0);
    rate_limit_free(r);
}

static void the_rate_over_a_long_time_is_the_set_one(void **state)
{
    (void)state;
    struct rate_limit *r = limit_new(600, 10, 10);
    int taken = 0;
    for (int ms = 0; ms < 60000; ms++)
        taken += rate_limit_take(r, alice, 1 + ms * (int64_t)1000) == 0;
    assert_in_range(taken, 608, 610); /* a minute's tokens and the first burst */
    rate_limit_free(r);
}

static void one_key_does_not_spend_anothers_tokens(void **state)
{
    (void)state;
    struct rate_limit *r = limit_new(60, 1, 10);
    assert_int_equal(rate_limit_take(r, alice, SECOND_US), 0);
    assert_int_not_equal(rate_limit_take(r, alice, SECOND_US), 0);
    assert_int_equal(rate_limit_take(r, bob, SECOND_US), 0);
    rate_limit_free(r);
}

static void asking_takes_nothing(void **state)
{
    (void)state;
    struct rate_limit *r = limit_new(60, 1, 10);
    assert_int_equal(rate_limit_wait_ms(r, alice, SECOND_US), 0);
    assert_int_equal(rate_limit_take(r, alice, SECOND_US), 0);
    assert_int_equal(rate_limit_wait_ms(r, alice, SECOND_US), 1000);
    assert_int_equal(rate_limit_wait_ms(r, alice, 2 * SECOND_US), 0);
    assert_int_equal(rate_limit_take(r, alice, 2 * SECOND_US), 0);
    rate_limit_free(r);
}

static void full_buckets_are_forgotten_and_the_count_is_bounded(void **state)
{
    (void)state;
    struct rate_limit *r = limit_new(60, 2, 100);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(rate_limit_take(r, (struct slice){(const char *)&i, sizeof(i)}, SECOND_US),
                         0);
    assert_int_equal(rate_limit_count(r), 100);
    assert_int_equal(rate_limit_take(r, alice, 10 * SECOND_US), 0);
    assert_int_equal(rate_limit_count(r), 1);
    rate_limit_free(r);
}

static void running_out_of_memory_is_told_at_the_start_and_lets_calls_pass_later(void **state)
{
    (void)state;
    struct mem_loop loop = {0};
    while (mem_loop_next(&loop)) {
        struct rate_limit *r = NULL;
        struct rate_limit_options options = {60, 1, 10};
        int status = rate_limit_new(&options, &r);
        if (status)
            assert_int_equal(status, BASE_ENOMEM);
        else
            assert_int_equal(rate_limit_take(r, alice, SECOND_US), 0);
        (void)mem_loop_has_failed(&loop);
        rate_limit_free(r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_burst_passes_and_the_next_must_wait_for_a_token),
        cmocka_unit_test(waiting_fills_the_bucket_up_to_the_burst_only),
        cmocka_unit_test(the_rate_over_a_long_time_is_the_set_one),
        cmocka_unit_test(one_key_does_not_spend_anothers_tokens),
        cmocka_unit_test(asking_takes_nothing),
        cmocka_unit_test(full_buckets_are_forgotten_and_the_count_is_bounded),
        cmocka_unit_test(running_out_of_memory_is_told_at_the_start_and_lets_calls_pass_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
