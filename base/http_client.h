#pragma once
/* base/http_client: HTTP requests by libcurl's multi interface on a libuv loop.
 *
 * Use:     http_client_new -> http_client_start … -> the callback … -> http_client_close -> closed.
 * Owns:    its connections, kept alive between calls, and the calls in flight. Borrows the loop and
 *          what the options point to.
 * Thread:  loop thread only; libcurl resolves names in threads of its own.
 * Limits:  calls_max calls at a time, connections_per_host connections (further calls to that host
 *          wait, which counts in their timeout), and for each call its time and its answer's size.
 * TLS:     certificates are verified, against the system's authorities or `ca_file`. Redirects are
 *          not followed unless asked for. http and https only. */
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/slice.h"

struct error;
struct http_call;
struct http_client;
struct http_url;
struct http_header; /* base/http_server.h */

struct http_client_options {
    const char *user_agent;        /* NULL: none is sent */
    const char *ca_file;           /* PEM; NULL: the system's */
    uint32_t calls_max;            /* 1,024 */
    uint32_t connections_per_host; /* 16 */
};
extern const struct http_client_options http_client_options_default;

struct http_client_request {
    const char *method; /* "GET", "POST" … */
    const char *url;
    const struct http_url *parsed_url; /* the same, taken apart; NULL: for this call alone */
    const struct http_header *headers;
    size_t header_count;
    struct slice body;
    uint32_t timeout_ms;    /* of the whole call; 0: 30 s */
    uint32_t max_bytes;     /* of the answer's body; 0: 1 MiB */
    bool follows_redirects; /* of GET, at most 5 */
    bool is_direct; /* never by the environment's proxy: for a neighbour such as a sidecar */
};

struct http_client_response {
    int status;
    struct slice body;
    void *call; /* for http_client_header */
};

/* Comes exactly once for each call that was started, never from inside http_client_start or
 * http_client_cancel. status 0: an answer came, whatever its HTTP status; `res` is borrowed until
 * the return. Otherwise `res` is NULL, `err` says more, and status is BASE_ELIMIT (answer too
 * large), BASE_ENOMEM, BASE_EINVAL (the URL), UV_ETIMEDOUT, UV_ECANCELED, UV_ECONNREFUSED (no
 * connection), UV_EAI_NONAME (no such host), UV_EPROTO (TLS) or UV_EIO. */
typedef void (*http_client_fn)(void *ctx, int status, const struct http_client_response *res,
                               const struct error *err);
typedef void (*http_client_closed_fn)(void *ctx);

/* 0 and *out, or BASE_ENOMEM. */
__attribute__((warn_unused_result)) int http_client_new(uv_loop_t *loop,
                                                        const struct http_client_options *options,
                                                        struct http_client **out);
/* For a URL that many calls go to, so that it is taken apart once and not for each of them. 0 and
 * *out, BASE_EINVAL (malformed) or BASE_ENOMEM. */
__attribute__((warn_unused_result)) int http_url_new(const char *text, struct http_url **out);
/* NULL is fine. Not before the calls that have it have ended. */
void http_url_free(struct http_url *url);
/* Copies the request but its `parsed_url`, which must live until `fn` is called. 0, or BASE_ELIMIT
 * (calls_max), BASE_EINVAL (a header with a line break), BASE_ECLOSED, BASE_ENOMEM; on failure `fn`
 * is not called. *out (may be NULL) is for http_client_cancel and valid until `fn` is called. */
__attribute__((warn_unused_result)) int
http_client_start(struct http_client *c, const struct http_client_request *req, http_client_fn fn,
                  void *ctx, struct http_call **out, struct error *err);
/* The call ends with UV_ECANCELED, unless it has ended already. */
void http_client_cancel(struct http_call *call);
/* The value of the header `name`, any case; ptr NULL when there is none. */
struct slice http_client_header(const struct http_client_response *res, const char *name);
/* Cancels what is in flight; then `closed` is called once and `c` is freed. */
void http_client_close(struct http_client *c, http_client_closed_fn closed, void *ctx);
