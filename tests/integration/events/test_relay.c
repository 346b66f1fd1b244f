/* The relay against a real PostgreSQL, with a way out that the test holds in its hand. */
#include "relay_fixture.h"

#include "base/error.h"
#include "base/mem.h"
#include "db/error.h"
#include "db/pool.h"
#include "events/outbox_bell.h"
#include "support/mem_loop.h"

static uint64_t published(const struct relay_fixture *f)
{
    struct relay_stats stats;
    relay_stats(f->relay, &stats);
    return stats.published;
}

static bool leads(const struct relay_fixture *f)
{
    struct relay_stats stats;
    relay_stats(f->relay, &stats);
    return stats.is_leader;
}

/* ---- the plain way -------------------------------------------------------------------------- */

static void rows_that_wait_are_published_in_order_and_marked(void **state)
{
    struct relay_fixture *f = *state;
    relay_insert(f, "task-events", 2000, 100);
    relay_insert(f, "task-reminders", 100, 7);
    relay_open(f, NULL);
    relay_until(f, f->way.got_count == 2100);
    relay_check_order(f, "task-events");
    relay_check_order(f, "task-reminders");
    relay_until(f, relay_unpublished(f) == 0);
    assert_true(f->way.publishes < 500); /* batches */
}

static void the_bytes_are_a_cloudevent(void **state)
{
    struct relay_fixture *f = *state;
    postgres_run(f->pg,
                 "insert into todo.outbox (id, key, topic, type, source, traceparent, created_at,"
                 " data) values ('01900000-0000-7000-8000-00000000000a', '7', 'task-reminders',"
                 " 'ReminderSentEvent', 'notification-service',"
                 " '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',"
                 " '2026-11-24T10:00:00.5Z', '{\"n\": 1}')");
    relay_open(f, NULL);
    relay_until(f, f->way.got_count == 1);
    assert_string_equal(
        f->way.last_event,
        "{\"specversion\":\"1.0\",\"id\":\"01900000-0000-7000-8000-00000000000a\","
        "\"source\":\"/todo/notification-service\",\"type\":\"ReminderSentEvent\","
        "\"subject\":\"task/7\",\"time\":\"2026-11-24T10:00:00.5Z\","
        "\"datacontenttype\":\"application/json\","
        "\"dataschema\":\"urn:todo:event:reminder.sent:1.0\","
        "\"traceparent\":\"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\","
        "\"partitionkey\":\"7\",\"data\":{\"n\": 1}}");
}

static void a_wake_brings_a_row_at_once(void **state)
{
    struct relay_fixture *f = *state;
    relay_open(f, NULL);
    relay_until(f, leads(f));
    for (size_t i = 1; i <= 20; i++) {
        relay_insert(f, "task-events", 1, 1);
        uint64_t before = uv_hrtime();
        relay_wake(f->relay);
        relay_until(f, f->way.got_count == i);
        assert_true(uv_hrtime() - before < 500000000u); /* far less than the poll */
    }
}

static void a_notification_of_another_process_brings_a_row(void **state)
{
    struct relay_fixture *f = *state;
    relay_open(f, NULL);
    relay_until(f, leads(f));
    for (size_t i = 1; i <= 5; i++) {
        relay_insert(f, "task-events", 1, 1);
        postgres_run(f->pg, "notify todo_outbox");
        relay_until(f, f->way.got_count == i);
    }
}

static void without_a_wake_the_poll_brings_a_row(void **state)
{
    struct relay_fixture *f = *state;
    relay_open(f, NULL);
    relay_until(f, leads(f));
    relay_insert(f, "task-events", 1, 1);
    relay_until(f, f->way.got_count == 1);
}

static void a_row_of_a_transaction_that_took_long_is_not_missed(void **state)
{
    struct relay_fixture *f = *state;
    relay_open(f, NULL);
    relay_until(f, leads(f));
    PGconn *late = PQconnectdb(f->pg->conninfo);
    PQclear(PQexec(late, "begin"));
    PQclear(PQexec(late, "insert into todo.outbox (id, key, topic, type, data) values"
                         " (todo.uuid_v7(), '77', 'task-events', 'TaskUpdatedEvent',"
                         " '{\"n\": 1}')"));
    relay_insert(f, "task-events", 100, 10);
    relay_wake(f->relay);
    relay_until(f, f->way.got_count == 100);
    relay_until(f, relay_unpublished(f) == 0);
    PQclear(PQexec(late, "commit"));
    relay_wake(f->relay);
    relay_until(f, f->way.got_count == 101);
    assert_int_equal(f->way.got[100].key, 77);
    PQfinish(late);
}

