#pragma once
/* db/dead_letter: deliveries that a consumer could not use, as they came. The relay publishes each
 * to task-events-dlq; an operator lists them and replays what was mended (todo-mcp dlq).
 * Conventions as in db/pool.h; slices of a reply are borrowed until the callback returns. */
#include "db/pool.h"

#define DB_DEAD_LETTER_REASON_MAX 1000 /* characters; longer ones are cut */

struct db_dead_letter_new {
    struct slice consumer; /* 1 to 100 characters */
    struct slice event_id; /* empty where the event could not be read */
    struct slice key;      /* the task's id; empty where it could not be read */
    struct slice topic;    /* where it came from */
    struct slice reason;
    int64_t attempts;
    struct slice event; /* any bytes */
};
/* `is_fresh`: false where this consumer's dead letter of this event stands already. */
typedef void (*db_dead_letter_add_fn)(void *ctx, int status, bool is_fresh,
                                      const struct error *err);
/* Idempotent for each (consumer, event_id); where the id is unknown each call adds one. Text that
 * is no UTF-8 is refused with DB_ECONSTRAINT; `event` may be any bytes. */
int db_dead_letter_add(struct db_pool *p, const struct db_dead_letter_new *letter,
                       db_dead_letter_add_fn fn, void *ctx, db_op_id *id, struct error *err);

struct db_dead_letter {
    int64_t seq;
    struct slice id; /* a UUID: its own */
    struct slice consumer, event_id, key, topic, reason, event;
    int64_t attempts;
    int64_t created_at, published_at, replayed_at; /* 0: not yet */
};
struct db_dead_letter_reply {
    const struct db_dead_letter *letters;
    int count;
};
typedef void (*db_dead_letter_fn)(void *ctx, int status, const struct db_dead_letter_reply *reply,
                                  const struct error *err);

/* Those after `after_seq` (0: from the first), oldest first, at most `limit`; those that were
 * replayed only when `with_replayed`. */
int db_dead_letter_list(struct db_pool *p, int64_t after_seq, bool with_replayed, int limit,
                        db_dead_letter_fn fn, void *ctx, db_op_id *id, struct error *err);
/* One by its own id, a UUID; count 0: there is none. */
int db_dead_letter_get(struct db_pool *p, struct slice letter_id, db_dead_letter_fn fn, void *ctx,
                       db_op_id *id, struct error *err);

/* The event of a dead letter as a row of the outbox. */
struct db_event_row {
    struct slice id, key, topic, type;
    struct slice source;      /* an app id; empty: the MCP server */
    struct slice traceparent; /* empty: none */
    struct slice time;        /* RFC 3339 */
    struct slice data;        /* JSON */
};
enum db_replay {
    DB_REPLAY_NOT_FOUND,
    DB_REPLAY_DONE_BEFORE, /* it was replayed already: nothing changed */
    DB_REPLAY_NO_EVENT,    /* its outbox row is gone and it cannot be made again */
    DB_REPLAY_DONE,
    DB_REPLAY_UNDER_WAY, /* its outbox row is not marked as published yet: try again in a moment */
};
typedef void (*db_replay_fn)(void *ctx, int status, enum db_replay outcome,
                             const struct error *err);
/* Puts the event back into the outbox as unpublished: its row of old where that is kept still, else
 * `made` (NULL: the bytes are no event that can be made again). Marks the letter as replayed, so
 * that the event may become another dead letter. */
int db_dead_letter_replay(struct db_pool *p, struct slice letter_id, struct slice event_id,
                          const struct db_event_row *made, db_replay_fn fn, void *ctx, db_op_id *id,
                          struct error *err);
