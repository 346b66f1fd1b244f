/* HTTP_PORT: probes, metrics, and what the source takes. */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/http_server.h"
#include "dapr/client.h"
#include "db/pool.h"
#include "shared/probe.h"
#include "shared/worker_int.h"

/* What is missing, or NULL. */
static const char *not_ready(const struct run *r)
{
    const struct worker_spec *spec = r->worker.spec;
    if (r->state == RUN_STOPPING)
        return "stopping";
    if (r->state == RUN_STARTING || !db_pool_is_ready(r->pool))
        return "no database";
    if (r->worker.dapr && !dapr_client_is_up(r->worker.dapr))
        return "no sidecar";
    if (r->settings.transport == SHARED_KAFKA && spec->route_count > 0 && !run_kafka_is_up(r))
        return "no broker";
    return spec->is_ready && !spec->is_ready(r->part) ? "not ready" : NULL;
}

static void answer_ready(const struct run *r, struct http_request *req)
{
    char text[64];
    struct buf b;
    const char *why = not_ready(r);
    buf_init_fixed(&b, text, sizeof(text));
    buf_printf(&b, "{\"status\":\"%s\"}\n", why ? why : "ready");
    probe_answer(req, why ? 503 : 200, buf_slice(&b));
}

/* True when the request is one of an operator's. */
static bool answer_probe(const struct run *r, struct http_request *req)
{
    struct slice path = http_request_path(req);
    if (slice_is_equal(path, SLICE_LIT("/healthz")))
        probe_answer(req, 200, SLICE_LIT("{\"status\":\"ok\"}\n"));
    else if (slice_is_equal(path, SLICE_LIT("/readyz")))
        answer_ready(r, req);
    else if (slice_is_equal(path, SLICE_LIT("/metrics")))
        probe_answer_metrics(req, r->worker.metrics);
    else
        return false;
    return true;
}

void run_http_handle(void *ctx, struct http_request *req)
{
    struct run *r = ctx;
    if (answer_probe(r, req) || (r->http.source && source_http_handle(r->http.source, req)))
        return;
    probe_answer(req, 404, SLICE_LIT("{\"error\":\"there is no such path here\"}\n"));
}

/* With Kafka nobody delivers here. */
static int open_source(struct run *r, struct error *err)
{
    const struct worker_spec *spec = r->worker.spec;
    bool is_dapr = r->settings.transport == SHARED_DAPR;
    const struct dapr_job_route job = {
        .name = spec->job ? spec->job->name : "", .fn = run_job_on_dapr, .ctx = r};
    const struct source_http_options options = {.routes = r->routes,
                                                .route_count = spec->route_count,
                                                .token = &r->settings.app_api_token,
                                                .pubsub = is_dapr ? r->settings.pubsub_name : NULL,
                                                .jobs = &job,
                                                .job_count = is_dapr && spec->job};
    if (r->settings.transport == SHARED_KAFKA)
        return 0;
    return source_http_new(&options, &r->log, &r->http.source, err);
}

static void add_route(struct run_http *h, const char *path)
{
    for (size_t i = 0; i < h->route_count; i++) {
        if (strcmp(h->routes[i], path) == 0)
            return;
    }
    h->routes[h->route_count++] = path;
}

static int open_metrics(struct run *r, struct error *err)
{
    static const char *const fixed[] = {"/healthz", "/readyz", "/metrics", "/dapr/subscribe",
                                        "/dapr/config"};
    const struct worker_spec *spec = r->worker.spec;
    for (size_t i = 0; i < sizeof(fixed) / sizeof(*fixed); i++)
        add_route(&r->http, fixed[i]);
    for (size_t i = 0; i < spec->route_count; i++)
        add_route(&r->http, spec->routes[i].path);
    if (spec->job) {
        snprintf(r->job.path, sizeof(r->job.path), "/job/%s", spec->job->name);
        add_route(&r->http, r->job.path);
    }
    return http_metrics_open(&r->http.metrics, r->http.server, r->http.routes, r->http.route_count,
                             r->worker.metrics, err);
}

int run_http_open(struct run *r, struct error *err)
{
    int status = open_source(r, err);
    if (status)
        return status;
    if (http_server_new(&r->loop, &http_limits_default, &r->log, run_http_handle, r,
                        &r->http.server))
        return error_set(err, BASE_ENOMEM, NULL, "out of memory");
    status = open_metrics(r, err);
    if (!status)
        status = http_server_listen(r->http.server, r->http.host, r->http.port, err);
    if (!status)
        log_info(&r->log, "listening", log_str("address", r->http.host),
                 log_int("port", http_server_port(r->http.server)));
    return status;
}
