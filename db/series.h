#pragma once
/* db/series: from a completed task that repeats to the next one. A task's successors have the id of
 * the first as series_id, and numbers from 2 on.
 *
 * Once: the successor, its tags, its reminder, its TaskCreatedEvent and the consumer's inbox row
 * commit together, so that a repeated event changes nothing. Another event of the same occurrence
 * (a task that was reopened and completed again) meets the unique key tasks_series_key.
 *
 * What became of the task since it was completed counts: one that is deleted has no successor, one
 * that is open again gets it when it is completed again. Conventions as in db/task.h. */
#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "db/pool.h"

struct db_series {
    bool is_found;     /* false: deleted */
    bool is_completed; /* false: open again */
    int64_t occurrence;
    int64_t first; /* the occurrence from which on the present rule holds */
    bool has_wall; /* the rule's own time: */
    int64_t wall;  /* microseconds, as if the clock on the wall showed UTC */
};
typedef void (*db_series_fn)(void *ctx, int status, const struct db_series *series,
                             const struct error *err);
int db_series_get(struct db_pool *p, int64_t user_id, int64_t task_id, db_series_fn fn, void *ctx,
                  db_op_id *id, struct error *err);

/* The next occurrence. Rule, time zone and due date are those of the event: what the next one was
 * reckoned from. */
struct db_series_next {
    struct slice consumer; /* the app id: of the inbox row and of the event */
    struct slice event_id; /* of the completion */
    int64_t was_due, due, wall;
    int64_t occurrence;
    struct slice recurrence_rule, timezone;
    struct slice traceparent;
};
struct db_series_reply {
    bool is_fresh;       /* the event was new to this consumer */
    int64_t task_id;     /* the successor; 0: none, for it is there already or the task changed */
    int64_t category_id; /* of the successor; 0: none */
};
typedef void (*db_series_next_fn)(void *ctx, int status, const struct db_series_reply *reply,
                                  const struct error *err);
int db_series_continue(struct db_pool *p, int64_t user_id, int64_t task_id,
                       const struct db_series_next *next, db_series_next_fn fn, void *ctx,
                       db_op_id *id, struct error *err);
