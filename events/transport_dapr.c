/* A publish is sent as one bulk or, where it is too large for one request, as several:
 *
 *   publish -> fill a bulk -> send_bulk -> on_bulk ─┬─ an answer for each event
 *                                ^                  ├─ refused as a whole: each event alone ─┐
 *                                └──────────────────┼────────────────────────────────────────┘
 *                                                   └─ all bulks have ended: done
 *
 * What ends before anything was sent is told by a timer, since done must not come from inside. */
#include "events/transport_dapr.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/base64.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "dapr/metadata.h"
#include "dapr/pubsub.h"
#include "events/cloudevent.h"

#define ENTRIES_MAX     100
#define PUBLISH_MAX     4
#define BULK_BYTES_MAX  ((size_t)3 << 20) /* daprd adds to what we send */
#define EVENT_BYTES_MAX ((size_t)900 << 10)
#define CLOSE_MS        2000
#define REASON_MAX      (sizeof(((struct transport_result *)0)->reason) - 1)

struct transport_dapr {
    struct transport transport;
    const struct log *log;
    struct dapr_client *client;
    char *pubsub;
    struct publish *publishes; /* in flight, or to be told */
    uint32_t publish_count;
    struct identify *identifies;
    uv_timer_t deferred, closing;
    int open_handles;
    bool is_closing, is_torn_down;
    transport_closed_fn closed;
    void *closed_ctx;
};

/* One call of the transport. It outlives it where the answer of a bulk does. */
struct publish {
    struct publish *prev, *next;
    struct transport_dapr *t; /* NULL once it was told: only answers are awaited */
    char *topic;
    const struct transport_entry *entries; /* the caller's, until it is told */
    transport_done_fn done;
    void *ctx;
    size_t count;
    size_t bulks;         /* not answered yet */
    struct bulk *refused; /* as a whole: each event of them is to be sent alone */
    bool is_sending;
    struct transport_result results[];
};

/* One request. */
struct bulk {
    struct publish *publish;
    struct bulk *next; /* in publish.refused */
    size_t count, bytes;
    struct buf texts[ENTRIES_MAX]; /* of dead letters: what is sent instead of their bytes */
    struct dapr_event events[ENTRIES_MAX];
    size_t index[ENTRIES_MAX]; /* in publish.results */
    char ids[ENTRIES_MAX][8];
};

/* ---- results ---- */

static void set_result(struct publish *p, size_t index, enum transport_outcome outcome,
                       struct slice reason)
{
    struct transport_result *r = &p->results[index];
    struct error text = {0};
    error_set(&text, 0, NULL, "%.*s", (int)(reason.len < REASON_MAX ? reason.len : REASON_MAX),
              reason.len ? reason.ptr : ""); /* makes it UTF-8 */
    r->outcome = outcome;
    memcpy(r->reason, text.text, strlen(text.text) + 1);
}

static void unlink_publish(struct publish *p)
{
    if (p->prev)
        p->prev->next = p->next;
    else
        p->t->publishes = p->next;
    if (p->next)
        p->next->prev = p->prev;
    p->t->publish_count--;
}

static void free_publish(struct publish *p)
{
    mem_free(p->topic);
    mem_free(p);
}

static void try_tear_down(struct transport_dapr *t);

/* Tells the caller, and frees it unless answers are still to come. */
static void tell(struct publish *p)
{
    struct transport_dapr *t = p->t;
    unlink_publish(p);
    p->t = NULL;
    p->done(p->ctx, p->results, p->count);
    p->entries = NULL;
    if (p->bulks == 0)
        free_publish(p);
    try_tear_down(t);
}

static void on_deferred(uv_timer_t *timer)
{
    struct transport_dapr *t = timer->data;
    struct publish *p = t->publishes;
    while (p) {
        struct publish *next = p->next;
        if (p->bulks == 0) {
            tell(p); /* may begin another, or close */
            uv_timer_start(&t->deferred, on_deferred, 0, 0);
            return;
        }
        p = next;
    }
}

static void check_end(struct publish *p)
{
    if (p->bulks > 0 || p->is_sending)
        return;
    if (p->t)
        tell(p);
    else
        free_publish(p);
}

static void end_bulk(struct bulk *b)
{
    struct publish *p = b->publish;
    for (size_t i = 0; i < b->count; i++)
        buf_deinit(&b->texts[i]);
    mem_free(b);
    p->bulks--;
    check_end(p);
}

/* ---- one request ---- */

static enum transport_outcome outcome_of(int status)
{
    switch (status) {
    case 0:
        return TRANSPORT_ACKED;
    case DAPR_EREFUSED:
    case DAPR_ETOOLARGE:
    case BASE_EINVAL:
    case BASE_ESYNTAX:
        return TRANSPORT_REFUSED;
    default:
        return TRANSPORT_UNAVAILABLE;
    }
}

