#pragma once
/* desktop: a notification on the user's desktop by notify-send, where there is one and a session to
 * show it in. Nothing depends on it: a failure is logged once, and what cannot be shown is not.
 * Use:    desktop_init -> desktop_notify … -> desktop_close (async) -> closed callback.
 * Owns:   the processes it has started, until they end. Borrows the loop and the log.
 * Thread: loop thread only.   Limits: 8 processes at a time; more are not started. */
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/slice.h"

struct log;

typedef void (*desktop_closed_fn)(void *ctx);

struct desktop {
    uv_loop_t *loop;
    const struct log *log;
    bool is_off;     /* no session, or notify-send cannot be started */
    bool was_logged; /* a failure */
    uint32_t running;
    desktop_closed_fn closed; /* NULL: open */
    void *ctx;
};

/* Off where neither DBUS_SESSION_BUS_ADDRESS nor the user's bus in XDG_RUNTIME_DIR is there. */
void desktop_init(struct desktop *d, uv_loop_t *loop, const struct log *log);
/* `title` has no control characters. */
void desktop_notify(struct desktop *d, struct slice title, struct slice text);
/* Waits for what it has started, at most as long as notify-send takes. */
void desktop_close(struct desktop *d, desktop_closed_fn closed, void *ctx);
