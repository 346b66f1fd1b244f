#pragma once
/* events/consumer: what a worker does with a delivery, the same for the three transports:
 *
 *   bytes -> CloudEvent -> its type's handler -> done        -> CONSUMER_ACK
 *                                             -> failed      -> again after 100, 200, 400 ms, then
 *                                                               a dead letter -> CONSUMER_ACK
 *                                             -> unavailable -> CONSUMER_RETRY: the broker has it
 *                                                               delivered again, which counts for
 *                                                               nothing
 *   bytes that are no event, of an unknown type or a newer major version -> a dead letter at once
 *   a type that is known and has no handler here                          -> CONSUMER_ACK
 *
 * A dead letter is a row of todo.dead_letters, which the relay publishes to task-events-dlq, so
 * that it is as safe as an event; where the row cannot be written the delivery is retried.
 *
 * Once:   a handler's effect and the row (consumer, event id) of todo.inbox commit together, in one
 *         statement (db/inbox.h); for an event that is in the inbox already it changes nothing and
 *         says done. The consumer does not look into the inbox by itself.
 * Use:    consumer_new -> consumer_deliver … -> consumer_close (async) -> closed callback.
 * Owns:   deliveries in hand. Borrows the loop, the pool and the log.
 * Thread: loop thread only.   Limits: in_flight_max deliveries. */
#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/slice.h"
#include "events/cloudevent.h"
#include "events/event.h"

struct consumer;
struct consumer_turn;
struct db_pool;
struct error;
struct log;
struct metrics;
struct tracer;

/* What a handler works on; borrowed until consumer_turn_end. */
struct consumer_event {
    enum event_kind kind;
    const struct cloudevent
        *envelope;     /* its traceparent is of the consumer's span, if it has one */
    const cJSON *data; /* checked: event_check */
    struct slice id;   /* a UUID: data.event_id too */
    int64_t user_id, task_id;
};

enum consumer_verdict {
    CONSUMER_DONE,        /* the effect is committed, now or before */
    CONSUMER_REPEATED,    /* the same, where it is known that it was before: counted apart */
    CONSUMER_FAILED,      /* tried again three times, then a dead letter with the error's text */
    CONSUMER_REFUSED,     /* a dead letter at once: no try could mend it */
    CONSUMER_UNAVAILABLE, /* what the handler needs is down: no fault of the event */
};

/* Ends with consumer_turn_end, once, now or later. May be called several times for one event. */
typedef void (*consumer_handler_fn)(void *ctx, const struct consumer_event *event,
                                    struct consumer_turn *turn);
/* `err` says why (NULL with CONSUMER_DONE). */
void consumer_turn_end(struct consumer_turn *turn, enum consumer_verdict verdict,
                       const struct error *err);

/* What a handler says where its statement ended with `status` (db/error.h): UNAVAILABLE where the
 * same statement may pass later, else FAILED. */
enum consumer_verdict consumer_verdict_of(int status);

struct consumer_route {
    enum event_kind kind;
    const char *path; /* where dapr and direct deliver: "/events/reminder-sent" */
    consumer_handler_fn handler;
    void *ctx;
};

struct consumer_options {
    const char *name; /* the app id: the inbox's consumer and Kafka's group */
    const struct consumer_route *routes;
    size_t route_count;
    uint32_t in_flight_max;  /* 0: 256 */
    struct metrics *metrics; /* borrowed; NULL: nothing is counted */
    struct tracer *tracer;   /* borrowed; NULL: no spans */
};

enum consumer_answer { CONSUMER_ACK, CONSUMER_RETRY };
/* Comes exactly once for each delivery that was taken, never from inside consumer_deliver. */
typedef void (*consumer_answer_fn)(void *ctx, enum consumer_answer answer);
typedef void (*consumer_closed_fn)(void *ctx);

/* One delivery as it came. Copied. */
struct consumer_delivery {
    const char *topic;
    struct slice content_type; /* application/cloudevents+json: structured; else binary mode */
    struct slice body;
    const struct cloudevent_attribute *attributes; /* binary mode: without the prefix */
    size_t attribute_count;
};

__attribute__((warn_unused_result)) int consumer_new(uv_loop_t *loop,
                                                     const struct consumer_options *options,
                                                     struct db_pool *pool, const struct log *log,
                                                     struct consumer **out, struct error *err);
/* 0, or BASE_ELIMIT (in_flight_max), BASE_ECLOSED, BASE_ENOMEM: the delivery is to be retried, and
 * `fn` is not called. */
__attribute__((warn_unused_result)) int consumer_deliver(struct consumer *c,
                                                         const struct consumer_delivery *delivery,
                                                         consumer_answer_fn fn, void *ctx);
/* Deliveries that were taken and not answered yet. */
uint32_t consumer_in_flight(const struct consumer *c);
bool consumer_is_full(const struct consumer *c);
/* Takes nothing more; turns under way end, waits between tries are cut short (CONSUMER_RETRY). */
void consumer_close(struct consumer *c, consumer_closed_fn closed, void *ctx);
