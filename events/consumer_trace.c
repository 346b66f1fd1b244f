/* A delivery's span. Why it failed is told by a code: a mail server's words may name people. */
#include <stdio.h>

#include "events/consumer_int.h"

#define NAME_BYTES 96

void turn_trace_start(struct consumer_turn *t)
{
    struct tracer *tracer = t->consumer->options.tracer;
    struct trace_context publisher;
    bool has_publisher = trace_context_parse(slice_from_cstr(t->envelope.traceparent), &publisher);
    if (!tracer)
        return;
    trace_span_start(tracer, has_publisher ? &publisher : NULL, &t->span);
    trace_context_format(&t->span.context, t->traceparent);
    t->envelope.traceparent = t->traceparent;
}

void turn_trace_end(const struct consumer_turn *t, enum consumer_outcome outcome)
{
    char name[NAME_BYTES + 16];
    char topic[NAME_BYTES];
    const struct trace_attribute attributes[] = {
        trace_text("messaging.operation.name", "process"),
        trace_text("messaging.destination.name", topic),
        trace_text("messaging.consumer.group.name", t->consumer->options.name),
        trace_text("cloudevents.event_id", t->envelope.id),
        trace_text("cloudevents.event_type", t->envelope.type),
        trace_text("todo.outcome", consumer_outcome_name(outcome)),
        trace_int("todo.error_code", t->why.code),
    };
    bool has_failed = outcome == CONSUMER_OUTCOME_DEAD || outcome == CONSUMER_OUTCOME_UNAVAILABLE;
    const struct trace_end end = {.name = name,
                                  .kind = TRACE_CONSUMER,
                                  .attributes = attributes,
                                  .attribute_count = sizeof(attributes) / sizeof(*attributes),
                                  .error = has_failed ? consumer_outcome_name(outcome) : NULL};
    if (!t->span.is_recorded)
        return;
    snprintf(topic, sizeof(topic), "%.*s", (int)t->topic.len, t->topic.ptr);
    snprintf(name, sizeof(name), "process %s", topic);
    trace_span_end(t->consumer->options.tracer, &t->span, &end);
}
