#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/http_server.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "base/secret.h"
#include "base/trace.h"
#include "dapr/client.h"
#include "db/embedded.h"
#include "db/error.h"
#include "db/migrate.h"
#include "db/pool.h"
#include "shared/database.h"
#include "shared/tracing.h"
#include "shared/trim.h"
#include "shared/worker_int.h"

#define MIGRATION_BACKOFF_MIN_MS 100
#define MIGRATION_BACKOFF_MAX_MS 2000
#define SETTLED_MS               2000
#define GUARD_MS                 5000 /* beyond DRAIN_MS */
#define TRACES_CLOSE_MS          1000 /* for the spans that are left */

/* ---- the end ---- */

static void on_last_closed(void *ctx)
{
    struct run *r = ctx;
    uv_close((uv_handle_t *)&r->guard, NULL);
}

static void close_tracer(void *ctx)
{
    struct run *r = ctx;
    if (r->worker.tracer)
        tracer_close(r->worker.tracer, TRACES_CLOSE_MS, on_last_closed, r);
    else
        on_last_closed(r);
}

static void on_sidecar_closed(void *ctx)
{
    struct run *r = ctx;
    r->worker.dapr = NULL;
    r->pool_metrics.pool = NULL;
    db_pool_close(r->pool, r->settings.drain_ms, close_tracer, r);
}

/* Nobody is left who could use the pool. */
static void on_part_stopped(void *ctx)
{
    struct run *r = ctx;
    r->has_part = false;
    signals_close(&r->signals);
    secret_watch_close(&r->secrets);
    if (r->embedded)
        mender_stop(&r->mender);
    if (r->worker.dapr)
        dapr_client_close(r->worker.dapr, on_sidecar_closed, r);
    else if (r->pool)
        on_sidecar_closed(r);
    else
        close_tracer(r);
}

void run_source_ended(struct run *r)
{
    assert(r->open_sources > 0);
    if (--r->open_sources > 0)
        return;
    if (r->has_part && r->worker.spec->stop)
        r->worker.spec->stop(r->part, on_part_stopped, r);
    else
        on_part_stopped(r);
}

static void on_server_closed(void *ctx)
{
    struct run *r = ctx;
    http_metrics_close(&r->http.metrics);
    run_source_ended(r);
}

static void on_consumer_closed(void *ctx)
{
    struct run *r = ctx;
    r->consumer = NULL;
    run_source_ended(r);
}

/* Something does not end, against what it promised: the events will come again. */
static void on_guard(uv_timer_t *timer)
{
    struct run *r = timer->data;
    log_error(&r->log, "the drain does not end", log_int("open", r->open_sources));
    _exit(EXIT_FAILURE);
}

/* Deliveries and the job's run end; new ones are sent back. */
void run_stop(struct run *r)
{
    if (r->state == RUN_STOPPING)
        return;
    r->state = RUN_STOPPING;
    log_info(&r->log, "stopping");
    uv_timer_start(&r->guard, on_guard, (uint64_t)r->settings.drain_ms + GUARD_MS, 0);
    uv_close((uv_handle_t *)&r->migration_timer, NULL);
    r->open_sources = 2; /* the job, and this function */
    if (r->is_migrating)
        r->open_sources++;
    if (r->http.source)
        source_http_attach(r->http.source, NULL);
    if (r->http.server) {
        r->open_sources++;
        http_server_close(r->http.server, r->settings.drain_ms, on_server_closed, r);
    }
    r->open_sources += run_kafka_close(r);
    if (r->consumer) {
        r->open_sources++;
        consumer_close(r->consumer, on_consumer_closed, r);
    }
    run_job_close(r);
    run_source_ended(r);
}

static void on_signal(void *ctx, int number)
{
    struct run *r = ctx;
    log_info(&r->log, "signal", log_int("number", number));
    run_stop(r);
}

static void fail(struct run *r, int status, const struct error *err)
{
    r->status = status;
    *r->err = *err;
    run_stop(r);
}

/* ---- ready: the schema is current ---- */

static int open_consumer(struct run *r, struct error *err)
{
    const struct worker_spec *spec = r->worker.spec;
    const struct consumer_options options = {.name = spec->app_id,
                                             .routes = r->routes,
                                             .route_count = spec->route_count,
                                             .metrics = r->worker.metrics,
                                             .tracer = r->worker.tracer};
    for (size_t i = 0; i < spec->route_count; i++)
        r->routes[i].ctx = r->part;
    int status = consumer_new(&r->loop, &options, r->pool, &r->log, &r->consumer, err);
    if (!status && r->http.source)
        source_http_attach(r->http.source, r->consumer);
    return status ? status : run_kafka_open(r, err);
}

/* All is set up that is set up once. */
static void on_settled(uv_timer_t *timer)
{
    (void)timer;
    trim_memory();
}

static void become_ready(struct run *r)
{
    const struct worker_spec *spec = r->worker.spec;
    struct error err = {0};
    r->part = spec->start ? NULL : &r->worker;
    int status = spec->start ? spec->start(&r->worker, &r->part, &err) : 0;
    r->has_part = r->part != NULL;
    if (!status && spec->route_count > 0)
        status = open_consumer(r, &err);
    if (status) {
        fail(r, status, &err);
        return;
    }
    r->state = RUN_READY;
    log_info(&r->log, "ready");
    uv_timer_start(&r->migration_timer, on_settled, SETTLED_MS, 0);
    run_job_open(r);
}

/* ---- the schema ---- */

static void do_migrate(uv_work_t *work)
{
    struct run *r = work->data;
    r->migration_status = db_migrate(r->migration_conninfo, &r->log, &r->migration_err);
}

static void on_migration_timer(uv_timer_t *timer);

