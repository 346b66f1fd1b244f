/* Categories and tags: one set of statements, spelled for both tables.
 *
 * Limits and unique names are constraints; the statements look first, so that only calls that
 * meet at the same moment run into them (call_outcome_of_error). */
#include "db/label.h"

#include "base/error.h"
#include "base/mem.h"
#include "db/label_int.h"
#include "db/task_int.h"

#define STRINGIZE(x) #x
#define NUMBER(x)    STRINGIZE(x)

_Static_assert(DB_LIMIT_EXCEEDED == 5 && DB_NAME_TAKEN == 7, "the SQL and enum db_outcome differ");

enum {
    COL_OUTCOME,
    COL_CHANGED,
    COL_AFFECTED,
    COL_ID,
    COL_NAME,
    COL_COLOR,
    COL_CREATED_AT,
    COL_TASK_COUNT
};

/* clang-format off */

#define CREATE(table, counter, max)                                                                \
    "with v as materialized (select case when exists (select from todo." table " l"                \
    " where l.user_id = $1::bigint and l.name = $2::text) then 7"                                  \
    " when (select u." counter " from todo.users u where u.id = $1) >= " NUMBER(max) " then 5"     \
    " else 0 end as outcome),"                                                                     \
    " l as (insert into todo." table " (user_id, name, color) select $1, $2, $3::text from v"      \
    " where v.outcome = 0 returning id, name, color, created_at)"                                  \
    " select v.outcome, v.outcome = 0, 0::bigint, l.id, l.name, l.color, l.created_at, 0::bigint"  \
    " from v left join l on true"

#define SHOW(table, task_count)                                                                    \
    "select 0, false, 0::bigint, l.id, l.name, l.color, l.created_at, " task_count                 \
    " from todo." table " l where l.user_id = $1::bigint"
#define LIST(table, task_count) SHOW(table, task_count) " order by l.name"
#define GET(table, task_count)  SHOW(table, task_count) " and l.id = $2::bigint"
#define CATEGORY_TASKS                                                                             \
    "(select count(*) from todo.tasks t where t.user_id = $1 and t.category_id = l.id)"
#define TAG_TASKS                                                                                  \
    "(select count(*) from todo.task_tags x where x.user_id = $1 and x.tag_id = l.id)"

#define UPDATE(table)                                                                              \
    "with old as materialized (select l.id, l.name, l.color, l.created_at from todo." table " l"   \
    " where l.user_id = $1::bigint and l.id = $2::bigint for update),"                             \
    " w as materialized (select o.id, o.created_at,"                                               \
    " case when $3::boolean then $4::text else o.name end as name,"                                \
    " case when $5::boolean then $6::text else o.color end as color,"                              \
    " o.name as old_name, o.color as old_color from old o),"                                       \
    " n as materialized (select w.*, case when w.name <> w.old_name and exists (select from todo." \
    table " l where l.user_id = $1 and l.name = w.name) then 7 else 0 end as outcome,"             \
    " w.name <> w.old_name or w.color is distinct from w.old_color as changes from w),"            \
    " u as (update todo." table " l set name = n.name, color = n.color from n"                     \
    " where l.user_id = $1 and l.id = $2 and n.outcome = 0 and n.changes)"                         \
    " select n.outcome, n.outcome = 0 and n.changes, 0::bigint, n.id, n.name, n.color,"            \
    " n.created_at, 0::bigint from n"

/* The tasks are locked before the label, as add_tag_to_task does it, so that the two cannot wait
 * for each other. A task that gets the label meanwhile makes the label's deletion break its
 * foreign key, and the statement runs again. */
#define DELETE(table, has_label, lost, fields)                                                     \
    "with old as materialized (select t.id, t.version, (select s.version from todo.tasks s"        \
    " where s.user_id = $1 and s.id = t.id) as seen from todo.tasks t"                             \
    " where t.user_id = $1::bigint and " has_label " order by t.id for no key update of t),"       \
    " a as materialized (select exists (select from old where old.seen <> old.version) as again,"  \
    " clock_timestamp() as now),"                                                                  \
    " n as materialized (select o.id, o.version, a.now from old o, a where not a.again), " lost    \
    " ev as (" EVENT_INSERT "select e.event_id, e.id::text, 'task-events', 'TaskUpdatedEvent',"    \
    " $3::text, e.now, " EVENT_UPDATED(fields, "e.version + 1")                                    \
    " from (select n.*, todo.uuid_v7() as event_id from n order by n.id) e),"                      \
    " d as (delete from todo." table " l using a where not a.again and l.user_id = $1"             \
    " and l.id = $2 returning l.id)"                                                               \
    " select case when a.again then -1 else 0 end, true, (select count(*) from n)"                 \
    " from a left join d on true where a.again or d.id is not null"

