/* tools/prompts.c: arguments -> checked -> db_day_get (the user's day, the ids of names) -> words.
 * Times are written as list_tasks takes them; its bounds are exclusive, so that a day's first
 * moment is named by the one before it. */
#include "tools/prompts.h"

#include <inttypes.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "db/agenda.h"
#include "mcp/content.h"
#include "mcp/prompt.h"
#include "tools/complete_int.h"
#include "tools/render_int.h"
#include "tools/tool_int.h"

#define TEXT_MAX_BYTES ((size_t)4 * 1024 * 1024)
#define WEEK_US        (INT64_C(7) * 86400 * 1000000)

struct prompt_op {
    struct tools *tools; /* borrowed */
    struct mcp_call *call;
    void (*write)(struct buf *b, const struct prompt_op *op, const struct db_day_reply *day);
    db_op_id db_id;
    const char *date, *focus, *category, *tag, *priority, *status; /* borrowed; NULL: not given */
};

/* ---- pieces --------------------------------------------------------------------------------- */

static void write_time(struct buf *b, const char *words, int64_t time_us)
{
    char text[CLOCK_RFC3339_SIZE];
    clock_format_rfc3339(time_us, text);
    buf_printf(b, "%s%s", words, text);
}

/* The arguments of list_tasks that hold for the whole prompt. */
static void write_filter(struct buf *b, const struct prompt_op *op, const struct db_day_reply *day)
{
    if (day->category_id)
        buf_printf(b, ", category_id %" PRId64, day->category_id);
    if (day->tag_id)
        buf_printf(b, ", tag_ids [%" PRId64 "]", day->tag_id);
    if (op->priority)
        buf_printf(b, ", priority %s", op->priority);
}

static void write_unknown(struct buf *b, const char *kind, const char *name, const char *tool)
{
    buf_printf(b,
               "There is no %s named \"%s\": look with %s which one I may have meant, and ask me "
               "before you go on.\n",
               kind, name, tool);
}

static void write_names(struct buf *b, const struct prompt_op *op, const struct db_day_reply *day)
{
    if (op->category && day->category_id)
        buf_printf(b, "Only tasks of the category \"%s\" matter here.\n", op->category);
    else if (op->category)
        write_unknown(b, "category", op->category, "list_categories");
    if (op->tag && day->tag_id)
        buf_printf(b, "Only tasks with the tag \"%s\" matter here.\n", op->tag);
    else if (op->tag)
        write_unknown(b, "tag", op->tag, "list_tags");
    if (op->focus)
        buf_printf(b, "What matters to me most: %s\n", op->focus);
}

static void write_date(struct buf *b, const struct db_day_reply *day)
{
    buf_append_slice(b, day->weekday);
    buf_append_cstr(b, ", ");
    buf_append_slice(b, day->date);
    buf_append_cstr(b, day->is_today ? " (today; time zone " : " (time zone ");
    buf_append_slice(b, day->timezone);
    buf_append_char(b, ')');
}

static void write_manners(struct buf *b)
{
    buf_append_cstr(b, "\nName tasks by title, and their ids only where I may need them. Change "
                       "nothing before I agree, and then tell me what you changed. Where a tool "
                       "named here is not at hand, say what I would have to do myself.\n");
}

/* ---- the prompts ---------------------------------------------------------------------------- */

static void write_plan(struct buf *b, const struct prompt_op *op, const struct db_day_reply *day)
{
    buf_append_cstr(b, "Help me plan ");
    write_date(b, day);
    buf_append_cstr(b, ".\n");
    write_names(b, op, day);
    buf_append_cstr(b, "\n1. What is due: list_tasks with status pending, sort_by due_date");
    write_time(b, ", due_before ", day->until);
    write_filter(b, op, day);
    buf_append_cstr(b, ", include_total true. It has what is overdue too");
    write_time(b, ": all that is due before ", day->from);
    buf_append_cstr(b, ".\n2. What could be done besides: list_tasks with status pending, sort_by "
                       "priority, limit 10");
    write_filter(b, op, day);
    buf_append_cstr(b, ".\n3. Read a task with get_task only where its title does not say enough.\n"
                       "4. Propose a plan: the three things that matter most and why, then the "
                       "rest in the order of the day, then what had better move to another day. "
                       "Be honest when it is more than fits into a day.\n"
                       "5. When I agree: update_task for new due dates and priorities, "
                       "set_reminder for what must not be missed, complete_task for what I say is "
                       "done.\n");
    write_manners(b);
}

static bool wants(const struct prompt_op *op, const char *status)
{
    return !op->status || strcmp(op->status, "all") == 0 || strcmp(op->status, status) == 0;
}

