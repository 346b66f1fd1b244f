#pragma once
/* apps/shared/worker: the program around a worker's handlers: settings, log, loop, database, HTTP
 * (/healthz, /readyz, /metrics, deliveries), the source of events that the settings choose, a job
 * that comes again and again, the end on SIGTERM or SIGINT.
 *
 *   main    -> worker_main(&spec, argc, argv): its whole life; the result is the exit code
 *   check   (blocking, at once)  -> what is wrong with the settings stops the start: exit 2
 *   start   (once the database is up and its schema is current) -> the worker's own part
 *   deliveries and jobs come, their handlers with the part as ctx
 *   stop    (no delivery and no job is under way any more) -> the part ends, says stopped
 *
 * While the database is away at the start the process serves /healthz and waits; /readyz is 503. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/config.h"
#include "events/consumer.h"
#include "shared/settings.h"

struct dapr_client;
struct db_pool;
struct error;
struct log;
struct metrics;
struct secret;
struct secret_watch;
struct state_store;
struct tracer;

/* What a worker's part is given; all of it outlives the part. */
struct worker {
    const struct worker_spec *spec;
    const struct shared_settings *settings;
    const struct config_value *own; /* own[i] is the value of spec->rows[i] */
    uv_loop_t *loop;
    const struct log *log;
    struct db_pool *pool;
    const struct secret *conninfo; /* of the same database, for db/listen */
    struct secret_watch *secrets;  /* for the part's own */
    struct metrics *metrics;       /* to add the part's own to: base/metrics.h */
    struct tracer *tracer;         /* NULL: nothing is traced; base/trace.h */
    struct dapr_client *dapr;      /* NULL but with USE_DAPR */
};

/* The state store that the settings choose: the sidecar's with USE_DAPR, else the database's. 0 and
 * *out, which the part closes, or BASE_ENOMEM. */
__attribute__((warn_unused_result)) int worker_open_state(const struct worker *w,
                                                          struct state_store **out);

struct worker_turn; /* a job's run */
/* Ends with worker_turn_end, once, now or later. */
typedef void (*worker_job_fn)(void *part, struct worker_turn *turn);
/* False: it failed, and comes again at its time. */
void worker_turn_end(struct worker_turn *turn, bool is_done);

/* A job that comes each `every_ms`: the sidecar's jobs with USE_DAPR (POST /job/<name>, registered
 * at the start and whenever the sidecar comes back, in place of what was there), else a timer. One
 * run at a time: what comes while one is under way is answered and dropped. */
struct worker_job {
    const char *name; /* "check-due-tasks" */
    worker_job_fn run;
    /* How often, by the settings. */
    uint32_t (*every_ms)(const struct worker *w);
};

typedef void (*worker_stopped_fn)(void *ctx);

struct worker_spec {
    const char *program; /* "todo-email" */
    const char *app_id;  /* "email-delivery-service": the inbox's consumer, Kafka's group, Dapr's */
    const char *about;   /* one sentence for --help */
    const char *port;    /* HTTP_PORT's default: "8003" */
    const struct config_setting *rows; /* its own settings */
    size_t row_count;
    /* What it consumes; a handler's ctx is the part, whatever stands here. Routes of one topic have
     * one path. May be none. */
    const struct consumer_route *routes;
    size_t route_count;
    const struct worker_job *job; /* NULL: none */
    /* Whether the settings will do: 0, or BASE_EINVAL with the setting in err->field. NULL: yes. */
    int (*check)(const struct shared_settings *s, const struct config_value *own,
                 struct error *err);
    /* 0 and *part, or a reason that ends the process; a *part that was set before a failure is
     * stopped too, as far as it was opened. `w` is borrowed until stopped. NULL: *part is the
     * worker itself. */
    int (*start)(const struct worker *w, void **part, struct error *err);
    /* Ends the part, which calls `stopped` once, now or later. NULL: nothing is to end. */
    void (*stop)(void *part, worker_stopped_fn stopped, void *ctx);
    /* For /readyz beside the database and the way of the events. NULL: yes. */
    bool (*is_ready)(void *part);
};

/* Reads the settings (flag, environment, default), runs, and drains at the end. The exit code: 0; 1
 * where it could not start, said on stderr; 2 for settings that will not do. */
int worker_main(const struct worker_spec *spec, int argc, char **argv);
