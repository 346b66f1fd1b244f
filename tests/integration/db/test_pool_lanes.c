/* The lanes of the pool: which statements go together, and which wait for none. */
#include "items.h"

#define N 20

/* In how many transactions they ran. */
static int count_begun(struct fixture *f, struct answer *answers, int count)
{
    int begun = 0;
    memset(answers, 0, sizeof(*answers) * (size_t)count);
    for (int i = 0; i < count; i++)
        assert_int_equal(items_submit(f, &items_begun, &answers[i], NULL, "", NULL), 0);
    items_wait(f, answers, count);
    for (int i = 0; i < count; i++) {
        bool is_new = true;
        for (int other = 0; other < i; other++)
            is_new = is_new && strcmp(answers[i].text, answers[other].text) != 0;
        begun += is_new;
    }
    return begun;
}

static void reads_of_one_turn_go_together_in_as_many_lanes_as_pay(void **state)
{
    struct fixture *f = *state;
    struct db_pool_options options = items_options(3);
    struct answer answers[N];
    options.read_lanes = 2;
    items_reopen(f, &options);
    items_wait_up(f, 3);
    assert_int_equal(count_begun(f, answers, 4), 1);
    assert_int_equal(count_begun(f, answers, 5), 2);
    /* Two fours at once, and the rest when a lane, or both of them, are free. */
    assert_in_range(count_begun(f, answers, N), 3, 4);
}

static void a_bad_read_in_a_group_fails_alone(void **state)
{
    static const char *const by[] = {"1", "0", "1", "0"};
    struct fixture *f = *state;
    struct db_pool_options options = items_options(2);
    struct answer answers[4] = {0};
    options.read_lanes = 1;
    items_reopen(f, &options);
    for (int i = 0; i < 4; i++)
        assert_int_equal(items_submit(f, &items_divide, &answers[i], NULL, by[i], NULL), 0);
    items_wait(f, answers, 4);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(answers[i].status, *by[i] == '0' ? DB_ECONSTRAINT : 0);
        assert_string_equal(answers[i].text, *by[i] == '0' ? "" : "1");
    }
    assert_int_equal(items_stats(f).group_retries, 2); /* those behind the first bad one */
}

/* The reads behind it, once it is on its way, have their answers before it. */
static void check_held_up_by_none(struct fixture *f, const struct db_stmt *long_one)
{
    struct db_pool_options options = items_options(2);
    struct answer asleep = {0}, answers[N] = {0};
    options.read_lanes = 1;
    items_reopen(f, &options);
    items_wait_up(f, 2);
    assert_int_equal(items_submit(f, long_one, &asleep, NULL, "1", NULL), 0);
    while (items_stats(f).connections_busy == 0)
        uv_run(&f->loop, UV_RUN_ONCE);
    for (int i = 0; i < N; i++)
        assert_int_equal(items_submit(f, &items_echo, &answers[i], NULL, "x", NULL), 0);
    items_wait(f, answers, N);
    assert_false(asleep.is_done);
    fixture_wait(f, &asleep.is_done);
    assert_int_equal(asleep.status, 0);
}

static void a_slow_read_holds_up_no_other(void **state)
{
    static const struct db_stmt slow = {.name = "slow_sleep",
                                        .sql = "select pg_sleep($1::float8) is null",
                                        .param_count = 1,
                                        .is_slow = true};
    check_held_up_by_none(*state, &slow);
}

static void a_read_that_is_unexpectedly_slow_holds_up_no_later_one(void **state)
{
    check_held_up_by_none(*state, &items_sleep);
}

static void writes_that_only_add_rows_take_as_many_lanes_as_pay(void **state)
{
    struct fixture *f = *state;
    struct db_pool_options options = items_options(4);
    struct answer answers[N] = {0};
    options.write_lanes = 2;
    items_reopen(f, &options);
    items_wait_up(f, 4);
    for (int i = 0; i < N; i++)
        assert_int_equal(items_submit_id(f, &items_add, &answers[i], i), 0);
    items_wait(f, answers, N);
    for (int i = 0; i < N; i++)
        assert_int_equal(answers[i].status, 0);
    assert_int_equal(postgres_int(f->pg, "select count(distinct xmin::text) from public.items"), 2);
}

static void writes_that_only_add_rows_wait_for_a_group_that_may_wait(void **state)
{
    struct fixture *f = *state;
    struct db_pool_options options = items_options(4);
    struct answer blocked = {0}, answers[N] = {0};
    options.write_lanes = 4;
    options.lane_ms = 60000;
    items_reopen(f, &options);
    items_wait_up(f, 4);
    postgres_run(f->pg, "insert into public.items values (1000, '')");
    postgres_run(f->pg, "begin; select from public.items where id = 1000 for update");
    assert_int_equal(items_submit_id(f, &items_update, &blocked, 1000), 0);
    fixture_wait_for_lock(f);
    for (int i = 0; i < N; i++)
        assert_int_equal(items_submit_id(f, &items_add, &answers[i], i), 0);
    uv_run(&f->loop, UV_RUN_NOWAIT);
    assert_int_equal(items_stats(f).queued, N);
    postgres_run(f->pg, "commit");
    fixture_wait(f, &blocked.is_done);
    items_wait(f, answers, N);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        db_test(reads_of_one_turn_go_together_in_as_many_lanes_as_pay),
        db_test(a_bad_read_in_a_group_fails_alone),
        db_test(a_slow_read_holds_up_no_other),
        db_test(a_read_that_is_unexpectedly_slow_holds_up_no_later_one),
        db_test(writes_that_only_add_rows_take_as_many_lanes_as_pay),
        db_test(writes_that_only_add_rows_wait_for_a_group_that_may_wait),
    };
    return cmocka_run_group_tests(tests, postgres_setup, postgres_teardown);
}
