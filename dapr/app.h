#pragma once
/* dapr/app: the app's side of the sidecar, on base/http_server (Dapr API reference, "Pub/sub API",
 * optional application routes; "Jobs API"):
 *   GET  /dapr/subscribe, /dapr/config   what it listens to
 *   POST <route>                         deliveries, single or bulk, entry by entry to the caller
 *   POST /job/<name>, /jobs/<name>       a job is due
 *   GET  <health_path>                   app health checks
 *
 * Use:    dapr_app_new -> in the server's on_request: if (!dapr_app_handle(app, req)) … -> close
 * the server -> dapr_app_free. Answer: SUCCESS and DROP are 200 with that status; RETRY is 503 with
 * it, so that whoever delivers without daprd sees a failure too. Of a bulk 200 with a status for
 * each entry: an entry that is malformed or whose id came before is answered RETRY and DROP; the
 * others go on. Never 404, which daprd takes for "drop it". A body that is no JSON object where a
 * bulk is meant: 400. A single delivery's body is not looked at here. Token:  where options.token
 * is set, requests to its routes need the header dapr-api-token with it (compared in constant
 * time): else 401. The health path needs none, as daprd sends none. Owns:   deliveries in hand;
 * copies the options' texts. Borrows the log. Thread: loop thread only. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

struct dapr_app;
struct dapr_turn;
struct error;
struct http_request;
struct log;

enum dapr_answer {
    DAPR_SUCCESS, /* done; never again */
    DAPR_RETRY,   /* once more, as the component and its resiliency policy say */
    DAPR_DROP     /* never again, though it was not done; daprd logs it */
};

/* One event of a delivery. Borrowed until its turn ends. */
struct dapr_message {
    struct slice topic;        /* of the subscription */
    struct slice content_type; /* "application/cloudevents+json": `body` is a CloudEvent; may be
                                  empty where a single delivery says nothing */
    struct slice body;         /* as it came, byte for byte */
    struct slice entry_id;     /* of a bulk's entry; else empty */
    const struct http_request *request; /* for further headers (CloudEvents in binary mode: ce-…) */
};
/* Ends with dapr_turn_end, once, from inside or later. Several turns may be under way at a time, in
 * a bulk too. */
typedef void (*dapr_message_fn)(void *ctx, const struct dapr_message *message,
                                struct dapr_turn *turn);
/* `data` is the job's JSON. SUCCESS, or RETRY and DROP alike: by the job's failure policy. */
typedef void (*dapr_job_fn)(void *ctx, struct slice name, struct slice data,
                            struct dapr_turn *turn);
void dapr_turn_end(struct dapr_turn *turn, enum dapr_answer answer);

struct dapr_subscription {
    const char *pubsub, *topic;
    const char *route;     /* "/events/reminder-sent" */
    uint32_t bulk_max;     /* entries in one delivery; 0: one by one */
    uint32_t bulk_wait_ms; /* with bulk_max: how long daprd collects; 0: its default of 1 s */
    dapr_message_fn fn;
    void *ctx;
};
struct dapr_job_route {
    const char *name; /* "check-due-tasks" */
    dapr_job_fn fn;
    void *ctx;
};

struct dapr_app_options {
    const char *token; /* APP_API_TOKEN; NULL or "": none is asked for */
    const struct dapr_subscription *subscriptions;
    size_t subscription_count;
    const struct dapr_job_route *jobs;
    size_t job_count;
    const char *health_path; /* NULL: none */
    /* 200 or 503 on health_path; NULL: always 200. */
    bool (*is_healthy)(void *ctx);
    void *ctx;
};

/* 0 and *out, or BASE_ENOMEM, BASE_EINVAL (a route that does not begin with '/'). */
__attribute__((warn_unused_result)) int dapr_app_new(const struct dapr_app_options *options,
                                                     const struct log *log, struct dapr_app **out,
                                                     struct error *err);
/* True when the request is for it, and is answered now or later. */
bool dapr_app_handle(struct dapr_app *app, struct http_request *req);
/* Turns under way. */
size_t dapr_app_turns(const struct dapr_app *app);
/* Once no turn is under way. */
void dapr_app_free(struct dapr_app *app);
