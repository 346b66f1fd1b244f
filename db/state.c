#include "db/state.h"

#include "base/error.h"
#include "db/call_int.h"
#include "db/state_int.h"

#define IS_ALIVE "(s.expires_at is null or s.expires_at > clock_timestamp())"
/* An interval of null, and so a null time, where there is no time to live. */
#define EXPIRY "clock_timestamp() + $3::integer * interval '1 second'"

/* Writers of one key wait for one another at its row, and each sees what the one before has left:
 * the conditions are looked at again then. */
const struct db_stmt state_stmts[STATE_STMTS] = {
    [STATE_GET] = {.name = "state_get",
                   .sql = "select s.value::text, s.etag::text from todo.state s"
                          " where s.key = $1::text and " IS_ALIVE,
                   .param_count = 1},
    [STATE_SAVE] = {.name = "state_save",
                    .sql = "with w as (insert into todo.state as s (key, value, expires_at)"
                           " values ($1::text, $2::json, " EXPIRY ")"
                           " on conflict (key) do update set value = excluded.value,"
                           " etag = excluded.etag, expires_at = excluded.expires_at"
                           " where not ($4::boolean and " IS_ALIVE ") returning 1)"
                           " select count(*) from w",
                    .param_count = 4,
                    .is_write = true},
    [STATE_SAVE_UNCHANGED] = {.name = "state_save_unchanged",
                              .sql = "with w as (update todo.state s set value = $2::json,"
                                     " etag = gen_random_uuid(), expires_at = " EXPIRY
                                     " where s.key = $1::text and s.etag::text = $4::text"
                                     " and " IS_ALIVE " returning 1) select count(*) from w",
                              .param_count = 4,
                              .is_write = true},
    [STATE_DELETE] = {.name = "state_delete",
                      .sql = "with w as (delete from todo.state s where s.key = $1::text"
                             " returning 1) select count(*) from w",
                      .param_count = 1,
                      .is_write = true},
    [STATE_PRUNE] = {.name = "state_prune",
                     .sql = "with w as (delete from todo.state s where s.key = any (array("
                            " select x.key from todo.state x"
                            " where x.expires_at <= clock_timestamp()"
                            " order by x.expires_at limit $1::integer for update skip locked))"
                            " returning 1) select count(*) from w",
                     .param_count = 1,
                     .is_write = true},
};

enum { COL_VALUE, COL_ETAG };

static void get_done(struct db_call *call, int status, const struct db_result *res,
                     const struct error *err)
{
    struct db_state_reply reply = {0};
    if (!status && db_result_rows(res) > 0)
        reply = (struct db_state_reply){
            .is_found = true,
            .value = db_result_text(res, 0, COL_VALUE),
            .etag = db_result_text(res, 0, COL_ETAG),
        };
    call->fn.state(call->ctx, status, status ? NULL : &reply, err);
}

static void write_done(struct db_call *call, int status, const struct db_result *res,
                       const struct error *err)
{
    struct db_state_reply reply = {0};
    if (!status) {
        reply.count = db_result_int(res, 0, 0);
        reply.is_done = reply.count > 0;
    }
    call->fn.state(call->ctx, status, status ? NULL : &reply, err);
}

static int submit(struct db_pool *p, int which, const struct db_args *args, db_state_fn fn,
                  void *ctx, db_op_id *id, struct error *err)
{
    struct db_call call = {.pool = p,
                           .stmt = &state_stmts[which],
                           .done = which == STATE_GET ? get_done : write_done,
                           .fn.state = fn,
                           .ctx = ctx};
    return call_submit(&call, args, id, err);
}

int db_state_get(struct db_pool *p, struct slice key, db_state_fn fn, void *ctx, db_op_id *id,
                 struct error *err)
{
    struct db_args args = {0};
    params_text(&args, key);
    return submit(p, STATE_GET, &args, fn, ctx, id, err);
}

int db_state_save(struct db_pool *p, const struct db_state_save *save, db_state_fn fn, void *ctx,
                  db_op_id *id, struct error *err)
{
    struct db_args args = {0};
    params_text(&args, save->key);
    params_text(&args, save->value);
    if (save->ttl_s > 0)
        params_int(&args, save->ttl_s);
    else
        params_null(&args);
    if (save->etag.len > 0)
        params_text(&args, save->etag);
    else
        params_bool(&args, save->is_if_absent);
    return submit(p, save->etag.len > 0 ? STATE_SAVE_UNCHANGED : STATE_SAVE, &args, fn, ctx, id,
                  err);
}

int db_state_delete(struct db_pool *p, struct slice key, db_state_fn fn, void *ctx, db_op_id *id,
                    struct error *err)
{
    struct db_args args = {0};
    params_text(&args, key);
    return submit(p, STATE_DELETE, &args, fn, ctx, id, err);
}

int db_state_prune(struct db_pool *p, int limit, db_state_fn fn, void *ctx, db_op_id *id,
                   struct error *err)
{
    struct db_args args = {0};
    params_int(&args, limit);
    return submit(p, STATE_PRUNE, &args, fn, ctx, id, err);
}
