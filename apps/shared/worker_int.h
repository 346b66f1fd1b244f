#pragma once
/* apps/shared/worker_int: a worker's run, for the worker_… files.
 *
 *   STARTING (the database is waited for) -> READY -> STOPPING
 *
 *   start  signals, metrics, database, HTTP -> migrations, again and again until they pass -> the
 *          part -> the consumer -> sources and job
 *   stop   sources, consumer and job end what they have -> the part -> sidecar, pool -> the loop
 *          has nothing left */
#include <stdbool.h>
#include <uv.h>

#include "base/error.h"
#include "base/http_metrics.h"
#include "base/log.h"
#include "base/secret.h"
#include "dapr/app.h"
#include "events/source_http.h"
#include "shared/mender.h"
#include "shared/pool_metrics.h"
#include "shared/signals.h"
#include "shared/worker.h"

struct db_embedded;
struct http_request;
struct http_server;
struct source_kafka;

enum run_state { RUN_STARTING, RUN_READY, RUN_STOPPING };

struct worker_turn {
    struct run *run;
    struct dapr_turn *dapr; /* NULL: the timer's */
};

struct run_job {
    uv_timer_t timer; /* the job's time; with the sidecar, when to register it again */
    struct worker_turn turn;
    char path[128];  /* of the sidecar's calls */
    bool is_open;    /* the timer is */
    bool is_running; /* the turn is */
    bool is_registering;
    bool is_registered;
    uint32_t backoff_ms;
};

#define WORKER_ROUTES_MAX (EVENT_KINDS + 8)

struct run_http {
    const char *host;
    uint16_t port;
    struct http_server *server;
    struct source_http *source;
    struct http_metrics metrics;
    const char *routes[WORKER_ROUTES_MAX]; /* of its metrics */
    size_t route_count;
};

struct run_kafka {
    struct source_kafka *source;
    const char *topics[EVENT_KINDS];
    size_t topic_count;
};

struct run {
    struct worker worker; /* what the part sees */
    struct shared_settings settings;
    struct log log;
    uv_loop_t loop;
    enum run_state state;
    struct db_embedded *embedded;
    struct mender mender;
    struct db_pool *pool;
    struct pool_metrics pool_metrics;
    struct signals signals;
    uv_timer_t guard; /* ends a drain that does not end */
    struct run_http http;
    struct run_kafka kafka;
    struct consumer_route routes[EVENT_KINDS];
    struct consumer *consumer; /* NULL before READY and at the end */
    struct run_job job;
    struct secret_watch secrets;
    char *migration_conninfo; /* owned copy: a thread uses it, while the secret may change */
    uv_work_t migration;
    uv_timer_t migration_timer;
    struct error migration_err;
    int migration_status;
    uint32_t migration_backoff_ms;
    bool is_migrating;
    void *part;
    bool has_part;
    int open_sources; /* what run_stop waits for before the part ends */
    int status;       /* why it ends */
    struct error *err;
};

/* worker_run.c: 0, or the reason in `err`. */
__attribute__((warn_unused_result)) int run_worker(struct run *r, struct error *err);
/* Idempotent. */
void run_stop(struct run *r);
/* Something that run_stop waits for has ended. */
void run_source_ended(struct run *r);

/* worker_http.c */
__attribute__((warn_unused_result)) int run_http_open(struct run *r, struct error *err);
void run_http_handle(void *ctx, struct http_request *req);

/* worker_kafka.c */
__attribute__((warn_unused_result)) int run_kafka_open(struct run *r, struct error *err);
/* True when there is a source, which ends with run_source_ended. */
bool run_kafka_close(struct run *r);
/* It has been a member of the group: there is a broker. */
bool run_kafka_is_up(const struct run *r);

/* worker_job.c */
void run_job_open(struct run *r);
/* When its run has ended: run_source_ended. */
void run_job_close(struct run *r);
void run_job_sidecar_up(struct run *r);
void run_job_on_dapr(void *ctx, struct slice name, struct slice data, struct dapr_turn *turn);
