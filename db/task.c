#include "db/task.h"

#include "base/error.h"
#include "db/task_int.h"

/* clang-format off */

const struct db_stmt task_get_stmt = {
    .name = "task_get",
    .sql = "select 0, false, false, 0, " TASK_COLUMNS(
        TASK_CATEGORY, TASK_TAGS,
        TASK_REMINDER) " from todo.tasks t" TASK_JOINS
                       " where t.user_id = $1::bigint and t.id = $2::bigint",
    .param_count = 2,
};

/* clang-format on */

int db_task_get(struct db_pool *p, int64_t user_id, int64_t task_id, db_task_fn fn, void *ctx,
                db_op_id *id, struct error *err)
{
    struct db_args args = {0};
    params_int(&args, user_id);
    params_int(&args, task_id);
    struct db_call call = {
        .pool = p, .stmt = &task_get_stmt, .done = task_done, .fn.task = fn, .ctx = ctx};
    return call_submit(&call, &args, id, err);
}
