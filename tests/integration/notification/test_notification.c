/* The notification worker's library over a real PostgreSQL: in time, once, at any number of
 * workers, and at a pace after a downtime. */
#include "fixture.h"

#include "base/mem.h"
#include "db/pool_int.h"
#include "notification/last_poll.h"
#include "notification/notification.h"
#include "shared/state_store.h"
#include "support/mem_loop.h"

#define WORKERS_MAX 3
#define SOURCE      "notification-service"

struct worker {
    struct stage *stage;
    struct db_pool *pool;
    struct notification *n; /* NULL once closed */
    int batches, sent;
    int64_t last_batch_ms, shortest_gap_ms; /* between batches */
};

struct stage {
    struct fixture *f;
    struct state_store *store;
    struct worker workers[WORKERS_MAX];
    int open; /* what a close waits for */
    int runs_done, runs_failed;
};

/* ---- life ----------------------------------------------------------------------------------- */

static int setup(void **state)
{
    assert_int_equal(fixture_setup(state), 0);
    struct stage *s = test_calloc(1, sizeof(*s));
    s->f = *state;
    assert_int_equal(state_store_db_new(&s->f->loop, s->f->pool, &s->store), 0);
    *state = s;
    return 0;
}

static void on_sent(void *ctx, const struct db_reminder_sent *sent, int count)
{
    struct worker *w = ctx;
    int64_t now_ms = (int64_t)(uv_hrtime() / 1000000);
    assert_true(count > 0 && sent[0].user_id == w->stage->f->user);
    if (w->batches > 0 && now_ms - w->last_batch_ms < w->shortest_gap_ms)
        w->shortest_gap_ms = now_ms - w->last_batch_ms;
    w->last_batch_ms = now_ms;
    w->batches++;
    w->sent += count;
}

static struct notification_options options_of(struct worker *w)
{
    return (struct notification_options){.rules = {.default_minutes = 60, .late_max_hours = 24},
                                         .source = SOURCE,
                                         .batch_max = 50,
                                         .pause_ms = 1,
                                         .on_sent = on_sent,
                                         .ctx = w};
}

static struct worker *open_worker(struct stage *s, int index,
                                  const struct notification_options *options)
{
    struct worker *w = &s->workers[index];
    struct db_pool_options pool = db_pool_options_default;
    struct error err;
    pool.size = 2;
    pool.conninfo = &s->f->pg->secret;
    *w = (struct worker){.stage = s, .shortest_gap_ms = INT64_MAX};
    struct notification_options own = options_of(w);
    if (options) {
        own = *options;
        own.ctx = w;
    }
    assert_int_equal(db_pool_new(&s->f->loop, &pool, NULL, &w->pool, &err), 0);
    if (notification_new(&s->f->loop, w->pool, NULL, &own, &w->n, &err))
        fail_msg("%s", err.text);
    return w;
}

static void on_part_closed(void *ctx)
{
    ((struct stage *)ctx)->open--;
}

static void turn_until_closed(struct stage *s)
{
    while (s->open > 0)
        uv_run(&s->f->loop, UV_RUN_ONCE);
}

static void close_notification(struct worker *w)
{
    w->stage->open++;
    notification_close(w->n, on_part_closed, w->stage);
    turn_until_closed(w->stage);
    w->n = NULL;
}

static void close_worker(struct worker *w)
{
    if (w->n)
        close_notification(w);
    w->stage->open++;
    db_pool_close(w->pool, 1000, on_part_closed, w->stage);
    turn_until_closed(w->stage);
    w->pool = NULL;
}

static int teardown(void **state)
{
    struct stage *s = *state;
    for (int i = 0; i < WORKERS_MAX; i++)
        if (s->workers[i].pool)
            close_worker(&s->workers[i]);
    s->open++;
    state_close(s->store, on_part_closed, s);
    turn_until_closed(s);
    postgres_run(s->f->pg, "delete from todo.state");
    postgres_run(s->f->pg, "delete from todo.tasks");
    *state = s->f;
    test_free(s);
    return fixture_teardown(state);
}
#define stage_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

/* ---- helpers -------------------------------------------------------------------------------- */

/* So many tasks due in half an hour: each is to be reminded of now. */
static void add_due_tasks(struct stage *s, int count)
{
    postgres_run(s->f->pg,
                 "insert into todo.tasks (user_id, title, timezone, due_date)"
                 " select %lld, 'task ' || n, 'UTC', now() + interval '30 min'"
                 " from generate_series(1, %d) n",
                 (long long)s->f->user, count);
}

