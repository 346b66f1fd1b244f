#pragma once
/* base/metrics: counters, gauges and histograms, and their text for Prometheus (exposition format
 * 0.0.4).
 * Use:     metrics_new -> metrics_add (a family: name, labels) -> metric_with (one of its series)
 *          -> metric_count, metric_set, metric_observe … -> metrics_write -> metrics_free.
 * Owns:    families and series; label values are copied. Definitions are borrowed for ever.
 * Thread:  loop thread only: no locks.
 * Limits:  METRIC_SERIES_MAX series a family. What is past it, or finds no memory, is counted in
 *          the series whose labels are all "_other", which is there from the start: counting never
 *          fails, and no caller can make the text grow without end.
 * Nothing: a NULL registry, family or series counts nothing. */
#include <stddef.h>
#include <stdint.h>

struct buf;
struct error;
struct metric;
struct metric_series;
struct metrics;

#define METRIC_LABELS_MAX 4
#define METRIC_SERIES_MAX 200
#define METRICS_MIME      "text/plain; version=0.0.4; charset=utf-8"

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

struct metric_def {
    const char *name; /* of a counter: ends with _total; units are base units: _seconds, _bytes */
    const char *help; /* one sentence */
    enum metric_type type;
    const char *labels[METRIC_LABELS_MAX]; /* names; NULL where there are fewer */
    const double *bounds;                  /* of a histogram: upper bounds, ascending */
    size_t bound_count;
};

/* From 1 ms to 10 s. */
extern const double metric_bounds_seconds[];
#define METRIC_BOUNDS_SECONDS_COUNT 13

__attribute__((warn_unused_result)) int metrics_new(struct metrics **out);
void metrics_free(struct metrics *m);

/* A family. 0 and *out (NULL where `m` is); BASE_ENOMEM; BASE_EINVAL: a name or label that the
 * format does not allow, or one that is there. */
__attribute__((warn_unused_result)) int metrics_add(struct metrics *m, const struct metric_def *def,
                                                    struct metric **out, struct error *err);
/* A family without labels whose value is asked for whenever the text is written. */
typedef double (*metric_read_fn)(void *ctx);
__attribute__((warn_unused_result)) int metrics_add_read(struct metrics *m,
                                                         const struct metric_def *def,
                                                         metric_read_fn read, void *ctx,
                                                         struct error *err);
/* What the process is made of: CPU, memory, files, start (Linux /proc). */
__attribute__((warn_unused_result)) int metrics_add_process(struct metrics *m, struct error *err);

/* The series of these label values, in the order of the definition; made when it is new. */
struct metric_series *metric_with(struct metric *family, const char *const *values);
void metric_count(struct metric_series *s, double by); /* counters, by >= 0; gauges */
void metric_set(struct metric_series *s, double value);
void metric_observe(struct metric_series *s, double value);

/* Appends the text of all; buf_status says whether it fitted. */
void metrics_write(const struct metrics *m, struct buf *out);
