/* One run at a time; the one timer means, by state:
 *
 *   IDLE    the next run       -> ASKING (the first) or SENDING
 *   ASKING  -                  the database is asked when the next reminder is due
 *   SENDING -                  a batch is under way
 *   PAUSING the next batch     -> SENDING
 *
 * A run that fails (the database is away) is followed by another after NOTIFICATION_RETRY_MS. */
#include "notification/notification.h"

#include <assert.h>

#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "db/pool.h"
#include "notification/last_poll.h"
#include "notification/notification_metrics.h"

#define BATCH_MAX 100
#define PAUSE_MS  200

enum state { IDLE, ASKING, SENDING, PAUSING };

struct notification {
    uv_loop_t *loop;
    struct db_pool *pool;
    const struct log *log;
    struct notification_options options;
    struct notification_metrics metrics;
    struct last_poll last;
    uv_timer_t timer;
    enum state state;
    bool has_looked; /* at how long nobody did */
    bool is_catching_up;
    bool is_woken; /* during a run: another follows */
    bool is_failing;
    int sent, given_up;                /* in this run */
    int64_t last_end_ms, last_good_ms; /* of a run */
    notification_done_fn done;         /* NULL: nobody waits */
    void *done_ctx;
    bool is_closing;
    notification_closed_fn closed;
    void *closed_ctx;
};

static void on_timer(uv_timer_t *timer);
static void send_batch(struct notification *n);
static void ask(struct notification *n);

static int64_t now_ms(const struct notification *n)
{
    return (int64_t)uv_now(n->loop);
}

/* The loop's time is that of its last turn: without looking anew a timer would come early, by as
 * long as this turn has taken. */
static void start_timer(struct notification *n, int64_t ms)
{
    uv_update_time(n->loop);
    uv_timer_start(&n->timer, on_timer, ms > 0 ? (uint64_t)ms : 0, 0);
}

/* ---- the end -------------------------------------------------------------------------------- */

static void on_timer_closed(uv_handle_t *handle)
{
    struct notification *n = handle->data;
    notification_closed_fn closed = n->closed;
    void *ctx = n->closed_ctx;
    mem_free(n);
    closed(ctx);
}

static void close_when_idle(struct notification *n)
{
    if (n->state == IDLE && last_poll_is_idle(&n->last) && !uv_is_closing((uv_handle_t *)&n->timer))
        uv_close((uv_handle_t *)&n->timer, on_timer_closed);
}

static void on_store_idle(void *ctx)
{
    struct notification *n = ctx;
    if (n->is_closing)
        close_when_idle(n);
}

/* ---- the end of a run ----------------------------------------------------------------------- */

static void end_run(struct notification *n, bool is_done, int64_t next_ms)
{
    notification_done_fn done = n->done;
    if (n->is_woken && next_ms > NOTIFICATION_WAKE_MS)
        next_ms = NOTIFICATION_WAKE_MS;
    if (next_ms > NOTIFICATION_TIMER_MAX_MS)
        next_ms = NOTIFICATION_TIMER_MAX_MS;
    n->state = IDLE;
    n->is_woken = false;
    n->done = NULL;
    if (!n->is_closing)
        start_timer(n, next_ms);
    n->last_end_ms = now_ms(n);
    if (done)
        done(n->done_ctx, is_done);
    if (n->is_closing)
        close_when_idle(n);
}

static void end_well(struct notification *n, const struct db_reminder_next_reply *reply)
{
    int64_t next_ms = reply->has_next ? reply->next_ms : NOTIFICATION_TIMER_MAX_MS;
    if (n->is_failing)
        log_info(n->log, "looking for due reminders again");
    if (n->is_catching_up && n->sent + n->given_up > 0)
        log_info(n->log, "caught up", log_int("sent", n->sent), log_int("given_up", n->given_up));
    else if (n->sent > 0)
        log_debug(n->log, "reminders sent", log_int("sent", n->sent));
    n->is_failing = false;
    n->is_catching_up = false;
    n->last_good_ms = now_ms(n);
    last_poll_save(&n->last, reply->now);
    notification_metrics_run(&n->metrics, "done");
    end_run(n, true, next_ms > 0 ? next_ms : NOTIFICATION_LOCKED_MS);
}

static void end_failed(struct notification *n, const struct error *err)
{
    if (!n->is_failing)
        log_warn(n->log, "due reminders cannot be looked for", log_int("code", err->code),
                 log_str("reason", err->text));
    n->is_failing = true;
    notification_metrics_run(&n->metrics, "failed");
    end_run(n, false, NOTIFICATION_RETRY_MS);
}

/* Cut short by notification_close: what is left is another's, or the next start's. */
static void end_cut(struct notification *n)
{
    end_run(n, false, 0);
}

/* ---- batches -------------------------------------------------------------------------------- */

