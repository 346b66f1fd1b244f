/* tools/tasks.c: add, get, update, complete, delete; put a tag on a task and take it off. */
#include "base/error.h"
#include "tools/render_int.h"
#include "tools/repeat_int.h"
#include "tools/tool_int.h"

#define TITLE_MAX       200
#define DESCRIPTION_MAX 10000
#define KEY_MAX         128
#define NULLABLE        "{\"type\":[\"string\",\"null\"]}"

static void check_rule(struct args *a, const struct recurrence *rule, int64_t due_date,
                       struct slice zone)
{
    struct error err = {0};
    if (repeat_check(rule, due_date, zone, &err) < 0)
        args_refuse(a, "recurrence_rule", NULL, "%s", err.text);
}

/* ---- add_task ------------------------------------------------------------------------------- */

static const char add_input[] =
    "{\"type\":\"object\",\"properties\":{"
    "\"title\":{\"type\":\"string\",\"minLength\":1,\"description\":\"1-200 characters\"},"
    "\"description\":{\"type\":[\"string\",\"null\"],\"maxLength\":10000},"
    "\"priority\":{" SCHEMA_PRIORITY ",\"default\":\"medium\"},"
    "\"category_id\":{\"type\":[\"integer\",\"null\"],\"minimum\":1},\"tag_ids\":{" SCHEMA_TAG_IDS
    "},"
    "\"due_date\":{\"type\":[\"string\",\"null\"],\"description\":\"RFC 3339 with offset\"},"
    "\"recurrence_rule\":{\"type\":[\"string\",\"null\"],\"description\":\"RFC 5545 RRULE or "
    "daily, weekly, "
    "monthly, yearly; needs due_date\"},"
    "\"timezone\":{\"type\":[\"string\",\"null\"],\"description\":\"IANA; default: the user's\"},"
    "\"idempotency_key\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":128,"
    "\"description\":\"A repeat returns the first task\"}},"
    "\"required\":[\"title\"]" SCHEMA_END;

static void add_read(struct args *a, const struct tool_def *def, struct tool_input *in)
{
    struct db_task_new *t = &in->u.add;
    int priority = DB_PRIORITY_MEDIUM;
    (void)def;
    args_require(a, "title");
    args_line(a, "title", TITLE_MAX, &t->title);
    args_text(a, "description", DESCRIPTION_MAX, &t->description);
    args_word(a, "priority", render_priority_names, 4, &priority);
    args_id(a, "category_id", &t->category_id);
    args_ids(a, "tag_ids", t->tag_ids, &t->tag_count);
    args_time(a, "due_date", &t->has_due_date, &t->due_date);
    args_rule(a, "recurrence_rule", &in->rule);
    args_zone(a, "timezone", &t->timezone);
    args_text(a, "idempotency_key", KEY_MAX, &t->idempotency_key);
    if (in->rule.text[0] && !t->has_due_date)
        args_refuse(a, "due_date", "the due date of the first occurrence",
                    "a task that repeats needs a due date; give due_date too");
    if (in->rule.text[0] && t->has_due_date)
        check_rule(a, &in->rule, t->due_date, t->timezone);
    t->priority = (enum db_priority)priority;
    t->recurrence_rule = slice_from_cstr(in->rule.text);
    in->subject.category_id = t->category_id;
    in->subject.has_idempotency_key = t->idempotency_key.len > 0;
}

static int add_start(struct tool_op *op, struct error *err)
{
    op->in.u.add.traceparent = tool_traceparent(op);
    return db_task_add(op->tools->pool, tool_user_id(op), &op->in.u.add, tool_on_task, op,
                       &op->db_id, err);
}

/* ---- get_task, complete_task, delete_task --------------------------------------------------- */

static void id_read(struct args *a, const struct tool_def *def, struct tool_input *in)
{
    (void)def;
    args_require(a, "task_id");
    args_id(a, "task_id", &in->subject.task_id);
}

