#pragma once
/* mcp/peer: what a transport gives to the core and gets from it.
 *
 *   text -> mcp_message_parse -> (transport looks at method, version, kind) -> mcp_dispatch
 *        -> out.send …  -> out.finish (exactly once, perhaps before mcp_dispatch returns)
 *
 * A peer is one conversation with a handshake: the process at the other end of stdio, or one HTTP
 * session. Stateless requests need none. */
#include <cjson/cJSON.h>
#include <stdbool.h>

#include "base/slice.h"
#include "mcp/call.h"
#include "mcp/server.h"

struct buf;
struct mcp_ask;
struct mcp_peer;
struct mcp_subscription;

enum mcp_kind { MCP_REQUEST, MCP_NOTIFICATION, MCP_RESPONSE, MCP_BATCH, MCP_INVALID };

/* One decoded message. Borrowed pointers point into `root`. */
struct mcp_message {
    cJSON *root; /* owned; NULL when the text was no JSON */
    enum mcp_kind kind;
    const char *method;   /* requests and notifications */
    const cJSON *id;      /* requests and responses; also of an invalid message with a usable one */
    const cJSON *params;  /* an object or NULL */
    const cJSON *meta;    /* params._meta when it is an object */
    const char *version;  /* _meta's protocolVersion: its presence makes the message stateless */
    bool has_version;     /* the member is there, of whatever type */
    int error_code;       /* MCP_INVALID: PARSE_ERROR, INVALID_REQUEST; out of memory:
                           * INTERNAL_ERROR */
    char error_text[256]; /* MCP_INVALID */
};

/* Always fills *m; a fault makes it MCP_INVALID. The text is not kept. */
void mcp_message_parse(struct mcp_message *m, struct slice text);
/* Looks at a tree that is already there; takes it over. */
void mcp_message_from_tree(struct mcp_message *m, cJSON *take_tree);
void mcp_message_deinit(struct mcp_message *m);

/* Where the answer to one message goes. Embedded in the transport's own struct, which must live
 * until `finish`. Slices are borrowed for the call. */
struct mcp_out {
    /* A message that belongs to this request and comes before its answer: a notification, or in
     * the handshake revisions a request to the client. */
    void (*send)(struct mcp_out *out, struct slice json);
    /* The end: `json` is the answer, or empty when there is none (a notification, a response, a
     * cancelled request). `http_status` is what HTTP says with it. */
    void (*finish)(struct mcp_out *out, struct slice json, int http_status);
    /* See mcp_call_release_connection. May be NULL. */
    void (*release)(struct mcp_out *out, uint32_t retry_ms);
    uint32_t missing_scopes; /* set before a finish with 403 */
    /* The core's own: what runs or stands behind this request. */
    struct mcp_call *call;
    struct mcp_subscriber *subscriber;
};

/* The client gave up on this request: its call is cancelled, its subscription ends; the answer
 * will be empty. */
void mcp_out_cancel(struct mcp_out *out);

/* The core's own: who is told of changes. Either a subscriptions/listen or a whole peer. */
struct mcp_subscriber {
    struct mcp_subscriber *prev, *next; /* in the server's list */
    struct mcp_subscription *resources; /* its subscriptions */
    size_t names_bytes;                 /* what their names take */
    struct mcp_server *server;          /* NULL: not in the list */
    struct mcp_out *out;                /* of a listen */
    struct mcp_peer *peer;              /* of a peer */
    int64_t user_id;
    uint32_t lists; /* whose changes it hears: bits of enum subscribe_list */
};

struct mcp_peer {
    struct mcp_server *server;
    struct mcp_identity identity; /* its subject lives as long as the peer */
    enum mcp_revision revision;   /* valid once is_initialized */
    bool is_initialized;          /* initialize was answered */
    /* Set by the transport after mcp_peer_init: sends a notification that belongs to no request.
     * NULL: the transport has no way to. */
    void (*notify)(struct mcp_peer *peer, struct slice json);
    /* The core's own. */
    uint32_t client_capabilities; /* MCP_CAN_* */
    enum mcp_log_level log_level; /* logging/setLevel; none was set: nothing is sent */
    bool has_log_level;
    struct mcp_call *calls; /* in flight, for cancellation by id */
    struct mcp_ask *asks;   /* our requests that wait for its response */
    uint64_t last_ask_id;
    struct mcp_subscriber subscriber;
};

void mcp_peer_init(struct mcp_peer *peer, struct mcp_server *server,
                   const struct mcp_identity *identity);
/* The other side will send nothing more: ends what waits for it, which is its subscriptions/listen
 * streams and calls that asked it something. */
void mcp_peer_hang_up(struct mcp_peer *peer);
/* Cancels what is in flight, whose outs are still finished, and ends the subscriptions. */
void mcp_peer_deinit(struct mcp_peer *peer);

struct mcp_request_context {
    struct mcp_server *server;
    struct mcp_peer *peer;               /* NULL: stateless only (HTTP without a session) */
    const struct mcp_identity *identity; /* who sent this very message */
    struct slice traceparent;            /* from an HTTP header; empty: none */
    bool is_stateless;                   /* the transport knows it to be (HTTP version header) */
};

/* Takes over the message and answers it through `out`. Batches (2025-03-26) come back as one
 * array. */
void mcp_dispatch(const struct mcp_request_context *rx, struct mcp_message *take_m,
                  struct mcp_out *out);

/* The revision of that name. */
bool mcp_revision_parse(const char *name, enum mcp_revision *out);
/* Renders a JSON-RPC error. `id` may be NULL. */
void mcp_render_error(struct buf *b, const cJSON *id, bool with_null_id, int code,
                      const char *message);

/* What HTTP mirrors of a tool's arguments: the x-mcp-header annotations of its input schema. */
struct mcp_header_param {
    const char *header;      /* "Mcp-Param-Region" */
    const char *const *path; /* the properties' names from the root down; ends with NULL */
};
/* NULL and *count 0 when the tool has none, or is unknown to or hidden from this caller. Borrowed.
 */
const struct mcp_header_param *mcp_tool_header_params(const struct mcp_request_context *rx,
                                                      const char *tool, size_t *count);
