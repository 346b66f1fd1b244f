/* The state store where there is no sidecar: the table todo.state. */
#include "base/error.h"
#include "base/mem.h"
#include "db/pool.h"
#include "db/state.h"
#include "state_store_int.h"

#define PRUNE_MS  600000
#define PRUNE_MAX 1000 /* rows a statement */

struct db_store {
    struct state_store store; /* the first member */
    struct db_pool *pool;     /* borrowed */
};

static struct db_pool *pool_of(struct state_store *store)
{
    return ((struct db_store *)store)->pool;
}

static int explain(int status, const struct error *err, struct error *out)
{
    return status ? error_set(out, STATE_EUNAVAILABLE, err->field, "%s", err->text) : 0;
}

/* ---- get ---- */

static void on_get(void *ctx, int status, const struct db_state_reply *reply,
                   const struct error *err)
{
    struct error own;
    struct state_entry entry = {0};
    if (!status)
        entry = (struct state_entry){reply->is_found, reply->value, reply->etag};
    status = explain(status, err, &own);
    state_call_end(ctx, status, status ? NULL : &entry, status ? &own : NULL);
}

static int store_get(struct state_store *s, struct slice key, struct state_call *call,
                     struct error *err)
{
    return db_state_get(pool_of(s), key, on_get, call, NULL, err);
}

/* ---- save ---- */

static void on_saved(void *ctx, int status, const struct db_state_reply *reply,
                     const struct error *err)
{
    struct error own;
    if (!status && !reply->is_done)
        status = error_set(&own, STATE_ECONFLICT, NULL, "another has changed this key");
    else
        status = explain(status, err, &own);
    state_call_end(ctx, status, NULL, status ? &own : NULL);
}

static int store_save(struct state_store *s, const struct state_save *save, struct state_call *call,
                      struct error *err)
{
    const struct db_state_save row = {
        .key = save->key,
        .value = save->value,
        .etag = save->when == STATE_IF_UNCHANGED ? save->etag : SLICE_EMPTY,
        .is_if_absent = save->when == STATE_IF_ABSENT,
        .ttl_s = save->ttl_s,
    };
    return db_state_save(pool_of(s), &row, on_saved, call, NULL, err);
}

/* ---- delete ---- */

static void on_deleted(void *ctx, int status, const struct db_state_reply *reply,
                       const struct error *err)
{
    struct error own;
    (void)reply;
    status = explain(status, err, &own);
    state_call_end(ctx, status, NULL, status ? &own : NULL);
}

static int store_delete(struct state_store *s, struct slice key, struct state_call *call,
                        struct error *err)
{
    return db_state_delete(pool_of(s), key, on_deleted, call, NULL, err);
}

/* ---- what has expired ---- */

static void prune(struct state_store *s);

static void on_pruned(void *ctx, int status, const struct db_state_reply *reply,
                      const struct error *err)
{
    struct state_call *call = ctx;
    (void)err; /* the next time will do */
    if (!status && reply->count == PRUNE_MAX && !call->store->is_closing)
        prune(call->store);
    state_call_end(call, 0, NULL, NULL);
}

static void prune(struct state_store *s)
{
    struct state_call *call = state_call_new(s);
    if (call && db_state_prune(pool_of(s), PRUNE_MAX, on_pruned, call, NULL, NULL))
        state_call_drop(call);
}

static void on_prune_timer(uv_timer_t *timer)
{
    prune(timer->data);
}

int state_store_db_new(uv_loop_t *loop, struct db_pool *pool, struct state_store **out)
{
    static const struct state_way way = {"database", store_get, store_save, store_delete};
    struct db_store *s = mem_calloc(1, sizeof(*s));
    if (!s)
        return BASE_ENOMEM;
    state_store_init(&s->store, &way, loop);
    s->pool = pool;
    uv_timer_start(&s->store.timer, on_prune_timer, PRUNE_MS, PRUNE_MS);
    *out = &s->store;
    return 0;
}