static int64_t add_reminder_in(struct stage *s, int ms)
{
    int64_t id = add_titled(s->f, "timed");
    postgres_run(s->f->pg,
                 "insert into todo.reminders (user_id, task_id, remind_at)"
                 " values (%lld, %lld, clock_timestamp() + make_interval(secs => %d / 1000.0))",
                 (long long)s->f->user, (long long)id, ms);
    return id;
}

static int64_t count_events(struct stage *s)
{
    return postgres_int(s->f->pg,
                        "select count(*) from todo.outbox where type = 'ReminderSentEvent'"
                        " and (data->>'user_id')::bigint = %lld",
                        (long long)s->f->user);
}

static int64_t count_events_twice(struct stage *s)
{
    return postgres_int(s->f->pg,
                        "select count(*) from (select key, data->>'reminder_time' from todo.outbox"
                        " where type = 'ReminderSentEvent' and (data->>'user_id')::bigint = %lld"
                        " group by 1, 2 having count(*) > 1) x",
                        (long long)s->f->user);
}

static void turn_until_sent(struct stage *s, const int *sent, int wanted)
{
    while (*sent < wanted)
        assert_true(uv_run(&s->f->loop, UV_RUN_ONCE));
}

static void on_run(void *ctx, bool is_done)
{
    struct stage *s = ctx;
    if (is_done)
        s->runs_done++;
    else
        s->runs_failed++;
}

/* A whole run, which must come out well. */
static void run(struct worker *w)
{
    struct stage *s = w->stage;
    int before = s->runs_done;
    notification_run(w->n, on_run, s);
    assert_int_equal(s->runs_done + s->runs_failed, before); /* never from inside */
    while (s->runs_done + s->runs_failed == before)
        assert_true(uv_run(&s->f->loop, UV_RUN_ONCE));
    assert_int_equal(s->runs_failed, 0);
}

/* From the reminder's time to its event, in milliseconds. */
static int64_t lateness(struct stage *s, int64_t task)
{
    return postgres_int(s->f->pg,
                        "select (extract(epoch from created_at - (data->>'reminder_time')"
                        "::timestamptz) * 1000)::bigint from todo.outbox where key = '%lld'"
                        " and type = 'ReminderSentEvent'",
                        (long long)task);
}

/* ---- tests ---------------------------------------------------------------------------------- */

static void a_run_sends_all_that_is_due_in_batches(void **state)
{
    struct stage *s = *state;
    add_due_tasks(s, 120);
    struct worker *w = open_worker(s, 0, NULL);
    run(w);
    assert_int_equal(w->sent, 120);
    assert_int_equal(w->batches, 3);
    assert_int_equal(count_events(s), 120);
    run(w);
    assert_int_equal(count_events(s), 120);
}

static void a_reminder_comes_at_its_time_without_a_poll(void **state)
{
    struct stage *s = *state;
    struct worker *w = open_worker(s, 0, NULL);
    int64_t first = add_reminder_in(s, 600);
    int64_t second = add_reminder_in(s, 900);
    run(w);
    assert_int_equal(w->sent, 0);
    turn_until_sent(s, &w->sent, 2);
    assert_in_range(lateness(s, first), 0, 999);
    assert_in_range(lateness(s, second), 0, 999);
}

static void one_set_meanwhile_comes_at_its_time_after_a_wake(void **state)
{
    struct stage *s = *state;
    struct worker *w = open_worker(s, 0, NULL);
    add_reminder_in(s, 20000);
    run(w); /* nothing is armed before */
    int64_t id = add_reminder_in(s, 400);
    for (int i = 0; i < 5; i++)
        notification_wake(w->n);
    turn_until_sent(s, &w->sent, 1);
    assert_in_range(lateness(s, id), 0, 999);
}

static void a_wake_during_a_run_is_followed_by_another(void **state)
{
    struct stage *s = *state;
    struct worker *w = open_worker(s, 0, NULL);
    run(w);
    notification_run(w->n, on_run, s);
    uv_run(&s->f->loop, UV_RUN_NOWAIT);
    int64_t id = add_reminder_in(s, 0);
    notification_wake(w->n);
    turn_until_sent(s, &w->sent, 1);
    assert_in_range(lateness(s, id), 0, 999);
    while (s->runs_done < 2)
        uv_run(&s->f->loop, UV_RUN_ONCE);
}

