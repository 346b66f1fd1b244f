#pragma once
/* dapr/state: a key-value store behind the sidecar (Dapr API reference, "State management API").
 *   GET    /v1.0/state/<store>/<key>        POST /v1.0/state/<store>/bulk
 *   POST   /v1.0/state/<store>              POST /v1.0/state/<store>/transaction
 *   DELETE /v1.0/state/<store>/<key>
 * Values are JSON. daprd keeps a key as "<app id>||<key>", so a key has no "||" (BASE_EINVAL), and
 * is not empty. Conventions as in dapr/client.h; names, keys and values are copied. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "dapr/client.h"

struct dapr_state_value {
    struct slice key; /* in dapr_state_get_bulk */
    int status;       /* in dapr_state_get_bulk: 0, or DAPR_ECOMPONENT for this key alone */
    bool is_found;
    struct slice value; /* JSON text */
    struct slice etag;  /* empty where there is none */
};
/* Borrowed until the return; NULL where status is not 0. */
typedef void (*dapr_state_get_fn)(void *ctx, int status, const struct dapr_state_value *value,
                                  const struct error *err);
/* values[i] is of keys[i]. */
typedef void (*dapr_state_get_bulk_fn)(void *ctx, int status, const struct dapr_state_value *values,
                                       size_t count, const struct error *err);

struct dapr_state_item {
    struct slice key;
    struct slice value; /* JSON text, checked (BASE_ESYNTAX …) */
    struct slice etag;  /* of the read that this write rests upon; empty: none */
    /* First-write concurrency: with an ETag the write succeeds only while the state has it; without
     * one only while there is no state (or it has expired). Else DAPR_ECONFLICT. */
    bool is_first_write;
    uint32_t ttl_s; /* 0: it stays */
};

/* A key that is absent or expired: status 0, is_found false. */
__attribute__((warn_unused_result)) int dapr_state_get(struct dapr_client *c, const char *store,
                                                       struct slice key, dapr_state_get_fn fn,
                                                       void *ctx, struct error *err);
__attribute__((warn_unused_result)) int
dapr_state_get_bulk(struct dapr_client *c, const char *store, const struct slice *keys,
                    size_t count, dapr_state_get_bulk_fn fn, void *ctx, struct error *err);
/* One item at least. Several are no transaction: where one fails the others may be written. */
__attribute__((warn_unused_result)) int dapr_state_save(struct dapr_client *c, const char *store,
                                                        const struct dapr_state_item *items,
                                                        size_t count, dapr_done_fn fn, void *ctx,
                                                        struct error *err);
/* `etag` empty: whatever it is now. A key that is absent: 0 without an ETag, else DAPR_ECONFLICT.
 */
__attribute__((warn_unused_result)) int dapr_state_delete(struct dapr_client *c, const char *store,
                                                          struct slice key, struct slice etag,
                                                          dapr_done_fn fn, void *ctx,
                                                          struct error *err);

struct dapr_state_op {
    bool is_delete; /* of item.key, under item.etag; else item is saved */
    struct dapr_state_item item;
};
/* All or nothing. */
__attribute__((warn_unused_result)) int
dapr_state_transact(struct dapr_client *c, const char *store, const struct dapr_state_op *ops,
                    size_t count, dapr_done_fn fn, void *ctx, struct error *err);
