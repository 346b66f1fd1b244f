#pragma once
/* apps/shared/pool_metrics: what a program counts of its connections to the database.
 * Memory: the caller's, which must outlive the registry. */
struct db_pool;
struct error;
struct metrics;

struct pool_metrics {
    const struct db_pool *pool; /* borrowed; NULL while there is none */
};

/* 0, or as metrics_add. */
__attribute__((warn_unused_result)) int pool_metrics_open(struct pool_metrics *p, struct metrics *m,
                                                          struct error *err);
