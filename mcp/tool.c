/* Tools: their entries, and tools/call. */
#include "mcp/tool.h"

#include <stdio.h>

#include "base/error.h"
#include "base/mem.h"
#include "mcp/call_int.h"
#include "mcp/header_param_int.h"
#include "mcp/subscribe_int.h"

struct tool_entry {
    struct catalog_entry base; /* first: the catalog gives it back */
    struct mcp_schema *input;
    struct header_params headers;
    uint32_t capabilities;
    enum mcp_task_support task;
    mcp_call_fn call;
    void *ctx;
};

/* ---- the entry ---- */

static void tool_entry_free(struct catalog_entry *base)
{
    struct tool_entry *entry = (struct tool_entry *)base;
    mcp_schema_free(entry->input);
    header_params_deinit(&entry->headers);
    catalog_entry_deinit(base);
    mem_free(entry);
}

static void render_annotations(struct json_writer *w, const struct mcp_tool *tool,
                               enum mcp_revision revision)
{
    json_key(w, "annotations");
    json_begin_object(w);
    if (revision == MCP_2025_03_26 && tool->title)
        json_key_string(w, "title", tool->title);
    json_key_bool(w, "readOnlyHint", tool->read_only);
    json_key_bool(w, "destructiveHint", tool->destructive);
    json_key_bool(w, "idempotentHint", tool->idempotent);
    json_key_bool(w, "openWorldHint", tool->open_world);
    json_end_object(w);
}

static void render(struct buf *out, const struct mcp_tool *tool, const cJSON *input,
                   const cJSON *output, enum mcp_revision revision)
{
    struct json_writer w;
    json_writer_init(&w, out);
    json_begin_object(&w);
    json_key_string(&w, "name", tool->name);
    if (revision >= MCP_2025_06_18 && tool->title)
        json_key_string(&w, "title", tool->title);
    json_key_string(&w, "description", tool->description);
    json_key(&w, "inputSchema");
    json_tree(&w, input);
    if (revision >= MCP_2025_06_18 && output) {
        json_key(&w, "outputSchema");
        json_tree(&w, output);
    }
    render_annotations(&w, tool, revision);
    if (revision >= MCP_2025_11_25)
        write_icons(&w, &(struct mcp_icon){.src = tool->icon});
    json_end_object(&w);
}

static int fill(struct tool_entry *entry, const struct mcp_tool *tool, const cJSON *input,
                const cJSON *output, struct error *err)
{
    int status = catalog_entry_init(&entry->base, tool->name, tool->scopes, tool_entry_free);
    if (status)
        return error_set(err, status, tool->name, "out of memory");
    entry->capabilities = tool->capabilities;
    entry->task = tool->task;
    entry->call = tool->call;
    entry->ctx = tool->ctx;
    status = mcp_schema_compile(input, &entry->input, err);
    if (!status)
        status = header_params_read(&entry->headers, input, err);
    for (int i = 0; i < MCP_REVISIONS && !status; i++)
        render(&entry->base.json[i], tool, input, output, (enum mcp_revision)i);
    return status;
}

static int parse_schema(const struct mcp_tool *tool, const char *text, const char *which,
                        cJSON **out, struct error *err)
{
    struct error why;
    if (!text)
        return 0;
    *out = json_parse(slice_from_cstr(text), &why);
    if (!*out)
        return error_set(err, why.code, tool->name, "%s of %s: %s", which, tool->name, why.text);
    return 0;
}

static int add_entry(struct mcp_server *s, const struct mcp_tool *tool, const cJSON *input,
                     const cJSON *output, struct error *err)
{
    struct tool_entry *entry = mem_calloc(1, sizeof(*entry));
    if (!entry)
        return error_set(err, BASE_ENOMEM, tool->name, "out of memory");
    int status = fill(entry, tool, input, output, err);
    if (!status)
        status = catalog_add(&s->tools, &entry->base, err);
    if (status) {
        tool_entry_free(&entry->base);
        return status;
    }
    s->tasking_count += tool->task != MCP_TASK_NONE;
    subscribers_notify_list(s, SUBSCRIBE_TOOLS, 0);
    return 0;
}

