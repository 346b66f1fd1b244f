/* publish -> a POST for each event and subscriber -> the worst of an event's answers -> done.
 * A publish that has nothing to wait for ends at the loop's next turn. */
#include "events/transport_direct.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/http_client.h"
#include "base/http_server.h"
#include "base/mem.h"
#include "base/secret.h"
#include "events/cloudevent.h"
#include "events/event.h"
#include "events/transport.h"

#define ENTRIES_MAX 16
#define PUBLISH_MAX 16
#define TIMEOUT_MS  60000
#define ANSWER_MAX  4096
#define HEADERS_MAX 6
#define REASON_SIZE 201

struct subscriber {
    const char *topic, *url; /* in direct->text */
    struct http_url *parsed; /* owned; NULL where it is malformed, which each post tells */
};

struct direct;

struct post {
    struct publish *publish;
    size_t entry;
};

struct publish {
    struct publish *next; /* of those that end at the next turn */
    struct direct *direct;
    transport_done_fn done;
    void *ctx;
    size_t count, pending;
    struct transport_result *results; /* count; they and the posts follow */
    struct post *posts;
};

struct direct {
    struct transport transport;
    uv_timer_t timer;
    struct http_client *client;
    char *text;                 /* EVENT_SUBSCRIBERS, cut up */
    const struct secret *token; /* borrowed */
    uint32_t timeout_ms, in_flight;
    struct subscriber subscribers[TRANSPORT_DIRECT_SUBSCRIBERS_MAX];
    size_t subscriber_count;
    struct publish *ended, *ended_tail;
    bool is_closing;
    transport_closed_fn closed;
    void *closed_ctx;
};

/* ---- EVENT_SUBSCRIBERS ---------------------------------------------------------------------- */

static bool is_topic(const char *name)
{
    for (int kind = 0; kind < EVENT_KINDS; kind++) {
        if (strcmp(event_def((enum event_kind)kind)->topic, name) == 0)
            return true;
    }
    return strcmp(name, EVENT_DLQ_TOPIC) == 0;
}

static bool is_url(const char *url)
{
    const char *host = strncmp(url, "http://", 7) == 0    ? url + 7
                       : strncmp(url, "https://", 8) == 0 ? url + 8
                                                          : "";
    if (!isalnum((unsigned char)*host) && *host != '[')
        return false;
    for (const char *at = host; *at; at++) {
        if (!isgraph((unsigned char)*at))
            return false;
    }
    return true;
}

static int read_entry(char *entry, struct subscriber *out, struct error *err)
{
    char *equals = strchr(entry, '=');
    if (!equals)
        return error_set(err, BASE_EINVAL, "EVENT_SUBSCRIBERS",
                         "EVENT_SUBSCRIBERS has the entry \"%.80s\"; expected topic=url", entry);
    *equals = '\0';
    *out = (struct subscriber){.topic = entry, .url = equals + 1};
    if (!is_topic(entry))
        return error_set(err, BASE_EINVAL, "EVENT_SUBSCRIBERS",
                         "EVENT_SUBSCRIBERS names the topic \"%.60s\"; there are task-events, "
                         "task-recurrence, task-reminders and task-events-dlq",
                         entry);
    if (!is_url(out->url))
        return error_set(err, BASE_EINVAL, "EVENT_SUBSCRIBERS",
                         "EVENT_SUBSCRIBERS has for %.40s the URL \"%.80s\"; expected one that "
                         "begins with http:// or https:// and a host",
                         entry, out->url);
    return 0;
}

/* Cuts `text` up. */
static int read_subscribers(char *text, struct subscriber *out, size_t *count, struct error *err)
{
    char *rest = text;
    *count = 0;
    for (char *entry = strtok_r(text, ", \t\n", &rest); entry;
         entry = strtok_r(NULL, ", \t\n", &rest)) {
        if (*count == TRANSPORT_DIRECT_SUBSCRIBERS_MAX)
            return error_set(err, BASE_EINVAL, "EVENT_SUBSCRIBERS",
                             "EVENT_SUBSCRIBERS has more than %d entries",
                             TRANSPORT_DIRECT_SUBSCRIBERS_MAX);
        int status = read_entry(entry, &out[(*count)++], err);
        if (status)
            return status;
    }
    return 0;
}

int transport_direct_check(const char *subscribers, struct error *err)
{
    struct subscriber list[TRANSPORT_DIRECT_SUBSCRIBERS_MAX];
    size_t count;
    char *copy = mem_strdup(subscribers);
    if (!copy)
        return error_set(err, BASE_ENOMEM, NULL, "out of memory");
    int status = read_subscribers(copy, list, &count, err);
    mem_free(copy);
    return status;
}

