#include "events/source_kafka_int.h"

#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "events/consumer.h"

#define TAKE_A_TURN    64 /* of a partition, in one turn of the loop */
#define RETRY_MIN_MS   100
#define RETRY_MAX_MS   10000
#define ATTRIBUTES_MAX 64 /* headers ce_* beyond these are not looked at */

/* ---- the lists ---- */

static void list_append(struct record_list *list, struct record *r)
{
    r->list_prev = list->last;
    r->list_next = NULL;
    if (list->last)
        list->last->list_next = r;
    else
        list->first = r;
    list->last = r;
}

static void list_remove(struct record_list *list, struct record *r)
{
    if (r->list_prev)
        r->list_prev->list_next = r->list_next;
    else
        list->first = r->list_next;
    if (r->list_next)
        r->list_next->list_prev = r->list_prev;
    else
        list->last = r->list_prev;
}

static void set_state(struct record *r, enum record_state state)
{
    struct source_kafka *s = r->s;
    if (r->state == RECORD_READY)
        list_remove(&s->ready, r);
    if (r->state == RECORD_WAITING)
        list_remove(&s->waiting, r);
    if (r->state == RECORD_UNDER_WAY)
        r->partition->under_way--;
    r->state = state;
    if (state == RECORD_READY)
        list_append(&s->ready, r);
    if (state == RECORD_WAITING)
        list_append(&s->waiting, r);
    if (state == RECORD_UNDER_WAY)
        r->partition->under_way++;
}

/* ---- the order of a key ---- */

static struct slice key_of(const struct record *r)
{
    return (struct slice){r->message->key, r->message->key_len};
}

static uint32_t hash_of(const struct record *r)
{
    struct slice key = key_of(r);
    uint32_t hash = 2166136261U ^ (uint32_t)r->partition->id;
    for (size_t i = 0; i < key.len; i++)
        hash = (hash ^ (unsigned char)key.ptr[i]) * 16777619U;
    return hash;
}

static struct record **bucket_of(const struct record *r)
{
    return &r->s->buckets[r->hash % SOURCE_BUCKETS];
}

/* An event without a key has no order to keep. The newest of a key is the first of it in a bucket.
 */
static struct record *find_earlier(const struct record *r)
{
    struct record *at = r->message->key ? *bucket_of(r) : NULL;
    while (at && (at->hash != r->hash || at->partition != r->partition ||
                  !slice_is_equal(key_of(at), key_of(r))))
        at = at->bucket_next;
    return at;
}

static void bucket_remove(struct record *r)
{
    struct record **at = bucket_of(r);
    while (*at && *at != r)
        at = &(*at)->bucket_next;
    if (*at)
        *at = r->bucket_next;
}

/* ---- delivering ---- */

static bool is_named(const char *name, const char *other)
{
    return strcasecmp(name, other) == 0;
}

/* The attributes of binary mode and the content type, from the headers. */
static void read_headers(const rd_kafka_message_t *message, struct consumer_delivery *d,
                         struct cloudevent_attribute *attributes)
{
    rd_kafka_headers_t *headers = NULL;
    const char *name = NULL;
    const void *value = NULL;
    size_t len = 0;
    if (rd_kafka_message_headers(message, &headers))
        return;
    for (size_t i = 0; !rd_kafka_header_get_all(headers, i, &name, &value, &len); i++) {
        struct slice text = {value, value ? len : 0};
        if (is_named(name, "content-type"))
            d->content_type = text;
        else if (strncasecmp(name, "ce_", 3) == 0 && d->attribute_count < ATTRIBUTES_MAX)
            attributes[d->attribute_count++] =
                (struct cloudevent_attribute){slice_from_cstr(name + 3), text};
    }
}

static void on_answer(void *ctx, enum consumer_answer answer);

static int give(struct record *r)
{
    struct cloudevent_attribute attributes[ATTRIBUTES_MAX];
    const rd_kafka_message_t *message = r->message;
    struct consumer_delivery d = {.topic = r->partition->topic,
                                  .body = {message->payload, message->payload ? message->len : 0},
                                  .attributes = attributes};
    read_headers(message, &d, attributes);
    /* Some publish the envelope and no header, as daprd does. */
    if (d.content_type.len == 0 && d.attribute_count == 0)
        d.content_type = SLICE_LIT(CLOUDEVENT_MIME);
    return consumer_deliver(r->s->options.consumer, &d, on_answer, r);
}

