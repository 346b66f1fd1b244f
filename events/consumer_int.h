#pragma once
/* events/consumer_int: one delivery on its way, for consumer.c and consumer_turn.c.
 *
 *   QUEUED -> RUNNING (the handler has it) -> ANSWERED
 *                  -> WAITING -> RUNNING …
 *   QUEUED, RUNNING -> BURYING (its dead letter is written) -> ANSWERED
 *
 * A turn is on the list of its state. */
#include "base/error.h"
#include "base/trace.h"
#include "events/consumer.h"
#include "events/consumer_metrics_int.h"

enum turn_state {
    TURN_QUEUED,
    TURN_RUNNING,
    TURN_WAITING,
    TURN_BURYING,
    TURN_ANSWERED,
    TURN_STATES
};

struct consumer_turn {
    struct consumer *consumer;
    struct consumer_turn *prev, *next;
    enum turn_state state;
    const struct consumer_route *route;
    struct cloudevent envelope;
    struct consumer_event event;
    struct error why;  /* of the last failure */
    uint32_t attempts; /* of the handler */
    uint64_t due_ms;   /* WAITING */
    int64_t since_us;  /* it came */
    struct trace_span span;
    char traceparent[TRACE_PARENT_SIZE]; /* of the span: what the handler passes on */
    bool is_structured;                  /* else attributes came beside the body */
    enum consumer_answer answer;
    consumer_answer_fn fn;
    void *ctx;
    struct slice topic, content_type, body; /* copies, in `bytes` */
    struct cloudevent_attribute *attributes;
    size_t attribute_count;
    char *bytes;
};

struct turn_list {
    struct consumer_turn *head, *tail;
};

struct consumer {
    uv_loop_t *loop;
    struct db_pool *pool; /* borrowed */
    const struct log *log;
    struct consumer_options options; /* texts and routes are borrowed */
    struct consumer_metrics metrics;
    uv_timer_t timer;
    struct turn_list lists[TURN_STATES];
    uint32_t in_flight;
    bool is_closing;
    consumer_closed_fn closed;
    void *closed_ctx;
};

/* consumer_trace.c: a span from the handler's first run to the answer, below the publisher's. */
void turn_trace_start(struct consumer_turn *turn);
void turn_trace_end(const struct consumer_turn *turn, enum consumer_outcome outcome);

/* A copy of the delivery, QUEUED on no list yet; NULL: memory is out. */
struct consumer_turn *turn_new(const struct consumer_delivery *delivery);
void turn_free(struct consumer_turn *turn);
/* Decodes and checks. 0 (the event is filled in), or why it is none that can be handled. */
__attribute__((warn_unused_result)) int turn_decode(struct consumer_turn *turn, struct error *err);
/* Writes the dead letter; `done` comes with what became of it, later. 0, or why it was not begun.
 */
typedef void (*turn_buried_fn)(struct consumer_turn *turn, int status, const struct error *err);
__attribute__((warn_unused_result)) int turn_bury(struct consumer_turn *turn, turn_buried_fn done,
                                                  struct error *err);
