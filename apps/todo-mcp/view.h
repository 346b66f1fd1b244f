#pragma once
/* apps/todo-mcp/view: what an HTTP request's own headers leave of the tools:
 *   X-MCP-Toolsets, X-MCP-Tools   names separated by commas, as the settings TOOLSETS and TOOLS
 *   X-MCP-Readonly                true or false
 * They narrow the view that is set up; none of them widens it. */
#include "tools/view.h"

struct arena;
struct error;
struct http_request;

/* 0 and *out: `base` itself where there is no such header, else a view in the arena. BASE_EINVAL
 * with a message for the client (400), or BASE_ENOMEM (503). */
__attribute__((warn_unused_result)) int
view_from_request(const struct tool_view *base, const struct http_request *req, struct arena *arena,
                  const struct tool_view **out, struct error *err);
