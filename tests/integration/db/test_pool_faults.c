/* The pool when connections break or the server goes: what is repeated, what is told. */
#include "base/secret.h"
#include "fixture.h"

#include <unistd.h>

static const struct db_stmt echo_stmt = {
    .name = "echo", .sql = "select $1::text", .param_count = 1};
static const struct db_stmt slow_read_stmt = {
    .name = "slow_read", .sql = "select pg_sleep(0.5) is null, $1::text", .param_count = 1};
static const struct db_stmt slow_write_stmt = {
    .name = "slow_write",
    .sql = "insert into public.faults select $1::integer from pg_sleep(0.5)",
    .param_count = 1,
    .is_write = true};

struct answer {
    bool is_done;
    int status;
    struct error err;
};

static void on_answer(void *ctx, int status, const struct db_result *res, const struct error *err)
{
    struct answer *a = ctx;
    assert_false(a->is_done);
    a->is_done = true;
    a->status = status;
    if (!status != (res != NULL))
        fail_msg("status %d with%s a result", status, res ? "" : "out");
    if (err)
        a->err = *err;
}

static void submit(struct fixture *f, const struct db_stmt *stmt, struct answer *a,
                   const char *value)
{
    const db_param param = slice_from_cstr(value);
    *a = (struct answer){0};
    assert_int_equal(db_pool_submit(f->pool, stmt, &param, on_answer, a, NULL, NULL), 0);
}

static void reopen(struct fixture *f, uint32_t size, uint32_t statement_ms)
{
    struct db_pool_options options = db_pool_options_default;
    options.size = size;
    options.statement_ms = statement_ms;
    options.reconnect_max_ms = 100;
    fixture_close_pool(f, 1000);
    postgres_run(f->pg, "drop table if exists public.faults; create table public.faults"
                        " (id integer)");
    fixture_open_pool(f, &options);
    struct db_pool_stats stats = {0};
    while (stats.connections_up < size) { /* all: one that is half made may outlive a kill */
        uv_run(&f->loop, UV_RUN_ONCE);
        db_pool_stats(f->pool, &stats);
    }
}

/* Until the server has `count` of the pool's sessions that sleep. */
static void wait_for_sleepers(struct fixture *f, int count)
{
    while (postgres_int(f->pg, "select count(*) from pg_stat_activity where application_name ="
                               " 'todo-mcp' and wait_event = 'PgSleep'") < count)
        uv_run(&f->loop, UV_RUN_ONCE);
}

static void terminate_sessions(struct fixture *f)
{
    postgres_run(f->pg, "select pg_terminate_backend(pid) from pg_stat_activity"
                        " where application_name = 'todo-mcp'");
}

static void a_read_whose_connection_breaks_runs_again(void **state)
{
    struct fixture *f = *state;
    struct answer a;
    reopen(f, 1, 10000);
    submit(f, &slow_read_stmt, &a, "x");
    wait_for_sleepers(f, 1);
    terminate_sessions(f);
    fixture_wait(f, &a.is_done);
    assert_int_equal(a.status, 0);
}

static void a_read_whose_connection_breaks_twice_is_unavailable(void **state)
{
    struct fixture *f = *state;
    struct answer a;
    reopen(f, 1, 10000);
    submit(f, &slow_read_stmt, &a, "x");
    wait_for_sleepers(f, 1);
    terminate_sessions(f);
    while (postgres_int(f->pg, "select count(*) from pg_stat_activity where application_name ="
                               " 'todo-mcp' and wait_event = 'PgSleep'"))
        uv_run(&f->loop, UV_RUN_ONCE);
    wait_for_sleepers(f, 1);
    terminate_sessions(f);
    fixture_wait(f, &a.is_done);
    assert_int_equal(a.status, DB_EUNAVAILABLE);
}

static void a_write_whose_connection_breaks_is_of_unknown_outcome(void **state)
{
    struct fixture *f = *state;
    struct answer a, b, c;
    reopen(f, 1, 10000);
    submit(f, &slow_write_stmt, &a, "1");
    submit(f, &slow_write_stmt, &b, "2"); /* in the same group */
    wait_for_sleepers(f, 1);
    submit(f, &slow_write_stmt, &c, "3"); /* queued: waits for the next connection */
    terminate_sessions(f);
    fixture_wait(f, &a.is_done);
    fixture_wait(f, &b.is_done);
    fixture_wait(f, &c.is_done);
    assert_int_equal(a.status, DB_EUNKNOWN);
    assert_int_equal(b.status, DB_EUNKNOWN);
    assert_int_equal(c.status, 0);
    assert_string_equal(postgres_text(f->pg, "select string_agg(id::text, ' ') from public.faults"),
                        "3");
}