/* ---- outages and refusals ------------------------------------------------------------------- */

static uint64_t step(struct way *way)
{
    way->random ^= way->random << 13;
    way->random ^= way->random >> 7;
    way->random ^= way->random << 17;
    return way->random;
}

static enum transport_outcome at_random(struct way *way, const char *topic,
                                        const struct transport_entry *entry)
{
    (void)topic;
    (void)entry;
    uint64_t dice = step(way) % 1000;
    if (dice < 3)
        return TRANSPORT_UNAVAILABLE;
    return dice < 40 ? TRANSPORT_REFUSED : TRANSPORT_ACKED;
}

static void each_keys_order_holds_under_random_outcomes(void **state)
{
    struct relay_fixture *f = *state;
    f->way.judge = at_random;
    relay_insert(f, "task-events", 1000, 50);
    relay_insert(f, "task-recurrence", 300, 20);
    relay_open(f, NULL);
    relay_until(f, f->way.got_count >= 1300 && relay_unpublished(f) == 0);
    relay_check_order(f, "task-events");
    relay_check_order(f, "task-recurrence");
    assert_int_equal(f->way.got_count, 1300); /* none twice, as nothing was lost */
}

static enum transport_outcome events_down(struct way *way, const char *topic,
                                          const struct transport_entry *entry)
{
    (void)way;
    (void)entry;
    return strcmp(topic, "task-events") == 0 ? TRANSPORT_UNAVAILABLE : TRANSPORT_ACKED;
}

static void a_lane_that_is_down_waits_longer_each_time_and_counts_nothing(void **state)
{
    struct relay_fixture *f = *state;
    f->way.judge = events_down;
    relay_insert(f, "task-events", 1000, 100);
    relay_insert(f, "task-reminders", 100, 10);
    relay_open(f, NULL);
    relay_until(f, f->way.got_count == 100); /* the other lane goes on */
    uint64_t until = uv_hrtime() + 3000000000u;
    uint64_t before = f->way.publishes;
    while (uv_hrtime() < until)
        uv_run(&f->loop, UV_RUN_ONCE);
    assert_true(f->way.publishes - before < 30);
    assert_int_equal(postgres_int(f->pg, "select max(attempts) from todo.outbox"), 0);
    f->way.judge = NULL;
    relay_until(f, f->way.got_count == 1100);
    relay_check_order(f, "task-events");
}

static enum transport_outcome seven_is_poison(struct way *way, const char *topic,
                                              const struct transport_entry *entry)
{
    (void)way;
    (void)topic;
    bool is_seven = slice_is_equal(entry->key, SLICE_LIT("7")) &&
                    memmem(entry->event.ptr, entry->event.len, "\"n\": 7}", 7);
    return is_seven ? TRANSPORT_REFUSED : TRANSPORT_ACKED;
}

static void a_poisoned_row_is_parked_and_holds_up_only_its_key(void **state)
{
    struct relay_fixture *f = *state;
    struct relay_options options = relay_options_default;
    options.attempts_max = 4;
    f->way.judge = seven_is_poison;
    relay_insert(f, "task-events", 100, 10);
    relay_open(f, &options);
    relay_until(f, f->way.got_count == 90); /* nine keys */
    assert_int_equal(postgres_int(f->pg, "select count(*) from todo.outbox where dead_reason is"
                                         " not null"),
                     0);
    relay_until(f, f->way.got_count == 99); /* and the poisoned one's later events */
    relay_check_order(f, "task-events");
    relay_until(f, relay_unpublished(f) == 1);
    assert_int_equal(postgres_int(f->pg, "select attempts from todo.outbox where dead_reason ="
                                         " 'as the test wants'"),
                     4);
}

/* ---- dead letters --------------------------------------------------------------------------- */

