/* events/source_kafka: the member of the group. All of it is one round, on_served, which comes
 * after each event of librdkafka, after each answer (by a wake) and when the timer says so:
 *
 *   what waited becomes ready -> ready is delivered, new is taken -> what is done is stored
 *   -> a rebalance goes a step -> the close goes a step -> the timer is set to the next thing due
 *
 * What is stored librdkafka commits: twice a second, and for a partition that is given back, before
 * it is. To commit it ourselves at any time would be wrong: while the group comes together again
 * the broker refuses the commit, and librdkafka takes that for the loss of all partitions.
 *
 * Partitions have queues of their own rather than all their messages in the consumer's: for back
 * pressure they are left lying, and librdkafka fetches no more once enough lie there. Pausing and
 * resuming would throw away what is fetched, and in the releases that distributions have it can go
 * back to an older position. */
#include "events/source_kafka.h"

#include <assert.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "events/source_kafka_int.h"

#define WINDOW_MAX 256
#define CLOSE_MS   10000
#define REVOKE_MS  10000
#define STEP_MS    3000 /* the last commit, and leaving the group */
#define FULL_MS    50   /* between tries while the consumer is full: others may fill it */
#define TICK_MS    5000 /* librdkafka takes a member that does not ask for a minute for dead */

static void on_served(void *ctx);

static uint64_t now_of(const struct source_kafka *s)
{
    return uv_now(s->loop);
}

static uint32_t under_way(const struct source_kafka *s, bool is_of_ending)
{
    uint32_t count = 0;
    for (const struct partition *p = s->partitions; p; p = p->next) {
        if (!is_of_ending || p->is_ending)
            count += p->under_way;
    }
    return count;
}

static struct partition *find(const struct source_kafka *s, const rd_kafka_topic_partition_t *item)
{
    struct partition *p = s->partitions;
    while (p && (p->id != item->partition || strcmp(p->topic, item->topic) != 0))
        p = p->next;
    return p;
}

/* ---- commits ---- */

/* Behind what was committed: the broker has lost its data, and a commit that had waited for it came
 * after all. librdkafka never commits backwards by itself; left alone, that offset would one day
 * hide events that nobody has had. */
static void commit_back(struct source_kafka *s, struct partition *p)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, p->topic, p->id)->offset = p->done;
    log_warn(s->log, "a partition begins anew", log_str("topic", p->topic),
             log_int("partition", p->id), log_int("offset", p->done));
    p->mark->committed = p->done;
    (void)rd_kafka_commit_queue(s->client->rk, list, s->client->queue, NULL, NULL);
    rd_kafka_topic_partition_list_destroy(list);
}

