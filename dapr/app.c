/* A delivery's way:
 *
 *   dapr_app_handle -> route -> deliver -> hand_over -> the caller's fn … dapr_turn_end
 *                                             ^                              |
 *                                             └── the next entry, in order ──┤
 *                                                       all have ended -> answer
 *
 * A delivery holds one turn an entry; a single one has one. What it refers to lies in the request,
 * which stays until it is answered. */
#include "dapr/app.h"

#include <assert.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/http_server.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/secret.h"
#include "dapr/scan_int.h"

#define CLOUDEVENT_TYPE  "application/cloudevents+json"
#define ANSWER_MAX_BYTES ((size_t)1 << 20)

struct dapr_app {
    const struct log *log;
    struct dapr_subscription *subscriptions; /* texts are copies */
    size_t subscription_count;
    struct dapr_job_route *jobs;
    size_t job_count;
    char *health_path;
    bool (*is_healthy)(void *ctx);
    void *ctx;
    const struct secret *token; /* borrowed */
    size_t turns;
};

struct dapr_turn {
    struct delivery *delivery;
    struct slice id; /* as it is written in JSON, with its quotes */
    struct dapr_message message;
    enum dapr_answer answer;
    bool is_begun, has_ended;
};

struct delivery {
    struct dapr_app *app;
    struct http_request *request;
    const struct dapr_subscription *subscription; /* or: */
    const struct dapr_job_route *job;
    struct slice data; /* the job's */
    bool is_bulk;
    bool is_handing_over;
    size_t next;  /* the turn to begin */
    size_t ended; /* turns */
    size_t count;
    struct dapr_turn turns[];
};

static const char *const answer_names[] = {
    [DAPR_SUCCESS] = "SUCCESS", [DAPR_RETRY] = "RETRY", [DAPR_DROP] = "DROP"};

/* ---- answering ---- */

static void respond(struct http_request *req, int status, struct slice json)
{
    static const struct http_header type = {{"Content-Type", 12}, {"application/json", 16}};
    http_respond(req, status, &type, 1, json);
}

static void respond_status(struct http_request *req, enum dapr_answer answer)
{
    char text[32];
    struct buf b;
    buf_init_fixed(&b, text, sizeof(text));
    buf_printf(&b, "{\"status\":\"%s\"}", answer_names[answer]);
    respond(req, answer == DAPR_RETRY ? 503 : 200, buf_slice(&b));
}

static void write_statuses(struct buf *out, const struct delivery *d)
{
    struct json_writer w;
    json_writer_init(&w, out);
    json_begin_object(&w);
    json_key(&w, "statuses");
    json_begin_array(&w);
    for (size_t i = 0; i < d->count; i++) {
        json_begin_object(&w);
        json_key(&w, "entryId");
        json_raw(&w, d->turns[i].id);
        json_key_string(&w, "status", answer_names[d->turns[i].answer]);
        json_end_object(&w);
    }
    json_end_array(&w);
    json_end_object(&w);
}

static void respond_bulk(const struct delivery *d)
{
    struct buf b;
    buf_init(&b, ANSWER_MAX_BYTES);
    write_statuses(&b, d);
    if (buf_status(&b))
        respond_status(d->request, DAPR_RETRY);
    else
        respond(d->request, 200, buf_slice(&b));
    buf_deinit(&b);
}

static void finish(struct delivery *d)
{
    if (d->is_bulk)
        respond_bulk(d);
    else
        respond_status(d->request, d->turns[0].answer);
    mem_free(d);
}

/* ---- turns ---- */

static bool is_parallel(const struct delivery *d)
{
    return d->subscription && d->subscription->is_parallel;
}

static void begin_turn(struct delivery *d, struct dapr_turn *turn)
{
    turn->is_begun = true;
    d->app->turns++;
    if (d->job)
        d->job->fn(d->job->ctx, slice_from_cstr(d->job->name), d->data, turn);
    else
        d->subscription->fn(d->subscription->ctx, &turn->message, turn);
}

/* A turn may end from inside its callback, so this loop, not the end of a turn, begins the next. */
static void hand_over(struct delivery *d)
{
    d->is_handing_over = true;
    while (d->next < d->count) {
        struct dapr_turn *turn = &d->turns[d->next++];
        begin_turn(d, turn);
        if (!is_parallel(d) && !turn->has_ended)
            break;
    }
    d->is_handing_over = false;
    if (d->ended == d->count)
        finish(d);
}

/* In order: what comes after it has to come again after it. */
static void retry_rest(struct delivery *d)
{
    for (; d->next < d->count; d->next++) {
        d->turns[d->next].answer = DAPR_RETRY;
        d->ended++;
    }
}

