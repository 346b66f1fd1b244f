#pragma once
/* events/transport: the way out: takes events of one topic to a broker or to subscribers, and says
 * for each what became of it. dapr, kafka and direct stand behind this one table of functions, made
 * by transport_dapr_new, transport_kafka_new, transport_direct_new (a header each).
 *
 * Use:    transport_…_new -> transport_publish … -> transport_close (async) -> closed callback.
 * Thread: loop thread only.
 * Order:  none is promised between events of one publish, nor between publishes: whoever needs the
 *         order of a key has one event of that key under way at a time (events/relay does). */
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

struct transport;

enum transport_outcome {
    TRANSPORT_ACKED,       /* the broker, or each subscriber, has it and keeps it */
    TRANSPORT_UNAVAILABLE, /* the way is down, or what became of it is unknown: send it again later,
                              which counts for nothing */
    TRANSPORT_REFUSED,     /* this very event was refused: sending it again is counted */
};

/* One event as it goes out. Borrowed until `done`. */
struct transport_entry {
    struct slice id;    /* the event's id */
    struct slice key;   /* the task's id: events of one key go to one partition */
    struct slice event; /* a CloudEvent in structured JSON; of a dead letter, the bytes that came */
    /* Of a dead letter: why it is one. NULL otherwise. */
    const struct transport_death *death;
};
struct transport_death {
    struct slice topic, consumer, reason;
    int64_t attempts;
};

struct transport_result {
    enum transport_outcome outcome;
    char reason[160]; /* for the operator, where it is not acked */
};

/* Comes exactly once for each publish that was started, never from inside it; results[i] is of
 * entries[i]. */
typedef void (*transport_done_fn)(void *ctx, const struct transport_result *results, size_t count);
typedef void (*transport_closed_fn)(void *ctx);
/* Which broker stands behind the transport, such as "pubsub.redis/v1" or a cluster's id; empty
 * where that cannot be known now. Borrowed until it returns; at most TRANSPORT_IDENTITY_MAX bytes.
 * Comes once, never from inside `identify`. */
typedef void (*transport_identity_fn)(void *ctx, struct slice identity);
#define TRANSPORT_IDENTITY_MAX 200

struct transport {
    const char *name;     /* "dapr", "kafka", "direct" */
    uint32_t entries_max; /* a publish */
    uint32_t publish_max; /* publishes in flight */
    int (*publish)(struct transport *t, const char *topic, const struct transport_entry *entries,
                   size_t count, transport_done_fn done, void *ctx);
    void (*close)(struct transport *t, transport_closed_fn closed, void *ctx);
    /* Asks again each time: the broker behind one name may be swapped, and what the old one has not
     * delivered is then published again. NULL: the transport's name says all. 0, or BASE_ECLOSED,
     * BASE_ENOMEM; then `fn` is not called. */
    int (*identify)(struct transport *t, transport_identity_fn fn, void *ctx);
};

/* 1 to entries_max events. 0, or BASE_ELIMIT (publish_max), BASE_ECLOSED, BASE_ENOMEM; on failure
 * `done` is not called. */
__attribute__((warn_unused_result)) static inline int
transport_publish(struct transport *t, const char *topic, const struct transport_entry *entries,
                  size_t count, transport_done_fn done, void *ctx)
{
    return t->publish(t, topic, entries, count, done, ctx);
}

/* What is in flight ends (as TRANSPORT_UNAVAILABLE where its answer does not come soon), then
 * `closed`, then it frees itself. */
static inline void transport_close(struct transport *t, transport_closed_fn closed, void *ctx)
{
    t->close(t, closed, ctx);
}
