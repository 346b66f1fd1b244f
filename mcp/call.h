#pragma once
/* mcp/call: what a handler sees of the request that it serves, and the ways to end it.
 *
 * A handler runs when its request came, and ends the call exactly once, now or later, with one of
 * the functions under "ends". To ask the client something it is written so that it can run again:
 *
 *     const cJSON *name = mcp_call_ask(call, "user_name", "elicitation/create", params);
 *     if (!name) {
 *         mcp_call_wait(call);    // it runs again, from its start, when the answers are there
 *         return;
 *     }
 *
 * The same code serves all three ways that the protocol knows: requests to the client on the
 * call's stream (handshake revisions), multi-round-trip results with sealed state (2026-07-28), and
 * tasks that wait for input.
 * Thread: loop thread only. Slices and trees are borrowed until the call ends. */
#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/slice.h"
#include "mcp/server.h"

struct mcp_call;

/* ---- the request ----------------------------------------------------------------------------- */

/* The checked arguments of a tool or prompt (an object, perhaps empty). */
const cJSON *mcp_call_arguments(const struct mcp_call *call);
/* Freed when the call has ended and its answer is written. */
struct arena *mcp_call_arena(struct mcp_call *call);
const struct mcp_identity *mcp_call_identity(const struct mcp_call *call);
enum mcp_revision mcp_call_revision(const struct mcp_call *call);
/* The name of the tool or prompt, or the URI of the resource, as the client wrote it. */
const char *mcp_call_name(const struct mcp_call *call);
/* Of a resource template: the decoded value of a variable; SLICE_EMPTY when there is none. */
struct slice mcp_call_uri_variable(struct mcp_call *call, const char *name);
/* Of a completion: the argument or variable, what was typed of it, and what was chosen for another
 * one before (NULL: nothing). */
const char *mcp_call_completing(const struct mcp_call *call);
const char *mcp_call_typed(const struct mcp_call *call);
const char *mcp_call_chosen(const struct mcp_call *call, const char *argument);
/* The request's _meta, or NULL. */
const cJSON *mcp_call_meta(const struct mcp_call *call);
/* W3C traceparent: of the call's own span where the server has a tracer, else as it came in the
 * request's _meta or HTTP header; SLICE_EMPTY when none or malformed. */
struct slice mcp_call_traceparent(const struct mcp_call *call);

/* ---- while it runs --------------------------------------------------------------------------- */

/* The client cancelled (notifications/cancelled, tasks/cancel, or it closed its stream). The call
 * must still be ended; what it answers is dropped. `fn` runs at most once, on the loop. */
typedef void (*mcp_cancel_fn)(void *ctx, struct mcp_call *call);
void mcp_call_on_cancel(struct mcp_call *call, mcp_cancel_fn fn, void *ctx);
bool mcp_call_is_cancelled(const struct mcp_call *call);
/* notifications/progress when the request carried a progressToken, else nothing. Progress that
 * does not grow is not sent. `total` < 0: unknown. `message` may be NULL. */
void mcp_call_progress(struct mcp_call *call, double progress, double total, const char *message);

enum mcp_log_level { /* RFC 5424 section 6.2.1, the most severe first */
                     MCP_LOG_EMERGENCY,
                     MCP_LOG_ALERT,
                     MCP_LOG_CRITICAL,
                     MCP_LOG_ERROR,
                     MCP_LOG_WARNING,
                     MCP_LOG_NOTICE,
                     MCP_LOG_INFO,
                     MCP_LOG_DEBUG,
};
/* notifications/message to the client when it asked for this level (logging/setLevel; in
 * 2026-07-28 the request's own logLevel), else nothing. `data` is JSON text. `logger` may be
 * NULL. */
void mcp_call_log(struct mcp_call *call, enum mcp_log_level level, const char *logger,
                  struct slice data);

/* Closes the HTTP connection of the call's stream while the call goes on; the client comes back
 * for the rest after `retry_ms` (2025-11-25 over HTTP; elsewhere it does nothing). */
void mcp_call_release_connection(struct mcp_call *call, uint32_t retry_ms);

/* ---- asking the client ----------------------------------------------------------------------- */

#define MCP_CAN_ELICIT     0x01u /* elicitation/create with a form */
#define MCP_CAN_ELICIT_URL 0x02u /* elicitation/create with mode "url" */
#define MCP_CAN_SAMPLE     0x04u /* sampling/createMessage */
#define MCP_CAN_LIST_ROOTS 0x08u /* roots/list */
#define MCP_CAN_TASKS      0x10u /* the extension io.modelcontextprotocol/tasks */
/* What the client declared. */
uint32_t mcp_call_client_capabilities(const struct mcp_call *call);

/* The client's answer to the question `key` (the result of the method: an ElicitResult, …), or
 * NULL: then the question will be put by mcp_call_wait. `method` is elicitation/create,
 * sampling/createMessage or roots/list; `params` its params as JSON text. `key` is unique within
 * the handler. An elicited form's content was checked against requestedSchema. */
const cJSON *mcp_call_ask(struct mcp_call *call, const char *key, const char *method,
                          struct slice params);
/* Puts the open questions, of which there must be at least one; the handler returns and runs again
 * when all are answered. A client that lacks a capability for one of them gets an error instead
 * (2026-07-28: -32021). */
void mcp_call_wait(struct mcp_call *call);

/* Of a tool with task support: answers the request with a task handle; the call goes on as that
 * task, and what ends it becomes the task's result. False when the client lacks the extension or
 * too many tasks are kept: the call goes on as it was. Questions whose answers decide whether to
 * start at all are asked before. Spec: the extension io.modelcontextprotocol/tasks. */
__attribute__((warn_unused_result)) bool mcp_call_start_task(struct mcp_call *call, uint32_t ttl_ms,
                                                             uint32_t poll_ms);

/* ---- ends ------------------------------------------------------------------------------------ */

/* Tools. `structured` is the JSON text of structuredContent, copied. `text` is what a model
 * reads: empty means the JSON itself, which the spec asks for so that clients without structured
 * content lose nothing; lists give a short rendering instead, so that the two do not repeat each
 * other. Revision 2025-03-26 has no structured content: there the text always is the JSON. */
void mcp_call_result(struct mcp_call *call, struct slice structured, struct slice text);
/* A tool's failure: a result with isError true. `structured` is the error object's JSON, `text`
 * its words. (outputSchema does not bind error results.) */
void mcp_call_fail(struct mcp_call *call, struct slice structured, struct slice text);
/* Content blocks written with mcp/content.h: the text of a JSON array. */
void mcp_call_content(struct mcp_call *call, struct slice blocks, bool is_error);
/* One block of text. */
void mcp_call_text(struct mcp_call *call, const char *text);

/* Resources: the text of a JSON array of contents (mcp_content_resource_text, …). */
void mcp_call_contents(struct mcp_call *call, struct slice contents);
/* No such resource: -32002, in 2026-07-28 -32602, with the URI. */
void mcp_call_not_found(struct mcp_call *call);
/* Prompts: the text of a JSON array of messages (mcp_content_message_begin, …). `description` may
 * be NULL. */
void mcp_call_messages(struct mcp_call *call, const char *description, struct slice messages);
/* Completions: at most 100 values are sent. `total` < 0: unknown. */
void mcp_call_values(struct mcp_call *call, const char *const *values, size_t count, int64_t total);

/* All: a protocol error (JSON-RPC error). For a bug or the like, not for refused input. */
void mcp_call_error(struct mcp_call *call, enum mcp_error_code code, const char *message);
