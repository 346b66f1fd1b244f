/* Between memory and the transport. A key's events stand in a queue of their own, of which only the
 * head may go; the heads that may go now are the lane's ready list.
 *
 * A lane whose way is down waits, twice as long each time, and tries with one publish alone; no
 * event's attempts are counted. */
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "events/relay_int.h"

#define BACKOFF_MIN_MS 100
#define BACKOFF_MAX_MS 5000

/* ---- lists ---------------------------------------------------------------------------------- */

static void push_ready(struct relay_event *e, bool at_front)
{
    struct relay_lane *lane = e->lane;
    e->state = EVENT_READY;
    lane->ready_count++;
    if (at_front) {
        e->next = lane->ready.head;
        lane->ready.head = e;
        if (!lane->ready.tail)
            lane->ready.tail = e;
        return;
    }
    e->next = NULL;
    *(lane->ready.tail ? &lane->ready.tail->next : &lane->ready.head) = e;
    lane->ready.tail = e;
}

static struct relay_event *pop_ready(struct relay_lane *lane)
{
    struct relay_event *e = lane->ready.head;
    lane->ready.head = e->next;
    if (!lane->ready.head)
        lane->ready.tail = NULL;
    lane->ready_count--;
    e->next = NULL;
    return e;
}

/* ---- keys ----------------------------------------------------------------------------------- */

/* FNV-1a. */
static uint32_t bucket_of(struct slice text)
{
    uint32_t hash = UINT32_C(2166136261);
    for (size_t i = 0; i < text.len; i++)
        hash = (hash ^ (unsigned char)text.ptr[i]) * UINT32_C(16777619);
    return hash % RELAY_KEY_BUCKETS;
}

static struct relay_key *find_key(struct relay_lane *lane, struct slice text)
{
    uint32_t bucket = bucket_of(text);
    struct relay_key *key = lane->keys[bucket];
    while (key && !slice_is_equal(key->text, text))
        key = key->next;
    return key;
}

static struct relay_key *make_key(struct relay_lane *lane, struct slice text)
{
    struct relay_key *key = mem_alloc(sizeof(*key) + text.len);
    if (!key)
        return NULL;
    char *copy = (char *)(key + 1);
    if (text.len > 0)
        memcpy(copy, text.ptr, text.len);
    *key = (struct relay_key){.bucket = bucket_of(text), .text = {copy, text.len}};
    key->next = lane->keys[key->bucket];
    lane->keys[key->bucket] = key;
    return key;
}

static void free_key(struct relay_lane *lane, struct relay_key *key)
{
    struct relay_key **at = &lane->keys[key->bucket];
    while (*at != key)
        at = &(*at)->next;
    *at = key->next;
    mem_free(key);
}

int lane_add(struct relay_lane *lane, struct relay_event *e)
{
    bool is_letter = lane == &lane->relay->lanes[RELAY_LETTERS];
    struct slice text = is_letter ? e->id : e->key_text;
    struct relay_key *key = find_key(lane, text);
    bool is_first = !key;
    if (is_first)
        key = make_key(lane, text);
    if (!key)
        return BASE_ENOMEM;
    e->lane = lane;
    e->key = key;
    *(key->tail ? &key->tail->key_next : &key->head) = e;
    key->tail = e;
    e->all_next = lane->all;
    if (lane->all)
        lane->all->all_prev = e;
    lane->all = e;
    lane->count++;
    if (is_first)
        push_ready(e, false);
    return 0;
}

void lane_release_key(struct relay_event *e)
{
    struct relay_key *key = e->key;
    e->key = NULL;
    key->head = e->key_next;
    if (key->head)
        push_ready(key->head, false);
    else
        free_key(e->lane, key);
}

void lane_free_event(struct relay_event *e)
{
    if (!e->is_orphan) {
        struct relay_lane *lane = e->lane;
        *(e->all_prev ? &e->all_prev->all_next : &lane->all) = e->all_next;
        if (e->all_next)
            e->all_next->all_prev = e->all_prev;
        lane->count--;
    }
    mem_free(e);
}

