#pragma once
/* events/source_kafka: a worker's way in from Kafka: one member of a consumer group that hands what
 * comes to events/consumer.
 *
 *   once done      an offset is committed only after the consumer's CONSUMER_ACK of it and of all
 *                  before it in its partition; commits go together, twice a second
 *   retry          CONSUMER_RETRY: delivered again after 100 ms, doubling up to 10 s; the offset
 *                  stays, and so does the place of its key
 *   order          events of one key in a partition never overtake each other; other keys go on
 *   back pressure  at most window_max events of a partition are in hand, and none is taken while
 *                  the consumer is full; the rest stays with librdkafka, which fetches no more
 *   rebalance      cooperative: partitions that stay are not disturbed. One that goes is given up
 *                  when its turns under way have ended and their offsets are committed (10 s at
 *                  most); of one that is lost nothing is committed
 *
 * Message: structured mode (content-type application/cloudevents+json), binary mode (headers ce_*),
 * or neither header: taken as structured. What it is worth is the consumer's judgement.
 * Use:     source_kafka_new -> source_kafka_close (async) -> closed callback.
 * Owns:    what is in hand. Borrows the loop, the consumer and the log.
 * Thread:  loop thread only; librdkafka's own reach us by a file descriptor on the loop.
 * Limits:  window_max events in hand a partition. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "events/kafka_config.h"

struct consumer;
struct error;
struct log;
struct source_kafka;

struct source_kafka_options {
    struct kafka_config config;
    const char *group; /* the app id */
    const char *const *topics;
    size_t topic_count;
    struct consumer *consumer;
    uint32_t window_max; /* 0: 256 */
    uint32_t close_ms;   /* turns under way at the close may take so long; 0: 10 s */
};

struct source_kafka_stats {
    uint32_t partitions;           /* that are ours now */
    uint32_t in_hand;              /* events taken and not done */
    uint64_t taken;                /* events, once each */
    uint64_t acked;                /* of them done */
    uint64_t retried;              /* times that one was given back */
    uint64_t commits, bad_commits; /* of offsets */
    bool has_joined; /* partitions were given out to us, though it may be none of them */
};

typedef void (*source_kafka_closed_fn)(void *ctx);

/* Begins to join the group; that no broker answers is no error. The texts have to live until it is
 * closed. 0 and *out, BASE_EINVAL (err->field: the setting) or BASE_ENOMEM. */
__attribute__((warn_unused_result)) int
source_kafka_new(uv_loop_t *loop, const struct source_kafka_options *options, const struct log *log,
                 struct source_kafka **out, struct error *err);
void source_kafka_read_stats(const struct source_kafka *s, struct source_kafka_stats *out);
/* Takes nothing more. When the turns under way have ended, or close_ms are over, it commits what is
 * done and leaves the group; `closed` comes when each turn has been answered, and `s` is freed. The
 * consumer may be closed from the moment of this call on. */
void source_kafka_close(struct source_kafka *s, source_kafka_closed_fn closed, void *ctx);
