#pragma once
/* events/source_http: deliveries by HTTP -> events/consumer.
 *
 *   POST <a route's path>   one CloudEvent, structured (application/cloudevents+json) or binary (a
 *                           JSON body, attributes in headers ce-…; CloudEvents HTTP binding 1.0.2);
 *                           from daprd also a bulk of them
 *   GET /dapr/subscribe, /dapr/config; POST /job/<name>     with daprd: dapr/app.h
 *
 * From the relay (direct): 200 once the effect is committed, or the dead letter is; 503 with
 *         Retry-After for what is to come again; 400 for a body that is no JSON, 422 for JSON that
 *         is no CloudEvent, 415 for another type: who sends gets to know, so there is no dead
 *         letter. 401 for a wrong or missing dapr-api-token; without a token to ask for, 403 for
 *         others than this machine.
 * From daprd: what dapr/app.h says; what is no event is a dead letter, since daprd only passes on.
 * Use:    source_http_new -> source_http_attach(consumer) -> source_http_handle for each request …
 *         -> source_http_attach(NULL) -> the server is closed -> source_http_free. Without a
 *         consumer each delivery is answered as one that is to come again.
 * Owns:   deliveries in hand. Borrows the routes and the log. Thread: loop thread only.
 * Limits: the server's and the consumer's; SOURCE_HTTP_ATTRIBUTES_MAX attributes. */
#include <stdbool.h>
#include <stddef.h>

#include "events/consumer.h"

#define SOURCE_HTTP_ATTRIBUTES_MAX 32
#define SOURCE_HTTP_BULK_MAX       10

struct dapr_job_route; /* dapr/app.h */
struct http_request;
struct secret;
struct source_http;

struct source_http_options {
    const struct consumer_route *routes; /* those of one topic have one path */
    size_t route_count;
    const struct secret *token; /* APP_API_TOKEN; NULL or without a value: none */
    const char *pubsub; /* daprd delivers, from this component; NULL: the relay itself does */
    const struct dapr_job_route *jobs; /* with daprd */
    size_t job_count;
};

/* 0 and *out; BASE_ENOMEM, BASE_EINVAL (a path that does not begin with '/'). */
__attribute__((warn_unused_result)) int source_http_new(const struct source_http_options *options,
                                                        const struct log *log,
                                                        struct source_http **out,
                                                        struct error *err);
/* From now on deliveries go there; NULL: nowhere. */
void source_http_attach(struct source_http *s, struct consumer *consumer);
/* True when the request is for it, and is answered now or later. */
bool source_http_handle(struct source_http *s, struct http_request *req);
/* Once no delivery is in hand. */
void source_http_free(struct source_http *s);
