#pragma once
/* mcp/http_int: what the files of the HTTP transport share.
 *
 *   http.c           the door: who calls, methods, answers; life of the transport
 *   http_exchange.c  one POST, from its message to its answer
 *   http_session.c   sessions of the handshake revisions
 *   http_stream.c    SSE: open responses, and the streams of sessions, which outlive them
 *   http_check.c     Host, Origin, Accept, Content-Type
 *   http_mirror.c    headers that mirror the body (2026-07-28)
 *
 * Who owns what: an exchange lives in the arena of its request, which is held until the core has
 * finished it, so it may outlive its connection. A session owns its streams. A stream that waits
 * for an answer and the exchange that brings it point at each other; whichever ends first
 * detaches. */
#include <uv.h>

#include "base/http_server.h"
#include "mcp/http.h"
#include "mcp/server_int.h"

#define HTTP_SESSION_ID_LEN 32
#define HTTP_VERSION_HEADER "MCP-Protocol-Version"
#define HTTP_SESSION_HEADER "Mcp-Session-Id"
/* Kept for resumption in all sessions together; past it streams keep nothing. */
#define HTTP_REPLAY_TOTAL_BYTES (64u << 20)

struct http_exchange;
struct http_session;

/* An SSE response that is open; embedded in what it belongs to. */
struct http_wire {
    struct http_wire *prev, *next; /* in mcp_http.wires, the longest silent first */
    struct http_request *req;      /* NULL: none is open */
    uint64_t written_ms;
};

/* One message as it was sent, kept for replay. */
struct http_event {
    struct http_event *next;
    uint64_t number;
    size_t size; /* with this header */
    size_t frame_len;
    char frame[];
};

/* The state is the list of the session that the stream is on. */
enum http_stream_state {
    STREAM_LISTENING, /* of a GET: messages that belong to no request */
    STREAM_ANSWERING, /* of a POST whose answer is to come */
    STREAM_FINISHED,  /* of a POST, answered; waits for a client that lost its connection */
    STREAM_STATES,
};

/* A logical stream of a session: numbered events, on one connection at a time or on none. */
struct http_stream {
    struct http_wire wire; /* first: gone callbacks give it back */
    struct http_stream *prev, *next;
    struct http_session *session;
    struct http_exchange *exchange; /* while ANSWERING */
    enum http_stream_state state;
    uint32_t id; /* unique in the session */
    uint64_t last_number;
    struct http_event *first_event, *last_event;
    size_t log_bytes;
    uint64_t forget_ms; /* FINISHED; LISTENING without a connection */
    int64_t until_us;   /* LISTENING: when the credential of its connection ends; 0: never */
};

struct http_stream_list {
    struct http_stream *first, *last;
};

struct http_session {
    struct mcp_peer peer;             /* first: the core gives it back */
    char id[HTTP_SESSION_ID_LEN + 1]; /* the key of mcp_http.sessions_by_id */
    char *subject;                    /* the peer's identity points here */
    struct mcp_http *transport;
    struct http_session *prev, *next; /* by last use, the longest idle first */
    uint64_t used_ms;
    struct http_stream_list streams[STREAM_STATES]; /* LISTENING: the newest first */
    uint32_t last_stream_id;
    uint32_t connected; /* LISTENING streams with a connection */
    size_t finished_bytes;
    struct http_exchange *exchanges;
};

/* One POST from its dispatch to its answer. */
struct http_exchange {
    struct mcp_out out; /* first: the core gives it back */
    struct mcp_http *transport;
    struct http_request *req;          /* held: also where its client is gone */
    struct http_wire wire;             /* stateless: its own stream */
    struct http_session *session;      /* NULL: stateless, or the session has ended */
    struct http_exchange *prev, *next; /* of the session */
    struct http_stream *stream;        /* the session's, once it streams */
    uint32_t scopes;                   /* of its caller */
    bool is_stateless;
    bool is_request; /* expects an answer */
    bool is_opening; /* the initialize that made the session */
    bool is_cut;     /* its stream was taken away: nobody hears the answer */
};

