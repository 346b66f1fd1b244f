/* events/transport_kafka: a publish is a job, and each of its events a message of librdkafka whose
 * opaque pointer leads back to it:
 *
 *   publish -> job, a message for each entry -> delivery reports -> settle -> done
 *
 * A job ends when each of its messages has its report; librdkafka promises one for each, at the
 * latest when message.timeout.ms is over. A producer that is doomed (a fatal error, which the
 * idempotent producer raises where it can no more promise anything) has what it holds purged, which
 * yields those reports too, and ends when it holds nothing; the next publish makes a new one. */
#include "events/transport_kafka.h"

#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "events/cloudevent.h"
#include "events/kafka_int.h"

/* With these one broker takes more than a relay can read: see tests/support/kafka_publish. */
#define ENTRIES_MAX     500
#define PUBLISH_MAX     8
#define TIMEOUT_MS      10000
#define CLOSE_MS        5000
#define HEADERS_OF_DEAD 4

struct job {
    struct job *next; /* in `settled` */
    struct transport_kafka *t;
    transport_done_fn done;
    void *ctx;
    size_t count, waiting; /* for reports */
    bool is_starting;
    struct transport_result *results;
    struct job *owner[]; /* of message i: all this job; where each points is what tells i */
};

/* Somebody asks which cluster it is. */
struct question {
    struct question *next;
    transport_identity_fn fn;
    void *ctx;
};

struct producer {
    struct producer *prev, *next;
    struct transport_kafka *t;
    struct kafka_client *client;
    size_t held; /* messages without a report */
    bool is_doomed;
};

struct transport_kafka {
    struct transport base;
    uv_loop_t *loop;
    const struct log *log;
    struct transport_kafka_options options;
    struct producer *producers; /* all of them, until they are gone */
    struct producer *current;   /* NULL: the next publish makes one */
    struct job *settled;        /* ended within their start: told by the timer */
    struct question *questions; /* answered by the timer */
    uint32_t job_count;
    uv_timer_t timer; /* for what must not come from inside a call */
    uv_timer_t limit; /* of the close */
    int open_timers;
    bool is_closing, is_gone;
    transport_closed_fn closed;
    void *closed_ctx;
};

static void finish_close(struct transport_kafka *t);

/* ---- outcomes ---- */

static enum transport_outcome outcome_of(rd_kafka_resp_err_t code)
{
    switch ((int)code) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
        return TRANSPORT_ACKED;
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_INVALID_MSG:
    case RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE:
    case RD_KAFKA_RESP_ERR_INVALID_RECORD:
    case RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP:
        return TRANSPORT_REFUSED;
    default:
        return TRANSPORT_UNAVAILABLE;
    }
}

/* A message that only ran out of time says nothing; what the client saw of its brokers does. */
static void fill_result(struct transport_result *r, rd_kafka_resp_err_t code, const char *trouble)
{
    r->outcome = outcome_of(code);
    if (r->outcome == TRANSPORT_ACKED)
        return;
    snprintf(r->reason, sizeof(r->reason), "%s%s%s", rd_kafka_err2str(code), *trouble ? "; " : "",
             trouble);
}

static void end_job(struct job *job)
{
    struct transport_kafka *t = job->t;
    job->done(job->ctx, job->results, job->count);
    mem_free(job);
    t->job_count--;
}

