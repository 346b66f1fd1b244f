/* The pool: what goes together, what is kept apart, and every limit. */
#include <time.h>

#include "items.h"
#include "support/mem_loop.h"

#define N 20

/* ---- the start ---- */

/* As a program's does that makes its database first: the loop's time is an old one. */
static void a_start_that_took_long_costs_the_first_statement_nothing(void **state)
{
    struct fixture *f = *state;
    const struct timespec long_start = {.tv_sec = 1, .tv_nsec = 200000000};
    struct db_pool_options options = items_options(1);
    struct answer a = {0};
    fixture_close_pool(f, 1000);
    options.statement_ms = 1000;
    nanosleep(&long_start, NULL);
    fixture_open_pool(f, &options);
    assert_int_equal(items_submit(f, &items_echo, &a, NULL, "x", NULL), 0);
    fixture_wait(f, &a.is_done);
    assert_int_equal(a.status, 0);
}

/* ---- together ---- */

static void reads_go_out_before_the_first_is_answered(void **state)
{
    struct fixture *f = *state;
    const struct db_pool_options options = items_options(1);
    struct answer answers[10] = {0};
    items_reopen(f, &options);
    uint64_t before = items_stats(f).statements;
    assert_int_equal(items_submit(f, &items_sleep, &answers[0], NULL, "0.3", NULL), 0);
    for (int i = 1; i < 10; i++) {
        char text[16];
        snprintf(text, sizeof(text), "%d", i);
        assert_int_equal(items_submit(f, &items_echo, &answers[i], NULL, text, NULL), 0);
    }
    while (items_stats(f).statements < before + 10) {
        assert_false(answers[0].is_done);
        uv_run(&f->loop, UV_RUN_ONCE);
    }
    assert_false(answers[0].is_done);
    items_wait(f, answers, 10);
    for (int i = 1; i < 10; i++) {
        char text[16];
        snprintf(text, sizeof(text), "%d", i);
        assert_int_equal(answers[i].status, 0);
        assert_string_equal(answers[i].text, text);
    }
}

static void writes_of_one_turn_are_one_transaction(void **state)
{
    struct fixture *f = *state;
    const struct db_pool_options options = items_options(2);
    struct answer answers[N] = {0};
    items_reopen(f, &options);
    for (int i = 0; i < N; i++)
        assert_int_equal(items_submit_id(f, &items_insert, &answers[i], i), 0);
    items_wait(f, answers, N);
    for (int i = 0; i < N; i++)
        assert_int_equal(answers[i].status, 0);
    assert_int_equal(postgres_int(f->pg, "select count(distinct xmin::text) from public.items"), 1);
    assert_int_equal(postgres_int(f->pg, "select count(*) from public.items"), N);
    assert_int_equal(items_stats(f).groups, 1);
}

static void a_group_has_at_most_group_max_writes(void **state)
{
    struct fixture *f = *state;
    struct db_pool_options options = items_options(2);
    struct answer answers[N] = {0};
    options.group_max = 5;
    items_reopen(f, &options);
    for (int i = 0; i < N; i++)
        assert_int_equal(items_submit_id(f, &items_insert, &answers[i], i), 0);
    items_wait(f, answers, N);
    assert_int_equal(postgres_int(f->pg, "select max(n) from (select count(*) n from public.items"
                                         " group by xmin::text) g"),
                     5);
}

static void a_bad_row_in_a_group_fails_alone(void **state)
{
    struct fixture *f = *state;
    const struct db_pool_options options = items_options(2);
    struct answer answers[N] = {0};
    items_reopen(f, &options);
    postgres_run(f->pg, "insert into public.items values (7, 'there')");
    for (int i = 0; i < N; i++)
        assert_int_equal(items_submit_id(f, &items_insert, &answers[i], i), 0);
    items_wait(f, answers, N);
    for (int i = 0; i < N; i++)
        assert_int_equal(answers[i].status, i == 7 ? DB_EUNIQUE : 0);
    assert_string_equal(answers[7].err.field, "items_key");
    assert_int_equal(postgres_int(f->pg, "select count(*) from public.items"), N);
    assert_string_equal(postgres_text(f->pg, "select value from public.items where id = 7"),
                        "there");
    assert_int_equal(items_stats(f).group_retries, N);
}

