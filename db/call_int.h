#pragma once
/* db/call_int: one operation of db/task, db/label or db/user: a statement, its values and the
 * caller's callback.
 *
 *   args_* -> call_submit -> pool -> on_result -> done (decodes, tells the caller) -> freed
 *
 * Every write answers its outcome in column 0 (enum db_outcome). One more is never shown to a
 * caller: CALL_AGAIN. A statement of READ COMMITTED sees other tables as they were when it began;
 * where it had to wait for another transaction's row, what it read beside that row may be old.
 * Such a statement changes nothing, answers CALL_AGAIN, and runs again with a new snapshot. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "db/agenda.h"
#include "db/api_key.h"
#include "db/dead_letter.h"
#include "db/inbox.h"
#include "db/label.h"
#include "db/outbox.h"
#include "db/pool.h"
#include "db/recipient.h"
#include "db/reminder.h"
#include "db/series.h"
#include "db/state.h"
#include "db/task.h"
#include "db/user.h"

struct error;
struct db_call;

#define CALL_AGAIN     (-1)
#define CALL_TRIES_MAX 16

/* A statement's values in the order of its parameters; numbers are printed into `text`. */
struct db_args {
    db_param params[DB_PARAMS_MAX];
    int count;
    char text[768];
    size_t used;
};

void params_text(struct db_args *a, struct slice text); /* empty: null */
void params_int(struct db_args *a, int64_t value);
void params_id(struct db_args *a, int64_t id); /* 0: null */
void params_bool(struct db_args *a, bool value);
void params_double(struct db_args *a, double value);
void params_time(struct db_args *a, int64_t time_us);
void params_null(struct db_args *a);
/* "{1,2}", each id once; at most DB_TASK_TAGS_MAX. */
void params_ids(struct db_args *a, const int64_t *ids, int count);

/* Comes once, at the end. status 0: `res`; else `res` is NULL and `err` says why. */
typedef void (*call_done_fn)(struct db_call *call, int status, const struct db_result *res,
                             const struct error *err);

struct db_call {
    struct db_pool *pool; /* borrowed */
    const struct db_stmt *stmt;
    call_done_fn done;
    union {
        db_task_fn task;
        db_task_list_fn list;
        db_label_fn label;
        db_user_fn user;
        db_api_key_fn api_key;
        db_agenda_fn agenda;
        db_day_fn day;
        db_inbox_fn inbox;
        db_dead_letter_add_fn dead_letter_add;
        db_dead_letter_fn dead_letter;
        db_replay_fn replay;
        db_state_fn state;
        db_recipient_fn recipient;
        db_reminder_fire_fn reminder_fire;
        db_reminder_next_fn reminder_next;
        db_series_fn series;
        db_series_next_fn series_next;
        db_outbox_claim_fn outbox_claim;
        db_outbox_done_fn outbox_done;
        db_outbox_fetch_fn outbox_fetch;
        db_outbox_letters_fn outbox_letters;
        db_outbox_broker_fn outbox_broker;
        db_outbox_batch_fn outbox_batch;
        db_outbox_status_fn outbox_status;
        db_outbox_parked_fn outbox_parked;
    } fn;
    void *ctx;
    int limit; /* lists: the rows wanted; the statement is asked for one more */
    bool is_search;
    bool retries_constraint; /* a foreign key that a concurrent insert holds: look again */
    int tries;
    db_param params[]; /* copies; the bytes follow */
};

/* Copies `call` (without params) and the values, and queues the statement. As db_pool_submit. */
__attribute__((warn_unused_result)) int call_submit(const struct db_call *call,
                                                    const struct db_args *args, db_op_id *id,
                                                    struct error *err);
/* A violated constraint that stands for an outcome gives it and true. Checked in SQL first: only a
 * concurrent transaction leads here. */
bool call_outcome_of_error(int status, const struct error *err, enum db_outcome *out);