static const char get_output[] =
    "{\"type\":\"object\",\"properties\":{\"id\":{\"type\":\"integer\"},"
    "\"title\":{\"type\":\"string\"},\"description\":" NULLABLE ",\"completed\":{\"type\":"
    "\"boolean\"},\"status\":{\"enum\":[\"pending\",\"completed\"]},\"priority\":"
    "{" SCHEMA_PRIORITY "},\"due_date\":" NULLABLE ",\"recurrence_rule\":" NULLABLE ","
    "\"timezone\":{\"type\":\"string\"},\"category\":{\"type\":[\"object\",\"null\"]},"
    "\"tags\":{\"type\":\"array\"},\"reminder\":{\"type\":[\"object\",\"null\"]},"
    "\"version\":{\"type\":\"integer\"},\"created_at\":{\"type\":\"string\"},"
    "\"updated_at\":{\"type\":\"string\"},\"completed_at\":" NULLABLE
    "}," SCHEMA_REQUIRED(SCHEMA_TASK_MEMBERS);

static int get_start(struct tool_op *op, struct error *err)
{
    return db_task_get(op->tools->pool, tool_user_id(op), op->in.subject.task_id, tool_on_task, op,
                       &op->db_id, err);
}

static int complete_start(struct tool_op *op, struct error *err)
{
    return db_task_complete(op->tools->pool, tool_user_id(op), op->in.subject.task_id,
                            tool_traceparent(op), tool_on_task, op, &op->db_id, err);
}

static void complete_write(struct json_writer *w, const struct tool_op *op,
                           const struct db_task_reply *reply)
{
    (void)op;
    json_key_bool(w, "already_completed", !reply->changed);
}

static int delete_start(struct tool_op *op, struct error *err)
{
    return db_task_delete(op->tools->pool, tool_user_id(op), op->in.subject.task_id,
                          tool_traceparent(op), tool_on_task, op, &op->db_id, err);
}

static void delete_write(struct json_writer *w, const struct tool_op *op,
                         const struct db_task_reply *reply)
{
    (void)reply;
    json_key_bool(w, "deleted", true);
    json_key_int(w, "task_id", op->in.subject.task_id);
}

/* ---- update_task ---------------------------------------------------------------------------- */

static const char update_input[] =
    "{\"type\":\"object\",\"properties\":{\"task_id\":" SCHEMA_ID ","
    "\"title\":{\"type\":\"string\",\"minLength\":1},"
    "\"description\":{\"type\":[\"string\",\"null\"],\"maxLength\":10000},"
    "\"completed\":{\"type\":\"boolean\"},"
    "\"priority\":{" SCHEMA_PRIORITY "},"
    "\"category_id\":{\"type\":[\"integer\",\"null\"],\"minimum\":1},"
    "\"due_date\":{\"type\":[\"string\",\"null\"]},"
    "\"recurrence_rule\":{\"type\":[\"string\",\"null\"]},"
    "\"timezone\":{\"type\":[\"string\",\"null\"]},"
    "\"expected_version\":{\"type\":\"integer\",\"minimum\":1,\"description\":\"Refuse unless the "
    "task still has this version\"}},"
    "\"required\":[\"task_id\"]" SCHEMA_END;

/* Notes that the call sets the field. One that cannot be removed is not set to null. */
static void patch_field(struct args *a, const char *name, enum db_task_field field,
                        bool is_removable, struct db_task_patch *patch)
{
    if (!args_has(a, name))
        return;
    if (!is_removable && args_is_null(a, name))
        args_refuse(a, name, NULL, "%s cannot be removed; leave it out to keep it", name);
    patch->set |= (uint32_t)field;
}

static void patch_fields(struct args *a, struct db_task_patch *patch)
{
    patch_field(a, "title", DB_FIELD_TITLE, false, patch);
    patch_field(a, "description", DB_FIELD_DESCRIPTION, true, patch);
    patch_field(a, "completed", DB_FIELD_COMPLETED, false, patch);
    patch_field(a, "priority", DB_FIELD_PRIORITY, false, patch);
    patch_field(a, "category_id", DB_FIELD_CATEGORY, true, patch);
    patch_field(a, "due_date", DB_FIELD_DUE_DATE, true, patch);
    patch_field(a, "recurrence_rule", DB_FIELD_RECURRENCE, true, patch);
    patch_field(a, "timezone", DB_FIELD_TIMEZONE, true, patch);
    if (patch->set == 0)
        args_refuse(a, NULL,
                    "at least one of title, description, completed, priority, category_id, "
                    "due_date, recurrence_rule, timezone",
                    "nothing to change: give the fields to set");
}

