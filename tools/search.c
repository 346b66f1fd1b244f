/* tools/search.c: search_tasks. */
#include <stdio.h>

#include "tools/cursor_int.h"
#include "tools/list_int.h"
#include "tools/render_int.h"
#include "tools/utf8_int.h"

#define QUERY_MAX           500
#define SEARCH_LIMIT_MAX    100
#define EXCERPT_TITLE_CHARS 60
#define EXCERPT_CHARS       100

#define PAGE SCHEMA_LIMIT("100")
static const char search_input[] =
    "{\"type\":\"object\",\"properties\":{"
    "\"query\":{\"type\":\"string\",\"minLength\":1,\"description\":\"Words; 1-500 characters\"},"
    "\"status\":" SCHEMA_STATUS "," PAGE "},\"required\":[\"query\"]" SCHEMA_END;

static const char search_output[] =
    "{\"type\":\"object\",\"properties\":{\"tasks\":{\"type\":\"array\",\"items\":{\"type\":"
    "\"object\",\"description\":\"As in list_tasks; highlights.description stands for "
    "description\",\"required\":[\"id\",\"search_rank\","
    "\"highlights\"]}},\"next_cursor\":{\"type\":[\"string\",\"null\"]}}," SCHEMA_REQUIRED(
        "\"tasks\",\"next_cursor\"");

static void search_read(struct args *a, const struct tool_def *def, struct tool_input *in)
{
    (void)def;
    args_require(a, "query");
    args_line(a, "query", QUERY_MAX, &in->u.search.query);
    list_read_status(a, &in->u.search.status);
    list_read_limit(a, SEARCH_LIMIT_MAX, &in->u.search.limit);
    args_cursor(a, cursor_scope_search(a->user_id, in->u.search.query, in->u.search.status),
                &in->u.search.cursor);
}

/* ---- the answer ------------------------------------------------------------------------------
 * A hit shows where it hit; get_task gives the rest. So that a page stays small, a highlight is
 * an excerpt, the description is shorter than in lists, and it is left out where its highlight
 * shows a part of it. */

static bool has_text(const struct slice *column, int row)
{
    return column && column[row].len > 0;
}

static void write_highlights(struct json_writer *w, const struct db_task_list_reply *reply, int row)
{
    json_key(w, "highlights");
    json_begin_object(w);
    if (has_text(reply->title_highlight, row)) {
        json_key(w, "title");
        json_slice(w, render_excerpt(reply->title_highlight[row], EXCERPT_TITLE_CHARS));
    }
    if (has_text(reply->description_highlight, row)) {
        json_key(w, "description");
        json_slice(w, render_excerpt(reply->description_highlight[row], EXCERPT_CHARS));
    }
    json_end_object(w);
}

/* Four digits tell ranks apart; the cursor keeps all of them. */
static void write_rank(struct json_writer *w, double rank)
{
    char text[32];
    int len = snprintf(text, sizeof(text), "%.4g", rank);
    json_key(w, "search_rank");
    json_raw(w, (struct slice){text, (size_t)len});
}

static void search_write_row(struct json_writer *w, const struct tool_op *op,
                             const struct db_task_list_reply *reply, int row)
{
    struct db_task task = reply->tasks[row];
    uint32_t members = RENDER_ALL | RENDER_FRUGAL;
    struct slice description = utf8_cut(task.description, EXCERPT_CHARS);
    (void)op;
    if (has_text(reply->description_highlight, row)) {
        members &= ~(1u << RENDER_DESCRIPTION);
    } else if (description.len < task.description.len) {
        task.description = description;
        task.description_truncated = true;
    }
    render_list_members(w, &task, members);
    write_rank(w, reply->rank[row]);
    write_highlights(w, reply, row);
}

static void on_search(void *ctx, int status, const struct db_task_list_reply *reply,
                      const struct error *err)
{
    struct tool_op *op = ctx;
    if (tool_op_has_failed(op, status, err))
        return;
    struct db_cursor next = {0};
    if (reply->count > 0)
        next = (struct db_cursor){.is_set = true,
                                  .rank = reply->rank[reply->count - 1],
                                  .is_fuzzy = reply->is_fuzzy,
                                  .id = reply->tasks[reply->count - 1].id};
    list_answer(
        op, reply, search_write_row, &next,
        cursor_scope_search(tool_user_id(op), op->in.u.search.query, op->in.u.search.status));
}

static int search_start(struct tool_op *op, struct error *err)
{
    return db_task_search(op->tools->pool, tool_user_id(op), op->in.u.search.query,
                          op->in.u.search.status, op->in.u.search.limit, &op->in.u.search.cursor,
                          on_search, op, &op->db_id, err);
}

const struct tool_def search_tools[] = {
    {.name = "search_tasks",
     .set = TOOLSET_SEARCH,
     .title = "Search tasks",
     .description = "Finds tasks by words in title and description, best first; word beginnings "
                    "and misspellings match too.",
     .input_schema = search_input,
     .output_schema = search_output,
     .read_only = true,
     .idempotent = true,
     .read = search_read,
     .start = search_start},
    {0},
};
