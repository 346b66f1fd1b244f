/* direct:  handle -> authorize -> check the type and the event -> consumer -> answer
 * daprd:   handle -> dapr/app -> on_message, an entry at a time -> consumer -> dapr_turn_end */
#include "events/source_http.h"

#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/http_host.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/secret.h"
#include "dapr/app.h"
#include "events/source_http_int.h"

#define ANSWER_MAX 1024

struct source_http {
    const struct log *log;
    const struct consumer_route *routes;
    size_t route_count;
    struct consumer *consumer;  /* borrowed; NULL: none */
    struct dapr_app *app;       /* owned; NULL: the relay delivers */
    const struct secret *token; /* borrowed */
};

/* ---- answers of the direct way ---- */

static void respond(struct http_request *req, int status, const struct http_header *extra,
                    struct slice json)
{
    const struct http_header headers[] = {
        {{"Content-Type", 12}, {"application/json", 16}},
        extra ? *extra : (struct http_header){{"Cache-Control", 13}, {"no-store", 8}},
    };
    http_respond(req, status, headers, 2, json);
}

static void refuse(struct http_request *req, int status, const char *message)
{
    static const struct http_header allow = {{"Allow", 5}, {"POST", 4}};
    struct buf b;
    struct json_writer w;
    buf_init(&b, ANSWER_MAX);
    json_writer_init(&w, &b);
    json_begin_object(&w);
    json_key_string(&w, "status", "DROP");
    json_key_string(&w, "message", message);
    json_end_object(&w);
    respond(req, status, status == 405 ? &allow : NULL,
            buf_status(&b) ? SLICE_LIT("{}") : buf_slice(&b));
    buf_deinit(&b);
}

static void respond_answer(struct http_request *req, enum consumer_answer answer)
{
    static const struct http_header later = {{"Retry-After", 11}, {"1", 1}};
    if (answer == CONSUMER_ACK)
        respond(req, 200, NULL, SLICE_LIT("{\"status\":\"SUCCESS\"}"));
    else
        respond(req, 503, &later, SLICE_LIT("{\"status\":\"RETRY\"}"));
}

static void on_direct_answer(void *ctx, enum consumer_answer answer)
{
    respond_answer(ctx, answer);
}

/* ---- the direct way ---- */

static bool is_type(struct slice type, const char *name)
{
    size_t len = strlen(name);
    if (type.len < len || strncasecmp(type.ptr, name, len) != 0)
        return false;
    return type.len == len || type.ptr[len] == ';' || type.ptr[len] == ' ';
}

static bool has_token(const struct source_http *s, const struct http_request *req)
{
    return http_request_header_count(req, "dapr-api-token") == 1 &&
           secret_accepts(s->token, http_request_header(req, "dapr-api-token"));
}

/* A browser sends its Origin with each POST, and the name by which its page was reached as Host:
 * where a page's own name resolves to this machine, the Host alone tells. */
static bool is_of_page(const struct http_request *req)
{
    return http_request_header(req, "Origin").ptr ||
           !http_host_is_loopback(http_request_header(req, "Host"));
}

/* False: it was refused. */
static bool is_near(const struct source_http *s, struct http_request *req)
{
    const char *fault = NULL;
    if (secret_text(s->token))
        return true;
    if (!http_request_is_loopback(req))
        fault = "without APP_API_TOKEN deliveries are taken from this machine alone";
    else if (is_of_page(req))
        fault = "without APP_API_TOKEN deliveries are taken at localhost, 127.0.0.1 or [::1], and "
                "from no browser";
    if (!fault)
        return true;
    log_warn(s->log, "a delivery from elsewhere", log_str("peer", http_request_peer(req)));
    refuse(req, 403, fault);
    return false;
}

/* The same. */
static bool is_admitted(const struct source_http *s, struct http_request *req)
{
    if (!is_near(s, req))
        return false;
    if (secret_text(s->token) && !has_token(s, req)) {
        log_warn(s->log, "a delivery without the right token",
                 log_str("peer", http_request_peer(req)));
        refuse(req, 401, "the header dapr-api-token must carry APP_API_TOKEN");
        return false;
    }
    if (!slice_is_equal(http_request_method(req), SLICE_LIT("POST"))) {
        refuse(req, 405, "events are delivered by POST");
        return false;
    }
    return true;
}

static int status_of(int code)
{
    if (code == BASE_ENOMEM)
        return 503;
    return code == BASE_ESYNTAX ? 400 : 422;
}

/* What is no CloudEvent goes back to whoever sent it. */
static int check_event(const struct consumer_delivery *d, bool is_structured, struct error *err)
{
    struct cloudevent event;
    int status = is_structured ? cloudevent_parse(d->body, &event, err)
                               : cloudevent_from_binary(d->attributes, d->attribute_count,
                                                        d->content_type, d->body, &event, err);
    if (!status)
        cloudevent_deinit(&event);
    return status;
}