/* All that a rule is reckoned from is in the call. */
static bool is_rule_whole(const struct tool_input *in)
{
    const struct db_task_patch *p = &in->u.patch;
    return in->rule.text[0] && p->has_due_date && p->timezone.len > 0;
}

static void update_read(struct args *a, const struct tool_def *def, struct tool_input *in)
{
    struct db_task_patch *p = &in->u.patch;
    int priority = DB_PRIORITY_MEDIUM;
    (void)def;
    args_require(a, "task_id");
    args_id(a, "task_id", &in->subject.task_id);
    patch_fields(a, p);
    args_line(a, "title", TITLE_MAX, &p->title);
    args_text(a, "description", DESCRIPTION_MAX, &p->description);
    args_bool(a, "completed", &p->completed);
    args_word(a, "priority", render_priority_names, 4, &priority);
    args_id(a, "category_id", &p->category_id);
    args_time(a, "due_date", &p->has_due_date, &p->due_date);
    args_rule(a, "recurrence_rule", &in->rule);
    args_zone(a, "timezone", &p->timezone);
    args_id(a, "expected_version", &p->expected_version);
    if (in->rule.text[0] && p->has_due_date)
        check_rule(a, &in->rule, p->due_date, p->timezone);
    p->priority = (enum db_priority)priority;
    p->recurrence_rule = slice_from_cstr(in->rule.text);
    in->subject.category_id = p->category_id;
    in->subject.expected_version = p->expected_version;
}

static int update_task(struct tool_op *op, struct error *err)
{
    return db_task_update(op->tools->pool, tool_user_id(op), op->in.subject.task_id,
                          &op->in.u.patch, tool_on_task, op, &op->db_id, err);
}

/* The rule as it would be, with what the task has of due date and time zone. A task that changes
 * before the update gets its rule all the same: this is advice, not an invariant. */
static int check_rule_of(const struct tool_op *op, const struct db_task *task, struct error *err)
{
    const struct db_task_patch *p = &op->in.u.patch;
    bool sets_due = (p->set & DB_FIELD_DUE_DATE) != 0;
    if (sets_due ? !p->has_due_date : !task->has_due_date)
        return 0; /* refused by the update itself */
    return repeat_check(&op->in.rule, sets_due ? p->due_date : task->due_date,
                        p->timezone.len ? p->timezone : task->timezone, err);
}

static void on_task_to_update(void *ctx, int status, const struct db_task_reply *reply,
                              const struct error *err)
{
    struct tool_op *op = ctx;
    struct error refusal = {0};
    struct tool_error e;
    if (status < 0 || reply->outcome != DB_OK) {
        tool_on_task(ctx, status, reply, err);
        return;
    }
    (void)tool_op_has_failed(op, status, err); /* ends its span */
    if (check_rule_of(op, reply->task, &refusal) < 0) {
        tool_error_set(&e, TOOL_VALIDATION_ERROR, "recurrence_rule", NULL, "%s", refusal.text);
        tool_op_fail(op, &e);
        return;
    }
    tool_op_trace(op);
    status = update_task(op, &refusal);
    if (status < 0)
        (void)tool_op_has_failed(op, status, &refusal);
}

static int update_start(struct tool_op *op, struct error *err)
{
    op->in.u.patch.traceparent = tool_traceparent(op);
    if (op->in.rule.text[0] && !is_rule_whole(&op->in))
        return db_task_get(op->tools->pool, tool_user_id(op), op->in.subject.task_id,
                           on_task_to_update, op, &op->db_id, err);
    return update_task(op, err);
}

static void update_write(struct json_writer *w, const struct tool_op *op,
                         const struct db_task_reply *reply)
{
    (void)op;
    render_updated_fields(w, reply->updated_fields);
}

