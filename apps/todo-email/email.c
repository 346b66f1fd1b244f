/* handle -> (is it time to try again?) -> ask the database -> wait for a slot -> email_claim
 *        -> email_send -> mark: the inbox, then the key -> end
 * Each step is a function whose name says it, in this order; email_op_end may come from any. */
#include "email/email.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "base/lru.h"
#include "base/mem.h"
#include "base/smtp.h"
#include "db/inbox.h"
#include "db/recipient.h"
#include "email_int.h"

#define SLOTS         4
#define LEASE_MS      6000
#define RETRIES_KEPT  10000
#define MARK_TRIES    20
#define MARK_PAUSE_MS 500

/* ---- the end -------------------------------------------------------------------------------- */

static void try_close(struct email *e)
{
    email_closed_fn closed = e->closed;
    void *ctx = e->closed_ctx;
    if (!closed || e->op_count > 0)
        return;
    lru_free(e->retries);
    mem_free(e->in_hand);
    mem_free(e);
    closed(ctx);
}

static void free_op(struct email_op *op)
{
    struct email *e = op->email;
    mem_free(op);
    e->op_count--;
    try_close(e);
}

static void on_op_closed(uv_handle_t *handle)
{
    email_claim_close(handle->data, free_op);
}

static void fill_slots(struct email *e);

static void leave_slot(struct email_op *op)
{
    struct email *e = op->email;
    if (!op->has_slot)
        return;
    for (uint32_t i = 0; i < e->options.slots; i++) {
        if (e->in_hand[i] == op)
            e->in_hand[i] = NULL;
    }
    op->has_slot = false;
    e->slots_used--;
    fill_slots(e);
}

void email_op_end(struct email_op *op, enum consumer_verdict verdict)
{
    uv_close((uv_handle_t *)&op->timer, on_op_closed);
    bool is_done = verdict == CONSUMER_DONE || verdict == CONSUMER_REPEATED;
    consumer_turn_end(op->turn, verdict, is_done ? NULL : &op->err);
    leave_slot(op);
}

struct trace_ids email_op_trace(const struct email_op *op)
{
    struct trace_ids ids;
    trace_ids_read(slice_from_cstr(op->event->envelope->traceparent), &ids);
    return ids;
}

/* ---- waiting -------------------------------------------------------------------------------- */

static void on_timer(uv_timer_t *timer)
{
    struct email_op *op = timer->data;
    op->on_time(op);
}

void email_op_wait(struct email_op *op, uint64_t ms, void (*fn)(struct email_op *op))
{
    op->on_time = fn;
    uv_timer_start(&op->timer, on_timer, ms, 0);
}

static void end_unavailable(struct email_op *op)
{
    email_op_end(op, CONSUMER_UNAVAILABLE);
}

void email_op_give_back(struct email_op *op, uint64_t ms)
{
    leave_slot(op); /* while it is held another may go */
    email_op_wait(op, ms < EMAIL_HOLD_MS ? ms : EMAIL_HOLD_MS, end_unavailable);
}

/* ---- when to try again ---------------------------------------------------------------------- */

/* A little apart for each, so that what failed together is not tried together. */
static uint64_t note_failure(const struct email *e, struct email_retry *r)
{
    uint64_t pause_ms = e->options.retry_min_ms;
    for (uint32_t i = 0; i < r->failures && pause_ms < EMAIL_RETRY_MAX_MS; i++)
        pause_ms *= 2;
    if (pause_ms > EMAIL_RETRY_MAX_MS)
        pause_ms = EMAIL_RETRY_MAX_MS;
    pause_ms += pause_ms * (uv_hrtime() / 1000 % 100) / 400;
    r->failures++;
    r->next_ms = uv_now(e->loop) + pause_ms;
    return pause_ms;
}

uint64_t email_op_failed(struct email_op *op, bool is_of_server)
{
    struct email *e = op->email;
    bool is_known = e->server.next_ms > uv_now(e->loop);
    if (is_of_server)
        return is_known ? e->server.next_ms - uv_now(e->loop) : note_failure(e, &e->server);
    struct email_retry *r = lru_put(e->retries, op->event->id);
    return r ? note_failure(e, r) : e->options.retry_min_ms;
}

