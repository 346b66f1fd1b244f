/* add_task: the task, its event and its answer in one statement.
 *
 * Most tasks have no category, no tags and no idempotency key: they take the short statement,
 * which is the program's hottest and touches nothing but tasks and outbox. */
#include "base/error.h"
#include "db/task_int.h"

#define INSERT_COLUMNS                                                                             \
    "(user_id, title, description, priority, due_date, recurrence_rule, timezone, created_at,"     \
    " updated_at"
#define INSERT_VALUES(now)                                                                         \
    "$1::bigint, $2::text, $3::text, $4::smallint, $5::timestamptz, $6::text,"                     \
    " coalesce($7::text, (select u.timezone from todo.users u where u.id = $1)), " now ", " now
/* clang-format off */

#define CREATED_EVENT(category, tag_ids)                                                           \
    EVENT_INSERT                                                                                   \
    "select e.event_id, e.id::text, 'task-events', 'TaskCreatedEvent', $8::text, e.now, "          \
    EVENT_CREATED(category, tag_ids)                                                               \
    " from (select t.*, t.created_at as now, todo.uuid_v7() as event_id from t) e"

const struct db_stmt task_add_stmt = {
    .name = "task_add",
    .sql = "with t as (insert into todo.tasks " INSERT_COLUMNS ") select " INSERT_VALUES("g.now")
           " from (select clock_timestamp() as now) g returning " TASK_RETURNED
           "), o as (" CREATED_EVENT("null::bigint", "'[]'::jsonb") ")"
           " select 0, true, false, 0, "
           TASK_COLUMNS(TASK_NO_CATEGORY, TASK_NO_TAGS, TASK_NO_REMINDER) " from t",
    .param_count = 8,
    .is_write = true,
    .is_lock_free = true,
};

/* The key is claimed before the task is made: of two calls at once one inserts it, the other waits
 * for the first's commit and then inserts nothing. If the first's row is too new for its snapshot
 * it has no task to show either, and answers CALL_AGAIN. */
const struct db_stmt task_add_full_stmt = {
    .name = "task_add_full",
    .sql =
        "with known as materialized (select k.task_id from todo.idempotency_keys k"
        " where k.user_id = $1::bigint and k.key = $9::text),"
        " c as materialized (select c.id, c.name, c.color from todo.categories c"
        " where c.user_id = $1 and c.id = $10::bigint),"
        " g as materialized (select g.id, g.name, g.color from todo.tags g"
        " where g.user_id = $1 and g.id = any($11::bigint[])),"
        " verdict as materialized (select case when exists (select from known) then 0"
        " when $10 is not null and not exists (select from c) then 2"
        " when (select count(*) from g) <> cardinality($11) then 3 else 0 end as outcome,"
        " exists (select from known) as is_known, nextval('todo.tasks_id_seq') as id,"
        " clock_timestamp() as now),"
        " claim as (insert into todo.idempotency_keys (user_id, key, task_id)"
        " select $1, $9, v.id from verdict v"
        " where v.outcome = 0 and not v.is_known and $9 is not null"
        " on conflict (user_id, key) do nothing returning key),"
        " go as materialized (select v.* from verdict v where v.outcome = 0 and not v.is_known"
        " and ($9 is null or exists (select from claim))),"
        " t as (insert into todo.tasks " INSERT_COLUMNS
        ", category_id, id) overriding system value select " INSERT_VALUES("go.now")
        ", $10, go.id from go returning " TASK_RETURNED "),"
        " x as (insert into todo.task_tags (user_id, task_id, tag_id)"
        " select $1, t.id, g.id from t, g),"
        " o as (" CREATED_EVENT("e.category_id",
                                "(select coalesce(jsonb_agg(g.id order by g.id), '[]') from g)") "),"
        " page (task_id) as (select "
        TASK_COLUMNS(TASK_CATEGORY, "(select " TASK_TAGS_PACKED " from g)", TASK_NO_REMINDER)
        " from t left join c on true union all select "
        TASK_COLUMNS(TASK_CATEGORY, TASK_TAGS, TASK_REMINDER)
        " from known k join todo.tasks t on t.user_id = $1 and t.id = k.task_id" TASK_JOINS ")"
        " select case when v.outcome <> 0 or page.task_id is not null then v.outcome"
        " when v.is_known then 1 else -1 end,"
        " v.outcome = 0 and not v.is_known, v.is_known, 0, page.*"
        " from verdict v left join page on true",
    .param_count = 11,
    .is_write = true,
};

/* clang-format on */

int db_task_add(struct db_pool *p, int64_t user_id, const struct db_task_new *task, db_task_fn fn,
                void *ctx, db_op_id *id, struct error *err)
{
    bool is_full = task->category_id || task->tag_count || task->idempotency_key.len;
    struct db_args args = {0};
    params_int(&args, user_id);
    params_text(&args, task->title);
    params_text(&args, task->description);
    params_int(&args, task->priority);
    if (task->has_due_date)
        params_time(&args, task->due_date);
    else
        params_null(&args);
    params_text(&args, task->recurrence_rule);
    params_text(&args, task->timezone);
    params_text(&args, task->traceparent);
    if (is_full) {
        params_text(&args, task->idempotency_key);
        params_id(&args, task->category_id);
        params_ids(&args, task->tag_ids, task->tag_count);
    }
    struct db_call call = {.pool = p,
                           .stmt = is_full ? &task_add_full_stmt : &task_add_stmt,
                           .done = task_done,
                           .fn.task = fn,
                           .ctx = ctx};
    return call_submit(&call, &args, id, err);
}
