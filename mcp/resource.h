#pragma once
/* mcp/resource: what a client can read, by URI, and subscribe to. Spec: server/resources.
 * A reader ends its call with mcp_call_contents, or mcp_call_not_found for a URI that fits a
 * template but names nothing. */
#include <stdbool.h>
#include <stdint.h>

#include "mcp/tool.h"

struct mcp_resource {
    const char *uri, *name, *title, *description, *mime_type; /* the last three may be NULL */
    const char *icon;                                         /* URI; may be NULL */
    uint32_t scopes;
    uint32_t ttl_ms; /* ttlMs of what is read */
    bool is_public;  /* the same for every caller: cacheScope */
    mcp_call_fn read;
    void *ctx;
};
__attribute__((warn_unused_result)) int mcp_server_add_resource(struct mcp_server *s,
                                                                const struct mcp_resource *resource,
                                                                struct error *err);
void mcp_server_remove_resource(struct mcp_server *s, const char *uri);

/* `uri` is an RFC 6570 level 1 template ("task://{id}"): a variable takes one or more characters
 * up to the next literal one, without '/'. `complete` suggests values of its variables; may be
 * NULL. */
struct mcp_resource_template {
    struct mcp_resource resource;
    mcp_call_fn complete;
};
__attribute__((warn_unused_result)) int
mcp_server_add_resource_template(struct mcp_server *s, const struct mcp_resource_template *t,
                                 struct error *err);