static void deliver(struct source_http *s, const char *topic, struct http_request *req)
{
    struct cloudevent_attribute attributes[SOURCE_HTTP_ATTRIBUTES_MAX];
    struct error err = {0};
    struct consumer_delivery d = {.topic = topic,
                                  .content_type = http_request_header(req, "content-type"),
                                  .body = http_request_body(req),
                                  .attributes = attributes};
    bool is_structured = is_type(d.content_type, CLOUDEVENT_MIME);
    int status = 0;
    if (!is_structured && !http_request_header(req, "ce-specversion").ptr) {
        refuse(req, 415, "expected " CLOUDEVENT_MIME ", or JSON with headers ce-…");
        return;
    }
    if (!is_structured)
        status = source_http_attributes(req, attributes, &d.attribute_count, &err);
    if (!status)
        status = check_event(&d, is_structured, &err);
    if (status && status != BASE_ENOMEM)
        refuse(req, status_of(status), err.text);
    else if (status || !s->consumer || consumer_deliver(s->consumer, &d, on_direct_answer, req))
        respond_answer(req, CONSUMER_RETRY);
}

/* ---- daprd's way ---- */

static void on_dapr_answer(void *ctx, enum consumer_answer answer)
{
    dapr_turn_end(ctx, answer == CONSUMER_ACK ? DAPR_SUCCESS : DAPR_RETRY);
}

static const char *topic_of(const struct consumer_route *route)
{
    return event_def(route->kind)->topic;
}

static const char *find_topic(const struct source_http *s, struct slice topic)
{
    for (size_t i = 0; i < s->route_count; i++) {
        if (slice_is_equal(topic, slice_from_cstr(topic_of(&s->routes[i]))))
            return topic_of(&s->routes[i]);
    }
    return "";
}

/* A single delivery in binary mode has its attributes in the request's headers. */
static void on_message(void *ctx, const struct dapr_message *message, struct dapr_turn *turn)
{
    struct source_http *s = ctx;
    struct cloudevent_attribute attributes[SOURCE_HTTP_ATTRIBUTES_MAX];
    struct consumer_delivery d = {.topic = find_topic(s, message->topic),
                                  .content_type = message->content_type,
                                  .body = message->body,
                                  .attributes = attributes};
    /* Borrowed as const since it is daprd's still; the arena alone is written to. */
    struct http_request *req = (struct http_request *)(uintptr_t)message->request;
    int status = 0;
    if (message->entry_id.len == 0 && http_request_header(req, "ce-specversion").ptr)
        status = source_http_attributes(req, attributes, &d.attribute_count, NULL);
    if (status && status != BASE_ENOMEM)
        d.attribute_count = 0; /* so that it is no event: a dead letter */
    if (status == BASE_ENOMEM || !s->consumer ||
        consumer_deliver(s->consumer, &d, on_dapr_answer, turn))
        dapr_turn_end(turn, DAPR_RETRY);
}

static bool is_first_of_topic(const struct consumer_route *routes, size_t index)
{
    for (size_t i = 0; i < index; i++) {
        if (strcmp(topic_of(&routes[i]), topic_of(&routes[index])) == 0)
            return false;
    }
    return true;
}

/* A bulk is handed over soon: a reminder must not wait for nine others. With Redis, which keeps the
 * order only one event at a time, each event waits so long by itself. */
#define BULK_WAIT_MS 2

static int make_app(struct source_http *s, const struct source_http_options *o, struct error *err)
{
    struct dapr_subscription subscriptions[EVENT_KINDS];
    size_t count = 0;
    for (size_t i = 0; i < o->route_count && count < EVENT_KINDS; i++) {
        if (!is_first_of_topic(o->routes, i))
            continue;
        subscriptions[count++] = (struct dapr_subscription){.pubsub = o->pubsub,
                                                            .topic = topic_of(&o->routes[i]),
                                                            .route = o->routes[i].path,
                                                            .bulk_max = SOURCE_HTTP_BULK_MAX,
                                                            .bulk_wait_ms = BULK_WAIT_MS,
                                                            .fn = on_message,
                                                            .ctx = s};
    }
    const struct dapr_app_options options = {.token = o->token,
                                             .subscriptions = subscriptions,
                                             .subscription_count = count,
                                             .jobs = o->jobs,
                                             .job_count = o->job_count};
    return dapr_app_new(&options, s->log, &s->app, err);
}

/* ---- life ---- */

int source_http_new(const struct source_http_options *o, const struct log *log,
                    struct source_http **out, struct error *err)
{
    struct source_http *s = mem_calloc(1, sizeof(*s));
    if (!s)
        return error_set(err, BASE_ENOMEM, NULL, "out of memory");
    s->log = log;
    s->routes = o->routes;
    s->route_count = o->route_count;
    s->token = o->token;
    int status = o->pubsub ? make_app(s, o, err) : 0;
    if (status)
        mem_free(s);
    else
        *out = s;
    return status;
}

void source_http_attach(struct source_http *s, struct consumer *consumer)
{
    s->consumer = consumer;
}

bool source_http_handle(struct source_http *s, struct http_request *req)
{
    if (s->app)
        return !is_near(s, req) || dapr_app_handle(s->app, req);
    for (size_t i = 0; i < s->route_count; i++) {
        if (!slice_is_equal(http_request_path(req), slice_from_cstr(s->routes[i].path)))
            continue;
        if (is_admitted(s, req))
            deliver(s, topic_of(&s->routes[i]), req);
        return true;
    }
    return false;
}

void source_http_free(struct source_http *s)
{
    if (s->app)
        dapr_app_free(s->app);
    mem_free(s);
}
