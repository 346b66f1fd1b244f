#pragma once
/* dapr/jobs: jobs of the Scheduler service (Dapr API reference, "Jobs API").
 *   POST, GET, DELETE /v1.0/jobs/<name>
 * The sidecar calls the app at POST /job/<name>: dapr/app.h. A job is no component: the sidecar
 * knows the Scheduler by its command line. Conventions as in dapr/client.h; texts are copied. */
#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "dapr/client.h"

enum dapr_job_failure {
    DAPR_JOB_DEFAULT, /* the Scheduler's: 3 tries, a second apart */
    DAPR_JOB_DROP,
    DAPR_JOB_CONSTANT /* failure_tries tries, failure_interval_s apart */
};

struct dapr_job {
    const char *name; /* not empty, of letters, digits, '.', '_' and '-': BASE_EINVAL */
    /* "@every 1m", "@daily" …, or six fields of cron, seconds first; NULL: once at due_time. */
    const char *schedule;
    const char *due_time; /* RFC 3339, a Go duration ("30s") or ISO 8601; NULL: at once */
    const char *ttl;   /* when it ends, in the same forms; NULL: never. Before its next time: it is
                          gone at once, though the sidecar says 0 */
    uint32_t repeats;  /* how many times it is called; 0: without end */
    bool overwrite;    /* else a job of that name is DAPR_ECONFLICT */
    struct slice data; /* JSON; empty: {} (a job without data would never be delivered) */
    enum dapr_job_failure failure;
    uint32_t failure_interval_s;
    uint32_t failure_tries; /* 0: without end */
};

/* What the Scheduler has; NULL and zero where it has none. Borrowed until the return. */
typedef void (*dapr_job_get_fn)(void *ctx, int status, bool is_found, const struct dapr_job *job,
                                const struct error *err);

__attribute__((warn_unused_result)) int dapr_job_schedule(struct dapr_client *c,
                                                          const struct dapr_job *job,
                                                          dapr_done_fn fn, void *ctx,
                                                          struct error *err);
/* Of `job` the name, schedule, due_time, ttl, repeats and data are set. */
__attribute__((warn_unused_result)) int dapr_job_get(struct dapr_client *c, const char *name,
                                                     dapr_job_get_fn fn, void *ctx,
                                                     struct error *err);
/* A job that is not there: 0. */
__attribute__((warn_unused_result)) int dapr_job_delete(struct dapr_client *c, const char *name,
                                                        dapr_done_fn fn, void *ctx,
                                                        struct error *err);
