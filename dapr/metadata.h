#pragma once
/* dapr/metadata: what a sidecar says of itself (Dapr API reference, "Metadata API").
 *   GET /v1.0/metadata
 * Conventions as in dapr/client.h. */
#include "dapr/client.h"

struct dapr_component {
    const char *name, *type, *version; /* "pubsub-kafka", "pubsub.redis", "v1" */
};
/* status 0 with `component` NULL: it has none of that name. Borrowed until the return. */
typedef void (*dapr_component_fn)(void *ctx, int status, const struct dapr_component *component,
                                  const struct error *err);

__attribute__((warn_unused_result)) int dapr_component_get(struct dapr_client *c, const char *name,
                                                           dapr_component_fn fn, void *ctx,
                                                           struct error *err);
