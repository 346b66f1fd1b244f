/* What is pending. A page is a range of an index that starts at a pending task, read in its order
 * and cut at the limit; the number of all is counted over the same range. What stands before the
 * tasks (the bounds, the category) is there even where no task is: the page joins it. */
#include "db/agenda.h"

#include "base/error.h"
#include "base/mem.h"
#include "db/agenda_int.h"
#include "db/task_int.h"

/* The user's days as times. A day is not always 24 hours: it is added while the time is local. */
#define USER_DAY                                                                                   \
    "d as materialized (select u.timezone, clock_timestamp() as now,"                              \
    " date_trunc('day', clock_timestamp() at time zone u.timezone) as today"                       \
    " from todo.users u where u.id = $1::bigint)"
#define TODAY_AND(days) "(d.today + interval '" days " days') at time zone d.timezone"

/* clang-format off */

#define DUE(from)                                                                                  \
    "todo.tasks t where t.user_id = $1 and not t.completed"                                        \
    " and t.due_date >= " from " and t.due_date < (select b.until from b)"
#define AGENDA(id, shown_from, from, until)                                                        \
    {.name = "agenda_" id,                                                                         \
     .sql = "with " USER_DAY ", b as materialized (select d.timezone, " shown_from " as start, "   \
            until " as until from d), page as materialized (select " TASK_OWN " from " DUE(from)   \
            " order by t.due_date, t.id limit $2::integer)"                                        \
            " select b.timezone, b.start, b.until, null::bigint, null::text, null::text,"          \
            " null::timestamptz, 0::bigint, (select count(*) from " DUE(from) "), "                \
            TASK_LIST_COLUMNS " from b left join page t on true" TASK_JOINS                        \
            " order by t.due_date, t.id",                                                          \
     .param_count = 2}

const struct db_stmt agenda_stmts[3] = {
    [DB_TODAY] = AGENDA("today", TODAY_AND("0"), "(select b.start from b)", TODAY_AND("1")),
    [DB_OVERDUE] = AGENDA("overdue", "null::timestamptz", "'-infinity'", "d.now"),
    [DB_UPCOMING] = AGENDA("upcoming", TODAY_AND("1"), "(select b.start from b)", TODAY_AND("8")),
};

#define OF_CATEGORY                                                                                \
    "todo.tasks t where t.user_id = $1 and t.category_id = $2 and t.category_id is not null"

const struct db_stmt agenda_category_stmt = {
    .name = "agenda_category",
    .sql = "with l as materialized (select l.id, l.name, l.color, l.created_at"
           " from todo.categories l where l.user_id = $1::bigint and l.id = $2::bigint),"
           " page as materialized (select " TASK_OWN " from " OF_CATEGORY " and not t.completed"
           " order by t.created_at desc, t.id desc limit $3::integer)"
           " select null::text, null::timestamptz, null::timestamptz, l.id, l.name, l.color,"
           " l.created_at, (select count(*) from " OF_CATEGORY "),"
           " (select count(*) from " OF_CATEGORY " and not t.completed), "
           TASK_LIST_COLUMNS " from l left join page t on true" TASK_JOINS
           " order by t.created_at desc, t.id desc",
    .param_count = 3,
};

const struct db_stmt day_stmt = {
    .name = "day",
    .sql = "with " USER_DAY ", w as materialized (select d.*,"
           " coalesce($2::date::timestamp, d.today) as day from d),"
           " x as materialized (select w.*, date_trunc('week', w.day) as week from w)"
           " select x.timezone, to_char(x.day, 'YYYY-MM-DD'), to_char(x.day, 'FMDay'),"
           " x.day = x.today, x.now, x.day at time zone x.timezone,"
           " (x.day + interval '1 day') at time zone x.timezone, x.week at time zone x.timezone,"
           " (x.week + interval '7 days') at time zone x.timezone,"
           " (select c.id from todo.categories c where c.user_id = $1 and c.name = $3::text),"
           " (select g.id from todo.tags g where g.user_id = $1 and g.name = $4::text) from x",
    .param_count = 4,
};

/* clang-format on */

/* ---- rows ---- */

enum {
    COL_TIMEZONE,
    COL_FROM,
    COL_UNTIL,
    COL_CATEGORY_ID,
    COL_CATEGORY_NAME,
    COL_CATEGORY_COLOR,
    COL_CATEGORY_CREATED_AT,
    COL_CATEGORY_TASKS,
    COL_TOTAL,
    COL_TASK
};

