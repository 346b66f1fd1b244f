#pragma once
/* mcp/http_int: what http.c (requests), http_session.c (sessions and their streams) and
 * http_check.c (headers) share. */
#include <uv.h>

#include "base/http_server.h"
#include "mcp/http.h"
#include "mcp/server_int.h"

#define SESSION_ID_LEN 32

/* An open SSE response: of a POST whose call sends notifications, or of a session's GET. */
struct http_stream {
    struct http_stream *prev, *next; /* in mcp_http.streams */
    struct http_request *req;
    struct http_session *session; /* of a GET; NULL for a POST */
    struct mcp_http *transport;
};

struct http_session {
    char id[SESSION_ID_LEN + 1]; /* the key of mcp_http.sessions_by_id */
    struct mcp_peer peer;
    struct http_session *prev, *next; /* by last use, the longest idle first */
    uint64_t used_ms;
    uint32_t streams; /* open GET streams */
};

/* One POST from its dispatch to its answer; lives in the request's arena. */
struct http_exchange {
    struct mcp_out out; /* first: the core gives it back */
    struct mcp_http *transport;
    struct http_request *req;
    struct http_stream stream;
    const struct http_session *opened; /* by this initialize */
    bool is_streaming;
    bool cancels_when_gone; /* stateless: closing the connection cancels the request */
};

struct mcp_http {
    uv_loop_t *loop;
    struct mcp_server *server;       /* borrowed */
    struct mcp_http_options options; /* its pointers are borrowed */
    const struct log *log;
    void *sessions_by_id; /* a tsearch tree */
    struct http_session *oldest, *newest;
    uint32_t session_count;
    struct http_stream *streams;
    struct http_stream *next_stream; /* while the janitor walks the list */
    uint32_t exchanges;              /* not answered yet */
    uv_timer_t janitor;
    uint64_t keepalive_at_ms;
    bool is_closing;
    bool is_janitor_closed;
    mcp_http_closed_fn closed;
    void *closed_ctx;
};

/* http.c */
void http_try_free(struct mcp_http *t);
/* Answers with a JSON-RPC error that has no id. `allow` is the Allow header or NULL. */
void http_refuse(struct mcp_http *t, struct http_request *req, int status, int code,
                 const char *message);
void http_answer(struct mcp_http *t, struct http_request *req, int status,
                 const struct http_header *own, size_t own_count, struct slice body);
int http_start_stream(struct mcp_http *t, struct http_request *req);

/* http_session.c */
/* NULL when out of memory or without randomness. */
struct http_session *http_session_new(struct mcp_http *t);
/* Also marks it as used. NULL: no such session. */
struct http_session *http_session_find(struct mcp_http *t, struct slice id);
void http_session_end(struct mcp_http *t, struct http_session *s);
void http_session_listen(struct mcp_http *t, struct http_session *s, struct http_request *req);
void http_stream_link(struct http_stream *stream);
void http_stream_unlink(struct http_stream *stream);
/* Ends idle sessions and writes the keep-alive comments. */
void http_session_tick(struct mcp_http *t);

/* http_check.c */
bool http_check_host(const struct mcp_http *t, const struct http_request *req);
/* True also without an Origin. */
bool http_check_origin(const struct mcp_http *t, const struct http_request *req);
bool http_accepts(const struct http_request *req, const char *type);
bool http_is_json(const struct http_request *req);
/* The mirrored headers of 2026-07-28 against the message; `text` says what differs. */
bool http_check_mirrored(const struct http_request *req, const struct mcp_message *m, char *text,
                         size_t size);