static void dead_letters_go_out_as_they_came(void **state)
{
    struct relay_fixture *f = *state;
    postgres_run(f->pg, "insert into todo.dead_letters (consumer, key, topic, reason, attempts,"
                        " event) select 'email', '7', 'task-reminders', 'no', 4, '{\"broken'"
                        " from generate_series(1, 40)");
    relay_open(f, NULL);
    relay_until(f, f->way.got_count == 40);
    assert_string_equal(f->way.last_event, "{\"broken");
    assert_string_equal(f->way.got[0].topic, "task-events-dlq");
    relay_until(f, postgres_int(f->pg, "select count(*) from todo.dead_letters where published_at"
                                       " is null") == 0);
}

static enum transport_outcome letters_refused(struct way *way, const char *topic,
                                              const struct transport_entry *entry)
{
    (void)way;
    (void)entry;
    return strcmp(topic, "task-events-dlq") == 0 ? TRANSPORT_REFUSED : TRANSPORT_ACKED;
}

static void a_dead_letter_that_is_refused_is_given_up(void **state)
{
    struct relay_fixture *f = *state;
    struct relay_options options = relay_options_default;
    options.attempts_max = 3;
    f->way.judge = letters_refused;
    postgres_run(f->pg, "insert into todo.dead_letters (consumer, topic, reason, attempts, event)"
                        " values ('email', 'task-reminders', 'no', 4, '{')");
    relay_open(f, &options);
    relay_until(f, postgres_int(f->pg, "select count(*) from todo.dead_letters where refused ="
                                       " 'as the test wants'") == 1);
}

/* ---- connections ---------------------------------------------------------------------------- */

static void a_connection_lost_again_and_again_loses_nothing(void **state)
{
    struct relay_fixture *f = *state;
    relay_insert(f, "task-events", 20000, 200);
    f->way.delay_ms = 5;
    relay_open(f, NULL);
    for (size_t at = 2000; at < 18000; at += 4000) {
        relay_until(f, f->way.got_count >= at);
        postgres_run(f->pg, "select pg_terminate_backend(pid) from pg_stat_activity"
                            " where application_name = 'todo-mcp-relay'");
    }
    relay_until(f, relay_unpublished(f) == 0);
    struct relay_stats stats;
    relay_stats(f->relay, &stats);
    assert_true(stats.terms >= 2);
    /* Each came; a repeat comes after what it repeats, so a consumer that drops repeats is right.
     */
    bool *seen = test_calloc(20001, sizeof(*seen));
    int64_t *last = test_calloc(4096, sizeof(*last));
    size_t fresh = 0;
    for (size_t i = 0; i < f->way.got_count; i++) {
        const struct got *g = &f->way.got[i];
        if (seen[g->number])
            continue;
        seen[g->number] = true;
        fresh++;
        assert_true(g->number > last[g->key]);
        last[g->key] = g->number;
    }
    assert_int_equal(fresh, 20000);
    test_free(seen);
    test_free(last);
}

static void a_leader_that_is_closed_lets_the_next_one_go_on_at_once(void **state)
{
    struct relay_fixture *f = *state;
    relay_open(f, NULL);
    relay_until(f, leads(f));
    struct relay *first = f->relay;
    relay_open(f, NULL); /* f->relay is the second now */
    for (int i = 0; i < 20; i++)
        uv_run(&f->loop, UV_RUN_ONCE);
    assert_false(leads(f));
    relay_insert(f, "task-events", 10, 10);
    relay_wake(f->relay); /* which rings for the first */
    relay_until(f, f->way.got_count == 10);
    struct relay_stats stats;
    relay_stats(first, &stats);
    assert_int_equal(stats.published, 10);
    uint64_t before = uv_hrtime();
    struct relay *second = f->relay;
    f->relay = first;
    relay_end(f);
    f->relay = second;
    relay_until(f, leads(f));
    assert_true(uv_hrtime() - before < 2000000000u);
}

static void a_close_settles_what_is_under_way(void **state)
{
    struct relay_fixture *f = *state;
    f->way.delay_ms = 100;
    relay_insert(f, "task-events", 1000, 500);
    relay_open(f, NULL);
    relay_until(f, f->way.in_flight == f->way.transport.publish_max - 3);
    uint64_t entries = f->way.entries;
    relay_end(f);
    assert_int_equal(f->way.got_count, entries);
    assert_int_equal(relay_unpublished(f), 1000 - (int64_t)entries);
}

