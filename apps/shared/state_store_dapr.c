/* The sidecar's state store. */
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "dapr/client.h"
#include "dapr/state.h"
#include "state_store_int.h"

struct dapr_store {
    struct state_store store;   /* the first member */
    struct dapr_client *client; /* borrowed */
    char component[];
};

static int explain(int status, const struct error *err, struct error *out)
{
    if (status == DAPR_ECONFLICT)
        return error_set(out, STATE_ECONFLICT, NULL, "another has changed this key");
    return status ? error_set(out, STATE_EUNAVAILABLE, err->field, "%s", err->text) : 0;
}

static void on_get(void *ctx, int status, const struct dapr_state_value *value,
                   const struct error *err)
{
    struct error own;
    struct state_entry entry = {0};
    if (!status)
        entry = (struct state_entry){value->is_found, value->value, value->etag};
    status = explain(status, err, &own);
    state_call_end(ctx, status, status ? NULL : &entry, status ? &own : NULL);
}

static int store_get(struct state_store *store, struct slice key, struct state_call *call,
                     struct error *err)
{
    struct dapr_store *s = (struct dapr_store *)store;
    return dapr_state_get(s->client, s->component, key, on_get, call, err);
}

static void on_done(void *ctx, int status, const struct error *err)
{
    struct error own;
    status = explain(status, err, &own);
    state_call_end(ctx, status, NULL, status ? &own : NULL);
}

static int store_save(struct state_store *store, const struct state_save *save,
                      struct state_call *call, struct error *err)
{
    struct dapr_store *s = (struct dapr_store *)store;
    const struct dapr_state_item item = {
        .key = save->key,
        .value = save->value,
        .etag = save->when == STATE_IF_UNCHANGED ? save->etag : SLICE_EMPTY,
        .is_first_write = save->when != STATE_ALWAYS,
        .ttl_s = save->ttl_s,
    };
    return dapr_state_save(s->client, s->component, &item, 1, on_done, call, err);
}

static int store_delete(struct state_store *store, struct slice key, struct state_call *call,
                        struct error *err)
{
    struct dapr_store *s = (struct dapr_store *)store;
    return dapr_state_delete(s->client, s->component, key, SLICE_EMPTY, on_done, call, err);
}

int state_store_dapr_new(uv_loop_t *loop, struct dapr_client *client, const char *component,
                         struct state_store **out)
{
    static const struct state_way way = {"dapr", store_get, store_save, store_delete};
    size_t size = strlen(component) + 1;
    struct dapr_store *s = mem_calloc(1, sizeof(*s) + size);
    if (!s)
        return BASE_ENOMEM;
    state_store_init(&s->store, &way, loop);
    s->client = client;
    memcpy(s->component, component, size);
    *out = &s->store;
    return 0;
}
