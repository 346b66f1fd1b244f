#pragma once
/* notification: sends the reminders that are due, in time.
 *
 *   run:  (first: how long nobody looked) -> batches until none is left -> when is the next one?
 *
 * A run comes by notification_run (the poll), when the next reminder is due, and soon after
 * notification_wake (another process changed something). Any number of workers may do so at once,
 * and any may be killed at any moment: db/reminder says why each reminder is sent once all the
 * same. Its timer is never set further than TIMER_MAX_MS ahead, and what is due is asked of the
 * database each time: no clock but the database's counts, and one that jumps is noticed soon.
 * Downtime: where nobody had looked for longer than DOWNTIME_MS, or it is not known when anybody
 * did, the first run's batches come with pauses, so that what has piled up is no flood.
 * Use:     notification_new -> notification_run, notification_wake … -> notification_close (async)
 *          -> closed callback.
 * Owns:    its timer. Borrows the loop, the pool, the state store and the log.
 * Thread:  loop thread only. */
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "db/reminder.h"

struct db_pool;
struct error;
struct log;
struct metrics;
struct notification;
struct state_store;

#define NOTIFICATION_TIMER_MAX_MS 30000
#define NOTIFICATION_DOWNTIME_MS  60000
#define NOTIFICATION_WAKE_MS      200 /* after a run, until another can be woken */
#define NOTIFICATION_RETRY_MS     1000
#define NOTIFICATION_LOCKED_MS    100 /* until a row that another holds is looked for again */

struct notification_options {
    struct db_reminder_rules rules;
    const char *source;        /* the app id; borrowed for ever */
    int batch_max;             /* 0: 100 */
    uint32_t pause_ms;         /* between batches after a downtime; 0: 200 */
    struct state_store *state; /* where the time of the last run is kept; may be NULL */
    struct metrics *metrics;   /* may be NULL */
    /* A batch is committed: its events wait in the outbox. May not close. */
    void (*on_sent)(void *ctx, const struct db_reminder_sent *sent, int count);
    void *ctx;
};

/* 0 and *out, or BASE_ENOMEM. The first run begins at once. */
__attribute__((warn_unused_result)) int notification_new(uv_loop_t *loop, struct db_pool *pool,
                                                         const struct log *log,
                                                         const struct notification_options *options,
                                                         struct notification **out,
                                                         struct error *err);

typedef void (*notification_done_fn)(void *ctx, bool is_done);
/* `fn` comes once, later, when a run has ended: true if it found nothing more to send. One call at
 * a time. A run that is under way counts, and another follows it. */
void notification_run(struct notification *n, notification_done_fn fn, void *ctx);
/* Something may have changed: a run comes within NOTIFICATION_WAKE_MS. */
void notification_wake(struct notification *n);

typedef void (*notification_closed_fn)(void *ctx);
/* A statement in flight runs to its end; then `closed`, and `n` is freed. */
void notification_close(struct notification *n, notification_closed_fn closed, void *ctx);
