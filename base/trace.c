/* base/trace.c: context -> spans -> batches.
 *
 *   span ends -> `filling` -> (interval, or half full) -> `sending` -> POST -> forgotten
 *                                                             ^------- not taken: again, 3 times */
#include "base/trace.h"

#include <stdio.h>
#include <sys/random.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/http_client.h"
#include "base/http_server.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"

#define INTERVAL_MS  1000
#define BATCH_BYTES  (512u << 10)
#define TRIES_MAX    3
#define POST_MS      5000
#define URL_BYTES    512
#define RANDOM_BYTES 512
#define HEADER_BYTES 1024 /* what stands around the spans of a batch */

/* ---- context -------------------------------------------------------------------------------- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1; /* level 1: lower case only */
}

static bool read_hex(const char *text, uint8_t *out, size_t count)
{
    uint8_t any = 0;
    for (size_t i = 0; i < count; i++) {
        int high = hex_digit(text[2 * i]);
        int low = hex_digit(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
        any |= out[i];
    }
    return any != 0 || count == 1;
}

static void write_hex(const uint8_t *bytes, size_t count, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < count; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[2 * count] = '\0';
}

/* Section 3.2.2. Version 00 ends after the flags; a later one may go on after another dash. */
bool trace_context_parse(struct slice traceparent, struct trace_context *out)
{
    uint8_t version;
    uint8_t flags;
    const char *t = traceparent.ptr;
    if (traceparent.len < TRACE_PARENT_SIZE - 1 || t[2] != '-' || t[35] != '-' || t[52] != '-')
        return false;
    if (!read_hex(t, &version, 1) || version == 0xff || !read_hex(t + 3, out->trace_id, 16) ||
        !read_hex(t + 36, out->span_id, 8) || !read_hex(t + 53, &flags, 1))
        return false;
    if (traceparent.len > TRACE_PARENT_SIZE - 1 && (version == 0 || t[55] != '-'))
        return false;
    out->is_sampled = flags & 1;
    return true;
}

void trace_context_format(const struct trace_context *context, char out[TRACE_PARENT_SIZE])
{
    char trace[33];
    char span[17];
    write_hex(context->trace_id, 16, trace);
    write_hex(context->span_id, 8, span);
    snprintf(out, TRACE_PARENT_SIZE, "00-%s-%s-%02x", trace, span, context->is_sampled ? 1u : 0u);
}

void trace_ids_read(struct slice traceparent, struct trace_ids *out)
{
    struct trace_context context;
    *out = (struct trace_ids){0};
    if (!trace_context_parse(traceparent, &context))
        return;
    write_hex(context.trace_id, sizeof(context.trace_id), out->trace_id);
    write_hex(context.span_id, sizeof(context.span_id), out->span_id);
}

/* ---- the tracer ----------------------------------------------------------------------------- */

struct tracer {
    uv_loop_t *loop; /* borrowed */
    const struct log *log;
    char url[URL_BYTES];
    char name[128], version[32];
    uint32_t sample_percent;
    struct buf filling, sending; /* spans in JSON, parted by commas */
    uint32_t filling_count, sending_count;
    int tries; /* of `sending`; 0: there is none */
    bool is_posting;
    bool is_down; /* said so in the log */
    uint8_t random[RANDOM_BYTES];
    size_t random_left;
    struct http_client *http;
    uv_timer_t timer;
    uint64_t close_by_ms; /* loop time; 0: open */
    tracer_closed_fn closed;
    void *closed_ctx;
    struct tracer_stats stats;
};

static void post(struct tracer *t);

/* Ids need to differ, not to be secret: where the kernel has no randomness yet, zero ids would be
 * invalid, so the clock has to do. */
static void draw(struct tracer *t, uint8_t *out, size_t count)
{
    if (t->random_left < count) {
        if (getrandom(t->random, sizeof(t->random), GRND_NONBLOCK) != (ssize_t)sizeof(t->random)) {
            int64_t now = clock_monotonic_us();
            memcpy(t->random + sizeof(t->random) - count, &now, sizeof(now));
        }
        t->random_left = sizeof(t->random);
    }
    memcpy(out, t->random + sizeof(t->random) - t->random_left, count);
    t->random_left -= count;
    out[0] |= 1;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct tracer *t = handle->data;
    tracer_closed_fn closed = t->closed;
    void *ctx = t->closed_ctx;
    buf_deinit(&t->filling);
    buf_deinit(&t->sending);
    mem_free(t);
    closed(ctx);
}

static void on_http_closed(void *ctx)
{
    struct tracer *t = ctx;
    uv_close((uv_handle_t *)&t->timer, on_timer_closed);
}

static void tear_down(struct tracer *t)
{
    struct http_client *http = t->http;
    t->http = NULL;
    if (http)
        http_client_close(http, on_http_closed, t);
}

static void forget_sending(struct tracer *t, bool is_exported)
{
    if (is_exported)
        t->stats.exported += t->sending_count;
    else
        t->stats.dropped += t->sending_count;
    buf_reset(&t->sending);
    t->sending_count = 0;
    t->tries = 0;
}

/* A collector that says 429, 502, 503 or 504 may be asked again (OTLP/HTTP response); what it
 * refuses otherwise it would refuse again. */
static bool may_try_again(int status, const struct http_client_response *res)
{
    return status || res->status == 429 || (res->status >= 502 && res->status <= 504);
}

static void on_post_done(void *ctx, int status, const struct http_client_response *res,
                         const struct error *err)
{
    struct tracer *t = ctx;
    bool is_taken = !status && res->status >= 200 && res->status < 300;
    (void)err;
    t->is_posting = false;
    if (!is_taken) {
        t->stats.failures++;
        if (!t->is_down)
            log_warn(t->log, "the trace collector takes no spans", log_int("code", status),
                     log_int("status", status ? 0 : res->status));
    }
    t->is_down = !is_taken;
    if (is_taken || !may_try_again(status, res) || t->tries >= TRIES_MAX)
        forget_sending(t, is_taken);
    if (t->close_by_ms && is_taken)
        post(t);
    if (t->close_by_ms && !t->is_posting)
        tear_down(t);
}

static void write_attribute(struct json_writer *w, const struct trace_attribute *attribute)
{
    char digits[24];
    json_begin_object(w);
    json_key_string(w, "key", attribute->key);
    json_key(w, "value");
    json_begin_object(w);
    if (attribute->text) {
        json_key_string(w, "stringValue", attribute->text);
    } else {
        snprintf(digits, sizeof(digits), "%lld", (long long)attribute->number);
        json_key_string(w, "intValue", digits);
    }
    json_end_object(w);
    json_end_object(w);
}

static void write_batch(const struct tracer *t, struct buf *out)
{
    struct json_writer w;
    const struct trace_attribute service[] = {trace_text("service.name", t->name),
                                              trace_text("service.namespace", "todo"),
                                              trace_text("service.version", t->version)};
    json_writer_init(&w, out);
    json_begin_object(&w);
    json_key(&w, "resourceSpans");
    json_begin_array(&w);
    json_begin_object(&w);
    json_key(&w, "resource");
    json_begin_object(&w);
    json_key(&w, "attributes");
    json_begin_array(&w);
    for (size_t i = 0; i < sizeof(service) / sizeof(*service); i++)
        write_attribute(&w, &service[i]);
    json_end_array(&w);
    json_end_object(&w);
    json_key(&w, "scopeSpans");
    json_begin_array(&w);
    json_begin_object(&w);
    json_key(&w, "scope");
    json_begin_object(&w);
    json_key_string(&w, "name", "todo-app");
    json_end_object(&w);
    json_key(&w, "spans");
    json_begin_array(&w);
    json_raw(&w, buf_slice(&t->sending));
    json_end_array(&w);
    json_end_object(&w);
    json_end_array(&w);
    json_end_object(&w);
    json_end_array(&w);
    json_end_object(&w);
}

/* What waits becomes what is sent, unless that is still on its way. */
static void take_batch(struct tracer *t)
{
    if (t->tries > 0)
        return;
    struct buf empty = t->sending;
    t->sending = t->filling;
    t->filling = empty;
    t->sending_count = t->filling_count;
    t->filling_count = 0;
}

static void post(struct tracer *t)
{
    static const struct http_header headers[] = {
        {SLICE_LIT("content-type"), SLICE_LIT("application/json")}};
    struct buf body;
    if (t->is_posting || !t->http)
        return;
    take_batch(t);
    if (t->sending_count == 0)
        return;
    buf_init(&body, t->sending.len + HEADER_BYTES);
    write_batch(t, &body);
    const struct http_client_request req = {.method = "POST",
                                            .url = t->url,
                                            .headers = headers,
                                            .header_count = 1,
                                            .body = buf_slice(&body),
                                            .timeout_ms = POST_MS};
    t->tries++;
    t->is_posting =
        !buf_status(&body) && !http_client_start(t->http, &req, on_post_done, t, NULL, NULL);
    buf_deinit(&body);
    if (!t->is_posting && t->tries >= TRIES_MAX)
        forget_sending(t, false);
}

static void on_timer(uv_timer_t *timer)
{
    struct tracer *t = timer->data;
    if (!t->close_by_ms)
        post(t);
    else if (uv_now(t->loop) >= t->close_by_ms)
        tear_down(t);
}

static int set_url(struct tracer *t, const char *endpoint, struct error *err)
{
    size_t len = endpoint ? strlen(endpoint) : 0;
    while (len > 0 && endpoint[len - 1] == '/')
        len--;
    bool is_http =
        len > 8 && (strncmp(endpoint, "http://", 7) == 0 || strncmp(endpoint, "https://", 8) == 0);
    if (!is_http || len > sizeof(t->url) - sizeof("/v1/traces"))
        return error_set(err, BASE_EINVAL, "OTEL_EXPORTER_OTLP_ENDPOINT",
                         "OTEL_EXPORTER_OTLP_ENDPOINT must be an http:// or https:// URL such as "
                         "http://127.0.0.1:4318");
    snprintf(t->url, sizeof(t->url), "%.*s/v1/traces", (int)len, endpoint);
    return 0;
}

int tracer_new(uv_loop_t *loop, const struct tracer_options *options, const struct log *log,
               struct tracer **out, struct error *err)
{
    struct http_client_options http = http_client_options_default;
    uint32_t interval_ms = options->interval_ms ? options->interval_ms : INTERVAL_MS;
    struct tracer *t = mem_calloc(1, sizeof(*t));
    if (!t)
        return error_set(err, BASE_ENOMEM, NULL, "out of memory");
    int status = set_url(t, options->endpoint, err);
    http.calls_max = 2;
    http.connections_per_host = 1;
    if (!status && http_client_new(loop, &http, &t->http))
        status = error_set(err, BASE_ENOMEM, NULL, "out of memory");
    if (status) {
        mem_free(t);
        return status;
    }
    t->loop = loop;
    t->log = log;
    t->sample_percent = options->sample_percent;
    snprintf(t->name, sizeof(t->name), "%s", options->service_name);
    snprintf(t->version, sizeof(t->version), "%s", options->service_version);
    buf_init(&t->filling, options->batch_bytes ? options->batch_bytes : BATCH_BYTES);
    buf_init(&t->sending, t->filling.max);
    uv_timer_init(loop, &t->timer);
    t->timer.data = t;
    uv_unref((uv_handle_t *)&t->timer);
    uv_timer_start(&t->timer, on_timer, interval_ms, interval_ms);
    *out = t;
    return 0;
}

void tracer_close(struct tracer *t, uint32_t drain_ms, tracer_closed_fn closed, void *ctx)
{
    t->closed = closed;
    t->closed_ctx = ctx;
    uv_update_time(t->loop);
    t->close_by_ms = uv_now(t->loop) + drain_ms + 1;
    uv_ref((uv_handle_t *)&t->timer);
    uv_timer_start(&t->timer, on_timer, drain_ms + 1, 10);
    post(t);
    if (!t->is_posting)
        tear_down(t);
}

void tracer_stats(const struct tracer *t, struct tracer_stats *out)
{
    *out = t->stats;
}

/* ---- spans ---------------------------------------------------------------------------------- */

/* By the trace's own id, so that each service decides alike. */
static bool is_in_sample(const struct tracer *t, const uint8_t trace_id[16])
{
    uint32_t number = (uint32_t)trace_id[12] << 24 | (uint32_t)trace_id[13] << 16 |
                      (uint32_t)trace_id[14] << 8 | trace_id[15];
    return number % 100 < t->sample_percent;
}

void trace_span_start(struct tracer *t, const struct trace_context *parent, struct trace_span *out)
{
    *out = (struct trace_span){0};
    if (parent)
        out->context = *parent;
    if (!t)
        return;
    if (parent) {
        memcpy(out->parent_id, parent->span_id, sizeof(out->parent_id));
    } else {
        draw(t, out->context.trace_id, sizeof(out->context.trace_id));
        out->context.is_sampled = is_in_sample(t, out->context.trace_id);
    }
    draw(t, out->context.span_id, sizeof(out->context.span_id));
    out->is_recorded = out->context.is_sampled;
    out->start_us = clock_now_us();
    out->start_monotonic_us = clock_monotonic_us();
}

static void write_nanoseconds(struct json_writer *w, const char *key, int64_t time_us)
{
    char digits[32];
    snprintf(digits, sizeof(digits), "%lld000", (long long)time_us);
    json_key_string(w, key, digits);
}

static void write_span(struct json_writer *w, const struct trace_span *span,
                       const struct trace_end *end)
{
    static const uint8_t none[8];
    char hex[33];
    json_begin_object(w);
    write_hex(span->context.trace_id, 16, hex);
    json_key_string(w, "traceId", hex);
    write_hex(span->context.span_id, 8, hex);
    json_key_string(w, "spanId", hex);
    if (memcmp(span->parent_id, none, sizeof(none)) != 0) {
        write_hex(span->parent_id, 8, hex);
        json_key_string(w, "parentSpanId", hex);
    }
    json_key_string(w, "name", end->name);
    json_key_int(w, "kind", (int)end->kind);
    write_nanoseconds(w, "startTimeUnixNano", span->start_us);
    write_nanoseconds(w, "endTimeUnixNano",
                      span->start_us + clock_monotonic_us() - span->start_monotonic_us);
    json_key(w, "attributes");
    json_begin_array(w);
    for (size_t i = 0; i < end->attribute_count; i++)
        write_attribute(w, &end->attributes[i]);
    json_end_array(w);
    json_key(w, "status");
    json_begin_object(w);
    if (end->error) {
        json_key_int(w, "code", 2);
        json_key_string(w, "message", end->error);
    }
    json_end_object(w);
    json_end_object(w);
}

void trace_span_end(struct tracer *t, const struct trace_span *span, const struct trace_end *end)
{
    struct json_writer w;
    if (!t || !span->is_recorded || t->close_by_ms)
        return;
    size_t before = t->filling.len;
    if (before > 0)
        buf_append_char(&t->filling, ',');
    json_writer_init(&w, &t->filling);
    write_span(&w, span, end);
    if (buf_status(&t->filling)) {
        t->filling.len = before;
        t->filling.status = 0;
        t->stats.dropped++;
        return;
    }
    t->filling_count++;
    if (t->filling.len > t->filling.max / 2)
        post(t);
}
