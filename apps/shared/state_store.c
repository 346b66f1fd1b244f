#include "shared/state_store.h"

#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "base/mem.h"
#include "state_store_int.h"

#define KEY_MAX   512
#define VALUE_MAX 65536

/* ---- the end of a call ---- */

static void try_end(struct state_store *s)
{
    if (!s->is_timer_closed || s->in_flight > 0)
        return;
    state_closed_fn closed = s->closed;
    void *ctx = s->closed_ctx;
    mem_free(s);
    closed(ctx);
}

struct state_call *state_call_new(struct state_store *s)
{
    struct state_call *call = mem_calloc(1, sizeof(*call));
    if (!call)
        return NULL;
    call->store = s;
    s->in_flight++;
    return call;
}

void state_call_drop(struct state_call *call)
{
    call->store->in_flight--;
    mem_free(call);
}

void state_call_end(struct state_call *call, int status, const struct state_entry *entry,
                    const struct error *err)
{
    struct state_store *s = call->store;
    if (call->get)
        call->get(call->ctx, status, entry, err);
    else if (call->done)
        call->done(call->ctx, status, err);
    state_call_drop(call);
    try_end(s);
}

/* ---- calls ---- */

static bool is_key(struct slice key)
{
    return key.len > 0 && key.len <= KEY_MAX && !memchr(key.ptr, '\0', key.len) &&
           !memmem(key.ptr, key.len, "||", 2);
}

static int check(const struct state_store *s, struct slice key, struct error *err)
{
    if (s->is_closing)
        return error_set(err, BASE_ECLOSED, NULL, "the state store is closed");
    if (!is_key(key))
        return error_set(err, BASE_EINVAL, "key", "a key has 1 to %d bytes and no \"||\"", KEY_MAX);
    return 0;
}

static int check_save(const struct state_store *s, const struct state_save *save, struct error *err)
{
    if (save->value.len > VALUE_MAX)
        return error_set(err, BASE_EINVAL, "value", "a value has at most %d bytes", VALUE_MAX);
    if (save->when == STATE_IF_UNCHANGED && save->etag.len == 0)
        return error_set(err, BASE_EINVAL, "etag", "an ETag is needed");
    int status = check(s, save->key, err);
    return status ? status : json_check(save->value, err);
}

static struct state_call *begin(struct state_store *s, const struct state_call *whom,
                                struct error *err)
{
    struct state_call *call = state_call_new(s);
    if (!call) {
        error_set(err, BASE_ENOMEM, NULL, "out of memory");
        return NULL;
    }
    call->get = whom->get;
    call->done = whom->done;
    call->ctx = whom->ctx;
    return call;
}

static int dropped_if(int status, struct state_call *call)
{
    if (status)
        state_call_drop(call);
    return status;
}

int state_get(struct state_store *s, struct slice key, state_get_fn fn, void *ctx,
              struct error *err)
{
    int status = check(s, key, err);
    if (status)
        return status;
    struct state_call *call = begin(s, &(struct state_call){.get = fn, .ctx = ctx}, err);
    return call ? dropped_if(s->way->get(s, key, call, err), call) : BASE_ENOMEM;
}

int state_save(struct state_store *s, const struct state_save *save, state_done_fn fn, void *ctx,
               struct error *err)
{
    int status = check_save(s, save, err);
    if (status)
        return status;
    struct state_call *call = begin(s, &(struct state_call){.done = fn, .ctx = ctx}, err);
    return call ? dropped_if(s->way->save(s, save, call, err), call) : BASE_ENOMEM;
}

int state_delete(struct state_store *s, struct slice key, state_done_fn fn, void *ctx,
                 struct error *err)
{
    int status = check(s, key, err);
    if (status)
        return status;
    struct state_call *call = begin(s, &(struct state_call){.done = fn, .ctx = ctx}, err);
    return call ? dropped_if(s->way->remove(s, key, call, err), call) : BASE_ENOMEM;
}

/* ---- life ---- */

const char *state_store_name(const struct state_store *s)
{
    return s->way->name;
}

void state_store_init(struct state_store *s, const struct state_way *way, uv_loop_t *loop)
{
    s->way = way;
    uv_timer_init(loop, &s->timer);
    s->timer.data = s;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct state_store *s = handle->data;
    s->is_timer_closed = true;
    try_end(s);
}

void state_close(struct state_store *s, state_closed_fn closed, void *ctx)
{
    s->is_closing = true;
    s->closed = closed;
    s->closed_ctx = ctx;
    uv_close((uv_handle_t *)&s->timer, on_timer_closed);
}