void lane_hold(struct relay_event *e, uint32_t ms)
{
    struct relay_lane *lane = e->lane;
    e->state = EVENT_HELD;
    e->hold_until_ms = uv_now(lane->relay->loop) + ms;
    e->next = lane->held;
    lane->held = e;
}

static void end_holds(struct relay_lane *lane)
{
    uint64_t now = uv_now(lane->relay->loop);
    struct relay_event **at = &lane->held;
    while (*at) {
        struct relay_event *e = *at;
        if (now < e->hold_until_ms) {
            at = &e->next;
            continue;
        }
        *at = e->next;
        push_ready(e, false);
    }
}

/* ---- the way is down, the way is open ------------------------------------------------------- */

static void lane_down(struct relay_lane *lane, const char *reason)
{
    struct relay *r = lane->relay;
    uint64_t now = uv_now(r->loop);
    if (now < lane->down_until_ms)
        return; /* one more of those that were under way when it went down */
    if (lane->backoff_ms == 0) {
        lane->down_since_ms = now;
        log_warn(r->log, "events cannot go out", log_str("topic", lane->topic),
                 log_str("transport", r->transport->name), log_str("reason", reason));
    }
    lane->backoff_ms = lane->backoff_ms == 0                   ? BACKOFF_MIN_MS
                       : lane->backoff_ms * 2 < BACKOFF_MAX_MS ? lane->backoff_ms * 2
                                                               : BACKOFF_MAX_MS;
    lane->down_until_ms = now + BACKOFF_MIN_MS / 2 + relay_random(r, lane->backoff_ms);
    if (r->transport->identify && !r->broker_id && !r->must_identify) {
        r->must_identify = true;
        r->identify_due_ms = 0;
    }
}

static void lane_up(struct relay_lane *lane)
{
    const struct relay *r = lane->relay;
    if (lane->backoff_ms == 0)
        return;
    log_info(r->log, "events go out again", log_str("topic", lane->topic),
             log_int("down_ms", (int64_t)(uv_now(r->loop) - lane->down_since_ms)));
    lane->backoff_ms = 0;
    lane->down_until_ms = 0;
}

/* ---- results -------------------------------------------------------------------------------- */

static void unlink_publish(struct relay *r, struct relay_publish *p)
{
    *(p->prev ? &p->prev->next : &r->publishes) = p->next;
    if (p->next)
        p->next->prev = p->prev;
}

static void note_acked(const struct relay_publish *p, const struct relay_event *e, int64_t now_us)
{
    const struct relay *r = p->relay;
    if (r->options.on_acked)
        r->options.on_acked(r->options.ctx, slice_from_cstr(p->lane->topic),
                            clock_now_us() - e->created_us, now_us - p->sent_us);
}

/* From the last to the first, so that those that go back to the front are in their order. */
static const char *settle(struct relay_publish *p, const struct transport_result *results)
{
    struct relay *r = p->relay;
    const char *down = NULL;
    int64_t now_us = clock_monotonic_us();
    for (size_t i = p->count; i-- > 0;) {
        struct relay_event *e = p->events[i];
        switch (results[i].outcome) {
        case TRANSPORT_ACKED:
            r->stats.published++;
            note_acked(p, e, now_us);
            rows_trace_acked(r, e);
            rows_acked(r, e);
            break;
        case TRANSPORT_REFUSED:
            rows_refused(r, e, results[i].reason);
            break;
        case TRANSPORT_UNAVAILABLE:
            r->stats.retries++;
            push_ready(e, true);
            down = results[i].reason;
            break;
        }
    }
    return down;
}

static void free_orphans(struct relay_publish *p)
{
    for (size_t i = 0; i < p->count; i++)
        lane_free_event(p->events[i]);
    mem_free(p);
}

static void on_published(void *ctx, const struct transport_result *results, size_t count)
{
    struct relay_publish *p = ctx;
    struct relay *r = p->relay;
    struct relay_lane *lane = p->lane;
    (void)count;
    if (!r) {
        free_orphans(p);
        return;
    }
    unlink_publish(r, p);
    r->in_flight--;
    lane->in_flight--;
    const char *down = settle(p, results);
    if (down)
        lane_down(lane, down);
    else
        lane_up(lane);
    mem_free(p);
    relay_pump(r);
    if (r->is_closing)
        rows_pump(r); /* the marks */
    relay_try_end(r);
}

