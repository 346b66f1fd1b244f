#pragma once
/* events/transport_dapr: the way out by a Dapr sidecar's bulk publish, to whatever broker its
 * pub/sub component names.
 *
 * An event goes as it is, with metadata partitionKey = its key; what daprd adds: docs/dapr.md.
 * A dead letter that is a CloudEvent goes with the attributes deadletterreason, deadletterattempts,
 * deadletterconsumer and deadlettertopic added; bytes that are none go as data_base64 of a
 * DeadLetterEvent with them.
 * Refused: an event that is no JSON object, that is larger than 900 KiB (Kafka's brokers and our
 *          HTTP server take 1 MiB) or than the broker takes, or that daprd refuses when it is sent
 *          alone: a bulk that is refused as a whole is sent again event by event.
 * Unavailable: all else: the sidecar or the broker is down, a token is wrong, a component missing.
 *          While the sidecar is known to be down nothing is sent.
 * Use, thread: events/transport.h.
 * Borrows: the client, which must be closed after it, and the log.
 * Limits:  100 events a publish, 4 publishes in flight, 3 MiB a request: the sidecar takes 4 MiB
 *          unless told otherwise. */
#include <stdint.h>
#include <uv.h>

#include "events/transport.h"

struct dapr_client;
struct error;
struct log;

struct transport_dapr_options {
    struct dapr_client *client;
    const char *pubsub; /* PUBSUB_NAME: the component's name; copied */
};

/* 0 and *out, or BASE_ENOMEM, BASE_EINVAL (no pubsub). */
__attribute__((warn_unused_result)) int
transport_dapr_new(uv_loop_t *loop, const struct transport_dapr_options *options,
                   const struct log *log, struct transport **out, struct error *err);
