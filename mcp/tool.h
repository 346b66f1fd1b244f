#pragma once
/* mcp/tool: what a model can call. Spec: server/tools.
 * When a client calls a tool, its arguments are parsed and checked against the input schema first;
 * then the tool's function runs and ends the call, now or later, exactly once (mcp/call.h).
 * Refused arguments are answered as a tool result with isError so that the model can mend its call:
 * {"code":"validation_error","message":…,"field":…,"expected":…,"retryable":false}. */
#include <stdbool.h>
#include <stdint.h>

struct error;
struct mcp_call;
struct mcp_server;

/* A handler: of a tool, a prompt, a resource or a completion. */
typedef void (*mcp_call_fn)(void *ctx, struct mcp_call *call);

enum mcp_task_support {
    MCP_TASK_NONE,     /* never a task */
    MCP_TASK_OPTIONAL, /* may call mcp_call_start_task, and go on without where it is refused */
    MCP_TASK_REQUIRED, /* only for clients with the tasks extension: others get -32021 */
};

struct mcp_tool {
    const char *name, *title, *description;
    const char *input_schema;  /* JSON text, an object schema; may have x-mcp-header */
    const char *output_schema; /* JSON text or NULL */
    const char *icon;          /* https: or data: URI; may be NULL */
    bool read_only, destructive, idempotent, open_world; /* annotations, all four are sent */
    uint32_t scopes;       /* all of these bits are needed to see and to call it; 0: none */
    uint32_t capabilities; /* MCP_CAN_* that the client must have; 0: none (mcp/call.h) */
    enum mcp_task_support task;
    mcp_call_fn call;
    void *ctx;
};

/* Compiles the schemas and renders the tool's entry of tools/list once. 0, or an error that names
 * the tool (a programmer's mistake: die on it). Names are unique; order of adding is list order. */
__attribute__((warn_unused_result)) int
mcp_server_add_tool(struct mcp_server *s, const struct mcp_tool *tool, struct error *err);
/* Calls in flight run to their end. An unknown name is ignored. */
void mcp_server_remove_tool(struct mcp_server *s, const char *name);
