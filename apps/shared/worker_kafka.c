/* KAFKA_BROKERS without the sidecar: the topics of the routes' events, as a member of the group. */
#include <assert.h>
#include <string.h>

#include "events/source_kafka.h"
#include "shared/worker_int.h"

static void add_topic(struct run_kafka *k, const char *topic)
{
    for (size_t i = 0; i < k->topic_count; i++) {
        if (strcmp(k->topics[i], topic) == 0)
            return;
    }
    assert(k->topic_count < EVENT_KINDS);
    k->topics[k->topic_count++] = topic;
}

int run_kafka_open(struct run *r, struct error *err)
{
    const struct worker_spec *spec = r->worker.spec;
    struct run_kafka *k = &r->kafka;
    if (r->settings.transport != SHARED_KAFKA)
        return 0;
    for (size_t i = 0; i < spec->route_count; i++)
        add_topic(k, event_def(r->routes[i].kind)->topic);
    const struct source_kafka_options options = {.config = r->settings.kafka,
                                                 .group = spec->app_id,
                                                 .topics = k->topics,
                                                 .topic_count = k->topic_count,
                                                 .consumer = r->consumer,
                                                 .close_ms = r->settings.drain_ms};
    return source_kafka_new(&r->loop, &options, &r->log, &k->source, err);
}

static void on_closed(void *ctx)
{
    run_source_ended(ctx);
}

bool run_kafka_close(struct run *r)
{
    if (!r->kafka.source)
        return false;
    source_kafka_close(r->kafka.source, on_closed, r);
    r->kafka.source = NULL;
    return true;
}

bool run_kafka_is_up(const struct run *r)
{
    struct source_kafka_stats stats;
    if (!r->kafka.source)
        return false;
    source_kafka_read_stats(r->kafka.source, &stats);
    return stats.has_joined;
}
