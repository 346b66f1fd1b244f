#include "db/recipient.h"

#include "base/error.h"
#include "db/call_int.h"
#include "db/recipient_int.h"

const struct db_stmt recipient_stmt = {
    .name = "recipient",
    .sql = "select exists (select from todo.inbox i"
           " where i.consumer = $1::text and i.event_id = $2::uuid),"
           " u.id is not null, u.email, z.zone,"
           " to_char($4::timestamptz at time zone z.zone, 'FMDay, FMDD FMMonth YYYY, HH24:MI')"
           " from (select 1) one left join todo.users u on u.id = $3::bigint"
           " left join lateral (select case when $5::boolean then 'UTC' else u.timezone::text end"
           " as zone) z on true",
    .param_count = 5,
};

enum { COL_HANDLED, COL_FOUND, COL_EMAIL, COL_ZONE, COL_DUE };

static void recipient_done(struct db_call *call, int status, const struct db_result *res,
                           const struct error *err)
{
    struct db_recipient_reply reply = {0};
    if (!status)
        reply = (struct db_recipient_reply){
            .is_handled = db_result_bool(res, 0, COL_HANDLED),
            .is_found = db_result_bool(res, 0, COL_FOUND),
            .email = db_result_text(res, 0, COL_EMAIL),
            .zone = db_result_text(res, 0, COL_ZONE),
            .due = db_result_text(res, 0, COL_DUE),
        };
    call->fn.recipient(call->ctx, status, status ? NULL : &reply, err);
}

int db_recipient_get(struct db_pool *p, const struct db_recipient_ask *ask, db_recipient_fn fn,
                     void *ctx, db_op_id *id, struct error *err)
{
    struct db_args args = {0};
    params_text(&args, ask->consumer);
    params_text(&args, ask->event_id);
    params_int(&args, ask->user_id);
    params_text(&args, ask->due);
    params_bool(&args, ask->is_in_utc);
    struct db_call call = {
        .pool = p, .stmt = &recipient_stmt, .done = recipient_done, .fn.recipient = fn, .ctx = ctx};
    return call_submit(&call, &args, id, err);
}
