#pragma once
/* mcp/prompt_int: the entry of a prompt. */
#include "mcp/catalog_int.h"
#include "mcp/prompt.h"

struct prompt_entry {
    struct catalog_entry base;             /* first: the catalog gives it back */
    struct mcp_prompt_argument *arguments; /* names owned; titles and descriptions are not kept */
    size_t argument_count;
    mcp_call_fn get, complete; /* complete may be NULL */
    void *ctx;
};

bool prompt_entry_has_argument(const struct prompt_entry *entry, const char *name);