/* ---- add_tag_to_task, remove_tag_from_task -------------------------------------------------- */

static const char tagging_input[] =
    "{\"type\":\"object\",\"properties\":{\"task_id\":" SCHEMA_ID ",\"tag_id\":" SCHEMA_ID "},"
    "\"required\":[\"task_id\",\"tag_id\"]" SCHEMA_END;

static void tagging_read(struct args *a, const struct tool_def *def, struct tool_input *in)
{
    id_read(a, def, in);
    args_require(a, "tag_id");
    args_id(a, "tag_id", &in->subject.tag_id);
}

static int tagging_start(struct tool_op *op, bool add, struct error *err)
{
    return db_task_tag(op->tools->pool, tool_user_id(op), op->in.subject.task_id,
                       op->in.subject.tag_id, add, tool_traceparent(op), tool_on_task, op,
                       &op->db_id, err);
}

static int tag_start(struct tool_op *op, struct error *err)
{
    return tagging_start(op, true, err);
}

static int untag_start(struct tool_op *op, struct error *err)
{
    return tagging_start(op, false, err);
}

static void tagging_write(struct json_writer *w, const struct tool_op *op,
                          const struct db_task_reply *reply)
{
    (void)op;
    json_key_bool(w, "changed", reply->changed);
}

/* --------------------------------------------------------------------------------------------- */

const struct tool_def task_tools[] = {
    {.name = "add_task",
     .set = TOOLSET_TASKS,
     .title = "Add task",
     .description = "Creates a task.",
     .input_schema = add_input,
     .output_schema = SCHEMA_TASK(""),
     .read = add_read,
     .start = add_start},
    {.name = "get_task",
     .set = TOOLSET_TASKS,
     .title = "Get task",
     .description = "One task, whole.",
     .input_schema = SCHEMA_TASK_ID_INPUT,
     .output_schema = get_output,
     .read_only = true,
     .idempotent = true,
     .read = id_read,
     .start = get_start},
    {.name = "update_task",
     .set = TOOLSET_TASKS,
     .title = "Update task",
     .description = "Sets the given fields; null removes one. Tags: add_tag_to_task.",
     .input_schema = update_input,
     .output_schema = SCHEMA_TASK(",\"updated_fields\""),
     .destructive = true,
     .idempotent = true,
     .read = update_read,
     .start = update_start,
     .write = update_write},
    {.name = "complete_task",
     .set = TOOLSET_TASKS,
     .title = "Complete task",
     .description = "Marks a task done.",
     .input_schema = SCHEMA_TASK_ID_INPUT,
     .output_schema = SCHEMA_TASK(",\"already_completed\""),
     .idempotent = true,
     .read = id_read,
     .start = complete_start,
     .write = complete_write},
    {.name = "delete_task",
     .set = TOOLSET_TASKS,
     .title = "Delete task",
     .description = "Deletes a task for good.",
     .input_schema = SCHEMA_TASK_ID_INPUT,
     .output_schema = "{\"type\":\"object\"," SCHEMA_REQUIRED("\"deleted\",\"task_id\""),
     .destructive = true,
     .idempotent = true,
     .read = id_read,
     .start = delete_start,
     .write = delete_write},
    {.name = "add_tag_to_task",
     .set = TOOLSET_TAGS,
     .title = "Add tag to task",
     .description = "Puts a tag on a task (at most 10).",
     .input_schema = tagging_input,
     .output_schema = SCHEMA_TASK(",\"changed\""),
     .idempotent = true,
     .read = tagging_read,
     .start = tag_start,
     .write = tagging_write},
    {.name = "remove_tag_from_task",
     .set = TOOLSET_TAGS,
     .title = "Remove tag from task",
     .description = "Takes a tag off a task.",
     .input_schema = tagging_input,
     .output_schema = SCHEMA_TASK(",\"changed\""),
     .destructive = true,
     .idempotent = true,
     .read = tagging_read,
     .start = untag_start,
     .write = tagging_write},
    {0},
};
