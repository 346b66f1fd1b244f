#pragma once
/* apps/shared/state_store: small values under keys, with ETags and a time to live, the same behind
 * every transport: in the sidecar's state store (state_store_dapr_new) or in the table todo.state
 * (state_store_db_new).
 *
 *   notification:last_poll              TTL 3,600 s
 *   reminder:task:<id>:<reminder time>  TTL 86,400 s
 *   email:event:<event id>              TTL 7 d
 *
 * Use:     state_store_…_new -> state_get, state_save, state_delete … -> state_close -> closed.
 * Owns:    the calls in flight. Borrows the loop, the pool or the sidecar's client, and the log.
 * Thread:  loop thread only.
 * Limits:  a key has 1 to 512 bytes and no "||"; a value is JSON of at most 64 KiB.
 * Changing between the two carries nothing over: what must be known behind both belongs into
 * todo.inbox. */
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/slice.h"

struct dapr_client;
struct db_pool;
struct error;
struct log;
struct state_store;

#define STATE_ERRORS(X)                                                                            \
    X(STATE_ECONFLICT, -26001, "another has changed this key")                                     \
    X(STATE_EUNAVAILABLE, -26002, "the state store cannot be used now; what was asked may be done")

enum state_error {
#define X(name, code, text) name = (code),
    STATE_ERRORS(X)
#undef X
};

struct state_entry {
    bool is_found;      /* false: absent or expired */
    struct slice value; /* JSON text */
    struct slice etag;  /* opaque: of this very value */
};
/* Comes exactly once for each call that was started, never from inside it. status 0: `entry` is
 * borrowed until the return; STATE_EUNAVAILABLE: it is NULL and `err` says why. */
typedef void (*state_get_fn)(void *ctx, int status, const struct state_entry *entry,
                             const struct error *err);
/* The same; status may be STATE_ECONFLICT too. */
typedef void (*state_done_fn)(void *ctx, int status, const struct error *err);
typedef void (*state_closed_fn)(void *ctx);

enum state_when {
    STATE_ALWAYS,       /* the last write wins */
    STATE_IF_ABSENT,    /* only while the key is absent or expired */
    STATE_IF_UNCHANGED, /* only while the value still has `etag` */
};

struct state_save {
    struct slice key, value; /* value: JSON text */
    enum state_when when;
    struct slice etag; /* with STATE_IF_UNCHANGED: from state_get */
    uint32_t ttl_s;    /* from this write; 0: it stays */
};

/* `component`: STATE_STORE_NAME. 0 and *out, or BASE_ENOMEM. */
__attribute__((warn_unused_result)) int state_store_dapr_new(uv_loop_t *loop,
                                                             struct dapr_client *client,
                                                             const char *component,
                                                             struct state_store **out);
/* Removes what has expired each ten minutes. 0 and *out, or BASE_ENOMEM. */
__attribute__((warn_unused_result)) int state_store_db_new(uv_loop_t *loop, struct db_pool *pool,
                                                           struct state_store **out);

/* "dapr", "database" */
const char *state_store_name(const struct state_store *s);

/* All three copy what they are given. 0; BASE_EINVAL (a key or value that is none), BASE_ELIMIT or
 * DB_EBUSY (too many calls), BASE_ECLOSED, BASE_ENOMEM and their like: then `fn` is not called. */
__attribute__((warn_unused_result)) int state_get(struct state_store *s, struct slice key,
                                                  state_get_fn fn, void *ctx, struct error *err);
__attribute__((warn_unused_result)) int state_save(struct state_store *s,
                                                   const struct state_save *save, state_done_fn fn,
                                                   void *ctx, struct error *err);
/* A key that is absent is no error. */
__attribute__((warn_unused_result)) int state_delete(struct state_store *s, struct slice key,
                                                     state_done_fn fn, void *ctx,
                                                     struct error *err);

/* Calls in flight end first; then `closed`, and `s` is freed. Before its pool or client closes. */
void state_close(struct state_store *s, state_closed_fn closed, void *ctx);
