/* deliver -> QUEUED -> begin: decode, find the handler -> run -> … -> answer.
 * All that is due happens in the timer's callback, so that no answer comes from inside
 * consumer_deliver, and no handler from inside another's end. */
#include "events/consumer.h"

#include <assert.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "db/error.h"
#include "events/consumer_int.h"

#define IN_FLIGHT_DEFAULT 256
#define RETRY_MS          100 /* doubles */
#define RETRIES_MAX       3

/* ---- lists ---- */

static void list_remove(struct turn_list *list, struct consumer_turn *t)
{
    *(t->prev ? &t->prev->next : &list->head) = t->next;
    *(t->next ? &t->next->prev : &list->tail) = t->prev;
    t->prev = t->next = NULL;
}

static void list_add(struct turn_list *list, struct consumer_turn *t)
{
    t->prev = list->tail;
    *(list->tail ? &list->tail->next : &list->head) = t;
    list->tail = t;
}

static bool is_move_allowed(enum turn_state from, enum turn_state to)
{
    switch (from) {
    case TURN_QUEUED:
        return to != TURN_QUEUED && to != TURN_WAITING;
    case TURN_RUNNING:
        return to == TURN_WAITING || to == TURN_BURYING || to == TURN_ANSWERED;
    case TURN_WAITING:
        return to == TURN_RUNNING || to == TURN_ANSWERED;
    case TURN_BURYING:
        return to == TURN_ANSWERED;
    case TURN_ANSWERED:
    case TURN_STATES:
        return false;
    }
    return false;
}

static void set_state(struct consumer_turn *t, enum turn_state state)
{
    struct consumer *c = t->consumer;
    assert(is_move_allowed(t->state, state));
    (void)is_move_allowed;
    list_remove(&c->lists[t->state], t);
    t->state = state;
    list_add(&c->lists[state], t);
}

/* ---- time ---- */

static void on_tick(uv_timer_t *timer);

static void wake(struct consumer *c)
{
    uv_timer_start(&c->timer, on_tick, 0, 0);
}

/* After a tick: what is to be done at once, or the next try that is due. */
static void arm(struct consumer *c)
{
    uint64_t due_ms = UINT64_MAX;
    for (const struct consumer_turn *t = c->lists[TURN_WAITING].head; t; t = t->next)
        due_ms = t->due_ms < due_ms ? t->due_ms : due_ms;
    uint64_t now = uv_now(c->loop);
    if (c->lists[TURN_QUEUED].head || c->lists[TURN_ANSWERED].head)
        wake(c);
    else if (due_ms != UINT64_MAX)
        uv_timer_start(&c->timer, on_tick, due_ms > now ? due_ms - now : 0, 0);
}

/* ---- ends of a turn ---- */

static void answer(struct consumer_turn *t, enum consumer_outcome outcome)
{
    consumer_metrics_end(&t->consumer->metrics, t, outcome);
    turn_trace_end(t, outcome);
    t->answer = outcome == CONSUMER_OUTCOME_UNAVAILABLE ? CONSUMER_RETRY : CONSUMER_ACK;
    set_state(t, TURN_ANSWERED);
    wake(t->consumer);
}

static void log_turn(const struct consumer_turn *t, enum log_level level, const char *message)
{
    struct trace_ids ids;
    trace_ids_read(slice_from_cstr(t->envelope.traceparent), &ids);
    LOG_AT(t->consumer->log, level, message, log_str("event_id", t->envelope.id),
           log_str("type", t->envelope.type), log_str("trace_id", ids.trace_id),
           log_str("span_id", ids.span_id), log_int("attempt", t->attempts),
           log_int("code", t->why.code), log_str("reason", t->why.text));
}

static void on_buried(struct consumer_turn *t, int status, const struct error *err)
{
    if (!status) {
        log_turn(t, LOG_ERROR, "dead letter");
        answer(t, CONSUMER_OUTCOME_DEAD);
        return;
    }
    t->why = *err;
    log_turn(t, LOG_WARN, "dead letter not written");
    answer(t, CONSUMER_OUTCOME_UNAVAILABLE);
}

static void bury(struct consumer_turn *t)
{
    struct error err = {0};
    int status = turn_bury(t, on_buried, &err);
    if (!status)
        set_state(t, TURN_BURYING);
    else
        on_buried(t, status, &err);
}

static void give_back(struct consumer_turn *t)
{
    log_turn(t, LOG_WARN, "event given back");
    answer(t, CONSUMER_OUTCOME_UNAVAILABLE);
}

/* ---- the handler ---- */

static void try_again(struct consumer_turn *t)
{
    if (t->attempts > RETRIES_MAX) {
        bury(t);
        return;
    }
    if (t->consumer->is_closing) {
        give_back(t);
        return;
    }
    log_turn(t, LOG_WARN, "event failed");
    consumer_metrics_retry(&t->consumer->metrics, t);
    t->due_ms = uv_now(t->consumer->loop) + ((uint64_t)RETRY_MS << (t->attempts - 1));
    set_state(t, TURN_WAITING);
    wake(t->consumer);
}

