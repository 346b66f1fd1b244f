#pragma once
/* mcp/http: the Streamable HTTP transport at one path, over base/http_server.
 * The application owns the HTTP server and hands over the requests for the endpoint's path.
 *
 * POST: one message (2025-03-26: also a batch). JSON answer, or SSE when the call sends something
 * before its answer or the request is a subscription. GET: the handshake revisions' stream of a
 * session, or with Last-Event-ID the rest of one that broke; DELETE ends a session. 405 with Allow
 * otherwise; 406, 415, 400, 404 as the spec says; Origin and Host checked (403) against loopback
 * names and `allowed_origins`/`allowed_hosts`. Headers of 2026-07-28: MCP-Protocol-Version,
 * Mcp-Method, Mcp-Name, Mcp-Param-… checked against the body (-32020).
 * Who goes away cancels a stateless request. A session's call goes on; what it streams is kept for
 * the client to come back for. An event id that was never given is answered with 400, a stream that
 * is forgotten with 410 (not 404, which would end the session for its client).
 * A session belongs to the principal that opened it; for others it does not exist (404).
 * Spec: basic/transports/streamable-http of 2026-07-28; basic/transports of the others. */
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/slice.h"
#include "mcp/server.h"

struct arena;
struct http_header;
struct http_request;
struct mcp_http;

/* A request that waits until its caller is known. */
struct mcp_http_admission;
/* Finds out who calls: ends the admission exactly once, now or later, with mcp_http_admit or
 * mcp_http_refuse, also when the client went away meanwhile. The request is borrowed until then;
 * its on_gone is free to use. */
typedef void (*mcp_http_authenticate_fn)(void *ctx, struct mcp_http_admission *admission,
                                         struct http_request *req);
/* The value of WWW-Authenticate for a request whose caller lacks a scope (403): `scopes` are the
 * missing ones and those that the caller has, so that a client which asks for just these loses
 * none. Into the arena; SLICE_EMPTY: none. */
typedef struct slice (*mcp_http_challenge_fn)(void *ctx, uint32_t scopes, struct arena *arena);

struct mcp_http_options {
    const struct mcp_identity *identity; /* of every caller where `authenticate` is NULL */
    mcp_http_authenticate_fn authenticate;
    mcp_http_challenge_fn challenge; /* may be NULL */
    void *auth_ctx;
    const char *const *allowed_origins; /* NULL-terminated; beside loopback origins; may be NULL */
    const char *const *allowed_hosts;   /* the same for the Host header */
    bool streams_answers;     /* sessions get each answer as a stream that can be resumed, so that
                                 none is lost with its connection; else JSON where that will do */
    uint32_t sessions_max;    /* 10,000: past it the caller's longest idle one ends */
    uint32_t session_idle_ms; /* 30 min */
    uint32_t keepalive_ms;    /* SSE comment line: 15 s */
    uint32_t retry_ms;        /* SSE retry field of resumable streams: 1 s */
    uint32_t replay_bytes;    /* kept of a stream for resumption: 256 KiB */
    uint32_t replay_ms;       /* a broken stream waits so long: 60 s */
};
typedef void (*mcp_http_closed_fn)(void *ctx);

__attribute__((warn_unused_result)) int mcp_http_new(uv_loop_t *loop, struct mcp_server *server,
                                                     const struct mcp_http_options *options,
                                                     const struct log *log, struct mcp_http **out);
/* Takes over a request for the endpoint, whatever its method; answers it in time. */
void mcp_http_handle(struct mcp_http *t, struct http_request *req);
/* The caller is `identity`, borrowed until the request is answered: the request's arena lives as
 * long. A session keeps its own copy, without the view. */
void mcp_http_admit(struct mcp_http_admission *admission, const struct mcp_identity *identity);
/* Answers with a JSON-RPC error without an id, e.g. 401 with WWW-Authenticate, 429 with
 * Retry-After. */
void mcp_http_refuse(struct mcp_http_admission *admission, int status,
                     const struct http_header *headers, size_t count, const char *message);
/* Ends streams and sessions; calls in flight finish through the HTTP server's drain; then `closed`,
 * then frees itself. */
void mcp_http_close(struct mcp_http *t, mcp_http_closed_fn closed, void *ctx);
/* Live sessions of the handshake revisions. */
uint32_t mcp_http_sessions(const struct mcp_http *t);
