/* tools/lists.c: list_tasks, and the answer it shares with search_tasks. */
#include "tools/cursor_int.h"
#include "tools/list_int.h"
#include "tools/render_int.h"

#define LIST_LIMIT_MAX 200
#define ROW_BYTES      360 /* of a usual task in a list, */
#define LINE_BYTES     64  /* and of its line */

static const char *const status_words[] = {"all", "pending", "completed"};
static const char *const sort_words[] = {"created_at", "due_date", "priority", "updated_at"};
static const char *const order_words[] = {"asc", "desc"};

#define PAGE SCHEMA_LIMIT("200")
static const char list_input[] =
    "{\"type\":\"object\",\"properties\":{\"status\":" SCHEMA_STATUS ","
    "\"priority\":{" SCHEMA_PRIORITY "},"
    "\"category_id\":" SCHEMA_ID ","
    "\"tag_ids\":{" SCHEMA_TAG_IDS ",\"description\":\"Any of these\"},"
    "\"due_before\":{\"type\":\"string\",\"description\":\"RFC 3339 with offset\"},"
    "\"due_after\":{\"type\":\"string\"},"
    "\"sort_by\":{\"type\":\"string\",\"enum\":"
    "[\"created_at\",\"due_date\",\"priority\",\"updated_at\"],\"default\":\"created_at\"},"
    "\"order\":{\"type\":\"string\",\"enum\":[\"asc\",\"desc\"],"
    "\"description\":\"Default: newest, soonest due, most urgent first\"}," PAGE ","
    "\"fields\":{\"type\":\"array\",\"items\":{\"type\":\"string\",\"enum\":"
    "[" SCHEMA_TASK_MEMBERS "]},\"description\":\"Only these of each task, and id\"},"
    "\"include_total\":{\"type\":\"boolean\"}}" SCHEMA_END;

static const char list_output[] =
    "{\"type\":\"object\",\"properties\":{\"tasks\":{\"type\":\"array\",\"items\":{\"type\":"
    "\"object\",\"description\":\"As get_task; null, empty and false members are left out, and "
    "updated_at "
    "while version is 1; truncated: description is cut\",\"required\":[\"id\"]}},"
    "\"next_cursor\":{\"type\":[\"string\",\"null\"]},\"total\":{\"type\":\"integer\"}}"
    "," SCHEMA_REQUIRED("\"tasks\",\"next_cursor\"");

void list_read_status(struct args *a, int *out)
{
    int word = 0;
    args_word(a, "status", status_words, 3, &word);
    *out = word - 1;
}

void list_read_limit(struct args *a, int max, int *out)
{
    int64_t limit = LIST_LIMIT_DEFAULT;
    args_int(a, "limit", 1, max, &limit);
    *out = (int)limit;
}

/* Newest, most urgent first; but the soonest due first. */
static void read_order(struct args *a, struct db_task_filter *f)
{
    int sort = DB_SORT_CREATED_AT;
    args_word(a, "sort_by", sort_words, 4, &sort);
    int descending = sort != DB_SORT_DUE_DATE;
    args_word(a, "order", order_words, 2, &descending);
    f->sort = (enum db_sort)sort;
    f->descending = descending;
}

static void read_fields(struct args *a, uint32_t *members)
{
    const cJSON *fields = json_get(a->object, "fields"), *item;
    *members = RENDER_ALL | RENDER_FRUGAL;
    if (!fields || cJSON_IsNull(fields))
        return;
    *members = 1u << RENDER_ID;
    cJSON_ArrayForEach(item, fields)
    {
        int member = 0;
        while (
            member < RENDER_MEMBER_COUNT &&
            !(cJSON_IsString(item) && strcmp(item->valuestring, render_member_names[member]) == 0))
            member++;
        if (member == RENDER_MEMBER_COUNT)
            args_refuse(a, "fields", NULL, "fields must list names of a task's members");
        else
            *members |= 1u << member;
    }
}

