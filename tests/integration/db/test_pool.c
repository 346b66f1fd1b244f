/* The pool: what goes together, what is kept apart, and every limit. */
#include "fixture.h"

#include <time.h>
#include <unistd.h>

#include "support/mem_loop.h"

#define N 20

static const struct db_stmt echo_stmt = {
    .name = "echo", .sql = "select $1::text", .param_count = 1};
static const struct db_stmt begun_stmt = {
    .name = "begun",
    .sql = "select transaction_timestamp()::text || left($1::text, 0)",
    .param_count = 1};
static const struct db_stmt divide_stmt = {
    .name = "divide", .sql = "select (1 / $1::integer)::text", .param_count = 1};
static const struct db_stmt sleep_stmt = {
    .name = "sleep", .sql = "select pg_sleep($1::float8) is null", .param_count = 1};
static const struct db_stmt insert_stmt = {
    .name = "insert",
    .sql = "insert into public.items (id, value) values ($1::integer, $2::text) returning id",
    .param_count = 2,
    .is_write = true};
static const struct db_stmt add_stmt = {
    .name = "add",
    .sql = "insert into public.items (id, value) values ($1::integer, $2::text) returning id",
    .param_count = 2,
    .is_write = true,
    .is_lock_free = true};
static const struct db_stmt update_stmt = {
    .name = "update",
    .sql = "update public.items set value = $2::text where id = $1::integer returning id",
    .param_count = 2,
    .is_write = true};
static const struct db_stmt read_stmt = {
    .name = "read", .sql = "select * from public.items where id = $1::integer", .param_count = 1};

struct answer {
    bool is_done;
    int status;
    struct error err;
    char text[64]; /* column 0 as text where it is one */
};

static void on_answer(void *ctx, int status, const struct db_result *res, const struct error *err)
{
    struct answer *a = ctx;
    assert_false(a->is_done);
    a->is_done = true;
    a->status = status;
    if (!status != !err || !status != (res != NULL))
        fail_msg("status %d with%s a result", status, res ? "" : "out");
    if (err)
        a->err = *err;
}

static void on_echo(void *ctx, int status, const struct db_result *res, const struct error *err)
{
    struct answer *a = ctx;
    on_answer(ctx, status, res, err);
    if (status)
        return;
    struct slice text = db_result_text(res, 0, 0);
    snprintf(a->text, sizeof(a->text), "%.*s", (int)text.len, text.ptr);
}

static int submit(struct fixture *f, const struct db_stmt *stmt, struct answer *a, db_op_id *id,
                  const char *first, const char *second)
{
    const db_param params[2] = {slice_from_cstr(first), slice_from_cstr(second)};
    bool is_text = stmt == &echo_stmt || stmt == &begun_stmt || stmt == &divide_stmt;
    return db_pool_submit(f->pool, stmt, params, is_text ? on_echo : on_answer, a, id, NULL);
}

static int submit_item(struct fixture *f, const struct db_stmt *stmt, struct answer *a, int item)
{
    char id[16];
    snprintf(id, sizeof(id), "%d", item);
    return submit(f, stmt, a, NULL, id, "v");
}

/* The pool of the fixture anew, with these options and an empty table. */
static void reopen(struct fixture *f, const struct db_pool_options *options)
{
    fixture_close_pool(f, 1000);
    postgres_run(f->pg, "drop table if exists public.items; create table public.items"
                        " (id integer constraint items_key primary key, value text not null)");
    fixture_open_pool(f, options);
    while (!db_pool_is_ready(f->pool))
        uv_run(&f->loop, UV_RUN_ONCE);
}

static struct db_pool_options options_of(uint32_t size)
{
    struct db_pool_options o = db_pool_options_default;
    o.size = size;
    return o;
}

static void wait_all(struct fixture *f, const struct answer *answers, int count)
{
    for (int i = 0; i < count; i++)
        fixture_wait(f, &answers[i].is_done);
}

static struct db_pool_stats stats_of(const struct fixture *f)
{
    struct db_pool_stats stats;
    db_pool_stats(f->pool, &stats);
    return stats;
}

/* ---- the start ---- */

