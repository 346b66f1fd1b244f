/* events/relay: life, the tick, and who leads. See relay_int.h. */
#include "events/relay.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/uuid.h"
#include "db/listen.h"
#include "db/pool.h"
#include "events/event.h"
#include "events/relay_int.h"

#define TICK_MS       100
#define CLAIM_MS      400 /* between two claims, with up to CLAIM_JITTER more */
#define CLAIM_JITTER  200
#define LEASE_MS      2500 /* without a word from the database nothing goes out after this … */
#define SILENT_MS     3500 /* … and the others end the session after that */
#define EVICT_MS      500
#define RING_MS       5
#define POLL_MS       1000
#define WINDOW_SHARES 6 /* of what may be in flight: that, what waits, and what is being marked */
#define WINDOW_MIN    512
#define WINDOW_MAX    4096
#define KNOWN_BYTES   (1u << 20)
#define POOL_CLOSE_MS 500

const struct relay_options relay_options_default = {
    .attempts_max = 10,
    .outbox_retention_s = 48 * 3600,
    .inbox_retention_s = 14 * 86400,
    .letters_retention_s = 90 * 86400,
    .replay_s = 48 * 3600,
};

/* xorshift64: for jitter. */
uint64_t relay_random(struct relay *r, uint64_t below)
{
    r->random ^= r->random << 13;
    r->random ^= r->random >> 7;
    r->random ^= r->random << 17;
    return below ? r->random % below : 0;
}

/* ---- who leads ------------------------------------------------------------------------------ */

bool relay_has_lease(const struct relay *r)
{
    return uv_now(r->loop) - r->heard_ms < LEASE_MS;
}

void relay_claim_soon(struct relay *r)
{
    r->claim_due_ms = 0;
}

void relay_forget(struct relay *r)
{
    r->generation++;
    rows_forget(r);
    lanes_forget(r);
    for (size_t i = 0; i < RELAY_LANES; i++) {
        struct relay_lane *lane = &r->lanes[i];
        lane->cursor = 0;
        lane->floor = 0;
        lane->floor_next = 0;
        lane->has_more = false;
    }
}

void relay_step_down(struct relay *r, const char *why)
{
    if (r->state == RELAY_FOLLOWER)
        return;
    if (!r->is_closing)
        log_warn(r->log, "relay no longer leads", log_str("reason", why));
    r->state = RELAY_FOLLOWER;
    relay_forget(r);
    relay_claim_soon(r);
}

static void lead(struct relay *r)
{
    relay_forget(r);
    r->state = RELAY_STARTING;
    r->stats.terms++;
    log_info(r->log, "relay leads", log_str("transport", r->transport->name));
    broker_start(r);
}

static void on_evicted(void *ctx, int status, bool is_held, int64_t count, const struct error *err)
{
    struct relay *r = ctx;
    (void)is_held;
    (void)err;
    r->is_evicting = false;
    if (!status && count > 0) {
        r->stats.evicted += (uint64_t)count;
        log_warn(r->log, "relay ended the session of a leader that had fallen silent",
                 log_int("silent_ms", SILENT_MS));
        relay_claim_soon(r);
    }
    relay_try_end(r);
}

static void evict(struct relay *r)
{
    uint64_t now = uv_now(r->loop);
    if (r->is_evicting || r->is_closing || now < r->evict_due_ms)
        return;
    r->evict_due_ms = now + EVICT_MS;
    r->is_evicting = db_outbox_evict(r->pool, SILENT_MS, on_evicted, r, NULL) == 0;
}

static void follow_standing(struct relay *r, const struct db_outbox_standing *standing)
{
    switch (standing->claim) {
    case DB_OUTBOX_OTHER:
        relay_step_down(r, "another session has the lock");
        evict(r);
        break;
    case DB_OUTBOX_HELD:
        if (r->state == RELAY_FOLLOWER)
            lead(r);
        else
            rows_advance_floors(r, standing->xmin, standing->xmax);
        break;
    case DB_OUTBOX_TAKEN:
        relay_step_down(r, "the connection was lost");
        memcpy(r->term, r->next_term, sizeof(r->term));
        lead(r);
        break;
    }
}

static void on_claim(void *ctx, int status, const struct db_outbox_standing *standing,
                     const struct error *err)
{
    struct relay *r = ctx;
    r->is_claiming = false;
    if (status) {
        log_debug(r->log, "relay cannot ask for its term", log_str("reason", err->text));
    } else if (!r->is_closing) {
        r->heard_ms = r->claim_sent_ms;
        follow_standing(r, standing);
        relay_pump(r);
    }
    relay_try_end(r);
}

