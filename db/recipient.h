#pragma once
/* db/recipient: what a consumer has to know before it writes to the user of an event: was the event
 * handled already, where does the user want to be written to, and what time is that there. One
 * read. */
#include "db/pool.h"

struct db_recipient_ask {
    struct slice consumer, event_id; /* of todo.inbox; event_id is a UUID */
    int64_t user_id;
    struct slice due; /* RFC 3339; empty: none */
    bool is_in_utc;   /* not in the user's time zone: it is one that the database does not know */
};

struct db_recipient_reply {
    bool is_handled;    /* the event is in the inbox */
    bool is_found;      /* the user exists */
    struct slice email; /* empty: none */
    struct slice zone;  /* "Europe/Berlin" */
    struct slice due;   /* for people, in that zone: "Tuesday, 24 November 2026, 14:00" */
};
typedef void (*db_recipient_fn)(void *ctx, int status, const struct db_recipient_reply *reply,
                                const struct error *err);

/* Returns as db_pool_submit. DB_ECONSTRAINT: the user's time zone is unknown, or `due` is no time.
 */
int db_recipient_get(struct db_pool *p, const struct db_recipient_ask *ask, db_recipient_fn fn,
                     void *ctx, db_op_id *id, struct error *err);