/* As a program's does that makes its database first: the loop's time is an old one. */
static void a_start_that_took_long_costs_the_first_statement_nothing(void **state)
{
    struct fixture *f = *state;
    const struct timespec long_start = {.tv_sec = 1, .tv_nsec = 200000000};
    struct db_pool_options options = options_of(1);
    struct answer a = {0};
    fixture_close_pool(f, 1000);
    options.statement_ms = 1000;
    nanosleep(&long_start, NULL);
    fixture_open_pool(f, &options);
    assert_int_equal(submit(f, &echo_stmt, &a, NULL, "x", NULL), 0);
    fixture_wait(f, &a.is_done);
    assert_int_equal(a.status, 0);
}

/* ---- together ---- */

static void reads_go_out_before_the_first_is_answered(void **state)
{
    struct fixture *f = *state;
    const struct db_pool_options options = options_of(1);
    struct answer answers[10] = {0};
    reopen(f, &options);
    uint64_t before = stats_of(f).statements;
    assert_int_equal(submit(f, &sleep_stmt, &answers[0], NULL, "0.3", NULL), 0);
    for (int i = 1; i < 10; i++) {
        char text[16];
        snprintf(text, sizeof(text), "%d", i);
        assert_int_equal(submit(f, &echo_stmt, &answers[i], NULL, text, NULL), 0);
    }
    while (stats_of(f).statements < before + 10) {
        assert_false(answers[0].is_done);
        uv_run(&f->loop, UV_RUN_ONCE);
    }
    assert_false(answers[0].is_done);
    wait_all(f, answers, 10);
    for (int i = 1; i < 10; i++) {
        char text[16];
        snprintf(text, sizeof(text), "%d", i);
        assert_int_equal(answers[i].status, 0);
        assert_string_equal(answers[i].text, text);
    }
}

/* In how many transactions they ran. */
static int count_begun(struct fixture *f, struct answer *answers, int count)
{
    int begun = 0;
    memset(answers, 0, sizeof(*answers) * (size_t)count);
    for (int i = 0; i < count; i++)
        assert_int_equal(submit(f, &begun_stmt, &answers[i], NULL, "", NULL), 0);
    wait_all(f, answers, count);
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
    struct db_pool_options options = options_of(3);
    struct answer answers[N];
    options.lanes = 2;
    reopen(f, &options);
    while (stats_of(f).connections_up < 3)
        uv_run(&f->loop, UV_RUN_ONCE);
    assert_int_equal(count_begun(f, answers, N), 2);
    assert_int_equal(count_begun(f, answers, 4), 1);
    assert_int_equal(count_begun(f, answers, 5), 2);
}

static void a_bad_read_in_a_group_fails_alone(void **state)
{
    static const char *const by[] = {"1", "0", "1", "0", "1"};
    struct fixture *f = *state;
    struct db_pool_options options = options_of(2);
    struct answer answers[5] = {0};
    options.lanes = 1;
    reopen(f, &options);
    for (int i = 0; i < 5; i++)
        assert_int_equal(submit(f, &divide_stmt, &answers[i], NULL, by[i], NULL), 0);
    wait_all(f, answers, 5);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(answers[i].status, *by[i] == '0' ? DB_ECONSTRAINT : 0);
        assert_string_equal(answers[i].text, *by[i] == '0' ? "" : "1");
    }
    assert_int_equal(stats_of(f).group_retries, 3); /* those behind the first bad one */
}

static void writes_of_one_turn_are_one_transaction(void **state)
{
    struct fixture *f = *state;
    const struct db_pool_options options = options_of(2);
    struct answer answers[N] = {0};
    reopen(f, &options);
    for (int i = 0; i < N; i++)
        assert_int_equal(submit_item(f, &insert_stmt, &answers[i], i), 0);
    wait_all(f, answers, N);
    for (int i = 0; i < N; i++)
        assert_int_equal(answers[i].status, 0);
    assert_int_equal(postgres_int(f->pg, "select count(distinct xmin::text) from public.items"), 1);
    assert_int_equal(postgres_int(f->pg, "select count(*) from public.items"), N);
    assert_int_equal(stats_of(f).groups, 1);
}

