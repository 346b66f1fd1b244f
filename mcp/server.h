#pragma once
/* mcp/server: a Model Context Protocol server without a transport.
 *
 * Serves revision 2026-07-28 (stateless: version, client and capabilities in each request's _meta)
 * and, side by side, the handshake revisions 2025-11-25, 2025-06-18 and 2025-03-26.
 * Use:     mcp_server_new -> mcp_server_add_tool ... -> hand it to mcp_stdio_open / mcp_http_new.
 *          When a client calls a tool, its arguments are parsed and checked against the input
 *          schema first; then the tool's function runs and ends the call, now or later, exactly
 *          once, with one of mcp_call_result / mcp_call_fail / mcp_call_error.
 * Owns:    copies of all definitions; each call's arena. Borrows the log and the tools' ctx.
 * Thread:  loop thread only.
 * Knows nothing of tasks, SQL or events. */
#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/slice.h"
#include "mcp/error.h"

struct error;
struct log;
struct mcp_server;
struct mcp_call;

enum mcp_revision { /* in the order of time */
                    MCP_2025_03_26,
                    MCP_2025_06_18,
                    MCP_2025_11_25,
                    MCP_2026_07_28,
};
const char *mcp_revision_name(enum mcp_revision revision);

/* Who calls. The transport's authentication fills it; never a tool argument. */
struct mcp_identity {
    int64_t user_id;     /* the application's own id of the user */
    const char *subject; /* borrowed; outlives the transport */
    uint32_t scopes;     /* bits that the application defines; checked with mcp_tool.scopes */
};

struct mcp_server_info {
    const char *name, *title, *version, *website_url; /* website_url may be NULL */
    const char *instructions;                         /* for the model; may be NULL */
    uint32_t list_ttl_ms;                             /* ttlMs of lists and discover */
    uint32_t calls_max;                               /* calls in flight in one server: 4,096 */
};

/* Both return 0 and *out or BASE_ENOMEM. Freeing asserts that no call is in flight. */
__attribute__((warn_unused_result)) int
mcp_server_new(const struct mcp_server_info *info, const struct log *log, struct mcp_server **out);
void mcp_server_free(struct mcp_server *s);

typedef void (*mcp_tool_fn)(void *ctx, struct mcp_call *call);

struct mcp_tool {
    const char *name, *title, *description;
    const char *input_schema;                            /* JSON text, an object schema */
    const char *output_schema;                           /* JSON text or NULL */
    bool read_only, destructive, idempotent, open_world; /* annotations, all four are sent */
    uint32_t scopes;                                     /* all of these bits are needed; 0: none */
    mcp_tool_fn call;
    void *ctx;
};
/* Compiles the schemas and renders the tool's entry of tools/list once. 0, or an error that names
 * the tool (a programmer's mistake: die on it). Names are unique; order of adding is list order. */
__attribute__((warn_unused_result)) int
mcp_server_add_tool(struct mcp_server *s, const struct mcp_tool *tool, struct error *err);

/* ---- inside a tool ---------------------------------------------------------------------- */

/* The checked arguments (an object, perhaps empty). Borrowed until the call ends. */
const cJSON *mcp_call_arguments(const struct mcp_call *call);
/* Freed when the call has ended and its answer is written. */
struct arena *mcp_call_arena(struct mcp_call *call);
const struct mcp_identity *mcp_call_identity(const struct mcp_call *call);
enum mcp_revision mcp_call_revision(const struct mcp_call *call);
const char *mcp_call_tool_name(const struct mcp_call *call);
/* W3C traceparent from the request's _meta or HTTP header; SLICE_EMPTY when none or malformed. */
struct slice mcp_call_traceparent(const struct mcp_call *call);

/* The client cancelled (notifications/cancelled, or it closed its stream). The call must still be
 * ended; what it answers is dropped. `fn` runs at most once, on the loop. */
typedef void (*mcp_cancel_fn)(void *ctx, struct mcp_call *call);
void mcp_call_on_cancel(struct mcp_call *call, mcp_cancel_fn fn, void *ctx);
bool mcp_call_is_cancelled(const struct mcp_call *call);
/* notifications/progress when the request carried a progressToken, else nothing. `total` < 0:
 * unknown. `message` may be NULL. */
void mcp_call_progress(struct mcp_call *call, double progress, double total, const char *message);

/* Success. `structured` is the JSON text of structuredContent, copied. `text` is what a model
 * reads: empty means the JSON itself, which the spec asks for so that clients without structured
 * content lose nothing; lists give a short rendering instead, so that the two do not repeat each
 * other. Revision 2025-03-26 has no structured content: there the text always is the JSON. */
void mcp_call_result(struct mcp_call *call, struct slice structured, struct slice text);
/* A tool's failure: a result with isError true. `structured` is the error object's JSON, `text`
 * its words. (outputSchema does not bind error results.) */
void mcp_call_fail(struct mcp_call *call, struct slice structured, struct slice text);
/* A protocol error (JSON-RPC error). For a bug or a missing resource, not for refused input. */
void mcp_call_error(struct mcp_call *call, enum mcp_error_code code, const char *message);

/* How refused arguments are answered: as a tool result with isError so that the model can mend its
 * call (the spec's advice since 2025-11-25). The application renders its own error object; default:
 * {"code":"validation_error","message":…,"field":…,"expected":…,"retryable":false}. The same
 * object with code "forbidden" answers a missing scope. */

/* ---- for transports --------------------------------------------------------------------- */
/* See mcp/peer.h. */

struct mcp_server_stats {
    uint64_t requests, errors, calls, call_failures, cancelled;
    uint32_t in_flight;
};
void mcp_server_stats(const struct mcp_server *s, struct mcp_server_stats *out);
