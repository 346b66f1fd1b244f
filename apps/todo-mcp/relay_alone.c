#include "relay_alone.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/log.h"
#include "command.h"
#include "db/embedded.h"
#include "db/pool.h"
#include "outgoing.h"
#include "settings.h"
#include "shared/database.h"
#include "shared/mender.h"
#include "shared/signals.h"

#define EXIT_USAGE 2

struct alone {
    const struct settings *settings;
    struct log log;
    uv_loop_t loop;
    struct db_embedded *embedded;
    struct mender mender;
    struct db_pool *pool; /* for the mender's eyes; the relay has a session of its own */
    struct outgoing outgoing;
    struct signals signals;
    struct secret_watch secrets;
    bool is_stopping;
};

static void on_pool_closed(void *ctx)
{
    struct alone *a = ctx;
    a->pool = NULL;
}

static void on_outgoing_closed(void *ctx)
{
    struct alone *a = ctx;
    if (a->embedded && a->mender.pool)
        mender_stop(&a->mender);
    if (a->pool)
        db_pool_close(a->pool, a->settings->shared.drain_ms, on_pool_closed, a);
}

static void stop(struct alone *a)
{
    if (a->is_stopping)
        return;
    a->is_stopping = true;
    log_info(&a->log, "stopping");
    signals_close(&a->signals);
    secret_watch_close(&a->secrets);
    outgoing_close(&a->outgoing, a->settings->shared.drain_ms, on_outgoing_closed, a);
}

static void on_signal(void *ctx, int number)
{
    struct alone *a = ctx;
    log_info(&a->log, "signal", log_int("number", number));
    stop(a);
}

static int start(struct alone *a, struct error *err)
{
    const struct shared_settings *s = &a->settings->shared;
    int status = signals_open(&a->signals, &a->loop, on_signal, a, err);
    if (!status)
        status = database_open(s, &a->loop, &a->log, &a->embedded, &a->pool, err);
    if (!status && a->embedded)
        mender_start(&a->mender, &a->loop, a->embedded, a->pool, &a->log);
    const struct outgoing_parts parts = {.loop = &a->loop,
                                         .settings = a->settings,
                                         .pool = a->pool,
                                         .conninfo = database_conninfo(s, a->embedded),
                                         .log = &a->log};
    if (!status)
        status = outgoing_open(&a->outgoing, &parts, err);
    if (!status)
        log_info(&a->log, "relaying");
    return status;
}

static int run(struct settings *settings, struct error *err)
{
    struct alone a = {.settings = settings};
    settings->has_relay = true;
    settings->shared.pool_size = 1;
    log_init(&a.log, STDERR_FILENO, settings->shared.log_level, settings->shared.log_format);
    int status = uv_loop_init(&a.loop);
    if (status)
        return error_set(err, status, NULL, "no event loop: %s", uv_strerror(status));
    secret_watch_open(&a.secrets, &a.loop, &a.log);
    shared_settings_watch(&settings->shared, &a.secrets);
    status = start(&a, err);
    if (status)
        stop(&a);
    uv_run(&a.loop, UV_RUN_DEFAULT);
    int left = uv_loop_close(&a.loop);
    if (a.embedded)
        db_embedded_close(a.embedded);
    if (!status && left)
        status = error_set(err, left, NULL, "handles were left open at the end");
    return status;
}

static int print_help(void)
{
    struct buf text;
    buf_init(&text, 65536);
    settings_relay_help(&text);
    return command_print(&text);
}

int relay_main(int argc, char **argv)
{
    struct settings settings;
    struct error err = {0};
    if (shared_action_of(argc, argv) == SHARED_HELP)
        return print_help();
    if (settings_load(&settings, argc, argv, &err)) {
        fprintf(stderr, "todo-mcp: %s\nTry todo-mcp relay --help.\n", err.text);
        return EXIT_USAGE;
    }
    if (run(&settings, &err)) {
        fprintf(stderr, "todo-mcp: %s\n", err.text);
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
