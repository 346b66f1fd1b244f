#include "observe.h"

#include <stdio.h>

#include "base/log.h"
#include "base/metrics.h"
#include "base/trace.h"
#include "events/relay.h"
#include "mcp/server.h"
#include "routes.h"

/* ---- what is counted as it happens ---- */

static const struct metric_def calls_def = {.name = "todo_calls_total",
                                            .help = "Calls of tools, resources and prompts, by "
                                                    "what became of them.",
                                            .type = METRIC_COUNTER,
                                            .labels = {"method", "name", "outcome"}};
static const struct metric_def call_seconds_def = {.name = "todo_call_seconds",
                                                   .help = "From a call to its answer.",
                                                   .type = METRIC_HISTOGRAM,
                                                   .labels = {"method", "name"},
                                                   .bounds = metric_bounds_seconds,
                                                   .bound_count = METRIC_BOUNDS_SECONDS_COUNT};
static const struct metric_def published_def = {.name = "todo_events_published_total",
                                                .help = "Events that the way out has acknowledged.",
                                                .type = METRIC_COUNTER,
                                                .labels = {"topic"}};
static const struct metric_def publish_def = {.name = "todo_publish_seconds",
                                              .help =
                                                  "From sending an event to its acknowledgement.",
                                              .type = METRIC_HISTOGRAM,
                                              .labels = {"topic"},
                                              .bounds = metric_bounds_seconds,
                                              .bound_count = METRIC_BOUNDS_SECONDS_COUNT};
static const struct metric_def latency_def = {.name = "todo_event_latency_seconds",
                                              .help = "From an event's commit to its "
                                                      "acknowledgement.",
                                              .type = METRIC_HISTOGRAM,
                                              .labels = {"topic"},
                                              .bounds = metric_bounds_seconds,
                                              .bound_count = METRIC_BOUNDS_SECONDS_COUNT};

void observe_call(void *ctx, const struct mcp_call_report *report)
{
    struct observe *o = ctx;
    const char *outcome = report->is_cancelled ? "cancelled" : report->is_error ? "error" : "ok";
    const char *values[] = {report->method, report->name, outcome};
    metric_count(metric_with(o->calls, values), 1);
    metric_observe(metric_with(o->call_seconds, values), (double)report->duration_us / 1e6);
    if (o->log && o->log->level <= LOG_DEBUG) {
        struct trace_ids ids;
        trace_ids_read(report->traceparent, &ids);
        log_debug(o->log, "call", log_str("method", report->method), log_str("name", report->name),
                  log_str("outcome", outcome), log_int("duration_ms", report->duration_us / 1000),
                  log_str("trace_id", ids.trace_id), log_str("span_id", ids.span_id));
    }
}

void observe_acked(void *ctx, struct slice topic, int64_t latency_us, int64_t publish_us)
{
    struct observe *o = ctx;
    char name[64];
    const char *values[] = {name};
    snprintf(name, sizeof(name), "%.*s", (int)topic.len, topic.ptr);
    metric_count(metric_with(o->published, values), 1);
    metric_observe(metric_with(o->publish_seconds, values), (double)publish_us / 1e6);
    metric_observe(metric_with(o->latency, values), (double)latency_us / 1e6);
}

/* ---- what is read when somebody asks ---- */

static struct relay_stats relay_of(void *ctx)
{
    const struct observe *o = ctx;
    struct relay_stats stats = {0};
    if (o->relay)
        relay_stats(o->relay, &stats);
    return stats;
}

static double relay_leader(void *ctx)
{
    return relay_of(ctx).is_leader;
}

/* Only the leader looks; what nobody knows is not there to worry about. */
static double known(int64_t count)
{
    return count > 0 ? (double)count : 0;
}

static double relay_depth(void *ctx)
{
    return known(relay_of(ctx).depth);
}

static double relay_parked(void *ctx)
{
    return known(relay_of(ctx).parked_depth);
}

static double relay_oldest(void *ctx)
{
    return known(relay_of(ctx).oldest_age_us) / 1e6;
}

static double relay_retries(void *ctx)
{
    return (double)relay_of(ctx).retries;
}

static double relay_refused(void *ctx)
{
    return (double)relay_of(ctx).refused;
}

static double relay_purged(void *ctx)
{
    return (double)relay_of(ctx).purged;
}

static const struct {
    struct metric_def def;
    metric_read_fn read;
} reads[] = {
    {{.name = "todo_relay_leader",
      .help = "1: this process publishes the outbox.",
      .type = METRIC_GAUGE},
     relay_leader},
    {{.name = "todo_outbox_unpublished",
      .help = "Events that wait to be published; known to the leader.",
      .type = METRIC_GAUGE},
     relay_depth},
    {{.name = "todo_outbox_parked",
      .help = "Events that were given up; known to the leader.",
      .type = METRIC_GAUGE},
     relay_parked},
    {{.name = "todo_outbox_oldest_seconds",
      .help = "Age of the oldest event that waits; known to the leader.",
      .type = METRIC_GAUGE},
     relay_oldest},
    {{.name = "todo_publish_retries_total",
      .help = "Events sent in vain, since the way out was down.",
      .type = METRIC_COUNTER},
     relay_retries},
    {{.name = "todo_publish_refused_total",
      .help = "Events that the way out refused.",
      .type = METRIC_COUNTER},
     relay_refused},
    {{.name = "todo_outbox_purged_total", .help = "Old rows deleted.", .type = METRIC_COUNTER},
     relay_purged},
};

/* ---- life ---- */

int observe_open(struct observe *o, const struct log *log, struct error *err)
{
    *o = (struct observe){.log = log};
    int status = metrics_new(&o->metrics);
    if (!status)
        status = metrics_add_process(o->metrics, err);
    if (!status)
        status = metrics_add(o->metrics, &calls_def, &o->calls, err);
    if (!status)
        status = metrics_add(o->metrics, &call_seconds_def, &o->call_seconds, err);
    if (!status)
        status = metrics_add(o->metrics, &published_def, &o->published, err);
    if (!status)
        status = metrics_add(o->metrics, &publish_def, &o->publish_seconds, err);
    if (!status)
        status = metrics_add(o->metrics, &latency_def, &o->latency, err);
    if (!status)
        status = pool_metrics_open(&o->pool, o->metrics, err);
    for (size_t i = 0; i < sizeof(reads) / sizeof(*reads) && !status; i++)
        status = metrics_add_read(o->metrics, &reads[i].def, reads[i].read, o, err);
    return status;
}

int observe_http(struct observe *o, struct http_server *server, struct error *err)
{
    static const char *const routes[] = {ROUTES_MCP, "/healthz", "/readyz", "/metrics"};
    return http_metrics_open(&o->http, server, routes, sizeof(routes) / sizeof(*routes), o->metrics,
                             err);
}

void observe_close(struct observe *o)
{
    metrics_free(o->metrics);
    o->metrics = NULL;
}