/* As the last metadata said; nothing as long as none came. */
static void answer_questions(struct transport_kafka *t)
{
    while (t->questions) {
        struct question *q = t->questions;
        char *id = t->current ? rd_kafka_clusterid(t->current->client->rk, 0) : NULL;
        t->questions = q->next;
        q->fn(q->ctx, slice_from_cstr(id));
        mem_free(q);
        if (id)
            rd_kafka_mem_free(NULL, id);
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct transport_kafka *t = timer->data;
    answer_questions(t);
    while (t->settled) {
        struct job *job = t->settled;
        t->settled = job->next;
        end_job(job);
    }
    if (t->is_closing)
        finish_close(t);
}

static void settle(struct job *job, size_t index, rd_kafka_resp_err_t code, const char *trouble)
{
    fill_result(&job->results[index], code, trouble);
    if (--job->waiting == 0 && !job->is_starting)
        end_job(job);
}

/* ---- producers ---- */

static void on_producer_ended(void *ctx)
{
    struct producer *p = ctx;
    struct transport_kafka *t = p->t;
    if (p->prev)
        p->prev->next = p->next;
    else
        t->producers = p->next;
    if (p->next)
        p->next->prev = p->prev;
    mem_free(p);
    if (t->is_closing)
        finish_close(t);
}

static void end_if_empty(struct producer *p)
{
    if (p->is_doomed && p->held == 0 && p->client) {
        struct kafka_client *client = p->client;
        p->client = NULL;
        kafka_client_end(client, 0, on_producer_ended, p);
    }
}

static void doom(struct producer *p)
{
    p->is_doomed = true;
    if (p->t->current == p)
        p->t->current = NULL;
    if (p->held > 0)
        rd_kafka_purge(p->client->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT |
                                          RD_KAFKA_PURGE_F_NON_BLOCKING);
}

static void take_reports(struct producer *p, rd_kafka_event_t *event)
{
    const rd_kafka_message_t *message;
    while ((message = rd_kafka_event_message_next(event))) {
        struct job **owner = message->_private;
        struct job *job = *owner;
        if (!message->err)
            p->client->trouble[0] = '\0';
        p->held--;
        settle(job, (size_t)(owner - job->owner), message->err, p->client->trouble);
    }
}

static void take_error(struct producer *p, rd_kafka_event_t *event)
{
    char why[160];
    if (!rd_kafka_event_error_is_fatal(event) || p->is_doomed)
        return;
    rd_kafka_resp_err_t code = rd_kafka_fatal_error(p->client->rk, why, sizeof(why));
    log_warn(p->t->log, "Kafka's producer is broken and is made anew",
             log_str("code", rd_kafka_err2name(code)), log_str("reason", why));
    doom(p);
}

static void on_event(void *ctx, rd_kafka_event_t *take_event)
{
    struct producer *p = ctx;
    if (rd_kafka_event_type(take_event) == RD_KAFKA_EVENT_DR)
        take_reports(p, take_event);
    else if (rd_kafka_event_type(take_event) == RD_KAFKA_EVENT_ERROR)
        take_error(p, take_event);
    rd_kafka_event_destroy(take_event);
}

static void on_served(void *ctx)
{
    struct producer *p = ctx;
    struct transport_kafka *t = p->t;
    if (t->is_closing)
        finish_close(t);
    end_if_empty(p);
}

/* Acks of all replicas come with idempotence, as do retries without end in the message's time. */
static int make_conf(const struct transport_kafka *t, rd_kafka_conf_t **out, struct error *err)
{
    char timeout[16];
    snprintf(timeout, sizeof(timeout), "%u", (unsigned)t->options.timeout_ms);
    const struct kafka_property own[] = {
        {"enable.idempotence", "true"},
        {"acks", "all"},
        {"message.timeout.ms", timeout},
        {"partitioner", "fnv1a"}, /* as sarama's, which daprd has */
        /* A publish is a burst, so batches form by themselves, and a lone event is not late. */
        {"linger.ms", "0"},
        {"message.max.bytes", "1048576"},
        {"queue.buffering.max.messages", "20000"},
    };
    return kafka_conf_new(&t->options.config, own, sizeof(own) / sizeof(*own), out, err);
}

static int start_producer(struct transport_kafka *t, struct error *err)
{
    rd_kafka_conf_t *conf = NULL;
    struct producer *p = mem_calloc(1, sizeof(*p));
    if (!p)
        return error_set(err, BASE_ENOMEM, NULL, "out of memory");
    *p = (struct producer){.t = t};
    const struct kafka_client_options options = {.config = &t->options.config,

                                                 .type = RD_KAFKA_PRODUCER,
                                                 .on_event = on_event,
                                                 .on_served = on_served,
                                                 .ctx = p};
    int status = make_conf(t, &conf, err);
    if (!status)
        status = kafka_client_new(t->loop, &options, conf, t->log, &p->client, err);
    if (status) {
        mem_free(p);
        return status;
    }
    p->next = t->producers;
    if (p->next)
        p->next->prev = p;
    t->producers = p;
    t->current = p;
    return 0;
}

/* ---- publish ---- */

static rd_kafka_resp_err_t add_header(rd_kafka_headers_t *headers, const char *name,
                                      struct slice value)
{
    return rd_kafka_header_add(headers, name, -1, value.len ? value.ptr : "", (ssize_t)value.len);
}

static struct slice content_type(const struct transport_entry *entry)
{
    struct cloudevent event;
    if (entry->death && cloudevent_parse(entry->event, &event, NULL))
        return SLICE_LIT("application/octet-stream");
    if (entry->death)
        cloudevent_deinit(&event);
    return SLICE_LIT(CLOUDEVENT_MIME);
}

static rd_kafka_resp_err_t fill_headers(rd_kafka_headers_t *headers,
                                        const struct transport_entry *entry)
{
    rd_kafka_resp_err_t code = add_header(headers, "content-type", content_type(entry));
    const struct transport_death *death = entry->death;
    if (code || !death)
        return code;
    char attempts[24];
    int len = snprintf(attempts, sizeof(attempts), "%lld", (long long)death->attempts);
    const struct {
        const char *name;
        struct slice value;
    } list[HEADERS_OF_DEAD] = {
        {"dlq-reason", death->reason},
        {"dlq-attempts", {attempts, (size_t)len}},
        {"dlq-consumer", death->consumer},
        {"dlq-topic", death->topic},
    };
    for (size_t i = 0; i < HEADERS_OF_DEAD && !code; i++)
        code = add_header(headers, list[i].name, list[i].value);
    return code;
}

/* Headers are taken over only where the message is taken. */
static rd_kafka_resp_err_t produce(struct producer *p, const char *topic,
                                   const struct transport_entry *entry,
                                   rd_kafka_headers_t *take_headers, struct job **owner)
{
    const rd_kafka_vu_t list[] = {
        {.vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = topic},
        {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
        {.vtype = RD_KAFKA_VTYPE_KEY,
         .u.mem = {(void *)(uintptr_t)(entry->key.len ? entry->key.ptr : NULL), entry->key.len}},
        {.vtype = RD_KAFKA_VTYPE_VALUE,
         .u.mem = {(void *)(uintptr_t)entry->event.ptr, entry->event.len}},
        {.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = take_headers},
        {.vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = owner},
    };
    rd_kafka_error_t *error = rd_kafka_produceva(p->client->rk, list, sizeof(list) / sizeof(*list));
    rd_kafka_resp_err_t code = rd_kafka_error_code(error);
    if (error)
        rd_kafka_error_destroy(error);
    return code;
}

static rd_kafka_resp_err_t send_entry(struct producer *p, const char *topic,
                                      const struct transport_entry *entry, struct job **owner)
{
    rd_kafka_headers_t *headers = rd_kafka_headers_new(1 + HEADERS_OF_DEAD);
    rd_kafka_resp_err_t code = fill_headers(headers, entry);
    if (!code)
        code = produce(p, topic, entry, headers, owner);
    if (code)
        rd_kafka_headers_destroy(headers);
    else
        p->held++;
    return code;
}

static struct job *job_new(struct transport_kafka *t, size_t count, transport_done_fn done,
                           void *ctx)
{
    size_t head = sizeof(struct job) + count * sizeof(struct job *);
    struct job *job = mem_calloc(1, head + count * sizeof(struct transport_result));
    if (!job)
        return NULL;
    job->t = t;
    job->done = done;
    job->ctx = ctx;
    job->count = count;
    job->waiting = count;
    job->results = (struct transport_result *)(void *)((char *)job + head);
    for (size_t i = 0; i < count; i++)
        job->owner[i] = job;
    t->job_count++;
    return job;
}

static void send_all(struct transport_kafka *t, struct job *job, const char *topic,
                     const struct transport_entry *entries, const char *trouble)
{
    job->is_starting = true;
    for (size_t i = 0; i < job->count; i++) {
        rd_kafka_resp_err_t code = t->current
                                       ? send_entry(t->current, topic, &entries[i], &job->owner[i])
                                       : RD_KAFKA_RESP_ERR__STATE;
        if (code)
            settle(job, i, code, trouble);
    }
    job->is_starting = false;
    if (job->waiting > 0)
        return;
    job->next = t->settled;
    t->settled = job;
    uv_timer_start(&t->timer, on_timer, 0, 0);
}

static int publish(struct transport *base, const char *topic, const struct transport_entry *entries,
                   size_t count, transport_done_fn done, void *ctx)
{
    struct transport_kafka *t = (struct transport_kafka *)(void *)base;
    struct error why = {0};
    if (t->is_closing)
        return BASE_ECLOSED;
    if (t->job_count >= base->publish_max || count > base->entries_max)
        return BASE_ELIMIT;
    struct job *job = job_new(t, count, done, ctx);
    if (!job)
        return BASE_ENOMEM;
    if (!t->current && start_producer(t, &why))
        log_warn(t->log, "Kafka's producer cannot be made", log_str("reason", why.text));
    send_all(t, job, topic, entries, why.text);
    return 0;
}

static int identify(struct transport *base, transport_identity_fn fn, void *ctx)
{
    struct transport_kafka *t = (struct transport_kafka *)(void *)base;
    if (t->is_closing)
        return BASE_ECLOSED;
    struct question *q = mem_alloc(sizeof(*q));
    if (!q)
        return BASE_ENOMEM;
    *q = (struct question){.next = t->questions, .fn = fn, .ctx = ctx};
    t->questions = q;
    uv_timer_start(&t->timer, on_timer, 0, 0);
    return 0;
}

/* ---- life ---- */

static void on_timer_closed(uv_handle_t *handle)
{
    struct transport_kafka *t = handle->data;
    transport_closed_fn closed = t->closed;
    void *ctx = t->closed_ctx;
    if (--t->open_timers > 0)
        return;
    mem_free(t);
    closed(ctx);
}

static void doom_all(struct transport_kafka *t)
{
    struct producer *next = NULL;
    for (struct producer *p = t->producers; p; p = next) {
        next = p->next;
        if (!p->is_doomed)
            doom(p);
        end_if_empty(p);
    }
}

/* Goes a step further whenever something has ended. */
static void finish_close(struct transport_kafka *t)
{
    if (t->job_count > 0 || t->is_gone)
        return;
    doom_all(t);
    if (t->producers)
        return;
    t->is_gone = true;
    uv_close((uv_handle_t *)&t->timer, on_timer_closed);
    uv_close((uv_handle_t *)&t->limit, on_timer_closed);
}

/* What is in flight is given up; its reports come from the purge. */
static void on_limit(uv_timer_t *timer)
{
    doom_all(timer->data);
}

static void close_transport(struct transport *base, transport_closed_fn closed, void *ctx)
{
    struct transport_kafka *t = (struct transport_kafka *)(void *)base;
    assert(!t->is_closing);
    t->is_closing = true;
    t->closed = closed;
    t->closed_ctx = ctx;
    uv_timer_start(&t->timer, on_timer, 0, 0);
    uv_timer_start(&t->limit, on_limit, t->options.close_ms, 0);
}

int transport_kafka_new(uv_loop_t *loop, const struct transport_kafka_options *options,
                        const struct log *log, struct transport **out, struct error *err)
{
    struct transport_kafka *t = mem_calloc(1, sizeof(*t));
    if (!t)
        return error_set(err, BASE_ENOMEM, NULL, "out of memory");
    *t = (struct transport_kafka){
        .base = {"kafka", ENTRIES_MAX, PUBLISH_MAX, publish, close_transport, identify},
        .loop = loop,
        .log = log,
        .options = *options};
    if (!t->options.timeout_ms)
        t->options.timeout_ms = TIMEOUT_MS;
    if (!t->options.close_ms)
        t->options.close_ms = CLOSE_MS;
    int status = kafka_config_check(&t->options.config, err);
    if (!status)
        status = start_producer(t, err);
    if (status) {
        mem_free(t);
        return status;
    }
    uv_timer_init(loop, &t->timer);
    uv_timer_init(loop, &t->limit);
    t->timer.data = t;
    t->limit.data = t;
    t->open_timers = 2;
    *out = &t->base;
    return 0;
}
