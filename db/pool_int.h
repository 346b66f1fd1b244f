#pragma once
/* db/pool_int: what pool.c (queues, lanes, life), conn.c (one connection) and op.c share.
 *
 *   submit -> reads/writes queue -> (once a loop turn) unit -> connection -> results -> Sync ->
 * done
 *
 * A unit is what stands up to one Sync: one read or write, a group of either, or a Parse. */
#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/error.h"
#include "db/pool.h"

#define CONN_STATEMENTS_MAX 128

/* Each session's settings. A statement is planned once, without its values, perhaps while the
 * tables are still empty. Every statement here is a few rows found by index and read in its order;
 * so that no plan begins as a scan, a sort or a hash of what is a small table now and a large one
 * tomorrow, those are the planner's last choice. */
#define DB_SESSION_OPTIONS                                                                         \
    "-c timezone=UTC -c synchronous_commit=on -c plan_cache_mode=force_generic_plan -c jit=off"    \
    " -c enable_seqscan=off -c enable_sort=off -c enable_hashjoin=off -c enable_mergejoin=off"

/* A statement that the server has under a name: its own, or with "~serial" where that one's plan
 * was lost, since a name cannot be used twice. */
struct db_prepared {
    const struct db_stmt *stmt;
    uint32_t serial; /* 0: none */
};

struct db_op {
    struct db_op *next;
    db_op_id id;
    const struct db_stmt *stmt;
    db_result_fn fn;
    void *ctx;
    uint64_t queued_ms;
    PGresult *res;        /* owned until the callback has run */
    uint8_t tries;        /* runs that ended in a conflict with another transaction */
    bool is_alone;        /* its group failed: runs by itself */
    bool was_requeued;    /* a read whose connection broke … */
    uint64_t requeued_at; /* … when the pool had made so many */
    const char *values[]; /* param_count pointers, then their bytes */
};

struct db_op_list {
    struct db_op *head, *tail;
    uint32_t count;
};

/* Which of a list go next: the first, and up to `max` in all that may go with it. */
struct db_group {
    struct db_op_list *list; /* not empty */
    uint32_t max;
    bool only_lock_free;
};

struct db_unit {
    struct db_unit *next;
    struct db_op *ops;             /* in the order they were sent; NULL: a Parse */
    struct db_op *at;              /* the one whose results come now */
    const struct db_stmt *prepare; /* a Parse: its statement */
    uint64_t sent_ms;
    bool is_write;
    bool is_quick;     /* reads of which none is slow */
    bool is_lock_free; /* writes that are all so */
    bool has_failed;
};

enum conn_state { CONN_DOWN, CONN_CONNECTING, CONN_READY, CONN_CLOSED };

struct db_conn {
    struct db_pool *pool;
    enum conn_state state;
    uint64_t number;  /* counts the connections that the pool has made */
    uint32_t version; /* of the conninfo that it was made with */
    bool is_leaving;  /* takes no more, and ends when what it has is done */
    PGconn *pg;
    uv_poll_t *poll; /* owned; freed in its close callback */
    int poll_events;
    uint64_t retry_ms; /* loop time of the next attempt while CONN_DOWN */
    uint32_t backoff_ms;
    uint64_t started_ms;         /* of the attempt while CONN_CONNECTING */
    struct db_unit *head, *tail; /* in flight */
    uint32_t in_flight;
    uint32_t quick_count; /* of which are quick reads */
    bool has_write;
    bool is_dirty;  /* has bytes to flush */
    bool is_broken; /* found while sending, where nobody may be called back */
    struct db_prepared prepared[CONN_STATEMENTS_MAX];
    int prepared_count;
    uint32_t lost_count; /* statements prepared anew: the next serial */
};

struct db_pool {
    uv_loop_t *loop; /* borrowed */
    const struct log *log;
    struct db_pool_options options;
    struct db_conn *conns;
    struct db_op_list reads, writes;
    uv_prepare_t prepare;
    uv_check_t check;
    uv_timer_t janitor;
    uv_timer_t alarm; /* runs while statements wait for a lane */
    int open_handles;
    uint64_t next_id;
    uint64_t close_by_ms;
    bool is_sent_early; /* in this turn of the loop */
    bool is_closing;
    bool is_torn_down;
    db_closed_fn closed;
    void *closed_ctx;
    struct db_pool_stats stats;
};

/* op.c */
struct db_op *op_new(const struct db_stmt *stmt, const db_param *params, db_result_fn fn,
                     void *ctx);
/* Runs the callback with `status` (0: with op->res) and frees the operation. */
void op_finish(struct db_op *op, int status, const struct error *err);
void op_list_push(struct db_op_list *list, struct db_op *op);
void op_list_push_front(struct db_op_list *list, struct db_op *op);
struct db_op *op_list_pop(struct db_op_list *list);
/* A chain of the group's members, off their list. */
struct db_op *op_list_take(const struct db_group *group);
/* Must have a Sync of its own. */
bool op_goes_alone(const struct db_op *op);
/* The DB_E* code of a failed result; `err` gets words without anything internal. */
int op_error_of(const PGresult *res, struct error *err);
bool op_is_conflict(const PGresult *res);
bool op_is_statement_lost(const PGresult *res);

/* conn.c */
void conn_start(struct db_conn *c);
/* Sends a group as one unit; false: out of memory, and the group is where it was. Calls nobody
 * back: what breaks here is found by conn_end_broken. */
bool conn_send(struct db_conn *c, const struct db_group *group);
void conn_flush(struct db_conn *c);
void conn_end_broken(struct db_conn *c);
/* Breaks the connection: its units go back to the pool. */
void conn_fail(struct db_conn *c, const char *why);
void conn_close(struct db_conn *c);
/* Of one that has nothing in flight: makes it anew. */
void conn_replace(struct db_conn *c);

/* pool.c, called by conn.c */
void pool_unit_done(struct db_pool *p, struct db_unit *u);
void pool_unit_lost(struct db_pool *p, struct db_unit *u, uint64_t connection);
void pool_dispatch(struct db_pool *p);
void pool_handle_closed(struct db_pool *p);
