#pragma once
/* apps/todo-mcp/outgoing: how the events leave: the relay with the transport that the settings
 * choose, or with RELAY=false only the bell that wakes the relay of another process.
 *
 * Use:    outgoing_open -> outgoing_wake after each commit -> outgoing_close (async) -> closed.
 * Owns:   the relay, the transport, the sidecar's client, the bell. Its memory must outlive the
 *         loop's run. Borrows the rest. */
#include <stdint.h>
#include <uv.h>

struct dapr_client;
struct db_pool;
struct error;
struct log;
struct observe;
struct outbox_bell;
struct relay;
struct settings;
struct tracer;
struct transport;

typedef void (*outgoing_closed_fn)(void *ctx);

struct outgoing {
    const struct log *log;
    struct dapr_client *dapr;
    struct transport *transport;
    struct relay *relay;
    struct outbox_bell *bell;
    outgoing_closed_fn closed;
    void *closed_ctx;
};

/* What it works with. */
struct outgoing_parts {
    uv_loop_t *loop;
    const struct settings *settings;
    struct db_pool *pool;
    const struct secret *conninfo; /* of the database */
    struct observe *observe;       /* is told what went out; NULL: nobody */
    struct tracer *tracer;         /* NULL: no spans */
    const struct log *log;
};

/* 0, or the reason in `err`; what is open then is closed by outgoing_close all the same. */
__attribute__((warn_unused_result)) int
outgoing_open(struct outgoing *o, const struct outgoing_parts *parts, struct error *err);
/* A commit wrote outbox rows. */
void outgoing_wake(struct outgoing *o);
/* What is under way is settled, at most for `drain_ms`; then another process's relay may lead.
 * `closed` may come from inside. */
void outgoing_close(struct outgoing *o, uint32_t drain_ms, outgoing_closed_fn closed, void *ctx);
