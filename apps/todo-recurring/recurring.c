#include "recurring/recurring.h"

#include <inttypes.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "base/zone.h"
#include "db/series.h"
#include "tools/occurrence.h"

/* What came of an event, as /metrics tells them apart. */
enum outcome { CREATED, REPEATED, SINGLE, ENDED, GONE, REOPENED, REFUSED, FAILED, OUTCOMES };
static const char *const outcome_names[OUTCOMES] = {"created", "repeated", "single",  "ended",
                                                    "gone",    "reopened", "refused", "failed"};

static const struct metric_def outcomes_def = {
    .name = "todo_recurrences_total",
    .help =
        "Completed tasks, by what came of them: created (a successor), repeated (it was there), "
        "single (the task does not repeat), ended (the series has), gone, reopened, refused, "
        "failed.",
    .type = METRIC_COUNTER,
    .labels = {"outcome"}};

struct recurring {
    struct db_pool *pool;
    const struct log *log;
    struct recurring_options options;
    struct metric *outcomes; /* borrowed from the registry; NULL: none */
};

/* One event in hand. */
struct step {
    struct recurring *recurring;
    const struct consumer_event *event; /* borrowed until the turn's end */
    struct consumer_turn *turn;
    struct slice rule_text, zone_name; /* into the event's data */
    struct recurrence_rule rule;
    struct zone *zone;
    int64_t due_us;
};

/* ---- the end -------------------------------------------------------------------------------- */

static void end_turn(struct recurring *r, struct consumer_turn *turn, enum outcome outcome,
                     enum consumer_verdict verdict, const struct error *err)
{
    metric_count(metric_with(r->outcomes, &outcome_names[outcome]), 1);
    consumer_turn_end(turn, verdict, err);
}

static void end_step(struct step *s, enum outcome outcome, enum consumer_verdict verdict,
                     const struct error *err)
{
    struct recurring *r = s->recurring;
    struct consumer_turn *turn = s->turn;
    if (verdict == CONSUMER_DONE)
        log_debug(r->log, "task.completed handled", log_int("task_id", s->event->task_id),
                  log_str("outcome", outcome_names[outcome]));
    zone_free(s->zone);
    mem_free(s);
    end_turn(r, turn, outcome, verdict, err);
}

static void end_done(struct step *s, enum outcome outcome)
{
    end_step(s, outcome, outcome == REPEATED ? CONSUMER_REPEATED : CONSUMER_DONE, NULL);
}

static void end_failed(struct step *s, int status, const struct error *err)
{
    end_step(s, FAILED, consumer_verdict_of(status), err);
}

static void end_refused(struct step *s, const struct error *err)
{
    end_step(s, REFUSED, CONSUMER_REFUSED, err);
}

/* ---- the successor -------------------------------------------------------------------------- */

static void on_continued(void *ctx, int status, const struct db_series_reply *reply,
                         const struct error *err)
{
    struct step *s = ctx;
    const struct recurring_options *o = &s->recurring->options;
    if (status) {
        end_failed(s, status, err);
        return;
    }
    if (reply->task_id && o->on_created)
        o->on_created(o->ctx, s->event->user_id, reply->task_id, reply->category_id);
    end_done(s, reply->task_id ? CREATED : REPEATED);
}

static void make_successor(struct step *s, const struct db_series *series,
                           const struct occurrence *next)
{
    struct error err;
    const struct db_series_next successor = {
        .consumer = slice_from_cstr(s->recurring->options.consumer),
        .event_id = s->event->id,
        .was_due = s->due_us,
        .due = next->due_us,
        .wall = next->wall_us,
        .occurrence = next->number + series->first - 1,
        .recurrence_rule = s->rule_text,
        .timezone = s->zone_name,
        .traceparent = slice_from_cstr(s->event->envelope->traceparent),
    };
    int status = db_series_continue(s->recurring->pool, s->event->user_id, s->event->task_id,
                                    &successor, on_continued, s, NULL, &err);
    if (status)
        end_failed(s, status, &err);
}