/* Doubling, and spread so that what failed together does not come again together. */
static void wait(struct record *r)
{
    uint32_t shift = r->tries < 10 ? r->tries : 10;
    uint64_t ms = (uint64_t)RETRY_MIN_MS << shift;
    if (ms > RETRY_MAX_MS)
        ms = RETRY_MAX_MS;
    r->tries++;
    r->due_ms = uv_now(r->s->loop) + ms - (r->hash + r->tries * 7919U) % (ms / 4);
    set_state(r, RECORD_WAITING);
}

/* False when the consumer has no room. */
static bool deliver(struct record *r)
{
    int status = give(r);
    if (status == BASE_ELIMIT || status == BASE_ECLOSED)
        return false;
    if (status)
        wait(r);
    else
        set_state(r, RECORD_UNDER_WAY);
    return true;
}

static void deliver_ready(struct source_kafka *s)
{
    while (s->ready.first && deliver(s->ready.first)) {
    }
}

/* ---- the end of a record ---- */

static void drop_event(struct record *r)
{
    rd_kafka_event_destroy(r->event);
    r->event = NULL;
    r->message = NULL;
}

static void unlink_first(struct partition *p)
{
    struct record *r = p->first;
    p->first = r->next;
    if (p->first)
        p->first->prev = NULL;
    else
        p->last = NULL;
    p->in_hand--;
    p->s->stats.in_hand--;
    mem_free(r);
}

/* Offsets have holes (of transactions, of compaction), so the order is the list's. */
static void advance(struct partition *p)
{
    while (p->first && p->first->state == RECORD_DONE) {
        p->done = p->first->offset + 1;
        unlink_first(p);
    }
}

static void end_record(struct record *r)
{
    struct partition *p = r->partition;
    struct record *follower = r->follower;
    bucket_remove(r);
    drop_event(r);
    set_state(r, RECORD_DONE);
    r->s->stats.acked++;
    if (follower && !p->is_ending)
        set_state(follower, RECORD_READY);
    advance(p);
}

static void on_answer(void *ctx, enum consumer_answer answer)
{
    struct record *r = ctx;
    struct source_kafka *s = r->s;
    if (!r->partition) {
        s->given_up--;
        mem_free(r);
    } else if (answer == CONSUMER_ACK) {
        end_record(r);
    } else if (r->partition->is_ending) {
        set_state(r, RECORD_HELD); /* for ever: what comes after it is not committed */
    } else {
        s->stats.retried++;
        wait(r);
    }
    source_on_progress(s);
}

/* ---- taking ---- */

static void take_record(struct partition *p, rd_kafka_event_t *event,
                        const rd_kafka_message_t *message)
{
    struct source_kafka *s = p->s;
    struct record *r = s->spare;
    s->spare = NULL;
    *r = (struct record){.s = s,
                         .partition = p,
                         .event = event,
                         .message = message,
                         .offset = message->offset,
                         .state = RECORD_HELD,
                         .prev = p->last};
    if (p->last)
        p->last->next = r;
    else
        p->first = r;
    p->last = r;
    p->in_hand++;
    s->stats.in_hand++;
    s->stats.taken++;
    r->hash = hash_of(r);
    struct record *earlier = find_earlier(r);
    r->bucket_next = *bucket_of(r);
    *bucket_of(r) = r;
    if (earlier)
        earlier->follower = r;
    else
        set_state(r, RECORD_READY);
}

/* What is no message: an error of the partition, which librdkafka goes on from by itself. */
static void tell_error(struct partition *p, rd_kafka_event_t *event)
{
    rd_kafka_resp_err_t code = rd_kafka_event_error(event);
    log_warn(p->s->log, "trouble with a partition", log_str("topic", p->topic),
             log_str("code", rd_kafka_err2name(code)),
             log_str("reason", rd_kafka_event_error_string(event)));
}

/* False when there is none, or no memory for one. */
static bool take_one(struct partition *p)
{
    struct source_kafka *s = p->s;
    if (!s->spare)
        s->spare = mem_alloc(sizeof(*s->spare));
    s->is_short = !s->spare;
    rd_kafka_event_t *event = s->spare ? rd_kafka_queue_poll(p->queue, 0) : NULL;
    if (!event)
        return false;
    bool is_fetch = rd_kafka_event_type(event) == RD_KAFKA_EVENT_FETCH;
    const rd_kafka_message_t *message = is_fetch ? rd_kafka_event_message_next(event) : NULL;
    if (message && !message->err) {
        take_record(p, event, message);
        deliver_ready(s);
    } else {
        tell_error(p, event);
        rd_kafka_event_destroy(event);
    }
    return true;
}