void dapr_turn_end(struct dapr_turn *turn, enum dapr_answer answer)
{
    struct delivery *d = turn->delivery;
    assert(turn->is_begun && !turn->has_ended);
    turn->has_ended = true;
    turn->answer = answer;
    d->ended++;
    d->app->turns--;
    if (answer == DAPR_RETRY && !is_parallel(d))
        retry_rest(d);
    if (!d->is_handing_over)
        hand_over(d);
}

static struct delivery *delivery_new(struct dapr_app *app, struct http_request *req, size_t count)
{
    struct delivery *d = mem_calloc(1, sizeof(*d) + count * sizeof(d->turns[0]));
    if (!d)
        return NULL;
    d->app = app;
    d->request = req;
    d->count = count;
    for (size_t i = 0; i < count; i++)
        d->turns[i].delivery = d;
    return d;
}

/* ---- deliveries ---- */

static void deliver_one(struct dapr_app *app, const struct dapr_subscription *sub,
                        struct http_request *req)
{
    struct delivery *d = delivery_new(app, req, 1);
    if (!d) {
        respond_status(req, DAPR_RETRY);
        return;
    }
    d->subscription = sub;
    d->turns[0].message =
        (struct dapr_message){.topic = slice_from_cstr(sub->topic),
                              .content_type = http_request_header(req, "content-type"),
                              .body = http_request_body(req),
                              .request = req};
    hand_over(d);
}

/* The array of a bulk's entries, as text; ptr NULL where the body is no bulk. */
static struct slice find_entries(struct slice body)
{
    struct scan s;
    struct slice key, value, found = SLICE_EMPTY;
    if (json_check(body, NULL) || !scan_object(&s, body))
        return found;
    while (scan_member(&s, &key, &value))
        if (slice_is_equal(key, SLICE_LIT("entries")))
            found = value.ptr[0] == '[' ? value : SLICE_EMPTY;
    return found;
}

/* False where it has no id, so that it could not be answered. */
static bool read_entry(struct slice entry, struct dapr_turn *turn)
{
    struct scan s;
    struct slice key, value;
    struct dapr_message *m = &turn->message;
    if (!scan_object(&s, entry))
        return false;
    *m = (struct dapr_message){.content_type = SLICE_LIT(CLOUDEVENT_TYPE)};
    while (scan_member(&s, &key, &value)) {
        if (slice_is_equal(key, SLICE_LIT("entryId")))
            turn->id = value;
        else if (slice_is_equal(key, SLICE_LIT("event")))
            m->body = value;
        else if (slice_is_equal(key, SLICE_LIT("contentType")) && scan_string(value).len > 0)
            m->content_type = scan_string(value);
    }
    m->entry_id = scan_string(turn->id);
    return m->entry_id.len > 0;
}

static size_t count_entries(struct slice entries)
{
    struct scan s;
    struct slice entry;
    size_t count = 0;
    for (bool is_open = scan_array(&s, entries); is_open && scan_item(&s, &entry);)
        count++;
    return count;
}

static void fill_turns(struct delivery *d, struct slice entries)
{
    struct scan s;
    struct slice entry;
    size_t count = 0;
    for (bool is_open = scan_array(&s, entries); is_open && scan_item(&s, &entry);) {
        struct dapr_turn *turn = &d->turns[count];
        if (!read_entry(entry, turn))
            continue;
        turn->message.topic = slice_from_cstr(d->subscription->topic);
        turn->message.request = d->request;
        count++;
    }
    if (count < d->count)
        log_warn(d->app->log, "entries of a bulk have no id",
                 log_str("topic", d->subscription->topic),
                 log_int("count", (int64_t)(d->count - count)));
    d->count = count;
}

static void deliver_bulk(struct dapr_app *app, const struct dapr_subscription *sub,
                         struct http_request *req)
{
    struct slice entries = find_entries(http_request_body(req));
    size_t count = count_entries(entries);
    if (!entries.ptr || count > DAPR_BULK_MAX) {
        respond(req, 400, SLICE_LIT("{\"message\":\"not a bulk of events, or too large a one\"}"));
        return;
    }
    struct delivery *d = delivery_new(app, req, count);
    if (!d) {
        respond_status(req, DAPR_RETRY);
        return;
    }
    d->subscription = sub;
    d->is_bulk = true;
    fill_turns(d, entries);
    hand_over(d);
}

/* Also of a route with bulk_max: what comes there as one CloudEvent is one. */
static bool is_single(const struct dapr_subscription *sub, const struct http_request *req)
{
    struct slice type = http_request_header(req, "content-type");
    size_t len = sizeof(CLOUDEVENT_TYPE) - 1;
    return sub->bulk_max == 0 ||
           (type.len >= len && strncasecmp(type.ptr, CLOUDEVENT_TYPE, len) == 0) ||
           http_request_header(req, "ce-specversion").ptr;
}