#define CATEGORY_LOST                                                                              \
    "u as (update todo.tasks t set category_id = null, version = t.version + 1,"                   \
    " updated_at = n.now from n where t.user_id = $1 and t.id = n.id),"
#define TAG_LOST                                                                                   \
    "x as (delete from todo.task_tags x using n where x.user_id = $1 and x.task_id = n.id"         \
    " and x.tag_id = $2),"                                                                         \
    " u as (update todo.tasks t set version = t.version + 1, updated_at = n.now from n"            \
    " where t.user_id = $1 and t.id = n.id),"
#define HAS_TAG                                                                                    \
    "t.id in (select x.task_id from todo.task_tags x where x.user_id = $1"                         \
    " and x.tag_id = $2::bigint)"
#define TAGS_LEFT                                                                                  \
    "jsonb_build_object('tag_ids', (select coalesce(jsonb_agg(x.tag_id order by x.tag_id), '[]')"  \
    " from todo.task_tags x where x.user_id = $1 and x.task_id = e.id and x.tag_id <> $2))"

const struct db_stmt label_stmts[2][LABEL_STMTS] = {
    [DB_CATEGORY] = {
        [LABEL_CREATE] = {.name = "category_create", .param_count = 3, .is_write = true,
            .sql = CREATE("categories", "category_count", DB_CATEGORIES_MAX)},
        [LABEL_LIST] = {.name = "category_list", .param_count = 1,
            .sql = LIST("categories", CATEGORY_TASKS)},
        [LABEL_GET] = {.name = "category_get", .param_count = 2,
            .sql = GET("categories", CATEGORY_TASKS)},
        [LABEL_UPDATE] = {.name = "category_update", .param_count = 6, .is_write = true,
            .sql = UPDATE("categories")},
        [LABEL_DELETE] = {.name = "category_delete", .param_count = 3, .is_write = true,
            .sql = DELETE("categories", "t.category_id = $2::bigint", CATEGORY_LOST,
                          "'{\"category_id\": null}'::jsonb")},
    },
    [DB_TAG] = {
        [LABEL_CREATE] = {.name = "tag_create", .param_count = 3, .is_write = true,
            .sql = CREATE("tags", "tag_count", DB_TAGS_MAX)},
        [LABEL_LIST] = {.name = "tag_list", .param_count = 1,
            .sql = LIST("tags", TAG_TASKS)},
        [LABEL_GET] = {.name = "tag_get", .param_count = 2, .sql = GET("tags", TAG_TASKS)},
        [LABEL_UPDATE] = {.name = "tag_update", .param_count = 6, .is_write = true,
            .sql = UPDATE("tags")},
        [LABEL_DELETE] = {.name = "tag_delete", .param_count = 3, .is_write = true,
            .sql = DELETE("tags", HAS_TAG, TAG_LOST, TAGS_LEFT)},
    },
};

/* clang-format on */

/* ---- answers ---- */

static void decode_label(const struct db_result *res, int row, struct db_label *out)
{
    *out = (struct db_label){
        .id = db_result_int(res, row, COL_ID),
        .name = db_result_text(res, row, COL_NAME),
        .color = db_result_text(res, row, COL_COLOR),
        .created_at = db_result_time(res, row, COL_CREATED_AT),
        .task_count = db_result_int(res, row, COL_TASK_COUNT),
    };
}