static void writes_that_only_add_rows_take_as_many_lanes_as_pay(void **state)
{
    struct fixture *f = *state;
    struct db_pool_options options = options_of(4);
    struct answer answers[N] = {0};
    options.lanes = 2;
    reopen(f, &options);
    while (stats_of(f).connections_up < 4)
        uv_run(&f->loop, UV_RUN_ONCE);
    for (int i = 0; i < N; i++)
        assert_int_equal(submit_item(f, &add_stmt, &answers[i], i), 0);
    wait_all(f, answers, N);
    for (int i = 0; i < N; i++)
        assert_int_equal(answers[i].status, 0);
    assert_int_equal(postgres_int(f->pg, "select count(distinct xmin::text) from public.items"), 2);
}

static void writes_that_only_add_rows_wait_for_a_group_that_may_wait(void **state)
{
    struct fixture *f = *state;
    struct db_pool_options options = options_of(4);
    struct answer blocked = {0}, answers[N] = {0};
    options.lanes = 4;
    options.lane_ms = 60000;
    reopen(f, &options);
    while (stats_of(f).connections_up < 4)
        uv_run(&f->loop, UV_RUN_ONCE);
    postgres_run(f->pg, "insert into public.items values (1000, '')");
    postgres_run(f->pg, "begin; select from public.items where id = 1000 for update");
    assert_int_equal(submit_item(f, &update_stmt, &blocked, 1000), 0);
    fixture_wait_for_lock(f);
    for (int i = 0; i < N; i++)
        assert_int_equal(submit_item(f, &add_stmt, &answers[i], i), 0);
    uv_run(&f->loop, UV_RUN_NOWAIT);
    assert_int_equal(stats_of(f).queued, N);
    postgres_run(f->pg, "commit");
    fixture_wait(f, &blocked.is_done);
    wait_all(f, answers, N);
}

static void a_group_has_at_most_group_max_writes(void **state)
{
    struct fixture *f = *state;
    struct db_pool_options options = options_of(2);
    struct answer answers[N] = {0};
    options.group_max = 5;
    reopen(f, &options);
    for (int i = 0; i < N; i++)
        assert_int_equal(submit_item(f, &insert_stmt, &answers[i], i), 0);
    wait_all(f, answers, N);
    assert_int_equal(postgres_int(f->pg, "select max(n) from (select count(*) n from public.items"
                                         " group by xmin::text) g"),
                     5);
}

static void a_bad_row_in_a_group_fails_alone(void **state)
{
    struct fixture *f = *state;
    const struct db_pool_options options = options_of(2);
    struct answer answers[N] = {0};
    reopen(f, &options);
    postgres_run(f->pg, "insert into public.items values (7, 'there')");
    for (int i = 0; i < N; i++)
        assert_int_equal(submit_item(f, &insert_stmt, &answers[i], i), 0);
    wait_all(f, answers, N);
    for (int i = 0; i < N; i++)
        assert_int_equal(answers[i].status, i == 7 ? DB_EUNIQUE : 0);
    assert_string_equal(answers[7].err.field, "items_key");
    assert_int_equal(postgres_int(f->pg, "select count(*) from public.items"), N);
    assert_string_equal(postgres_text(f->pg, "select value from public.items where id = 7"),
                        "there");
    assert_int_equal(stats_of(f).group_retries, N);
}

static void a_callback_comes_after_the_commit(void **state)
{
    struct fixture *f = *state;
    const struct db_pool_options options = options_of(1);
    struct answer a = {0};
    reopen(f, &options);
    for (int i = 0; i < 50; i++) {
        memset(&a, 0, sizeof(a));
        assert_int_equal(submit_item(f, &insert_stmt, &a, i), 0);
        fixture_wait(f, &a.is_done);
        assert_int_equal(postgres_int(f->pg, "select count(*) from public.items"), i + 1);
    }
}

/* ---- apart ---- */

/* The reads behind it, once it is on its way, have their answers before it. */
static void check_held_up_by_none(struct fixture *f, const struct db_stmt *long_one)
{
    struct db_pool_options options = options_of(2);
    struct answer asleep = {0}, answers[N] = {0};
    options.lanes = 1;
    reopen(f, &options);
    while (stats_of(f).connections_up < 2)
        uv_run(&f->loop, UV_RUN_ONCE);
    assert_int_equal(submit(f, long_one, &asleep, NULL, "1", NULL), 0);
    while (stats_of(f).connections_busy == 0)
        uv_run(&f->loop, UV_RUN_ONCE);
    for (int i = 0; i < N; i++)
        assert_int_equal(submit(f, &echo_stmt, &answers[i], NULL, "x", NULL), 0);
    wait_all(f, answers, N);
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
    check_held_up_by_none(*state, &sleep_stmt);
}