/* ---- the end of a publish ------------------------------------------------------------------- */

static void finish(struct publish *p)
{
    p->direct->in_flight--;
    p->done(p->ctx, p->results, p->count);
    mem_free(p);
}

static void finish_ended(struct direct *d)
{
    while (d->ended) {
        struct publish *p = d->ended;
        d->ended = p->next;
        finish(p);
    }
    d->ended_tail = NULL;
}

static void on_timer(uv_timer_t *timer)
{
    finish_ended(timer->data);
}

static void finish_soon(struct publish *p)
{
    struct direct *d = p->direct;
    *(d->ended ? &d->ended_tail->next : &d->ended) = p;
    d->ended_tail = p;
    uv_timer_start(&d->timer, on_timer, 0, 0);
}

/* ---- answers -------------------------------------------------------------------------------- */

/* One subscriber that may still take it decides: it is sent again. */
static void worsen(struct transport_result *result, enum transport_outcome outcome,
                   const char *reason)
{
    if (outcome == TRANSPORT_ACKED || result->outcome == TRANSPORT_UNAVAILABLE)
        return;
    result->outcome = outcome;
    snprintf(result->reason, sizeof(result->reason), "%.159s", reason);
}

/* What speaks of this very event. A wrong token or path is no fault of the event's: whoever set it
 * up has to mend it, and nothing is parked meanwhile. */
static bool is_refusal(int status)
{
    static const int others[] = {401, 403, 404, 405, 407, 408, 421, 425, 429};
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
        if (status == others[i])
            return false;
    }
    return status >= 400 && status < 500;
}

static enum transport_outcome outcome_of(int status)
{
    if (status >= 200 && status < 300)
        return TRANSPORT_ACKED;
    return is_refusal(status) ? TRANSPORT_REFUSED : TRANSPORT_UNAVAILABLE;
}

static void on_answer(void *ctx, int status, const struct http_client_response *res,
                      const struct error *err)
{
    struct post *post = ctx;
    struct publish *p = post->publish;
    char reason[64];
    if (status) {
        worsen(&p->results[post->entry], TRANSPORT_UNAVAILABLE, err->text);
    } else {
        snprintf(reason, sizeof(reason), "a subscriber answered %d", res->status);
        worsen(&p->results[post->entry], outcome_of(res->status), reason);
    }
    if (--p->pending == 0)
        finish(p);
}

/* ---- posts ---------------------------------------------------------------------------------- */

static void add_header(struct http_header *headers, size_t *count, struct slice name,
                       struct slice value)
{
    headers[(*count)++] = (struct http_header){name, value};
}

/* What a header may hold of any text. */
static struct slice printable(struct slice text, char out[REASON_SIZE])
{
    size_t len = text.len < REASON_SIZE - 1 ? text.len : REASON_SIZE - 1;
    for (size_t i = 0; i < len; i++)
        out[i] = isprint((unsigned char)text.ptr[i]) ? text.ptr[i] : '?';
    return (struct slice){out, len};
}

static int post(struct publish *p, struct post *post, const struct subscriber *to,
                const struct transport_entry *entry)
{
    const struct direct *d = p->direct;
    struct http_header headers[HEADERS_MAX];
    char texts[3][REASON_SIZE];
    char attempts[24];
    size_t count = 0;
    add_header(headers, &count, SLICE_LIT("Content-Type"), SLICE_LIT(CLOUDEVENT_MIME));
    const char *token = secret_text(d->token);
    if (token)
        add_header(headers, &count, SLICE_LIT("dapr-api-token"), slice_from_cstr(token));
    if (entry->death) {
        int len = snprintf(attempts, sizeof(attempts), "%" PRId64, entry->death->attempts);
        add_header(headers, &count, SLICE_LIT("todo-dead-letter-topic"),
                   printable(entry->death->topic, texts[0]));
        add_header(headers, &count, SLICE_LIT("todo-dead-letter-consumer"),
                   printable(entry->death->consumer, texts[1]));
        add_header(headers, &count, SLICE_LIT("todo-dead-letter-reason"),
                   printable(entry->death->reason, texts[2]));
        add_header(headers, &count, SLICE_LIT("todo-dead-letter-attempts"),
                   (struct slice){attempts, (size_t)len});
    }
    const struct http_client_request req = {.method = "POST",
                                            .url = to->url,
                                            .parsed_url = to->parsed,
                                            .headers = headers,
                                            .header_count = count,
                                            .body = entry->event,
                                            .timeout_ms = d->timeout_ms,
                                            .max_bytes = ANSWER_MAX,
                                            .is_direct = true};
    return http_client_start(d->client, &req, on_answer, post, NULL, NULL);
}

