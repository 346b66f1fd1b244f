/* A worker for tests: it takes all events and records each, so that a test can see what came, how
 * often and in which order.
 *   recorder.recorded   a row for each event, with its inbox row in one statement: what was done
 *   RECORDER_LOG        a JSON line for each run of the handler: what came, repeats too
 * RECORDER_FAULT happens at each RECORDER_EVERY-th run. */
#include <fcntl.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/secret.h"
#include "db/inbox.h"
#include "shared/worker.h"

#define APP_ID       "recorder"
#define LINE_BYTES   4096
#define TASKS_PATH   "/events/task-events"
#define EXIT_CRASHED 70
#define PARAM_COUNT  5

enum { LOG_FILE, FAULT, EVERY, STALL_MS, ROWS };

/* clang-format off: one setting a row */
static const struct config_setting rows[ROWS] = {
    [LOG_FILE] = {"RECORDER_LOG", CONFIG_STRING, NULL, NULL, 0, 0, "",
                  "file that gets a line for each delivery"},
    [FAULT] = {"RECORDER_FAULT", CONFIG_ENUM, "none",
               "none|fail|refuse|unavailable|stall|crash-before|crash-after", 0, 0, "",
               "what goes wrong"},
    [EVERY] = {"RECORDER_EVERY", CONFIG_INT, "1", NULL, 1, 1000000, "", "at each so many runs"},
    [STALL_MS] = {"RECORDER_STALL_MS", CONFIG_INT, "1000", NULL, 0, 600000, "ms",
                  "how long a stall is"},
};
/* clang-format on */

enum fault { NONE, FAIL, REFUSE, UNAVAILABLE, STALL, CRASH_BEFORE, CRASH_AFTER };

struct recorder {
    const struct worker *worker;
    int fd; /* -1: none */
    enum fault fault;
    uint64_t every, stall_ms, runs;
};

/* One event in hand; the timer is for a stall. */
struct record {
    struct recorder *recorder;
    const struct consumer_event *event;
    struct consumer_turn *turn;
    uv_timer_t timer;
    bool is_faulty;
};

static const struct db_stmt record_stmt = {
    .name = "recorder_record",
    .sql = "with " INBOX_CLAIM("$1::text", "$2::uuid") ", effect as (insert into recorder.recorded"
                                                       " (event_id, key, topic, type) select $2, "
                                                       "$3::text, $4::text, $5::text from claim)"
                                                       " select exists (select from claim)",
    .param_count = PARAM_COUNT,
    .is_write = true,
};

/* ---- the line ---- */

static void write_line(const struct recorder *r, const struct consumer_event *e, uint64_t run)
{
    char text[LINE_BYTES];
    struct buf b;
    struct json_writer w;
    buf_init_fixed(&b, text, sizeof(text));
    json_writer_init(&w, &b);
    json_begin_object(&w);
    json_key_string(&w, "event_id", e->envelope->id);
    json_key_int(&w, "key", e->task_id);
    json_key_string(&w, "topic", event_def(e->kind)->topic);
    json_key_string(&w, "type", e->envelope->type);
    json_key_string(&w, "source", e->envelope->source);
    json_key_string(&w, "traceparent", e->envelope->traceparent);
    json_key_int(&w, "run", (int64_t)run);
    json_key_int(&w, "at_us", clock_now_us());
    json_end_object(&w);
    buf_append_char(&b, '\n');
    if (r->fd >= 0 && (buf_status(&b) || write(r->fd, b.ptr, b.len) != (ssize_t)b.len))
        abort();
}

/* ---- the end of a record ---- */

static void on_closed(uv_handle_t *handle)
{
    mem_free(handle->data);
}

static void finish(struct record *rec, enum consumer_verdict verdict, const struct error *err)
{
    if (rec->recorder->fault == CRASH_AFTER && rec->is_faulty)
        _exit(EXIT_CRASHED);
    consumer_turn_end(rec->turn, verdict, err);
    uv_close((uv_handle_t *)&rec->timer, on_closed);
}

static void on_recorded(void *ctx, int status, const struct db_result *res, const struct error *err)
{
    struct record *rec = ctx;
    if (status)
        finish(rec, consumer_verdict_of(status), err);
    else
        finish(rec, db_result_bool(res, 0, 0) ? CONSUMER_DONE : CONSUMER_REPEATED, NULL);
}

static void record(struct record *rec)
{
    char key[24];
    const struct consumer_event *e = rec->event;
    snprintf(key, sizeof(key), "%lld", (long long)e->task_id);
    const db_param params[PARAM_COUNT] = {SLICE_LIT(APP_ID), e->id, slice_from_cstr(key),
                                          slice_from_cstr(event_def(e->kind)->topic),
                                          slice_from_cstr(e->envelope->type)};
    struct error err = {0};
    int status = db_pool_submit(rec->recorder->worker->pool, &record_stmt, params, on_recorded, rec,
                                NULL, &err);
    if (status)
        finish(rec, consumer_verdict_of(status), &err);
}

