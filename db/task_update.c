/* update_task, complete_task, delete_task. */
#include "base/error.h"
#include "db/task_int.h"

/* The bits of enum db_task_field as they stand in the SQL below. */
_Static_assert(DB_FIELD_TITLE == 1 && DB_FIELD_DESCRIPTION == 2 && DB_FIELD_COMPLETED == 4 &&
                   DB_FIELD_PRIORITY == 8 && DB_FIELD_CATEGORY == 16 && DB_FIELD_DUE_DATE == 32 &&
                   DB_FIELD_RECURRENCE == 64 && DB_FIELD_TIMEZONE == 128,
               "the SQL and enum db_task_field differ");
_Static_assert(DB_NOT_FOUND == 1 && DB_CATEGORY_NOT_FOUND == 2 && DB_TAG_NOT_FOUND == 3 &&
                   DB_VERSION_CONFLICT == 4 && DB_LIMIT_EXCEEDED == 5 && DB_NO_DUE_DATE == 6,
               "the SQL and enum db_outcome differ");

/* The new value of a column: the caller's where its bit is set, else as it was. */
#define WANTED(bit, value, column)                                                                 \
    "case when ($3::integer & " bit ") <> 0 then " value " else o." column " end as " column
#define CHANGED_BIT(bit, column)                                                                   \
    "case when w." column " is distinct from o." column " then " bit " else 0 end"
/* clang-format off */

#define CHANGED_FIELD(bit, name, value)                                                            \
    "case when (e.bits & " bit ") <> 0 then jsonb_build_object('" name "', " value                 \
    ") else '{}' end"

/* old: the locked row -> want: the row as asked for -> n: the outcome and what changes -> the
 * task, its reminder and the events. Completing has an event of its own, so that task.updated is
 * written only where something else changes too. */
#define UPDATE_WANT                                                                                \
    "want as materialized (select o.id, o.version, o.seen, o.created_at,"                          \
    " o.completed as was_completed, clock_timestamp() as now, "                                    \
    WANTED("1", "$4::text", "title") ", "                                                          \
    WANTED("2", "$5::text", "description") ", "                                                    \
    WANTED("4", "$6::boolean", "completed") ", "                                                   \
    WANTED("8", "$7::smallint", "priority") ", "                                                   \
    WANTED("16", "$8::bigint", "category_id") ", "                                                 \
    WANTED("32", "$9::timestamptz", "due_date") ", "                                               \
    WANTED("64", "$10::text", "recurrence_rule") ", "                                              \
    WANTED("128", "$11::text", "timezone") " from old o)"
#define UPDATE_NEXT                                                                                \
    "n as materialized (select w.*, case when w.seen <> w.version then -1"                         \
    " when $12::bigint <> w.version then 4"                                                        \
    " when ($3 & 16) <> 0 and $8 is not null and not exists (select from todo.categories c"        \
    " where c.user_id = $1 and c.id = $8) then 2"                                                  \
    " when w.recurrence_rule is not null and w.due_date is null then 6 else 0 end as outcome, "    \
    CHANGED_BIT("1", "title") " | " CHANGED_BIT("2", "description") " | "                          \
    CHANGED_BIT("4", "completed") " | " CHANGED_BIT("8", "priority") " | "                         \
    CHANGED_BIT("16", "category_id") " | " CHANGED_BIT("32", "due_date") " | "                     \
    CHANGED_BIT("64", "recurrence_rule") " | " CHANGED_BIT("128", "timezone")                      \
    " as bits, w.completed and not w.was_completed as completes,"                                  \
    " case when w.completed and not w.was_completed then w.now"                                    \
    " when w.completed then o.completed_at end as completed_at,"                                   \
    " o.updated_at from want w, old o)"
/* Another rule starts anew at the due date; in another time zone the clock shows another time. */
#define SERIES_KEPT                                                                                \
    "series_from = case when (n.bits & 64) <> 0 then t.occurrence else t.series_from end,"         \
    " series_at = case when (n.bits & (64 | 128)) = 0 then t.series_at end"
#define UPDATE_TASK                                                                                \
    "u as (update todo.tasks t set title = n.title, description = n.description,"                  \
    " completed = n.completed, completed_at = n.completed_at, priority = n.priority,"              \
    " category_id = n.category_id, due_date = n.due_date, recurrence_rule = n.recurrence_rule,"    \
    " timezone = n.timezone, version = t.version + 1, updated_at = n.now,"                         \
    " reminded_for = case when (n.bits & 32) = 0 or t.reminded_for = 'infinity'"                   \
    " then t.reminded_for end, " SERIES_KEPT " from n"                                                              \
    " where t.user_id = $1 and t.id = $2 and n.outcome = 0 and n.bits <> 0)"
