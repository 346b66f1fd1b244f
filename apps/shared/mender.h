#pragma once
/* apps/shared/mender: starts the private PostgreSQL again when it was killed under us.
 * Looks now and then whether the pool has lost all its connections, and if so lets a worker thread
 * mend the server; meanwhile calls wait in the pool as for any outage.
 * Owns nothing; its memory must outlive the loop's run. */
#include <stdbool.h>
#include <uv.h>

#include "base/error.h"

struct db_embedded;
struct db_pool;
struct log;

struct mender {
    uv_timer_t timer;
    uv_work_t work;
    struct db_embedded *embedded; /* borrowed, used by the worker */
    const struct db_pool *pool;   /* borrowed until mender_stop */
    const struct log *log;
    int ticks_down; /* looks in a row that found the pool without a connection */
    bool is_working;
    int status; /* of the work */
    struct error err;
};

void mender_start(struct mender *m, uv_loop_t *loop, struct db_embedded *embedded,
                  const struct db_pool *pool, const struct log *log);
/* Ends the looking. Work in flight runs to its end, which the loop waits for. */
void mender_stop(struct mender *m);
