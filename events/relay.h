#pragma once
/* events/relay: takes events from the outbox to the transport, each at least once, those of one key
 * in the order of their commits; and dead letters to task-events-dlq.
 *
 * Of all relays on a database one publishes: the leader, which holds an advisory lock on the very
 * session that it reads and marks with (db/outbox). The others try the lock twice a second, and end
 * the session of a leader that has fallen silent. A leader that has not heard from the database for
 * a while publishes nothing until it has.
 *
 * Use:    relay_new -> relay_wake after each commit that wrote an outbox row -> relay_close
 *         (async) -> closed callback. The transport is closed after that.
 * Owns:   its database session, its listening connection (NOTIFY todo_outbox wakes it too) and the
 *         events in hand. Borrows the loop, the transport and the log.
 * Thread: loop thread only.   Limits: a window of events in memory for each topic. */
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/slice.h"

struct error;
struct log;
struct relay;
struct tracer;
struct transport;

struct relay_options {
    const struct secret *conninfo; /* of the database; borrowed until the relay is closed */
    const char *broker_id;         /* which broker this is; NULL: the transport says. Copied */
    uint32_t attempts_max;         /* 10: refusals before an event is parked */
    uint32_t outbox_retention_s;   /* 48 h: published rows are kept for a replay */
    uint32_t inbox_retention_s;    /* 14 d: must be longer than any broker keeps an event */
    uint32_t letters_retention_s;  /* 90 d */
    uint32_t replay_s;             /* 48 h: what is published again when the broker was swapped */
    /* For metrics; may be NULL. An event was acked: `latency_us` after its commit, `publish_us`
     * after it was sent. */
    void (*on_acked)(void *ctx, struct slice topic, int64_t latency_us, int64_t publish_us);
    void *ctx;
    struct tracer *tracer; /* each event's way out is a span; borrowed; NULL: none */
};
extern const struct relay_options relay_options_default;

/* Connects in the background: 0 even when the database is down. DB_ENOMEM, BASE_ENOMEM or UV_E*
 * when the kernel gives no randomness. */
__attribute__((warn_unused_result)) int
relay_new(uv_loop_t *loop, const struct relay_options *options, struct transport *transport,
          const struct log *log, struct relay **out, struct error *err);

/* A commit wrote outbox rows: they are fetched, here or by the leader elsewhere. */
void relay_wake(struct relay *r);

struct relay_stats {
    bool is_leader;        /* has the lock and publishes */
    bool is_down;          /* a lane waits for its way out to come back */
    uint32_t in_memory;    /* events in hand */
    uint32_t in_flight;    /* publishes under way */
    uint64_t published;    /* events acked */
    uint64_t retries;      /* … sent in vain, since the way was down */
    uint64_t refused;      /* … refused */
    uint64_t parked;       /* … given up */
    uint64_t terms;        /* times that it became the leader */
    uint64_t evicted;      /* silent leaders whose session it ended */
    uint64_t purged;       /* rows deleted */
    uint64_t replayed;     /* rows published again since the broker was swapped */
    int64_t depth;         /* unpublished rows, looked at every 5 s by the leader; -1: unknown.
                              At most 100,000 a topic are counted */
    int64_t parked_depth;  /* rows that are parked; -1: unknown */
    int64_t oldest_age_us; /* of the unpublished; 0: none */
};
void relay_stats(const struct relay *r, struct relay_stats *out);

typedef void (*relay_closed_fn)(void *ctx);
/* Fetches nothing more; what is under way is settled, at most for `drain_ms`; then the session ends
 * and with it the lock, so that another relay goes on at once. */
void relay_close(struct relay *r, uint32_t drain_ms, relay_closed_fn closed, void *ctx);
