#include <inttypes.h>
#include <stdio.h>

#include "base/error.h"
#include "base/mem.h"
#include "db/call_int.h"
#include "db/outbox.h"
#include "db/outbox_int.h"

/* clang-format off */

#define COUNT_OF(from) "(select count(*) from (select " from " limit $1::integer) c)"
#define UNPUBLISHED(topic)                                                                         \
    "from todo.outbox o where o.topic = " topic " and o.published_at is null"                      \
    " and o.dead_reason is null"

const struct db_stmt upkeep_stmts[UPKEEP_STMTS] = {
    [UPKEEP_BROKER] = {
        .name = "relay_broker",
        .sql = "select 0, " OUTBOX_TERM("$1") ", (select r.broker from todo.relay r where r.is_only)",
        .param_count = 1},
    [UPKEEP_SET_BROKER] = {
        .name = "relay_set_broker",
        .sql = "with m as (insert into todo.relay (broker) select $2::text where " OUTBOX_TERM("$1")
               " on conflict (is_only) do update set broker = excluded.broker,"
               " changed_at = clock_timestamp() returning 1) select 0, " OUTBOX_TERM("$1")
               ", count(*) from m",
        .param_count = 2,
        .is_write = true},
    [UPKEEP_PURGE] = {
        .name = "outbox_purge",
        .sql = "with b as materialized (select o.id, o.published_at from todo.outbox o"
               " where o.id > $1::uuid and o.id < $2::uuid order by o.id limit $4::integer),"
               " d as (delete from todo.outbox o using b where o.id = b.id"
               " and b.published_at < $3::timestamptz and o.published_at < $3 returning 1)"
               " select 0, true, (select count(*) from b),"
               " (select b.id::text from b order by b.id desc limit 1), (select count(*) from d)",
        .param_count = 4,
        .is_write = true},
    [UPKEEP_REPLAY] = {
        .name = "outbox_replay",
        .sql = "with b as materialized (select o.id, o.published_at from todo.outbox o"
               " where o.id > $1::uuid and o.id < $2::uuid order by o.id limit $4::integer),"
               " d as (update todo.outbox o set published_at = null, attempts = 0 from b"
               " where o.id = b.id and o.published_at is not null"
               " and ($3::timestamptz is null or true) returning 1)"
               " select 0, true, (select count(*) from b),"
               " (select b.id::text from b order by b.id desc limit 1), (select count(*) from d)",
        .param_count = 4,
        .is_write = true},
    [UPKEEP_UNPARK] = {
        .name = "outbox_unpark",
        .sql = "with m as (update todo.outbox set dead_reason = null, attempts = 0"
               " where dead_reason is not null and ($1::uuid is null or id = $1) returning 1)"
               " select 0, true, count(*) from m",
        .param_count = 1,
        .is_write = true},
    [UPKEEP_PURGE_INBOX] = {
        .name = "inbox_purge",
        .sql = "with b as materialized (select i.consumer, i.event_id from todo.inbox i"
               " where i.processed_at < $1::timestamptz order by i.processed_at limit $2::integer),"
               " d as (delete from todo.inbox i using b where i.consumer = b.consumer"
               " and i.event_id = b.event_id returning 1) select 0, true, count(*) from d",
        .param_count = 2,
        .is_write = true},
    [UPKEEP_PURGE_LETTERS] = {
        .name = "dead_letter_purge",
        .sql = "with b as materialized (select d.id from todo.dead_letters d"
               " where d.published_at < $1::timestamptz order by d.seq limit $2::integer),"
               " d as (delete from todo.dead_letters d using b where d.id = b.id returning 1)"
               " select 0, true, count(*) from d",
        .param_count = 2,
        .is_write = true},
    /* A transaction that notifies has a commit of its own, which need not wait for the disk. */
    [UPKEEP_RING] = {
        .name = "outbox_ring",
        .sql = "select 0, set_config('synchronous_commit', 'off', true) is not null, 0,"
               " pg_notify('" DB_OUTBOX_CHANNEL "', '')",
        .is_slow = true},
    [UPKEEP_STATUS] = {
        .name = "outbox_status",
        .sql = "with t (topic) as (values ('task-events'), ('task-recurrence'), ('task-reminders')),"
               " s as (select t.topic, " COUNT_OF("1 " UNPUBLISHED("t.topic")) " as unpublished,"
               " (select count(*) from (select 1 from todo.outbox o where o.dead_reason is not null"
               " and o.topic = t.topic limit $1) c) as parked,"
               " (select o.created_at " UNPUBLISHED("t.topic") " order by o.seq limit 1) as oldest"
               " from t union all select 'task-events-dlq', "
               COUNT_OF("1 from todo.dead_letters d where d.published_at is null") ", 0,"
               " (select d.created_at from todo.dead_letters d where d.published_at is null"
               " order by d.seq limit 1))"
               " select s.topic, s.unpublished, s.parked, s.oldest,"
               " (select r.broker from todo.relay r where r.is_only),"
               " exists (select from pg_catalog.pg_locks l where " OUTBOX_LOCK_HELD "),"
               " pg_total_relation_size('todo.outbox'),"
               " (select c.reltuples::bigint from pg_catalog.pg_class c"
               " where c.oid = 'todo.outbox'::regclass) from s",
        .param_count = 1,
        .is_slow = true},
    [UPKEEP_PARKED] = {
        .name = "outbox_parked",
        .sql = "select o.seq, o.id::text, o.key, o.topic::text, o.type::text, o.dead_reason,"
               " o.attempts, o.created_at from todo.outbox o where o.dead_reason is not null"
               " and o.seq > $1::bigint order by o.seq limit $2::integer",
        .param_count = 2},
};

