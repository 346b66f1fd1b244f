#include "events/outbox_bell.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/mem.h"
#include "db/outbox.h"

#define GAP_MS 5

struct outbox_bell {
    uv_loop_t *loop;
    struct db_pool *pool;
    uv_timer_t timer;
    uint64_t due_ms;
    bool is_wanted, is_ringing;
    outbox_bell_closed_fn closed; /* set: closing */
    void *closed_ctx;
};

static void on_timer(uv_timer_t *timer);

static void on_timer_closed(uv_handle_t *handle)
{
    struct outbox_bell *b = handle->data;
    outbox_bell_closed_fn closed = b->closed;
    void *ctx = b->closed_ctx;
    mem_free(b);
    closed(ctx);
}

static void ring(struct outbox_bell *b);

static void go_on(struct outbox_bell *b)
{
    if (b->is_wanted)
        ring(b);
    if (b->closed && !b->is_ringing && !uv_is_closing((uv_handle_t *)&b->timer))
        uv_close((uv_handle_t *)&b->timer, on_timer_closed);
}

/* Where it failed, the relay's own look is the net. */
static void on_rung(void *ctx, int status, bool is_held, int64_t count, const struct error *err)
{
    struct outbox_bell *b = ctx;
    (void)status;
    (void)is_held;
    (void)count;
    (void)err;
    b->is_ringing = false;
    go_on(b);
}

static void ring(struct outbox_bell *b)
{
    uint64_t now = uv_now(b->loop);
    if (b->is_ringing)
        return;
    if (now < b->due_ms && !b->closed) {
        if (!uv_is_active((uv_handle_t *)&b->timer))
            uv_timer_start(&b->timer, on_timer, b->due_ms - now, 0);
        return;
    }
    b->is_wanted = false;
    b->due_ms = now + GAP_MS;
    b->is_ringing = db_outbox_ring(b->pool, on_rung, b, NULL) == 0;
}

static void on_timer(uv_timer_t *timer)
{
    go_on(timer->data);
}

int outbox_bell_new(uv_loop_t *loop, struct db_pool *pool, struct outbox_bell **out)
{
    struct outbox_bell *b = mem_calloc(1, sizeof(*b));
    if (!b)
        return BASE_ENOMEM;
    b->loop = loop;
    b->pool = pool;
    uv_timer_init(loop, &b->timer);
    b->timer.data = b;
    *out = b;
    return 0;
}

void outbox_bell_ring(struct outbox_bell *bell)
{
    assert(!bell->closed);
    bell->is_wanted = true;
    ring(bell);
}

void outbox_bell_close(struct outbox_bell *bell, outbox_bell_closed_fn closed, void *ctx)
{
    assert(!bell->closed);
    bell->closed = closed;
    bell->closed_ctx = ctx;
    go_on(bell);
}