static void three_workers_at_once_send_each_reminder_once(void **state)
{
    struct stage *s = *state;
    add_due_tasks(s, 700);
    for (int i = 0; i < 300; i++)
        add_reminder_in(s, 0);
    for (int i = 0; i < 3; i++)
        open_worker(s, i, NULL);
    while (s->workers[0].sent + s->workers[1].sent + s->workers[2].sent < 1000)
        assert_true(uv_run(&s->f->loop, UV_RUN_ONCE));
    for (int i = 0; i < 3; i++)
        run(&s->workers[i]);
    assert_int_equal(s->workers[0].sent + s->workers[1].sent + s->workers[2].sent, 1000);
    assert_int_equal(count_events(s), 1000);
    assert_int_equal(count_events_twice(s), 0);
}

static void a_row_that_is_held_is_looked_for_again_soon(void **state)
{
    struct stage *s = *state;
    struct worker *w = open_worker(s, 0, NULL);
    int64_t id = add_reminder_in(s, 0);
    postgres_run(s->f->pg, "begin");
    postgres_run(s->f->pg, "select from todo.tasks where id = %lld for update", (long long)id);
    run(w);
    assert_int_equal(w->sent, 0);
    postgres_run(s->f->pg, "commit");
    turn_until_sent(s, &w->sent, 1); /* long before NOTIFICATION_TIMER_MAX_MS */
    assert_in_range(lateness(s, id), 0, 5000);
}

/* ---- the last poll -------------------------------------------------------------------------- */

static void write_last_poll(struct stage *s, const char *ago)
{
    postgres_run(s->f->pg,
                 "insert into todo.state (key, value, etag, expires_at) values"
                 " ('notification:last_poll', json_build_object('at', todo.rfc3339("
                 "clock_timestamp() - interval '%s')), todo.uuid_v7(), now() + interval '1 hour')",
                 ago);
}

static struct worker *open_paced(struct stage *s)
{
    struct notification_options options = options_of(&s->workers[0]);
    options.state = s->store;
    options.pause_ms = 150;
    return open_worker(s, 0, &options);
}

static void after_a_downtime_batches_come_with_pauses(void **state)
{
    struct stage *s = *state;
    write_last_poll(s, "2 hours");
    add_due_tasks(s, 120);
    struct worker *w = open_paced(s);
    run(w);
    assert_int_equal(w->sent, 120);
    assert_int_equal(w->batches, 3);
    assert_true(w->shortest_gap_ms >= 150);
    add_due_tasks(s, 120); /* the next run is one as any */
    run(w);
    assert_int_equal(w->sent, 240);
    assert_true(w->shortest_gap_ms < 150);
}

static void a_worker_that_knows_nothing_of_the_last_poll_is_careful(void **state)
{
    struct stage *s = *state;
    add_due_tasks(s, 120);
    struct worker *w = open_paced(s);
    run(w);
    assert_true(w->shortest_gap_ms >= 150);
}

static void a_worker_that_starts_beside_others_hurries(void **state)
{
    struct stage *s = *state;
    write_last_poll(s, "5 seconds");
    add_due_tasks(s, 120);
    struct worker *w = open_paced(s);
    run(w);
    assert_int_equal(w->batches, 3);
    assert_true(w->shortest_gap_ms < 150);
}

static void the_time_of_the_last_poll_is_kept_for_an_hour(void **state)
{
    struct stage *s = *state;
    struct worker *w = open_paced(s);
    run(w);
    close_notification(w); /* waits for the store */
    assert_true(postgres_int(s->f->pg, "select count(*) from todo.state where key ="
                                       " 'notification:last_poll' and expires_at between now() +"
                                       " interval '59 min' and now() + interval '1 hour' and"
                                       " (value->>'at')::timestamptz between now() - interval"
                                       " '10 s' and clock_timestamp()"));
}

static void a_last_poll_that_is_nonsense_is_none(void **state)
{
    struct stage *s = *state;
    static const char *const values[] = {"7", "{}", "{\"at\": 7}", "{\"at\": \"yesterday\"}",
                                         "{\"at\": \"9999-12-31T00:00:00Z\"}"};
    for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
        postgres_run(s->f->pg, "delete from todo.state");
        postgres_run(s->f->pg,
                     "insert into todo.state (key, value, etag) values"
                     " ('notification:last_poll', '%s', todo.uuid_v7())",
                     values[i]);
        add_due_tasks(s, 60);
        struct worker *w = open_paced(s);
        run(w);
        assert_int_equal(w->sent, 60);
        assert_true(w->shortest_gap_ms >= 150);
        close_worker(w);
    }
}

/* ---- what goes wrong ------------------------------------------------------------------------ */

