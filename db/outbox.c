#include "db/outbox.h"

#include "base/buf.h"
#include "base/error.h"
#include "base/mem.h"
#include "db/call_int.h"
#include "db/outbox_int.h"

/* A lost mark is a repeat, so marks need not wait for the disk. */
#define SESSION_OPTIONS " -c synchronous_commit=off"
#define STATEMENT_MS    5000
#define UPKEEP_MS       120000

/* clang-format off */

/* The rows that are in the relay's memory are left out by a hash of their seq (`not in` of a
 * sub-select is one), since they may be thousands. */
#define UNKNOWN(known) "not in (select unnest(" known "::bigint[]))"

const struct db_stmt outbox_stmts[OUTBOX_STMTS] = {
    [OUTBOX_CLAIM] = {
        .name = "outbox_claim",
        .sql = "select case when " OUTBOX_TERM("$1") " then 1"
               " when pg_try_advisory_lock(" OUTBOX_LOCK_CLASS ", " OUTBOX_LOCK_OBJECT ")"
               " then case when set_config('todo.relay', $2, false) is not null then 2 end"
               " else 0 end, pg_snapshot_xmin(s)::text::bigint, pg_snapshot_xmax(s)::text::bigint"
               " from pg_current_snapshot() s",
        .param_count = 2},
    [OUTBOX_EVICT] = {
        .name = "outbox_evict",
        .sql = "select 0, true, count(*) filter (where x.is_ended) from (select"
               " pg_terminate_backend(l.pid) as is_ended from pg_catalog.pg_locks l"
               " cross join lateral pg_stat_get_activity(l.pid) a where " OUTBOX_LOCK_HELD
               " and (a.state = 'idle' or a.wait_event_type = 'Client')"
               " and a.state_change < clock_timestamp() - make_interval(secs => $1::float8 / 1000)"
               ") x",
        .param_count = 1},
    [OUTBOX_FETCH] = {
        .name = "outbox_fetch",
        .sql = "select l.lane::integer, o.seq, o.id::text, o.key, o.type::text, o.source,"
               " o.traceparent, o.created_at, o.attempts, o.data::text"
               " from unnest($1::text[], $2::bigint[], $3::integer[])"
               " with ordinality l (topic, floor, room, lane) cross join lateral"
               " (select o.* from todo.outbox o where o.topic = l.topic and o.published_at is null"
               " and o.dead_reason is null and o.seq > l.floor and o.seq " UNKNOWN("$4")
               " order by o.seq limit l.room) o where " OUTBOX_TERM("$5"),
        .param_count = 5},
    [OUTBOX_MARK] = {
        .name = "outbox_mark",
        .sql = "with m as (update todo.outbox set published_at = clock_timestamp()"
               " where id = any($1::uuid[]) and published_at is null and " OUTBOX_TERM("$2")
               " returning 1) select 0, " OUTBOX_TERM("$2") ", count(*) from m",
        .param_count = 2,
        .is_write = true},
    [OUTBOX_REFUSE] = {
        .name = "outbox_refuse",
        .sql = "with m as (update todo.outbox set attempts = attempts + 1, dead_reason ="
               " case when attempts + 1 >= $3::integer then coalesce(left($4::text, 1000), '') end"
               " where id = $1::uuid and published_at is null and " OUTBOX_TERM("$2")
               " returning dead_reason) select 0, " OUTBOX_TERM("$2")
               ", count(*) filter (where m.dead_reason is not null) from m",
        .param_count = 4,
        .is_write = true},
    [OUTBOX_LETTERS] = {
        .name = "outbox_letters",
        .sql = "select d.seq, d.id::text, d.event_id, d.key, d.topic, d.consumer, d.reason, d.event,"
               " d.attempts, d.created_at from todo.dead_letters d where d.published_at is null"
               " and d.seq " UNKNOWN("$1") " and " OUTBOX_TERM("$3")
               " order by d.seq limit $2::integer",
        .param_count = 3},
    [OUTBOX_MARK_LETTERS] = {
        .name = "outbox_mark_letters",
        .sql = "with m as (update todo.dead_letters set published_at = clock_timestamp()"
               " where id = any($1::uuid[]) and published_at is null and " OUTBOX_TERM("$2")
               " returning 1) select 0, " OUTBOX_TERM("$2") ", count(*) from m",
        .param_count = 2,
        .is_write = true},
    [OUTBOX_GIVE_UP_LETTER] = {
        .name = "outbox_give_up_letter",
        .sql = "with m as (update todo.dead_letters set published_at = clock_timestamp(),"
               " refused = coalesce(left($3::text, 1000), '')"
               " where id = $1::uuid and published_at is null and " OUTBOX_TERM("$2")
               " returning 1) select 0, " OUTBOX_TERM("$2") ", count(*) from m",
        .param_count = 3,
        .is_write = true},
};

