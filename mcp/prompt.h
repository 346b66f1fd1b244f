#pragma once
/* mcp/prompt: messages that a person picks to start with. Spec: server/prompts.
 * The function ends its call with mcp_call_messages. Its arguments (mcp_call_arguments) are an
 * object of strings; required ones are there. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mcp/tool.h"

struct mcp_prompt_argument {
    const char *name, *title, *description; /* the last two may be NULL */
    bool is_required;
};

struct mcp_prompt {
    const char *name, *title, *description; /* the last two may be NULL */
    const char *icon;                       /* URI; may be NULL */
    const struct mcp_prompt_argument *arguments;
    size_t argument_count;
    uint32_t scopes;
    mcp_call_fn get;
    mcp_call_fn complete; /* suggests values of arguments; may be NULL */
    void *ctx;
};
__attribute__((warn_unused_result)) int
mcp_server_add_prompt(struct mcp_server *s, const struct mcp_prompt *prompt, struct error *err);
void mcp_server_remove_prompt(struct mcp_server *s, const char *name);