void consumer_turn_end(struct consumer_turn *t, enum consumer_verdict verdict,
                       const struct error *err)
{
    assert(t->state == TURN_RUNNING);
    t->why = err ? *err : (struct error){0};
    switch (verdict) {
    case CONSUMER_DONE:
    case CONSUMER_REPEATED:
        log_turn(t, LOG_DEBUG, "event handled");
        answer(t, verdict == CONSUMER_DONE ? CONSUMER_OUTCOME_DONE : CONSUMER_OUTCOME_REPEATED);
        break;
    case CONSUMER_FAILED:
        try_again(t);
        break;
    case CONSUMER_REFUSED:
        bury(t);
        break;
    case CONSUMER_UNAVAILABLE:
        give_back(t);
        break;
    }
}

enum consumer_verdict consumer_verdict_of(int status)
{
    switch (status) {
    case DB_ENOMEM:
    case DB_EBUSY:
    case DB_ECLOSED:
    case DB_EUNAVAILABLE:
    case DB_EUNKNOWN:
    case DB_ETIMEOUT:
    case DB_ECANCELLED:
    case DB_ESERIALIZE:
    case BASE_ENOMEM:
    case BASE_ECLOSED:
        return CONSUMER_UNAVAILABLE;
    default:
        return CONSUMER_FAILED;
    }
}

static void run(struct consumer_turn *t)
{
    set_state(t, TURN_RUNNING);
    t->attempts++;
    t->route->handler(t->route->ctx, &t->event, t);
}

static const struct consumer_route *find_route(const struct consumer *c, enum event_kind kind)
{
    for (size_t i = 0; i < c->options.route_count; i++) {
        if (c->options.routes[i].kind == kind)
            return &c->options.routes[i];
    }
    return NULL;
}

static void begin(struct consumer_turn *t)
{
    struct consumer *c = t->consumer;
    if (c->is_closing) {
        answer(t, CONSUMER_OUTCOME_UNAVAILABLE);
        return;
    }
    int status = turn_decode(t, &t->why);
    if (status == BASE_ENOMEM) {
        give_back(t);
        return;
    }
    if (status) {
        bury(t);
        return;
    }
    t->route = find_route(c, t->event.kind);
    if (t->route) {
        turn_trace_start(t);
        run(t);
        return;
    }
    answer(t, CONSUMER_OUTCOME_IGNORED);
}

/* ---- the tick ---- */

static void tell(struct consumer_turn *t)
{
    struct consumer *c = t->consumer;
    list_remove(&c->lists[TURN_ANSWERED], t);
    c->in_flight--;
    t->fn(t->ctx, t->answer);
    turn_free(t);
}

static void run_waiting(struct consumer *c)
{
    uint64_t now = uv_now(c->loop);
    struct consumer_turn *next;
    for (struct consumer_turn *t = c->lists[TURN_WAITING].head; t; t = next) {
        next = t->next;
        if (c->is_closing)
            give_back(t);
        else if (t->due_ms <= now)
            run(t);
    }
}

static void on_closed(uv_handle_t *handle)
{
    struct consumer *c = handle->data;
    consumer_closed_fn closed = c->closed;
    void *ctx = c->closed_ctx;
    mem_free(c);
    closed(ctx);
}

/* As many as there are now: what the callbacks add waits for the next tick. */
static void on_tick(uv_timer_t *timer)
{
    struct consumer *c = timer->data;
    uint32_t count = c->in_flight;
    while (count-- > 0 && c->lists[TURN_QUEUED].head)
        begin(c->lists[TURN_QUEUED].head);
    run_waiting(c);
    for (count = c->in_flight; count > 0 && c->lists[TURN_ANSWERED].head; count--)
        tell(c->lists[TURN_ANSWERED].head);
    if (c->is_closing && c->in_flight == 0)
        uv_close((uv_handle_t *)timer, on_closed);
    else
        arm(c);
}

/* ---- life ---- */

int consumer_new(uv_loop_t *loop, const struct consumer_options *options, struct db_pool *pool,
                 const struct log *log, struct consumer **out, struct error *err)
{
    struct consumer *c = mem_calloc(1, sizeof(*c));
    if (!c)
        return error_set(err, BASE_ENOMEM, NULL, "out of memory");
    int status = consumer_metrics_init(&c->metrics, options->metrics, err);
    if (status) {
        mem_free(c);
        return status;
    }
    c->loop = loop;
    c->pool = pool;
    c->log = log;
    c->options = *options;
    if (!c->options.in_flight_max)
        c->options.in_flight_max = IN_FLIGHT_DEFAULT;
    uv_timer_init(loop, &c->timer);
    c->timer.data = c;
    *out = c;
    return 0;
}

int consumer_deliver(struct consumer *c, const struct consumer_delivery *delivery,
                     consumer_answer_fn fn, void *ctx)
{
    if (c->is_closing)
        return BASE_ECLOSED;
    if (consumer_is_full(c))
        return BASE_ELIMIT;
    struct consumer_turn *t = turn_new(delivery);
    if (!t)
        return BASE_ENOMEM;
    t->consumer = c;
    t->fn = fn;
    t->ctx = ctx;
    t->since_us = clock_monotonic_us();
    c->in_flight++;
    list_add(&c->lists[TURN_QUEUED], t);
    wake(c);
    return 0;
}

uint32_t consumer_in_flight(const struct consumer *c)
{
    return c->in_flight;
}

bool consumer_is_full(const struct consumer *c)
{
    return c->in_flight >= c->options.in_flight_max;
}

void consumer_close(struct consumer *c, consumer_closed_fn closed, void *ctx)
{
    assert(!c->is_closing);
    c->is_closing = true;
    c->closed = closed;
    c->closed_ctx = ctx;
    wake(c);
}
