#pragma once
/* db/pool: a bounded set of PostgreSQL connections on one loop; one statement an operation.
 *
 * Use:     db_pool_new -> db_pool_submit ... -> db_pool_close (async) -> closed callback.
 * Owns:    its connections and queued statements. Borrows the loop, which must outlive it.
 * Thread:  loop thread only.
 *
 * A statement is prepared once a connection and runs in pipeline mode with parameters as text and
 * results in binary. Reads that queue behind others go together, up to one Sync; a slow one has a
 * Sync of its own. Writes that queue behind a commit in flight go together as one transaction
 * (statements up to one Sync); where the group fails each is run again alone, so that one caller's
 * bad row never fails another's. A callback runs only after the commit of its statement.
 *
 * Read lanes: a few connections take groups of reads, so that the server's work is spread without a
 * wake-up for each read; one more takes what has waited for longer than READ_WAIT_MS, since a lane
 * may be held up. They are more than there are cores, because a lane whose answers wait to be read
 * does nothing.
 *
 * Write lanes: normally one group is in flight; a second connection takes the next group when the
 * first has been in flight longer than `lane_ms`, so that one blocked row does not block all.
 * Writes that only add rows wait for none, and take as many lanes as there are cores. */
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/slice.h"
#include "db/error.h"

struct db_pool;
struct db_result;
struct error;
struct log;
struct secret;

struct db_stmt {
    const char *name; /* unique among all statements, e.g. "task_add"; also the prepared name */
    const char *sql;  /* $1 … $n; casts give the types */
    int param_count;  /* at most DB_PARAMS_MAX */
    bool is_write;
    bool is_slow;      /* a read that takes long as a rule: none waits for its end */
    bool is_lock_free; /* a write that no other can wait for: it only adds rows */
};
#define DB_PARAMS_MAX 32

/* A text parameter; ptr NULL is SQL null. A slice need not be NUL-terminated and must not hold
 * NUL bytes. */
typedef struct slice db_param;

struct db_pool_options {
    /* libpq connection string or URI. Where it changes, one connection after the other is replaced
     * as soon as it has nothing in flight; while a new one cannot be made the others stay. This,
     * `name` and `session_options` are borrowed for ever. */
    const struct secret *conninfo;
    uint32_t size;               /* connections: 8 */
    uint32_t queue_max;          /* statements waiting: 4,096 */
    uint32_t group_max;          /* statements up to one Sync: 64 */
    uint32_t read_lanes;         /* 0: three for each core of the machine */
    uint32_t write_lanes;        /* 0: one for each core */
    uint32_t lane_ms;            /* 5 */
    uint32_t statement_ms;       /* statement_timeout, and the longest wait in the queue: 10 s */
    uint32_t reconnect_min_ms;   /* backoff with jitter: 50 ms */
    uint32_t reconnect_max_ms;   /* 2 s */
    const char *name;            /* of the sessions, for the server's views; NULL: "todo-mcp" */
    const char *session_options; /* beside DB_SESSION_OPTIONS, such as " -c a=b"; NULL: none */
};
extern const struct db_pool_options db_pool_options_default;

/* Called once, never from inside db_pool_submit. status 0: `res` is borrowed until it returns.
 * Otherwise status is a DB_E* code, `res` is NULL and `err` says more (for DB_EUNIQUE and
 * DB_ECONSTRAINT err->field is the constraint's name). */
typedef void (*db_result_fn)(void *ctx, int status, const struct db_result *res,
                             const struct error *err);
typedef void (*db_closed_fn)(void *ctx);

/* Starts connecting in the background: 0 even when the server is down. */
__attribute__((warn_unused_result)) int db_pool_new(uv_loop_t *loop,
                                                    const struct db_pool_options *options,
                                                    const struct log *log, struct db_pool **out,
                                                    struct error *err);

/* Names an operation for db_pool_cancel; 0 is none. */
typedef uint64_t db_op_id;

/* Queues one statement; its parameters are copied, `stmt` is borrowed for ever (static const).
 * 0, or DB_EBUSY (queue full), DB_ECLOSED, DB_ENOMEM; on failure `fn` is not called. With no
 * connection up the operation waits at most statement_ms and then ends with DB_EUNAVAILABLE. */
__attribute__((warn_unused_result)) int db_pool_submit(struct db_pool *p,
                                                       const struct db_stmt *stmt,
                                                       const db_param *params, db_result_fn fn,
                                                       void *ctx, db_op_id *id, struct error *err);

/* Gives up on an operation: one still in the queue ends with DB_ECANCELLED; a read in flight is
 * left to end and its callback still runs; a write in flight runs to its end as usual. The
 * callback always comes. Idempotent; an unknown id is ignored. */
void db_pool_cancel(struct db_pool *p, db_op_id id);

/* Ends: queued operations finish (at most `drain_ms`), then connections close, then `closed`. */
void db_pool_close(struct db_pool *p, uint32_t drain_ms, db_closed_fn closed, void *ctx);

struct db_pool_stats {
    uint32_t connections_up, connections_busy, queued;
    uint64_t statements, groups, group_retries, reconnects;
};
void db_pool_stats(const struct db_pool *p, struct db_pool_stats *out);
/* True when at least one connection is up: readiness. */
bool db_pool_is_ready(const struct db_pool *p);

/* The result: rows and columns count from 0; columns are in the order of the statement's list. */
int db_result_rows(const struct db_result *res);
int db_result_columns(const struct db_result *res);
bool db_result_is_null(const struct db_result *res, int row, int col);
/* text, varchar, json (not jsonb: cast it), name. Null gives SLICE_EMPTY. */
struct slice db_result_text(const struct db_result *res, int row, int col);
/* int2, int4, int8; null gives 0. Asserts the column's width. */
int64_t db_result_int(const struct db_result *res, int row, int col);
bool db_result_bool(const struct db_result *res, int row, int col);
/* timestamptz as microseconds since 1970 UTC. */
int64_t db_result_time(const struct db_result *res, int row, int col);
/* float4 and float8. */
double db_result_double(const struct db_result *res, int row, int col);
