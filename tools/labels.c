/* tools/labels.c: categories and tags: the same four tools for each. */
#include "base/error.h"
#include "tools/render_int.h"
#include "tools/tool_int.h"

#define ASK_FROM_TASKS     10
#define QUESTION_MAX_BYTES ((size_t)8192)

static const struct {
    const char *id_field, *list_field;
    size_t name_max;
} kinds[] = {
    [DB_CATEGORY] = {"category_id", "categories", 50},
    [DB_TAG] = {"tag_id", "tags", 30},
};

#define NAME_COLOR                                                                                 \
    "\"name\":{\"type\":\"string\",\"minLength\":1},"                                              \
    "\"color\":{\"type\":[\"string\",\"null\"],\"pattern\":\"^#[0-9A-Fa-f]{6}$\"}"
#define CREATE_INPUT                                                                               \
    "{\"type\":\"object\",\"properties\":{" NAME_COLOR "},\"required\":[\"name\"]" SCHEMA_END
#define UPDATE_INPUT(id)                                                                           \
    "{\"type\":\"object\",\"properties\":{\"" id "\":" SCHEMA_ID "," NAME_COLOR                    \
    "},\"required\":[\"" id "\"]" SCHEMA_END
#define ID_INPUT(id)                                                                               \
    "{\"type\":\"object\",\"properties\":{\"" id "\":" SCHEMA_ID "},\"required\":[\"" id           \
    "\"]" SCHEMA_END
#define NO_INPUT "{\"type\":\"object\",\"properties\":{}" SCHEMA_END
#define LABEL_OUTPUT                                                                               \
    "{\"type\":\"object\"," SCHEMA_REQUIRED("\"id\",\"name\",\"color\",\"created_at\"")
#define LIST_OUTPUT(list)                                                                          \
    "{\"type\":\"object\",\"properties\":{\"" list "\":{\"type\":\"array\",\"items\":{\"type\":"   \
    "\"object\",\"required\":[\"id\",\"name\",\"color\",\"created_at\",\"task_count\"]}}}"         \
    "," SCHEMA_REQUIRED("\"" list "\"")
#define DELETE_OUTPUT "{\"type\":\"object\"," SCHEMA_REQUIRED("\"deleted\",\"tasks_affected\"")

/* ---- callbacks ------------------------------------------------------------------------------ */

/* Ends the call when there is nothing to show; true then. */
static bool has_failed(struct tool_op *op, int status, const struct db_label_reply *reply,
                       const struct error *err)
{
    struct tool_error e;
    if (tool_op_has_failed(op, status, err))
        return true;
    if (reply->outcome == DB_OK)
        return false;
    tool_error_from_label(&e, reply->outcome, &op->in.subject);
    tool_op_fail(op, &e);
    return true;
}

/* A new category shows nowhere but at its own URI, a new tag nowhere; what is renamed, recolored or
 * deleted shows in tasks. */
static void tell_change(struct tool_op *op, const struct db_label_reply *reply)
{
    bool is_new = op->in.subject.label_id == 0;
    bool is_category = op->def->kind == DB_CATEGORY;
    if (!is_new)
        tool_op_tell_change(op, (struct change){.is_all = true});
    else if (is_category)
        tool_op_tell_change(op, (struct change){.category_id = reply->labels[0].id});
}

/* Labels have no events: only a delete, which changes tasks, has something to tell the relay. */
static void on_label(void *ctx, int status, const struct db_label_reply *reply,
                     const struct error *err)
{
    struct tool_op *op = ctx;
    struct tool_answer answer;
    if (has_failed(op, status, reply, err))
        return;
    if (reply->changed)
        tell_change(op, reply);
    tool_answer_begin(&answer);
    json_begin_object(&answer.w);
    render_label_members(&answer.w, &reply->labels[0], false);
    json_end_object(&answer.w);
    tool_answer_end(&answer, op);
}

static void on_labels(void *ctx, int status, const struct db_label_reply *reply,
                      const struct error *err)
{
    struct tool_op *op = ctx;
    struct tool_answer answer;
    if (has_failed(op, status, reply, err))
        return;
    tool_answer_begin(&answer);
    json_begin_object(&answer.w);
    json_key(&answer.w, kinds[op->def->kind].list_field);
    json_begin_array(&answer.w);
    for (int i = 0; i < reply->count; i++) {
        json_begin_object(&answer.w);
        render_label_members(&answer.w, &reply->labels[i], true);
        json_end_object(&answer.w);
    }
    json_end_array(&answer.w);
    json_end_object(&answer.w);
    tool_answer_end(&answer, op);
}