static void a_close_does_not_wait_for_ever(void **state)
{
    struct relay_fixture *f = *state;
    relay_open(f, NULL);
    relay_until(f, leads(f));
    f->way.delay_ms = 8000;
    relay_insert(f, "task-events", 10, 10);
    relay_wake(f->relay);
    relay_until(f, f->way.in_flight >= 1);
    uint64_t before = uv_hrtime();
    relay_end(f); /* drains for 5 s */
    assert_true(uv_hrtime() - before < 7000000000u);
    relay_until(f, f->way.in_flight == 0); /* its answer finds nobody */
}

/* ---- the broker is swapped ------------------------------------------------------------------ */

static void a_swapped_broker_gets_what_the_old_one_may_hold(void **state)
{
    struct relay_fixture *f = *state;
    relay_insert(f, "task-events", 2500, 50);
    relay_open(f, NULL);
    relay_until(f, f->way.got_count == 2500 && relay_unpublished(f) == 0);
    snprintf(f->way.identity, sizeof(f->way.identity), "two"); /* under a leader that goes on */
    relay_until(f, f->way.got_count == 5000);
    f->way.got_count = 2500;
    relay_check_order(f, "task-events");
    f->way.got_count = 5000;
    relay_until(f, relay_unpublished(f) == 0);
    assert_string_equal(postgres_text(f->pg, "select broker from todo.relay"), "test two");
    relay_end(f);
    relay_open(f, NULL);
    relay_until(f, leads(f));
    assert_int_equal(f->way.got_count, 5000); /* the same broker: nothing again */
}

static void a_swap_while_nothing_ran_is_noticed_at_the_start(void **state)
{
    struct relay_fixture *f = *state;
    relay_insert(f, "task-events", 100, 50);
    relay_open(f, NULL);
    relay_until(f, relay_unpublished(f) == 0);
    relay_end(f);
    snprintf(f->way.identity, sizeof(f->way.identity), "two");
    relay_insert(f, "task-events", 1, 1);
    relay_open(f, NULL);
    relay_until(f, f->way.got_count == 201);
    assert_int_equal(f->way.got[200].number, 1); /* the new one after all the old ones */
    struct relay_stats stats;
    relay_stats(f->relay, &stats);
    assert_int_equal(stats.replayed, 100);
}

static void nothing_goes_out_while_the_broker_is_unknown(void **state)
{
    struct relay_fixture *f = *state;
    f->way.identity[0] = '\0';
    relay_insert(f, "task-events", 10, 10);
    relay_open(f, NULL);
    uint64_t until = uv_hrtime() + 1500000000u;
    while (uv_hrtime() < until)
        uv_run(&f->loop, UV_RUN_ONCE);
    assert_int_equal(f->way.publishes, 0);
    snprintf(f->way.identity, sizeof(f->way.identity), "one");
    relay_until(f, f->way.got_count == 10);
}

static void rows_of_old_that_are_to_go_again_go_as_fast_as_new_ones(void **state)
{
    struct relay_fixture *f = *state;
    relay_insert(f, "task-events", 10000, 500);
    relay_open(f, NULL);
    relay_until(f, f->way.got_count == 10000 && relay_unpublished(f) == 0);
    uint64_t until = uv_hrtime() + 4000000000u;
    while (uv_hrtime() < until) /* until the floor is above them */
        uv_run(&f->loop, UV_RUN_ONCE);
    postgres_run(f->pg, "update todo.outbox set published_at = null");
    uint64_t before = uv_hrtime();
    relay_wake(f->relay);
    relay_until(f, f->way.got_count == 20000);
    assert_true(uv_hrtime() - before < 8000000000u); /* 20 looks at everything take 20 s */
    relay_until(f, relay_unpublished(f) == 0);
}

/* ---- upkeep --------------------------------------------------------------------------------- */