void email_op_went_well(struct email_op *op)
{
    op->email->server = (struct email_retry){0};
    lru_remove(op->email->retries, op->event->id);
}

static uint64_t time_until_try(struct email_op *op)
{
    const struct email *e = op->email;
    uint64_t now = uv_now(e->loop);
    const struct email_retry *own = lru_get(e->retries, op->event->id);
    uint64_t next = own && own->next_ms > e->server.next_ms ? own->next_ms : e->server.next_ms;
    return next > now ? next - now : 0;
}

/* ---- marking -------------------------------------------------------------------------------- */

static void mark_again(struct email_op *op)
{
    if (op->is_in_inbox) {
        email_op_end(op, CONSUMER_DONE);
    } else if (++op->mark_tries < MARK_TRIES) {
        email_op_wait(op, MARK_PAUSE_MS, email_op_mark);
    } else {
        struct trace_ids ids = email_op_trace(op);
        log_error(op->email->log, "mail sent but not marked in the inbox",
                  log_str("event_id", op->event->envelope->id), log_str("trace_id", ids.trace_id),
                  log_str("span_id", ids.span_id), log_int("code", op->err.code),
                  log_str("reason", op->err.text));
        email_op_end(op, op->is_in_state ? CONSUMER_DONE : CONSUMER_UNAVAILABLE);
    }
}

static void on_marked_in_state(struct email_op *op, bool is_done)
{
    op->is_in_state = is_done;
    mark_again(op);
}

static void on_marked_in_inbox(void *ctx, int status, bool is_fresh, const struct error *err)
{
    struct email_op *op = ctx;
    (void)is_fresh;
    op->is_in_inbox = status == 0;
    if (status)
        op->err = *err;
    if (op->has_slot && !op->is_in_state)
        email_claim_mark(op, on_marked_in_state);
    else
        mark_again(op);
}

void email_op_mark(struct email_op *op)
{
    struct email *e = op->email;
    int status = db_inbox_add(e->pool, slice_from_cstr(e->options.consumer), op->event->id,
                              on_marked_in_inbox, op, NULL, &op->err);
    if (status)
        mark_again(op);
}

/* ---- a slot --------------------------------------------------------------------------------- */

static void enter_slot(struct email_op *op)
{
    struct email *e = op->email;
    uint32_t i = 0;
    while (e->in_hand[i])
        i++;
    e->in_hand[i] = op;
    op->has_slot = true;
    e->slots_used++;
    email_claim(op);
}

static void fill_slots(struct email *e)
{
    while (e->waiting_first && e->slots_used < e->options.slots) {
        struct email_op *op = e->waiting_first;
        e->waiting_first = op->next;
        if (!e->waiting_first)
            e->waiting_last = NULL;
        enter_slot(op);
    }
}

static void wait_for_slot(struct email_op *op)
{
    struct email *e = op->email;
    op->next = NULL;
    if (e->waiting_last)
        e->waiting_last->next = op;
    else
        e->waiting_first = op;
    e->waiting_last = op;
    fill_slots(e);
}

/* ---- whom to write to ----------------------------------------------------------------------- */

static void ask(struct email_op *op);

static void keep(char *out, size_t size, struct slice text)
{
    snprintf(out, size, "%.*s", (int)text.len, text.len ? text.ptr : "");
}

/* Nothing is to be sent; it stays so, should the event come again. */
static void end_without(struct email_op *op, enum email_outcome outcome)
{
    email_metrics_mail(&op->email->metrics, outcome);
    email_op_mark(op);
}

static void on_recipient(struct email_op *op, const struct db_recipient_reply *reply)
{
    bool has_address = smtp_is_address(reply->email) && reply->email.len < sizeof(op->to);
    if (reply->is_handled) {
        email_metrics_mail(&op->email->metrics, EMAIL_DUPLICATE);
        email_op_end(op, CONSUMER_REPEATED);
    } else if (!reply->is_found) {
        end_without(op, EMAIL_NO_USER);
    } else if (op->email->options.smtp && !has_address) {
        end_without(op, EMAIL_NO_ADDRESS);
    } else {
        keep(op->to, sizeof(op->to), has_address ? reply->email : SLICE_EMPTY);
        keep(op->due, sizeof(op->due), reply->due);
        keep(op->zone, sizeof(op->zone), reply->zone);
        wait_for_slot(op);
    }
}