/* clang-format on */

/* ---- the broker ----------------------------------------------------------------------------- */

static void broker_done(struct db_call *call, int status, const struct db_result *res,
                        const struct error *err)
{
    bool is_held = !status && db_result_bool(res, 0, 1);
    struct slice broker = status ? SLICE_EMPTY : db_result_text(res, 0, 2);
    call->fn.outbox_broker(call->ctx, status, is_held, broker, err);
}

int db_outbox_broker(struct db_pool *p, struct slice term, db_outbox_broker_fn fn, void *ctx,
                     struct error *err)
{
    struct db_args args = {0};
    params_text(&args, term);
    const struct db_call call = {.pool = p,
                                 .stmt = &upkeep_stmts[UPKEEP_BROKER],
                                 .done = broker_done,
                                 .fn.outbox_broker = fn,
                                 .ctx = ctx};
    return call_submit(&call, &args, NULL, err);
}

int db_outbox_set_broker(struct db_pool *p, struct slice term, struct slice broker,
                         db_outbox_done_fn fn, void *ctx, struct error *err)
{
    struct db_args args = {0};
    params_text(&args, term);
    params_text(&args, broker);
    return outbox_submit(p, &upkeep_stmts[UPKEEP_SET_BROKER], &args, fn, ctx, err);
}

/* ---- ranges --------------------------------------------------------------------------------- */

void db_outbox_bound(int64_t time_us, char out[DB_OUTBOX_ID_SIZE])
{
    int64_t ms = time_us < 0 ? 0 : time_us / 1000;
    snprintf(out, DB_OUTBOX_ID_SIZE, "%08" PRIx64 "-%04" PRIx64 "-7000-8000-000000000000",
             (uint64_t)ms >> 16 & 0xffffffff, (uint64_t)ms & 0xffff);
}

static void batch_done(struct db_call *call, int status, const struct db_result *res,
                       const struct error *err)
{
    int64_t seen = status ? 0 : db_result_int(res, 0, 2);
    struct slice last = status ? SLICE_EMPTY : db_result_text(res, 0, 3);
    call->fn.outbox_batch(call->ctx, status, seen ? db_result_int(res, 0, 4) : 0, last, err);
}

static int submit_range(struct db_pool *p, const struct db_stmt *stmt,
                        const struct db_outbox_range *range, db_outbox_batch_fn fn, void *ctx,
                        struct error *err)
{
    struct db_args args = {0};
    params_text(&args, range->after);
    params_text(&args, range->until);
    params_time(&args, range->before_us);
    params_int(&args, range->limit);
    const struct db_call call = {
        .pool = p, .stmt = stmt, .done = batch_done, .fn.outbox_batch = fn, .ctx = ctx};
    return call_submit(&call, &args, NULL, err);
}

int db_outbox_purge(struct db_pool *p, const struct db_outbox_range *range, db_outbox_batch_fn fn,
                    void *ctx, struct error *err)
{
    return submit_range(p, &upkeep_stmts[UPKEEP_PURGE], range, fn, ctx, err);
}

int db_outbox_replay(struct db_pool *p, const struct db_outbox_range *range, db_outbox_batch_fn fn,
                     void *ctx, struct error *err)
{
    return submit_range(p, &upkeep_stmts[UPKEEP_REPLAY], range, fn, ctx, err);
}

int db_outbox_unpark(struct db_pool *p, struct slice id, db_outbox_done_fn fn, void *ctx,
                     struct error *err)
{
    struct db_args args = {0};
    params_text(&args, id);
    return outbox_submit(p, &upkeep_stmts[UPKEEP_UNPARK], &args, fn, ctx, err);
}

static int submit_before(struct db_pool *p, const struct db_stmt *stmt, int64_t before_us,
                         int limit, const struct db_call *callback, struct error *err)
{
    struct db_args args = {0};
    params_time(&args, before_us);
    params_int(&args, limit);
    return outbox_submit(p, stmt, &args, callback->fn.outbox_done, callback->ctx, err);
}

int db_outbox_purge_inbox(struct db_pool *p, int64_t before_us, int limit, db_outbox_done_fn fn,
                          void *ctx, struct error *err)
{
    const struct db_call callback = {.fn.outbox_done = fn, .ctx = ctx};
    return submit_before(p, &upkeep_stmts[UPKEEP_PURGE_INBOX], before_us, limit, &callback, err);
}