static void deliver_job(struct dapr_app *app, const struct dapr_job_route *job,
                        struct http_request *req)
{
    struct delivery *d = delivery_new(app, req, 1);
    if (!d) {
        respond_status(req, DAPR_RETRY);
        return;
    }
    d->job = job;
    d->data = http_request_body(req);
    hand_over(d);
}

/* ---- what it listens to ---- */

static void write_subscription(struct json_writer *w, const struct dapr_subscription *sub)
{
    json_begin_object(w);
    json_key_string(w, "pubsubname", sub->pubsub);
    json_key_string(w, "topic", sub->topic);
    json_key_string(w, "route", sub->route);
    if (sub->bulk_max > 0) {
        json_key(w, "bulkSubscribe");
        json_begin_object(w);
        json_key_bool(w, "enabled", true);
        json_key_int(w, "maxMessagesCount", sub->bulk_max);
        if (sub->bulk_wait_ms)
            json_key_int(w, "maxAwaitDurationMs", sub->bulk_wait_ms);
        json_end_object(w);
    }
    json_end_object(w);
}

static void respond_subscriptions(const struct dapr_app *app, struct http_request *req)
{
    struct buf b;
    struct json_writer w;
    buf_init(&b, ANSWER_MAX_BYTES);
    json_writer_init(&w, &b);
    json_begin_array(&w);
    for (size_t i = 0; i < app->subscription_count; i++)
        write_subscription(&w, &app->subscriptions[i]);
    json_end_array(&w);
    if (buf_status(&b))
        respond_status(req, DAPR_RETRY);
    else
        respond(req, 200, buf_slice(&b));
    buf_deinit(&b);
}

/* ---- routes ---- */

enum route_kind { ROUTE_NONE, ROUTE_SUBSCRIBE, ROUTE_CONFIG, ROUTE_HEALTH, ROUTE_EVENT, ROUTE_JOB };

struct route {
    enum route_kind kind;
    size_t index;
};

static bool is_path(struct slice path, const char *text)
{
    return text && slice_is_equal(path, slice_from_cstr(text));
}

/* "/job/NAME" is what daprd calls. */
static bool is_job_path(struct slice path, const char *name)
{
    static const char *const prefixes[] = {"/job/", "/jobs/"};
    for (size_t i = 0; i < 2; i++) {
        size_t len = strlen(prefixes[i]);
        if (path.len > len && memcmp(path.ptr, prefixes[i], len) == 0 &&
            is_path((struct slice){path.ptr + len, path.len - len}, name))
            return true;
    }
    return false;
}

static struct route find_route(const struct dapr_app *app, struct slice path)
{
    if (is_path(path, "/dapr/subscribe"))
        return (struct route){ROUTE_SUBSCRIBE, 0};
    if (is_path(path, "/dapr/config"))
        return (struct route){ROUTE_CONFIG, 0};
    if (is_path(path, app->health_path))
        return (struct route){ROUTE_HEALTH, 0};
    for (size_t i = 0; i < app->subscription_count; i++)
        if (is_path(path, app->subscriptions[i].route))
            return (struct route){ROUTE_EVENT, i};
    for (size_t i = 0; i < app->job_count; i++)
        if (is_job_path(path, app->jobs[i].name))
            return (struct route){ROUTE_JOB, i};
    return (struct route){ROUTE_NONE, 0};
}

static bool has_token(const struct dapr_app *app, const struct http_request *req)
{
    if (!secret_text(app->token))
        return true;
    return http_request_header_count(req, "dapr-api-token") == 1 &&
           secret_accepts(app->token, http_request_header(req, "dapr-api-token"));
}

static bool is_method_of(enum route_kind kind, struct slice method)
{
    if (kind == ROUTE_EVENT || kind == ROUTE_JOB)
        return slice_is_equal(method, SLICE_LIT("POST"));
    return slice_is_equal(method, SLICE_LIT("GET")) || slice_is_equal(method, SLICE_LIT("HEAD"));
}

static void respond_health(const struct dapr_app *app, struct http_request *req)
{
    bool is_healthy = !app->is_healthy || app->is_healthy(app->ctx);
    respond(req, is_healthy ? 200 : 503,
            is_healthy ? SLICE_LIT("{\"status\":\"up\"}") : SLICE_LIT("{\"status\":\"down\"}"));
}