static void a_callback_comes_after_the_commit(void **state)
{
    struct fixture *f = *state;
    const struct db_pool_options options = items_options(1);
    struct answer a = {0};
    items_reopen(f, &options);
    for (int i = 0; i < 50; i++) {
        memset(&a, 0, sizeof(a));
        assert_int_equal(items_submit_id(f, &items_insert, &a, i), 0);
        fixture_wait(f, &a.is_done);
        assert_int_equal(postgres_int(f->pg, "select count(*) from public.items"), i + 1);
    }
}

/* ---- apart ---- */

static void a_write_that_waits_for_a_lock_does_not_hold_up_others(void **state)
{
    struct fixture *f = *state;
    const struct db_pool_options options = items_options(2);
    struct answer blocked = {0}, free_one = {0};
    items_reopen(f, &options);
    postgres_run(f->pg, "insert into public.items values (1, 'a'), (2, 'b')");
    postgres_run(f->pg, "begin; select from public.items where id = 1 for update");
    assert_int_equal(items_submit_id(f, &items_update, &blocked, 1), 0);
    fixture_wait_for_lock(f);
    assert_int_equal(items_submit_id(f, &items_update, &free_one, 2), 0);
    fixture_wait(f, &free_one.is_done);
    assert_int_equal(free_one.status, 0);
    assert_false(blocked.is_done);
    postgres_run(f->pg, "commit");
    fixture_wait(f, &blocked.is_done);
    assert_int_equal(blocked.status, 0);
}

/* Two groups that take the same rows in opposite order: one is the deadlock's victim, and its
 * members go again by themselves. */
static void the_victims_of_a_deadlock_run_again(void **state)
{
    static const struct db_stmt slow = {
        .name = "slow",
        .sql = "update public.items set value = value || $2::text"
               " where id = $1::integer and pg_sleep(0.1) is not null returning id",
        .param_count = 2,
        .is_write = true};
    static const int order[] = {1, 2, 2, 1};
    struct fixture *f = *state;
    struct db_pool_options options = items_options(2);
    struct answer answers[4] = {0};
    options.lane_ms = 0;
    options.group_max = 2;
    items_reopen(f, &options);
    items_wait_up(f, 2);
    postgres_run(f->pg, "insert into public.items values (1, ''), (2, '')");
    for (int i = 0; i < 4; i++)
        assert_int_equal(items_submit_id(f, &slow, &answers[i], order[i]), 0);
    items_wait(f, answers, 4);
    for (int i = 0; i < 4; i++)
        assert_int_equal(answers[i].status, 0);
    assert_true(items_stats(f).group_retries >= 2);
    assert_string_equal(postgres_text(f->pg, "select string_agg(value, ' ') from public.items"),
                        "vv vv");
}

/* ---- limits ---- */

static void a_statement_past_its_time_is_ended(void **state)
{
    struct fixture *f = *state;
    struct db_pool_options options = items_options(2);
    struct answer slow = {0}, blocked = {0}, next = {0};
    options.statement_ms = 200;
    items_reopen(f, &options);
    postgres_run(f->pg, "insert into public.items values (1, 'a')");
    postgres_run(f->pg, "begin; select from public.items where id = 1 for update");
    assert_int_equal(items_submit(f, &items_sleep, &slow, NULL, "30", NULL), 0);
    assert_int_equal(items_submit_id(f, &items_update, &blocked, 1), 0);
    fixture_wait(f, &slow.is_done);
    fixture_wait(f, &blocked.is_done);
    postgres_run(f->pg, "commit");
    assert_int_equal(slow.status, DB_ETIMEOUT);
    assert_int_equal(blocked.status, DB_ETIMEOUT);
    assert_string_equal(postgres_text(f->pg, "select value from public.items"), "a");
    assert_int_equal(items_submit(f, &items_echo, &next, NULL, "still here", NULL), 0);
    fixture_wait(f, &next.is_done);
    assert_string_equal(next.text, "still here");
}

static void a_full_queue_refuses_and_never_calls_back(void **state)
{
    struct fixture *f = *state;
    struct db_pool_options options = items_options(1);
    struct answer answers[5] = {0};
    struct error err;
    const db_param param = SLICE_LIT("x");
    options.queue_max = 4;
    items_reopen(f, &options);
    for (int i = 0; i < 4; i++) /* no reads: they would not wait for the end of the turn */
        assert_int_equal(items_submit_id(f, &items_insert, &answers[i], i), 0);
    assert_int_equal(
        db_pool_submit(f->pool, &items_echo, &param, items_on_text, &answers[4], NULL, &err),
        DB_EBUSY);
    assert_int_equal(err.code, DB_EBUSY);
    items_wait(f, answers, 4);
    assert_false(answers[4].is_done);
    assert_int_equal(items_submit(f, &items_echo, &answers[4], NULL, "x", NULL), 0);
    fixture_wait(f, &answers[4].is_done);
    assert_int_equal(answers[4].status, 0);
}

