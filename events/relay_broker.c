/* Which broker stands behind the transport, and what happens when it is another one:
 *   identify -> the same as the database remembers -> LEADING
 *            -> another one -> REPLAYING: what was published within replay_s becomes unpublished
 *               again, batch after batch, then the new name is remembered -> LEADING
 * What the old broker took is acked, but perhaps not delivered; nothing newer goes out before it
 * does, so that each task's order holds. Consumers know what they had by their inbox. A crash half
 * way repeats it all, since the name is written last.
 *
 * It is asked when a term begins, after each outage of the way out, and now and then, since the
 * broker behind one name may be swapped under a leader that goes on. While nobody answers, nothing
 * goes out. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "events/relay_int.h"

#define ASK_MS        500
#define REPLAY_BATCH  1000
#define CLOCK_SKEW_US INT64_C(3600000000) /* ids are made by the database's clock */

static void begin_leading(struct relay *r)
{
    r->state = RELAY_LEADING;
    r->must_identify = false;
    r->full_due_ms = 0;
    rows_want(r, true);
    relay_pump(r);
}

/* ---- remember ------------------------------------------------------------------------------- */

static void on_set(void *ctx, int status, bool is_held, int64_t count, const struct error *err)
{
    struct relay *r = ctx;
    (void)count;
    (void)err;
    r->is_broker_busy = false;
    if (!status && is_held && !r->is_closing && r->state != RELAY_FOLLOWER) {
        memcpy(r->broker, r->found, sizeof(r->broker));
        r->is_broker_loaded = true;
        begin_leading(r);
    }
    relay_try_end(r);
}

static void remember(struct relay *r)
{
    r->is_broker_busy = db_outbox_set_broker(r->pool, relay_term(r), slice_from_cstr(r->found),
                                             on_set, r, NULL) == 0;
}

/* ---- replay --------------------------------------------------------------------------------- */

static void replay(struct relay *r);

static void on_batch(void *ctx, int status, int64_t count, struct slice last,
                     const struct error *err)
{
    struct relay *r = ctx;
    (void)err;
    r->is_broker_busy = false;
    if (!status && r->state == RELAY_REPLAYING && !r->is_closing) {
        r->stats.replayed += (uint64_t)count;
        if (last.len == 0 || last.len >= sizeof(r->replay_after)) {
            remember(r);
        } else {
            memcpy(r->replay_after, last.ptr, last.len);
            r->replay_after[last.len] = '\0';
            replay(r);
        }
    }
    relay_try_end(r);
}

static void replay(struct relay *r)
{
    const struct db_outbox_range range = {.after = slice_from_cstr(r->replay_after),
                                          .until = slice_from_cstr(r->replay_until),
                                          .limit = REPLAY_BATCH};
    r->is_broker_busy = db_outbox_replay(r->pool, &range, on_batch, r, NULL) == 0;
}

static void begin_replay(struct relay *r)
{
    int64_t now = clock_now_us();
    log_warn(r->log, "the broker was swapped: published events go out once more",
             log_str("from", r->broker), log_str("to", r->found),
             log_int("within_s", r->options.replay_s));
    relay_forget(r);
    r->state = RELAY_REPLAYING;
    db_outbox_bound(now - (int64_t)r->options.replay_s * 1000000, r->replay_after);
    db_outbox_bound(now + CLOCK_SKEW_US, r->replay_until);
    if (r->options.replay_s > 0)
        replay(r);
    else
        remember(r);
}

/* ---- compare -------------------------------------------------------------------------------- */

/* A replay passes over what is unpublished: a mark that came after it would hide from the new
 * broker what only the old one has. The pool runs one again that met a conflict, behind what came
 * meanwhile; so the replay waits, and what goes out with it. */
static bool is_marking(const struct relay *r)
{
    return r->marks[0].is_busy || r->marks[1].is_busy;
}

static void ask_again_soon(struct relay *r)
{
    r->must_identify = true;
    r->identify_due_ms = 0;
}

static void compare(struct relay *r)
{
    if (!r->broker[0])
        remember(r);
    else if (strcmp(r->broker, r->found) != 0 && is_marking(r))
        ask_again_soon(r);
    else if (strcmp(r->broker, r->found) != 0)
        begin_replay(r);
    else if (r->state == RELAY_LEADING)
        r->must_identify = false;
    else
        begin_leading(r);
}

static void on_broker(void *ctx, int status, bool is_held, struct slice broker,
                      const struct error *err)
{
    struct relay *r = ctx;
    (void)err;
    r->is_broker_busy = false;
    if (!status && is_held && broker.len < sizeof(r->broker) && r->state == RELAY_STARTING &&
        !r->is_closing) {
        if (broker.len > 0)
            memcpy(r->broker, broker.ptr, broker.len);
        r->broker[broker.len] = '\0';
        r->is_broker_loaded = true;
        compare(r);
    }
    relay_try_end(r);
}

static void take_identity(struct relay *r, struct slice identity)
{
    if (identity.len > 0)
        snprintf(r->found, sizeof(r->found), "%s %.*s", r->transport->name, (int)identity.len,
                 identity.ptr);
    else
        snprintf(r->found, sizeof(r->found), "%s", r->transport->name);
    if (r->is_broker_loaded)
        compare(r);
    else
        r->is_broker_busy = db_outbox_broker(r->pool, relay_term(r), on_broker, r, NULL) == 0;
}

/* ---- ask ------------------------------------------------------------------------------------ */

static void on_identity(void *ctx, struct slice identity)
{
    struct relay_identify *ask = ctx;
    struct relay *r = ask->relay;
    mem_free(ask);
    if (!r)
        return;
    r->identify = NULL;
    if (r->is_closing || r->state == RELAY_FOLLOWER || r->state == RELAY_REPLAYING ||
        r->is_broker_busy)
        return;
    if (identity.len > 0 && identity.len <= TRANSPORT_IDENTITY_MAX)
        take_identity(r, identity);
    else
        r->must_identify = true; /* what comes back may be another: old events go first then */
    relay_pump(r);
}

static void ask(struct relay *r)
{
    struct relay_identify *ask = mem_alloc(sizeof(*ask));
    if (!ask)
        return;
    ask->relay = r;
    if (r->transport->identify(r->transport, on_identity, ask))
        mem_free(ask);
    else
        r->identify = ask;
}

/* After a step that failed: from its beginning. */
static void go_on(struct relay *r)
{
    if (r->state == RELAY_REPLAYING)
        replay(r);
    else if (r->broker_id)
        take_identity(r, slice_from_cstr(r->broker_id));
    else if (r->transport->identify)
        ask(r);
    else
        take_identity(r, SLICE_EMPTY);
}

void broker_tick(struct relay *r)
{
    uint64_t now = uv_now(r->loop);
    bool can_change = r->transport->identify && !r->broker_id;
    if (r->identify || r->is_broker_busy || now < r->identify_due_ms)
        return;
    if (r->state == RELAY_LEADING && !can_change)
        return;
    r->identify_due_ms = now + ASK_MS;
    go_on(r);
}

void broker_start(struct relay *r)
{
    r->is_broker_loaded = false;
    r->must_identify = true;
    r->identify_due_ms = 0;
    broker_tick(r);
}
