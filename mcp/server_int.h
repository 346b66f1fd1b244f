#pragma once
/* mcp/server_int: the server's registry and a call's inside, for the files of mcp/. */
#include "base/buf.h"
#include "base/json.h"
#include "mcp/peer.h"
#include "mcp/schema.h"
#include "mcp/server.h"

#define MCP_REVISIONS        4
#define MCP_ANSWER_BYTES_MAX (16u << 20)
#define MCP_CALL_ARENA_BYTES (8u << 20)

struct mcp_tool_entry {
    struct mcp_tool tool; /* strings owned */
    struct mcp_schema *input;
};

struct mcp_server {
    struct mcp_server_info info; /* strings owned */
    const struct log *log;       /* borrowed */
    struct mcp_tool_entry *tools;
    size_t tool_count, tool_cap;
    struct buf lists[MCP_REVISIONS]; /* the entries of tools/list, rendered */
    struct buf identity_json;        /* serverInfo */
    struct mcp_server_stats stats;
};

struct mcp_call {
    struct mcp_server *server;
    struct mcp_peer *peer; /* NULL: stateless, or detached */
    struct mcp_call *next; /* in peer->calls */
    struct mcp_out *out;
    struct mcp_message message; /* owned: arguments point into it */
    struct mcp_identity identity;
    enum mcp_revision revision;
    const struct mcp_tool_entry *entry;
    const cJSON *arguments;
    const cJSON *progress_token;
    double progress; /* the last one sent: progress only grows */
    cJSON *empty;    /* arguments of a call that has none */
    struct slice traceparent;
    struct arena arena;
    mcp_cancel_fn on_cancel;
    void *on_cancel_ctx;
    bool is_cancelled;
};

const struct mcp_tool_entry *server_find_tool(const struct mcp_server *s, const char *name);
/* Starts an answer: {"jsonrpc":"2.0","id":…,"result":{ and for 2026-07-28 resultType and _meta. The
 * caller adds members and closes with result_end. */
void result_begin(struct json_writer *w, const struct mcp_server *s, const cJSON *id,
                  enum mcp_revision revision);
void result_end(struct json_writer *w);
/* Runs tools/call; takes over the message. */
void call_start(const struct mcp_request_context *rx, enum mcp_revision revision,
                struct mcp_message *take_m, struct mcp_out *out);
void call_cancel(struct mcp_call *call);
void call_cancel_by_id(struct mcp_peer *peer, const cJSON *id);
bool id_is_equal(const cJSON *a, const cJSON *b);
/* Ends `out` with an error. */
void finish_error(const struct mcp_request_context *rx, const cJSON *id, bool with_null_id,
                  int code, const char *message, int http_status, struct mcp_out *out);
