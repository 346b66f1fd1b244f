#pragma once
/* dapr/pubsub: publishing (Dapr API reference, "Pub/sub API").
 *   POST /v1.0/publish/<pubsub>/<topic>        one event
 *   POST /v1.0/publish/bulk/<pubsub>/<topic>   several, with an answer for each
 * Never with rawPayload. Conventions as in dapr/client.h; names and events are copied. */
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "dapr/client.h"

struct dapr_event {
    /* In dapr_publish_bulk: its name in the answer, not empty, unique in the publish. */
    struct slice id;
    /* NULL or "application/cloudevents+json": `body` is a CloudEvent, which daprd passes on with
     * its own attributes added: topic, pubsubname, traceid, tracestate (and traceparent, where the
     * event has none). Another type: daprd makes a CloudEvent around it. In a bulk JSON types and
     * text/… are possible, else BASE_EINVAL. A body of a JSON type is checked (BASE_ESYNTAX …), a
     * CloudEvent for being an object. */
    const char *content_type;
    struct slice body;
    struct slice partition_key; /* metadata partitionKey; empty: none */
    uint32_t ttl_s;             /* metadata ttlInSeconds; 0: none */
};

/* 0, or an error as above; then `fn` is not called. The outcome: 0 (the broker has it),
 * DAPR_ECOMPONENT (it does not, or it cannot be told) or another. */
__attribute__((warn_unused_result)) int dapr_publish(struct dapr_client *c, const char *pubsub,
                                                     const char *topic,
                                                     const struct dapr_event *event,
                                                     dapr_done_fn fn, void *ctx, struct error *err);

struct dapr_event_result {
    int status;          /* 0, DAPR_ECOMPONENT, or DAPR_ETOOLARGE for the broker */
    struct slice reason; /* daprd's word, where it failed; may be empty */
};
/* status 0: the sidecar answered for each event: results[i] is of events[i]. Otherwise results is
 * NULL and what holds for `status` holds for all events. Borrowed until the return. */
typedef void (*dapr_bulk_fn)(void *ctx, int status, const struct dapr_event_result *results,
                             size_t count, const struct error *err);

/* 1 event at least. daprd takes 4 MiB a request unless told otherwise. */
__attribute__((warn_unused_result)) int dapr_publish_bulk(struct dapr_client *c, const char *pubsub,
                                                          const char *topic,
                                                          const struct dapr_event *events,
                                                          size_t count, dapr_bulk_fn fn, void *ctx,
                                                          struct error *err);
