#include "notification/part.h"

#include "base/error.h"
#include "base/mem.h"
#include "events/outbox_bell.h"
#include "notification/notification.h"
#include "shared/state_store.h"
#include "tools/changes.h"

enum { DEFAULT_REMINDER_MINUTES, REMINDER_LATE_MAX_HOURS, REMINDER_BATCH, REMINDER_POLL_MS, ROWS };

static const struct config_setting rows[ROWS] = {
    [DEFAULT_REMINDER_MINUTES] = {"DEFAULT_REMINDER_MINUTES", CONFIG_INT, "60", NULL, 0, 525600,
                                  "min",
                                  "how long before its due date a task that no reminder was set "
                                  "for is reminded of; 0: never"},
    [REMINDER_LATE_MAX_HOURS] = {"REMINDER_LATE_MAX_HOURS", CONFIG_INT, "24", NULL, 1, 8760, "h",
                                 "a reminder is given up when it and its due date are longer ago"},
    [REMINDER_BATCH] = {"REMINDER_BATCH", CONFIG_INT, "100", NULL, 1, DB_REMINDER_LIMIT_MAX, "",
                        "reminders of one kind that one transaction sends"},
    [REMINDER_POLL_MS] =
        {"REMINDER_POLL_MS", CONFIG_INT, "5000", NULL, 1000, 3600000, "ms",
         "how often the job check-due-tasks comes, beside each reminder's own time"},
};

struct part {
    const struct worker *w;
    struct state_store *state; /* each NULL before it is opened and once it is closed */
    struct changes *changes;
    struct outbox_bell *bell;
    struct notification *n;
    worker_stopped_fn stopped;
    void *stopped_ctx;
};

/* ---- the end: the library, then what it uses ------------------------------------------------ */

static void stop_next(struct part *p);

static void on_notification_closed(void *ctx)
{
    struct part *p = ctx;
    p->n = NULL;
    stop_next(p);
}

static void on_changes_closed(void *ctx)
{
    struct part *p = ctx;
    p->changes = NULL;
    stop_next(p);
}

static void on_bell_closed(void *ctx)
{
    struct part *p = ctx;
    p->bell = NULL;
    stop_next(p);
}

static void on_state_closed(void *ctx)
{
    struct part *p = ctx;
    p->state = NULL;
    stop_next(p);
}

static void stop_next(struct part *p)
{
    worker_stopped_fn stopped = p->stopped;
    void *ctx = p->stopped_ctx;
    if (p->n) {
        notification_close(p->n, on_notification_closed, p);
    } else if (p->bell) {
        outbox_bell_close(p->bell, on_bell_closed, p);
    } else if (p->changes) {
        changes_close(p->changes, on_changes_closed, p);
    } else if (p->state) {
        state_close(p->state, on_state_closed, p);
    } else {
        mem_free(p);
        stopped(ctx);
    }
}

static void stop(void *ctx, worker_stopped_fn stopped, void *stopped_ctx)
{
    struct part *p = ctx;
    p->stopped = stopped;
    p->stopped_ctx = stopped_ctx;
    stop_next(p);
}

/* ---- what comes ----------------------------------------------------------------------------- */

static void on_sent(void *ctx, const struct db_reminder_sent *sent, int count)
{
    struct part *p = ctx;
    outbox_bell_ring(p->bell);
    for (int i = 0; i < count; i++) {
        const struct change change = {.user_id = sent[i].user_id, .task_id = sent[i].task_id};
        changes_add(p->changes, &change);
    }
}

/* Perhaps a new reminder, which is due before all that is known of. */
static void on_heard(void *ctx)
{
    struct part *p = ctx;
    if (p->n)
        notification_wake(p->n);
}

static void on_run(void *ctx, bool is_done)
{
    worker_turn_end(ctx, is_done);
}

static void run(void *ctx, struct worker_turn *turn)
{
    struct part *p = ctx;
    notification_run(p->n, on_run, turn);
}

/* ---- the start ------------------------------------------------------------------------------ */

static int open_stores(struct part *p, struct error *err)
{
    const struct worker *w = p->w;
    int status = worker_open_state(w, &p->state);
    if (!status)
        status = outbox_bell_new(w->loop, w->pool, &p->bell);
    return status ? error_set(err, status, NULL, "out of memory") : 0;
}

static int open_notification(struct part *p, struct error *err)
{
    const struct worker *w = p->w;
    const struct notification_options options = {
        .rules = {.default_minutes = w->own[DEFAULT_REMINDER_MINUTES].num,
                  .late_max_hours = w->own[REMINDER_LATE_MAX_HOURS].num},
        .source = w->spec->app_id,
        .batch_max = (int)w->own[REMINDER_BATCH].num,
        .state = p->state,
        .metrics = w->metrics,
        .on_sent = on_sent,
        .ctx = p,
    };
    return notification_new(w->loop, w->pool, w->log, &options, &p->n, err);
}

static int start(const struct worker *w, void **out, struct error *err)
{
    struct part *p = mem_calloc(1, sizeof(*p));
    if (!p)
        return error_set(err, BASE_ENOMEM, NULL, "out of memory");
    *out = p;
    p->w = w;
    int status = open_stores(p, err);
    if (!status)
        status = changes_open(w->loop, NULL, w->conninfo, w->log, &p->changes, err);
    if (!status)
        status = open_notification(p, err);
    if (!status)
        changes_hear(p->changes, on_heard, p);
    return status;
}

static uint32_t poll_ms(const struct worker *w)
{
    return (uint32_t)w->own[REMINDER_POLL_MS].num;
}

static const struct worker_job job = {"check-due-tasks", run, poll_ms};

const struct worker_spec notification_spec = {
    .program = "todo-notification",
    .app_id = "notification-service",
    .about = "Sends the reminders of tasks in time: each becomes one reminder.sent event.",
    .port = "8002",
    .rows = rows,
    .row_count = ROWS,
    .job = &job,
    .start = start,
    .stop = stop,
};
