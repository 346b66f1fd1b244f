#pragma once
/* base/trace: spans, told apart by W3C Trace Context, exported over OTLP/HTTP in JSON.
 *
 * Use:     tracer_new -> trace_span_start … trace_span_end -> tracer_close (async) -> closed.
 *          A NULL tracer is tracing switched off: spans then are not recorded, and what is passed
 *          on is the caller's own context.
 * Flow:    a span that ends is written into the batch at once, so that it costs no memory of its
 *          own; a batch leaves when it is full or after `interval_ms`.
 * Owns:    the batches and its HTTP client. Borrows the loop and the log.
 * Thread:  loop thread only.
 * Limits:  two batches of batch_bytes; while the collector is down, spans beyond them are dropped
 *          and counted. Telemetry never holds anything up.
 * Spec:    W3C Trace Context level 1; OTLP 1.3, "OTLP/HTTP" and its JSON mapping. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/slice.h"

struct error;
struct log;
struct tracer;

#define TRACE_PARENT_SIZE 56 /* "00-<32 hex>-<16 hex>-<2 hex>" and a NUL */

struct trace_context {
    uint8_t trace_id[16];
    uint8_t span_id[8];
    bool is_sampled;
};

/* A traceparent header of any version that level 1 can read; false: it is none, or its ids are
 * zero. */
bool trace_context_parse(struct slice traceparent, struct trace_context *out);
void trace_context_format(const struct trace_context *context, char out[TRACE_PARENT_SIZE]);

/* The two ids in hex, as log lines name them; both "" where `traceparent` is none. */
struct trace_ids {
    char trace_id[33];
    char span_id[17];
};
void trace_ids_read(struct slice traceparent, struct trace_ids *out);

struct tracer_options {
    const char *endpoint;        /* OTEL_EXPORTER_OTLP_ENDPOINT: "/v1/traces" is added */
    const char *service_name;    /* the app id */
    const char *service_version; /* all three are copied */
    uint32_t sample_percent;     /* of traces that begin here; others follow their caller */
    uint32_t interval_ms;        /* 0: 1 s */
    uint32_t batch_bytes;        /* 0: 512 KiB */
};

/* 0 and *out; BASE_EINVAL (the endpoint), BASE_ENOMEM. */
__attribute__((warn_unused_result)) int tracer_new(uv_loop_t *loop,
                                                   const struct tracer_options *options,
                                                   const struct log *log, struct tracer **out,
                                                   struct error *err);
typedef void (*tracer_closed_fn)(void *ctx);
/* Sends what there is (at most `drain_ms`), then `closed`, then frees itself. */
void tracer_close(struct tracer *t, uint32_t drain_ms, tracer_closed_fn closed, void *ctx);

struct tracer_stats {
    uint64_t exported, dropped, failures; /* spans, spans, requests */
};
void tracer_stats(const struct tracer *t, struct tracer_stats *out);

/* OTLP's numbers. */
enum trace_kind {
    TRACE_INTERNAL = 1,
    TRACE_SERVER = 2,
    TRACE_CLIENT = 3,
    TRACE_PRODUCER = 4,
    TRACE_CONSUMER = 5,
};

/* The caller's, from start to end. */
struct trace_span {
    struct trace_context context; /* what is passed on to those called from here */
    uint8_t parent_id[8];         /* zero: a root */
    bool is_recorded;
    int64_t start_us; /* wall clock; its length is measured by the monotonic one */
    int64_t start_monotonic_us;
};

struct trace_attribute {
    const char *key;  /* of OpenTelemetry's semantic conventions where they have one */
    const char *text; /* NULL: a number */
    int64_t number;
};

static inline struct trace_attribute trace_text(const char *key, const char *text)
{
    return (struct trace_attribute){key, text ? text : "", 0};
}

static inline struct trace_attribute trace_int(const char *key, int64_t number)
{
    return (struct trace_attribute){key, NULL, number};
}

/* `parent` NULL: a new trace. */
void trace_span_start(struct tracer *t, const struct trace_context *parent, struct trace_span *out);
struct trace_end {
    const char *name;
    enum trace_kind kind;
    const struct trace_attribute *attributes; /* borrowed for the call */
    size_t attribute_count;
    const char *error; /* NULL: it went well */
};
/* Once a span. A span that is not ended is not exported, and costs nothing. */
void trace_span_end(struct tracer *t, const struct trace_span *span, const struct trace_end *end);