static void cancelling_ends_what_waits_and_leaves_what_runs(void **state)
{
    struct fixture *f = *state;
    const struct db_pool_options options = items_options(1);
    struct answer running = {0}, waiting = {0};
    db_op_id running_id = 0, waiting_id = 0;
    items_reopen(f, &options);
    postgres_run(f->pg, "insert into public.items values (1, 'a'), (2, 'b')");
    postgres_run(f->pg, "begin; select from public.items where id = 1 for update");
    assert_int_equal(items_submit(f, &items_update, &running, &running_id, "1", "new"), 0);
    fixture_wait_for_lock(f);
    assert_int_equal(items_submit(f, &items_update, &waiting, &waiting_id, "2", "new"), 0);
    uv_run(&f->loop, UV_RUN_NOWAIT);
    db_pool_cancel(f->pool, waiting_id);
    db_pool_cancel(f->pool, running_id);
    db_pool_cancel(f->pool, 0);
    db_pool_cancel(f->pool, 123456789);
    fixture_wait(f, &waiting.is_done);
    assert_int_equal(waiting.status, DB_ECANCELLED);
    db_pool_cancel(f->pool, waiting_id);
    assert_false(running.is_done);
    postgres_run(f->pg, "commit");
    fixture_wait(f, &running.is_done);
    assert_int_equal(running.status, 0);
    assert_string_equal(
        postgres_text(f->pg, "select string_agg(value, ' ' order by id) from public.items"),
        "new b");
}

/* ---- statements ---- */

/* The server refuses a plan whose columns have changed: it is prepared anew. */
static void a_statement_outlives_a_change_of_its_table(void **state)
{
    struct fixture *f = *state;
    const struct db_pool_options options = items_options(1);
    struct answer a = {0};
    items_reopen(f, &options);
    assert_int_equal(items_submit_id(f, &items_read, &a, 1), 0);
    fixture_wait(f, &a.is_done);
    assert_int_equal(a.status, 0);
    postgres_run(f->pg, "alter table public.items add column more text");
    memset(&a, 0, sizeof(a));
    assert_int_equal(items_submit_id(f, &items_read, &a, 1), 0);
    fixture_wait(f, &a.is_done);
    assert_int_equal(a.status, 0);
}

static void a_wrong_statement_fails_alone_and_says_nothing_internal(void **state)
{
    static const struct db_stmt wrong = {.name = "wrong", .sql = "select nothing from nowhere"};
    struct fixture *f = *state;
    const struct db_pool_options options = items_options(1);
    struct answer bad = {0}, good = {0};
    items_reopen(f, &options);
    assert_int_equal(items_submit(f, &wrong, &bad, NULL, NULL, NULL), 0);
    assert_int_equal(items_submit(f, &items_echo, &good, NULL, "x", NULL), 0);
    fixture_wait(f, &bad.is_done);
    fixture_wait(f, &good.is_done);
    assert_int_equal(bad.status, DB_EINTERNAL);
    assert_null(strstr(bad.err.text, "nowhere"));
    assert_int_equal(good.status, 0);
}

static void null_and_empty_are_different_values(void **state)
{
    struct fixture *f = *state;
    const struct db_pool_options options = items_options(1);
    struct answer a = {0}, b = {0};
    items_reopen(f, &options);
    assert_int_equal(items_submit(f, &items_insert, &a, NULL, "1", ""), 0);
    assert_int_equal(items_submit(f, &items_insert, &b, NULL, "2", NULL), 0);
    fixture_wait(f, &a.is_done);
    fixture_wait(f, &b.is_done);
    assert_int_equal(a.status, 0);
    assert_int_equal(b.status, DB_ECONSTRAINT); /* not null */
}

/* ---- closing ---- */

