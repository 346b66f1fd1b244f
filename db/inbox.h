#pragma once
/* db/inbox: what a consumer has done already: an event's effect happens once, however often the
 * event is delivered.
 *
 * The effect and the row (consumer, event id) are one statement, so that they commit together:
 *
 *   "with " INBOX_CLAIM("$1::text", "$2::uuid") ", effect as (insert into … select … from claim)"
 *   " select 0, exists (select from claim)"
 *
 * `claim` has one row where the event is new to this consumer, and none where it was handled
 * before; an effect that takes its rows `from claim` happens in the first case only. Of two
 * deliveries at once the second waits for the first's transaction. What such a statement reads
 * beside its claim is as it was when the statement began: a row that the effect depends on is to
 * be locked or written to by it. */
#include "db/pool.h"

#define INBOX_CLAIM(consumer, event_id)                                                            \
    "claim as (insert into todo.inbox (consumer, event_id) values (" consumer ", " event_id ")"    \
    " on conflict (consumer, event_id) do nothing returning event_id)"

/* `is_fresh`: the row was not there before. */
typedef void (*db_inbox_fn)(void *ctx, int status, bool is_fresh, const struct error *err);

/* The row alone: for a consumer without an effect in this database, once its effect is done.
 * `event_id` is a UUID. Returns as db_pool_submit. */
int db_inbox_add(struct db_pool *p, struct slice consumer, struct slice event_id, db_inbox_fn fn,
                 void *ctx, db_op_id *id, struct error *err);

/* Whether the event was handled, without a claim on it. `is_fresh`: it was not. */
int db_inbox_look(struct db_pool *p, struct slice consumer, struct slice event_id, db_inbox_fn fn,
                  void *ctx, db_op_id *id, struct error *err);
