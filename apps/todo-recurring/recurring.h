#pragma once
/* recurring: the next task of a series, when one was completed.
 *
 *   task.completed -> has it a rule? -> what became of the task since? -> tools/occurrence
 *                  -> db/series: successor, event, inbox row
 *
 * Any number of workers may do so at once, and any may be killed at any moment: db/series says why
 * there is one successor all the same. A series that has ended, and a task that does not repeat,
 * leave nothing behind: coming again they end the same way.
 * Owns:    the events in hand. Borrows the pool and the log.
 * Thread:  loop thread only. */
#include <stdint.h>

#include "events/consumer.h"

struct db_pool;
struct error;
struct log;
struct metrics;
struct recurring;

struct recurring_options {
    const char *consumer;       /* the app id; borrowed for ever */
    const char *zone_directory; /* NULL: the system's */
    struct metrics *metrics;    /* may be NULL */
    /* A successor is committed: its event waits in the outbox. category_id 0: none. */
    void (*on_created)(void *ctx, int64_t user_id, int64_t task_id, int64_t category_id);
    void *ctx;
};

/* 0 and *out, or BASE_ENOMEM. */
__attribute__((warn_unused_result)) int recurring_new(struct db_pool *pool, const struct log *log,
                                                      const struct recurring_options *options,
                                                      struct recurring **out, struct error *err);
/* Of a task.completed; ends the turn, now or later. */
void recurring_handle(struct recurring *r, const struct consumer_event *event,
                      struct consumer_turn *turn);
/* No turn may be under way. */
void recurring_free(struct recurring *r);
