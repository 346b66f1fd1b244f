#pragma once
/* db/reminder: the reminders that are due, for the notification worker: those that set_reminder
 * made, and the default one of each task with a due date for which it never was called.
 *
 * Sent is what is marked and told in one statement: a row's mark and its ReminderSentEvent commit
 * together, so that a reminder is sent once, however many workers ask at once (each takes rows that
 * no other has locked) and whatever is killed. The task itself (version, updated_at) does not
 * change. All times are compared with the database's clock; only it counts.
 *
 * Late: a default or relative reminder whose time had passed already when the task was added, moved
 * or reopened is sent at once while the task is not due yet, and not at all after. After a downtime
 * each that became due meanwhile is sent once, unless both its time and the due date are longer ago
 * than late_max_hours: then it is given up.
 *
 * Conventions as in db/task.h. */
#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "db/pool.h"

#define DB_REMINDER_LIMIT_MAX 1000

struct db_reminder_rules {
    int64_t default_minutes; /* before the due date; 0: no default reminder. At most a year */
    int64_t late_max_hours;
};

struct db_reminder_sent {
    int64_t user_id, task_id;
    int64_t late_ms; /* since it could have been sent; 0 or more */
};
struct db_reminder_fire_reply {
    const struct db_reminder_sent *sent;
    int count;
    int given_up;
    bool has_more; /* perhaps: a limit was reached */
};
typedef void (*db_reminder_fire_fn)(void *ctx, int status,
                                    const struct db_reminder_fire_reply *reply,
                                    const struct error *err);
/* Sends at most `limit` of either kind, earliest first; `source` is the worker's app id, for the
 * events. */
int db_reminder_fire(struct db_pool *p, const struct db_reminder_rules *rules, int limit,
                     struct slice source, db_reminder_fire_fn fn, void *ctx, db_op_id *id,
                     struct error *err);

struct db_reminder_next_reply {
    int64_t now; /* the database's clock, microseconds */
    bool has_next;
    int64_t next_ms; /* until there is something to send; 0 or less where it is time, or where
                        another worker or a change of the task holds it right now */
};
typedef void (*db_reminder_next_fn)(void *ctx, int status,
                                    const struct db_reminder_next_reply *reply,
                                    const struct error *err);
int db_reminder_next(struct db_pool *p, const struct db_reminder_rules *rules,
                     db_reminder_next_fn fn, void *ctx, db_op_id *id, struct error *err);