static void on_delete(void *ctx, int status, const struct db_label_reply *reply,
                      const struct error *err)
{
    struct tool_op *op = ctx;
    struct tool_answer answer;
    if (has_failed(op, status, reply, err))
        return;
    if (reply->tasks_affected > 0)
        tool_op_has_changed(op);
    tell_change(op, reply);
    tool_answer_begin(&answer);
    json_begin_object(&answer.w);
    json_key_bool(&answer.w, "deleted", true);
    json_key_int(&answer.w, "tasks_affected", reply->tasks_affected);
    json_end_object(&answer.w);
    tool_answer_end(&answer, op);
}

/* ---- the tools ------------------------------------------------------------------------------ */

static void create_read(struct args *a, const struct tool_def *def, struct tool_input *in)
{
    args_require(a, "name");
    args_name(a, "name", kinds[def->kind].name_max, &in->u.label.name);
    args_color(a, "color", &in->u.label.color);
    in->subject.name = in->u.label.name;
}

static int create_start(struct tool_op *op, struct error *err)
{
    return db_label_create(op->tools->pool, op->def->kind, tool_user_id(op), op->in.u.label.name,
                           op->in.u.label.color, on_label, op, &op->db_id, err);
}

static void list_read(struct args *a, const struct tool_def *def, struct tool_input *in)
{
    (void)a;
    (void)def;
    (void)in;
}

static int list_start(struct tool_op *op, struct error *err)
{
    return db_label_list(op->tools->pool, op->def->kind, tool_user_id(op), on_labels, op,
                         &op->db_id, err);
}

static void id_read(struct args *a, const struct tool_def *def, struct tool_input *in)
{
    args_require(a, kinds[def->kind].id_field);
    args_id(a, kinds[def->kind].id_field, &in->subject.label_id);
}

static void update_read(struct args *a, const struct tool_def *def, struct tool_input *in)
{
    struct db_label_patch *p = &in->u.label;
    id_read(a, def, in);
    p->set_name = args_has(a, "name");
    p->set_color = args_has(a, "color");
    if (!p->set_name && !p->set_color)
        args_refuse(a, NULL, "name, color, or both", "nothing to change: give the fields to set");
    if (args_is_null(a, "name"))
        args_refuse(a, "name", NULL, "name cannot be removed; leave it out to keep it");
    args_name(a, "name", kinds[def->kind].name_max, &p->name);
    args_color(a, "color", &p->color);
    in->subject.name = p->name;
}

static int update_start(struct tool_op *op, struct error *err)
{
    return db_label_update(op->tools->pool, op->def->kind, tool_user_id(op),
                           op->in.subject.label_id, &op->in.u.label, on_label, op, &op->db_id, err);
}

static int delete_now(struct tool_op *op, struct error *err)
{
    return db_label_delete(op->tools->pool, op->def->kind, tool_user_id(op),
                           op->in.subject.label_id, tool_traceparent(op), on_delete, op, &op->db_id,
                           err);
}

/* ---- asking first ---------------------------------------------------------------------------
 * A deletion that many tasks would feel asks the person, where the client can:
 *   count -> few: delete
 *         -> many: ask -> (runs again from the start) -> count -> accepted: delete
 *                                                              -> declined: nothing changes */

static void refuse_declined(struct tool_op *op, const struct db_label *label)
{
    struct tool_error e;
    tool_error_set(&e, TOOL_FORBIDDEN, kinds[op->def->kind].id_field, NULL,
                   "the user was asked and did not agree to delete \"%.*s\"; nothing was changed; "
                   "do not call again unless the user wants it",
                   (int)label->name.len, label->name.ptr);
    tool_op_fail(op, &e);
}

static bool is_agreed(const cJSON *answer)
{
    const char *action = json_get_string(answer, "action");
    return action && strcmp(action, "accept") == 0 &&
           cJSON_IsTrue(json_get(json_get(answer, "content"), "confirm"));
}

static void write_question(struct buf *b, const struct tool_op *op, const struct db_label *label)
{
    struct json_writer w;
    const char *noun = op->def->kind == DB_CATEGORY ? "category" : "tag";
    const char *message =
        arena_printf(mcp_call_arena(op->call),
                     "Delete the %s \"%.*s\"? %lld tasks have it. They stay, without it.", noun,
                     (int)label->name.len, label->name.ptr, (long long)label->task_count);
    json_writer_init(&w, b);
    json_begin_object(&w);
    json_key_string(&w, "message", message ? message : "Delete it?");
    json_key(&w, "requestedSchema");
    json_raw(&w, SLICE_LIT("{\"type\":\"object\",\"properties\":{\"confirm\":{\"type\":"
                           "\"boolean\",\"title\":\"Delete it\",\"default\":false}},"
                           "\"required\":[\"confirm\"]}"));
    json_end_object(&w);
}

