#pragma once
/* db/outbox_int: the statements of the outbox_*.c files, also for the tests that look at their
 * plans. */
#include "db/outbox.h"

enum {
    OUTBOX_CLAIM,
    OUTBOX_EVICT,
    OUTBOX_FETCH,
    OUTBOX_MARK,
    OUTBOX_REFUSE,
    OUTBOX_LETTERS,
    OUTBOX_MARK_LETTERS,
    OUTBOX_GIVE_UP_LETTER,
    OUTBOX_STMTS
};
extern const struct db_stmt outbox_stmts[OUTBOX_STMTS];

enum {
    UPKEEP_BROKER,
    UPKEEP_SET_BROKER,
    UPKEEP_PURGE,
    UPKEEP_REPLAY,
    UPKEEP_UNPARK,
    UPKEEP_PURGE_INBOX,
    UPKEEP_PURGE_LETTERS,
    UPKEEP_RING,
    UPKEEP_STATUS,
    UPKEEP_PARKED,
    UPKEEP_STMTS
};
extern const struct db_stmt upkeep_stmts[UPKEEP_STMTS];

/* The lock: two numbers in pg_locks. */
#define OUTBOX_LOCK_CLASS  "70206"
#define OUTBOX_LOCK_OBJECT "11951"
#define OUTBOX_LOCK_HELD                                                                           \
    "l.locktype = 'advisory' and l.classid = " OUTBOX_LOCK_CLASS                                   \
    " and l.objid = " OUTBOX_LOCK_OBJECT " and l.objsubid = 2 and l.granted and l.database ="      \
    " (select d.oid from pg_catalog.pg_database d where d.datname = current_database())"

/* Whether this session took the lock, and for this relay: the setting went with the session. */
#define OUTBOX_TERM(param) "coalesce(current_setting('todo.relay', true) = " param "::text, false)"

struct db_args;
/* A statement that answers: outcome, is_held, count. */
__attribute__((warn_unused_result)) int outbox_submit(struct db_pool *p, const struct db_stmt *stmt,
                                                      const struct db_args *args,
                                                      db_outbox_done_fn fn, void *ctx,
                                                      struct error *err);
