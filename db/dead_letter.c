#include "db/dead_letter.h"

#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/mem.h"
#include "db/call_int.h"
#include "db/dead_letter_int.h"

#define EVENT_BYTES_MAX (64u << 20)

enum {
    COL_SEQ,
    COL_ID,
    COL_CONSUMER,
    COL_EVENT_ID,
    COL_KEY,
    COL_TOPIC,
    COL_REASON,
    COL_EVENT,
    COL_ATTEMPTS,
    COL_CREATED_AT,
    COL_PUBLISHED_AT,
    COL_REPLAYED_AT
};
#define COLUMNS                                                                                    \
    "d.seq, d.id::text, d.consumer, d.event_id, d.key, d.topic, d.reason, d.event, d.attempts,"    \
    " d.created_at, d.published_at, d.replayed_at"

/* clang-format off */

const struct db_stmt dead_letter_stmts[DEAD_LETTER_STMTS] = {
    [DEAD_LETTER_ADD] = {
        .name = "dead_letter_add",
        .sql = "with d as (insert into todo.dead_letters"
               " (consumer, event_id, key, topic, reason, attempts, event)"
               " values ($1::text, $2::text, coalesce($3::text, ''), coalesce($4::text, ''),"
               " coalesce(left($5::text, 1000), ''), $6::integer, $7::bytea)"
               " on conflict (consumer, event_id) where event_id is not null"
               " and replayed_at is null do nothing returning id)"
               " select 0, exists (select from d)",
        .param_count = 7,
        .is_write = true},
    [DEAD_LETTER_LIST] = {
        .name = "dead_letter_list",
        .sql = "select " COLUMNS " from todo.dead_letters d where d.seq > $1::bigint"
               " and ($2::boolean or d.replayed_at is null) order by d.seq limit $3::integer",
        .param_count = 3},
    [DEAD_LETTER_GET] = {
        .name = "dead_letter_get",
        .sql = "select " COLUMNS " from todo.dead_letters d where d.id = $1::uuid",
        .param_count = 1},
    /* The letter's row is locked first, so that of two replays at once the second finds it done. An
     * event that is not marked yet may be with the broker already: the mark would undo the replay. */
    [DEAD_LETTER_REPLAY] = {
        .name = "dead_letter_replay",
        .sql = "with d as materialized (select d.id, d.replayed_at from todo.dead_letters d"
               " where d.id = $1::uuid for update),"
               " kept as (update todo.outbox o set published_at = null, attempts = 0,"
               " dead_reason = null from d where o.id = $2::uuid and d.replayed_at is null"
               " and (o.published_at is not null or o.dead_reason is not null) returning o.id),"
               " made as (insert into todo.outbox"
               " (id, key, topic, type, source, traceparent, created_at, data)"
               " select $2, $3::text, $4::text, $5::text, $6::text, $7::text, $8::timestamptz,"
               " $9::jsonb from d where d.replayed_at is null and $9 is not null"
               " and not exists (select from todo.outbox x where x.id = $2) returning id),"
               " again as (select id from kept union all select id from made),"
               " r as (update todo.dead_letters t set replayed_at = clock_timestamp()"
               " from d, again where t.id = d.id returning t.id)"
               " select case when not exists (select from d) then 0"
               " when exists (select from r) then 3"
               " when (select d.replayed_at from d) is not null then 1"
               " when exists (select from todo.outbox x where x.id = $2) then 4 else 2 end",
        .param_count = 9,
        .is_write = true},
};

/* clang-format on */

/* ---- add ------------------------------------------------------------------------------------ */

static void add_done(struct db_call *call, int status, const struct db_result *res,
                     const struct error *err)
{
    bool is_fresh = !status && db_result_bool(res, 0, 1);
    call->fn.dead_letter_add(call->ctx, status, is_fresh, err);
}

/* PostgreSQL's text for bytea: "\x" and hexadecimal digits. */
static int append_hex(struct buf *out, struct slice bytes)
{
    static const char digits[] = "0123456789abcdef";
    if (bytes.len > EVENT_BYTES_MAX || buf_reserve(out, 2 + 2 * bytes.len))
        return DB_ENOMEM;
    buf_append(out, "\\x", 2);
    for (size_t i = 0; i < bytes.len; i++) {
        unsigned char byte = (unsigned char)bytes.ptr[i];
        buf_append_char(out, digits[byte >> 4]);
        buf_append_char(out, digits[byte & 15]);
    }
    return 0;
}

