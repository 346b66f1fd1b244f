#pragma once
/* db/outbox: what the relay does to todo.outbox and todo.dead_letters, and what keeps them small.
 *
 * One relay publishes at a time: the one that holds an advisory lock. It reads and marks on the
 * very connection that holds it, and each statement looks whether this session still has the term
 * that it took with the lock. So a relay that loses its connection has lost the lock and the right
 * to mark in the same moment, even where the pool has connected again in between.
 *
 * Use:    db_outbox_open -> db_outbox_claim, and while it is held … -> db_pool_close.
 * Limits: DB_OUTBOX_MARK_MAX ids a mark, DB_OUTBOX_LANES lanes a fetch.
 * Conventions as in db/pool.h. Marks do not wait for the disk: where a crash of the server loses
 * one, the event is only published again, and the inbox drops the repeat. */
#include "db/pool.h"

#define DB_OUTBOX_CHANNEL  "todo_outbox" /* NOTIFY: there are new rows */
#define DB_OUTBOX_MARK_MAX 1000
#define DB_OUTBOX_LANES    8
#define DB_OUTBOX_ID_SIZE  37

/* The relay's own session: a pool of one connection. As db_pool_new. */
__attribute__((warn_unused_result)) int db_outbox_open(uv_loop_t *loop,
                                                       const struct secret *conninfo,
                                                       const struct log *log, struct db_pool **out,
                                                       struct error *err);

/* One more, for the upkeep: what takes long there holds up no event. As db_pool_new. */
__attribute__((warn_unused_result)) int
db_outbox_open_upkeep(uv_loop_t *loop, const struct secret *conninfo, const struct log *log,
                      struct db_pool **out, struct error *err);

/* ---- who leads ---- */

enum db_outbox_claim {
    DB_OUTBOX_OTHER, /* another session has the lock, or this one's term is over */
    DB_OUTBOX_HELD,  /* the term goes on */
    DB_OUTBOX_TAKEN, /* the lock is this session's from now on */
};
struct db_outbox_standing {
    enum db_outbox_claim claim;
    int64_t xmin, xmax; /* all transactions before xmin have ended; none has xmax yet */
};
typedef void (*db_outbox_claim_fn)(void *ctx, int status, const struct db_outbox_standing *standing,
                                   const struct error *err);
/* Says how it stands with `term`, the leader's sign of life; where it is over and the lock is free,
 * takes it: the term is `next` then. Each lock that is taken wants a term of its own: a statement
 * of before, which the pool may send after the claim, must not count as one of the new term. */
int db_outbox_claim(struct db_pool *p, struct slice term, struct slice next, db_outbox_claim_fn fn,
                    void *ctx, struct error *err);

/* `is_held`: this session's term goes on; what it asked for was done. `count`: of rows. */
typedef void (*db_outbox_done_fn)(void *ctx, int status, bool is_held, int64_t count,
                                  const struct error *err);
/* Ends the session that holds the lock, if it has said nothing for `silent_ms`: its process is
 * stopped, or its network is cut. `count` of sessions ended. */
int db_outbox_evict(struct db_pool *p, uint32_t silent_ms, db_outbox_done_fn fn, void *ctx,
                    struct error *err);

/* ---- events ---- */

struct db_outbox_lane {
    struct slice topic;
    int64_t floor; /* rows with a greater seq */
    int32_t room;  /* at most so many */
};
struct db_outbox_row {
    int lane; /* which of the lanes asked for */
    int64_t seq;
    struct slice id, key, type;
    struct slice source, traceparent; /* empty: null */
    int64_t created_at;
    int64_t attempts;
    struct slice data; /* JSON */
};
/* Rows of one lane are in the order of seq. */
typedef void (*db_outbox_fetch_fn)(void *ctx, int status, const struct db_outbox_row *rows,
                                   int count, const struct error *err);
/* What is neither published nor parked, without the rows whose seq is in `known` (SQL's array
 * text, "{1,2}"): commits become visible out of the order of seq, so that no cursor would do. */
int db_outbox_fetch(struct db_pool *p, struct slice term, const struct db_outbox_lane *lanes,
                    size_t lane_count, struct slice known, db_outbox_fetch_fn fn, void *ctx,
                    struct error *err);
/* `ids`: "{uuid,uuid}". */
int db_outbox_mark(struct db_pool *p, struct slice term, struct slice ids, db_outbox_done_fn fn,
                   void *ctx, struct error *err);
/* One more attempt that was refused; the one that makes `attempts_max` parks the row. `count` is 1
 * when it is parked. */
int db_outbox_refuse(struct db_pool *p, struct slice term, struct slice id, struct slice reason,
                     uint32_t attempts_max, db_outbox_done_fn fn, void *ctx, struct error *err);