static void a_write_that_waits_for_a_lock_does_not_hold_up_others(void **state)
{
    struct fixture *f = *state;
    const struct db_pool_options options = options_of(2);
    struct answer blocked = {0}, free_one = {0};
    reopen(f, &options);
    postgres_run(f->pg, "insert into public.items values (1, 'a'), (2, 'b')");
    postgres_run(f->pg, "begin; select from public.items where id = 1 for update");
    assert_int_equal(submit_item(f, &update_stmt, &blocked, 1), 0);
    fixture_wait_for_lock(f);
    assert_int_equal(submit_item(f, &update_stmt, &free_one, 2), 0);
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
    struct db_pool_options options = options_of(2);
    struct answer answers[4] = {0};
    options.lane_ms = 0;
    options.group_max = 2;
    reopen(f, &options);
    while (stats_of(f).connections_up < 2)
        uv_run(&f->loop, UV_RUN_ONCE);
    postgres_run(f->pg, "insert into public.items values (1, ''), (2, '')");
    for (int i = 0; i < 4; i++)
        assert_int_equal(submit_item(f, &slow, &answers[i], order[i]), 0);
    wait_all(f, answers, 4);
    for (int i = 0; i < 4; i++)
        assert_int_equal(answers[i].status, 0);
    assert_true(stats_of(f).group_retries >= 2);
    assert_string_equal(postgres_text(f->pg, "select string_agg(value, ' ') from public.items"),
                        "vv vv");
}

/* ---- limits ---- */

static void a_statement_past_its_time_is_ended(void **state)
{
    struct fixture *f = *state;
    struct db_pool_options options = options_of(2);
    struct answer slow = {0}, blocked = {0}, next = {0};
    options.statement_ms = 200;
    reopen(f, &options);
    postgres_run(f->pg, "insert into public.items values (1, 'a')");
    postgres_run(f->pg, "begin; select from public.items where id = 1 for update");
    assert_int_equal(submit(f, &sleep_stmt, &slow, NULL, "30", NULL), 0);
    assert_int_equal(submit_item(f, &update_stmt, &blocked, 1), 0);
    fixture_wait(f, &slow.is_done);
    fixture_wait(f, &blocked.is_done);
    postgres_run(f->pg, "commit");
    assert_int_equal(slow.status, DB_ETIMEOUT);
    assert_int_equal(blocked.status, DB_ETIMEOUT);
    assert_string_equal(postgres_text(f->pg, "select value from public.items"), "a");
    assert_int_equal(submit(f, &echo_stmt, &next, NULL, "still here", NULL), 0);
    fixture_wait(f, &next.is_done);
    assert_string_equal(next.text, "still here");
}

static void a_full_queue_refuses_and_never_calls_back(void **state)
{
    struct fixture *f = *state;
    struct db_pool_options options = options_of(1);
    struct answer answers[5] = {0};
    struct error err;
    const db_param param = SLICE_LIT("x");
    options.queue_max = 4;
    reopen(f, &options);
    for (int i = 0; i < 4; i++)
        assert_int_equal(submit(f, &echo_stmt, &answers[i], NULL, "x", NULL), 0);
    assert_int_equal(db_pool_submit(f->pool, &echo_stmt, &param, on_echo, &answers[4], NULL, &err),
                     DB_EBUSY);
    assert_int_equal(err.code, DB_EBUSY);
    wait_all(f, answers, 4);
    assert_false(answers[4].is_done);
    assert_int_equal(submit(f, &echo_stmt, &answers[4], NULL, "x", NULL), 0);
    fixture_wait(f, &answers[4].is_done);
    assert_int_equal(answers[4].status, 0);
}

