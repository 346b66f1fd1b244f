#pragma once
/* db/task_int: the columns of a task in an answer, the words of its events, and their decoders;
 * for the task_*.c files. SQL pieces name their aliases:
 *   t a task's columns, c its category, r its reminder, e one event; $1 is always the user. */
#include "db/call_int.h"

/* ---- columns ---- */

#define TASK_CATEGORY    "c.id, c.name, c.color"
#define TASK_NO_CATEGORY "null::bigint, null::text, null::text"
#define TASK_REMINDER                                                                              \
    "r.task_id is not null, r.remind_at, r.before_minutes, "                                       \
    "r.sent_at is not null"
#define TASK_NO_REMINDER "false, null::timestamptz, null::integer, false"
#define TASK_NO_TAGS     "null::text"
/* id US name US colour, parted by RS: names hold no control characters (domain label_name). */
#define TASK_TAGS_PACKED                                                                           \
    "string_agg(g.id || e'\\x1f' || g.name || e'\\x1f' || coalesce(g.color, ''), e'\\x1e'"         \
    " order by g.name)"
#define TASK_TAGS                                                                                  \
    "(select " TASK_TAGS_PACKED " from todo.task_tags x"                                           \
    " join todo.tags g on g.user_id = x.user_id and g.id = x.tag_id"                               \
    " where x.user_id = $1 and x.task_id = t.id)"
#define TASK_COLUMNS_AS(description, truncated, category, tags, reminder)                          \
    "t.id, t.title, " description ", " truncated ", t.completed, t.priority, t.due_date,"          \
    " t.recurrence_rule, t.timezone, " category ", " tags ", " reminder                            \
    ", t.version, t.created_at, t.updated_at, t.completed_at"
#define TASK_COLUMNS(category, tags, reminder)                                                     \
    TASK_COLUMNS_AS("t.description", "false", category, tags, reminder)
#define TASK_COLUMN_COUNT 21
/* In lists: a description is cut. */
#define TASK_LIST_COLUMNS                                                                          \
    TASK_COLUMNS_AS("left(t.description, 200)", "coalesce(length(t.description) > 200, false)",    \
                    TASK_CATEGORY, TASK_TAGS, TASK_REMINDER)
/* A task's own columns, as the statements carry them from one part to the next. */
#define TASK_OWN                                                                                   \
    "t.id, t.title, t.description, t.completed, t.priority, t.due_date, t.recurrence_rule,"        \
    " t.timezone, t.category_id, t.version, t.created_at, t.updated_at, t.completed_at"
/* The same for `returning`, where the table has no alias. */
#define TASK_RETURNED                                                                              \
    "id, title, description, completed, priority, due_date, recurrence_rule, timezone,"            \
    " category_id, version, created_at, updated_at, completed_at"
#define TASK_JOINS                                                                                 \
    " left join todo.categories c on c.user_id = $1 and c.id = t.category_id"                      \
    " left join todo.reminders r on r.user_id = $1 and r.task_id = t.id"

/* Columns before those of the task in the answer of a write (and of task_get). */
enum { WRITE_OUTCOME, WRITE_CHANGED, WRITE_REPLAYED, WRITE_FIELDS, WRITE_TASK };

/* The task's row, locked, as it is now, with `seen`: its version when the statement began. Where
 * they differ another transaction has changed the task, its tags or its reminder meanwhile, and
 * the statement answers CALL_AGAIN. Only after this lock may an event be written: that makes a
 * task's order in the outbox the order of its commits. */
#define TASK_LOCKED                                                                                \
    "old as materialized (select " TASK_OWN                                                        \
    ", (select s.version from todo.tasks s where s.user_id = $1 and s.id = $2::bigint) as seen"    \
    " from todo.tasks t where t.user_id = $1::bigint and t.id = $2::bigint"                        \
    " for no key update of t)"

/* ---- events ---- */

#define EVENT_INSERT                                                                               \
    "insert into todo.outbox (id, key, topic, type, traceparent, created_at, data) "
#define EVENT_HEAD_OF(user, type)                                                                  \
    "'event_id', e.event_id, 'event_type', '" type "', 'timestamp', todo.rfc3339(e.now),"          \
    " 'user_id', " user ", 'schema_version', '1.0', 'task_id', e.id"
#define EVENT_HEAD(type) EVENT_HEAD_OF("$1::bigint", type)
#define EVENT_UPDATED(fields, version)                                                             \
    "jsonb_build_object(" EVENT_HEAD("task.updated") ", 'updated_fields', " fields                 \
                                                     ", 'version', " version ")"
#define EVENT_COMPLETED                                                                            \
    "jsonb_build_object(" EVENT_HEAD("task.completed") ", 'completed_at', todo.rfc3339(e.now),"    \
                                                       " 'recurrence_rule', e.recurrence_rule, "   \
                                                       "'due_date', todo.rfc3339(e.due_date),"     \
                                                       " 'timezone', e.timezone)"
#define EVENT_CREATED(category, tag_ids)                                                           \
    "jsonb_build_object(" EVENT_HEAD(                                                              \
        "task.created") ", 'title', e.title,"                                                      \
                        " 'description', e.description, 'priority', " PRIORITY_NAME(               \
                            "e.priority") ", 'due_date', todo.rfc3339(e.due_date), "               \
                                          "'recurrence_rule', e.recurrence_rule,"                  \
                                          " 'category_id', " category ", 'tag_ids', " tag_ids ")"
#define PRIORITY_NAME(priority) "(array['low', 'medium', 'high', 'urgent'])[" priority " + 1]"

/* ---- decoding ---- */

/* Fills `out` from the columns that start at `first`; slices point into `res`. */
void task_decode(const struct db_result *res, int row, int first, struct db_task *out);
/* The `done` of every operation with a db_task_fn. No row: DB_NOT_FOUND. */
void task_done(struct db_call *call, int status, const struct db_result *res,
               const struct error *err);
/* The `done` of db_task_list and db_task_search. */
void task_list_done(struct db_call *call, int status, const struct db_result *res,
                    const struct error *err);
/* Columns around those of the task in the answer of a list and of a search. */
enum { LIST_TOTAL, LIST_TASK };
enum {
    SEARCH_RANK = LIST_TASK + TASK_COLUMN_COUNT,
    SEARCH_TITLE,
    SEARCH_DESCRIPTION,
    SEARCH_IS_FUZZY
};

/* Every statement of the task_*.c files, for the tests that look at their plans. */
extern const struct db_stmt task_add_stmt, task_add_full_stmt, task_get_stmt, task_update_stmt,
    task_complete_stmt, task_delete_stmt, task_tag_add_stmt, task_tag_remove_stmt,
    task_reminder_stmt, task_reminder_clear_stmt, task_search_stmt;
/* Lists have a statement for each sort, direction, filter and whether the total is asked for. */
enum task_list_filter { LIST_ALL = 0, LIST_CATEGORY = 1, LIST_TAGS = 2, LIST_BOTH = 3 };
#define TASK_LIST_STMTS 64
extern const struct db_stmt task_list_stmts[TASK_LIST_STMTS];
static inline size_t task_list_index(enum db_sort sort, bool descending,
                                     enum task_list_filter filter, bool with_total)
{
    return (size_t)sort * 16 + (descending ? 8 : 0) + (size_t)filter * 2 + (with_total ? 1 : 0);
}