int mcp_server_add_tool(struct mcp_server *s, const struct mcp_tool *tool, struct error *err)
{
    cJSON *input = NULL;
    cJSON *output = NULL;
    int status = parse_schema(tool, tool->input_schema, "the input schema", &input, err);
    if (!status)
        status = parse_schema(tool, tool->output_schema, "the output schema", &output, err);
    if (!status)
        status = add_entry(s, tool, input, output, err);
    cJSON_Delete(input);
    cJSON_Delete(output);
    return status;
}

void mcp_server_remove_tool(struct mcp_server *s, const char *name)
{
    const struct tool_entry *entry = (const struct tool_entry *)catalog_find(&s->tools, name);
    if (!entry)
        return;
    s->tasking_count -= entry->task != MCP_TASK_NONE;
    (void)catalog_remove(&s->tools, name);
    subscribers_notify_list(s, SUBSCRIBE_TOOLS, 0);
}

/* ---- tools/call ---- */

static bool is_hidden(const struct mcp_request_context *rx, const struct tool_entry *entry)
{
    const struct mcp_server_info *info = &rx->server->info;
    return info->is_tool_visible &&
           !info->is_tool_visible(info->ctx, rx->identity, entry->base.key);
}

const struct mcp_header_param *mcp_tool_header_params(const struct mcp_request_context *rx,
                                                      const char *tool, size_t *count)
{
    const struct tool_entry *entry =
        (const struct tool_entry *)catalog_find(&rx->server->tools, tool);
    bool is_there = entry && !is_hidden(rx, entry);
    *count = is_there ? entry->headers.count : 0;
    return is_there ? entry->headers.list : NULL;
}

/* NULL when the call may start, else why not. */
static const char *refusal(const struct exchange *x, const struct tool_entry **entry, char *text,
                           size_t size)
{
    const char *name = json_get_string(x->message->params, "name");
    const cJSON *arguments = json_get(x->message->params, "arguments");
    if (!name)
        return "params.name must be the name of a tool";
    *entry = (const struct tool_entry *)catalog_find(&x->rx->server->tools, name);
    if (!*entry || is_hidden(x->rx, *entry)) {
        snprintf(text, size, "unknown tool \"%.64s\"; tools/list names them all", name);
        return text;
    }
    if (arguments && !cJSON_IsObject(arguments))
        return "params.arguments must be an object";
    return NULL;
}

static void check_and_run(struct mcp_call *call, const struct tool_entry *entry)
{
    struct mcp_schema_fault fault;
    uint32_t missing = entry->base.scopes & ~call->identity.scopes;
    if (missing)
        call_forbid(call, missing);
    else if (mcp_schema_check(entry->input, call->arguments, &fault))
        call_fail_with(call, "validation_error", fault.message, fault.field, fault.expected);
    else
        call_run(call);
}

void method_tools_call(struct exchange *x)
{
    char text[160];
    const struct tool_entry *entry = NULL;
    const char *why = refusal(x, &entry, text, sizeof(text));
    if (why) {
        exchange_refuse(x, MCP_INVALID_PARAMS, why);
        return;
    }
    uint32_t needed = entry->capabilities | (entry->task == MCP_TASK_REQUIRED ? MCP_CAN_TASKS : 0u);
    if (needed & ~x->client_capabilities) {
        exchange_refuse_capability(x, needed & ~x->client_capabilities);
        return;
    }
    const struct call_target target = {.kind = CALL_TOOL,
                                       .entry = (struct catalog_entry *)(uintptr_t)&entry->base,
                                       .fn = entry->call,
                                       .ctx = entry->ctx};
    struct mcp_call *call = mcp_call_new(x, &target);
    if (call)
        check_and_run(call, entry);
}