static void write_review(struct buf *b, const struct prompt_op *op, const struct db_day_reply *day)
{
    buf_append_cstr(b, "Review a week with me: the one of ");
    write_date(b, day);
    write_time(b, ", from ", day->week_from);
    write_time(b, " to ", day->week_until);
    buf_append_cstr(b, ".\n");
    write_names(b, op, day);
    buf_append_char(b, '\n');
    if (wants(op, "completed")) {
        buf_append_cstr(b, "- Done: list_tasks with status completed, sort_by updated_at, fields "
                           "[title, completed_at, category]");
        write_filter(b, op, day);
        buf_append_cstr(b, ". Count those whose completed_at lies in the week; read further pages "
                           "while their completed_at does.\n");
    }
    if (wants(op, "pending")) {
        buf_append_cstr(b, "- Left over: list_tasks with status pending, sort_by due_date");
        write_time(b, ", due_before ", day->week_until);
        write_filter(b, op, day);
        buf_append_cstr(b, ", include_total true.\n- Ahead: the same");
        write_time(b, " with due_after ", day->week_until - 1);
        write_time(b, " and due_before ", day->week_until + WEEK_US);
        buf_append_cstr(b, ".\n- Forgotten: list_tasks with status pending, sort_by updated_at, "
                           "order asc, limit 10");
        write_filter(b, op, day);
        buf_append_cstr(b, ".\n");
    }
    buf_append_cstr(b, "\nTell me in a few lines what went well, what did not get done, and what "
                       "that says about the coming week. Then go through what is left over one by "
                       "one: do, move, split or drop; update_task, add_task, complete_task and "
                       "delete_task do it.\n");
    write_manners(b);
}

static void write_triage(struct buf *b, const struct prompt_op *op, const struct db_day_reply *day)
{
    buf_append_cstr(b, "Help me to get rid of what is overdue. It is ");
    write_date(b, day);
    buf_append_cstr(b, ".\n");
    write_names(b, op, day);
    buf_append_cstr(b, "\n1. list_tasks with status pending, sort_by due_date");
    write_time(b, ", due_before ", day->now);
    write_filter(b, op, day);
    buf_append_cstr(
        b, ", include_total true: the oldest first. Tell me how many there are.\n"
           "2. In groups of five, propose for each task one of: do it today; move it to a date "
           "that is realistic; hand it on or split it; drop it. Say why in half a line. What has "
           "been overdue for months is seldom still wanted.\n"
           "3. Let me correct the group, then carry it out: update_task with a new due_date (a "
           "time with its offset) or priority, add_task for parts, complete_task, and delete_task "
           "only for what I want to drop.\n"
           "4. Go on with next_cursor until none is left or I stop.\n");
    write_manners(b);
}

/* ---- a call --------------------------------------------------------------------------------- */

static void end_with_text(struct prompt_op *op, const struct buf *text)
{
    struct buf messages;
    struct json_writer w;
    buf_init(&messages, TEXT_MAX_BYTES);
    json_writer_init(&w, &messages);
    json_begin_array(&w);
    mcp_content_message_begin(&w, "user");
    mcp_content_text(&w, buf_slice(text));
    mcp_content_message_end(&w);
    json_end_array(&w);
    if (buf_status(text) || buf_status(&messages))
        mcp_call_error(op->call, MCP_INTERNAL_ERROR, "out of memory");
    else
        mcp_call_messages(op->call, NULL, buf_slice(&messages));
    buf_deinit(&messages);
}

static void end_with_error(struct prompt_op *op, int status)
{
    struct tool_error e;
    if (tool_error_from_status(&e, status, true)) {
        mcp_call_error(op->call, MCP_SERVER_BUSY, e.message);
        return;
    }
    log_error(op->tools->log, "statement refused", log_str("prompt", mcp_call_name(op->call)),
              log_int("code", status));
    mcp_call_error(op->call, MCP_INTERNAL_ERROR, "internal error");
}

static void on_day(void *ctx, int status, const struct db_day_reply *day, const struct error *err)
{
    struct prompt_op *op = ctx;
    struct buf text;
    (void)err;
    if (status || !day->is_found) {
        end_with_error(op, status ? status : DB_EINTERNAL);
        return;
    }
    buf_init(&text, TEXT_MAX_BYTES);
    op->write(&text, op, day);
    end_with_text(op, &text);
    buf_deinit(&text);
}

/* A given argument that is not empty. */
static const char *given(const struct mcp_call *call, const char *name)
{
    const char *text = json_get_string(mcp_call_arguments(call), name);
    return text && *text ? text : NULL;
}

