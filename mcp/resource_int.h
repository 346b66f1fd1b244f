#pragma once
/* mcp/resource_int: the entry of a resource or template. */
#include "mcp/catalog_int.h"
#include "mcp/tool.h"

struct exchange;

struct resource_entry {
    struct catalog_entry base; /* first: the catalog gives it back */
    uint32_t ttl_ms;
    bool is_public;
    mcp_call_fn read, complete; /* complete: templates; may be NULL */
    void *ctx;
};

/* -32002, in 2026-07-28 -32602. */
void refuse_unknown_resource(struct exchange *x, const char *uri);
