/* tools/tools.c: binds each tool of the families to the server. */
#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "mcp/tool.h"
#include "tools/tool_int.h"
#include "tools/zones_int.h"

#define TOOLS_MAX 18

const struct tool_def *const tool_families[] = {task_tools,     list_tools,  search_tools,
                                                reminder_tools, label_tools, NULL};

/* What a tool's function is called with. */
struct binding {
    const struct tool_def *def;
    struct tools *tools;
};
struct tools_private {
    struct zones *zones;
    struct binding bindings[TOOLS_MAX];
    int count;
};

static void op_on_cancel(void *ctx, struct mcp_call *call)
{
    struct tool_op *op = ctx;
    (void)call;
    db_pool_cancel(op->tools->pool, op->db_id);
}

static bool op_read(struct tool_op *op)
{
    struct tool_error e;
    struct args args = {.object = mcp_call_arguments(op->call),
                        .zones = op->tools->priv->zones,
                        .user_id = tool_user_id(op),
                        .now_us = clock_now_us(),
                        .error = &e};
    op->in.subject.kind = op->def->kind;
    op->def->read(&args, op->def, &op->in);
    if (args_status(&args) == 0)
        return true;
    tool_op_fail(op, &e);
    return false;
}

/* A write runs to its end whatever the client does; only a read is worth giving up. */
static void op_start(struct tool_op *op)
{
    struct error err = {0};
    tool_op_trace(op);
    int status = op->def->start(op, &err);
    if (status < 0)
        (void)tool_op_has_failed(op, status, &err);
    else if (op->def->read_only)
        mcp_call_on_cancel(op->call, op_on_cancel, op);
}

static void call_tool(void *ctx, struct mcp_call *call)
{
    const struct binding *binding = ctx;
    struct tool_op *op = arena_calloc(mcp_call_arena(call), 1, sizeof(*op));
    if (!op) {
        tool_call_fail_no_memory(call);
        return;
    }
    op->def = binding->def;
    op->tools = binding->tools;
    op->call = call;
    if (op_read(op))
        op_start(op);
}

static int add_tool(struct tools *t, struct mcp_server *server, const struct tool_def *def,
                    struct error *err)
{
    struct binding *binding = &t->priv->bindings[t->priv->count++];
    *binding = (struct binding){def, t};
    const struct mcp_tool tool = {.name = def->name,
                                  .title = def->title,
                                  .description = def->description,
                                  .input_schema = def->input_schema,
                                  .output_schema = def->output_schema,
                                  .read_only = def->read_only,
                                  .destructive = def->destructive,
                                  .idempotent = def->idempotent,
                                  .scopes = def->read_only ? TOOLS_SCOPE_READ : TOOLS_SCOPE_WRITE,
                                  .call = call_tool,
                                  .ctx = binding};
    return mcp_server_add_tool(server, &tool, err);
}

static int check_timezone(const struct tools *t, struct error *err)
{
    struct slice zone = slice_from_cstr(t->timezone);
    if (zone.len == 0 || zones_find(t->priv->zones, zone).len > 0)
        return 0;
    return error_set(err, BASE_EINVAL, "timezone", "\"%s\" is no time zone that this system knows",
                     t->timezone);
}

int tools_register(struct tools *t, struct mcp_server *server, struct error *err)
{
    t->priv = mem_calloc(1, sizeof(*t->priv));
    if (!t->priv || zones_load(ZONES_DIRECTORY, &t->priv->zones) < 0)
        return error_set(err, BASE_ENOMEM, NULL, "out of memory");
    int status = check_timezone(t, err);
    for (size_t i = 0; status == 0 && tool_families[i]; i++) {
        for (const struct tool_def *def = tool_families[i]; status == 0 && def->name; def++)
            status = add_tool(t, server, def, err);
    }
    return status;
}

void tools_deinit(struct tools *t)
{
    if (!t->priv)
        return;
    zones_free(t->priv->zones);
    mem_free(t->priv);
    t->priv = NULL;
}
