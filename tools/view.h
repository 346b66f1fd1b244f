#pragma once
/* tools/view: which of the tools a caller sees: whole toolsets, single tools, only those that read.
 * A view that is set up holds for all; a request may narrow it, never widen it. */
#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

struct error;
struct mcp_identity;

#define TOOLSETS(X)                                                                                \
    X(TOOLSET_TASKS, "tasks")                                                                      \
    X(TOOLSET_SEARCH, "search")                                                                    \
    X(TOOLSET_CATEGORIES, "categories")                                                            \
    X(TOOLSET_TAGS, "tags")                                                                        \
    X(TOOLSET_REMINDERS, "reminders")
enum toolset {
#define X(name, text) name,
    TOOLSETS(X)
#undef X
};

struct tool_view {
    uint32_t tools; /* a bit a tool, in the order of tools/list */
};

/* `toolsets` and `tools` are names separated by commas or spaces; empty: not given. The view has
 * the tools of the toolsets ("all": every one) and the single tools beside them. Neither given:
 * all. `reads_only` takes away whatever writes, also what is named. 0, or BASE_EINVAL with the
 * unknown name in the text and "toolset" or "tool" as the field. */
__attribute__((warn_unused_result)) int tool_view_parse(struct slice toolsets, struct slice tools,
                                                        bool reads_only, struct tool_view *out,
                                                        struct error *err);
/* For mcp_server_info.is_tool_visible; `ctx` is the struct tool_view of callers without one of
 * their own (mcp_identity.view). */
bool tool_view_shows(void *ctx, const struct mcp_identity *identity, const char *tool);
