/* tools/resources.c: one read, one statement:
 *   call -> id of the URI -> start -> db's reply -> contents, or not found, or an error */
#include "tools/resources.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "db/agenda.h"
#include "mcp/content.h"
#include "mcp/resource.h"
#include "tools/complete_int.h"
#include "tools/render_int.h"
#include "tools/tool_int.h"

#define JSON_MAX_BYTES ((size_t)1024 * 1024)
#define TASKS_SHOWN    50

struct read_op {
    struct tools *tools; /* borrowed */
    struct mcp_call *call;
    db_op_id db_id;
};

/* ---- ends ----------------------------------------------------------------------------------- */

static void end_with_error(struct read_op *op, int status)
{
    struct tool_error e;
    if (tool_error_from_status(&e, status, true)) {
        mcp_call_error(op->call, MCP_SERVER_BUSY, e.message);
        return;
    }
    log_error(op->tools->log, "statement refused", log_str("resource", mcp_call_name(op->call)),
              log_int("code", status));
    mcp_call_error(op->call, MCP_INTERNAL_ERROR, "internal error");
}

static void end_with(struct read_op *op, const struct buf *json)
{
    struct buf contents;
    struct json_writer w;
    buf_init(&contents, 2 * JSON_MAX_BYTES);
    json_writer_init(&w, &contents);
    json_begin_array(&w);
    mcp_content_resource_text(&w, mcp_call_name(op->call), "application/json", buf_slice(json));
    json_end_array(&w);
    if (buf_status(json) || buf_status(&contents))
        end_with_error(op, DB_ENOMEM);
    else
        mcp_call_contents(op->call, buf_slice(&contents));
    buf_deinit(&contents);
}

/* ---- task://{id} ---------------------------------------------------------------------------- */

static void on_task(void *ctx, int status, const struct db_task_reply *reply,
                    const struct error *err)
{
    struct read_op *op = ctx;
    struct buf json;
    struct json_writer w;
    (void)err;
    if (status) {
        end_with_error(op, status);
    } else if (reply->outcome != DB_OK) {
        mcp_call_not_found(op->call);
    } else {
        buf_init(&json, JSON_MAX_BYTES);
        json_writer_init(&w, &json);
        render_task(&w, reply->task);
        end_with(op, &json);
        buf_deinit(&json);
    }
}

/* ---- lists ---------------------------------------------------------------------------------- */

static void write_time(struct json_writer *w, const char *key, int64_t time_us)
{
    char text[CLOCK_RFC3339_SIZE];
    clock_format_rfc3339(time_us, text);
    json_key_string(w, key, text);
}

static void write_tasks(struct json_writer *w, const struct db_agenda_reply *reply)
{
    json_key(w, "tasks");
    json_begin_array(w);
    for (int i = 0; i < reply->count; i++) {
        json_begin_object(w);
        render_list_members(w, &reply->tasks[i], RENDER_ALL | RENDER_FRUGAL);
        json_end_object(w);
    }
    json_end_array(w);
}

static void write_agenda(struct json_writer *w, const struct db_agenda_reply *reply)
{
    if (reply->category.id) {
        render_label_members(w, &reply->category, true);
        json_key_int(w, "pending", reply->total);
    } else {
        json_key(w, "timezone");
        json_slice(w, reply->timezone);
        if (reply->has_from)
            write_time(w, "from", reply->from);
        write_time(w, "until", reply->until);
        json_key_int(w, "total", reply->total);
    }
    json_key_int(w, "shown", reply->count);
    write_tasks(w, reply);
}

static void on_agenda(void *ctx, int status, const struct db_agenda_reply *reply,
                      const struct error *err)
{
    struct read_op *op = ctx;
    struct buf json;
    struct json_writer w;
    (void)err;
    if (status) {
        end_with_error(op, status);
    } else if (!reply->is_found) {
        mcp_call_not_found(op->call);
    } else {
        buf_init(&json, JSON_MAX_BYTES);
        json_writer_init(&w, &json);
        json_begin_object(&w);
        write_agenda(&w, reply);
        json_end_object(&w);
        end_with(op, &json);
        buf_deinit(&json);
    }
}

/* ---- the start ------------------------------------------------------------------------------ */

/* An id has one spelling, since subscriptions go by the URI's text. 0: it is none. */
static int64_t id_of(struct mcp_call *call)
{
    struct slice text = mcp_call_uri_variable(call, "id");
    int64_t id = 0;
    if (text.len == 0 || text.len > 16 || text.ptr[0] == '0')
        return 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return 0;
        id = id * 10 + (text.ptr[i] - '0');
    }
    return id <= JSON_INTEGER_MAX ? id : 0;
}