int db_outbox_purge_letters(struct db_pool *p, int64_t before_us, int limit, db_outbox_done_fn fn,
                            void *ctx, struct error *err)
{
    const struct db_call callback = {.fn.outbox_done = fn, .ctx = ctx};
    return submit_before(p, &upkeep_stmts[UPKEEP_PURGE_LETTERS], before_us, limit, &callback, err);
}

int db_outbox_ring(struct db_pool *p, db_outbox_done_fn fn, void *ctx, struct error *err)
{
    const struct db_args args = {0};
    return outbox_submit(p, &upkeep_stmts[UPKEEP_RING], &args, fn, ctx, err);
}

/* It waits for nobody's lock and gives none of the file back: whoever needed it this large will
 * again. */
static const struct db_stmt vacuum_stmt = {
    .name = "outbox_vacuum",
    .sql = "vacuum (truncate false, skip_locked) todo.outbox",
    .is_slow = true,
};

int db_outbox_vacuum(struct db_pool *p, db_outbox_done_fn fn, void *ctx, struct error *err)
{
    const struct db_args args = {0};
    return outbox_submit(p, &vacuum_stmt, &args, fn, ctx, err);
}

/* ---- how it stands -------------------------------------------------------------------------- */

enum {
    STATUS_TOPIC,
    STATUS_UNPUBLISHED,
    STATUS_PARKED,
    STATUS_OLDEST,
    STATUS_BROKER,
    STATUS_HAS_LEADER,
    STATUS_BYTES,
    STATUS_ROWS
};
#define TOPICS_MAX 8

static void status_done(struct db_call *call, int status, const struct db_result *res,
                        const struct error *err)
{
    struct db_outbox_topic topics[TOPICS_MAX];
    struct db_outbox_status s = {.topics = topics};
    if (!status) {
        s.count = db_result_rows(res) < TOPICS_MAX ? db_result_rows(res) : TOPICS_MAX;
        s.broker = db_result_text(res, 0, STATUS_BROKER);
        s.has_leader = db_result_bool(res, 0, STATUS_HAS_LEADER);
        s.outbox_bytes = db_result_int(res, 0, STATUS_BYTES);
        s.rows_estimate = db_result_int(res, 0, STATUS_ROWS);
    }
    for (int row = 0; row < s.count; row++)
        topics[row] = (struct db_outbox_topic){
            .topic = db_result_text(res, row, STATUS_TOPIC),
            .unpublished = db_result_int(res, row, STATUS_UNPUBLISHED),
            .parked = db_result_int(res, row, STATUS_PARKED),
            .oldest_at = db_result_time(res, row, STATUS_OLDEST),
        };
    call->fn.outbox_status(call->ctx, status, status ? NULL : &s, err);
}

int db_outbox_status(struct db_pool *p, int count_max, db_outbox_status_fn fn, void *ctx,
                     struct error *err)
{
    struct db_args args = {0};
    params_int(&args, count_max);
    const struct db_call call = {.pool = p,
                                 .stmt = &upkeep_stmts[UPKEEP_STATUS],
                                 .done = status_done,
                                 .fn.outbox_status = fn,
                                 .ctx = ctx};
    return call_submit(&call, &args, NULL, err);
}

enum {
    PARKED_SEQ,
    PARKED_ID,
    PARKED_KEY,
    PARKED_TOPIC,
    PARKED_TYPE,
    PARKED_REASON,
    PARKED_ATTEMPTS,
    PARKED_CREATED_AT
};

static void parked_done(struct db_call *call, int status, const struct db_result *res,
                        const struct error *err)
{
    struct error own;
    int count = status ? 0 : db_result_rows(res);
    struct db_outbox_parked *rows = status ? NULL : mem_calloc((size_t)count + 1, sizeof(*rows));
    if (!status && !rows) {
        status = error_set(&own, DB_ENOMEM, NULL, "out of memory");
        err = &own;
    }
    for (int row = 0; rows && row < count; row++)
        rows[row] = (struct db_outbox_parked){
            .seq = db_result_int(res, row, PARKED_SEQ),
            .id = db_result_text(res, row, PARKED_ID),
            .key = db_result_text(res, row, PARKED_KEY),
            .topic = db_result_text(res, row, PARKED_TOPIC),
            .type = db_result_text(res, row, PARKED_TYPE),
            .reason = db_result_text(res, row, PARKED_REASON),
            .attempts = db_result_int(res, row, PARKED_ATTEMPTS),
            .created_at = db_result_time(res, row, PARKED_CREATED_AT),
        };
    call->fn.outbox_parked(call->ctx, status, rows, status ? 0 : count, err);
    mem_free(rows);
}

int db_outbox_list_parked(struct db_pool *p, int64_t after_seq, int limit, db_outbox_parked_fn fn,
                          void *ctx, struct error *err)
{
    struct db_args args = {0};
    params_int(&args, after_seq);
    params_int(&args, limit);
    const struct db_call call = {.pool = p,
                                 .stmt = &upkeep_stmts[UPKEEP_PARKED],
                                 .done = parked_done,
                                 .fn.outbox_parked = fn,
                                 .ctx = ctx};
    return call_submit(&call, &args, NULL, err);
}