static void what_is_old_is_purged(void **state)
{
    struct relay_fixture *f = *state;
    struct relay_options options = relay_options_default;
    postgres_run(f->pg,
                 "insert into todo.outbox (id, key, topic, type, data, created_at, published_at)"
                 " select (lpad(to_hex((extract(epoch from t) * 1000)::bigint), 12, '0') || '7'"
                 " || substr(gen_random_uuid()::text, 16))::uuid, '1', 'task-events',"
                 " 'TaskUpdatedEvent', '{}', t, t"
                 " from (select now() - make_interval(hours => 40 + n %% 20) as t"
                 " from generate_series(1, 2000) n) x");
    postgres_run(f->pg, "insert into todo.inbox (consumer, event_id, processed_at) select 'a',"
                        " gen_random_uuid(), now() - make_interval(days => 10 + n %% 10)"
                        " from generate_series(1, 1000) n");
    postgres_run(f->pg, "insert into todo.dead_letters (consumer, topic, reason, attempts, event,"
                        " published_at) select 'a', 't', 'r', 1, 'e',"
                        " now() - make_interval(days => 85 + n %% 10)"
                        " from generate_series(1, 100) n");
    relay_open(f, &options);
    relay_until(f, postgres_int(f->pg, "select count(*) from todo.dead_letters") == 50);
    assert_int_equal(postgres_int(f->pg, "select count(*) from todo.outbox"), 800);
    assert_int_equal(postgres_int(f->pg, "select count(*) from todo.inbox"), 400);
}

static void what_was_purged_makes_room_for_what_comes(void **state)
{
    struct relay_fixture *f = *state;
    struct relay_options options = relay_options_default;
    options.outbox_retention_s = 0;
    postgres_run(f->pg, "alter table todo.outbox set (autovacuum_enabled = false)");
    relay_insert(f, "task-events", 30000, 1000);
    relay_open(f, &options);
    relay_until(f, f->way.got_count == 30000);
    relay_until(f, postgres_int(f->pg, "select count(*) from todo.outbox") == 0);
    relay_until(f, postgres_int(f->pg, "select (pg_stat_get_vacuum_count('todo.outbox'::regclass)"
                                       " > 0)::integer")); /* by the relay itself */
    int64_t before = postgres_int(f->pg, "select pg_relation_size('todo.outbox')");
    relay_insert(f, "task-events", 20000, 1000);
    assert_int_equal(postgres_int(f->pg, "select pg_relation_size('todo.outbox')"), before);
    postgres_run(f->pg, "alter table todo.outbox reset (autovacuum_enabled)");
}

static void the_depth_and_the_oldest_are_known(void **state)
{
    struct relay_fixture *f = *state;
    struct relay_stats stats;
    f->way.judge = events_down;
    relay_insert(f, "task-events", 30, 3);
    relay_open(f, NULL);
    relay_stats(f->relay, &stats);
    assert_int_equal(stats.depth, -1);
    relay_until(f, (relay_stats(f->relay, &stats), stats.depth == 30));
    assert_true(stats.oldest_age_us > 0 && stats.is_leader);
    relay_until(f, (relay_stats(f->relay, &stats), stats.is_down));
    assert_int_equal(published(f), 0);
}

static void a_backlog_of_100000_goes_out(void **state)
{
    struct relay_fixture *f = *state;
    relay_insert(f, "task-events", 100000, 4000);
    relay_open(f, NULL);
    relay_until(f, f->way.got_count == 100000);
    relay_check_order(f, "task-events");
    relay_until(f, relay_unpublished(f) == 0);
    assert_true(f->way.in_flight_max <= f->way.transport.publish_max);
}

/* ---- memory --------------------------------------------------------------------------------- */

static void one_that_finds_no_memory_is_not_made(void **state)
{
    struct relay_fixture *f = *state;
    struct relay_options options = relay_options_default;
    struct mem_loop loop = {0};
    options.conninfo = &f->pg->secret;
    options.broker_id = "one";
    while (mem_loop_next(&loop)) {
        int status = relay_new(&f->loop, &options, &f->way.transport, &f->log, &f->relay, NULL);
        if (mem_loop_has_failed(&loop))
            assert_true(status == BASE_ENOMEM || status == DB_ENOMEM || !status);
        if (status)
            f->relay = NULL;
        else
            relay_end(f);
        for (int i = 0; i < 3; i++) /* what closes by itself */
            uv_run(&f->loop, UV_RUN_NOWAIT);
    }
}