static void on_cancel(void *ctx, struct mcp_call *call)
{
    struct read_op *op = ctx;
    (void)call;
    db_pool_cancel(op->tools->pool, op->db_id);
}

static struct read_op *begin(struct tools *t, struct mcp_call *call)
{
    struct read_op *op = arena_calloc(mcp_call_arena(call), 1, sizeof(*op));
    if (op)
        *op = (struct read_op){.tools = t, .call = call};
    else
        mcp_call_error(call, MCP_INTERNAL_ERROR, "out of memory");
    return op;
}

static void started(struct read_op *op, int status)
{
    if (status)
        end_with_error(op, status);
    else
        mcp_call_on_cancel(op->call, on_cancel, op);
}

static void read_task(void *ctx, struct mcp_call *call)
{
    int64_t id = id_of(call);
    struct read_op *op = id ? begin(ctx, call) : NULL;
    if (!id)
        mcp_call_not_found(call);
    if (op)
        started(op, db_task_get(op->tools->pool, mcp_call_identity(call)->user_id, id, on_task, op,
                                &op->db_id, NULL));
}

static void read_category(void *ctx, struct mcp_call *call)
{
    int64_t id = id_of(call);
    struct read_op *op = id ? begin(ctx, call) : NULL;
    if (!id)
        mcp_call_not_found(call);
    if (op)
        started(op, db_agenda_category(op->tools->pool, mcp_call_identity(call)->user_id, id,
                                       TASKS_SHOWN, on_agenda, op, &op->db_id, NULL));
}

static void read_agenda(struct tools *t, struct mcp_call *call, enum db_agenda which)
{
    struct read_op *op = begin(t, call);
    if (op)
        started(op, db_agenda_get(t->pool, mcp_call_identity(call)->user_id, which, TASKS_SHOWN,
                                  on_agenda, op, &op->db_id, NULL));
}

static void read_today(void *ctx, struct mcp_call *call)
{
    read_agenda(ctx, call, DB_TODAY);
}

static void read_overdue(void *ctx, struct mcp_call *call)
{
    read_agenda(ctx, call, DB_OVERDUE);
}

static void read_upcoming(void *ctx, struct mcp_call *call)
{
    read_agenda(ctx, call, DB_UPCOMING);
}

/* --------------------------------------------------------------------------------------------- */

static const struct mcp_resource lists[] = {
    {.uri = RESOURCE_TODAY,
     .name = "today",
     .title = "Due today",
     .description = "Pending tasks due today in the user's time zone, soonest first; at most 50, "
                    "and how many there are.",
     .read = read_today},
    {.uri = RESOURCE_OVERDUE,
     .name = "overdue",
     .title = "Overdue",
     .description = "Pending tasks whose due date has passed, the oldest first; at most 50.",
     .read = read_overdue},
    {.uri = RESOURCE_UPCOMING,
     .name = "upcoming",
     .title = "Due in the next seven days",
     .description = "Pending tasks due on the seven days after today, soonest first; at most 50.",
     .read = read_upcoming},
};

static const struct mcp_resource_template templates[] = {
    {.resource = {.uri = RESOURCE_TASK "{id}",
                  .name = "task",
                  .title = "Task",
                  .description = "One task, as get_task answers it.",
                  .read = read_task}},
    {.resource = {.uri = RESOURCE_CATEGORY "{id}",
                  .name = "category",
                  .title = "Category",
                  .description = "A category with its pending tasks, newest first; at most 50.",
                  .read = read_category},
     .complete = complete_category_id},
};

int resources_register(struct tools *t, struct mcp_server *server, struct error *err)
{
    int status = 0;
    for (size_t i = 0; !status && i < sizeof(lists) / sizeof(*lists); i++) {
        struct mcp_resource resource = lists[i];
        resource.mime_type = "application/json";
        resource.scopes = TOOLS_SCOPE_READ;
        resource.ctx = t;
        status = mcp_server_add_resource(server, &resource, err);
    }
    for (size_t i = 0; !status && i < sizeof(templates) / sizeof(*templates); i++) {
        struct mcp_resource_template entry = templates[i];
        entry.resource.mime_type = "application/json";
        entry.resource.scopes = TOOLS_SCOPE_READ;
        entry.resource.ctx = t;
        status = mcp_server_add_resource_template(server, &entry, err);
    }
    return status;
}
