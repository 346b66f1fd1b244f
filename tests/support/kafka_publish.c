/* tests/support/kafka_publish: the way out to Kafka as a program, for tests and measurements.
 *
 *   kafka_publish                   each line of stdin is {"topic", "key", "event", "pad",
 * "death"}: published once; a line of stdout tells what became of it kafka_publish relay the same,
 * but as events/relay does: again until it is acked or refused, one event of a key at a time
 *   kafka_publish rate TOPIC COUNT SIZE            as fast as it goes
 *   kafka_publish pace TOPIC COUNT SIZE PER_SECOND at a pace, with the time to each acknowledgement
 *
 * The settings KAFKA_* come from the environment; PUBLISH_TIMEOUT_MS bounds each event. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "events/transport_kafka.h"
#include "support/kafka_settings.h"

#define LINES_MAX 200000
#define INPUT_MAX (4 << 20)

enum state { NEW, IN_FLIGHT, ENDED };

struct line {
    cJSON *tree; /* owned; NULL in measurements */
    const char *topic;
    struct transport_entry entry;
    struct transport_death death;
    char *event; /* owned */
    char id[24];
    enum state state;
    int64_t sent_us;
};

struct batch {
    struct app *app;
    size_t *indexes;
    struct transport_entry *entries;
};

struct app {
    uv_loop_t loop;
    struct secret login[2];
    struct log log;
    struct transport *transport;
    uv_pipe_t input;
    uv_timer_t timer;
    struct buf in;
    struct line *lines;
    size_t count, first; /* the first that has not ended */
    size_t ended, in_flight;
    bool is_relay, has_ended_input, is_closing;
    /* measurements */
    size_t total, size, per_second, due;
    bool is_warm; /* the first event, which waits for the connection, is not measured */
    int64_t start_us;
    int64_t *latencies;
    size_t latency_count;
    uint64_t bad;
};

static void pump(struct app *app);
static void start_measure(struct app *app);

static void die(const char *what, const char *why)
{
    fprintf(stderr, "kafka_publish: %s: %s\n", what, why);
    exit(2);
}

static void on_closed(void *ctx)
{
    struct app *app = ctx;
    uv_close((uv_handle_t *)&app->timer, NULL);
    if (!uv_is_closing((uv_handle_t *)&app->input))
        uv_close((uv_handle_t *)&app->input, NULL);
}

static void close_when_done(struct app *app)
{
    bool is_done = app->total > 0 ? app->ended == app->total
                                  : app->has_ended_input && app->ended == app->count;
    if (!is_done || app->is_closing)
        return;
    app->is_closing = true;
    transport_close(app->transport, on_closed, app);
}

/* ---- outcomes ---- */

static void tell(size_t index, const struct transport_result *r)
{
    static const char *const names[] = {"acked", "unavailable", "refused"};
    char storage[512];
    struct buf out;
    struct json_writer w;
    buf_init_fixed(&out, storage, sizeof(storage));
    json_writer_init(&w, &out);
    json_begin_object(&w);
    json_key_int(&w, "n", (int64_t)index);
    json_key_string(&w, "outcome", names[r->outcome]);
    json_key_string(&w, "reason", r->reason);
    json_end_object(&w);
    printf("%s\n", storage);
    fflush(stdout);
}

static void end_line(struct app *app, size_t index, const struct transport_result *r)
{
    struct line *line = &app->lines[index];
    app->in_flight--;
    if (app->total > 0 && !app->is_warm) {
        start_measure(app);
    } else if (app->total > 0) {
        app->latencies[app->latency_count++] = clock_monotonic_us() - line->sent_us;
        app->bad += r->outcome != TRANSPORT_ACKED;
    } else {
        tell(index, r);
    }
    bool is_again = app->is_relay && r->outcome == TRANSPORT_UNAVAILABLE;
    line->state = is_again ? NEW : ENDED;
    app->ended += !is_again;
}

static void on_pump(uv_timer_t *timer)
{
    pump(timer->data);
}

static void on_done(void *ctx, const struct transport_result *results, size_t count)
{
    struct batch *batch = ctx;
    struct app *app = batch->app;
    bool is_late = false;
    for (size_t i = 0; i < count; i++) {
        end_line(app, batch->indexes[i], &results[i]);
        is_late |= results[i].outcome == TRANSPORT_UNAVAILABLE;
    }
    mem_free(batch->indexes);
    mem_free(batch->entries);
    mem_free(batch);
    while (app->first < app->count && app->lines[app->first].state == ENDED)
        app->first++;
    close_when_done(app);
    if (!app->is_closing && !app->per_second)
        uv_timer_start(&app->timer, on_pump, is_late ? 100 : 0, 0);
}

