/* add_tag_to_task, remove_tag_from_task, set_reminder: each changes a table beside the task's own
 * under the task's lock, and counts as a change of the task. */
#include "base/error.h"
#include "db/task_int.h"

#define STRINGIZE(x) #x
#define NUMBER(x)    STRINGIZE(x)

_Static_assert(DB_FIELD_TAGS == 256 && DB_FIELD_REMINDER == 512, "the SQL and the bits differ");

/* ---- tags ---- */

/* n: the outcome, decided from the tags that the task has and the one named. */
/* clang-format off */

#define TAG_STATE                                                                                  \
    "g as materialized (select g.id, g.name, g.color from todo.tags g"                             \
    " where g.user_id = $1 and g.id = $3::bigint),"                                                \
    " had as materialized (select g.id, g.name, g.color from todo.task_tags x"                     \
    " join todo.tags g on g.user_id = x.user_id and g.id = x.tag_id"                               \
    " where x.user_id = $1 and x.task_id = $2)"
#define TAG_TOUCH                                                                                  \
    "u as (update todo.tasks t set updated_at = n.now, version = t.version + 1 from n"             \
    " where t.user_id = $1 and t.id = $2 and n.changes)"
#define TAG_EVENT                                                                                  \
    "ev as (" EVENT_INSERT "select e.event_id, e.id::text, 'task-events', 'TaskUpdatedEvent',"     \
    " $4::text, e.now, " EVENT_UPDATED("jsonb_build_object('tag_ids',"                             \
    " (select coalesce(jsonb_agg(has.id order by has.id), '[]') from has))", "e.version + 1")      \
    " from (select n.*, todo.uuid_v7() as event_id from n where n.changes) e)"
#define TAG_ANSWER                                                                                 \
    " select t.outcome, t.changes, false, case when t.changes then 256 else 0 end, "               \
    TASK_COLUMNS(TASK_CATEGORY, "(select " TASK_TAGS_PACKED " from has g)", TASK_REMINDER)         \
    " from (select n.outcome, n.changes, case when n.outcome = 0 then n.id end as id, n.title,"    \
    " n.description, n.completed, n.priority, n.due_date, n.recurrence_rule, n.timezone,"          \
    " n.category_id, n.version + n.changes::integer as version, n.created_at,"                     \
    " case when n.changes then n.now else n.updated_at end as updated_at, n.completed_at"          \
    " from n) t" TASK_JOINS

const struct db_stmt task_tag_add_stmt = {
    .name = "task_tag_add",
    .sql = "with " TASK_LOCKED ", " TAG_STATE ","
           " v as materialized (select o.*, case when o.seen <> o.version then -1"
           " when not exists (select from g) then 3"
           " when exists (select from had where had.id = $3) then 0"
           " when (select count(*) from had) >= " NUMBER(DB_TASK_TAGS_MAX) " then 5"
           " else 0 end as outcome from old o),"
           " n as materialized (select v.*, clock_timestamp() as now, v.outcome = 0"
           " and not exists (select from had where had.id = $3) as changes from v),"
           " has as materialized (select * from had union all select g.* from g, n where n.changes),"
           " x as (insert into todo.task_tags (user_id, task_id, tag_id)"
           " select $1, n.id, $3 from n where n.changes), "
           TAG_TOUCH ", " TAG_EVENT TAG_ANSWER,
    .param_count = 4,
    .is_write = true,
};

const struct db_stmt task_tag_remove_stmt = {
    .name = "task_tag_remove",
    .sql = "with " TASK_LOCKED ", " TAG_STATE ","
           " v as materialized (select o.*, case when o.seen <> o.version then -1"
           " when not exists (select from g) then 3 else 0 end as outcome from old o),"
           " n as materialized (select v.*, clock_timestamp() as now, v.outcome = 0"
           " and exists (select from had where had.id = $3) as changes from v),"
           " has as materialized (select * from had where had.id <> $3),"
           " x as (delete from todo.task_tags x using n where n.changes and x.user_id = $1"
           " and x.task_id = $2 and x.tag_id = $3), "
           TAG_TOUCH ", " TAG_EVENT TAG_ANSWER,
    .param_count = 4,
    .is_write = true,
};

/* clang-format on */

int db_task_tag(struct db_pool *p, int64_t user_id, int64_t task_id, int64_t tag_id, bool add,
                struct slice traceparent, db_task_fn fn, void *ctx, db_op_id *id, struct error *err)
{
    struct db_args args = {0};
    params_int(&args, user_id);
    params_int(&args, task_id);
    params_int(&args, tag_id);
    params_text(&args, traceparent);
    struct db_call call = {.pool = p,
                           .stmt = add ? &task_tag_add_stmt : &task_tag_remove_stmt,
                           .done = task_done,
                           .fn.task = fn,
                           .ctx = ctx};
    return call_submit(&call, &args, id, err);
}

/* ---- reminders ---- */

/* clang-format off */

#define REMINDER_HAD                                                                               \
    "had as materialized (select r.* from todo.reminders r"                                        \
    " where r.user_id = $1 and r.task_id = $2)"