static void on_batch(void *ctx, int status, const struct db_reminder_fire_reply *reply,
                     const struct error *err)
{
    struct notification *n = ctx;
    if (status) {
        end_failed(n, err);
        return;
    }
    n->sent += reply->count;
    n->given_up += reply->given_up;
    notification_metrics_batch(&n->metrics, reply);
    if (reply->count > 0 && n->options.on_sent)
        n->options.on_sent(n->options.ctx, reply->sent, reply->count);
    if (n->is_closing) {
        end_cut(n);
    } else if (!reply->has_more) {
        ask(n);
    } else if (n->is_catching_up) {
        n->state = PAUSING;
        start_timer(n, n->options.pause_ms);
    } else {
        send_batch(n);
    }
}

static void send_batch(struct notification *n)
{
    struct error err;
    n->state = SENDING;
    if (db_reminder_fire(n->pool, &n->options.rules, n->options.batch_max,
                         slice_from_cstr(n->options.source), on_batch, n, NULL, &err))
        end_failed(n, &err);
}

/* ---- when is the next one ------------------------------------------------------------------- */

/* Before the very first batch: did another worker look meanwhile? A store that has not answered
 * yet counts as no. A last look that lies ahead is one before the clock was set back. */
static void look_back(struct notification *n, int64_t now_us)
{
    int64_t down_us = now_us - n->last.found_us;
    bool is_known = n->last.found_us != 0 && down_us >= 0;
    n->has_looked = true;
    n->last_good_ms = now_ms(n);
    n->is_catching_up = !is_known || down_us > INT64_C(1000) * NOTIFICATION_DOWNTIME_MS;
    if (is_known)
        log_info(n->log, "reminders were last looked for",
                 log_int("seconds_ago", down_us / 1000000));
}

static void on_next(void *ctx, int status, const struct db_reminder_next_reply *reply,
                    const struct error *err)
{
    struct notification *n = ctx;
    if (status) {
        end_failed(n, err);
    } else if (n->is_closing) {
        end_cut(n);
    } else if (!n->has_looked) {
        look_back(n, reply->now);
        send_batch(n);
    } else {
        end_well(n, reply);
    }
}

static void ask(struct notification *n)
{
    struct error err;
    n->state = ASKING;
    if (db_reminder_next(n->pool, &n->options.rules, on_next, n, NULL, &err))
        end_failed(n, &err);
}

/* ---- a run ---------------------------------------------------------------------------------- */

static void begin(struct notification *n)
{
    n->sent = 0;
    n->given_up = 0;
    if (n->has_looked && now_ms(n) - n->last_good_ms > NOTIFICATION_DOWNTIME_MS)
        n->is_catching_up = true; /* the database was away, or the machine asleep */
    if (n->has_looked)
        send_batch(n);
    else
        ask(n);
}

static void on_timer(uv_timer_t *timer)
{
    struct notification *n = timer->data;
    assert(n->state == IDLE || n->state == PAUSING);
    if (n->state == IDLE)
        begin(n);
    else
        send_batch(n);
}

void notification_run(struct notification *n, notification_done_fn fn, void *ctx)
{
    assert(!n->done && !n->is_closing);
    n->done = fn;
    n->done_ctx = ctx;
    if (n->state == IDLE)
        start_timer(n, 0);
    else
        n->is_woken = true;
}

void notification_wake(struct notification *n)
{
    if (n->is_closing)
        return;
    if (n->state != IDLE) {
        n->is_woken = true;
        return;
    }
    uint64_t due_in = uv_timer_get_due_in(&n->timer);
    int64_t passed = now_ms(n) - n->last_end_ms;
    int64_t wait_ms = passed < NOTIFICATION_WAKE_MS ? NOTIFICATION_WAKE_MS - passed : 0;
    if ((int64_t)due_in > wait_ms)
        start_timer(n, wait_ms);
}

/* ---- life ----------------------------------------------------------------------------------- */

int notification_new(uv_loop_t *loop, struct db_pool *pool, const struct log *log,
                     const struct notification_options *options, struct notification **out,
                     struct error *err)
{
    struct notification *n = mem_calloc(1, sizeof(*n));
    if (!n)
        return error_set(err, BASE_ENOMEM, NULL, "out of memory");
    *n = (struct notification){.loop = loop, .pool = pool, .log = log, .options = *options};
    int status = notification_metrics_init(&n->metrics, options->metrics, err);
    if (status) {
        mem_free(n);
        return status;
    }
    if (n->options.batch_max == 0)
        n->options.batch_max = BATCH_MAX;
    if (n->options.pause_ms == 0)
        n->options.pause_ms = PAUSE_MS;
    n->last =
        (struct last_poll){.state = options->state, .log = log, .on_idle = on_store_idle, .ctx = n};
    uv_timer_init(loop, &n->timer);
    n->timer.data = n;
    last_poll_load(&n->last);
    start_timer(n, 0);
    *out = n;
    return 0;
}

void notification_close(struct notification *n, notification_closed_fn closed, void *ctx)
{
    assert(!n->is_closing);
    n->is_closing = true;
    n->closed = closed;
    n->closed_ctx = ctx;
    uv_timer_stop(&n->timer);
    if (n->state == PAUSING || (n->state == IDLE && n->done))
        end_cut(n);
    else
        close_when_idle(n);
}
