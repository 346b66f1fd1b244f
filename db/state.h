#pragma once
/* db/state: small values under keys with ETags and a time to live (table todo.state). What has
 * expired is absent, whether it was removed yet or not. All return as db_pool_submit. */
#include "db/pool.h"

struct db_state_reply {
    bool is_found;      /* get */
    bool is_done;       /* save: false: the condition was not met, nothing was changed */
    int64_t count;      /* prune: the rows removed */
    struct slice value; /* get: JSON text */
    struct slice etag;  /* get */
};
typedef void (*db_state_fn)(void *ctx, int status, const struct db_state_reply *reply,
                            const struct error *err);

struct db_state_save {
    struct slice key, value; /* value: JSON text */
    struct slice etag;       /* not empty: only while the value has it */
    bool is_if_absent;       /* only while the key is absent; `etag` is empty */
    uint32_t ttl_s;          /* 0: it stays */
};

int db_state_get(struct db_pool *p, struct slice key, db_state_fn fn, void *ctx, db_op_id *id,
                 struct error *err);
int db_state_save(struct db_pool *p, const struct db_state_save *save, db_state_fn fn, void *ctx,
                  db_op_id *id, struct error *err);
int db_state_delete(struct db_pool *p, struct slice key, db_state_fn fn, void *ctx, db_op_id *id,
                    struct error *err);
/* Removes what has expired, at most `limit` rows. Several processes may do so at once. */
int db_state_prune(struct db_pool *p, int limit, db_state_fn fn, void *ctx, db_op_id *id,
                   struct error *err);