static void on_answer(void *ctx, int status, const struct db_recipient_reply *reply,
                      const struct error *err)
{
    struct email_op *op = ctx;
    if (!status) {
        on_recipient(op, reply);
    } else if (status == DB_ECONSTRAINT && !op->is_in_utc) { /* a time zone that is none */
        op->is_in_utc = true;
        ask(op);
    } else {
        op->err = *err;
        email_op_end(op, consumer_verdict_of(status));
    }
}

static void ask(struct email_op *op)
{
    const struct email *e = op->email;
    const struct db_recipient_ask question = {
        .consumer = slice_from_cstr(e->options.consumer),
        .event_id = op->event->id,
        .user_id = op->event->user_id,
        .due = slice_from_cstr(json_get_string(op->event->data, "due_date")),
        .is_in_utc = op->is_in_utc,
    };
    if (db_recipient_get(e->pool, &question, on_answer, op, NULL, &op->err))
        email_op_end(op, CONSUMER_UNAVAILABLE);
}

/* ---- the start ------------------------------------------------------------------------------ */

void email_handle(void *ctx, const struct consumer_event *event, struct consumer_turn *turn)
{
    struct email *e = ctx;
    struct email_op *op = mem_calloc(1, sizeof(*op));
    struct error err;
    if (!op) {
        error_set(&err, BASE_ENOMEM, NULL, "out of memory");
        consumer_turn_end(turn, CONSUMER_UNAVAILABLE, &err);
        return;
    }
    op->email = e;
    op->event = event;
    op->turn = turn;
    uv_timer_init(e->loop, &op->timer);
    op->timer.data = op;
    email_claim_init(op);
    e->op_count++;
    snprintf(op->key, sizeof(op->key), EMAIL_KEY_PREFIX "%.*s", (int)event->id.len, event->id.ptr);
    uint64_t wait_ms = time_until_try(op);
    error_set(&op->err, EMAIL_ETEMPORARY, NULL, "the mail is tried again later");
    if (wait_ms > EMAIL_HOLD_MS)
        email_op_give_back(op, wait_ms);
    else if (wait_ms > 0)
        email_op_wait(op, wait_ms, ask);
    else
        ask(op);
}

int email_new(uv_loop_t *loop, struct db_pool *pool, const struct log *log,
              const struct email_options *options, struct email **out, struct error *err)
{
    struct uuid_gen gen;
    struct email *e = mem_calloc(1, sizeof(*e));
    if (!e)
        return error_set(err, BASE_ENOMEM, NULL, "out of memory");
    *e = (struct email){.loop = loop, .pool = pool, .log = log, .options = *options};
    e->options.slots = options->slots ? options->slots : SLOTS;
    e->options.lease_ms = options->lease_ms ? options->lease_ms : LEASE_MS;
    e->options.retry_min_ms = options->retry_min_ms ? options->retry_min_ms : EMAIL_RETRY_MIN_MS;
    uuid_gen_init(&gen);
    e->in_hand = mem_calloc(e->options.slots, sizeof(struct email_op *));
    int status = e->in_hand ? uuid_v7(&gen, e->owner) : BASE_ENOMEM;
    if (!status)
        status = lru_new(sizeof(struct email_retry), RETRIES_KEPT, &e->retries);
    if (status)
        error_set(err, status, NULL, "out of memory");
    else
        status = email_metrics_init(&e->metrics, options->metrics, err);
    if (status) {
        lru_free(e->retries);
        mem_free(e->in_hand);
        mem_free(e);
        return status;
    }
    *out = e;
    return 0;
}

/* As if the last delivery ended just then. */
void email_close(struct email *e, email_closed_fn closed, void *ctx)
{
    e->closed = closed;
    e->closed_ctx = ctx;
    try_close(e);
}