/* ---- publishing ---- */

static bool is_key_free(const struct app *app, size_t index)
{
    struct slice key = app->lines[index].entry.key;
    for (size_t i = app->first; app->is_relay && i < index; i++) {
        if (app->lines[i].state != ENDED && slice_is_equal(app->lines[i].entry.key, key))
            return false;
    }
    return true;
}

static bool publish_some(struct app *app)
{
    struct batch *batch = mem_calloc(1, sizeof(*batch));
    size_t max = app->transport->entries_max;
    batch->app = app;
    batch->indexes = mem_calloc(max, sizeof(*batch->indexes));
    batch->entries = mem_calloc(max, sizeof(*batch->entries));
    size_t count = 0;
    const char *topic = NULL;
    for (size_t i = app->first; i < app->count && count < max; i++) {
        struct line *line = &app->lines[i];
        if (line->state != NEW || (topic && strcmp(topic, line->topic) != 0) ||
            !is_key_free(app, i))
            continue;
        topic = line->topic;
        batch->indexes[count] = i;
        batch->entries[count++] = line->entry;
    }
    if (count == 0 ||
        transport_publish(app->transport, topic, batch->entries, count, on_done, batch)) {
        mem_free(batch->indexes);
        mem_free(batch->entries);
        mem_free(batch);
        return false;
    }
    int64_t now = clock_monotonic_us();
    for (size_t i = 0; i < count; i++) {
        app->lines[batch->indexes[i]].state = IN_FLIGHT;
        app->lines[batch->indexes[i]].sent_us = now;
    }
    app->in_flight += count;
    return true;
}

static void pump(struct app *app)
{
    while (!app->is_closing && publish_some(app)) {
    }
}

/* ---- lines ---- */

static struct line *new_line(struct app *app)
{
    if (app->count == LINES_MAX)
        die("stdin", "too many lines");
    struct line *line = &app->lines[app->count];
    snprintf(line->id, sizeof(line->id), "%zu", app->count);
    line->entry.id = slice_from_cstr(line->id);
    app->count++;
    return line;
}

static void take_line(struct app *app, struct slice text)
{
    struct error err = {0};
    cJSON *tree = json_parse(text, &err);
    if (!tree)
        die("a line of stdin", err.text);
    struct line *line = new_line(app);
    struct slice event = slice_from_cstr(json_get_string(tree, "event"));
    int64_t pad = 0;
    json_as_int(json_get(tree, "pad"), &pad);
    line->tree = tree;
    line->topic = json_get_string(tree, "topic");
    line->event = mem_calloc(1, event.len + (size_t)pad + 1);
    if (event.len)
        memcpy(line->event, event.ptr, event.len);
    memset(line->event + event.len, 'x', (size_t)pad);
    line->entry.key = slice_from_cstr(json_get_string(tree, "key"));
    line->entry.event = (struct slice){line->event, event.len + (size_t)pad};
    const cJSON *death = json_get(tree, "death");
    if (!death)
        return;
    json_as_int(json_get(death, "attempts"), &line->death.attempts);
    line->death.topic = slice_from_cstr(json_get_string(death, "topic"));
    line->death.consumer = slice_from_cstr(json_get_string(death, "consumer"));
    line->death.reason = slice_from_cstr(json_get_string(death, "reason"));
    line->entry.death = &line->death;
}

static void on_alloc(uv_handle_t *handle, size_t hint, uv_buf_t *out)
{
    struct app *app = handle->data;
    (void)hint;
    if (buf_reserve(&app->in, 65536))
        die("stdin", "a line is too long");
    *out = uv_buf_init(app->in.ptr + app->in.len, 65536);
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *ignored)
{
    struct app *app = stream->data;
    (void)ignored;
    if (got < 0) {
        app->has_ended_input = true;
        uv_close((uv_handle_t *)stream, NULL);
        close_when_done(app);
        return;
    }
    app->in.len += (size_t)got;
    char *end;
    while ((end = app->in.len ? memchr(app->in.ptr, '\n', app->in.len) : NULL)) {
        size_t len = (size_t)(end - app->in.ptr);
        take_line(app, (struct slice){app->in.ptr, len});
        buf_consume(&app->in, len + 1);
    }
    pump(app);
}