/* Of create, update and delete. No row: the label is not there. */
static void label_done(struct db_call *call, int status, const struct db_result *res,
                       const struct error *err)
{
    struct db_label label = {0};
    struct db_label_reply reply = {.outcome = DB_NOT_FOUND};
    if (status && !call_outcome_of_error(status, err, &reply.outcome)) {
        call->fn.label(call->ctx, status, NULL, err);
        return;
    }
    if (!status && db_result_rows(res) > 0) {
        reply.outcome = (enum db_outcome)db_result_int(res, 0, COL_OUTCOME);
        reply.changed = db_result_bool(res, 0, COL_CHANGED);
        reply.tasks_affected = db_result_int(res, 0, COL_AFFECTED);
        if (reply.outcome == DB_OK && db_result_columns(res) > COL_TASK_COUNT) {
            decode_label(res, 0, &label);
            reply.labels = &label;
            reply.count = 1;
        }
    }
    call->fn.label(call->ctx, 0, &reply, NULL);
}

static void label_list_done(struct db_call *call, int status, const struct db_result *res,
                            const struct error *err)
{
    struct db_label labels[DB_TAGS_MAX];
    struct db_label_reply reply = {.outcome = DB_OK, .labels = labels};
    if (status) {
        call->fn.label(call->ctx, status, NULL, err);
        return;
    }
    int rows = db_result_rows(res);
    for (; reply.count < rows && reply.count < DB_TAGS_MAX; reply.count++)
        decode_label(res, reply.count, &labels[reply.count]);
    call->fn.label(call->ctx, 0, &reply, NULL);
}
_Static_assert(DB_CATEGORIES_MAX <= DB_TAGS_MAX, "a list of either fits");

/* ---- operations ---- */

int db_label_create(struct db_pool *p, enum db_label_kind kind, int64_t user_id, struct slice name,
                    struct slice color, db_label_fn fn, void *ctx, db_op_id *id, struct error *err)
{
    struct db_args args = {0};
    params_int(&args, user_id);
    params_text(&args, name);
    params_text(&args, color);
    struct db_call call = {.pool = p,
                           .stmt = &label_stmts[kind][LABEL_CREATE],
                           .done = label_done,
                           .fn.label = fn,
                           .ctx = ctx};
    return call_submit(&call, &args, id, err);
}

int db_label_list(struct db_pool *p, enum db_label_kind kind, int64_t user_id, db_label_fn fn,
                  void *ctx, db_op_id *id, struct error *err)
{
    struct db_args args = {0};
    params_int(&args, user_id);
    struct db_call call = {.pool = p,
                           .stmt = &label_stmts[kind][LABEL_LIST],
                           .done = label_list_done,
                           .fn.label = fn,
                           .ctx = ctx};
    return call_submit(&call, &args, id, err);
}

int db_label_get(struct db_pool *p, enum db_label_kind kind, int64_t user_id, int64_t label_id,
                 db_label_fn fn, void *ctx, db_op_id *id, struct error *err)
{
    struct db_args args = {0};
    params_int(&args, user_id);
    params_int(&args, label_id);
    struct db_call call = {.pool = p,
                           .stmt = &label_stmts[kind][LABEL_GET],
                           .done = label_list_done,
                           .fn.label = fn,
                           .ctx = ctx};
    return call_submit(&call, &args, id, err);
}

int db_label_update(struct db_pool *p, enum db_label_kind kind, int64_t user_id, int64_t label_id,
                    const struct db_label_patch *patch, db_label_fn fn, void *ctx, db_op_id *id,
                    struct error *err)
{
    struct db_args args = {0};
    params_int(&args, user_id);
    params_int(&args, label_id);
    params_bool(&args, patch->set_name);
    params_text(&args, patch->name);
    params_bool(&args, patch->set_color);
    params_text(&args, patch->color);
    struct db_call call = {.pool = p,
                           .stmt = &label_stmts[kind][LABEL_UPDATE],
                           .done = label_done,
                           .fn.label = fn,
                           .ctx = ctx};
    return call_submit(&call, &args, id, err);
}

int db_label_delete(struct db_pool *p, enum db_label_kind kind, int64_t user_id, int64_t label_id,
                    struct slice traceparent, db_label_fn fn, void *ctx, db_op_id *id,
                    struct error *err)
{
    struct db_args args = {0};
    params_int(&args, user_id);
    params_int(&args, label_id);
    params_text(&args, traceparent);
    struct db_call call = {.pool = p,
                           .stmt = &label_stmts[kind][LABEL_DELETE],
                           .done = label_done,
                           .retries_constraint = true,
                           .fn.label = fn,
                           .ctx = ctx};
    return call_submit(&call, &args, id, err);
}