#define REMINDER_EVENT(traceparent, value)                                                         \
    "ev as (" EVENT_INSERT "select e.event_id, e.id::text, 'task-events', 'TaskUpdatedEvent', "    \
    traceparent ", e.now, " EVENT_UPDATED("jsonb_build_object('reminder', " value ")",             \
                                          "e.version + 1")                                         \
    " from (select n.*, todo.uuid_v7() as event_id from n where n.changes) e)"
#define REMINDER_ANSWER(reminder, join)                                                            \
    " select t.outcome, t.changes, false, case when t.changes then 512 else 0 end, "               \
    TASK_COLUMNS(TASK_CATEGORY, TASK_TAGS, reminder)                                               \
    " from (select n.outcome, n.changes, case when n.outcome = 0 then n.id end as id, n.title,"    \
    " n.description, n.completed, n.priority, n.due_date, n.recurrence_rule, n.timezone,"          \
    " n.category_id, n.version + n.changes::integer as version, n.created_at,"                     \
    " case when n.changes then n.now else n.updated_at end as updated_at, n.completed_at"          \
    " from n) t left join todo.categories c on c.user_id = $1 and c.id = t.category_id" join

/* A call of set_reminder, whatever it says, ends the default reminder of the task. */
#define REMINDER_TOUCH(touches)                                                                    \
    "u as (update todo.tasks t set reminded_for = 'infinity',"                                     \
    " updated_at = case when n.changes then n.now else t.updated_at end,"                          \
    " version = t.version + n.changes::integer from n"                                             \
    " where t.user_id = $1 and t.id = $2 and " touches ")"

/* Setting the same reminder anew changes nothing unless it was sent: then it is armed again. One
 * that counts from a due date which has passed waits for another due date. */
const struct db_stmt task_reminder_stmt = {
    .name = "task_reminder",
    .sql = "with " TASK_LOCKED ", " REMINDER_HAD ","
           " w as materialized (select $3::integer as before_minutes, case when $3 is null"
           " then $4::timestamptz else o.due_date - make_interval(mins => $3) end as remind_at"
           " from old o),"
           " v as materialized (select o.*, case when o.seen <> o.version then -1"
           " when $3 is not null and o.due_date is null then 6 else 0 end as outcome from old o),"
           " n as materialized (select v.*, clock_timestamp() as now, w.before_minutes,"
           " w.remind_at, v.outcome = 0 and not exists (select from had"
           " where had.before_minutes is not distinct from w.before_minutes"
           " and had.remind_at is not distinct from w.remind_at and had.sent_at is null)"
           " as changes from v, w),"
           " x as (insert into todo.reminders"
           " (user_id, task_id, before_minutes, remind_at, sent_at, traceparent, active)"
           " select $1, n.id, n.before_minutes, n.remind_at, null, $5::text, not n.completed"
           " and (n.before_minutes is null or n.due_date > n.now) from n"
           " where n.changes on conflict (user_id, task_id) do update"
           " set before_minutes = excluded.before_minutes, remind_at = excluded.remind_at,"
           " sent_at = null, traceparent = excluded.traceparent, active = excluded.active), "
           REMINDER_TOUCH("n.changes") ", "
           REMINDER_EVENT("$5::text", "jsonb_build_object('remind_at', todo.rfc3339(e.remind_at),"
                                      " 'remind_before_minutes', e.before_minutes)")
           REMINDER_ANSWER("t.outcome = 0, r.remind_at, r.before_minutes, false",
                           " left join w r on true"),
    .param_count = 5,
    .is_write = true,
};

const struct db_stmt task_reminder_clear_stmt = {
    .name = "task_reminder_clear",
    .sql = "with " TASK_LOCKED ", " REMINDER_HAD ","
           " n as materialized (select o.*, clock_timestamp() as now,"
           " case when o.seen <> o.version then -1 else 0 end as outcome,"
           " o.seen = o.version and exists (select from had) as changes from old o),"
           " x as (delete from todo.reminders r using n"
           " where n.changes and r.user_id = $1 and r.task_id = $2), "
           REMINDER_TOUCH("n.outcome = 0 and (n.changes or t.reminded_for is distinct from 'infinity')")
           ", " REMINDER_EVENT("$3::text", "null::jsonb")
           REMINDER_ANSWER(TASK_NO_REMINDER, ""),
    .param_count = 3,
    .is_write = true,
};

/* clang-format on */

int db_task_set_reminder(struct db_pool *p, int64_t user_id, int64_t task_id,
                         const struct db_reminder_set *set, db_task_fn fn, void *ctx, db_op_id *id,
                         struct error *err)
{
    struct db_args args = {0};
    params_int(&args, user_id);
    params_int(&args, task_id);
    if (!set->clear && set->remind_before_minutes >= 0) {
        params_int(&args, set->remind_before_minutes);
        params_null(&args);
    } else if (!set->clear) {
        params_null(&args);
        params_time(&args, set->remind_at);
    }
    params_text(&args, set->traceparent);
    struct db_call call = {.pool = p,
                           .stmt = set->clear ? &task_reminder_clear_stmt : &task_reminder_stmt,
                           .done = task_done,
                           .fn.task = fn,
                           .ctx = ctx};
    return call_submit(&call, &args, id, err);
}
