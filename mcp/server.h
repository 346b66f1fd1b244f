#pragma once
/* mcp/server: a Model Context Protocol server without a transport.
 *
 * Serves revision 2026-07-28 (stateless: version, client and capabilities in each request's _meta)
 * and, side by side, the handshake revisions 2025-11-25, 2025-06-18 and 2025-03-26.
 * Use:     mcp_server_new -> mcp_server_add_tool (mcp/tool.h), _add_resource (mcp/resource.h),
 *          _add_prompt (mcp/prompt.h) -> hand it to mcp_stdio_open / mcp_http_new -> at the end
 *          mcp_server_stop, close the transports, mcp_server_free.
 * Owns:    copies of all definitions; each call's arena. Borrows the log and the handlers' ctx.
 * Thread:  loop thread only.
 * What a handler may do stands in mcp/call.h. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "mcp/error.h"

struct error;
struct log;
struct mcp_server;
struct tracer;

enum mcp_revision { /* in the order of time */
                    MCP_2025_03_26,
                    MCP_2025_06_18,
                    MCP_2025_11_25,
                    MCP_2026_07_28,
};
const char *mcp_revision_name(enum mcp_revision revision);

/* Who calls. The transport's authentication fills it; never an argument. Borrowed pointers live
 * until the request is answered. */
struct mcp_identity {
    int64_t user_id;     /* the application's own id of the user */
    const char *subject; /* a name for the principal: sealed state and tasks are bound to it */
    uint32_t scopes;     /* bits that the application defines; see mcp_tool.scopes */
    const void *view;    /* the application's own: what of the server this caller sees */
    int64_t until_us;    /* wall clock; a stream of notifications ends then. 0: never */
};

/* What became of a call of a tool, a resource, a prompt or a completion. Borrowed for the callback.
 */
struct mcp_call_report {
    const char *method; /* "tools/call" … */
    const char *name; /* of the tool or prompt, the resource's URI or template: one that the server
                         offers, so that there are only so many */
    bool is_error;    /* a tool's failure, or an error */
    bool is_cancelled;
    int64_t duration_us;      /* from the request to its answer, waiting for the client included */
    struct slice traceparent; /* of the call's span, or the client's own; empty: none */
};

struct mcp_icon {
    const char *src;       /* https: or data: URI */
    const char *mime_type; /* may be NULL */
    const char *sizes;     /* "48x48 96x96" or "any"; may be NULL */
};

struct mcp_server_info {
    const char *name, *title, *version, *website_url; /* title and website_url may be NULL */
    const char *instructions;                         /* for the model; may be NULL */
    struct mcp_icon icon;                             /* src NULL: none */
    bool logs;                     /* handlers use mcp_call_log: declares the logging capability */
    uint32_t list_ttl_ms;          /* ttlMs of lists and of server/discover */
    uint32_t page_size;            /* entries of a page of a list; 0: all in one */
    uint32_t calls_max;            /* calls in flight in one server; 0: 4,096 */
    uint32_t tasks_max;            /* tasks kept; 0: 1,024 */
    uint32_t subscribers_max;      /* listen streams and subscribed sessions; 0: 16,384 */
    uint32_t ask_ms;               /* the longest wait for a client's answer; 0: 10 min */
    const unsigned char *seal_key; /* 32 bytes; replicas of a server share them. NULL: random */
    /* Narrows what a caller sees and may call, beyond scopes; NULL: nothing is hidden. `identity`
     * has the caller's view. A hidden tool is "unknown". */
    bool (*is_tool_visible)(void *ctx, const struct mcp_identity *identity, const char *tool);
    void *ctx;
    /* Observing. After each call that ended; NULL: nobody asks. */
    void (*on_call)(void *ctx, const struct mcp_call_report *report);
    void *on_call_ctx;
    /* Each call is a span, whose context the handler passes on (mcp_call_traceparent); borrowed.
     * NULL: none is recorded, and the client's own context is passed on. */
    struct tracer *tracer;
};

/* 0 and *out, BASE_ENOMEM, or UV_E* when the kernel gives no randomness. */
__attribute__((warn_unused_result)) int
mcp_server_new(const struct mcp_server_info *info, const struct log *log, struct mcp_server **out);
/* Ends subscriptions gracefully, waiting calls and tasks, so that transports can drain. New
 * subscriptions and tasks are refused. Idempotent. */
void mcp_server_stop(struct mcp_server *s);
/* Asserts that no call is in flight. NULL is fine. */
void mcp_server_free(struct mcp_server *s);
/* Ends what waited too long for a client. Transports call it about once a second. */
void mcp_server_tick(struct mcp_server *s);

/* ---- change notifications (mcp/subscribe.c) --------------------------------------------------
 * Adding and removing tools, resources and prompts tells subscribers by itself. */

/* The resource has changed: tells who subscribed to `uri`. Only subscribers of this user are told;
 * user_id 0: all. */
void mcp_server_resource_updated(struct mcp_server *s, int64_t user_id, const char *uri);
/* All resources whose URI begins so ("": every one) may have changed: tells who subscribed to
 * any, of this user (0: of all). */
void mcp_server_resources_updated(struct mcp_server *s, int64_t user_id, const char *prefix);
/* The list of resources of this user (0: of all) has changed. */
void mcp_server_resources_changed(struct mcp_server *s, int64_t user_id);

struct mcp_server_stats {
    uint64_t requests, errors, calls, call_failures, cancelled, notifications;
    uint32_t in_flight, subscribers, tasks;
};
void mcp_server_stats(const struct mcp_server *s, struct mcp_server_stats *out);