static void a_database_that_was_away_delays_but_loses_nothing(void **state)
{
    struct stage *s = *state;
    struct worker *w = open_worker(s, 0, NULL);
    run(w);
    add_due_tasks(s, 10);
    postgres_kill(s->f->pg);
    notification_run(w->n, on_run, s);
    for (int turn = 0; turn < 20; turn++)
        uv_run(&s->f->loop, UV_RUN_ONCE);
    postgres_restart(s->f->pg);
    turn_until_sent(s, &w->sent, 10);
    assert_int_equal(count_events(s), 10);
    while (s->runs_done + s->runs_failed < 2)
        uv_run(&s->f->loop, UV_RUN_ONCE);
}

static void a_state_store_that_is_away_is_no_failure(void **state)
{
    struct stage *s = *state;
    postgres_run(s->f->pg, "alter table todo.state rename to elsewhere");
    add_due_tasks(s, 60);
    struct worker *w = open_paced(s);
    run(w);
    assert_int_equal(w->sent, 60);
    run(w);
    close_worker(w);
    postgres_run(s->f->pg, "alter table todo.elsewhere rename to state");
}

static void a_close_between_batches_leaves_the_rest_for_the_next_start(void **state)
{
    struct stage *s = *state;
    add_due_tasks(s, 120);
    struct notification_options options = options_of(&s->workers[0]);
    options.pause_ms = 60000;
    struct worker *w = open_worker(s, 0, &options);
    notification_run(w->n, on_run, s);
    turn_until_sent(s, &w->sent, 50);
    close_notification(w);
    assert_int_equal(s->runs_failed, 1); /* who waited was told */
    assert_int_equal(count_events(s), 50);
    close_worker(w);
    w = open_worker(s, 0, NULL);
    turn_until_sent(s, &w->sent, 70);
    assert_int_equal(count_events(s), 120);
    assert_int_equal(count_events_twice(s), 0);
}

static void a_close_before_the_first_run_tells_who_waits(void **state)
{
    struct stage *s = *state;
    struct worker *w = open_worker(s, 0, NULL);
    notification_run(w->n, on_run, s);
    close_notification(w);
    assert_int_equal(s->runs_failed, 1);
}

static void without_memory_it_is_not_made(void **state)
{
    struct stage *s = *state;
    struct mem_loop loop = {0};
    while (mem_loop_next(&loop)) {
        struct error err;
        struct notification *n = NULL;
        struct notification_options options = options_of(&s->workers[0]);
        int status = notification_new(&s->f->loop, s->f->pool, NULL, &options, &n, &err);
        mem_loop_expect(&loop, status, BASE_ENOMEM);
        if (status)
            continue;
        s->open++;
        notification_close(n, on_part_closed, s);
        turn_until_closed(s);
    }
}

/* Whatever allocation fails during a run, the next one sends. */
static void a_run_without_memory_loses_nothing(void **state)
{
    struct stage *s = *state;
    struct worker *w = open_worker(s, 0, NULL);
    run(w);
    for (uint64_t nth = 1; nth <= 8; nth++) {
        add_due_tasks(s, 1);
        mem_fail_nth(nth);
        notification_wake(w->n);
        while (count_events(s) < (int64_t)nth)
            uv_run(&s->f->loop, UV_RUN_ONCE);
        mem_fail_nth(0);
    }
    assert_int_equal(count_events_twice(s), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        stage_test(a_run_sends_all_that_is_due_in_batches),
        stage_test(a_reminder_comes_at_its_time_without_a_poll),
        stage_test(one_set_meanwhile_comes_at_its_time_after_a_wake),
        stage_test(a_wake_during_a_run_is_followed_by_another),
        stage_test(three_workers_at_once_send_each_reminder_once),
        stage_test(a_row_that_is_held_is_looked_for_again_soon),
        stage_test(after_a_downtime_batches_come_with_pauses),
        stage_test(a_worker_that_knows_nothing_of_the_last_poll_is_careful),
        stage_test(a_worker_that_starts_beside_others_hurries),
        stage_test(the_time_of_the_last_poll_is_kept_for_an_hour),
        stage_test(a_last_poll_that_is_nonsense_is_none),
        stage_test(a_database_that_was_away_delays_but_loses_nothing),
        stage_test(a_state_store_that_is_away_is_no_failure),
        stage_test(a_close_between_batches_leaves_the_rest_for_the_next_start),
        stage_test(a_close_before_the_first_run_tells_who_waits),
        stage_test(without_memory_it_is_not_made),
        stage_test(a_run_without_memory_loses_nothing),
    };
    return cmocka_run_group_tests(tests, postgres_setup, postgres_teardown);
}
