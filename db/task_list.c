/* list_tasks: pages by key, never by offset, each one a range of an index read in order.
 *
 * A statement for each sort, direction and filter, so that one generic plan fits all its calls:
 * no "$n is null or …". What has no index to itself (priority, due dates in another sort) is a
 * plain filter that an absent argument makes always true.
 *
 * Two ranges make a page: pending and completed tasks, each in the order of the sort and cut at the
 * limit, then merged; a false $5 or $6 leaves one out before it is read. A cursor is a row
 * comparison that starts the range; a first page passes a key before all others.
 *
 * By due date a third and fourth range hold the tasks without one, last in both directions.
 *
 * Params: 1 user, 2 limit + 1, 3 and 4 the cursor's key and id, 5 pending, 6 completed,
 * 7 priorities, 8 and 9 due after and before, 10 whether tasks without a due date match,
 * then the category, then the tags, as far as the filter has them. */
#include "base/error.h"
#include "base/mem.h"
#include "db/task_int.h"

#define MATCHES(filter)                                                                            \
    " and t.priority = any($7::smallint[])"                                                        \
    " and coalesce(t.due_date > $8::timestamptz and t.due_date < $9::timestamptz, "                \
    "$10::boolean)" filter
#define NO_FILTER   ""
#define IN_CATEGORY " and t.category_id = $11::bigint"
#define HAS_TAG(n)                                                                                 \
    " and exists (select from todo.task_tags x where x.user_id = $1 and x.task_id = t.id"          \
    " and x.tag_id = any($" n "::bigint[]))"
#define IN_TAGS HAS_TAG("11")
#define IN_BOTH IN_CATEGORY HAS_TAG("12")

/* clang-format off */

#define RANGE(flag, completed, start, filter, order)                                               \
    "(select " TASK_OWN " from todo.tasks t where t.user_id = $1::bigint and " completed           \
    " and " flag "::boolean and " start MATCHES(filter) " order by " order " limit $2::integer)"
#define BOTH_RANGES(start, filter, order)                                                          \
    RANGE("$5", "not t.completed", start, filter, order)                                           \
    " union all " RANGE("$6", "t.completed", start, filter, order)

/* ---- the page ---- */

#define PAGE_BY(column, type, compare, direction, filter)                                          \
    "page as materialized (select * from (" BOTH_RANGES(                                           \
        "(t." column ", t.id) " compare " ($3::" type ", $4::bigint)", filter,                     \
        "t." column " " direction ", t.id " direction)                                             \
    ") t" ORDER_BY(column, direction) " limit $2)"
#define ORDER_BY(column, direction) " order by t." column " " direction ", t.id " direction

#define DUE_START(compare)                                                                         \
    "(t.due_date, t.id) " compare " ($3::timestamptz, $4::bigint)"                                 \
    " and t.due_date > $8::timestamptz and t.due_date < $9::timestamptz"
/* The key is past all due dates where the cursor stands among the tasks without one. */
#define NO_DUE_START(compare, last_key, before_all)                                                \
    "t.due_date is null and t.id " compare " case when $3::timestamptz = '" last_key               \
    "' then $4::bigint else " before_all " end"
#define PAGE_BY_DUE(compare, direction, last_key, before_all, filter)                              \
    "due as materialized (select * from (" BOTH_RANGES(                                            \
        DUE_START(compare), filter, "t.due_date " direction ", t.id " direction)                   \
    ") t" ORDER_BY("due_date", direction) " limit $2),"                                            \
    " page as materialized (select * from due union all select * from (select * from ("            \
    BOTH_RANGES(NO_DUE_START(compare, last_key, before_all), filter,                               \
                "t.due_date " direction ", t.id " direction)                                       \
    ") t" ORDER_BY("due_date", direction) " limit $2 - (select count(*) from due)) t)"
#define ORDER_BY_DUE(direction)                                                                    \
    " order by t.due_date " direction " nulls last, t.id " direction

#define CREATED_ASC(filter)   PAGE_BY("created_at", "timestamptz", ">", "asc", filter)
#define CREATED_DESC(filter)  PAGE_BY("created_at", "timestamptz", "<", "desc", filter)
#define UPDATED_ASC(filter)   PAGE_BY("updated_at", "timestamptz", ">", "asc", filter)
#define UPDATED_DESC(filter)  PAGE_BY("updated_at", "timestamptz", "<", "desc", filter)
#define PRIORITY_ASC(filter)  PAGE_BY("priority", "smallint", ">", "asc", filter)
#define PRIORITY_DESC(filter) PAGE_BY("priority", "smallint", "<", "desc", filter)
#define DUE_ASC(filter)       PAGE_BY_DUE(">", "asc", "infinity", "0", filter)
#define DUE_DESC(filter)      PAGE_BY_DUE("<", "desc", "-infinity", ID_LAST, filter)
#define ID_LAST               "9223372036854775807"

/* clang-format on */

/* ---- the statements ---- */

#define COUNT_OF(filter)                                                                           \
    "(select count(*) as total from todo.tasks t where t.user_id = $1"                             \
    " and (t.completed and $6 or not t.completed and $5)" MATCHES(filter) ") n"
