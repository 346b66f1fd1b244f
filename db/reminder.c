/* Two kinds of reminders, each found by a partial index that holds only what is still to be sent.
 *
 * The task's row is locked before anything is written, as by every change of a task: the order of
 * its events in the outbox is the order of the commits. A row that another holds is skipped: it is
 * another worker's, or a change of the task is about to decide what becomes of it. One that changed
 * since the statement began is looked at again as it is now, before it counts as found. */
#include "db/reminder.h"

#include "base/error.h"
#include "base/mem.h"
#include "db/reminder_int.h"
#include "db/task_int.h"

#define NOW        "statement_timestamp()"
#define LATE_MAX   "make_interval(hours => $2::integer)"
#define IN_DEFAULT "make_interval(mins => $1::integer)"
/* The condition of the index tasks_default_reminder. */
#define DEFAULT_WAITS                                                                              \
    "not t.completed and t.due_date is not null and (t.reminded_for is null"                       \
    " or (t.reminded_for <> t.due_date and t.reminded_for <> 'infinity'))"
/* Of a task whose due date has passed: only where it was pending then, as it is now. Who added,
 * moved or reopened it later knows that it is due. */
#define DEFAULT_IS_OF_USE                                                                          \
    "$1 > 0 and t.due_date > " NOW " - " LATE_MAX " and (t.due_date > " NOW                        \
    " or t.due_date > t.updated_at)"
#define OWN_WAITS "r.active and r.sent_at is null and r.remind_at is not null"
/* clang-format off */

const struct db_stmt reminder_fire_stmt = {
    .name = "reminder_fire",
    .sql = "with r as materialized (select t.user_id, t.id, t.title, t.due_date, t.priority,"
           " t.updated_at, r.traceparent, r.remind_at, not t.completed"
           " and greatest(r.remind_at, t.due_date) > " NOW " - " LATE_MAX " as is_of_use"
           " from todo.reminders r join todo.tasks t on t.user_id = r.user_id and t.id = r.task_id"
           " where " OWN_WAITS " and r.remind_at <= " NOW
           " order by r.remind_at limit $3::integer for no key update skip locked),"
           " d as materialized (select t.user_id, t.id, t.title, t.due_date, t.priority,"
           " t.updated_at, null::varchar from todo.tasks t where " DEFAULT_WAITS
           " and t.due_date <= " NOW " + " IN_DEFAULT " and " DEFAULT_IS_OF_USE
           " order by t.due_date limit $3 for no key update skip locked),"
           " a as materialized (select r.*, true as is_own from r union all"
           " select d.*, d.due_date - " IN_DEFAULT ", true, false from d),"
           " own as (update todo.reminders x set active = a.is_of_use,"
           " sent_at = case when a.is_of_use then clock_timestamp() end"
           " from a where a.is_own and x.user_id = a.user_id and x.task_id = a.id),"
           " default_one as (update todo.tasks x set reminded_for = a.due_date"
           " from a where not a.is_own and x.user_id = a.user_id and x.id = a.id),"
           " ev as (insert into todo.outbox (id, key, topic, type, source, traceparent, created_at,"
           " data) select e.event_id, e.id::text, 'task-reminders', 'ReminderSentEvent', $4::text,"
           " e.traceparent, e.now,"
           " jsonb_build_object(" EVENT_HEAD_OF("e.user_id", "reminder.sent")
           ", 'reminder_time', todo.rfc3339(e.remind_at), 'title', e.title,"
           " 'due_date', todo.rfc3339(e.due_date), 'priority', " PRIORITY_NAME("e.priority") ")"
           " from (select a.*, clock_timestamp() as now, todo.uuid_v7() as event_id from a"
           " where a.is_of_use order by a.remind_at) e)"
           " select a.user_id, a.id, a.is_of_use, greatest(0, (extract(epoch from"
           " clock_timestamp() - greatest(a.remind_at, a.updated_at)) * 1000)::bigint) from a",
    .param_count = 4,
    .is_write = true,
};

