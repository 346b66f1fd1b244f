#include "base/http_metrics.h"

#include <stdio.h>

#include "base/http_server.h"
#include "base/metrics.h"

#define METHOD_SIZE 32

static const struct metric_def requests_def = {
    "http_requests_total",
    "HTTP requests, by method, route and the answer's status.",
    METRIC_COUNTER,
    {"method", "route", "code"},
    NULL,
    0};
static const struct metric_def seconds_def = {"http_request_duration_seconds",
                                              "From a request's first byte to its answer.",
                                              METRIC_HISTOGRAM,
                                              {"route"},
                                              metric_bounds_seconds,
                                              METRIC_BOUNDS_SECONDS_COUNT};
static const struct metric_def connections_def = {
    "http_connections", "Open HTTP connections.", METRIC_GAUGE, {NULL}, NULL, 0};

static const char *route_of(const struct http_metrics *h, struct slice path)
{
    for (size_t i = 0; i < h->route_count; i++) {
        if (slice_is_equal(path, slice_from_cstr(h->routes[i])))
            return h->routes[i];
    }
    return "other";
}

static void on_measure(void *ctx, const struct http_measure *m)
{
    const struct http_metrics *h = ctx;
    char method[METHOD_SIZE];
    char code[16];
    const char *route = route_of(h, m->path);
    snprintf(method, sizeof(method), "%.*s", (int)m->method.len,
             m->method.len ? m->method.ptr : "");
    snprintf(code, sizeof(code), "%d", m->status);
    metric_count(metric_with(h->requests, (const char *[]){method, route, code}), 1);
    metric_observe(metric_with(h->seconds, (const char *[]){route}), (double)m->duration_us / 1e6);
}

static double connections(void *ctx)
{
    const struct http_metrics *h = ctx;
    return h->server ? http_server_connections(h->server) : 0;
}

int http_metrics_open(struct http_metrics *h, struct http_server *server, const char *const *routes,
                      size_t route_count, struct metrics *m, struct error *err)
{
    *h = (struct http_metrics){.server = server, .routes = routes, .route_count = route_count};
    if (!m)
        return 0;
    int status = metrics_add(m, &requests_def, &h->requests, err);
    if (!status)
        status = metrics_add(m, &seconds_def, &h->seconds, err);
    if (!status)
        status = metrics_add_read(m, &connections_def, connections, h, err);
    if (!status)
        http_server_measure(server, on_measure, h);
    return status;
}

void http_metrics_close(struct http_metrics *h)
{
    h->server = NULL;
}
