/* What the model of the protocol found in the relay (docs/model.md), against a real PostgreSQL. */
#include "relay_fixture.h"

#include "base/error.h"
#include "db/outbox.h"
#include "db/pool.h"

static bool leads(const struct relay_fixture *f)
{
    struct relay_stats stats;
    relay_stats(f->relay, &stats);
    return stats.is_leader;
}

static void insert(struct relay_fixture *f, int key, int number)
{
    postgres_run(
        f->pg,
        "insert into todo.outbox (id, key, topic, type, data) values (todo.uuid_v7(), '%d',"
        " 'task-events', 'TaskUpdatedEvent', '{\"n\": %d}')",
        key, number);
}

static void name_broker(struct relay_fixture *f, const char *name)
{
    snprintf(f->way.identity, sizeof(f->way.identity), "%s", name);
    f->way.identities = 0;
}

/* ---- a sidecar that comes back with another broker ------------------------------------------ */

static void after_a_restart_of_the_way_old_events_go_before_new_ones(void **state)
{
    struct relay_fixture *f = *state;
    insert(f, 7, 1);
    relay_open(f, NULL);
    relay_until(f, f->way.got_count == 1 && relay_unpublished(f) == 0);
    name_broker(f, ""); /* it is away, and no event finds out */
    relay_until(f, f->way.identities > 0);
    name_broker(f, "two");
    insert(f, 7, 2);
    relay_wake(f->relay);
    relay_until(f, f->way.got_count == 3);
    assert_int_equal(f->way.got[1].number, 1);
    assert_int_equal(f->way.got[2].number, 2);
}

/* ---- a mark that comes late ----------------------------------------------------------------- */

/* The mark waits for a row and ends in a deadlock, so that the pool runs it again: not behind the
 * replay, which has skipped its rows then because they were not marked yet. */
static void a_mark_that_is_run_again_hides_nothing_from_the_new_broker(void **state)
{
    struct relay_fixture *f = *state;
    PGconn *other = PQconnectdb(f->pg->conninfo);
    PQclear(PQexec(other, "set deadlock_timeout = '20s'")); /* it is not the one to give way */
    insert(f, 1, 1);
    insert(f, 2, 2);
    PQclear(PQexec(other, "begin"));
    PQclear(PQexec(other, "select from todo.outbox where key = '2' for update"));
    relay_open(f, NULL);
    relay_until(f, f->way.got_count == 2);
    name_broker(f, "two");
    relay_until(f, f->way.identities > 0);
    assert_int_equal(PQsendQuery(other, "update todo.outbox set attempts = 0"
                                        " where key = '1'; rollback"),
                     1);
    relay_until(f, PQconsumeInput(other) && !PQisBusy(other));
    relay_until(f, f->way.got_count == 4 && relay_unpublished(f) == 0);
    assert_string_equal(postgres_text(f->pg, "select broker from todo.relay"), "test two");
    PQfinish(other);
}

/* ---- the lock taken anew -------------------------------------------------------------------- */

struct session {
    struct db_pool *pool;
    int claims;
    enum db_outbox_claim standing;
    bool is_marked, is_held;
    int64_t count;
};

static void on_claim(void *ctx, int status, const struct db_outbox_standing *standing,
                     const struct error *err)
{
    struct session *s = ctx;
    (void)err;
    if (status)
        return;
    s->claims++;
    s->standing = standing->claim;
}

static void on_marked(void *ctx, int status, bool is_held, int64_t count, const struct error *err)
{
    struct session *s = ctx;
    (void)err;
    assert_int_equal(status, 0);
    s->is_marked = true;
    s->is_held = is_held;
    s->count = count;
}

static void on_pool_closed(void *ctx)
{
    *(struct db_pool **)ctx = NULL;
}

static void claim(struct session *s, const char *term, const char *next)
{
    assert_int_equal(
        db_outbox_claim(s->pool, slice_from_cstr(term), slice_from_cstr(next), on_claim, s, NULL),
        0);
}

static void mark(struct relay_fixture *f, struct session *s, const char *term)
{
    const char *ids = postgres_text(f->pg, "select array_agg(id) from todo.outbox");
    s->is_marked = false;
    assert_int_equal(
        db_outbox_mark(s->pool, slice_from_cstr(term), slice_from_cstr(ids), on_marked, s, NULL),
        0);
    relay_until(f, s->is_marked);
}

/* Of a relay that was cut off, in whose absence another may have led and swapped the broker. */
static void a_mark_of_before_changes_nothing_though_its_relay_leads_again(void **state)
{
    struct relay_fixture *f = *state;
    struct session s = {0};
    insert(f, 7, 1);
    assert_int_equal(db_outbox_open(&f->loop, &f->pg->secret, &f->log, &s.pool, NULL), 0);
    claim(&s, "term 0", "term 1");
    relay_until(f, s.claims == 1);
    assert_int_equal(s.standing, DB_OUTBOX_TAKEN);
    claim(&s, "term 1", "term 2");
    relay_until(f, s.claims == 2);
    assert_int_equal(s.standing, DB_OUTBOX_HELD);
    postgres_run(f->pg, "select pg_terminate_backend(pid) from pg_stat_activity"
                        " where application_name = 'todo-mcp-relay'");
    relay_until(f, !db_pool_is_ready(s.pool));
    claim(&s, "term 1", "term 2");
    relay_until(f, s.claims == 3);
    assert_int_equal(s.standing, DB_OUTBOX_TAKEN);
    mark(f, &s, "term 1");
    assert_false(s.is_held);
    assert_int_equal(relay_unpublished(f), 1);
    mark(f, &s, "term 2");
    assert_true(s.is_held);
    assert_int_equal(relay_unpublished(f), 0);
    db_pool_close(s.pool, 1000, on_pool_closed, &s.pool);
    relay_until(f, !s.pool);
}

static void a_relay_leads_with_another_term_after_each_cut(void **state)
{
    struct relay_fixture *f = *state;
    relay_open(f, NULL);
    for (uint64_t term = 1; term <= 4; term++) {
        struct relay_stats stats = {0};
        while (stats.terms < term || !leads(f)) {
            uv_run(&f->loop, UV_RUN_ONCE);
            relay_stats(f->relay, &stats);
        }
        relay_insert(f, "task-events", 5, 5);
        relay_wake(f->relay);
        relay_until(f, f->way.got_count == 5 * term && relay_unpublished(f) == 0);
        postgres_run(f->pg, "select pg_terminate_backend(pid) from pg_stat_activity"
                            " where application_name = 'todo-mcp-relay'");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        relay_test(after_a_restart_of_the_way_old_events_go_before_new_ones),
        relay_test(a_mark_that_is_run_again_hides_nothing_from_the_new_broker),
        relay_test(a_mark_of_before_changes_nothing_though_its_relay_leads_again),
        relay_test(a_relay_leads_with_another_term_after_each_cut),
    };
    return cmocka_run_group_tests(tests, postgres_setup, postgres_teardown);
}
