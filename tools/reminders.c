/* tools/reminders.c: set_reminder. */
#include "tools/tool_int.h"

#define BEFORE_MAX_MINUTES 525600 /* a year */

static const char reminder_input[] =
    "{\"type\":\"object\",\"properties\":{\"task_id\":" SCHEMA_ID ","
    "\"remind_before_minutes\":{\"type\":[\"integer\",\"null\"],\"minimum\":0,\"maximum\":525600,"
    "\"description\":\"Before due_date\"},"
    "\"remind_at\":{\"type\":[\"string\",\"null\"],\"description\":\"RFC 3339 with offset, in the "
    "future\"}},\"required\":[\"task_id\"]" SCHEMA_END;

static void reminder_read(struct args *a, const struct tool_def *def, struct tool_input *in)
{
    struct db_reminder_set *set = &in->u.reminder;
    bool has_before = args_has_value(a, "remind_before_minutes");
    bool has_at = args_has_value(a, "remind_at");
    (void)def;
    in->subject.is_reminder = true;
    set->remind_before_minutes = -1;
    set->clear = !has_before && !has_at;
    args_require(a, "task_id");
    args_id(a, "task_id", &in->subject.task_id);
    if ((has_before && has_at) ||
        (set->clear && !args_has(a, "remind_before_minutes") && !args_has(a, "remind_at")))
        args_refuse(a, NULL, "remind_before_minutes, or remind_at, or one of them null",
                    "give exactly one: remind_before_minutes, remind_at, or null to clear");
    args_int(a, "remind_before_minutes", 0, BEFORE_MAX_MINUTES, &set->remind_before_minutes);
    args_time(a, "remind_at", &has_at, &set->remind_at);
    if (has_at && set->remind_at <= a->now_us)
        args_refuse(a, "remind_at", "a time in the future", "remind_at is in the past");
}

static int reminder_start(struct tool_op *op, struct error *err)
{
    op->in.u.reminder.traceparent = tool_traceparent(op);
    return db_task_set_reminder(op->tools->pool, tool_user_id(op), op->in.subject.task_id,
                                &op->in.u.reminder, tool_on_task, op, &op->db_id, err);
}

const struct tool_def reminder_tools[] = {
    {.name = "set_reminder",
     .set = TOOLSET_REMINDERS,
     .title = "Set reminder",
     .description =
         "Sets or replaces a task's reminder: exactly one of the two forms; null clears.",
     .input_schema = reminder_input,
     .output_schema = SCHEMA_TASK(""),
     .destructive = true,
     .idempotent = true,
     .read = reminder_read,
     .start = reminder_start},
    {0},
};
