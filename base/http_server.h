#pragma once
/* base/http_server: HTTP/1.1 (RFC 9110, 9112) on libuv, parsed by llhttp.
 *
 * Keep-alive, pipelining (responses leave in request order), chunked bodies both ways,
 * Expect: 100-continue, HEAD, streaming responses (SSE), limits, graceful drain.
 * Use:    http_server_new -> http_server_listen -> ... -> http_server_close -> closed callback.
 * Flow:   on_request(req) is called once the whole body is here (bodies are small by limit);
 *         the handler answers now or later, exactly once:
 *           http_respond(req, status, headers, n, body)                 whole answer, or
 *           http_stream_start -> http_stream_write … -> http_stream_end streaming answer.
 *         After http_respond or http_stream_end the request must not be touched.
 * Gone:   when the client goes away before the answer is complete, on_gone(req) is called once
 *         (if set by http_request_on_gone); the request stays valid until it is answered as
 *         usual (writes are dropped then) - so a handler always ends what it began. It is never
 *         called from inside http_respond and http_stream_*.
 *         When the server closes, on_gone of open streams is called at once, so that they can end,
 *         while http_request_is_gone still says false; should the client then go away before the
 *         stream has ended, it is called again.
 * Owns:   connections, requests, and an arena a request (http_request_arena) that dies after the
 *         response was written. Borrows the loop and the log.
 * Thread: loop thread only.
 * Answers by itself: 400 malformed, 408 slow request (headers or body), 413 body too large,
 *         414 target too long, 417 unknown expectation, 431 header too large, 501 unknown transfer
 *         coding, 503 + close when the connection limit is reached (the one that has waited
 *         longest without a request is closed in its place), 505 other HTTP version.
 *         Missing or repeated Host (RFC 9112 section 3.2), Transfer-Encoding together with
 *         Content-Length, obs-fold, bare CR/LF: 400 and close (request smuggling). */
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/arena.h"
#include "base/slice.h"

struct error;
struct log;
struct http_server;
struct http_request;

struct http_header {
    struct slice name; /* as sent for requests; compare without case */
    struct slice value;
};

struct http_limits {
    uint32_t header_bytes;   /* request line and all headers: 16 KiB */
    uint32_t body_bytes;     /* 1 MiB */
    uint32_t connections;    /* 1,024; streaming connections count too */
    uint32_t pipeline;       /* requests in flight a connection: 64; reading stops past it */
    uint32_t request_ms;     /* from a request's first byte to its last: 30 s */
    uint32_t idle_ms;        /* keep-alive without a request: 60 s */
    uint32_t write_stall_ms; /* a peer that takes no bytes for so long is cut: 30 s */
    uint32_t arena_bytes;    /* a request's arena: 8 MiB */
    uint32_t stream_bytes;   /* unsent bytes of a stream: 1 MiB; who writes on past it is cut */
};
extern const struct http_limits http_limits_default;

typedef void (*http_request_fn)(void *ctx, struct http_request *req);
typedef void (*http_gone_fn)(void *ctx, struct http_request *req);
typedef void (*http_closed_fn)(void *ctx);

/* 0 and *out, or BASE_ENOMEM/UV_E*. `on_request` is borrowed with its ctx until closed. */
__attribute__((warn_unused_result)) int
http_server_new(uv_loop_t *loop, const struct http_limits *limits, const struct log *log,
                http_request_fn on_request, void *ctx, struct http_server **out);
/* Binds and listens. `host` is a numeric address; port 0 picks a free one. May be called several
 * times. UV_E* with `err`. */
__attribute__((warn_unused_result)) int http_server_listen(struct http_server *s, const char *host,
                                                           uint16_t port, struct error *err);
/* The port of the first listener. */
uint16_t http_server_port(const struct http_server *s);
/* From now on each answer ends its connection, so that clients come back elsewhere; all else goes
 * on as before, until http_server_close. */
void http_server_leave(struct http_server *s);
/* Graceful: stops accepting, closes idle connections, lets requests in flight finish (their
 * responses carry Connection: close), cuts what is left after `drain_ms`; `closed` is then called
 * once, after which `s` is freed. */
void http_server_close(struct http_server *s, uint32_t drain_ms, http_closed_fn closed, void *ctx);
/* For measuring: `fn` is called for each request that is answered, refusals too, when its answer is
 * complete; the client may be gone then. It must not use the server. */
struct http_measure {
    struct slice method, path; /* borrowed for the call; empty where they could not be read */
    int status;                /* 0: the client went before it was answered */
    int64_t duration_us;       /* from the request's first byte */
};
typedef void (*http_measure_fn)(void *ctx, const struct http_measure *m);
void http_server_measure(struct http_server *s, http_measure_fn fn, void *ctx);
/* Open connections now. */
uint32_t http_server_connections(const struct http_server *s);

/* The request, valid until it is answered. All slices live as long. */
struct slice http_request_method(const struct http_request *req);
struct slice http_request_path(const struct http_request *req);  /* before '?', not decoded */
struct slice http_request_query(const struct http_request *req); /* after '?', or empty */
struct slice http_request_body(const struct http_request *req);
/* The value of the header `name` (any case), trimmed; a missing one has ptr NULL. For a header
 * that came more than once: the first; see http_request_header_count. */
struct slice http_request_header(const struct http_request *req, const char *name);
size_t http_request_header_count(const struct http_request *req, const char *name);
/* The headers as they came, from 0; false past the last one. */
bool http_request_header_at(const struct http_request *req, size_t index, struct http_header *out);
struct arena *http_request_arena(struct http_request *req);
/* The peer's address as text, e.g. "127.0.0.1". */
const char *http_request_peer(const struct http_request *req);
/* True when the peer's address is a loopback one. */
bool http_request_is_loopback(const struct http_request *req);
/* The caller's pointer, for on_gone and the like. */
void http_request_set_data(struct http_request *req, void *data);
void *http_request_data(const struct http_request *req);
void http_request_on_gone(struct http_request *req, http_gone_fn fn, void *ctx);
bool http_request_is_gone(const struct http_request *req);
/* Keeps the request, its arena and its slices beyond its answer, until http_request_unhold. */
void http_request_hold(struct http_request *req);
void http_request_unhold(struct http_request *req);

/* Whole answer. `headers` and `body` are copied (or taken into the write) before it returns.
 * Content-Length and Date are added; HEAD gets the headers only. */
void http_respond(struct http_request *req, int status, const struct http_header *headers,
                  size_t header_count, struct slice body);
/* Streaming answer: chunked to HTTP/1.1, until close to 1.0. 0, or BASE_ECLOSED when the client is
 * gone, or was cut since memory was out or it does not read: the caller must still call
 * http_stream_end. */
int http_stream_start(struct http_request *req, int status, const struct http_header *headers,
                      size_t header_count);
int http_stream_write(struct http_request *req, struct slice bytes);
/* The same of several runs, one after the other, in one chunk. */
int http_stream_write_parts(struct http_request *req, const struct slice *parts, size_t count);
void http_stream_end(struct http_request *req);