static void find_next(struct step *s, const struct db_series *series)
{
    struct error err;
    const struct occurrence at = {.due_us = s->due_us,
                                  .has_wall = series->has_wall,
                                  .wall_us = series->wall,
                                  .number = (int)(series->occurrence - series->first) + 1};
    struct occurrence next;
    switch (occurrence_next(&s->rule, s->zone, &at, &next)) {
    case OCCURRENCE_FOUND:
        make_successor(s, series, &next);
        break;
    case OCCURRENCE_ENDED:
        end_done(s, ENDED);
        break;
    case OCCURRENCE_TOO_RARE:
        error_set(&err, BASE_EINVAL, "recurrence_rule",
                  "the rule has no occurrence for more than a century after the due date");
        end_refused(s, &err);
        break;
    }
}

static void on_series(void *ctx, int status, const struct db_series *series,
                      const struct error *err)
{
    struct step *s = ctx;
    if (status)
        end_failed(s, status, err);
    else if (!series->is_found)
        end_done(s, GONE);
    else if (!series->is_completed)
        end_done(s, REOPENED);
    else
        find_next(s, series);
}

/* ---- the event ------------------------------------------------------------------------------ */

/* The event's table has checked that it is a text or null. */
static struct slice text_of(const cJSON *data, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(data, name);
    return cJSON_IsString(item) ? slice_from_cstr(item->valuestring) : SLICE_EMPTY;
}

static int read_event(struct step *s, struct error *err)
{
    const cJSON *data = s->event->data;
    const char *directory = s->recurring->options.zone_directory;
    struct recurrence text;
    struct slice due = text_of(data, "due_date");
    s->zone_name = text_of(data, "timezone");
    if (recurrence_parse(s->rule_text, &text, &s->rule, err) < 0)
        return BASE_EINVAL;
    if (!due.ptr || clock_parse_rfc3339(due, &s->due_us, NULL) < 0)
        return error_set(err, BASE_EINVAL, "due_date", "a task that repeats needs a due date");
    return zone_open(directory ? directory : ZONE_DIRECTORY, s->zone_name, &s->zone, err);
}

void recurring_handle(struct recurring *r, const struct consumer_event *event,
                      struct consumer_turn *turn)
{
    struct error err;
    struct slice rule_text = text_of(event->data, "recurrence_rule");
    if (!rule_text.ptr) {
        end_turn(r, turn, SINGLE, CONSUMER_DONE, NULL);
        return;
    }
    struct step *s = mem_calloc(1, sizeof(*s));
    if (!s) {
        error_set(&err, BASE_ENOMEM, NULL, "out of memory");
        end_turn(r, turn, FAILED, CONSUMER_UNAVAILABLE, &err);
        return;
    }
    s->recurring = r;
    s->event = event;
    s->turn = turn;
    s->rule_text = rule_text;
    int status = read_event(s, &err);
    if (status == BASE_ENOMEM) {
        end_step(s, FAILED, CONSUMER_UNAVAILABLE, &err);
    } else if (status) {
        end_refused(s, &err);
    } else {
        status = db_series_get(r->pool, event->user_id, event->task_id, on_series, s, NULL, &err);
        if (status)
            end_failed(s, status, &err);
    }
}

/* ---- life ----------------------------------------------------------------------------------- */

int recurring_new(struct db_pool *pool, const struct log *log,
                  const struct recurring_options *options, struct recurring **out,
                  struct error *err)
{
    *out = NULL;
    struct recurring *r = mem_calloc(1, sizeof(*r));
    if (!r)
        return error_set(err, BASE_ENOMEM, NULL, "out of memory");
    *r = (struct recurring){.pool = pool, .log = log, .options = *options};
    int status = metrics_add(options->metrics, &outcomes_def, &r->outcomes, err);
    if (status) {
        mem_free(r);
        return status;
    }
    for (int i = 0; i < OUTCOMES; i++) /* shown as 0 before the first */
        metric_with(r->outcomes, &outcome_names[i]);
    *out = r;
    return 0;
}

void recurring_free(struct recurring *r)
{
    mem_free(r);
}