static void migrate_later(struct run *r)
{
    log_warn(&r->log, "database not ready", log_str("reason", r->migration_err.text));
    uv_timer_start(&r->migration_timer, on_migration_timer, r->migration_backoff_ms, 0);
    r->migration_backoff_ms *= 2;
    if (r->migration_backoff_ms > MIGRATION_BACKOFF_MAX_MS)
        r->migration_backoff_ms = MIGRATION_BACKOFF_MAX_MS;
}

/* A newer schema is a newer program's: waiting would not mend it. */
static void after_migrate(uv_work_t *work, int status)
{
    struct run *r = work->data;
    (void)status;
    r->is_migrating = false;
    mem_free(r->migration_conninfo);
    r->migration_conninfo = NULL;
    if (r->state == RUN_STOPPING)
        run_source_ended(r);
    else if (r->migration_status == DB_ENEWER)
        fail(r, DB_ENEWER, &r->migration_err);
    else if (r->migration_status)
        migrate_later(r);
    else
        become_ready(r);
}

static void on_migration_timer(uv_timer_t *timer)
{
    struct run *r = timer->data;
    r->migration_conninfo = mem_strdup(secret_text(r->worker.conninfo));
    int status = r->migration_conninfo
                     ? uv_queue_work(&r->loop, &r->migration, do_migrate, after_migrate)
                     : BASE_ENOMEM;
    r->is_migrating = status == 0;
    if (status) {
        mem_free(r->migration_conninfo);
        r->migration_conninfo = NULL;
        migrate_later(r);
    }
}

/* ---- the start ---- */

static void on_sidecar(void *ctx, bool is_up)
{
    struct run *r = ctx;
    log_info(&r->log, is_up ? "sidecar up" : "sidecar down");
    if (is_up)
        run_job_sidecar_up(r);
}

static int open_sidecar(struct run *r, struct error *err)
{
    const struct dapr_client_options options = {.port = r->settings.dapr_http_port,
                                                .api_token =
                                                    secret_text(&r->settings.dapr_api_token),
                                                .on_change = on_sidecar,
                                                .ctx = r};
    if (r->settings.transport != SHARED_DAPR)
        return 0;
    return dapr_client_new(&r->loop, &options, &r->log, &r->worker.dapr, err);
}

static double in_flight(void *ctx)
{
    const struct run *r = ctx;
    return r->consumer ? consumer_in_flight(r->consumer) : 0;
}

static int open_metrics(struct run *r, struct error *err)
{
    static const struct metric_def in_flight_def = {
        .name = "todo_events_in_flight", .help = "Deliveries in hand.", .type = METRIC_GAUGE};
    if (metrics_new(&r->worker.metrics))
        return error_set(err, BASE_ENOMEM, NULL, "out of memory");
    int status = metrics_add_process(r->worker.metrics, err);
    if (!status)
        status = pool_metrics_open(&r->pool_metrics, r->worker.metrics, err);
    if (!status && r->worker.spec->route_count > 0)
        status = metrics_add_read(r->worker.metrics, &in_flight_def, in_flight, r, err);
    return status;
}

static int start(struct run *r, struct error *err)
{
    int status = open_metrics(r, err);
    if (!status)
        status = tracing_open(&r->settings, &r->loop, r->worker.spec->app_id, &r->log,
                              &r->worker.tracer, err);
    if (!status)
        status = database_connect(&r->settings, &r->loop, &r->log, &r->embedded, &r->pool, err);
    if (r->embedded)
        mender_start(&r->mender, &r->loop, r->embedded, r->pool, &r->log);
    if (status)
        return status;
    r->worker.pool = r->pool;
    r->pool_metrics.pool = r->pool;
    r->worker.conninfo = database_conninfo(&r->settings, r->embedded);
    status = open_sidecar(r, err);
    if (!status)
        status = run_http_open(r, err);
    if (!status)
        uv_timer_start(&r->migration_timer, on_migration_timer, 0, 0);
    return status;
}

static void open_run(struct run *r)
{
    const struct worker_spec *spec = r->worker.spec;
    assert(spec->route_count <= EVENT_KINDS);
    for (size_t i = 0; i < spec->route_count; i++)
        r->routes[i] = spec->routes[i];
    r->worker.loop = &r->loop;
    r->worker.log = &r->log;
    r->worker.secrets = &r->secrets;
    secret_watch_open(&r->secrets, &r->loop, &r->log);
    shared_settings_watch(&r->settings, &r->secrets);
    r->migration.data = r;
    r->migration_backoff_ms = MIGRATION_BACKOFF_MIN_MS;
    uv_timer_init(&r->loop, &r->migration_timer);
    r->migration_timer.data = r;
    uv_timer_init(&r->loop, &r->guard);
    r->guard.data = r;
}

static void close_run(struct run *r)
{
    if (r->http.source)
        source_http_free(r->http.source);
    metrics_free(r->worker.metrics);
    if (r->embedded)
        db_embedded_close(r->embedded);
}

int run_worker(struct run *r, struct error *err)
{
    r->err = err;
    log_init(&r->log, STDERR_FILENO, r->settings.log_level, r->settings.log_format);
    int status = uv_loop_init(&r->loop);
    if (status)
        return error_set(err, status, NULL, "no event loop: %s", uv_strerror(status));
    open_run(r);
    status = signals_open(&r->signals, &r->loop, on_signal, r, err);
    if (!status)
        status = start(r, err);
    if (status) {
        r->status = status;
        run_stop(r);
    }
    uv_run(&r->loop, UV_RUN_DEFAULT);
    int left = uv_loop_close(&r->loop);
    close_run(r);
    if (!r->status && left)
        return error_set(err, left, NULL, "handles were left open at the end");
    return r->status;
}