static void take_some(struct partition *p)
{
    struct source_kafka *s = p->s;
    int budget = TAKE_A_TURN;
    while (!p->is_ending && !s->ready.first && p->in_hand < s->options.window_max && budget > 0 &&
           take_one(p))
        budget--;
    if (budget == 0)
        kafka_client_wake(s->client);
}

void source_take(struct source_kafka *s)
{
    deliver_ready(s);
    for (struct partition *p = s->partitions; p; p = p->next)
        take_some(p);
    /* The next turn begins with another partition. */
    struct partition *first = s->partitions;
    if (!first || !first->next)
        return;
    struct partition *last = first;
    while (last->next)
        last = last->next;
    s->partitions = first->next;
    first->next = NULL;
    last->next = first;
}

void source_wake_waiting(struct source_kafka *s)
{
    uint64_t now = uv_now(s->loop);
    struct record *next = NULL;
    for (struct record *r = s->waiting.first; r; r = next) {
        next = r->list_next;
        if (r->due_ms <= now)
            set_state(r, RECORD_READY);
    }
}

uint64_t source_next_due_ms(const struct source_kafka *s)
{
    uint64_t now = uv_now(s->loop);
    uint64_t next = UINT64_MAX;
    for (const struct record *r = s->waiting.first; r; r = r->list_next) {
        uint64_t left = r->due_ms > now ? r->due_ms - now : 0;
        next = left < next ? left : next;
    }
    return next;
}

/* ---- partitions ---- */

struct mark *source_mark_find(const struct source_kafka *s, const char *topic, int32_t id)
{
    struct mark *m = s->marks;
    while (m && (m->id != id || strcmp(m->topic, topic) != 0))
        m = m->next;
    return m;
}

static struct mark *mark_of(struct source_kafka *s, const char *topic, int32_t id)
{
    struct mark *m = source_mark_find(s, topic, id);
    size_t size = strlen(topic) + 1;
    if (m)
        return m;
    m = mem_alloc(sizeof(*m) + size);
    if (!m)
        return NULL;
    *m = (struct mark){.next = s->marks, .committed = -1, .id = id};
    memcpy(m->topic, topic, size);
    s->marks = m;
    return m;
}

struct partition *source_partition_new(struct source_kafka *s, const char *topic, int32_t id)
{
    struct mark *mark = mark_of(s, topic, id);
    struct partition *p = mark ? mem_alloc(sizeof(*p)) : NULL;
    if (!p)
        return NULL;
    *p = (struct partition){
        .s = s, .topic = mark->topic, .id = id, .done = -1, .stored = -1, .mark = mark};
    /* Not to the consumer's queue, where nothing could be left lying for want of room. */
    p->queue = rd_kafka_queue_get_partition(s->client->rk, topic, id);
    rd_kafka_queue_forward(p->queue, NULL);
    kafka_client_watch(s->client, p->queue);
    return p;
}

void source_partition_stop(struct partition *p)
{
    p->is_ending = true;
    for (struct record *r = p->first; r; r = r->next) {
        if (r->state == RECORD_READY || r->state == RECORD_WAITING)
            set_state(r, RECORD_HELD);
    }
}

static void give_up(struct record *r)
{
    struct source_kafka *s = r->s;
    if (r->event) {
        bucket_remove(r);
        drop_event(r);
    }
    s->stats.in_hand--;
    if (r->state == RECORD_UNDER_WAY) {
        r->partition = NULL;
        s->given_up++;
    } else {
        mem_free(r);
    }
}

/* What librdkafka has fetched of it meanwhile goes too: its messages hold on to the consumer. */
void source_partition_free(struct partition *p)
{
    rd_kafka_event_t *event;
    source_partition_stop(p);
    for (struct record *r = p->first, *next = NULL; r; r = next) {
        next = r->next;
        give_up(r);
    }
    rd_kafka_queue_io_event_enable(p->queue, -1, NULL, 0);
    while ((event = rd_kafka_queue_poll(p->queue, 0)))
        rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(p->queue);
    mem_free(p);
}