/* Each allocation between a wake and the mark fails once: it takes longer, and that is all. */
static void memory_that_runs_out_costs_time_and_nothing_else(void **state)
{
    struct relay_fixture *f = *state;
    struct mem_loop loop = {0};
    size_t sent = 0;
    relay_open(f, NULL);
    relay_until(f, leads(f));
    while (mem_loop_next(&loop)) {
        mem_fail_nth(0); /* not what the test itself does */
        postgres_run(
            f->pg,
            "insert into todo.outbox (id, key, topic, type, traceparent, data)"
            " select todo.uuid_v7(), (n %% 2)::text, 'task-events', 'TaskUpdatedEvent', 't',"
            " jsonb_build_object('n', %d + n) from generate_series(1, 4) n order by n",
            (int)sent);
        sent += 4;
        mem_fail_nth(loop.nth);
        relay_wake(f->relay);
        relay_until(f, f->way.got_count >= sent && relay_unpublished(f) == 0);
        relay_check_order(f, "task-events");
    }
    assert_int_equal(f->way.got_count, sent);
    assert_true(loop.nth > 20);
}

/* ---- the bell ------------------------------------------------------------------------------- */

static void on_bell_closed(void *ctx)
{
    *(struct outbox_bell **)ctx = NULL;
}

static void on_pool_closed(void *ctx)
{
    *(struct db_pool **)ctx = NULL;
}

static void a_bell_wakes_the_leader_and_rings_once_for_many(void **state)
{
    struct relay_fixture *f = *state;
    struct db_pool_options options = db_pool_options_default;
    struct db_pool_stats stats;
    struct db_pool *pool;
    struct outbox_bell *bell;
    options.conninfo = &f->pg->secret;
    options.size = 1;
    assert_int_equal(db_pool_new(&f->loop, &options, &f->log, &pool, NULL), 0);
    assert_int_equal(outbox_bell_new(&f->loop, pool, &bell), 0);
    relay_open(f, NULL);
    relay_until(f, leads(f));
    for (size_t i = 1; i <= 5; i++) {
        relay_insert(f, "task-events", 1, 1);
        for (int n = 0; n < 100; n++)
            outbox_bell_ring(bell);
        relay_until(f, f->way.got_count == i);
    }
    outbox_bell_ring(bell);
    outbox_bell_close(bell, on_bell_closed, &bell);
    relay_until(f, !bell);
    db_pool_stats(pool, &stats);
    assert_true(stats.statements >= 5 && stats.statements < 50);
    db_pool_close(pool, 1000, on_pool_closed, &pool);
    relay_until(f, !pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        relay_test(rows_that_wait_are_published_in_order_and_marked),
        relay_test(the_bytes_are_a_cloudevent),
        relay_test(a_wake_brings_a_row_at_once),
        relay_test(a_notification_of_another_process_brings_a_row),
        relay_test(without_a_wake_the_poll_brings_a_row),
        relay_test(a_row_of_a_transaction_that_took_long_is_not_missed),
        relay_test(each_keys_order_holds_under_random_outcomes),
        relay_test(a_lane_that_is_down_waits_longer_each_time_and_counts_nothing),
        relay_test(a_poisoned_row_is_parked_and_holds_up_only_its_key),
        relay_test(dead_letters_go_out_as_they_came),
        relay_test(a_dead_letter_that_is_refused_is_given_up),
        relay_test(a_connection_lost_again_and_again_loses_nothing),
        relay_test(a_leader_that_is_closed_lets_the_next_one_go_on_at_once),
        relay_test(a_close_settles_what_is_under_way),
        relay_test(a_close_does_not_wait_for_ever),
        relay_test(a_swapped_broker_gets_what_the_old_one_may_hold),
        relay_test(a_swap_while_nothing_ran_is_noticed_at_the_start),
        relay_test(nothing_goes_out_while_the_broker_is_unknown),
        relay_test(rows_of_old_that_are_to_go_again_go_as_fast_as_new_ones),
        relay_test(what_is_old_is_purged),
        relay_test(what_was_purged_makes_room_for_what_comes),
        relay_test(the_depth_and_the_oldest_are_known),
        relay_test(a_backlog_of_100000_goes_out),
        relay_test(one_that_finds_no_memory_is_not_made),
        relay_test(memory_that_runs_out_costs_time_and_nothing_else),
        relay_test(a_bell_wakes_the_leader_and_rings_once_for_many),
    };
    return cmocka_run_group_tests(tests, postgres_setup, postgres_teardown);
}
