#pragma once
/* tools/changes: who subscribed to a resource is told when it changes, whichever process changed
 * it.
 *
 *   a commit -> changes_add -> (the loop's next turn) -> subscribers here
 *                                                     -> NOTIFY -> other processes -> theirs
 *
 * Changes are gathered: a round goes out at most every CHANGES_ROUND_MS, and names each resource
 * once. It is no part of the write's transaction (db/listen says why): nothing that is acknowledged
 * waits for it, and a process that is killed in that moment takes its last round along.
 * Use:     changes_open -> changes_add ... -> changes_close (async) -> closed callback.
 * Thread:  loop thread only.  */
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/slice.h"

struct changes;
struct error;
struct log;
struct mcp_server;
struct secret;

#define CHANGES_ROUND_MS 100
#define CHANGES_CHANNEL  "todo_changes"

/* What one commit changed. */
struct change {
    int64_t user_id;
    int64_t task_id;      /* 0: no one task; else the lists have changed too */
    int64_t category_id;  /* 0: none */
    bool is_any_category; /* a task left a category that is not known here */
    bool is_all;          /* anything of the user */
};

typedef void (*changes_closed_fn)(void *ctx);

/* `server` may be NULL: a process without subscribers, which only tells others. 0, or DB_ENOMEM. */
__attribute__((warn_unused_result)) int changes_open(uv_loop_t *loop, struct mcp_server *server,
                                                     const struct secret *conninfo,
                                                     const struct log *log, struct changes **out,
                                                     struct error *err);
void changes_add(struct changes *c, const struct change *change);
/* `fn` comes when another process has told of changes, and when some may have been missed. */
void changes_hear(struct changes *c, void (*fn)(void *ctx), void *ctx);
/* Tells other processes what is left (at most a second), then `closed`. */
void changes_close(struct changes *c, changes_closed_fn closed, void *ctx);
