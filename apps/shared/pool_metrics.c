#include "shared/pool_metrics.h"

#include "base/metrics.h"
#include "db/pool.h"

static struct db_pool_stats stats_of(void *ctx)
{
    const struct pool_metrics *p = ctx;
    struct db_pool_stats stats = {0};
    if (p->pool)
        db_pool_stats(p->pool, &stats);
    return stats;
}

static double connections(void *ctx)
{
    return stats_of(ctx).connections_up;
}

static double busy(void *ctx)
{
    return stats_of(ctx).connections_busy;
}

static double queued(void *ctx)
{
    return stats_of(ctx).queued;
}

static double statements(void *ctx)
{
    return (double)stats_of(ctx).statements;
}

static double reconnects(void *ctx)
{
    return (double)stats_of(ctx).reconnects;
}

static const struct {
    struct metric_def def;
    metric_read_fn read;
} reads[] = {
    {{.name = "todo_db_connections", .help = "Connections to PostgreSQL.", .type = METRIC_GAUGE},
     connections},
    {{.name = "todo_db_connections_busy", .help = "… that wait for answers.", .type = METRIC_GAUGE},
     busy},
    {{.name = "todo_db_queued", .help = "Statements that wait for one.", .type = METRIC_GAUGE},
     queued},
    {{.name = "todo_db_statements_total", .help = "Statements run.", .type = METRIC_COUNTER},
     statements},
    {{.name = "todo_db_reconnects_total", .help = "Connections lost.", .type = METRIC_COUNTER},
     reconnects},
};

int pool_metrics_open(struct pool_metrics *p, struct metrics *m, struct error *err)
{
    int status = 0;
    for (size_t i = 0; i < sizeof(reads) / sizeof(*reads) && !status; i++)
        status = metrics_add_read(m, &reads[i].def, reads[i].read, p, err);
    return status;
}