/* True when the person agreed; else the call waits, or has ended. */
static bool ask(struct tool_op *op, const struct db_label *label)
{
    struct buf question;
    buf_init(&question, QUESTION_MAX_BYTES);
    write_question(&question, op, label);
    const cJSON *answer =
        mcp_call_ask(op->call, "confirm", "elicitation/create", buf_slice(&question));
    bool is_good = answer && is_agreed(answer);
    buf_deinit(&question);
    if (!answer)
        mcp_call_wait(op->call);
    else if (!is_good)
        refuse_declined(op, label);
    return is_good;
}

static void on_counted(void *ctx, int status, const struct db_label_reply *reply,
                       const struct error *err)
{
    struct tool_op *op = ctx;
    struct error why = {0};
    if (has_failed(op, status, reply, err))
        return;
    if (reply->count > 0 && reply->labels[0].task_count >= ASK_FROM_TASKS &&
        !ask(op, &reply->labels[0]))
        return;
    status = delete_now(op, &why);
    (void)tool_op_has_failed(op, status, &why);
}

static int delete_start(struct tool_op *op, struct error *err)
{
    if (!(mcp_call_client_capabilities(op->call) & MCP_CAN_ELICIT))
        return delete_now(op, err);
    return db_label_get(op->tools->pool, op->def->kind, tool_user_id(op), op->in.subject.label_id,
                        on_counted, op, &op->db_id, err);
}

const struct tool_def label_tools[] = {
    {.name = "create_category",
     .set = TOOLSET_CATEGORIES,
     .title = "Create category",
     .description = "A new category, its name of 1-50 characters.",
     .input_schema = CREATE_INPUT,
     .output_schema = LABEL_OUTPUT,
     .kind = DB_CATEGORY,
     .read = create_read,
     .start = create_start},
    {.name = "list_categories",
     .set = TOOLSET_CATEGORIES,
     .title = "List categories",
     .description = "All categories with their task_count.",
     .input_schema = NO_INPUT,
     .output_schema = LIST_OUTPUT("categories"),
     .read_only = true,
     .idempotent = true,
     .kind = DB_CATEGORY,
     .read = list_read,
     .start = list_start},
    {.name = "update_category",
     .set = TOOLSET_CATEGORIES,
     .title = "Update category",
     .description = "Renames or recolors a category; color null removes it.",
     .input_schema = UPDATE_INPUT("category_id"),
     .output_schema = LABEL_OUTPUT,
     .destructive = true,
     .idempotent = true,
     .kind = DB_CATEGORY,
     .read = update_read,
     .start = update_start},
    {.name = "delete_category",
     .set = TOOLSET_CATEGORIES,
     .title = "Delete category",
     .description = "Deletes a category; its tasks stay.",
     .input_schema = ID_INPUT("category_id"),
     .output_schema = DELETE_OUTPUT,
     .destructive = true,
     .idempotent = true,
     .kind = DB_CATEGORY,
     .read = id_read,
     .start = delete_start},
    {.name = "create_tag",
     .set = TOOLSET_TAGS,
     .title = "Create tag",
     .description = "A new tag, its name of 1-30 characters.",
     .input_schema = CREATE_INPUT,
     .output_schema = LABEL_OUTPUT,
     .kind = DB_TAG,
     .read = create_read,
     .start = create_start},
    {.name = "list_tags",
     .set = TOOLSET_TAGS,
     .title = "List tags",
     .description = "All tags with their task_count.",
     .input_schema = NO_INPUT,
     .output_schema = LIST_OUTPUT("tags"),
     .read_only = true,
     .idempotent = true,
     .kind = DB_TAG,
     .read = list_read,
     .start = list_start},
    {.name = "update_tag",
     .set = TOOLSET_TAGS,
     .title = "Update tag",
     .description = "Renames or recolors a tag; color null removes it.",
     .input_schema = UPDATE_INPUT("tag_id"),
     .output_schema = LABEL_OUTPUT,
     .destructive = true,
     .idempotent = true,
     .kind = DB_TAG,
     .read = update_read,
     .start = update_start},
    {.name = "delete_tag",
     .set = TOOLSET_TAGS,
     .title = "Delete tag",
     .description = "Deletes a tag; its tasks stay.",
     .input_schema = ID_INPUT("tag_id"),
     .output_schema = DELETE_OUTPUT,
     .destructive = true,
     .idempotent = true,
     .kind = DB_TAG,
     .read = id_read,
     .start = delete_start},
    {0},
};
