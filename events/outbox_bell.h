#pragma once
/* events/outbox_bell: tells the relay of another process that there are new outbox rows or dead
 * letters. So many commits within a few milliseconds are one NOTIFY. A ring that gets lost costs a
 * second: the relay looks by itself as often.
 *
 * Use:    outbox_bell_new -> outbox_bell_ring after each commit that wrote a row ->
 *         outbox_bell_close (async) -> closed callback, before the pool is closed.
 * Owns:   nothing but its timer. Borrows the loop and the pool.
 * Thread: loop thread only. */
#include <uv.h>

struct db_pool;
struct outbox_bell;

/* 0 or BASE_ENOMEM. */
__attribute__((warn_unused_result)) int outbox_bell_new(uv_loop_t *loop, struct db_pool *pool,
                                                        struct outbox_bell **out);
void outbox_bell_ring(struct outbox_bell *bell);
typedef void (*outbox_bell_closed_fn)(void *ctx);
/* A ring that waits is rung. */
void outbox_bell_close(struct outbox_bell *bell, outbox_bell_closed_fn closed, void *ctx);
