#pragma once
/* mcp/http: the Streamable HTTP transport at one path, over base/http_server.
 * The application owns the HTTP server and hands over the requests for the endpoint's path.
 *
 * POST: one message (2025-03-26: also a batch). JSON answer, or SSE when the call sends progress or
 * the request is a subscription. GET: the handshake revisions' stream for a session; DELETE ends a
 * session. 405 with Allow otherwise; 406, 415, 400, 404 as the spec says; Origin and Host checked
 * (403) against loopback names and `allowed_origins`/`allowed_hosts`. Headers of 2026-07-28:
 * MCP-Protocol-Version, Mcp-Method, Mcp-Name checked against the body (-32020).
 * Spec: basic/transports/streamable-http of 2026-07-28; basic/transports of the others. */
#include <stdint.h>
#include <uv.h>

#include "mcp/server.h"

struct http_request;
struct mcp_http;

struct mcp_http_options {
    const struct mcp_identity *identity; /* of every caller while there is no authentication */
    const char *const *allowed_origins;  /* NULL-terminated; beside loopback origins; may be NULL */
    const char *const *allowed_hosts;    /* the same for the Host header */
    uint32_t sessions_max;               /* 10,000: past it the longest idle one ends */
    uint32_t session_idle_ms;            /* 30 min */
    uint32_t keepalive_ms;               /* SSE comment line: 15 s */
};
typedef void (*mcp_http_closed_fn)(void *ctx);

__attribute__((warn_unused_result)) int mcp_http_new(uv_loop_t *loop, struct mcp_server *server,
                                                     const struct mcp_http_options *options,
                                                     const struct log *log, struct mcp_http **out);
/* Takes over a request for the endpoint, whatever its method; answers it in time. */
void mcp_http_handle(struct mcp_http *t, struct http_request *req);
/* Ends streams and sessions; calls in flight finish through the HTTP server's drain; then `closed`,
 * then frees itself. */
void mcp_http_close(struct mcp_http *t, mcp_http_closed_fn closed, void *ctx);
/* Live sessions of the handshake revisions. */
uint32_t mcp_http_sessions(const struct mcp_http *t);
