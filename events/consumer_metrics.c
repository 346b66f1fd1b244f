#include "events/consumer_metrics_int.h"

#include "base/clock.h"
#include "base/metrics.h"
#include "events/consumer_int.h"

static const struct metric_def consumed_def = {"todo_events_consumed_total",
                                               "Deliveries of events, by type and by what became "
                                               "of them.",
                                               METRIC_COUNTER,
                                               {"type", "outcome"},
                                               NULL,
                                               0};
static const struct metric_def retries_def = {"todo_event_retries_total",
                                              "Tries of a handler that failed and were followed by "
                                              "another.",
                                              METRIC_COUNTER,
                                              {"type"},
                                              NULL,
                                              0};
static const struct metric_def seconds_def = {
    "todo_event_handling_seconds", "From a delivery to its answer.", METRIC_HISTOGRAM, {"type"},
    metric_bounds_seconds,         METRIC_BOUNDS_SECONDS_COUNT};

int consumer_metrics_init(struct consumer_metrics *out, struct metrics *m, struct error *err)
{
    int status = metrics_add(m, &consumed_def, &out->consumed, err);
    if (!status)
        status = metrics_add(m, &retries_def, &out->retries, err);
    if (!status)
        status = metrics_add(m, &seconds_def, &out->seconds, err);
    return status;
}

/* A type that is none of ours is anybody's text. */
static const char *type_of(const struct consumer_turn *t)
{
    enum event_kind kind;
    const char *type = t->envelope.type;
    return type && event_kind_of_type(type, &kind) ? type : "unknown";
}

const char *consumer_outcome_name(enum consumer_outcome outcome)
{
    switch (outcome) {
    case CONSUMER_OUTCOME_DONE:
        return "done";
    case CONSUMER_OUTCOME_REPEATED:
        return "repeated";
    case CONSUMER_OUTCOME_IGNORED:
        return "ignored";
    case CONSUMER_OUTCOME_DEAD:
        return "dead_letter";
    case CONSUMER_OUTCOME_UNAVAILABLE:
        return "given_back";
    }
    return "";
}

void consumer_metrics_end(const struct consumer_metrics *c, const struct consumer_turn *t,
                          enum consumer_outcome outcome)
{
    const char *values[] = {type_of(t), consumer_outcome_name(outcome)};
    metric_count(metric_with(c->consumed, values), 1);
    metric_observe(metric_with(c->seconds, values),
                   (double)(clock_monotonic_us() - t->since_us) / 1e6);
}

void consumer_metrics_retry(const struct consumer_metrics *c, const struct consumer_turn *t)
{
    const char *values[] = {type_of(t)};
    metric_count(metric_with(c->retries, values), 1);
}