/* ---- measurements ---- */

static void make_lines(struct app *app, const char *topic)
{
    app->latencies = mem_calloc(app->total, sizeof(*app->latencies));
    for (size_t i = 0; i < app->total; i++) {
        struct line *line = new_line(app);
        line->topic = topic;
        line->event = mem_alloc(app->size);
        memset(line->event, 'x', app->size);
        line->entry.key = (struct slice){line->id, strnlen(line->id, 3)};
        line->entry.event = (struct slice){line->event, app->size};
    }
    app->count = 1;
    pump(app);
}

/* At a pace: what is due by now becomes visible to publish_some by the count. */
static void on_pace(uv_timer_t *timer)
{
    struct app *app = timer->data;
    int64_t passed = clock_monotonic_us() - app->start_us;
    size_t due = 1 + (size_t)passed * app->per_second / 1000000;
    app->count = due < app->total ? due : app->total;
    pump(app);
}

static void start_measure(struct app *app)
{
    app->is_warm = true;
    app->start_us = clock_monotonic_us();
    app->count = app->per_second ? 1 : app->total;
    if (app->per_second)
        uv_timer_start(&app->timer, on_pace, 1, 1);
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void print_measure(struct app *app)
{
    double seconds = (double)(clock_monotonic_us() - app->start_us) / 1e6;
    size_t n = app->latency_count;
    qsort(app->latencies, n, sizeof(*app->latencies), compare);
    printf("{\"per_second\": %.0f, \"p50_us\": %lld, \"p95_us\": %lld, \"p99_us\": %lld, "
           "\"max_us\": %lld, \"bad\": %llu}\n",
           (double)n / seconds, (long long)app->latencies[n / 2],
           (long long)app->latencies[n * 95 / 100], (long long)app->latencies[n * 99 / 100],
           (long long)app->latencies[n - 1], (unsigned long long)app->bad);
}

/* ---- life ---- */

static void open_transport(struct app *app)
{
    struct transport_kafka_options options = {0};
    struct error err = {0};
    const char *timeout = getenv("PUBLISH_TIMEOUT_MS");
    char *end;
    options.timeout_ms = timeout ? (uint32_t)strtoul(timeout, &end, 10) : 0;
    options.config = kafka_settings_of_environment(app->login);
    if (transport_kafka_new(&app->loop, &options, &app->log, &app->transport, &err))
        die(err.field, err.text);
}

static size_t number(const char *text)
{
    char *end;
    return strtoul(text, &end, 10);
}

static void begin(struct app *app, int argc, char **argv)
{
    uv_pipe_init(&app->loop, &app->input, 0);
    uv_timer_init(&app->loop, &app->timer);
    app->input.data = app;
    app->timer.data = app;
    app->is_relay = argc == 2 && strcmp(argv[1], "relay") == 0;
    if (argc >= 5) {
        app->total = number(argv[3]);
        app->size = number(argv[4]);
        app->per_second = argc > 5 ? number(argv[5]) : 0;
        make_lines(app, argv[2]);
        return;
    }
    uv_pipe_open(&app->input, STDIN_FILENO);
    uv_read_start((uv_stream_t *)&app->input, on_alloc, on_read);
}

static int end(struct app *app)
{
    if (app->total > 0)
        print_measure(app);
    for (size_t i = 0; i < LINES_MAX; i++) {
        cJSON_Delete(app->lines[i].tree);
        mem_free(app->lines[i].event);
    }
    mem_free(app->lines);
    mem_free(app->latencies);
    buf_deinit(&app->in);
    if (uv_loop_close(&app->loop) == 0)
        return 0;
    fprintf(stderr, "kafka_publish: a handle was left open\n");
    return 3;
}

int main(int argc, char **argv)
{
    struct app *app = mem_calloc(1, sizeof(*app));
    log_init(&app->log, STDERR_FILENO, LOG_DEBUG, LOG_FORMAT_JSON);
    uv_loop_init(&app->loop);
    buf_init(&app->in, INPUT_MAX);
    app->lines = mem_calloc(LINES_MAX, sizeof(*app->lines));
    open_transport(app);
    begin(app, argc, argv);
    uv_run(&app->loop, UV_RUN_DEFAULT);
    int status = end(app);
    mem_free(app);
    return status;
}