static void claim(struct relay *r)
{
    uint64_t now = uv_now(r->loop);
    if (r->is_claiming || now < r->claim_due_ms)
        return;
    r->claim_due_ms = now + CLAIM_MS + relay_random(r, CLAIM_JITTER);
    r->claim_sent_ms = now;
    snprintf(r->next_term, sizeof(r->next_term), "%s.%" PRIu64, r->name, ++r->term_count);
    r->is_claiming = db_outbox_claim(r->pool, relay_term(r), slice_from_cstr(r->next_term),
                                     on_claim, r, NULL) == 0;
}

/* ---- the leader is elsewhere: ring ---------------------------------------------------------- */

static void ring(struct relay *r);

static void on_rung(void *ctx, int status, bool is_held, int64_t count, const struct error *err)
{
    struct relay *r = ctx;
    (void)status; /* the leader's poll is the net */
    (void)is_held;
    (void)count;
    (void)err;
    r->is_ringing = false;
    ring(r);
    relay_try_end(r);
}

static void on_soon(uv_timer_t *timer)
{
    struct relay *r = timer->data;
    ring(r);
    relay_pump(r);
}

void relay_soon(struct relay *r, uint64_t ms)
{
    if (!r->is_torn_down && !uv_is_active((uv_handle_t *)&r->soon))
        uv_timer_start(&r->soon, on_soon, ms, 0);
}

/* So many commits, one ring. */
static void ring(struct relay *r)
{
    uint64_t now = uv_now(r->loop);
    if (!r->wants_ring || r->is_ringing || r->is_closing)
        return;
    if (now < r->ring_due_ms) {
        relay_soon(r, r->ring_due_ms - now);
        return;
    }
    r->wants_ring = false;
    r->ring_due_ms = now + RING_MS;
    r->is_ringing = db_outbox_ring(r->pool, on_rung, r, NULL) == 0;
}

void relay_wake(struct relay *r)
{
    if (r->is_closing)
        return;
    if (r->state == RELAY_FOLLOWER) {
        r->wants_ring = true;
        ring(r);
    } else {
        rows_want(r, false);
        rows_pump(r);
    }
}

static void on_message(void *ctx, struct slice message)
{
    struct relay *r = ctx;
    (void)message;
    if (r->state != RELAY_FOLLOWER)
        relay_wake(r);
}

static void on_gap(void *ctx)
{
    on_message(ctx, SLICE_EMPTY);
}

/* ---- the tick ------------------------------------------------------------------------------- */

void relay_pump(struct relay *r)
{
    if (!relay_leads(r))
        return;
    lanes_pump(r);
    rows_pump(r);
}

static void tear_down(struct relay *r);

static void on_tick(uv_timer_t *timer)
{
    struct relay *r = timer->data;
    if (r->is_torn_down)
        return;
    claim(r);
    if (r->is_closing) {
        rows_pump(r);
        relay_try_end(r);
        if (!r->is_torn_down && uv_now(r->loop) >= r->close_by_ms)
            tear_down(r);
        return;
    }
    if (r->state == RELAY_FOLLOWER)
        return;
    broker_tick(r);
    if (!relay_leads(r))
        return;
    uint64_t now = uv_now(r->loop);
    if (now >= r->full_due_ms) {
        r->full_due_ms = now + POLL_MS;
        rows_want(r, true);
    }
    for (size_t i = 0; i < RELAY_LANES; i++)
        lane_tick(&r->lanes[i]);
    relay_pump(r);
    upkeep_tick(r);
}

/* ---- life ----------------------------------------------------------------------------------- */

static void free_relay(struct relay *r)
{
    buf_deinit(&r->ids);
    buf_deinit(&r->known);
    mem_free(r->broker_id);
    mem_free(r);
}

static void part_closed(void *ctx)
{
    struct relay *r = ctx;
    if (--r->open_parts > 0)
        return;
    relay_closed_fn closed = r->closed;
    void *closed_ctx = r->closed_ctx;
    if (r->identify)
        r->identify->relay = NULL;
    free_relay(r);
    closed(closed_ctx);
}

static void on_timer_closed(uv_handle_t *handle)
{
    part_closed(handle->data);
}

/* Ends the session, and with it the lock, before anything else. */
static void tear_down(struct relay *r)
{
    r->is_torn_down = true;
    relay_forget(r);
    db_pool_close(r->pool, POOL_CLOSE_MS, part_closed, r);
    if (r->upkeep)
        db_pool_close(r->upkeep, 0, part_closed, r);
    db_listen_close(r->listen, 0, part_closed, r);
    uv_close((uv_handle_t *)&r->tick, on_timer_closed);
    uv_close((uv_handle_t *)&r->soon, on_timer_closed);
}

