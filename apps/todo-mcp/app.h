#pragma once
/* apps/todo-mcp/app: the parts wired together on one loop.
 *
 *   app_start: database -> schema -> pool -> user -> tools -> transport
 *   app_stop:  transport drains -> events under way settle -> pool drains -> the loop has nothing
 * left and ends
 */
#include <stdbool.h>
#include <uv.h>

#include "auth.h"
#include "mcp/http.h"
#include "mcp/server.h"
#include "mcp/stdio.h"
#include "observe.h"
#include "outgoing.h"
#include "settings.h"
#include "shared/mender.h"
#include "shared/signals.h"
#include "tools/tools.h"

struct changes;
struct db_embedded;
struct db_pool;
struct error;
struct tracer;

struct app {
    const struct settings *settings; /* borrowed */
    struct log log;
    uv_loop_t loop;
    struct db_embedded *embedded; /* NULL with DATABASE_URL */
    struct mender mender;         /* of `embedded` */
    struct db_pool *pool;
    struct mcp_server *server;
    struct tools tools;
    struct changes *changes;
    struct outgoing outgoing;
    struct observe observe;
    struct tracer *tracer;        /* NULL: nothing is traced */
    struct mcp_identity identity; /* of every caller while there is no authentication */
    struct auth auth;
    bool has_auth; /* auth is open */
    struct http_server *http;
    struct mcp_http *mcp_http;
    struct mcp_stdio *stdio;
    struct signals signals;
    struct secret_watch secrets;
    int open_transports; /* of which app_stop waits for the end */
    bool is_started;
    bool is_stop_wanted; /* a signal came during the start */
    uv_timer_t leave;    /* until app_stop */
    bool is_leaving;     /* says so to who asks, and goes on for a while */
    bool is_stopping;
    int user_status; /* of looking the user up at start */
    struct error *user_err;
};

/* Returns when the program was told to stop and has drained, or when it could not start. 0, or the
 * reason in `err`. */
__attribute__((warn_unused_result)) int app_run(struct settings *settings, struct error *err);
