#pragma once
/* dapr/app: the app's side of the sidecar, on base/http_server (Dapr API reference, "Pub/sub API",
 * optional application routes; "Jobs API"):
 *   GET  /dapr/subscribe, /dapr/config   what it listens to
 *   POST <route>                         deliveries, single or bulk, entry by entry to the caller
 *   POST /job/<name>, /jobs/<name>       a job is due
 *   GET  <health_path>                   app health checks
 *
 * Use:    dapr_app_new -> dapr_app_handle for each of the server's requests -> the server is closed
 *         -> dapr_app_free.
 * Answer: SUCCESS and DROP are 200 with that status; RETRY is 503 with it, so that whoever delivers
 *         without daprd sees a failure too. Of a bulk 200 with a status for each entry. Never 404,
 *         which daprd takes for "drop it". A body that is no bulk where one is meant: 400. The body
 *         of a single delivery, and the event of an entry, is not looked at here; an entry without
 *         an id cannot be answered, so daprd delivers it again.
 * Order:  a bulk's entries are handed over one after the other, each after the turn before it has
 *         ended; after a RETRY the rest is answered RETRY at once. So a key's order holds, as daprd
 *         delivers again from there on. is_parallel gives that up.
 * Token:  where options.token is set, requests to its routes need the header dapr-api-token with
 *         it (compared in constant time), else 401. The health path needs none: daprd sends none.
 * Owns:   deliveries in hand; copies the options' texts. Borrows the log.
 * Thread: loop thread only.
 * Limits: DAPR_BULK_MAX entries in one delivery (400 past it), and the server's. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

#define DAPR_BULK_MAX 1000

struct dapr_app;
struct dapr_turn;
struct error;
struct http_request;
struct log;
struct secret;

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
/* Ends with dapr_turn_end, once, from inside or later. Of several deliveries turns are under way at
 * a time. */
typedef void (*dapr_message_fn)(void *ctx, const struct dapr_message *message,
                                struct dapr_turn *turn);
/* `data` is the job's JSON. RETRY: the job's failure policy decides; SUCCESS and DROP: it is done.
 */
typedef void (*dapr_job_fn)(void *ctx, struct slice name, struct slice data,
                            struct dapr_turn *turn);
void dapr_turn_end(struct dapr_turn *turn, enum dapr_answer answer);

struct dapr_subscription {
    const char *pubsub, *topic;
    const char *route;     /* "/events/reminder-sent" */
    uint32_t bulk_max;     /* entries in one delivery; 0: one by one */
    uint32_t bulk_wait_ms; /* with bulk_max: how long daprd collects; 0: its default */
    bool is_parallel;      /* with bulk_max: all entries are handed over at once */
    dapr_message_fn fn;
    void *ctx;
};
struct dapr_job_route {
    const char *name; /* "check-due-tasks" */
    dapr_job_fn fn;
    void *ctx;
};

struct dapr_app_options {
    const struct secret *token; /* APP_API_TOKEN; NULL or without a value: none is asked for */
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