const struct db_stmt reminder_next_stmt = {
    .name = "reminder_next",
    .sql = "select " NOW ", ceil(extract(epoch from n.at - " NOW ") * 1000)::bigint"
           " from (select least("
           "(select r.remind_at from todo.reminders r where " OWN_WAITS
           " order by r.remind_at limit 1), (select t.due_date - " IN_DEFAULT
           " from todo.tasks t where " DEFAULT_WAITS " and " DEFAULT_IS_OF_USE
           " order by t.due_date limit 1)) as at) n",
    .param_count = 2,
};

/* clang-format on */

enum { FIRE_USER_ID, FIRE_TASK_ID, FIRE_IS_OF_USE, FIRE_LATE_MS };

static void decode_sent(const struct db_result *res, struct db_reminder_sent *sent,
                        struct db_reminder_fire_reply *reply)
{
    for (int row = 0; row < db_result_rows(res); row++) {
        if (!db_result_bool(res, row, FIRE_IS_OF_USE)) {
            reply->given_up++;
            continue;
        }
        sent[reply->count++] = (struct db_reminder_sent){
            .user_id = db_result_int(res, row, FIRE_USER_ID),
            .task_id = db_result_int(res, row, FIRE_TASK_ID),
            .late_ms = db_result_int(res, row, FIRE_LATE_MS),
        };
    }
    reply->sent = sent;
}

static void fire_done(struct db_call *call, int status, const struct db_result *res,
                      const struct error *err)
{
    struct db_reminder_fire_reply reply = {0};
    struct db_reminder_sent *sent = NULL;
    struct error oom;
    int rows = status ? 0 : db_result_rows(res);
    if (rows > 0) {
        sent = mem_calloc((size_t)rows, sizeof(*sent));
        if (sent) {
            decode_sent(res, sent, &reply);
        } else {
            status = error_set(&oom, DB_ENOMEM, NULL, "out of memory");
            err = &oom;
        }
    }
    reply.has_more = rows >= call->limit;
    call->fn.reminder_fire(call->ctx, status, status ? NULL : &reply, err);
    mem_free(sent);
}

int db_reminder_fire(struct db_pool *p, const struct db_reminder_rules *rules, int limit,
                     struct slice source, db_reminder_fire_fn fn, void *ctx, db_op_id *id,
                     struct error *err)
{
    struct db_args args = {0};
    params_int(&args, rules->default_minutes);
    params_int(&args, rules->late_max_hours);
    params_int(&args, limit);
    params_text(&args, source);
    struct db_call call = {.pool = p,
                           .stmt = &reminder_fire_stmt,
                           .done = fire_done,
                           .fn.reminder_fire = fn,
                           .ctx = ctx,
                           .limit = limit};
    return call_submit(&call, &args, id, err);
}

enum { NEXT_NOW, NEXT_MS };

static void next_done(struct db_call *call, int status, const struct db_result *res,
                      const struct error *err)
{
    struct db_reminder_next_reply reply = {0};
    if (!status)
        reply = (struct db_reminder_next_reply){
            .now = db_result_time(res, 0, NEXT_NOW),
            .has_next = !db_result_is_null(res, 0, NEXT_MS),
            .next_ms = db_result_int(res, 0, NEXT_MS),
        };
    call->fn.reminder_next(call->ctx, status, status ? NULL : &reply, err);
}

int db_reminder_next(struct db_pool *p, const struct db_reminder_rules *rules,
                     db_reminder_next_fn fn, void *ctx, db_op_id *id, struct error *err)
{
    struct db_args args = {0};
    params_int(&args, rules->default_minutes);
    params_int(&args, rules->late_max_hours);
    struct db_call call = {.pool = p,
                           .stmt = &reminder_next_stmt,
                           .done = next_done,
                           .fn.reminder_next = fn,
                           .ctx = ctx};
    return call_submit(&call, &args, id, err);
}