static void decode_head(const struct db_result *res, struct db_agenda_reply *reply)
{
    reply->is_found = true;
    reply->timezone = db_result_text(res, 0, COL_TIMEZONE);
    reply->has_from = !db_result_is_null(res, 0, COL_FROM);
    reply->from = db_result_time(res, 0, COL_FROM);
    reply->until = db_result_time(res, 0, COL_UNTIL);
    reply->category = (struct db_label){
        .id = db_result_int(res, 0, COL_CATEGORY_ID),
        .name = db_result_text(res, 0, COL_CATEGORY_NAME),
        .color = db_result_text(res, 0, COL_CATEGORY_COLOR),
        .created_at = db_result_time(res, 0, COL_CATEGORY_CREATED_AT),
        .task_count = db_result_int(res, 0, COL_CATEGORY_TASKS),
    };
    reply->total = db_result_int(res, 0, COL_TOTAL);
    if (!db_result_is_null(res, 0, COL_TASK))
        reply->count = db_result_rows(res);
}

static void agenda_done(struct db_call *call, int status, const struct db_result *res,
                        const struct error *err)
{
    struct db_agenda_reply reply = {0};
    struct db_task *tasks = NULL;
    struct error oom;
    if (!status && db_result_rows(res) > 0)
        decode_head(res, &reply);
    if (reply.count > 0) {
        tasks = mem_calloc((size_t)reply.count, sizeof(*tasks));
        if (!tasks) {
            status = error_set(&oom, DB_ENOMEM, NULL, "out of memory");
            err = &oom;
        }
    }
    for (int row = 0; tasks && row < reply.count; row++)
        task_decode(res, row, COL_TASK, &tasks[row]);
    reply.tasks = tasks;
    call->fn.agenda(call->ctx, status, status ? NULL : &reply, err);
    mem_free(tasks);
}

int db_agenda_get(struct db_pool *p, int64_t user_id, enum db_agenda which, int limit,
                  db_agenda_fn fn, void *ctx, db_op_id *id, struct error *err)
{
    struct db_args args = {0};
    params_int(&args, user_id);
    params_int(&args, limit);
    struct db_call call = {
        .pool = p, .stmt = &agenda_stmts[which], .done = agenda_done, .fn.agenda = fn, .ctx = ctx};
    return call_submit(&call, &args, id, err);
}

int db_agenda_category(struct db_pool *p, int64_t user_id, int64_t category_id, int limit,
                       db_agenda_fn fn, void *ctx, db_op_id *id, struct error *err)
{
    struct db_args args = {0};
    params_int(&args, user_id);
    params_int(&args, category_id);
    params_int(&args, limit);
    struct db_call call = {
        .pool = p, .stmt = &agenda_category_stmt, .done = agenda_done, .fn.agenda = fn, .ctx = ctx};
    return call_submit(&call, &args, id, err);
}

/* ---- the day ---- */

enum {
    DAY_TIMEZONE,
    DAY_DATE,
    DAY_WEEKDAY,
    DAY_IS_TODAY,
    DAY_NOW,
    DAY_FROM,
    DAY_UNTIL,
    DAY_WEEK_FROM,
    DAY_WEEK_UNTIL,
    DAY_CATEGORY,
    DAY_TAG
};

static void day_done(struct db_call *call, int status, const struct db_result *res,
                     const struct error *err)
{
    struct db_day_reply reply = {0};
    if (!status && db_result_rows(res) > 0)
        reply = (struct db_day_reply){
            .is_found = true,
            .timezone = db_result_text(res, 0, DAY_TIMEZONE),
            .date = db_result_text(res, 0, DAY_DATE),
            .weekday = db_result_text(res, 0, DAY_WEEKDAY),
            .is_today = db_result_bool(res, 0, DAY_IS_TODAY),
            .now = db_result_time(res, 0, DAY_NOW),
            .from = db_result_time(res, 0, DAY_FROM),
            .until = db_result_time(res, 0, DAY_UNTIL),
            .week_from = db_result_time(res, 0, DAY_WEEK_FROM),
            .week_until = db_result_time(res, 0, DAY_WEEK_UNTIL),
            .category_id = db_result_int(res, 0, DAY_CATEGORY),
            .tag_id = db_result_int(res, 0, DAY_TAG),
        };
    call->fn.day(call->ctx, status, status ? NULL : &reply, err);
}

int db_day_get(struct db_pool *p, int64_t user_id, struct slice date, struct slice category,
               struct slice tag, db_day_fn fn, void *ctx, db_op_id *id, struct error *err)
{
    struct db_args args = {0};
    params_int(&args, user_id);
    params_text(&args, date);
    params_text(&args, category);
    params_text(&args, tag);
    struct db_call call = {
        .pool = p, .stmt = &day_stmt, .done = day_done, .fn.day = fn, .ctx = ctx};
    return call_submit(&call, &args, id, err);
}