/* Refused only for a partition that is no more ours. */
static void store_offsets(struct source_kafka *s)
{
    rd_kafka_topic_partition_list_t *list = NULL;
    for (struct partition *p = s->partitions; p; p = p->next) {
        if (p->done >= 0 && p->done < p->mark->committed)
            commit_back(s, p);
        if (p->done == p->stored)
            continue;
        if (!list)
            list = rd_kafka_topic_partition_list_new(8);
        rd_kafka_topic_partition_list_add(list, p->topic, p->id)->offset = p->done;
        p->stored = p->done;
    }
    if (!list)
        return;
    (void)rd_kafka_offsets_store(s->client->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
}

static void note_committed(struct source_kafka *s, const rd_kafka_topic_partition_list_t *list)
{
    for (int i = 0; list && i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *item = &list->elems[i];
        struct mark *m = source_mark_find(s, item->topic, item->partition);
        if (m && !item->err && item->offset >= 0)
            m->committed = item->offset;
    }
}

/* Those of a member that is no more in the group are refused: the next owner does them again, and
 * the inbox knows them. */
static void take_commit(struct source_kafka *s, rd_kafka_event_t *event)
{
    rd_kafka_resp_err_t code = rd_kafka_event_error(event);
    if (code == RD_KAFKA_RESP_ERR__NO_OFFSET)
        return;
    if (!code) {
        note_committed(s, rd_kafka_event_topic_partition_list(event));
        s->stats.commits++;
        return;
    }
    s->stats.bad_commits++;
    log_warn(s->log, "offsets were not committed", log_str("code", rd_kafka_err2name(code)),
             log_str("reason", rd_kafka_err2str(code)));
}

/* ---- rebalances ---- */

static void end_rebalance(struct source_kafka *s)
{
    rd_kafka_event_destroy(s->rebalance);
    s->rebalance = NULL;
}

static void tell_rebalance(struct source_kafka *s, const char *what, int count,
                           rd_kafka_error_t *take_error)
{
    if (take_error)
        log_warn(s->log, "a rebalance failed",
                 log_str("code", rd_kafka_err2name(rd_kafka_error_code(take_error))),
                 log_str("reason", rd_kafka_error_string(take_error)));
    else
        log_info(s->log, what, log_str("consumer", s->options.group), log_int("count", count),
                 log_int("partitions", s->stats.partitions));
    if (take_error)
        rd_kafka_error_destroy(take_error);
}

/* Without memory for all of them it is tried again: until then the group waits for us. */
static void assign_step(struct source_kafka *s, const rd_kafka_topic_partition_list_t *list)
{
    for (int i = 0; i < list->cnt; i++) {
        if (find(s, &list->elems[i]))
            continue;
        struct partition *p =
            source_partition_new(s, list->elems[i].topic, list->elems[i].partition);
        if (!p)
            return;
        p->is_ending = s->state != SOURCE_RUNNING;
        p->next = s->partitions;
        s->partitions = p;
        s->stats.partitions++;
    }
    s->stats.has_joined = true;
    tell_rebalance(s, "partitions were given to us", list->cnt,
                   rd_kafka_incremental_assign(s->client->rk, list));
    end_rebalance(s);
}

static void remove_partition(struct source_kafka *s, const rd_kafka_topic_partition_t *item)
{
    struct partition *found = find(s, item);
    struct partition **at = &s->partitions;
    if (!found)
        return;
    while (*at != found)
        at = &(*at)->next;
    *at = found->next;
    s->stats.partitions--;
    source_partition_free(found);
}

/* What is under way in them ends first, so that the next owner has nothing to do twice. There is no
 * sense in that for partitions that are another's already. */
static bool may_give_back(const struct source_kafka *s)
{
    return under_way(s, true) == 0 || now_of(s) >= s->rebalance_by_ms ||
           s->state >= SOURCE_LEAVING || rd_kafka_assignment_lost(s->client->rk);
}

static void revoke_step(struct source_kafka *s, const rd_kafka_topic_partition_list_t *list)
{
    bool is_lost = rd_kafka_assignment_lost(s->client->rk) != 0;
    if (!may_give_back(s))
        return;
    store_offsets(s);
    rd_kafka_error_t *error = rd_kafka_incremental_unassign(s->client->rk, list);
    for (int i = 0; i < list->cnt; i++)
        remove_partition(s, &list->elems[i]);
    tell_rebalance(s, is_lost ? "partitions were lost" : "partitions were given back", list->cnt,
                   error);
    end_rebalance(s);
}

static void rebalance_step(struct source_kafka *s)
{
    if (!s->rebalance)
        return;
    const rd_kafka_topic_partition_list_t *list = rd_kafka_event_topic_partition_list(s->rebalance);
    if (s->is_revoke)
        revoke_step(s, list);
    else
        assign_step(s, list);
}

/* One at a time; should the next one come too soon, the one before it has no more time. */
static void begin_rebalance(struct source_kafka *s, rd_kafka_event_t *take_event)
{
    const rd_kafka_topic_partition_list_t *list = rd_kafka_event_topic_partition_list(take_event);
    s->rebalance_by_ms = 0;
    rebalance_step(s);
    if (s->rebalance)
        end_rebalance(s);
    s->rebalance = take_event;
    s->is_revoke = rd_kafka_event_error(take_event) != RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
    s->rebalance_by_ms = now_of(s) + REVOKE_MS;
    for (int i = 0; s->is_revoke && i < list->cnt; i++) {
        struct partition *p = find(s, &list->elems[i]);
        if (p)
            source_partition_stop(p);
    }
    rebalance_step(s);
}

/* ---- the close ---- */

static void on_timer_closed(uv_handle_t *handle)
{
    struct source_kafka *s = handle->data;
    source_kafka_closed_fn closed = s->closed;
    void *ctx = s->closed_ctx;
    while (s->marks) {
        struct mark *m = s->marks;
        s->marks = m->next;
        mem_free(m);
    }
    mem_free(s->spare);
    mem_free(s);
    closed(ctx);
}

/* When librdkafka's part is gone and the last turn has been answered. */
static void try_free(struct source_kafka *s)
{
    if (s->client || s->given_up > 0 || s->is_timer_closed)
        return;
    s->is_timer_closed = true;
    uv_close((uv_handle_t *)&s->timer, on_timer_closed);
}

static void on_client_ended(void *ctx)
{
    struct source_kafka *s = ctx;
    s->client = NULL;
    try_free(s);
}

static void begin_end(struct source_kafka *s)
{
    s->state = SOURCE_GONE;
    if (s->rebalance)
        end_rebalance(s);
    while (s->partitions) {
        struct partition *p = s->partitions;
        s->partitions = p->next;
        source_partition_free(p);
    }
    s->stats.partitions = 0;
    uv_timer_stop(&s->timer);
    kafka_client_end(s->client, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE, on_client_ended, s);
}

/* The consumer's own queue may not be the one for this: librdkafka would forward it to itself. */
static void leave(struct source_kafka *s)
{
    rd_kafka_t *rk = s->client->rk;
    kafka_client_use_queue(s->client, rd_kafka_queue_new(rk));
    rd_kafka_error_t *error = rd_kafka_consumer_close_queue(rk, s->client->queue);
    s->state = SOURCE_LEAVING;
    s->state_by_ms = now_of(s) + (error ? 0 : STEP_MS);
    if (error)
        rd_kafka_error_destroy(error);
}

static void close_step(struct source_kafka *s)
{
    if (s->state == SOURCE_ENDING &&
        ((under_way(s, false) == 0 && !s->rebalance) || now_of(s) >= s->state_by_ms))
        leave(s);
    if (s->state == SOURCE_LEAVING &&
        (rd_kafka_consumer_closed(s->client->rk) || now_of(s) >= s->state_by_ms))
        begin_end(s);
}

void source_kafka_close(struct source_kafka *s, source_kafka_closed_fn closed, void *ctx)
{
    assert(s->state == SOURCE_RUNNING);
    s->state = SOURCE_ENDING;
    s->state_by_ms = now_of(s) + s->options.close_ms;
    s->closed = closed;
    s->closed_ctx = ctx;
    for (struct partition *p = s->partitions; p; p = p->next)
        source_partition_stop(p);
    kafka_client_wake(s->client);
}

/* ---- the round ---- */

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void on_timer(uv_timer_t *timer)
{
    struct source_kafka *s = timer->data;
    if (s->client && s->state != SOURCE_GONE)
        kafka_client_wake(s->client);
}

static void set_timer(struct source_kafka *s)
{
    uint64_t now = now_of(s);
    uint64_t ms = least(TICK_MS, source_next_due_ms(s));
    if (s->ready.first || s->is_short || s->rebalance || s->state == SOURCE_LEAVING)
        ms = least(ms, FULL_MS);
    if (s->state != SOURCE_RUNNING)
        ms = least(ms, s->state_by_ms > now ? s->state_by_ms - now : 0);
    uv_timer_start(&s->timer, on_timer, ms, 0);
}

static void on_event(void *ctx, rd_kafka_event_t *take_event)
{
    struct source_kafka *s = ctx;
    switch (rd_kafka_event_type(take_event)) {
    case RD_KAFKA_EVENT_REBALANCE:
        begin_rebalance(s, take_event);
        return;
    case RD_KAFKA_EVENT_OFFSET_COMMIT:
        take_commit(s, take_event);
        break;
    case RD_KAFKA_EVENT_FETCH: /* each partition has a queue of its own */
        log_error(s->log, "an event came by the wrong queue and is left out");
        break;
    default:
        break;
    }
    rd_kafka_event_destroy(take_event);
}

static void on_served(void *ctx)
{
    struct source_kafka *s = ctx;
    s->is_short = false;
    if (s->state == SOURCE_RUNNING) {
        source_wake_waiting(s);
        source_take(s);
    }
    store_offsets(s);
    rebalance_step(s);
    if (s->state != SOURCE_RUNNING)
        close_step(s);
    if (s->state != SOURCE_GONE)
        set_timer(s);
}

void source_on_progress(struct source_kafka *s)
{
    if (s->client && s->state != SOURCE_GONE)
        kafka_client_wake(s->client);
    else
        try_free(s);
}

/* ---- life ---- */

/* A killed member is missed after 6 s, the least that brokers allow by default. Fetched and not
 * taken may lie 8 MiB; librdkafka asks for more a second after it had enough, so that a quick
 * consumer needs some thousands of events in stock. */
static int make_conf(const struct source_kafka *s, rd_kafka_conf_t **out, struct error *err)
{
    const struct kafka_property own[] = {
        {"group.id", s->options.group},
        {"client.id", s->options.group},
        {"partition.assignment.strategy", "cooperative-sticky"},
        {"auto.offset.reset", "earliest"},
        {"enable.auto.commit", "true"}, /* of what we store */
        {"auto.commit.interval.ms", "500"},
        {"enable.auto.offset.store", "false"},
        {"session.timeout.ms", "6000"},
        {"heartbeat.interval.ms", "1500"},
        {"max.poll.interval.ms", "60000"},
        {"queued.min.messages", "10000"},
        {"queued.max.messages.kbytes", "8192"},
        {"fetch.error.backoff.ms", "100"},
    };
    return kafka_conf_new(&s->options.config, own, sizeof(own) / sizeof(*own), out, err);
}

/* It fails only for what is no list of topics. */
static void subscribe(struct source_kafka *s)
{
    const struct source_kafka_options *o = &s->options;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)o->topic_count);
    for (size_t i = 0; i < o->topic_count; i++)
        rd_kafka_topic_partition_list_add(list, o->topics[i], RD_KAFKA_PARTITION_UA);
    rd_kafka_resp_err_t code = rd_kafka_subscribe(s->client->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (code)
        log_error(s->log, "cannot subscribe to Kafka's topics",
                  log_str("code", rd_kafka_err2name(code)));
}

