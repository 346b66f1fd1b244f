#include "notification/notification_metrics.h"

#include "base/metrics.h"
#include "db/reminder.h"

/* To the day: what came during a downtime is late by that. */
static const double late_bounds[] = {0.05, 0.1, 0.25, 0.5, 1,    2.5,   5,
                                     10,   30,  60,   300, 3600, 21600, 86400};

static const struct metric_def sent_def = {.name = "todo_reminders_sent_total",
                                           .help = "Reminders sent: marked and told as an event.",
                                           .type = METRIC_COUNTER};
static const struct metric_def given_up_def = {
    .name = "todo_reminders_given_up_total",
    .help =
        "Reminders not sent, because they were later than REMINDER_LATE_MAX_HOURS or their task "
        "was completed.",
    .type = METRIC_COUNTER};
static const struct metric_def late_def = {
    .name = "todo_reminder_late_seconds",
    .help = "From when a reminder could be sent to when it was.",
    .type = METRIC_HISTOGRAM,
    .bounds = late_bounds,
    .bound_count = sizeof(late_bounds) / sizeof(*late_bounds)};
static const struct metric_def runs_def = {.name = "todo_reminder_runs_total",
                                           .help = "Looks for due reminders, by outcome.",
                                           .type = METRIC_COUNTER,
                                           .labels = {"outcome"}};

int notification_metrics_init(struct notification_metrics *out, struct metrics *m,
                              struct error *err)
{
    *out = (struct notification_metrics){0};
    int status = metrics_add(m, &sent_def, &out->sent, err);
    if (!status)
        status = metrics_add(m, &given_up_def, &out->given_up, err);
    if (!status)
        status = metrics_add(m, &late_def, &out->late, err);
    if (!status)
        status = metrics_add(m, &runs_def, &out->runs, err);
    if (status)
        return status;
    /* So that they are shown as 0 before the first. */
    static const char *const outcomes[] = {"done", "failed"};
    for (size_t i = 0; i < 2; i++)
        metric_with(out->runs, &outcomes[i]);
    metric_with(out->sent, NULL);
    metric_with(out->given_up, NULL);
    metric_with(out->late, NULL);
    return 0;
}

void notification_metrics_batch(const struct notification_metrics *m,
                                const struct db_reminder_fire_reply *reply)
{
    struct metric_series *late = metric_with(m->late, NULL);
    metric_count(metric_with(m->sent, NULL), reply->count);
    metric_count(metric_with(m->given_up, NULL), reply->given_up);
    for (int i = 0; i < reply->count; i++)
        metric_observe(late, (double)reply->sent[i].late_ms / 1000);
}

void notification_metrics_run(const struct notification_metrics *m, const char *outcome)
{
    metric_count(metric_with(m->runs, &outcome), 1);
}