static size_t count_subscribers(const struct direct *d, const char *topic)
{
    size_t count = 0;
    for (size_t i = 0; i < d->subscriber_count; i++)
        count += strcmp(d->subscribers[i].topic, topic) == 0;
    return count;
}

static struct publish *new_publish(struct direct *d, size_t count, size_t posts)
{
    size_t results = count * sizeof(struct transport_result);
    struct publish *p = mem_alloc(sizeof(*p) + posts * sizeof(struct post) + results);
    if (!p)
        return NULL;
    *p = (struct publish){.direct = d, .count = count};
    p->posts = (struct post *)(p + 1);
    p->results = (struct transport_result *)(p->posts + posts);
    memset(p->results, 0, results);
    return p;
}

static void post_all(struct publish *p, const char *topic, const struct transport_entry *entries)
{
    const struct direct *d = p->direct;
    struct post *next = p->posts;
    for (size_t i = 0; i < d->subscriber_count; i++) {
        if (strcmp(d->subscribers[i].topic, topic) != 0)
            continue;
        for (size_t entry = 0; entry < p->count; entry++, next++) {
            *next = (struct post){p, entry};
            if (post(p, next, &d->subscribers[i], &entries[entry]))
                worsen(&p->results[entry], TRANSPORT_UNAVAILABLE, "no request could be started");
            else
                p->pending++;
        }
    }
}

static int direct_publish(struct transport *t, const char *topic,
                          const struct transport_entry *entries, size_t count,
                          transport_done_fn done, void *ctx)
{
    struct direct *d = (struct direct *)t;
    if (d->is_closing)
        return BASE_ECLOSED;
    if (d->in_flight >= PUBLISH_MAX || count > ENTRIES_MAX)
        return BASE_ELIMIT;
    struct publish *p = new_publish(d, count, count * count_subscribers(d, topic));
    if (!p)
        return BASE_ENOMEM;
    p->done = done;
    p->ctx = ctx;
    d->in_flight++;
    post_all(p, topic, entries);
    if (p->pending == 0)
        finish_soon(p);
    return 0;
}

/* ---- life ----------------------------------------------------------------------------------- */

static void free_direct(struct direct *d)
{
    for (size_t i = 0; i < d->subscriber_count; i++)
        http_url_free(d->subscribers[i].parsed);
    mem_free(d->text);
    mem_free(d);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct direct *d = handle->data;
    transport_closed_fn closed = d->closed;
    void *ctx = d->closed_ctx;
    free_direct(d);
    closed(ctx);
}

static void on_client_closed(void *ctx)
{
    struct direct *d = ctx;
    finish_ended(d);
    uv_close((uv_handle_t *)&d->timer, on_timer_closed);
}

static void direct_close(struct transport *t, transport_closed_fn closed, void *ctx)
{
    struct direct *d = (struct direct *)t;
    d->is_closing = true;
    d->closed = closed;
    d->closed_ctx = ctx;
    http_client_close(d->client, on_client_closed, d);
}

/* 0, or BASE_ENOMEM. */
static int parse_urls(struct direct *d)
{
    int status = 0;
    for (size_t i = 0; i < d->subscriber_count && status != BASE_ENOMEM; i++)
        status = http_url_new(d->subscribers[i].url, &d->subscribers[i].parsed);
    return status == BASE_ENOMEM ? status : 0;
}

int transport_direct_new(uv_loop_t *loop, const struct transport_direct_options *options,
                         struct transport **out, struct error *err)
{
    struct direct *d = mem_calloc(1, sizeof(*d));
    if (!d)
        return error_set(err, BASE_ENOMEM, NULL, "out of memory");
    d->transport = (struct transport){.name = "direct",
                                      .entries_max = ENTRIES_MAX,
                                      .publish_max = PUBLISH_MAX,
                                      .publish = direct_publish,
                                      .close = direct_close};
    d->timeout_ms = options->timeout_ms ? options->timeout_ms : TIMEOUT_MS;
    d->text = mem_strdup(options->subscribers);
    d->token = options->token;
    int status = 0;
    if (!d->text)
        status = error_set(err, BASE_ENOMEM, NULL, "out of memory");
    if (!status)
        status = read_subscribers(d->text, d->subscribers, &d->subscriber_count, err);
    if (!status &&
        (parse_urls(d) || http_client_new(loop, &http_client_options_default, &d->client)))
        status = error_set(err, BASE_ENOMEM, NULL, "out of memory");
    if (status) {
        free_direct(d);
        return status;
    }
    uv_timer_init(loop, &d->timer);
    d->timer.data = d;
    *out = &d->transport;
    return 0;
}