/* With the total there is a row even where the page is empty. */
#define LIST_PAIR(id, page, order, filter, params)                                                 \
    {.name = "task_list_" id,                                                                      \
     .sql = "with " page " select -1::bigint, " TASK_LIST_COLUMNS " from page t" TASK_JOINS order, \
     .param_count = (params)},                                                                     \
    {                                                                                              \
        .name = "task_total_" id,                                                                  \
        .sql = "with " page " select n.total, " TASK_LIST_COLUMNS                                  \
               " from " COUNT_OF(filter) " left join page t on true" TASK_JOINS order,             \
        .param_count = (params), .is_slow = true                                                   \
    }
#define LIST_OF(id, PAGE, order)                                                                   \
    LIST_PAIR(id, PAGE(NO_FILTER), order, NO_FILTER, 10),                                          \
        LIST_PAIR(id "_category", PAGE(IN_CATEGORY), order, IN_CATEGORY, 11),                      \
        LIST_PAIR(id "_tags", PAGE(IN_TAGS), order, IN_TAGS, 11),                                  \
        LIST_PAIR(id "_both", PAGE(IN_BOTH), order, IN_BOTH, 12)

/* In the order of task_list_index. */
const struct db_stmt task_list_stmts[TASK_LIST_STMTS] = {
    LIST_OF("created_asc", CREATED_ASC, ORDER_BY("created_at", "asc")),
    LIST_OF("created_desc", CREATED_DESC, ORDER_BY("created_at", "desc")),
    LIST_OF("due_asc", DUE_ASC, ORDER_BY_DUE("asc")),
    LIST_OF("due_desc", DUE_DESC, ORDER_BY_DUE("desc")),
    LIST_OF("priority_asc", PRIORITY_ASC, ORDER_BY("priority", "asc")),
    LIST_OF("priority_desc", PRIORITY_DESC, ORDER_BY("priority", "desc")),
    LIST_OF("updated_asc", UPDATED_ASC, ORDER_BY("updated_at", "asc")),
    LIST_OF("updated_desc", UPDATED_DESC, ORDER_BY("updated_at", "desc")),
};
_Static_assert(DB_SORT_CREATED_AT == 0 && DB_SORT_DUE_DATE == 1 && DB_SORT_PRIORITY == 2 &&
                   DB_SORT_UPDATED_AT == 3,
               "the table and enum db_sort differ");

/* ---- arguments ---- */

#define PRIORITY_BEFORE "-1"
#define PRIORITY_AFTER  "4"

/* The key before (or, backwards, after) all others. */
static struct slice first_key(enum db_sort sort, bool descending)
{
    if (sort == DB_SORT_PRIORITY)
        return descending ? SLICE_LIT(PRIORITY_AFTER) : SLICE_LIT(PRIORITY_BEFORE);
    return descending ? SLICE_LIT("infinity") : SLICE_LIT("-infinity");
}

static void params_cursor(struct db_args *a, const struct db_task_filter *f)
{
    const struct db_cursor *cursor = &f->cursor;
    if (!cursor->is_set) {
        params_text(a, first_key(f->sort, f->descending));
        params_text(a, f->descending ? SLICE_LIT(ID_LAST) : SLICE_LIT("0"));
        return;
    }
    if (cursor->key_is_null) /* past all due dates: where a scan backwards would begin */
        params_text(a, first_key(f->sort, !f->descending));
    else if (f->sort == DB_SORT_PRIORITY)
        params_int(a, cursor->key);
    else
        params_time(a, cursor->key);
    params_int(a, cursor->id);
}

static void params_range(struct db_args *a, const struct db_task_filter *f)
{
    if (f->has_due_after)
        params_time(a, f->due_after);
    else
        params_text(a, SLICE_LIT("-infinity"));
    if (f->has_due_before)
        params_time(a, f->due_before);
    else
        params_text(a, SLICE_LIT("infinity"));
    params_bool(a, !f->has_due_after && !f->has_due_before);
}

static void params_filter(struct db_args *a, const struct db_task_filter *f)
{
    static const char *const one[] = {"{0}", "{1}", "{2}", "{3}"};
    params_bool(a, f->status != 1);
    params_bool(a, f->status != 0);
    params_text(a, f->priority < 0 ? SLICE_LIT("{0,1,2,3}") : slice_from_cstr(one[f->priority]));
    params_range(a, f);
    if (f->category_id)
        params_int(a, f->category_id);
    if (f->tag_count)
        params_ids(a, f->tag_ids, f->tag_count);
}

int db_task_list(struct db_pool *p, int64_t user_id, const struct db_task_filter *filter,
                 db_task_list_fn fn, void *ctx, db_op_id *id, struct error *err)
{
    enum task_list_filter kind = (filter->category_id ? LIST_CATEGORY : LIST_ALL) |
                                 (filter->tag_count ? LIST_TAGS : LIST_ALL);
    size_t at = task_list_index(filter->sort, filter->descending, kind, filter->with_total);
    struct db_args args = {0};
    params_int(&args, user_id);
    params_int(&args, filter->limit + 1);
    params_cursor(&args, filter);
    params_filter(&args, filter);
    struct db_call call = {.pool = p,
                           .stmt = &task_list_stmts[at],
                           .done = task_list_done,
                           .fn.list = fn,
                           .ctx = ctx,
                           .limit = filter->limit};
    return call_submit(&call, &args, id, err);
}