/* clang-format on */

static int open_session(uv_loop_t *loop, const struct secret *conninfo, const char *name,
                        uint32_t statement_ms, const struct log *log, struct db_pool **out,
                        struct error *err)
{
    struct db_pool_options options = db_pool_options_default;
    options.conninfo = conninfo;
    options.size = 1;
    options.statement_ms = statement_ms;
    options.name = name;
    options.session_options = SESSION_OPTIONS;
    return db_pool_new(loop, &options, log, out, err);
}

int db_outbox_open(uv_loop_t *loop, const struct secret *conninfo, const struct log *log,
                   struct db_pool **out, struct error *err)
{
    return open_session(loop, conninfo, "todo-mcp-relay", STATEMENT_MS, log, out, err);
}

int db_outbox_open_upkeep(uv_loop_t *loop, const struct secret *conninfo, const struct log *log,
                          struct db_pool **out, struct error *err)
{
    return open_session(loop, conninfo, "todo-mcp-upkeep", UPKEEP_MS, log, out, err);
}

/* ---- outcome, is_held, count ---------------------------------------------------------------- */

static void done(struct db_call *call, int status, const struct db_result *res,
                 const struct error *err)
{
    bool has_row = !status && db_result_rows(res) > 0; /* a vacuum answers with none */
    bool is_held = has_row && db_result_bool(res, 0, 1);
    int64_t count = has_row ? db_result_int(res, 0, 2) : 0;
    call->fn.outbox_done(call->ctx, status, is_held, count, err);
}

int outbox_submit(struct db_pool *p, const struct db_stmt *stmt, const struct db_args *args,
                  db_outbox_done_fn fn, void *ctx, struct error *err)
{
    const struct db_call call = {
        .pool = p, .stmt = stmt, .done = done, .fn.outbox_done = fn, .ctx = ctx};
    return call_submit(&call, args, NULL, err);
}

int db_outbox_mark(struct db_pool *p, struct slice term, struct slice ids, db_outbox_done_fn fn,
                   void *ctx, struct error *err)
{
    struct db_args args = {0};
    params_text(&args, ids);
    params_text(&args, term);
    return outbox_submit(p, &outbox_stmts[OUTBOX_MARK], &args, fn, ctx, err);
}

int db_outbox_mark_letters(struct db_pool *p, struct slice term, struct slice ids,
                           db_outbox_done_fn fn, void *ctx, struct error *err)
{
    struct db_args args = {0};
    params_text(&args, ids);
    params_text(&args, term);
    return outbox_submit(p, &outbox_stmts[OUTBOX_MARK_LETTERS], &args, fn, ctx, err);
}

int db_outbox_refuse(struct db_pool *p, struct slice term, struct slice id, struct slice reason,
                     uint32_t attempts_max, db_outbox_done_fn fn, void *ctx, struct error *err)
{
    struct db_args args = {0};
    params_text(&args, id);
    params_text(&args, term);
    params_int(&args, attempts_max);
    params_text(&args, reason);
    return outbox_submit(p, &outbox_stmts[OUTBOX_REFUSE], &args, fn, ctx, err);
}

