#pragma once
/* tools: the 18 task tools, registered on an MCP server. One file a family.
 * Contract: docs/tools.md; each tool's schema stands beside its function. */
struct db_pool;
struct error;
struct log;
struct mcp_server;

struct tools {
    struct db_pool *pool;      /* borrowed; outlives the server's calls */
    const struct log *log;     /* borrowed */
    const char *timezone;      /* IANA name used when a task names none; borrowed */
    void (*on_commit)(void *ctx); /* after each committed write that wrote an outbox row: wakes the
                                     relay; may be NULL */
    void *on_commit_ctx;
};
#define TOOLS_SCOPE_READ  (1u << 0) /* tasks:read */
#define TOOLS_SCOPE_WRITE (1u << 1) /* tasks:write */

/* `t` is borrowed for the server's life. 0, or the first tool's error (a programmer's mistake). */
__attribute__((warn_unused_result)) int tools_register(struct tools *t, struct mcp_server *server,
                                                       struct error *err);