static void the_pool_comes_back_after_the_server_was_killed(void **state)
{
    struct fixture *f = *state;
    struct answer a;
    struct db_pool_stats stats;
    reopen(f, 2, 10000);
    postgres_kill(f->pg);
    while (db_pool_is_ready(f->pool))
        uv_run(&f->loop, UV_RUN_ONCE);
    db_pool_stats(f->pool, &stats);
    assert_int_equal(stats.connections_up, 0);
    submit(f, &echo_stmt, &a, "waits");
    uv_run(&f->loop, UV_RUN_NOWAIT);
    assert_false(a.is_done);
    postgres_restart(f->pg);
    fixture_wait(f, &a.is_done);
    assert_int_equal(a.status, 0);
    assert_true(db_pool_is_ready(f->pool));
}

static void a_killed_server_keeps_what_was_answered(void **state)
{
    struct fixture *f = *state;
    reopen(f, 2, 10000);
    int64_t ids[10];
    for (int i = 0; i < 10; i++)
        ids[i] = add_titled(f, "kept");
    postgres_kill(f->pg);
    postgres_restart(f->pg);
    for (int i = 0; i < 10; i++)
        assert_outcome(get_task(f, f->user, ids[i]), DB_OK);
}

static void with_no_server_a_statement_ends_after_its_time(void **state)
{
    struct fixture *f = *state;
    struct answer read_answer, write_answer;
    reopen(f, 2, 200);
    postgres_kill(f->pg);
    while (db_pool_is_ready(f->pool))
        uv_run(&f->loop, UV_RUN_ONCE);
    submit(f, &echo_stmt, &read_answer, "x");
    submit(f, &slow_write_stmt, &write_answer, "1");
    fixture_wait(f, &read_answer.is_done);
    fixture_wait(f, &write_answer.is_done);
    assert_int_equal(read_answer.status, DB_EUNAVAILABLE);
    assert_int_equal(write_answer.status, DB_EUNAVAILABLE);
    postgres_restart(f->pg);
    assert_int_equal(postgres_int(f->pg, "select count(*) from public.faults"), 0);
}

/* No server has ever been there: making the pool is no error, its statements end in time. */
static void a_pool_may_start_before_its_server(void **state)
{
    struct fixture *f = *state;
    struct answer a;
    struct db_pool_options options = db_pool_options_default;
    fixture_close_pool(f, 1000);
    options.conninfo = SECRET_FIXED("host=/nowhere-at-all dbname=x");
    options.statement_ms = 100;
    fixture_open_pool(f, &options);
    assert_false(db_pool_is_ready(f->pool));
    submit(f, &echo_stmt, &a, "x");
    fixture_wait(f, &a.is_done);
    assert_int_equal(a.status, DB_EUNAVAILABLE);
}

static void a_stopped_server_is_given_up_and_comes_back(void **state)
{
    struct fixture *f = *state;
    struct answer a;
    reopen(f, 1, 10000);
    submit(f, &slow_write_stmt, &a, "1");
    wait_for_sleepers(f, 1);
    /* As an administrator would restart it: the session is told and ends. */
    postgres_stop_fast(f->pg);
    fixture_wait(f, &a.is_done);
    assert_true(a.status == DB_EUNKNOWN || a.status == DB_EUNAVAILABLE);
    postgres_restart(f->pg);
    int64_t stored = postgres_int(f->pg, "select count(*) from public.faults");
    assert_int_equal(stored, 0);
    submit(f, &echo_stmt, &a, "x");
    fixture_wait(f, &a.is_done);
    assert_int_equal(a.status, 0);
}

/* stderr is the log's: one JSON object a line. */
static void what_the_server_notes_is_not_printed(void **state)
{
    static const struct db_stmt note = {.name = "note", .sql = "select public.note()"};
    struct fixture *f = *state;
    struct answer a;
    reopen(f, 1, 10000);
    postgres_run(f->pg, "create or replace function public.note() returns integer language plpgsql"
                        " as 'begin raise warning ''noted''; return 1; end'");
    FILE *file = tmpfile();
    int before = dup(STDERR_FILENO);
    assert_non_null(file);
    assert_int_equal(dup2(fileno(file), STDERR_FILENO), STDERR_FILENO);
    submit(f, &note, &a, NULL);
    while (!a.is_done)
        uv_run(&f->loop, UV_RUN_ONCE);
    dup2(before, STDERR_FILENO);
    close(before);
    off_t printed = lseek(fileno(file), 0, SEEK_END);
    fclose(file);
    assert_int_equal(a.status, 0);
    assert_int_equal(printed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        db_test(a_read_whose_connection_breaks_runs_again),
        db_test(a_read_whose_connection_breaks_twice_is_unavailable),
        db_test(a_write_whose_connection_breaks_is_of_unknown_outcome),
        db_test(the_pool_comes_back_after_the_server_was_killed),
        db_test(a_killed_server_keeps_what_was_answered),
        db_test(with_no_server_a_statement_ends_after_its_time),
        db_test(a_pool_may_start_before_its_server),
        db_test(a_stopped_server_is_given_up_and_comes_back),
        db_test(what_the_server_notes_is_not_printed),
    };
    return cmocka_run_group_tests(tests, postgres_setup, postgres_teardown);
}