void relay_try_end(struct relay *r)
{
    if (r->is_closing && !r->is_torn_down && !r->publishes && rows_are_idle(r))
        tear_down(r);
}

static void init_lanes(struct relay *r)
{
    static const char *const topics[RELAY_LANES] = {"task-events", "task-recurrence",
                                                    "task-reminders", EVENT_DLQ_TOPIC};
    for (size_t i = 0; i < RELAY_LANES; i++) {
        r->lanes[i].relay = r;
        r->lanes[i].topic = topics[i];
    }
    for (size_t i = 0; i < 2; i++)
        r->marks[i] = (struct relay_mark){.relay = r, .is_letters = i == 1};
    uint64_t window =
        WINDOW_SHARES * (uint64_t)r->transport->entries_max * r->transport->publish_max;
    r->window = window < WINDOW_MIN   ? WINDOW_MIN
                : window > WINDOW_MAX ? WINDOW_MAX
                                      : (uint32_t)window;
    r->entries_max = r->transport->entries_max < r->window ? r->transport->entries_max : r->window;
    buf_init(&r->ids, DB_OUTBOX_MARK_MAX * (DB_OUTBOX_ID_SIZE + 1) + 2);
    buf_init(&r->known, KNOWN_BYTES);
}

static int make_name(struct relay *r)
{
    struct uuid_gen gen;
    uuid_gen_init(&gen);
    int status = uuid_v7(&gen, r->name);
    for (size_t i = 19; i < UUID_TEXT_SIZE - 1; i++) /* the random part */
        r->random = r->random * 31 + (uint64_t)(unsigned char)r->name[i];
    r->random |= 1;
    memcpy(r->term, r->name, sizeof(r->name));
    return status;
}

static int open_listen(struct relay *r, struct error *err)
{
    const struct db_listen_options options = {.conninfo = r->options.conninfo,
                                              .channel = DB_OUTBOX_CHANNEL,
                                              .on_message = on_message,
                                              .on_gap = on_gap,
                                              .ctx = r};
    return db_listen_new(r->loop, &options, r->log, &r->listen, err);
}

static void start_timers(struct relay *r)
{
    uv_timer_init(r->loop, &r->tick);
    uv_timer_init(r->loop, &r->soon);
    r->tick.data = r;
    r->soon.data = r;
    r->open_parts = 4; /* the pool, the listener, the timers */
    uv_timer_start(&r->tick, on_tick, 0, TICK_MS);
}

/* Of a start that failed half way only this is open: it closes by itself, within the loop. */
static void ignore_closed(void *ctx)
{
    (void)ctx;
}

int relay_new(uv_loop_t *loop, const struct relay_options *options, struct transport *transport,
              const struct log *log, struct relay **out, struct error *err)
{
    struct relay *r = mem_calloc(1, sizeof(*r));
    if (!r)
        return error_set(err, BASE_ENOMEM, NULL, "out of memory");
    r->loop = loop;
    r->log = log;
    r->options = *options;
    r->transport = transport;
    r->stats.depth = -1;
    r->stats.parked_depth = -1;
    init_lanes(r);
    int status = make_name(r);
    if (status)
        error_set(err, status, NULL, "the kernel gives no randomness");
    r->broker_id = options->broker_id ? mem_strdup(options->broker_id) : NULL;
    if (!status && options->broker_id && !r->broker_id)
        status = error_set(err, BASE_ENOMEM, NULL, "out of memory");
    if (!status)
        status = open_listen(r, err);
    if (!status)
        status = db_outbox_open(loop, options->conninfo, log, &r->pool, err);
    if (status) {
        if (r->listen)
            db_listen_close(r->listen, 0, ignore_closed, NULL);
        free_relay(r);
        return status;
    }
    start_timers(r);
    *out = r;
    return 0;
}

void relay_stats(const struct relay *r, struct relay_stats *out)
{
    *out = r->stats;
    out->is_leader = r->state == RELAY_LEADING;
    out->in_flight = r->in_flight;
    for (size_t i = 0; i < RELAY_LANES; i++) {
        out->in_memory += r->lanes[i].count;
        out->is_down |= r->lanes[i].backoff_ms > 0;
    }
}

void relay_close(struct relay *r, uint32_t drain_ms, relay_closed_fn closed, void *ctx)
{
    assert(!r->is_closing);
    r->is_closing = true;
    r->close_by_ms = uv_now(r->loop) + drain_ms;
    r->closed = closed;
    r->closed_ctx = ctx;
    uv_timer_start(&r->tick, on_tick, 0, 10);
}