/* ---- publish -------------------------------------------------------------------------------- */

/* A free one is left to each lane that has none, so that a slow lane holds up no other. */
static bool has_slot(const struct relay_lane *lane)
{
    const struct relay *r = lane->relay;
    uint32_t without = 0;
    if (r->in_flight >= r->transport->publish_max)
        return false;
    if (lane->in_flight == 0)
        return true;
    if (lane->backoff_ms > 0)
        return false; /* one alone tries whether the way is open again */
    for (size_t i = 0; i < RELAY_LANES; i++)
        without += r->lanes[i].in_flight == 0;
    return r->transport->publish_max <= RELAY_LANES ||
           r->transport->publish_max - r->in_flight > without;
}

static struct relay_publish *take_ready(struct relay_lane *lane)
{
    struct relay *r = lane->relay;
    size_t count = lane->ready_count < r->entries_max ? lane->ready_count : r->entries_max;
    size_t events = sizeof(struct relay_event *) * count;
    struct relay_publish *p =
        mem_alloc(sizeof(*p) + events + count * sizeof(struct transport_entry));
    if (!p)
        return NULL;
    *p = (struct relay_publish){.relay = r, .lane = lane, .count = count};
    p->entries = (struct transport_entry *)(p->events + count);
    for (size_t i = 0; i < count; i++) {
        struct relay_event *e = pop_ready(lane);
        e->state = EVENT_FLYING;
        p->events[i] = e;
        p->entries[i] = (struct transport_entry){
            .id = e->id,
            .key = e->key_text,
            .event = e->body,
            .death = lane == &r->lanes[RELAY_LETTERS] ? &e->death : NULL,
        };
    }
    return p;
}

static bool publish(struct relay_lane *lane)
{
    struct relay *r = lane->relay;
    struct relay_publish *p = take_ready(lane);
    if (!p)
        return false; /* memory is out: at the next tick */
    p->sent_us = clock_monotonic_us();
    if (transport_publish(r->transport, lane->topic, p->entries, p->count, on_published, p)) {
        for (size_t i = p->count; i-- > 0;)
            push_ready(p->events[i], true);
        mem_free(p);
        return false;
    }
    p->next = r->publishes;
    if (r->publishes)
        r->publishes->prev = p;
    r->publishes = p;
    r->in_flight++;
    lane->in_flight++;
    return true;
}

void lanes_pump(struct relay *r)
{
    if (r->must_identify || !relay_has_lease(r))
        return;
    for (size_t i = 0; i < RELAY_LANES; i++) {
        struct relay_lane *lane = &r->lanes[i];
        while (lane->ready.head && uv_now(r->loop) >= lane->down_until_ms && has_slot(lane)) {
            if (!publish(lane))
                break;
        }
    }
}

void lane_tick(struct relay_lane *lane)
{
    end_holds(lane);
}

/* ---- forgetting ----------------------------------------------------------------------------- */

static void forget_lane(struct relay_lane *lane)
{
    struct relay_event *e = lane->all;
    while (e) {
        struct relay_event *next = e->all_next;
        bool is_held_elsewhere =
            e->is_orphan || e->state == EVENT_FLYING || e->state == EVENT_REFUSED;
        e->is_orphan = true;
        if (!is_held_elsewhere)
            mem_free(e);
        e = next;
    }
    for (size_t i = 0; i < RELAY_KEY_BUCKETS; i++) {
        while (lane->keys[i]) {
            struct relay_key *key = lane->keys[i];
            lane->keys[i] = key->next;
            mem_free(key);
        }
    }
    lane->all = NULL;
    lane->held = NULL;
    lane->ready = (struct relay_event_list){NULL, NULL};
    lane->ready_count = 0;
    lane->count = 0;
    lane->in_flight = 0;
}

void lanes_forget(struct relay *r)
{
    for (struct relay_publish *p = r->publishes; p; p = p->next)
        p->relay = NULL;
    r->publishes = NULL;
    r->in_flight = 0;
    for (size_t i = 0; i < RELAY_LANES; i++)
        forget_lane(&r->lanes[i]);
}
