#pragma once
/* notification_metrics: what /metrics shows of reminders. */
#include <stdint.h>

struct db_reminder_fire_reply;
struct error;
struct metric;
struct metrics;

struct notification_metrics {
    struct metric *sent, *given_up, *late, *runs; /* borrowed from the registry; NULL: none */
};

__attribute__((warn_unused_result)) int
notification_metrics_init(struct notification_metrics *out, struct metrics *m, struct error *err);
void notification_metrics_batch(const struct notification_metrics *m,
                                const struct db_reminder_fire_reply *reply);
/* "done" or "failed" */
void notification_metrics_run(const struct notification_metrics *m, const char *outcome);