int db_dead_letter_add(struct db_pool *p, const struct db_dead_letter_new *letter,
                       db_dead_letter_add_fn fn, void *ctx, db_op_id *id, struct error *err)
{
    struct buf hex;
    struct db_args args = {0};
    struct db_call call = {.pool = p,
                           .stmt = &dead_letter_stmts[DEAD_LETTER_ADD],
                           .done = add_done,
                           .fn.dead_letter_add = fn,
                           .ctx = ctx};
    buf_init(&hex, 2 * (size_t)EVENT_BYTES_MAX + 2);
    int status = append_hex(&hex, letter->event);
    if (status) {
        error_set(err, status, NULL, "out of memory");
        goto out;
    }
    params_text(&args, letter->consumer);
    params_text(&args, letter->event_id);
    params_text(&args, letter->key);
    params_text(&args, letter->topic);
    params_text(&args, letter->reason);
    params_int(&args, letter->attempts);
    params_text(&args, buf_slice(&hex));
    status = call_submit(&call, &args, id, err);
out:
    buf_deinit(&hex);
    return status;
}

/* ---- list ----------------------------------------------------------------------------------- */

static void decode_letter(const struct db_result *res, int row, struct db_dead_letter *out)
{
    *out = (struct db_dead_letter){
        .seq = db_result_int(res, row, COL_SEQ),
        .id = db_result_text(res, row, COL_ID),
        .consumer = db_result_text(res, row, COL_CONSUMER),
        .event_id = db_result_text(res, row, COL_EVENT_ID),
        .key = db_result_text(res, row, COL_KEY),
        .topic = db_result_text(res, row, COL_TOPIC),
        .reason = db_result_text(res, row, COL_REASON),
        .event = db_result_text(res, row, COL_EVENT),
        .attempts = db_result_int(res, row, COL_ATTEMPTS),
        .created_at = db_result_time(res, row, COL_CREATED_AT),
        .published_at = db_result_time(res, row, COL_PUBLISHED_AT),
        .replayed_at = db_result_time(res, row, COL_REPLAYED_AT),
    };
}

static void list_done(struct db_call *call, int status, const struct db_result *res,
                      const struct error *err)
{
    struct error own;
    int rows = status ? 0 : db_result_rows(res);
    struct db_dead_letter *letters = status ? NULL : mem_calloc((size_t)rows + 1, sizeof(*letters));
    if (!status && !letters) {
        status = error_set(&own, DB_ENOMEM, NULL, "out of memory");
        err = &own;
    }
    for (int row = 0; letters && row < rows; row++)
        decode_letter(res, row, &letters[row]);
    const struct db_dead_letter_reply reply = {.letters = letters, .count = rows};
    call->fn.dead_letter(call->ctx, status, status ? NULL : &reply, err);
    mem_free(letters);
}

int db_dead_letter_list(struct db_pool *p, int64_t after_seq, bool with_replayed, int limit,
                        db_dead_letter_fn fn, void *ctx, db_op_id *id, struct error *err)
{
    struct db_args args = {0};
    params_int(&args, after_seq);
    params_bool(&args, with_replayed);
    params_int(&args, limit);
    struct db_call call = {.pool = p,
                           .stmt = &dead_letter_stmts[DEAD_LETTER_LIST],
                           .done = list_done,
                           .fn.dead_letter = fn,
                           .ctx = ctx};
    return call_submit(&call, &args, id, err);
}

int db_dead_letter_get(struct db_pool *p, struct slice letter_id, db_dead_letter_fn fn, void *ctx,
                       db_op_id *id, struct error *err)
{
    struct db_args args = {0};
    params_text(&args, letter_id);
    struct db_call call = {.pool = p,
                           .stmt = &dead_letter_stmts[DEAD_LETTER_GET],
                           .done = list_done,
                           .fn.dead_letter = fn,
                           .ctx = ctx};
    return call_submit(&call, &args, id, err);
}

/* ---- replay --------------------------------------------------------------------------------- */

static void replay_done(struct db_call *call, int status, const struct db_result *res,
                        const struct error *err)
{
    enum db_replay outcome =
        status ? DB_REPLAY_NOT_FOUND : (enum db_replay)db_result_int(res, 0, 0);
    call->fn.replay(call->ctx, status, outcome, err);
}

int db_dead_letter_replay(struct db_pool *p, struct slice letter_id, struct slice event_id,
                          const struct db_event_row *made, db_replay_fn fn, void *ctx, db_op_id *id,
                          struct error *err)
{
    static const struct db_event_row none;
    const struct db_event_row *row = made ? made : &none;
    struct db_args args = {0};
    params_text(&args, letter_id);
    params_text(&args, event_id);
    params_text(&args, row->key);
    params_text(&args, row->topic);
    params_text(&args, row->type);
    params_text(&args, row->source);
    params_text(&args, row->traceparent);
    params_text(&args, row->time);
    params_text(&args, row->data);
    struct db_call call = {.pool = p,
                           .stmt = &dead_letter_stmts[DEAD_LETTER_REPLAY],
                           .done = replay_done,
                           .fn.replay = fn,
                           .ctx = ctx};
    return call_submit(&call, &args, id, err);
}
