#pragma once
/* tools: the 18 task tools, registered on an MCP server. One file a family.
 * Use:     fill a struct tools -> tools_register ... -> (server freed) -> tools_deinit.
 * Contract: docs/tools.md; each tool's schema stands beside its function. */
struct change;
struct db_pool;
struct error;
struct log;
struct mcp_server;
struct tools_private;
struct tracer;

struct tools {
    struct db_pool *pool;         /* borrowed; outlives the server's calls */
    const struct log *log;        /* borrowed */
    const char *timezone;         /* IANA name for users who have none yet; checked at register; the
                                     users row holds what a task without a time zone gets; borrowed */
    void (*on_commit)(void *ctx); /* after each committed write that wrote an outbox row: wakes the
                                     relay; may be NULL */
    void *on_commit_ctx;
    /* After each commit that changed what a resource shows; may be NULL. */
    void (*on_change)(void *ctx, const struct change *change);
    void *on_change_ctx;
    struct tracer *tracer;      /* each call's statement is a span; borrowed; NULL: none */
    struct tools_private *priv; /* owned by the module; NULL before tools_register */
};
#define TOOLS_SCOPE_READ  (1u << 0) /* tasks:read */
#define TOOLS_SCOPE_WRITE (1u << 1) /* tasks:write */

/* Reads the system's zone names (the only I/O here) and adds the tools. `t` is borrowed for the
 * server's life. 0, or BASE_EINVAL with field "timezone", or the first tool's error (a
 * programmer's mistake). After a failure tools_deinit is still due. */
__attribute__((warn_unused_result)) int tools_register(struct tools *t, struct mcp_server *server,
                                                       struct error *err);
/* Once no call is in flight. Also fine on a struct that was never registered. */
void tools_deinit(struct tools *t);
