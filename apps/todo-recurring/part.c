#include "recurring/part.h"

#include "base/error.h"
#include "base/mem.h"
#include "events/outbox_bell.h"
#include "recurring/recurring.h"
#include "tools/changes.h"

struct part {
    struct recurring *recurring;
    struct changes *changes; /* each NULL before it is opened and once it is closed */
    struct outbox_bell *bell;
    worker_stopped_fn stopped;
    void *stopped_ctx;
};

/* ---- the end -------------------------------------------------------------------------------- */

static void stop_next(struct part *p);

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

static void stop_next(struct part *p)
{
    worker_stopped_fn stopped = p->stopped;
    void *ctx = p->stopped_ctx;
    if (p->changes) {
        changes_close(p->changes, on_changes_closed, p);
    } else if (p->bell) {
        outbox_bell_close(p->bell, on_bell_closed, p);
    } else {
        recurring_free(p->recurring);
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

static void on_created(void *ctx, int64_t user_id, int64_t task_id, int64_t category_id)
{
    struct part *p = ctx;
    const struct change change = {
        .user_id = user_id, .task_id = task_id, .category_id = category_id};
    changes_add(p->changes, &change);
    outbox_bell_ring(p->bell);
}

static void on_completed(void *ctx, const struct consumer_event *event, struct consumer_turn *turn)
{
    struct part *p = ctx;
    recurring_handle(p->recurring, event, turn);
}

/* ---- the start ------------------------------------------------------------------------------ */

static int open_part(struct part *p, const struct worker *w, struct error *err)
{
    const struct recurring_options options = {
        .consumer = w->spec->app_id, .metrics = w->metrics, .on_created = on_created, .ctx = p};
    int status = recurring_new(w->pool, w->log, &options, &p->recurring, err);
    if (!status)
        status = changes_open(w->loop, NULL, w->conninfo, w->log, &p->changes, err);
    if (!status && outbox_bell_new(w->loop, w->pool, &p->bell) < 0)
        status = error_set(err, BASE_ENOMEM, NULL, "out of memory");
    return status;
}

static int start(const struct worker *w, void **out, struct error *err)
{
    struct part *p = mem_calloc(1, sizeof(*p));
    if (!p)
        return error_set(err, BASE_ENOMEM, NULL, "out of memory");
    *out = p;
    return open_part(p, w, err);
}

static const struct consumer_route routes[] = {
    {EVENT_TASK_COMPLETED, "/events/task-completed", on_completed, NULL},
};

const struct worker_spec recurring_spec = {
    .program = "todo-recurring",
    .app_id = "recurring-task-service",
    .about = "Makes the next task when one that repeats is completed.",
    .port = "8004",
    .routes = routes,
    .route_count = sizeof(routes) / sizeof(routes[0]),
    .start = start,
    .stop = stop,
};
