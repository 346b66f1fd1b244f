#pragma once
/* last_poll: when a worker last found nothing more to send, by the database's clock, in the state
 * store (key notification:last_poll, TTL an hour): the last writer wins, whichever worker it is. It
 * tells a worker that starts whether others ran meanwhile. Nothing depends on it but the pace of
 * the first run, so that a store which is away is no failure.
 * Owns nothing; its memory must last until last_poll_is_idle. Thread: loop thread only. */
#include <stdbool.h>
#include <stdint.h>

struct log;
struct state_store;

#define LAST_POLL_KEY      "notification:last_poll"
#define LAST_POLL_TTL_S    3600
#define LAST_POLL_EVERY_US INT64_C(1000000) /* it is saved no more often */

struct last_poll {
    struct state_store *state; /* borrowed; NULL: nothing is kept */
    const struct log *log;
    int64_t found_us; /* what the store had; 0: nothing, or not known yet */
    int64_t saved_us;
    int in_flight;
    bool is_failing; /* so that only the first of several failures is a warning */
    /* All calls have ended, where last_poll_is_idle said that they had not. */
    void (*on_idle)(void *ctx);
    void *ctx;
};

/* Asks the store. */
void last_poll_load(struct last_poll *l);
void last_poll_save(struct last_poll *l, int64_t now_us);
bool last_poll_is_idle(const struct last_poll *l);
