/* The completed task's row is locked while its successor is made: who changes, reopens or deletes
 * it at the same time comes before or after. Labels that are deleted meanwhile break a foreign key;
 * then the statement looks again. */
#include "db/series.h"

#include "db/inbox.h"
#include "db/series_int.h"
#include "db/task_int.h"

/* clang-format off */

/* A timestamp travels as if it were UTC. */
const struct db_stmt series_get_stmt = {
    .name = "series_get",
    .sql = "select t.completed, coalesce(t.occurrence, 1)::bigint,"
           " coalesce(t.series_from, 1)::bigint, t.series_at at time zone 'UTC'"
           " from todo.tasks t where t.user_id = $1::bigint and t.id = $2::bigint",
    .param_count = 2,
};

/* A relative reminder counts from the new due date, another keeps its distance from it. One whose
 * time, or due date, has passed is not sent for that, as when set_reminder or update_task make one.
 * Whether a task has the default reminder is handed on too. */
const struct db_stmt series_continue_stmt = {
    .name = "series_continue",
    .sql = "with " INBOX_CLAIM("$3::text", "$4::uuid") ","
           " old as materialized (select " TASK_OWN ", t.series_id, t.series_from, t.reminded_for"
           " from todo.tasks t where t.user_id = $1::bigint and t.id = $2::bigint"
           " and t.completed and exists (select from claim) for no key update of t),"
           " t as (insert into todo.tasks (user_id, title, description, priority, category_id,"
           " due_date, recurrence_rule, timezone, created_at, updated_at,"
           " series_id, occurrence, series_at, series_from, reminded_for)"
           " select $1, old.title, old.description, old.priority, old.category_id,"
           " $6::timestamptz, $8::text, $9::text, g.now, g.now, coalesce(old.series_id, old.id),"
           " $10::integer, $7::timestamptz at time zone 'UTC', old.series_from,"
           " case when old.reminded_for = 'infinity' then old.reminded_for end"
           " from old, (select clock_timestamp() as now) g"
           " on conflict (user_id, series_id, occurrence) where series_id is not null do nothing"
           " returning " TASK_RETURNED "),"
           " x as (insert into todo.task_tags (user_id, task_id, tag_id)"
           " select $1, t.id, g.tag_id from t, todo.task_tags g"
           " where g.user_id = $1 and g.task_id = $2 returning tag_id),"
           " r as materialized (select t.id, r.before_minutes, case when r.before_minutes is null"
           " then r.remind_at + (t.due_date - $5::timestamptz)"
           " else t.due_date - make_interval(mins => r.before_minutes) end as remind_at,"
           " t.due_date, t.created_at from t, todo.reminders r"
           " where r.user_id = $1 and r.task_id = $2),"
           " m as (insert into todo.reminders (user_id, task_id, before_minutes, remind_at, active)"
           " select $1, r.id, r.before_minutes, r.remind_at, case when r.before_minutes is null"
           " then r.remind_at else r.due_date end > r.created_at from r),"
           " o as (insert into todo.outbox (id, key, topic, type, source, traceparent, created_at,"
           " data) select e.event_id, e.id::text, 'task-events', 'TaskCreatedEvent', $3,"
           " $11::text, e.now, "
           EVENT_CREATED("e.category_id", "(select coalesce(jsonb_agg(x.tag_id order by x.tag_id), '[]')"
                                          " from x)")
           " from (select t.*, t.created_at as now, todo.uuid_v7() as event_id from t) e)"
           " select 0, exists (select from claim), t.id, t.category_id"
           " from (select) one left join t on true",
    .param_count = 11,
    .is_write = true,
};

/* clang-format on */

enum { GET_COMPLETED, GET_OCCURRENCE, GET_FIRST, GET_WALL };

static void get_done(struct db_call *call, int status, const struct db_result *res,
                     const struct error *err)
{
    struct db_series series = {0};
    if (!status && db_result_rows(res) > 0)
        series = (struct db_series){
            .is_found = true,
            .is_completed = db_result_bool(res, 0, GET_COMPLETED),
            .occurrence = db_result_int(res, 0, GET_OCCURRENCE),
            .first = db_result_int(res, 0, GET_FIRST),
            .has_wall = !db_result_is_null(res, 0, GET_WALL),
            .wall = db_result_time(res, 0, GET_WALL),
        };
    call->fn.series(call->ctx, status, status ? NULL : &series, err);
}

int db_series_get(struct db_pool *p, int64_t user_id, int64_t task_id, db_series_fn fn, void *ctx,
                  db_op_id *id, struct error *err)
{
    struct db_args args = {0};
    params_int(&args, user_id);
    params_int(&args, task_id);
    struct db_call call = {
        .pool = p, .stmt = &series_get_stmt, .done = get_done, .fn.series = fn, .ctx = ctx};
    return call_submit(&call, &args, id, err);
}

enum { NEXT_OUTCOME, NEXT_IS_FRESH, NEXT_TASK_ID, NEXT_CATEGORY_ID };

static void continue_done(struct db_call *call, int status, const struct db_result *res,
                          const struct error *err)
{
    struct db_series_reply reply = {0};
    if (!status)
        reply = (struct db_series_reply){
            .is_fresh = db_result_bool(res, 0, NEXT_IS_FRESH),
            .task_id = db_result_int(res, 0, NEXT_TASK_ID),
            .category_id = db_result_int(res, 0, NEXT_CATEGORY_ID),
        };
    call->fn.series_next(call->ctx, status, status ? NULL : &reply, err);
}

int db_series_continue(struct db_pool *p, int64_t user_id, int64_t task_id,
                       const struct db_series_next *next, db_series_next_fn fn, void *ctx,
                       db_op_id *id, struct error *err)
{
    struct db_args args = {0};
    params_int(&args, user_id);
    params_int(&args, task_id);
    params_text(&args, next->consumer);
    params_text(&args, next->event_id);
    params_time(&args, next->was_due);
    params_time(&args, next->due);
    params_time(&args, next->wall);
    params_text(&args, next->recurrence_rule);
    params_text(&args, next->timezone);
    params_int(&args, next->occurrence);
    params_text(&args, next->traceparent);
    struct db_call call = {.pool = p,
                           .stmt = &series_continue_stmt,
                           .done = continue_done,
                           .fn.series_next = fn,
                           .ctx = ctx,
                           .retries_constraint = true};
    return call_submit(&call, &args, id, err);
}
