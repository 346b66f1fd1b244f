#include "db/inbox.h"

#include "db/call_int.h"
#include "db/inbox_int.h"

enum { COL_OUTCOME, COL_IS_FRESH };

const struct db_stmt inbox_add_stmt = {
    .name = "inbox_add",
    .sql = "with " INBOX_CLAIM("$1::text", "$2::uuid") " select 0, exists (select from claim)",
    .param_count = 2,
    .is_write = true,
};

const struct db_stmt inbox_look_stmt = {
    .name = "inbox_look",
    .sql = "select 0, not exists (select from todo.inbox i"
           " where i.consumer = $1::text and i.event_id = $2::uuid)",
    .param_count = 2,
};

static void inbox_done(struct db_call *call, int status, const struct db_result *res,
                       const struct error *err)
{
    bool is_fresh = !status && db_result_bool(res, 0, COL_IS_FRESH);
    call->fn.inbox(call->ctx, status, is_fresh, err);
}

static int submit(struct db_pool *p, const struct db_stmt *stmt, struct slice consumer,
                  struct slice event_id, const struct db_call *callback, db_op_id *id,
                  struct error *err)
{
    struct db_args args = {0};
    struct db_call call = *callback;
    params_text(&args, consumer);
    params_text(&args, event_id);
    call.pool = p;
    call.stmt = stmt;
    call.done = inbox_done;
    return call_submit(&call, &args, id, err);
}

int db_inbox_add(struct db_pool *p, struct slice consumer, struct slice event_id, db_inbox_fn fn,
                 void *ctx, db_op_id *id, struct error *err)
{
    const struct db_call callback = {.fn.inbox = fn, .ctx = ctx};
    return submit(p, &inbox_add_stmt, consumer, event_id, &callback, id, err);
}

int db_inbox_look(struct db_pool *p, struct slice consumer, struct slice event_id, db_inbox_fn fn,
                  void *ctx, db_op_id *id, struct error *err)
{
    const struct db_call callback = {.fn.inbox = fn, .ctx = ctx};
    return submit(p, &inbox_look_stmt, consumer, event_id, &callback, id, err);
}
