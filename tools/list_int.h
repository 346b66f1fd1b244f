#pragma once
/* tools/list: the answer that list_tasks and search_tasks share: structured tasks for programs,
 * one line a task for readers. */
#include "tools/tool_int.h"

#define SCHEMA_LIMIT(max)                                                                          \
    "\"limit\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":" max ",\"default\":25},"           \
    "\"cursor\":{\"type\":\"string\",\"description\":\"next_cursor of the page before\"}"

#define LIST_LIMIT_DEFAULT 25

/* status as db takes it: -1 all, 0 pending, 1 completed. */
void list_read_status(struct args *a, int *out);
void list_read_limit(struct args *a, int max, int *out);

/* Writes the members of row `row` into the object that is open. */
typedef void (*list_row_fn)(struct json_writer *w, const struct tool_op *op,
                            const struct db_task_list_reply *reply, int row);
/* Ends the call. `next` is the place after the last row, used when the reply has more. */
void list_answer(struct tool_op *op, const struct db_task_list_reply *reply, list_row_fn write_row,
                 const struct db_cursor *next, uint32_t scope);