static bool is_date(const char *text)
{
    char moment[32];
    int64_t time_us;
    int len = snprintf(moment, sizeof(moment), "%sT00:00:00Z", text);
    return strlen(text) == 10 &&
           clock_parse_rfc3339((struct slice){moment, (size_t)len}, &time_us, NULL) == 0;
}

static bool is_one_of(const char *text, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(text, words[i]) == 0)
            return true;
    }
    return false;
}

/* NULL when the arguments are good, else what is wrong. */
static const char *fault_of(const struct prompt_op *op)
{
    static const char *const statuses[] = {"all", "pending", "completed"};
    if (op->date && !is_date(op->date))
        return "the date must be a day of the calendar as YYYY-MM-DD";
    if (op->priority && !is_one_of(op->priority, render_priority_names, 4))
        return "priority must be low, medium, high or urgent";
    if (op->status && !is_one_of(op->status, statuses, 3))
        return "status must be all, pending or completed";
    return NULL;
}

static void start(struct tools *t, struct mcp_call *call, struct prompt_op values)
{
    const char *fault = fault_of(&values);
    struct prompt_op *op = fault ? NULL : arena_calloc(mcp_call_arena(call), 1, sizeof(*op));
    if (!op) {
        mcp_call_error(call, fault ? MCP_INVALID_PARAMS : MCP_INTERNAL_ERROR,
                       fault ? fault : "out of memory");
        return;
    }
    *op = values;
    op->tools = t;
    op->call = call;
    int status = db_day_get(t->pool, mcp_call_identity(call)->user_id, slice_from_cstr(op->date),
                            slice_from_cstr(op->category), slice_from_cstr(op->tag), on_day, op,
                            &op->db_id, NULL);
    if (status)
        end_with_error(op, status);
}

static void plan_day(void *ctx, struct mcp_call *call)
{
    start(ctx, call,
          (struct prompt_op){.write = write_plan,
                             .date = given(call, "date"),
                             .focus = given(call, "focus"),
                             .category = given(call, "category")});
}

static void weekly_review(void *ctx, struct mcp_call *call)
{
    start(ctx, call,
          (struct prompt_op){.write = write_review,
                             .date = given(call, "week_of"),
                             .status = given(call, "status"),
                             .category = given(call, "category")});
}

static void triage_overdue(void *ctx, struct mcp_call *call)
{
    start(ctx, call,
          (struct prompt_op){.write = write_triage,
                             .priority = given(call, "priority"),
                             .category = given(call, "category"),
                             .tag = given(call, "tag")});
}

/* --------------------------------------------------------------------------------------------- */

#define CATEGORY_ARGUMENT                                                                          \
    {                                                                                              \
        .name = "category", .title = "Category", .description = "Only tasks of this category"      \
    }

static const struct mcp_prompt_argument plan_arguments[] = {
    {.name = "date", .title = "Day", .description = "YYYY-MM-DD; default: today"},
    {.name = "focus", .title = "Focus", .description = "What matters most, in your own words"},
    CATEGORY_ARGUMENT,
};
static const struct mcp_prompt_argument review_arguments[] = {
    {.name = "week_of", .title = "A day of the week", .description = "YYYY-MM-DD; default: today"},
    {.name = "status",
     .title = "What to look at",
     .description = "completed: only back; pending: only ahead; default: all"},
    CATEGORY_ARGUMENT,
};
static const struct mcp_prompt_argument triage_arguments[] = {
    {.name = "priority", .title = "Priority", .description = "Only tasks of this priority"},
    CATEGORY_ARGUMENT,
    {.name = "tag", .title = "Tag", .description = "Only tasks with this tag"},
};

static const struct mcp_prompt prompts[] = {
    {.name = "plan_day",
     .title = "Plan a day",
     .description = "What to do on a day, in which order, and what to move.",
     .arguments = plan_arguments,
     .argument_count = 3,
     .get = plan_day},
    {.name = "weekly_review",
     .title = "Weekly review",
     .description = "What a week brought, what is left over, what lies ahead.",
     .arguments = review_arguments,
     .argument_count = 3,
     .get = weekly_review},
    {.name = "triage_overdue",
     .title = "Triage of overdue tasks",
     .description = "Goes through what is overdue: do, move, split or drop.",
     .arguments = triage_arguments,
     .argument_count = 3,
     .get = triage_overdue},
};

int prompts_register(struct tools *t, struct mcp_server *server, struct error *err)
{
    int status = 0;
    for (size_t i = 0; !status && i < sizeof(prompts) / sizeof(*prompts); i++) {
        struct mcp_prompt prompt = prompts[i];
        prompt.scopes = TOOLS_SCOPE_READ;
        prompt.complete = complete_argument;
        prompt.ctx = t;
        status = mcp_server_add_prompt(server, &prompt, err);
    }
    return status;
}
