#pragma once
/* mcp/peer: what a transport gives to the core and gets from it.
 *
 *   text -> mcp_message_parse -> (transport looks at method, version, kind) -> mcp_dispatch
 *        -> out.notify …  -> out.finish (exactly once, perhaps before mcp_dispatch returns)
 *
 * A peer is one conversation with a handshake: the process at the other end of stdio, or one HTTP
 * session. Stateless requests need none. */
#include <cjson/cJSON.h>
#include <stdbool.h>

#include "base/slice.h"
#include "mcp/server.h"

enum mcp_kind { MCP_REQUEST, MCP_NOTIFICATION, MCP_RESPONSE, MCP_BATCH, MCP_INVALID };

/* One decoded message. Borrowed pointers point into `root`. */
struct mcp_message {
    cJSON *root; /* owned; NULL when the text was no JSON */
    enum mcp_kind kind;
    const char *method;   /* requests and notifications */
    const cJSON *id;      /* requests; also of an invalid message when it has a usable one */
    const cJSON *params;  /* an object or NULL */
    const cJSON *meta;    /* params._meta when it is an object */
    const char *version;  /* _meta's protocolVersion: its presence makes the message stateless */
    bool has_version;     /* the member is there, of whatever type */
    int error_code;       /* MCP_INVALID: PARSE_ERROR or INVALID_REQUEST */
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
    /* A notification that belongs to this request and comes before its answer. */
    void (*notify)(struct mcp_out *out, struct slice json);
    /* The end: `json` is the answer, or empty when there is none (a notification, a response, a
     * cancelled request). `http_status` is what HTTP says with it. */
    void (*finish)(struct mcp_out *out, struct slice json, int http_status);
    struct mcp_call *call; /* set by the core while a tool runs; see mcp_out_cancel */
};

/* The client gave up on this request: runs the call's cancel handler; its answer will be empty. */
void mcp_out_cancel(struct mcp_out *out);

struct mcp_peer {
    struct mcp_server *server;
    struct mcp_identity identity;
    enum mcp_revision revision; /* valid once is_initialized */
    bool is_initialized;        /* initialize was answered */
    struct mcp_call *calls;     /* in flight, for cancellation by id */
};

void mcp_peer_init(struct mcp_peer *peer, struct mcp_server *server,
                   const struct mcp_identity *identity);
/* Detaches what is in flight; the outs are still finished. */
void mcp_peer_deinit(struct mcp_peer *peer);

struct mcp_request_context {
    struct mcp_server *server;
    struct mcp_peer *peer;               /* NULL: stateless only (HTTP without a session) */
    const struct mcp_identity *identity; /* copied by a call */
    struct slice traceparent;            /* from an HTTP header; empty: none */
    bool is_stateless;                   /* the transport knows it to be (HTTP version header) */
};

/* Takes over the message and answers it through `out`. Batches (2025-03-26) come back as one
 * array. */
void mcp_dispatch(const struct mcp_request_context *rx, struct mcp_message *take_m,
                  struct mcp_out *out);

/* The version names that `supported` lists, newest first. */
bool mcp_revision_parse(const char *name, enum mcp_revision *out);
/* Renders a JSON-RPC error. `id` may be NULL. */
struct buf;
void mcp_render_error(struct buf *b, const cJSON *id, bool with_null_id, int code,
                      const char *message);