static void closing_waits_for_what_was_submitted(void **state)
{
    struct fixture *f = *state;
    const struct db_pool_options options = items_options(2);
    struct answer answers[N] = {0};
    items_reopen(f, &options);
    for (int i = 0; i < N; i++)
        assert_int_equal(items_submit_id(f, &items_insert, &answers[i], i), 0);
    fixture_close_pool(f, 10000);
    for (int i = 0; i < N; i++) {
        assert_true(answers[i].is_done);
        assert_int_equal(answers[i].status, 0);
    }
    assert_int_equal(postgres_int(f->pg, "select count(*) from public.items"), N);
}

static void on_closed(void *ctx)
{
    *(bool *)ctx = true;
}

static void a_closing_pool_refuses_and_past_its_time_ends_what_is_left(void **state)
{
    struct fixture *f = *state;
    const struct db_pool_options options = items_options(1);
    struct answer sleeping = {0}, write_in_flight = {0}, queued = {0}, late = {0};
    bool is_closed = false;
    items_reopen(f, &options);
    postgres_run(f->pg, "insert into public.items values (1, 'a'), (2, 'b')");
    postgres_run(f->pg, "begin; select from public.items where id = 1 for update");
    assert_int_equal(items_submit_id(f, &items_update, &write_in_flight, 1), 0);
    fixture_wait_for_lock(f);
    assert_int_equal(items_submit(f, &items_sleep, &sleeping, NULL, "30", NULL), 0);
    assert_int_equal(items_submit_id(f, &items_update, &queued, 2), 0);
    db_pool_close(f->pool, 100, on_closed, &is_closed);
    assert_int_equal(items_submit(f, &items_echo, &late, NULL, "x", NULL), DB_ECLOSED);
    f->pool = NULL;
    fixture_wait(f, &is_closed);
    postgres_run(f->pg, "commit");
    assert_int_equal(write_in_flight.status, DB_EUNKNOWN);
    assert_int_equal(queued.status, DB_ECLOSED);
    assert_true(sleeping.status == DB_EUNAVAILABLE || sleeping.status == DB_ECLOSED);
    assert_false(late.is_done);
}

/* ---- memory ---- */

/* Whatever allocation fails, the call says so or gets over it, and all is freed. */
static void every_allocation_may_fail(void **state)
{
    struct fixture *f = *state;
    fixture_close_pool(f, 1000);
    struct mem_loop loop = {0};
    struct db_pool_options options = items_options(1);
    options.conninfo = &f->pg->secret;
    options.reconnect_min_ms = 1;
    options.statement_ms = 2000;
    while (mem_loop_next(&loop)) {
        struct answer a = {0};
        bool is_closed = false;
        int status = db_pool_new(&f->loop, &options, NULL, &f->pool, NULL);
        if (status) {
            mem_loop_expect(&loop, status, DB_ENOMEM);
            f->pool = NULL;
            uv_run(&f->loop, UV_RUN_NOWAIT);
            continue;
        }
        status = items_submit(f, &items_echo, &a, NULL, "x", NULL);
        while (!status && !a.is_done)
            uv_run(&f->loop, UV_RUN_ONCE);
        if (status || a.status)
            assert_true(mem_loop_has_failed(&loop));
        db_pool_close(f->pool, 1000, on_closed, &is_closed);
        fixture_wait(f, &is_closed);
        mem_loop_has_failed(&loop);
        f->pool = NULL;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        db_test(a_start_that_took_long_costs_the_first_statement_nothing),
        db_test(reads_go_out_before_the_first_is_answered),
        db_test(writes_of_one_turn_are_one_transaction),
        db_test(a_group_has_at_most_group_max_writes),
        db_test(a_bad_row_in_a_group_fails_alone),
        db_test(a_callback_comes_after_the_commit),
        db_test(a_write_that_waits_for_a_lock_does_not_hold_up_others),
        db_test(the_victims_of_a_deadlock_run_again),
        db_test(a_statement_past_its_time_is_ended),
        db_test(a_full_queue_refuses_and_never_calls_back),
        db_test(cancelling_ends_what_waits_and_leaves_what_runs),
        db_test(a_statement_outlives_a_change_of_its_table),
        db_test(a_wrong_statement_fails_alone_and_says_nothing_internal),
        db_test(null_and_empty_are_different_values),
        db_test(closing_waits_for_what_was_submitted),
        db_test(a_closing_pool_refuses_and_past_its_time_ends_what_is_left),
        db_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, postgres_setup, postgres_teardown);
}