/* ---- the handler ---- */

static void on_stalled(uv_timer_t *timer)
{
    record(timer->data);
}

static void refuse(struct record *rec, enum consumer_verdict verdict)
{
    struct error err;
    error_set(&err, BASE_EINVAL, NULL, "RECORDER_FAULT");
    finish(rec, verdict, &err);
}

static void begin(struct record *rec, enum fault fault)
{
    switch (fault) {
    case NONE:
    case CRASH_AFTER:
        record(rec);
        break;
    case FAIL:
        refuse(rec, CONSUMER_FAILED);
        break;
    case REFUSE:
        refuse(rec, CONSUMER_REFUSED);
        break;
    case UNAVAILABLE:
        refuse(rec, CONSUMER_UNAVAILABLE);
        break;
    case STALL:
        uv_timer_start(&rec->timer, on_stalled, rec->recorder->stall_ms, 0);
        break;
    case CRASH_BEFORE:
        _exit(EXIT_CRASHED);
    }
}

static void on_event(void *part, const struct consumer_event *event, struct consumer_turn *turn)
{
    struct recorder *r = part;
    struct record *rec = mem_calloc(1, sizeof(*rec));
    if (!rec) {
        consumer_turn_end(turn, CONSUMER_UNAVAILABLE, &(struct error){.text = "out of memory"});
        return;
    }
    *rec = (struct record){.recorder = r, .event = event, .turn = turn};
    uv_timer_init(r->worker->loop, &rec->timer);
    rec->timer.data = rec;
    r->runs++;
    rec->is_faulty = r->fault != NONE && r->runs % r->every == 0;
    write_line(r, event, r->runs);
    begin(rec, rec->is_faulty ? r->fault : NONE);
}

/* ---- life ---- */

/* Blocking: this is a test's. Replicas start at once. */
static int make_table(const char *conninfo, struct error *err)
{
    PGconn *pg = PQconnectdb(conninfo);
    PGresult *res = PQexec(
        pg, "set client_min_messages = warning; begin;"
            " select pg_advisory_xact_lock(7020611951); create schema if not exists recorder;"
            " create table if not exists recorder.recorded (seq bigint generated always as"
            " identity, event_id uuid primary key, key text not null, topic text not null,"
            " type text not null, at timestamptz not null default clock_timestamp());"
            " commit");
    int status = PQresultStatus(res) == PGRES_COMMAND_OK
                     ? 0
                     : error_set(err, BASE_EINVAL, NULL, "recorder: %.200s", PQerrorMessage(pg));
    PQclear(res);
    PQfinish(pg);
    return status;
}

static int start(const struct worker *w, void **part, struct error *err)
{
    struct recorder *r = mem_calloc(1, sizeof(*r));
    if (!r)
        return error_set(err, BASE_ENOMEM, NULL, "out of memory");
    *r = (struct recorder){.worker = w,
                           .fault = (enum fault)w->own[FAULT].num,
                           .every = (uint64_t)w->own[EVERY].num,
                           .stall_ms = (uint64_t)w->own[STALL_MS].num};
    const char *path = w->own[LOG_FILE].text;
    r->fd = path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644) : -1;
    int status = make_table(secret_text(w->conninfo), err);
    if (!status && path && r->fd < 0)
        status = error_set(err, BASE_EINVAL, "RECORDER_LOG", "cannot write to %.200s", path);
    if (status) {
        mem_free(r);
        return status;
    }
    *part = r;
    return 0;
}

static void stop(void *part, worker_stopped_fn stopped, void *ctx)
{
    struct recorder *r = part;
    if (r->fd >= 0)
        close(r->fd);
    mem_free(r);
    stopped(ctx);
}

int main(int argc, char **argv)
{
    static const struct consumer_route routes[] = {
        {EVENT_TASK_CREATED, TASKS_PATH, on_event, NULL},
        {EVENT_TASK_UPDATED, TASKS_PATH, on_event, NULL},
        {EVENT_TASK_DELETED, TASKS_PATH, on_event, NULL},
        {EVENT_TASK_COMPLETED, "/events/task-completed", on_event, NULL},
        {EVENT_REMINDER_SENT, "/events/reminder-sent", on_event, NULL},
    };
    static const struct worker_spec spec = {
        .program = "todo-recorder",
        .app_id = APP_ID,
        .about = "Records each event that comes. For tests.",
        .port = "8090",
        .rows = rows,
        .row_count = ROWS,
        .routes = routes,
        .route_count = sizeof(routes) / sizeof(*routes),
        .start = start,
        .stop = stop,
    };
    return worker_main(&spec, argc, argv);
}
