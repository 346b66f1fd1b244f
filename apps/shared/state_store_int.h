#pragma once
/* apps/shared/state_store_int: what stands behind a state store. state_store.c checks, counts the
 * calls in flight and ends; state_store_db.c and state_store_dapr.c ask. */
#include "shared/state_store.h"

/* One call: which store, and whom to tell. */
struct state_call {
    struct state_store *store;
    state_get_fn get;   /* NULL, or of state_get */
    state_done_fn done; /* NULL, or of the others */
    void *ctx;
};

/* Each starts what state_call_end ends, later; or fails, and the call is not told. */
struct state_way {
    const char *name;
    int (*get)(struct state_store *s, struct slice key, struct state_call *call, struct error *err);
    int (*save)(struct state_store *s, const struct state_save *save, struct state_call *call,
                struct error *err);
    int (*remove)(struct state_store *s, struct slice key, struct state_call *call,
                  struct error *err);
};

struct state_store { /* the first member of each */
    const struct state_way *way;
    uv_timer_t timer; /* the way's; it ends with the store */
    uint32_t in_flight;
    bool is_closing;
    bool is_timer_closed;
    state_closed_fn closed;
    void *closed_ctx;
};

void state_store_init(struct state_store *s, const struct state_way *way, uv_loop_t *loop);
/* Counts it as in flight; NULL without memory. */
struct state_call *state_call_new(struct state_store *s);
/* It was not started. */
void state_call_drop(struct state_call *call);
/* Tells the caller, and ends the store where it waited for this call. */
void state_call_end(struct state_call *call, int status, const struct state_entry *entry,
                    const struct error *err);
