/* open: (the sidecar's client ->) transport -> relay
 * close: relay -> transport -> client, or the bell */
#include "outgoing.h"

#include "base/error.h"
#include "base/secret.h"
#include "dapr/client.h"
#include "events/outbox_bell.h"
#include "events/relay.h"
#include "events/transport.h"
#include "events/transport_dapr.h"
#include "events/transport_direct.h"
#include "events/transport_kafka.h"
#include "observe.h"
#include "settings.h"

#define HOUR_S 3600
#define DAY_S  86400

/* ---- open ---- */

static int open_dapr(struct outgoing *o, uv_loop_t *loop, const struct shared_settings *s,
                     struct error *err)
{
    const struct dapr_client_options client = {.port = s->dapr_http_port,
                                               .api_token = secret_text(&s->dapr_api_token)};
    int status = dapr_client_new(loop, &client, o->log, &o->dapr, err);
    if (status)
        return status;
    const struct transport_dapr_options options = {.client = o->dapr, .pubsub = s->pubsub_name};
    return transport_dapr_new(loop, &options, o->log, &o->transport, err);
}

static int open_kafka(struct outgoing *o, uv_loop_t *loop, const struct shared_settings *s,
                      struct error *err)
{
    const struct transport_kafka_options options = {.config = s->kafka};
    return transport_kafka_new(loop, &options, o->log, &o->transport, err);
}

static int open_direct(struct outgoing *o, uv_loop_t *loop, const struct settings *s,
                       struct error *err)
{
    const struct transport_direct_options options = {.subscribers = s->event_subscribers,
                                                     .token = &s->shared.app_api_token};
    return transport_direct_new(loop, &options, &o->transport, err);
}

static int open_transport(struct outgoing *o, uv_loop_t *loop, const struct settings *s,
                          struct error *err)
{
    switch (s->shared.transport) {
    case SHARED_DAPR:
        return open_dapr(o, loop, &s->shared, err);
    case SHARED_KAFKA:
        return open_kafka(o, loop, &s->shared, err);
    case SHARED_DIRECT:
        break;
    }
    return open_direct(o, loop, s, err);
}

static int open_relay(struct outgoing *o, const struct outgoing_parts *parts, struct error *err)
{
    const struct settings *s = parts->settings;
    struct relay_options options = relay_options_default;
    options.conninfo = parts->conninfo;
    options.broker_id = s->broker_id;
    options.attempts_max = s->attempts_max;
    options.outbox_retention_s = s->outbox_hours * HOUR_S;
    options.inbox_retention_s = s->inbox_days * DAY_S;
    options.replay_s = s->replay_hours * HOUR_S;
    options.on_acked = parts->observe ? observe_acked : NULL;
    options.ctx = parts->observe;
    options.tracer = parts->tracer;
    int status = open_transport(o, parts->loop, s, err);
    return status ? status : relay_new(parts->loop, &options, o->transport, o->log, &o->relay, err);
}

int outgoing_open(struct outgoing *o, const struct outgoing_parts *parts, struct error *err)
{
    *o = (struct outgoing){.log = parts->log};
    if (parts->settings->has_relay)
        return open_relay(o, parts, err);
    int status = outbox_bell_new(parts->loop, parts->pool, &o->bell);
    return status ? error_set(err, status, NULL, "out of memory") : 0;
}

void outgoing_wake(struct outgoing *o)
{
    if (o->relay)
        relay_wake(o->relay);
    else if (o->bell)
        outbox_bell_ring(o->bell);
}

/* ---- close ---- */

static void end(struct outgoing *o)
{
    o->closed(o->closed_ctx);
}

static void on_client_closed(void *ctx)
{
    struct outgoing *o = ctx;
    o->dapr = NULL;
    end(o);
}

static void close_client(struct outgoing *o)
{
    if (o->dapr)
        dapr_client_close(o->dapr, on_client_closed, o);
    else
        end(o);
}

static void on_transport_closed(void *ctx)
{
    struct outgoing *o = ctx;
    o->transport = NULL;
    close_client(o);
}

static void close_transport(struct outgoing *o)
{
    if (o->transport)
        transport_close(o->transport, on_transport_closed, o);
    else
        close_client(o);
}

static void on_relay_closed(void *ctx)
{
    struct outgoing *o = ctx;
    o->relay = NULL;
    close_transport(o);
}

static void on_bell_closed(void *ctx)
{
    struct outgoing *o = ctx;
    o->bell = NULL;
    end(o);
}

void outgoing_close(struct outgoing *o, uint32_t drain_ms, outgoing_closed_fn closed, void *ctx)
{
    o->closed = closed;
    o->closed_ctx = ctx;
    if (o->relay)
        relay_close(o->relay, drain_ms, on_relay_closed, o);
    else if (o->bell)
        outbox_bell_close(o->bell, on_bell_closed, o);
    else
        close_transport(o);
}
