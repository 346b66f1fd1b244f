#include "db/user.h"

#include "base/error.h"
#include "db/call_int.h"
#include "db/user_int.h"

/* Most calls find the user and write nothing. Two that make it at once: the later one inserts
 * nothing and does not see the other's row either, and looks again. */
const struct db_stmt user_ensure_stmt = {
    .name = "user_ensure",
    .sql = "with s as materialized (select u.id, u.subject, u.email, u.timezone from todo.users u"
           " where u.subject = $1::text),"
           " u as (update todo.users u set email = $3::text from s where u.id = s.id"
           " and u.email is distinct from $3 and $3 is not null"
           " returning u.id, u.subject, u.email, u.timezone),"
           " i as (insert into todo.users (subject, timezone, email)"
           " select $1, coalesce($2::text, 'UTC'), $3 where not exists (select from s)"
           " on conflict (subject) do nothing returning id, subject, email, timezone),"
           " f as (select * from s where not exists (select from u) union all select * from u"
           " union all select * from i)"
           " select case when f.id is null then -1 else 0 end, f.id, f.subject, f.email, f.timezone"
           " from (select 1) one left join f on true",
    .param_count = 3,
    .is_write = true,
};

enum { COL_OUTCOME, COL_ID, COL_SUBJECT, COL_EMAIL, COL_TIMEZONE };

static void user_done(struct db_call *call, int status, const struct db_result *res,
                      const struct error *err)
{
    if (status) {
        call->fn.user(call->ctx, status, NULL, err);
        return;
    }
    struct db_user_reply user = {
        .id = db_result_int(res, 0, COL_ID),
        .subject = db_result_text(res, 0, COL_SUBJECT),
        .email = db_result_text(res, 0, COL_EMAIL),
        .timezone = db_result_text(res, 0, COL_TIMEZONE),
    };
    call->fn.user(call->ctx, 0, &user, NULL);
}

int db_user_ensure(struct db_pool *p, const struct db_user_ask *ask, db_user_fn fn, void *ctx,
                   db_op_id *id, struct error *err)
{
    struct db_args args = {0};
    params_text(&args, ask->subject);
    params_text(&args, ask->zone);
    params_text(&args, ask->email);
    struct db_call call = {
        .pool = p, .stmt = &user_ensure_stmt, .done = user_done, .fn.user = fn, .ctx = ctx};
    return call_submit(&call, &args, id, err);
}