int db_outbox_give_up_letter(struct db_pool *p, struct slice term, struct slice id,
                             struct slice reason, db_outbox_done_fn fn, void *ctx,
                             struct error *err)
{
    struct db_args args = {0};
    params_text(&args, id);
    params_text(&args, term);
    params_text(&args, reason);
    return outbox_submit(p, &outbox_stmts[OUTBOX_GIVE_UP_LETTER], &args, fn, ctx, err);
}

int db_outbox_evict(struct db_pool *p, uint32_t silent_ms, db_outbox_done_fn fn, void *ctx,
                    struct error *err)
{
    struct db_args args = {0};
    params_int(&args, silent_ms);
    return outbox_submit(p, &outbox_stmts[OUTBOX_EVICT], &args, fn, ctx, err);
}

/* ---- the lock ------------------------------------------------------------------------------- */

static void claim_done(struct db_call *call, int status, const struct db_result *res,
                       const struct error *err)
{
    struct db_outbox_standing standing = {0};
    if (!status)
        standing = (struct db_outbox_standing){
            .claim = (enum db_outbox_claim)db_result_int(res, 0, 0),
            .xmin = db_result_int(res, 0, 1),
            .xmax = db_result_int(res, 0, 2),
        };
    call->fn.outbox_claim(call->ctx, status, &standing, err);
}

int db_outbox_claim(struct db_pool *p, struct slice term, struct slice next, db_outbox_claim_fn fn,
                    void *ctx, struct error *err)
{
    struct db_args args = {0};
    params_text(&args, term);
    params_text(&args, next);
    const struct db_call call = {.pool = p,
                                 .stmt = &outbox_stmts[OUTBOX_CLAIM],
                                 .done = claim_done,
                                 .fn.outbox_claim = fn,
                                 .ctx = ctx};
    return call_submit(&call, &args, NULL, err);
}

/* ---- rows ----------------------------------------------------------------------------------- */

enum {
    ROW_LANE,
    ROW_SEQ,
    ROW_ID,
    ROW_KEY,
    ROW_TYPE,
    ROW_SOURCE,
    ROW_TRACEPARENT,
    ROW_CREATED_AT,
    ROW_ATTEMPTS,
    ROW_DATA
};

static void decode_row(const struct db_result *res, int row, struct db_outbox_row *out)
{
    *out = (struct db_outbox_row){
        .lane = (int)db_result_int(res, row, ROW_LANE) - 1,
        .seq = db_result_int(res, row, ROW_SEQ),
        .id = db_result_text(res, row, ROW_ID),
        .key = db_result_text(res, row, ROW_KEY),
        .type = db_result_text(res, row, ROW_TYPE),
        .source = db_result_text(res, row, ROW_SOURCE),
        .traceparent = db_result_text(res, row, ROW_TRACEPARENT),
        .created_at = db_result_time(res, row, ROW_CREATED_AT),
        .attempts = db_result_int(res, row, ROW_ATTEMPTS),
        .data = db_result_text(res, row, ROW_DATA),
    };
}

static void fetch_done(struct db_call *call, int status, const struct db_result *res,
                       const struct error *err)
{
    struct error own;
    int count = status ? 0 : db_result_rows(res);
    struct db_outbox_row *rows = status ? NULL : mem_calloc((size_t)count + 1, sizeof(*rows));
    if (!status && !rows) {
        status = error_set(&own, DB_ENOMEM, NULL, "out of memory");
        err = &own;
    }
    for (int row = 0; rows && row < count; row++)
        decode_row(res, row, &rows[row]);
    call->fn.outbox_fetch(call->ctx, status, rows, status ? 0 : count, err);
    mem_free(rows);
}

