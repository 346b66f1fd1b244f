#pragma once
/* apps/todo-mcp/observe: what the server counts, for GET /metrics: calls by tool, HTTP requests,
 * connections to the database, the outbox and what leaves it, the process.
 *
 * Use:     observe_open -> the parts tell it what happens -> observe_close.
 * Owns:    the registry. Borrows the parts that it reads, each from the time it is given until it
 * is taken away (NULL). Thread:  loop thread only. */
#include <stdint.h>

#include "base/http_metrics.h"
#include "base/slice.h"
#include "shared/pool_metrics.h"

struct error;
struct log;
struct mcp_call_report;
struct metric;
struct metrics;
struct relay;

struct observe {
    struct metrics *metrics;
    struct http_metrics http;
    struct metric *calls, *call_seconds;
    struct metric *published, *publish_seconds, *latency;
    struct pool_metrics pool;
    const struct log *log;     /* borrowed */
    const struct relay *relay; /* NULL: this process publishes nothing */
};

/* 0, BASE_ENOMEM. */
__attribute__((warn_unused_result)) int observe_open(struct observe *o, const struct log *log,
                                                     struct error *err);
__attribute__((warn_unused_result)) int observe_http(struct observe *o, struct http_server *server,
                                                     struct error *err);
void observe_close(struct observe *o);

/* mcp_server_info.on_call; ctx is the struct observe. */
void observe_call(void *ctx, const struct mcp_call_report *report);
/* relay_options.on_acked. */
void observe_acked(void *ctx, struct slice topic, int64_t latency_us, int64_t publish_us);