static void set_all(struct bulk *b, int status, const struct error *err)
{
    const char *text = err && err->text[0] ? err->text : dapr_strerror(status);
    for (size_t i = 0; i < b->count; i++)
        set_result(b->publish, b->index[i], outcome_of(status), slice_from_cstr(text));
}

/* Refused as a whole: it is kept for send_each, and still counted. */
static bool is_kept(struct bulk *b, int status)
{
    struct publish *p = b->publish;
    if (!p->t || outcome_of(status) != TRANSPORT_REFUSED || b->count < 2)
        return false;
    b->next = p->refused;
    p->refused = b;
    return true;
}

static void send_each(struct publish *p);

static void on_bulk(void *ctx, int status, const struct dapr_event_result *results, size_t count,
                    const struct error *err)
{
    struct bulk *b = ctx;
    struct publish *p = b->publish;
    if (status && is_kept(b, status)) {
        log_warn(p->t->log, "the sidecar refused a bulk; each event is sent alone",
                 log_str("reason", err->text), log_str("topic", p->topic));
        send_each(p);
        check_end(p);
        return;
    }
    if (status)
        set_all(b, status, err);
    for (size_t i = 0; i < count; i++)
        set_result(p, b->index[i], outcome_of(results[i].status), results[i].reason);
    end_bulk(b);
}

/* Takes the bulk over. */
static void send_bulk(struct bulk *b)
{
    struct publish *p = b->publish;
    struct error err = {0};
    p->bulks++;
    int status = dapr_publish_bulk(p->t->client, p->t->pubsub, p->topic, b->events, b->count,
                                   on_bulk, b, &err);
    if (!status || is_kept(b, status))
        return;
    set_all(b, status, &err);
    end_bulk(b);
}

static struct bulk *bulk_new(struct publish *p)
{
    struct bulk *b = mem_calloc(1, sizeof(*b));
    if (b)
        b->publish = p;
    return b;
}

/* ---- dead letters ---- */

static bool set_text(cJSON *root, const char *name, struct slice value)
{
    char text[512];
    size_t len = value.len < sizeof(text) - 1 ? value.len : sizeof(text) - 1;
    if (len > 0)
        memcpy(text, value.ptr, len);
    text[len] = '\0';
    cJSON_DeleteItemFromObjectCaseSensitive(root, name);
    return cJSON_AddStringToObject(root, name, text) != NULL;
}

static bool add_death(cJSON *root, const struct transport_death *death)
{
    cJSON_DeleteItemFromObjectCaseSensitive(root, "deadletterattempts");
    return set_text(root, "deadletterreason", death->reason) &&
           set_text(root, "deadletterconsumer", death->consumer) &&
           set_text(root, "deadlettertopic", death->topic) &&
           cJSON_AddNumberToObject(root, "deadletterattempts", (double)death->attempts);
}

static bool add_bytes(cJSON *root, struct slice bytes)
{
    struct buf b;
    buf_init(&b, EVENT_BYTES_MAX * 2);
    base64_append(&b, bytes);
    bool is_added = buf_status(&b) == 0 &&
                    cJSON_AddStringToObject(root, "data_base64", b.ptr ? b.ptr : "") != NULL;
    buf_deinit(&b);
    return is_added;
}

/* Around bytes that are no CloudEvent. NULL: out of memory. */
static cJSON *wrap(const struct transport_entry *entry)
{
    char now[CLOCK_RFC3339_SIZE];
    cJSON *root = cJSON_CreateObject();
    clock_format_rfc3339(clock_now_us(), now);
    if (root && cJSON_AddStringToObject(root, "specversion", "1.0") &&
        set_text(root, "id", entry->id) &&
        cJSON_AddStringToObject(root, "source", "/todo/dead-letters") &&
        cJSON_AddStringToObject(root, "type", "DeadLetterEvent") &&
        cJSON_AddStringToObject(root, "time", now) &&
        cJSON_AddStringToObject(root, "datacontenttype", "application/octet-stream") &&
        add_bytes(root, entry->event))
        return root;
    cJSON_Delete(root);
    return NULL;
}

/* A dead letter as a CloudEvent; 0 or BASE_ENOMEM, BASE_ELIMIT. */
static int write_death(struct buf *out, const struct transport_entry *entry)
{
    struct cloudevent event;
    struct json_writer w;
    int status = cloudevent_parse(entry->event, &event, NULL);
    cJSON *root = event.root;
    if (status == BASE_ENOMEM)
        return status;
    if (status)
        root = wrap(entry);
    if (!root || !add_death(root, entry->death)) {
        cJSON_Delete(root);
        return BASE_ENOMEM;
    }
    json_writer_init(&w, out);
    json_tree(&w, root);
    cJSON_Delete(root);
    return buf_status(out);
}

