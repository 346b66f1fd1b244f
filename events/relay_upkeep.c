/* What the leader does now and then: how much waits; the purge of what is old, a small batch at a
 * time; and a vacuum where much was deleted, since autovacuum comes once a minute, and a busy
 * outbox is all turnover by then. All on a session of its own, so that no event waits behind it. */
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "events/relay_int.h"

#define LOOK_MS      5000
#define COUNT_MAX    100000
#define PURGE_MS     10000 /* between the rounds */
#define PURGE_BATCH  500
#define VACUUM_ROWS  20000
#define VACUUM_SHARE 5 /* … and a fifth of the table */
#define SECOND_US    INT64_C(1000000)
#define LEAST_ID     "00000000-0000-0000-0000-000000000000"

enum { STEP_NONE, STEP_OUTBOX, STEP_VACUUM, STEP_INBOX, STEP_LETTERS };

/* ---- the depth ------------------------------------------------------------------------------ */

static void on_status(void *ctx, int status, const struct db_outbox_status *s,
                      const struct error *err)
{
    struct relay *r = ctx;
    int64_t oldest = 0;
    (void)err;
    r->is_looking = false;
    if (!status) {
        r->rows_estimate = s->rows_estimate;
        r->stats.depth = 0;
        r->stats.parked_depth = 0;
        for (int i = 0; i < s->count; i++) {
            r->stats.depth += s->topics[i].unpublished;
            r->stats.parked_depth += s->topics[i].parked;
            if (s->topics[i].oldest_at && (!oldest || s->topics[i].oldest_at < oldest))
                oldest = s->topics[i].oldest_at;
        }
        r->stats.oldest_age_us = oldest ? clock_now_us() - oldest : 0;
    }
    relay_try_end(r);
}

/* ---- the purge ------------------------------------------------------------------------------ */

static void purge(struct relay *r);

static bool is_vacuum_due(const struct relay *r)
{
    return r->dead_rows >= VACUUM_ROWS && r->dead_rows >= r->rows_estimate / VACUUM_SHARE;
}

/* The next batch of the step, or the next step. */
static void purge_on(struct relay *r, int status, int64_t count, bool has_more)
{
    r->is_upkeep_busy = false;
    r->stats.purged += (uint64_t)count;
    if (r->upkeep_step == STEP_OUTBOX)
        r->dead_rows += count;
    if (status || !relay_leads(r))
        r->upkeep_step = STEP_NONE;
    else if (!has_more)
        r->upkeep_step = r->upkeep_step == STEP_LETTERS ? STEP_NONE : r->upkeep_step + 1;
    if (r->upkeep_step == STEP_VACUUM && !is_vacuum_due(r))
        r->upkeep_step++;
    if (r->upkeep_step != STEP_NONE)
        purge(r);
    relay_try_end(r);
}

static void on_batch(void *ctx, int status, int64_t count, struct slice last,
                     const struct error *err)
{
    struct relay *r = ctx;
    bool has_more = !status && last.len > 0 && last.len < sizeof(r->purge_after);
    if (status && !r->is_closing)
        log_warn(r->log, "relay cannot purge the outbox", log_str("reason", err->text));
    if (has_more) {
        memcpy(r->purge_after, last.ptr, last.len);
        r->purge_after[last.len] = '\0';
    }
    purge_on(r, status, count, has_more);
}

static void on_purged(void *ctx, int status, bool is_held, int64_t count, const struct error *err)
{
    (void)is_held;
    (void)err;
    purge_on(ctx, status, count, count == PURGE_BATCH);
}

static void on_vacuumed(void *ctx, int status, bool is_held, int64_t count, const struct error *err)
{
    struct relay *r = ctx;
    (void)is_held;
    (void)count;
    if (status && !r->is_closing)
        log_warn(r->log, "relay cannot vacuum the outbox", log_str("reason", err->text));
    r->dead_rows = 0;
    purge_on(r, 0, 0, false);
}

static int purge_outbox(struct relay *r, int64_t before_us)
{
    char until[DB_OUTBOX_ID_SIZE];
    db_outbox_bound(before_us, until);
    const struct db_outbox_range range = {.after = slice_from_cstr(r->purge_after),
                                          .until = slice_from_cstr(until),
                                          .before_us = before_us,
                                          .limit = PURGE_BATCH};
    return db_outbox_purge(r->upkeep, &range, on_batch, r, NULL);
}

static void purge(struct relay *r)
{
    int64_t now = clock_now_us();
    int status = 0;
    switch (r->upkeep_step) {
    case STEP_OUTBOX:
        status = purge_outbox(r, now - (int64_t)r->options.outbox_retention_s * SECOND_US);
        break;
    case STEP_VACUUM:
        status = db_outbox_vacuum(r->upkeep, on_vacuumed, r, NULL);
        break;
    case STEP_INBOX:
        status = db_outbox_purge_inbox(r->upkeep,
                                       now - (int64_t)r->options.inbox_retention_s * SECOND_US,
                                       PURGE_BATCH, on_purged, r, NULL);
        break;
    case STEP_LETTERS:
        status = db_outbox_purge_letters(r->upkeep,
                                         now - (int64_t)r->options.letters_retention_s * SECOND_US,
                                         PURGE_BATCH, on_purged, r, NULL);
        break;
    default:
        break;
    }
    r->is_upkeep_busy = status == 0;
    if (status)
        r->upkeep_step = STEP_NONE;
}

static bool has_session(struct relay *r)
{
    if (r->upkeep)
        return true;
    if (db_outbox_open_upkeep(r->loop, r->options.conninfo, r->log, &r->upkeep, NULL))
        return false;
    r->open_parts++;
    return true;
}

void upkeep_tick(struct relay *r)
{
    uint64_t now = uv_now(r->loop);
    if (!has_session(r))
        return;
    if (!r->is_looking && now >= r->look_due_ms) {
        r->look_due_ms = now + LOOK_MS;
        r->is_looking = db_outbox_status(r->upkeep, COUNT_MAX, on_status, r, NULL) == 0;
    }
    if (!r->is_upkeep_busy && r->upkeep_step == STEP_NONE && now >= r->upkeep_due_ms) {
        r->upkeep_due_ms = now + PURGE_MS;
        r->upkeep_step = STEP_OUTBOX;
        memcpy(r->purge_after, LEAST_ID, sizeof(LEAST_ID));
        purge(r);
    }
}