/* A relative reminder follows the due date, and is to be sent again. What is over when the task is
 * moved or reopened is not sent for that: a relative one with the due date, another with its time. */
#define UPDATE_REMINDER                                                                            \
    "m as materialized (select r.task_id, r.before_minutes, n.moves, case when n.moves"            \
    " then n.due_date - make_interval(mins => r.before_minutes) else r.remind_at end as "          \
    "remind_at,"                                                                                   \
    " case when n.moves then null else r.sent_at end as sent_at"                                   \
    " from todo.reminders r, lateral (select n.due_date, n.outcome = 0 and (n.bits & 32) <> 0"     \
    " and r.before_minutes is not null as moves from n) n"                                         \
    " where r.user_id = $1 and r.task_id = $2),"                                                   \
    " mu as (update todo.reminders r set remind_at = case when m.moves then m.remind_at"           \
    " else r.remind_at end, sent_at = case when m.moves then null else r.sent_at end,"             \
    " active = case when n.completed then false"                                                   \
    " when r.before_minutes is not null then coalesce(n.due_date > n.now, true)"                   \
    " when (n.bits & 4) <> 0 then r.remind_at > n.now else r.active end"                           \
    " from m, n where r.user_id = $1 and r.task_id = $2"                                           \
    " and n.outcome = 0 and (n.bits & (4 | 32)) <> 0)"
#define UPDATE_FIELDS                                                                              \
    CHANGED_FIELD("1", "title", "e.title") " || "                                                  \
    CHANGED_FIELD("2", "description", "e.description") " || "                                      \
    CHANGED_FIELD("4", "completed", "e.completed") " || "                                          \
    CHANGED_FIELD("8", "priority", PRIORITY_NAME("e.priority")) " || "                             \
    CHANGED_FIELD("16", "category_id", "e.category_id") " || "                                     \
    CHANGED_FIELD("32", "due_date", "todo.rfc3339(e.due_date)") " || "                             \
    CHANGED_FIELD("64", "recurrence_rule", "e.recurrence_rule") " || "                             \
    CHANGED_FIELD("128", "timezone", "e.timezone")
#define UPDATE_EVENTS                                                                    \
    "o as (" EVENT_INSERT "select e.event_id, e.id::text,"                                         \
    " case e.part when 1 then 'task-events' else 'task-recurrence' end,"                           \
    " case e.part when 1 then 'TaskUpdatedEvent' else 'TaskCompletedEvent' end, $13::text, e.now," \
    " case e.part when 1 then " EVENT_UPDATED(UPDATE_FIELDS, "e.version + 1")                      \
    " else " EVENT_COMPLETED " end from (select n.id, n.version, n.now, n.title, n.description,"   \
    " n.completed, n.priority, n.category_id, n.due_date, n.recurrence_rule, n.timezone,"          \
    " case when n.completes then n.bits & ~4 else n.bits end as bits,"                             \
    " p.part, todo.uuid_v7() as event_id from n, (values (1), (2)) p (part)"                       \
    " where n.outcome = 0 and case p.part when 1"                                                  \
    " then (case when n.completes then n.bits & ~4 else n.bits end) <> 0"                          \
    " else n.completes end) e order by e.part)"
/* The task as it is now, or on a conflict as it was found. */
#define UPDATE_SHOWN                                                                               \
    "(select n.id, n.title, n.description, n.completed, n.priority, n.due_date,"                   \
    " n.recurrence_rule, n.timezone, n.category_id, n.version + (n.bits <> 0)::integer as version,"\
    " n.created_at, case when n.bits <> 0 then n.now else n.updated_at end as updated_at,"         \
    " n.completed_at from n where n.outcome = 0 union all select " TASK_OWN                        \
    " from old t, n where n.outcome = 4)"

const struct db_stmt task_update_stmt = {
    .name = "task_update",
    .sql = "with " TASK_LOCKED ", " UPDATE_WANT ", " UPDATE_NEXT ", " UPDATE_TASK ", "
           UPDATE_REMINDER ", " UPDATE_EVENTS
           " select n.outcome, n.outcome = 0 and n.bits <> 0, false,"
           " case when n.outcome = 0 then n.bits else 0 end, "
           TASK_COLUMNS(TASK_CATEGORY, TASK_TAGS, TASK_REMINDER)
           " from n left join " UPDATE_SHOWN " t on true"
           " left join todo.categories c on c.user_id = $1 and c.id = t.category_id"
           " left join m r on true",
    .param_count = 13,
    .is_write = true,
};