/* ---- filling requests ---- */

/* The text that is sent of an entry. */
static int entry_text(struct bulk *b, const struct transport_entry *entry, struct slice *out)
{
    struct buf *text = &b->texts[b->count];
    buf_init(text, EVENT_BYTES_MAX * 2);
    *out = entry->event;
    if (!entry->death)
        return 0;
    int status = write_death(text, entry);
    *out = buf_slice(text);
    if (status)
        buf_deinit(text);
    return status;
}

/* Room in the bulk is the caller's care. 0, or why it cannot be sent. */
static int add_entry(struct bulk *b, size_t index, struct error *err)
{
    const struct transport_entry *entry = &b->publish->entries[index];
    struct slice text;
    int status = entry_text(b, entry, &text);
    if (status)
        return error_set(err, status, NULL, "the dead letter cannot be written");
    if (text.len > EVENT_BYTES_MAX) {
        buf_deinit(&b->texts[b->count]);
        return error_set(err, DAPR_ETOOLARGE, NULL, "the event is too large");
    }
    snprintf(b->ids[b->count], sizeof(b->ids[0]), "%zu", index);
    b->index[b->count] = index;
    b->events[b->count] = (struct dapr_event){
        .id = slice_from_cstr(b->ids[b->count]), .body = text, .partition_key = entry->key};
    b->bytes += text.len;
    b->count++;
    return 0;
}

static void refuse(struct publish *p, size_t index, int status, const struct error *err)
{
    set_result(p, index, outcome_of(status), slice_from_cstr(err->text));
}

/* Sends the bulk, if there is anything in it. */
static void flush(struct bulk *b)
{
    if (b->count > 0)
        send_bulk(b);
    else
        mem_free(b);
}

/* One entry more, into `b` or, where it is full, into the next one, which is returned. NULL where
 * memory is out; then all from `index` on stay unavailable. */
static struct bulk *add_or_flush(struct publish *p, struct bulk *b, size_t index)
{
    struct error err = {0};
    size_t len = p->entries[index].event.len;
    if (b->count > 0 && b->bytes + len > BULK_BYTES_MAX) {
        flush(b);
        b = bulk_new(p);
        if (!b)
            return NULL;
    }
    int status = add_entry(b, index, &err);
    if (status)
        refuse(p, index, status, &err);
    return b;
}

static void send_all(struct publish *p)
{
    struct bulk *b = bulk_new(p);
    for (size_t i = 0; b && i < p->count; i++)
        b = add_or_flush(p, b, i);
    if (b)
        flush(b);
}

static void send_alone(struct publish *p, size_t index)
{
    struct error err = {0};
    struct bulk *alone = bulk_new(p);
    int status = alone ? add_entry(alone, index, &err) : 0;
    if (status)
        refuse(p, index, status, &err);
    if (alone)
        flush(alone);
}

/* Of what was refused as a whole. The caller looks whether the publish has ended by that. */
static void send_each(struct publish *p)
{
    bool was_sending = p->is_sending;
    p->is_sending = true;
    while (p->refused) {
        struct bulk *b = p->refused;
        p->refused = b->next;
        for (size_t i = 0; i < b->count; i++)
            send_alone(p, b->index[i]);
        end_bulk(b);
    }
    p->is_sending = was_sending;
}

/* ---- the transport ---- */

static struct transport_dapr *self(struct transport *transport)
{
    return (struct transport_dapr *)transport;
}

static struct publish *publish_new(struct transport_dapr *t, const char *topic, size_t count)
{
    struct publish *p = mem_calloc(1, sizeof(*p) + count * sizeof(p->results[0]));
    char *copy = mem_strdup(topic);
    if (!p || !copy) {
        mem_free(p);
        mem_free(copy);
        return NULL;
    }
    p->t = t;
    p->topic = copy;
    p->count = count;
    for (size_t i = 0; i < count; i++)
        set_result(p, i, TRANSPORT_UNAVAILABLE, SLICE_LIT("the sidecar is down"));
    p->next = t->publishes;
    if (p->next)
        p->next->prev = p;
    t->publishes = p;
    t->publish_count++;
    return p;
}

static int dapr_transport_publish(struct transport *transport, const char *topic,
                                  const struct transport_entry *entries, size_t count,
                                  transport_done_fn done, void *ctx)
{
    struct transport_dapr *t = self(transport);
    assert(count > 0 && count <= ENTRIES_MAX);
    if (t->is_closing)
        return BASE_ECLOSED;
    if (t->publish_count >= PUBLISH_MAX)
        return BASE_ELIMIT;
    struct publish *p = publish_new(t, topic, count);
    if (!p)
        return BASE_ENOMEM;
    p->entries = entries;
    p->done = done;
    p->ctx = ctx;
    if (dapr_client_is_up(t->client)) {
        p->is_sending = true;
        send_all(p);
        send_each(p);
        p->is_sending = false;
    }
    if (p->bulks == 0)
        uv_timer_start(&t->deferred, on_deferred, 0, 0);
    return 0;
}

