#pragma once
/* tools/tool: what every tool has, and the way a call goes:
 *   args -> def->read -> def->start (one db operation) -> db's reply -> an answer or a failure.
 * A call's memory is its tool_op, in the call's arena. */
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/trace.h"
#include "db/label.h"
#include "db/task.h"
#include "mcp/call.h"
#include "tools/args_int.h"
#include "tools/changes.h"
#include "tools/error_int.h"
#include "tools/tools.h"
#include "tools/view.h"

/* The checked arguments: what the call is about, and what the one tool needs. */
struct tool_input {
    struct tool_subject subject;
    struct recurrence rule;
    union {
        struct db_task_new add;
        struct db_task_patch patch;
        struct db_reminder_set reminder;
        struct db_label_patch label;
        struct {
            struct db_task_filter filter;
            uint32_t members; /* of each task: bits of enum render_member */
        } list;
        struct {
            struct slice query;
            int status; /* -1 all, 0 pending, 1 completed */
            int limit;
            struct db_cursor cursor;
        } search;
    } u;
};

struct tool_def;
struct tool_op {
    const struct tool_def *def;
    struct tools *tools; /* borrowed */
    struct mcp_call *call;
    db_op_id db_id;
    struct trace_span statement;
    struct tool_input in;
};

struct tool_def {
    const char *name, *title, *description;
    const char *input_schema, *output_schema; /* JSON text */
    enum toolset set;
    bool read_only, destructive, idempotent;
    enum db_label_kind kind; /* categories and tags share their functions */
    /* Arguments into *in, which is zeroed. Nothing is kept, and nothing
     * read but a time zone's file. */
    void (*read)(struct args *a, const struct tool_def *def, struct tool_input *in);
    /* Starts the one db operation with tool_on_task, tool_on_list … as its callback. */
    int (*start)(struct tool_op *op, struct error *err);
    /* The members of the answer, where they are more or other than the task's; may be NULL. */
    void (*write)(struct json_writer *w, const struct tool_op *op,
                  const struct db_task_reply *reply);
};

/* The families; each table ends with a name of NULL. */
extern const struct tool_def task_tools[], list_tools[], search_tools[], reminder_tools[],
    label_tools[];
/* All of them, in the order of tools/list; ends with NULL. */
extern const struct tool_def *const tool_families[];

int64_t tool_user_id(const struct tool_op *op);
struct slice tool_traceparent(const struct tool_op *op);

/* ---- ends of a call -------------------------------------------------------------------------- */

/* Any task operation's callback. */
void tool_on_task(void *ctx, int status, const struct db_task_reply *reply,
                  const struct error *err);
/* Begins the span of the call's statement, which ends with the first look at its status. */
void tool_op_trace(struct tool_op *op);
/* The first thing that is asked of a status. Ends the call when status < 0; true then. */
bool tool_op_has_failed(struct tool_op *op, int status, const struct error *err);
void tool_op_fail(struct tool_op *op, const struct tool_error *e);
/* Needs no memory. */
void tool_call_fail_no_memory(struct mcp_call *call);
/* After a committed change: wakes the relay. */
void tool_op_has_changed(struct tool_op *op);
/* After a commit that changed what resources show; the user is filled in. */
void tool_op_tell_change(struct tool_op *op, struct change change);

/* An answer in the making: write into w (and text), then end it, which ends the call. */
struct tool_answer {
    struct buf json, text;
    struct json_writer w;
};
void tool_answer_begin(struct tool_answer *answer);
void tool_answer_end(struct tool_answer *answer, struct tool_op *op);

/* ---- pieces of schemas ------------------------------------------------------------------------
 */

#define SCHEMA_ID       "{\"type\":\"integer\",\"minimum\":1}"
#define SCHEMA_PRIORITY "\"type\":\"string\",\"enum\":[\"low\",\"medium\",\"high\",\"urgent\"]"
#define SCHEMA_STATUS                                                                              \
    "{\"type\":\"string\",\"enum\":[\"all\",\"pending\",\"completed\"],\"default\":\"all\"}"
#define SCHEMA_TAG_IDS                                                                             \
    "\"type\":\"array\",\"items\":" SCHEMA_ID ",\"maxItems\":10,\"uniqueItems\":true"
#define SCHEMA_END ",\"additionalProperties\":false}"
#define SCHEMA_TASK_MEMBERS                                                                        \
    "\"id\",\"title\",\"description\",\"completed\",\"status\",\"priority\",\"due_date\","         \
    "\"recurrence_rule\",\"timezone\",\"category\",\"tags\",\"reminder\",\"version\","             \
    "\"created_at\",\"updated_at\",\"completed_at\""
/* What an output schema requires, and the end of it. A failure fits too: clients built on the first
 * line of the TypeScript SDK check it against the same schema, and would show the model their own
 * complaint instead of the failure's words. */
#define SCHEMA_REQUIRED(members)                                                                   \
    "\"anyOf\":[{\"required\":[" members "]},{\"required\":[\"code\"]}]}"
/* A whole task, with what `more` adds. */
#define SCHEMA_TASK(more) "{\"type\":\"object\"," SCHEMA_REQUIRED(SCHEMA_TASK_MEMBERS more)
#define SCHEMA_TASK_ID_INPUT                                                                       \
    "{\"type\":\"object\",\"properties\":{\"task_id\":" SCHEMA_ID                                  \
    "},\"required\":[\"task_id\"]" SCHEMA_END
