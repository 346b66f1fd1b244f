#pragma once
/* db/listen: PostgreSQL's NOTIFY on one channel, heard and sent over a connection of its own.
 *
 * Use:     db_listen_new -> db_listen_notify ... -> db_listen_close (async) -> closed callback.
 * Owns:    its connection and what waits to be sent. Borrows the loop and the log.
 * Thread:  loop thread only.
 * What is sent here is not heard here. Sending never holds up a write: a transaction that notifies
 * commits under a lock of the whole server, so no write does; each message is a transaction of its
 * own that does not wait for the disk. A message is kept until the server has it, over breaks of
 * the connection; then it may be sent twice.
 * Limits:  DB_LISTEN_MESSAGE_MAX bytes a message, DB_LISTEN_QUEUE_BYTES of those that wait. */
#include <stdint.h>
#include <uv.h>

#include "base/slice.h"
#include "db/error.h"

struct db_listen;
struct error;
struct log;

#define DB_LISTEN_MESSAGE_MAX 7900
#define DB_LISTEN_QUEUE_BYTES (1u << 20)

struct db_listen_options {
    /* libpq connection string or URI, borrowed for ever; where it changes the connection is made
     * anew. */
    const struct secret *conninfo;
    const char *channel;                         /* an SQL identifier; borrowed for ever */
    uint32_t reconnect_min_ms, reconnect_max_ms; /* backoff: 50 ms to 2 s where 0 */
    /* A message of another session. May not close. */
    void (*on_message)(void *ctx, struct slice message);
    /* Listening begins, at first and after each break: messages sent before were not heard. */
    void (*on_gap)(void *ctx);
    void *ctx;
};
typedef void (*db_listen_closed_fn)(void *ctx);

/* Connects in the background: 0 even when the server is down. DB_ENOMEM. */
__attribute__((warn_unused_result)) int db_listen_new(uv_loop_t *loop,
                                                      const struct db_listen_options *options,
                                                      const struct log *log, struct db_listen **out,
                                                      struct error *err);
/* Copies the message. 0, DB_EBUSY (too much waits), DB_ENOMEM. */
__attribute__((warn_unused_result)) int db_listen_notify(struct db_listen *l, struct slice message);
/* Sends what waits (at most `drain_ms`), hears nothing more, then `closed`, then frees itself. */
void db_listen_close(struct db_listen *l, uint32_t drain_ms, db_listen_closed_fn closed, void *ctx);
