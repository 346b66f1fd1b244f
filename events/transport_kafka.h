#pragma once
/* events/transport_kafka: the way out to Kafka, by librdkafka's idempotent producer.
 *
 *   key                the task's id; the partition is picked as Dapr's component picks it, so that
 *                      a change of transport keeps the order of a key
 *   value              the event as it is: a CloudEvent in structured mode
 *   headers            content-type; of a dead letter also dlq-reason, dlq-attempts, dlq-consumer
 *                      and dlq-topic, and content-type application/octet-stream where the bytes
 *                      are no CloudEvent
 *   acknowledgement    acks=all: all replicas in sync have it
 *
 * Each event's answer comes within timeout_ms: what the broker did not acknowledge by then is
 * TRANSPORT_UNAVAILABLE, and may have been stored. What the broker can never take (too large,
 * malformed) is TRANSPORT_REFUSED. A producer that librdkafka declares broken is made anew.
 *
 * Threads: librdkafka has its own; they reach us by a file descriptor on the loop. */
#include <stdint.h>
#include <uv.h>

#include "events/kafka_config.h"
#include "events/transport.h"

struct log;

struct transport_kafka_options {
    struct kafka_config config;
    uint32_t timeout_ms; /* of an event, in all; 0: 10 s */
    uint32_t close_ms;   /* what is in flight at the close may take so long; 0: 5 s */
};

/* Begins to connect; that no broker answers is no error. Borrows the loop and the log; the texts of
 * the configuration have to live until it is closed. 0 and *out, BASE_EINVAL (err->field: the
 * setting) or BASE_ENOMEM. */
__attribute__((warn_unused_result)) int
transport_kafka_new(uv_loop_t *loop, const struct transport_kafka_options *options,
                    const struct log *log, struct transport **out, struct error *err);