/* ---- dead letters ---- */

struct db_outbox_letter {
    int64_t seq;
    struct slice id, event_id, key, topic, consumer, reason, event;
    int64_t attempts, created_at;
};
typedef void (*db_outbox_letters_fn)(void *ctx, int status, const struct db_outbox_letter *letters,
                                     int count, const struct error *err);
int db_outbox_letters(struct db_pool *p, struct slice term, struct slice known, int room,
                      db_outbox_letters_fn fn, void *ctx, struct error *err);
int db_outbox_mark_letters(struct db_pool *p, struct slice term, struct slice ids,
                           db_outbox_done_fn fn, void *ctx, struct error *err);
/* The broker will not have it: it stays a row that todo-mcp dlq shows. */
int db_outbox_give_up_letter(struct db_pool *p, struct slice term, struct slice id,
                             struct slice reason, db_outbox_done_fn fn, void *ctx,
                             struct error *err);

/* ---- the broker ---- */

/* Borrowed; empty: none yet. */
typedef void (*db_outbox_broker_fn)(void *ctx, int status, bool is_held, struct slice broker,
                                    const struct error *err);
/* Through which broker was published last. */
int db_outbox_broker(struct db_pool *p, struct slice term, db_outbox_broker_fn fn, void *ctx,
                     struct error *err);
int db_outbox_set_broker(struct db_pool *p, struct slice term, struct slice broker,
                         db_outbox_done_fn fn, void *ctx, struct error *err);

/* ---- upkeep: a batch each; `count` of rows that were changed ---- */

/* The least id (UUIDv7) of an event of that time. */
void db_outbox_bound(int64_t time_us, char out[DB_OUTBOX_ID_SIZE]);

/* `last`: the greatest id that was looked at; empty where there was no row. */
typedef void (*db_outbox_batch_fn)(void *ctx, int status, int64_t count, struct slice last,
                                   const struct error *err);
struct db_outbox_range {
    struct slice after; /* ids greater than this … */
    struct slice until; /* … and less than this */
    int64_t before_us;  /* purge: only what was published before */
    int limit;
};
int db_outbox_purge(struct db_pool *p, const struct db_outbox_range *range, db_outbox_batch_fn fn,
                    void *ctx, struct error *err);
/* What was deleted or changed makes room for new rows at once, not when autovacuum comes. */
int db_outbox_vacuum(struct db_pool *p, db_outbox_done_fn fn, void *ctx, struct error *err);
/* Makes published rows unpublished again. */
int db_outbox_replay(struct db_pool *p, const struct db_outbox_range *range, db_outbox_batch_fn fn,
                     void *ctx, struct error *err);
/* Parked rows get their attempts anew: the one with this id, or all of them (empty). */
int db_outbox_unpark(struct db_pool *p, struct slice id, db_outbox_done_fn fn, void *ctx,
                     struct error *err);
int db_outbox_purge_inbox(struct db_pool *p, int64_t before_us, int limit, db_outbox_done_fn fn,
                          void *ctx, struct error *err);
int db_outbox_purge_letters(struct db_pool *p, int64_t before_us, int limit, db_outbox_done_fn fn,
                            void *ctx, struct error *err);
/* NOTIFY: wakes the relay of another process. `p` may be any pool. */
int db_outbox_ring(struct db_pool *p, db_outbox_done_fn fn, void *ctx, struct error *err);

/* ---- how it stands ---- */

struct db_outbox_topic {
    struct slice topic; /* the last one is the dead letters' */
    int64_t unpublished, parked;
    int64_t oldest_at; /* of the unpublished; 0: none */
};
struct db_outbox_status {
    const struct db_outbox_topic *topics;
    int count;
    struct slice broker;   /* empty: none yet */
    bool has_leader;       /* a relay holds the lock */
    int64_t outbox_bytes;  /* with its indexes */
    int64_t rows_estimate; /* as the planner has it; -1: unknown */
};
typedef void (*db_outbox_status_fn)(void *ctx, int status, const struct db_outbox_status *s,
                                    const struct error *err);
/* Of what is unpublished at most `count_max` rows a topic are counted: a long backlog takes long.
 */
int db_outbox_status(struct db_pool *p, int count_max, db_outbox_status_fn fn, void *ctx,
                     struct error *err);

struct db_outbox_parked {
    int64_t seq;
    struct slice id, key, topic, type, reason;
    int64_t attempts, created_at;
};
typedef void (*db_outbox_parked_fn)(void *ctx, int status, const struct db_outbox_parked *rows,
                                    int count, const struct error *err);
/* Oldest first, after `after_seq`. */
int db_outbox_list_parked(struct db_pool *p, int64_t after_seq, int limit, db_outbox_parked_fn fn,
                          void *ctx, struct error *err);
