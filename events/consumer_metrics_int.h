#pragma once
/* events/consumer_metrics_int: what a consumer counts. */
#include "events/consumer.h"

struct metric;

enum consumer_outcome {
    CONSUMER_OUTCOME_DONE,
    CONSUMER_OUTCOME_REPEATED,
    CONSUMER_OUTCOME_IGNORED,
    CONSUMER_OUTCOME_DEAD,
    CONSUMER_OUTCOME_UNAVAILABLE,
};

const char *consumer_outcome_name(enum consumer_outcome outcome);

struct consumer_metrics {
    struct metric *consumed; /* type, outcome */
    struct metric *retries;  /* type */
    struct metric *seconds;  /* type */
};

/* The families; `m` may be NULL. */
__attribute__((warn_unused_result)) int consumer_metrics_init(struct consumer_metrics *out,
                                                              struct metrics *m, struct error *err);
/* A delivery's end. */
void consumer_metrics_end(const struct consumer_metrics *c, const struct consumer_turn *t,
                          enum consumer_outcome outcome);
void consumer_metrics_retry(const struct consumer_metrics *c, const struct consumer_turn *t);
