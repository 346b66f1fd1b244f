#pragma once
/* apps/shared/signals: SIGTERM and SIGINT on the loop; SIGPIPE is ignored.
 * Memory: the caller's, which must outlive the loop's run. */
#include <uv.h>

struct error;

typedef void (*signals_fn)(void *ctx, int number);

struct signals {
    uv_signal_t handles[2];
    signals_fn fn;
    void *ctx;
};

/* 0, or a UV_E*. Whatever it is, signals_close is to be called. */
__attribute__((warn_unused_result)) int signals_open(struct signals *s, uv_loop_t *loop,
                                                     signals_fn fn, void *ctx, struct error *err);
/* From here on both are ignored: what is left is the end itself, which an impatient second signal
 * must not cut short. */
void signals_close(struct signals *s);