static void serve(struct dapr_app *app, struct route route, struct http_request *req)
{
    switch (route.kind) {
    case ROUTE_SUBSCRIBE:
        respond_subscriptions(app, req);
        break;
    case ROUTE_CONFIG:
        respond(req, 200, SLICE_LIT("{}"));
        break;
    case ROUTE_HEALTH:
        respond_health(app, req);
        break;
    case ROUTE_EVENT:
        if (is_single(&app->subscriptions[route.index], req))
            deliver_one(app, &app->subscriptions[route.index], req);
        else
            deliver_bulk(app, &app->subscriptions[route.index], req);
        break;
    case ROUTE_JOB:
        deliver_job(app, &app->jobs[route.index], req);
        break;
    case ROUTE_NONE:
        break;
    }
}

bool dapr_app_handle(struct dapr_app *app, struct http_request *req)
{
    struct route route = find_route(app, http_request_path(req));
    if (route.kind == ROUTE_NONE)
        return false;
    if (route.kind != ROUTE_HEALTH && !has_token(app, req)) {
        log_warn(app->log, "a request without the right dapr-api-token");
        respond(req, 401, SLICE_LIT("{\"message\":\"wrong or missing dapr-api-token\"}"));
    } else if (!is_method_of(route.kind, http_request_method(req))) {
        respond(req, 405, SLICE_LIT("{\"message\":\"another method is meant\"}"));
    } else {
        serve(app, route, req);
    }
    return true;
}

size_t dapr_app_turns(const struct dapr_app *app)
{
    return app->turns;
}

/* ---- life ---- */

static void free_text(const char *text)
{
    mem_free((void *)(uintptr_t)text);
}

void dapr_app_free(struct dapr_app *app)
{
    assert(app->turns == 0);
    for (size_t i = 0; app->subscriptions && i < app->subscription_count; i++) {
        free_text(app->subscriptions[i].pubsub);
        free_text(app->subscriptions[i].topic);
        free_text(app->subscriptions[i].route);
    }
    for (size_t i = 0; app->jobs && i < app->job_count; i++)
        free_text(app->jobs[i].name);
    mem_free(app->subscriptions);
    mem_free(app->jobs);
    mem_free(app->health_path);
    mem_free(app);
}

static int copy_subscriptions(struct dapr_app *app, const struct dapr_app_options *o)
{
    app->subscriptions = mem_calloc(o->subscription_count + 1, sizeof(*app->subscriptions));
    if (!app->subscriptions)
        return BASE_ENOMEM;
    for (size_t i = 0; i < o->subscription_count; i++) {
        struct dapr_subscription *sub = &app->subscriptions[app->subscription_count++];
        *sub = o->subscriptions[i];
        sub->pubsub = mem_strdup(o->subscriptions[i].pubsub);
        sub->topic = mem_strdup(o->subscriptions[i].topic);
        sub->route = mem_strdup(o->subscriptions[i].route);
        if (!sub->pubsub || !sub->topic || !sub->route)
            return BASE_ENOMEM;
    }
    return 0;
}

static int copy_jobs(struct dapr_app *app, const struct dapr_app_options *o)
{
    app->jobs = mem_calloc(o->job_count + 1, sizeof(*app->jobs));
    if (!app->jobs)
        return BASE_ENOMEM;
    for (size_t i = 0; i < o->job_count; i++) {
        struct dapr_job_route *job = &app->jobs[app->job_count++];
        *job = o->jobs[i];
        job->name = mem_strdup(o->jobs[i].name);
        if (!job->name)
            return BASE_ENOMEM;
    }
    return 0;
}

static int copy_options(struct dapr_app *app, const struct dapr_app_options *o)
{
    app->is_healthy = o->is_healthy;
    app->ctx = o->ctx;
    app->token = o->token;
    if (o->health_path) {
        app->health_path = mem_strdup(o->health_path);
        if (!app->health_path)
            return BASE_ENOMEM;
    }
    int status = copy_subscriptions(app, o);
    return status ? status : copy_jobs(app, o);
}

static int check_options(const struct dapr_app_options *o, struct error *err)
{
    bool is_good = !o->health_path || o->health_path[0] == '/';
    for (size_t i = 0; i < o->subscription_count; i++)
        is_good = is_good && o->subscriptions[i].route[0] == '/' && o->subscriptions[i].fn;
    return is_good ? 0 : error_set(err, BASE_EINVAL, "route", "a route begins with '/'");
}

int dapr_app_new(const struct dapr_app_options *options, const struct log *log,
                 struct dapr_app **out, struct error *err)
{
    int status = check_options(options, err);
    if (status)
        return status;
    struct dapr_app *app = mem_calloc(1, sizeof(*app));
    if (!app)
        return error_set(err, BASE_ENOMEM, NULL, "out of memory");
    app->log = log;
    status = copy_options(app, options);
    if (status) {
        dapr_app_free(app);
        return error_set(err, status, NULL, "out of memory");
    }
    *out = app;
    return 0;
}