static void cancelling_ends_what_waits_and_leaves_what_runs(void **state)
{
    struct fixture *f = *state;
    const struct db_pool_options options = options_of(1);
    struct answer running = {0}, waiting = {0};
    db_op_id running_id = 0, waiting_id = 0;
    reopen(f, &options);
    postgres_run(f->pg, "insert into public.items values (1, 'a'), (2, 'b')");
    postgres_run(f->pg, "begin; select from public.items where id = 1 for update");
    assert_int_equal(submit(f, &update_stmt, &running, &running_id, "1", "new"), 0);
    fixture_wait_for_lock(f);
    assert_int_equal(submit(f, &update_stmt, &waiting, &waiting_id, "2", "new"), 0);
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
    const struct db_pool_options options = options_of(1);
    struct answer a = {0};
    reopen(f, &options);
    assert_int_equal(submit_item(f, &read_stmt, &a, 1), 0);
    fixture_wait(f, &a.is_done);
    assert_int_equal(a.status, 0);
    postgres_run(f->pg, "alter table public.items add column more text");
    memset(&a, 0, sizeof(a));
    assert_int_equal(submit_item(f, &read_stmt, &a, 1), 0);
    fixture_wait(f, &a.is_done);
    assert_int_equal(a.status, 0);
}

static void a_wrong_statement_fails_alone_and_says_nothing_internal(void **state)
{
    static const struct db_stmt wrong = {.name = "wrong", .sql = "select nothing from nowhere"};
    struct fixture *f = *state;
    const struct db_pool_options options = options_of(1);
    struct answer bad = {0}, good = {0};
    reopen(f, &options);
    assert_int_equal(submit(f, &wrong, &bad, NULL, NULL, NULL), 0);
    assert_int_equal(submit(f, &echo_stmt, &good, NULL, "x", NULL), 0);
    fixture_wait(f, &bad.is_done);
    fixture_wait(f, &good.is_done);
    assert_int_equal(bad.status, DB_EINTERNAL);
    assert_null(strstr(bad.err.text, "nowhere"));
    assert_int_equal(good.status, 0);
}

static void null_and_empty_are_different_values(void **state)
{
    struct fixture *f = *state;
    const struct db_pool_options options = options_of(1);
    struct answer a = {0}, b = {0};
    reopen(f, &options);
    assert_int_equal(submit(f, &insert_stmt, &a, NULL, "1", ""), 0);
    assert_int_equal(submit(f, &insert_stmt, &b, NULL, "2", NULL), 0);
    fixture_wait(f, &a.is_done);
    fixture_wait(f, &b.is_done);
    assert_int_equal(a.status, 0);
    assert_int_equal(b.status, DB_ECONSTRAINT); /* not null */
}

/* ---- closing ---- */

static void closing_waits_for_what_was_submitted(void **state)
{
    struct fixture *f = *state;
    const struct db_pool_options options = options_of(2);
    struct answer answers[N] = {0};
    reopen(f, &options);
    for (int i = 0; i < N; i++)
        assert_int_equal(submit_item(f, &insert_stmt, &answers[i], i), 0);
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
    const struct db_pool_options options = options_of(1);
    struct answer sleeping = {0}, write_in_flight = {0}, queued = {0}, late = {0};
    bool is_closed = false;
    reopen(f, &options);
    postgres_run(f->pg, "insert into public.items values (1, 'a'), (2, 'b')");
    postgres_run(f->pg, "begin; select from public.items where id = 1 for update");
    assert_int_equal(submit_item(f, &update_stmt, &write_in_flight, 1), 0);
    fixture_wait_for_lock(f);
    assert_int_equal(submit(f, &sleep_stmt, &sleeping, NULL, "30", NULL), 0);
    assert_int_equal(submit_item(f, &update_stmt, &queued, 2), 0);
    db_pool_close(f->pool, 100, on_closed, &is_closed);
    assert_int_equal(submit(f, &echo_stmt, &late, NULL, "x", NULL), DB_ECLOSED);
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
    struct db_pool_options options = options_of(1);
    options.conninfo = f->pg->conninfo;
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
        status = submit(f, &echo_stmt, &a, NULL, "x", NULL);
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
        db_test(reads_of_one_turn_go_together_in_as_many_lanes_as_pay),
        db_test(a_bad_read_in_a_group_fails_alone),
        db_test(writes_of_one_turn_are_one_transaction),
        db_test(writes_that_only_add_rows_take_as_many_lanes_as_pay),
        db_test(writes_that_only_add_rows_wait_for_a_group_that_may_wait),
        db_test(a_group_has_at_most_group_max_writes),
        db_test(a_bad_row_in_a_group_fails_alone),
        db_test(a_callback_comes_after_the_commit),
        db_test(a_slow_read_holds_up_no_other),
        db_test(a_read_that_is_unexpectedly_slow_holds_up_no_later_one),
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