/* ---- which broker ---- */

struct identify {
    struct identify *next;
    struct transport_dapr *t; /* NULL once it was told */
    transport_identity_fn fn;
    void *ctx;
};

static void end_identify(struct identify *q, struct slice identity)
{
    struct transport_dapr *t = q->t;
    assert(t);
    struct identify **at = &t->identifies;
    while (*at && *at != q)
        at = &(*at)->next;
    if (*at)
        *at = q->next;
    q->t = NULL;
    q->fn(q->ctx, identity);
    try_tear_down(t);
}

static void on_component(void *ctx, int status, const struct dapr_component *component,
                         const struct error *err)
{
    struct identify *q = ctx;
    char text[TRANSPORT_IDENTITY_MAX + 1] = "";
    (void)err;
    if (!status && component)
        snprintf(text, sizeof(text), "%s/%s", component->type, component->version);
    if (q->t)
        end_identify(q, slice_from_cstr(text));
    mem_free(q);
}

static int dapr_transport_identify(struct transport *transport, transport_identity_fn fn, void *ctx)
{
    struct transport_dapr *t = self(transport);
    if (t->is_closing)
        return BASE_ECLOSED;
    struct identify *q = mem_alloc(sizeof(*q));
    if (!q)
        return BASE_ENOMEM;
    *q = (struct identify){t->identifies, t, fn, ctx};
    int status = dapr_component_get(t->client, t->pubsub, on_component, q, NULL);
    if (status) {
        mem_free(q);
        return status == BASE_ECLOSED ? BASE_ECLOSED : BASE_ENOMEM;
    }
    t->identifies = q;
    return 0;
}

/* ---- life ---- */

static void on_timer_closed(uv_handle_t *handle)
{
    struct transport_dapr *t = handle->data;
    if (--t->open_handles > 0)
        return;
    transport_closed_fn closed = t->closed;
    void *ctx = t->closed_ctx;
    mem_free(t->pubsub);
    mem_free(t);
    closed(ctx);
}

static void try_tear_down(struct transport_dapr *t)
{
    if (!t->is_closing || t->is_torn_down || t->publishes || t->identifies)
        return;
    t->is_torn_down = true;
    uv_close((uv_handle_t *)&t->deferred, on_timer_closed);
    uv_close((uv_handle_t *)&t->closing, on_timer_closed);
}

/* What has no answer by now is told without one. */
static void on_closing(uv_timer_t *timer)
{
    struct transport_dapr *t = timer->data;
    while (t->publishes) {
        struct publish *p = t->publishes;
        for (size_t i = 0; i < p->count; i++)
            if (p->results[i].outcome == TRANSPORT_UNAVAILABLE)
                set_result(p, i, TRANSPORT_UNAVAILABLE,
                           SLICE_LIT("the sidecar has not answered yet"));
        tell(p);
    }
    while (t->identifies)
        end_identify(t->identifies, SLICE_EMPTY);
}

static void dapr_transport_close(struct transport *transport, transport_closed_fn closed, void *ctx)
{
    struct transport_dapr *t = self(transport);
    assert(!t->is_closing);
    t->is_closing = true;
    t->closed = closed;
    t->closed_ctx = ctx;
    uv_timer_start(&t->closing, on_closing, CLOSE_MS, 0);
    try_tear_down(t);
}

int transport_dapr_new(uv_loop_t *loop, const struct transport_dapr_options *options,
                       const struct log *log, struct transport **out, struct error *err)
{
    if (!options->pubsub || !*options->pubsub)
        return error_set(err, BASE_EINVAL, "pubsub", "the pub/sub component needs a name");
    struct transport_dapr *t = mem_calloc(1, sizeof(*t));
    char *pubsub = mem_strdup(options->pubsub);
    if (!t || !pubsub) {
        mem_free(t);
        mem_free(pubsub);
        return error_set(err, BASE_ENOMEM, NULL, "out of memory");
    }
    *t = (struct transport_dapr){.transport = {.name = "dapr",
                                               .entries_max = ENTRIES_MAX,
                                               .publish_max = PUBLISH_MAX,
                                               .publish = dapr_transport_publish,
                                               .close = dapr_transport_close,
                                               .identify = dapr_transport_identify},
                                 .log = log,
                                 .client = options->client,
                                 .pubsub = pubsub};
    uv_timer_init(loop, &t->deferred);
    uv_timer_init(loop, &t->closing);
    t->deferred.data = t->closing.data = t;
    t->open_handles = 2;
    *out = &t->transport;
    return 0;
}
