/* The job: a timer, or the sidecar's, which is told of it at the start, each time that it comes
 * back, and when no run has come for long: its scheduler keeps jobs, but may have been made anew.
 * The job is put in place of the one that is there, so that all replicas and all versions agree on
 * the last one's schedule; a run that could not be delivered is dropped, since the next one makes
 * up for it. */
#include <stdio.h>

#include "dapr/jobs.h"
#include "shared/worker_int.h"

#define BACKOFF_MIN_MS 100
#define BACKOFF_MAX_MS 10000
#define MISSED_RUNS    20 /* each run comes to one of the replicas, by chance */
#define MISSED_MIN_MS  30000

static void on_timer(uv_timer_t *timer);

static bool is_dapr(const struct run *r)
{
    return r->settings.transport == SHARED_DAPR;
}

static void start_run(struct run *r, struct dapr_turn *dapr)
{
    r->job.is_running = true;
    r->job.turn = (struct worker_turn){.run = r, .dapr = dapr};
    r->worker.spec->job->run(r->part, &r->job.turn);
}

void worker_turn_end(struct worker_turn *turn, bool is_done)
{
    struct run *r = turn->run;
    struct dapr_turn *dapr = turn->dapr;
    r->job.is_running = false;
    if (dapr)
        dapr_turn_end(dapr, is_done ? DAPR_SUCCESS : DAPR_RETRY);
    if (r->state == RUN_STOPPING)
        run_source_ended(r);
}

/* When the job is registered again, unless a run comes. */
static void watch(struct run *r)
{
    uint64_t missed_ms = (uint64_t)r->worker.spec->job->every_ms(&r->worker) * MISSED_RUNS;
    if (r->job.is_open && r->job.is_registered)
        uv_timer_start(&r->job.timer, on_timer,
                       missed_ms > MISSED_MIN_MS ? missed_ms : MISSED_MIN_MS, 0);
}

/* What comes beside a run that is under way would do the same again. */
void run_job_on_dapr(void *ctx, struct slice name, struct slice data, struct dapr_turn *turn)
{
    struct run *r = ctx;
    (void)name;
    (void)data;
    watch(r);
    if (r->state != RUN_READY)
        dapr_turn_end(turn, DAPR_RETRY);
    else if (r->job.is_running)
        dapr_turn_end(turn, DAPR_SUCCESS);
    else
        start_run(r, turn);
}

/* ---- with the sidecar: registering ---- */

static void register_later(struct run *r)
{
    struct run_job *j = &r->job;
    if (!j->is_open)
        return;
    uv_timer_start(&j->timer, on_timer, j->backoff_ms, 0);
    j->backoff_ms = 2 * j->backoff_ms < BACKOFF_MAX_MS ? 2 * j->backoff_ms : BACKOFF_MAX_MS;
}

static void on_registered(void *ctx, int status, const struct error *err)
{
    struct run *r = ctx;
    r->job.is_registering = false;
    r->job.is_registered = status == 0;
    if (status) {
        log_warn(&r->log, "job not registered", log_str("job", r->worker.spec->job->name),
                 log_str("reason", err->text));
        register_later(r);
        return;
    }
    r->job.backoff_ms = BACKOFF_MIN_MS;
    watch(r);
    log_info(&r->log, "job registered", log_str("job", r->worker.spec->job->name));
}

static void register_job(struct run *r)
{
    const struct worker_job *spec = r->worker.spec->job;
    struct error err = {0};
    char schedule[40];
    if (r->job.is_registering)
        return;
    snprintf(schedule, sizeof(schedule), "@every %ums", spec->every_ms(&r->worker));
    const struct dapr_job job = {
        .name = spec->name, .schedule = schedule, .overwrite = true, .failure = DAPR_JOB_DROP};
    int status = dapr_job_schedule(r->worker.dapr, &job, on_registered, r, &err);
    r->job.is_registering = status == 0;
    if (status)
        register_later(r);
}

void run_job_sidecar_up(struct run *r)
{
    if (r->job.is_open)
        register_job(r);
}

/* ---- time ---- */

static void on_timer(uv_timer_t *timer)
{
    struct run *r = timer->data;
    if (is_dapr(r))
        register_job(r);
    else if (!r->job.is_running)
        start_run(r, NULL);
}

/* The first run comes at once: what was due while nobody ran is made up for. */
void run_job_open(struct run *r)
{
    const struct worker_job *spec = r->worker.spec->job;
    struct run_job *j = &r->job;
    if (!spec)
        return;
    uv_timer_init(&r->loop, &j->timer);
    j->timer.data = r;
    j->is_open = true;
    j->backoff_ms = BACKOFF_MIN_MS;
    if (is_dapr(r))
        uv_timer_start(&j->timer, on_timer, 0, 0);
    else
        uv_timer_start(&j->timer, on_timer, spec->every_ms(&r->worker), spec->every_ms(&r->worker));
    start_run(r, NULL);
}

void run_job_close(struct run *r)
{
    if (r->job.is_open)
        uv_close((uv_handle_t *)&r->job.timer, NULL);
    r->job.is_open = false;
    if (!r->job.is_running)
        run_source_ended(r);
}