const struct db_stmt task_complete_stmt = {
    .name = "task_complete",
    .sql = "with " TASK_LOCKED ","
           " n as materialized (select o.*, o.seen = o.version and not o.completed as completes,"
           " clock_timestamp() as now from old o),"
           " u as (update todo.tasks t set completed = true, completed_at = n.now,"
           " updated_at = n.now, version = t.version + 1 from n"
           " where t.user_id = $1 and t.id = $2 and n.completes),"
           " mu as (update todo.reminders r set active = false from n"
           " where r.user_id = $1 and r.task_id = $2 and n.completes),"
           " o as (" EVENT_INSERT "select e.event_id, e.id::text, 'task-recurrence',"
           " 'TaskCompletedEvent', $3::text, e.now, " EVENT_COMPLETED
           " from (select n.*, todo.uuid_v7() as event_id from n where n.completes) e)"
           " select case when t.seen <> t.was_version then -1 else 0 end, t.completes, false,"
           " case when t.completes then 4 else 0 end, "
           TASK_COLUMNS(TASK_CATEGORY, TASK_TAGS, TASK_REMINDER)
           " from (select n.id, n.title, n.description, true as completed, n.priority, n.due_date,"
           " n.recurrence_rule, n.timezone, n.category_id, n.seen, n.version as was_version,"
           " n.completes, n.version + n.completes::integer as version, n.created_at,"
           " case when n.completes then n.now else n.updated_at end as updated_at,"
           " case when n.completes then n.now else n.completed_at end as completed_at from n) t"
           TASK_JOINS,
    .param_count = 3,
    .is_write = true,
};

/* Its tags and reminder go with it by their foreign keys. */
const struct db_stmt task_delete_stmt = {
    .name = "task_delete",
    .sql = "with d as (delete from todo.tasks t where t.user_id = $1::bigint"
           " and t.id = $2::bigint returning t.id),"
           " o as (" EVENT_INSERT "select e.event_id, e.id::text, 'task-events',"
           " 'TaskDeletedEvent', $3::text, e.now, jsonb_build_object(" EVENT_HEAD("task.deleted")
           ") from (select d.id, clock_timestamp() as now, todo.uuid_v7() as event_id from d) e)"
           " select 0, true, false, 0 from d",
    .param_count = 3,
    .is_write = true,
};

/* clang-format on */

int db_task_update(struct db_pool *p, int64_t user_id, int64_t task_id,
                   const struct db_task_patch *patch, db_task_fn fn, void *ctx, db_op_id *id,
                   struct error *err)
{
    struct db_args args = {0};
    params_int(&args, user_id);
    params_int(&args, task_id);
    params_int(&args, patch->set);
    params_text(&args, patch->title);
    params_text(&args, patch->description);
    params_bool(&args, patch->completed);
    params_int(&args, patch->priority);
    params_id(&args, patch->category_id);
    if (patch->has_due_date)
        params_time(&args, patch->due_date);
    else
        params_null(&args);
    params_text(&args, patch->recurrence_rule);
    params_text(&args, patch->timezone);
    params_id(&args, patch->expected_version);
    params_text(&args, patch->traceparent);
    struct db_call call = {
        .pool = p, .stmt = &task_update_stmt, .done = task_done, .fn.task = fn, .ctx = ctx};
    return call_submit(&call, &args, id, err);
}

static int submit_on_task(const struct db_stmt *stmt, struct db_pool *p, int64_t user_id,
                          int64_t task_id, struct slice traceparent, db_task_fn fn, void *ctx,
                          db_op_id *id, struct error *err)
{
    struct db_args args = {0};
    params_int(&args, user_id);
    params_int(&args, task_id);
    params_text(&args, traceparent);
    struct db_call call = {.pool = p, .stmt = stmt, .done = task_done, .fn.task = fn, .ctx = ctx};
    return call_submit(&call, &args, id, err);
}

int db_task_complete(struct db_pool *p, int64_t user_id, int64_t task_id, struct slice traceparent,
                     db_task_fn fn, void *ctx, db_op_id *id, struct error *err)
{
    return submit_on_task(&task_complete_stmt, p, user_id, task_id, traceparent, fn, ctx, id, err);
}

int db_task_delete(struct db_pool *p, int64_t user_id, int64_t task_id, struct slice traceparent,
                   db_task_fn fn, void *ctx, db_op_id *id, struct error *err)
{
    return submit_on_task(&task_delete_stmt, p, user_id, task_id, traceparent, fn, ctx, id, err);
}
