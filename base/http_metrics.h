#pragma once
/* base/http_metrics: rate, errors and duration of an HTTP server's requests, by route.
 *   http_requests_total{method, route, code}, http_request_duration_seconds{route},
 *   http_connections
 * A path that is none of the routes is counted as "other", a request that could not be read too.
 * Use: http_metrics_open, once the server is there; nothing is to be closed. Memory: the caller's,
 * which must outlive the server. */
#include <stddef.h>

struct error;
struct http_server;
struct metric;
struct metrics;

struct http_metrics {
    struct http_server *server;
    const char *const *routes; /* borrowed */
    size_t route_count;
    struct metric *requests, *seconds;
};

/* 0, or as metrics_add. `m` NULL: nothing is measured. */
__attribute__((warn_unused_result)) int
http_metrics_open(struct http_metrics *h, struct http_server *server, const char *const *routes,
                  size_t route_count, struct metrics *m, struct error *err);
/* The server is gone: its connections are no longer asked for. */
void http_metrics_close(struct http_metrics *h);