static int start(struct source_kafka *s, struct error *err)
{
    rd_kafka_conf_t *conf = NULL;
    const struct kafka_client_options options = {.config = &s->options.config,
                                                 .type = RD_KAFKA_CONSUMER,
                                                 .on_event = on_event,
                                                 .on_served = on_served,
                                                 .ctx = s};
    int status = kafka_config_check(&s->options.config, err);
    if (!status)
        status = make_conf(s, &conf, err);
    return status ? status : kafka_client_new(s->loop, &options, conf, s->log, &s->client, err);
}

int source_kafka_new(uv_loop_t *loop, const struct source_kafka_options *options,
                     const struct log *log, struct source_kafka **out, struct error *err)
{
    struct source_kafka *s = mem_calloc(1, sizeof(*s));
    if (!s)
        return error_set(err, BASE_ENOMEM, NULL, "out of memory");
    s->loop = loop;
    s->log = log;
    s->options = *options;
    if (!s->options.window_max)
        s->options.window_max = WINDOW_MAX;
    if (!s->options.close_ms)
        s->options.close_ms = CLOSE_MS;
    int status = start(s, err);
    if (status) {
        mem_free(s);
        return status;
    }
    uv_timer_init(loop, &s->timer);
    s->timer.data = s;
    uv_timer_start(&s->timer, on_timer, TICK_MS, 0);
    subscribe(s);
    *out = s;
    return 0;
}

void source_kafka_read_stats(const struct source_kafka *s, struct source_kafka_stats *out)
{
    *out = s->stats;
}