static void list_read(struct args *a, const struct tool_def *def, struct tool_input *in)
{
    struct db_task_filter *f = &in->u.list.filter;
    (void)def;
    f->priority = -1;
    list_read_status(a, &f->status);
    args_word(a, "priority", render_priority_names, 4, &f->priority);
    args_id(a, "category_id", &f->category_id);
    args_ids(a, "tag_ids", f->tag_ids, &f->tag_count);
    args_time(a, "due_before", &f->has_due_before, &f->due_before);
    args_time(a, "due_after", &f->has_due_after, &f->due_after);
    read_order(a, f);
    list_read_limit(a, LIST_LIMIT_MAX, &f->limit);
    read_fields(a, &in->u.list.members);
    if (f->sort == DB_SORT_UPDATED_AT)
        in->u.list.members &= ~RENDER_FRUGAL;
    args_bool(a, "include_total", &f->with_total);
    args_cursor(a, cursor_scope_list(a->user_id, f), &f->cursor);
}

/* ---- the answer ------------------------------------------------------------------------------ */

static void write_tasks(struct json_writer *w, const struct tool_op *op,
                        const struct db_task_list_reply *reply, list_row_fn write_row)
{
    json_key(w, "tasks");
    json_begin_array(w);
    for (int i = 0; i < reply->count; i++) {
        json_begin_object(w);
        write_row(w, op, reply, i);
        json_end_object(w);
    }
    json_end_array(w);
}

void list_answer(struct tool_op *op, const struct db_task_list_reply *reply, list_row_fn write_row,
                 const struct db_cursor *next, uint32_t scope)
{
    struct tool_answer answer;
    char text[CURSOR_TEXT_SIZE];
    const char *cursor = NULL;
    if (reply->has_more && reply->count > 0) {
        cursor_encode(next, scope, text);
        cursor = text;
    }
    tool_answer_begin(&answer);
    (void)buf_reserve(&answer.json, (size_t)(reply->count + 1) * ROW_BYTES); /* seen at the end */
    (void)buf_reserve(&answer.text, (size_t)(reply->count + 1) * LINE_BYTES);
    json_begin_object(&answer.w);
    write_tasks(&answer.w, op, reply, write_row);
    json_key_string(&answer.w, "next_cursor", cursor);
    if (reply->total >= 0)
        json_key_int(&answer.w, "total", reply->total);
    if (reply->is_fuzzy)
        json_key_bool(&answer.w, "fuzzy", true);
    json_end_object(&answer.w);
    render_list_head(&answer.text, reply->count, reply->total, reply->is_fuzzy, cursor);
    for (int i = 0; i < reply->count; i++)
        render_task_line(&answer.text, &reply->tasks[i]);
    tool_answer_end(&answer, op);
}

static void list_write_row(struct json_writer *w, const struct tool_op *op,
                           const struct db_task_list_reply *reply, int row)
{
    render_list_members(w, &reply->tasks[row], op->in.u.list.members);
}

static void on_list(void *ctx, int status, const struct db_task_list_reply *reply,
                    const struct error *err)
{
    struct tool_op *op = ctx;
    if (tool_op_has_failed(op, status, err))
        return;
    const struct db_task_filter *f = &op->in.u.list.filter;
    struct db_cursor next = {0};
    if (reply->count > 0)
        next = cursor_after(&reply->tasks[reply->count - 1], f->sort);
    list_answer(op, reply, list_write_row, &next, cursor_scope_list(tool_user_id(op), f));
}

static int list_start(struct tool_op *op, struct error *err)
{
    return db_task_list(op->tools->pool, tool_user_id(op), &op->in.u.list.filter, on_list, op,
                        &op->db_id, err);
}

const struct tool_def list_tools[] = {
    {.name = "list_tasks",
     .set = TOOLSET_TASKS,
     .title = "List tasks",
     .description = "Tasks, filtered and sorted, in pages. Descriptions are cut at 200 characters.",
     .input_schema = list_input,
     .output_schema = list_output,
     .read_only = true,
     .idempotent = true,
     .read = list_read,
     .start = list_start},
    {0},
};