/* The lanes as three arrays: topics are names of ours, which need no quotes. */
static int print_lanes(struct buf out[3], const struct db_outbox_lane *lanes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char before = i ? ',' : '{';
        for (int k = 0; k < 3; k++)
            buf_append_char(&out[k], before);
        buf_append_slice(&out[0], lanes[i].topic);
        buf_append_i64(&out[1], lanes[i].floor);
        buf_append_i64(&out[2], lanes[i].room);
    }
    int status = 0;
    for (int i = 0; i < 3; i++) {
        buf_append_char(&out[i], '}');
        status |= buf_status(&out[i]);
    }
    return status ? DB_ENOMEM : 0;
}

int db_outbox_fetch(struct db_pool *p, struct slice term, const struct db_outbox_lane *lanes,
                    size_t lane_count, struct slice known, db_outbox_fetch_fn fn, void *ctx,
                    struct error *err)
{
    char text[3][512];
    struct buf arrays[3];
    struct db_args args = {0};
    const struct db_call call = {.pool = p,
                                 .stmt = &outbox_stmts[OUTBOX_FETCH],
                                 .done = fetch_done,
                                 .fn.outbox_fetch = fn,
                                 .ctx = ctx};
    for (int i = 0; i < 3; i++)
        buf_init_fixed(&arrays[i], text[i], sizeof(text[i]));
    if (print_lanes(arrays, lanes, lane_count))
        return error_set(err, DB_ENOMEM, NULL, "too many lanes");
    for (int i = 0; i < 3; i++)
        params_text(&args, buf_slice(&arrays[i]));
    params_text(&args, known);
    params_text(&args, term);
    return call_submit(&call, &args, NULL, err);
}

/* ---- dead letters --------------------------------------------------------------------------- */

enum {
    LETTER_SEQ,
    LETTER_ID,
    LETTER_EVENT_ID,
    LETTER_KEY,
    LETTER_TOPIC,
    LETTER_CONSUMER,
    LETTER_REASON,
    LETTER_EVENT,
    LETTER_ATTEMPTS,
    LETTER_CREATED_AT
};

static void decode_letter(const struct db_result *res, int row, struct db_outbox_letter *out)
{
    *out = (struct db_outbox_letter){
        .seq = db_result_int(res, row, LETTER_SEQ),
        .id = db_result_text(res, row, LETTER_ID),
        .event_id = db_result_text(res, row, LETTER_EVENT_ID),
        .key = db_result_text(res, row, LETTER_KEY),
        .topic = db_result_text(res, row, LETTER_TOPIC),
        .consumer = db_result_text(res, row, LETTER_CONSUMER),
        .reason = db_result_text(res, row, LETTER_REASON),
        .event = db_result_text(res, row, LETTER_EVENT),
        .attempts = db_result_int(res, row, LETTER_ATTEMPTS),
        .created_at = db_result_time(res, row, LETTER_CREATED_AT),
    };
}

static void letters_done(struct db_call *call, int status, const struct db_result *res,
                         const struct error *err)
{
    struct error own;
    int count = status ? 0 : db_result_rows(res);
    struct db_outbox_letter *letters =
        status ? NULL : mem_calloc((size_t)count + 1, sizeof(*letters));
    if (!status && !letters) {
        status = error_set(&own, DB_ENOMEM, NULL, "out of memory");
        err = &own;
    }
    for (int row = 0; letters && row < count; row++)
        decode_letter(res, row, &letters[row]);
    call->fn.outbox_letters(call->ctx, status, letters, status ? 0 : count, err);
    mem_free(letters);
}

int db_outbox_letters(struct db_pool *p, struct slice term, struct slice known, int room,
                      db_outbox_letters_fn fn, void *ctx, struct error *err)
{
    struct db_args args = {0};
    params_text(&args, known);
    params_int(&args, room);
    params_text(&args, term);
    const struct db_call call = {.pool = p,
                                 .stmt = &outbox_stmts[OUTBOX_LETTERS],
                                 .done = letters_done,
                                 .fn.outbox_letters = fn,
                                 .ctx = ctx};
    return call_submit(&call, &args, NULL, err);
}