struct mcp_http {
    uv_loop_t *loop;
    struct mcp_server *server;       /* borrowed */
    struct mcp_http_options options; /* its pointers are borrowed */
    const struct log *log;
    void *sessions_by_id; /* a tsearch tree */
    struct http_session *oldest, *newest;
    uint32_t session_count;
    struct http_wire *wires, *last_wire;
    size_t log_bytes;   /* of all streams */
    uint32_t exchanges; /* admissions and POSTs that are not answered yet */
    uv_timer_t janitor;
    uint32_t ticks;
    bool is_closing;
    bool is_janitor_closing, is_janitor_closed;
    mcp_http_closed_fn closed;
    void *closed_ctx;
};

/* http.c */
void http_try_free(struct mcp_http *t);
/* Answers with a JSON-RPC error that has no id. */
void http_refuse(struct mcp_http *t, struct http_request *req, int status, int code,
                 const char *message);
void http_answer(struct mcp_http *t, struct http_request *req, int status,
                 const struct http_header *own, size_t own_count, struct slice body);
/* Starts an SSE response. */
void http_start_events(struct http_request *req);
/* Makes the janitor look at once. */
void http_hurry(struct mcp_http *t);

/* http_exchange.c */
void http_post(struct mcp_http *t, struct http_request *req, const struct mcp_identity *identity);
/* True when the header names a handshake revision. */
bool http_is_handshake_version(struct slice version);
/* The session that the request names; NULL and the reason when it names none of this caller. */
struct http_session *http_named_session(struct mcp_http *t, const struct http_request *req,
                                        const struct mcp_identity *identity, const char **fault,
                                        int *status);
/* Its session has ended. */
void http_exchange_orphan(struct http_exchange *x);
/* Cancels the calls whose answers nobody can get any more, since the transport closes. */
void http_exchanges_cancel_lost(struct http_session *s);

/* http_session.c */
/* NULL when out of memory or without randomness. */
struct http_session *http_session_new(struct mcp_http *t, const struct mcp_identity *identity);
/* Also marks it as used. NULL: no such session of this principal. */
struct http_session *http_session_find(struct mcp_http *t, struct slice id,
                                       const struct mcp_identity *identity);
/* Not from inside the core. */
void http_session_end(struct mcp_http *t, struct http_session *s);
/* Ends sessions that are idle, or all that have nothing in flight when the transport closes. */
void http_sessions_tick(struct mcp_http *t);

/* http_stream.c */
void http_wire_open(struct mcp_http *t, struct http_wire *wire, struct http_request *req);
void http_wire_write(struct mcp_http *t, struct http_wire *wire, struct slice bytes);
/* A message without an id, as stateless streams have them. */
void http_wire_send(struct mcp_http *t, struct http_wire *wire, struct slice json);
/* Ends the response. */
void http_wire_close(struct mcp_http *t, struct http_wire *wire);
/* Writes comments on what was silent for long. */
void http_wires_tick(struct mcp_http *t);
/* Opens the stream of an exchange on its own request. NULL: out of memory. */
struct http_stream *http_stream_open(struct http_session *s, struct http_exchange *x);
void http_stream_send(struct http_stream *stream, struct slice json);
/* Sends the answer, if any, and ends the connection. */
void http_stream_finish(struct http_stream *stream, struct slice json);
/* Ends the connection, the client shall come back. */
void http_stream_release(struct http_stream *stream, uint32_t retry_ms);
/* A GET: a new stream, or the rest of an earlier one. */
void http_session_listen(struct http_session *s, struct http_request *req,
                         const struct mcp_identity *identity);
void http_session_resume(struct http_session *s, struct http_request *req,
                         const struct mcp_identity *identity, struct slice event_id);
void http_session_notify(struct mcp_peer *peer, struct slice json);
void http_streams_tick(struct http_session *s);
void http_streams_end(struct http_session *s, enum http_stream_state state);

/* http_check.c */
bool http_check_host(const struct mcp_http *t, const struct http_request *req);
/* True also without an Origin. */
bool http_check_origin(const struct mcp_http *t, const struct http_request *req);
bool http_accepts(const struct http_request *req, const char *type);
bool http_is_json(const struct http_request *req);

/* http_mirror.c */
/* The mirrored headers of 2026-07-28 against the request; `text` says what differs. */
bool http_check_mirrored(const struct mcp_request_context *rx, struct http_request *req,
                         const struct mcp_message *m, char *text, size_t size);
