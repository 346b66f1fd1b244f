/* A program that tests drive line by line: dapr/ and events/transport_dapr in a process of their
 * own.
 *
 *   dapr_driver PORT [TOKEN]       a client of that sidecar; lines of JSON on stdin are calls
 *   {"n": 1, "op": "state_get", …} each is answered by {"n": 1, "status": 0, …} when it has ended
 *   {"op": "app", …}               listens as an app: {"port": P}; what is delivered is told by
 *                                  {"turn": T, "body": …} and answered by {"op": "end", "turn": T,
 *                                  "answer": "RETRY"}, or by itself while nothing else is said
 * The end of stdin closes everything; the program then ends with 0 if the loop is empty. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/http_server.h"
#include "base/mem.h"
#include "base/secret.h"
#include "events/transport_dapr.h"
#include "support/dapr_driver/driver.h"

/* ---- reading the call's members ---- */

static struct slice text_of(const cJSON *object, const char *key)
{
    return slice_from_cstr(json_get_string(object, key));
}

static uint32_t number_of(const cJSON *object, const char *key)
{
    int64_t value = 0;
    json_as_int(json_get(object, key), &value);
    return (uint32_t)value;
}

static bool is_set(const cJSON *object, const char *key)
{
    return cJSON_IsTrue(json_get(object, key));
}

static size_t list_of(const cJSON *line, const char *key, const cJSON *items[ITEMS_MAX])
{
    const cJSON *item;
    size_t count = 0;
    cJSON_ArrayForEach(item, json_get(line, key)) if (count < ITEMS_MAX) items[count++] = item;
    return count;
}

/* ---- the calls: 0, or why none was begun ---- */

typedef int (*call_fn)(struct op *op, const cJSON *line, struct error *err);

static int call_wait(struct op *op, const cJSON *line, struct error *err)
{
    (void)err;
    return dapr_client_wait(op->d->client, number_of(line, "timeout_ms"), on_done, op);
}

static void read_event(const cJSON *item, struct dapr_event *e)
{
    *e = (struct dapr_event){.id = text_of(item, "id"),
                             .content_type = json_get_string(item, "type"),
                             .body = text_of(item, "body"),
                             .partition_key = text_of(item, "key"),
                             .ttl_s = number_of(item, "ttl_s")};
}

static int call_publish(struct op *op, const cJSON *line, struct error *err)
{
    struct dapr_event event;
    read_event(line, &event);
    return dapr_publish(op->d->client, json_get_string(line, "pubsub"),
                        json_get_string(line, "topic"), &event, on_done, op, err);
}

static int call_bulk(struct op *op, const cJSON *line, struct error *err)
{
    const cJSON *items[ITEMS_MAX];
    struct dapr_event events[ITEMS_MAX];
    size_t count = list_of(line, "events", items);
    for (size_t i = 0; i < count; i++)
        read_event(items[i], &events[i]);
    return dapr_publish_bulk(op->d->client, json_get_string(line, "pubsub"),
                             json_get_string(line, "topic"), events, count, on_bulk, op, err);
}

static int call_get(struct op *op, const cJSON *line, struct error *err)
{
    return dapr_state_get(op->d->client, json_get_string(line, "store"), text_of(line, "key"),
                          on_state, op, err);
}

static int call_get_bulk(struct op *op, const cJSON *line, struct error *err)
{
    const cJSON *items[ITEMS_MAX];
    struct slice keys[ITEMS_MAX];
    size_t count = list_of(line, "keys", items);
    for (size_t i = 0; i < count; i++)
        keys[i] = slice_from_cstr(items[i]->valuestring);
    return dapr_state_get_bulk(op->d->client, json_get_string(line, "store"), keys, count,
                               on_states, op, err);
}

static void read_item(const cJSON *item, struct dapr_state_item *out)
{
    *out = (struct dapr_state_item){.key = text_of(item, "key"),
                                    .value = text_of(item, "value"),
                                    .etag = text_of(item, "etag"),
                                    .is_first_write = is_set(item, "first_write"),
                                    .ttl_s = number_of(item, "ttl_s")};
}

static int call_save(struct op *op, const cJSON *line, struct error *err)
{
    const cJSON *list[ITEMS_MAX];
    struct dapr_state_item items[ITEMS_MAX];
    size_t count = list_of(line, "items", list);
    for (size_t i = 0; i < count; i++)
        read_item(list[i], &items[i]);
    return dapr_state_save(op->d->client, json_get_string(line, "store"), items, count, on_done, op,
                           err);
}

static int call_delete(struct op *op, const cJSON *line, struct error *err)
{
    return dapr_state_delete(op->d->client, json_get_string(line, "store"), text_of(line, "key"),
                             text_of(line, "etag"), on_done, op, err);
}

static int call_transact(struct op *op, const cJSON *line, struct error *err)
{
    const cJSON *list[ITEMS_MAX];
    struct dapr_state_op ops[ITEMS_MAX];
    size_t count = list_of(line, "ops", list);
    for (size_t i = 0; i < count; i++) {
        read_item(list[i], &ops[i].item);
        ops[i].is_delete = is_set(list[i], "delete");
    }
    return dapr_state_transact(op->d->client, json_get_string(line, "store"), ops, count, on_done,
                               op, err);
}

static int call_schedule(struct op *op, const cJSON *line, struct error *err)
{
    struct dapr_job job = {.name = json_get_string(line, "name"),
                           .schedule = json_get_string(line, "schedule"),
                           .due_time = json_get_string(line, "due_time"),
                           .ttl = json_get_string(line, "ttl"),
                           .repeats = number_of(line, "repeats"),
                           .overwrite = is_set(line, "overwrite"),
                           .data = text_of(line, "data"),
                           .failure = (enum dapr_job_failure)number_of(line, "failure"),
                           .failure_interval_s = number_of(line, "failure_interval_s"),
                           .failure_tries = number_of(line, "failure_tries")};
    return dapr_job_schedule(op->d->client, &job, on_done, op, err);
}

static int call_job_get(struct op *op, const cJSON *line, struct error *err)
{
    return dapr_job_get(op->d->client, json_get_string(line, "name"), on_job, op, err);
}

static int call_job_delete(struct op *op, const cJSON *line, struct error *err)
{
    return dapr_job_delete(op->d->client, json_get_string(line, "name"), on_done, op, err);
}

static int call_component(struct op *op, const cJSON *line, struct error *err)
{
    return dapr_component_get(op->d->client, json_get_string(line, "name"), on_component, op, err);
}

/* ---- the transport ---- */

static int call_transport(struct op *op, const cJSON *line, struct error *err)
{
    struct transport_dapr_options options = {op->d->client, json_get_string(line, "pubsub")};
    int status = transport_dapr_new(&op->d->loop, &options, &op->d->log, &op->d->transport, err);
    if (!status)
        on_done(op, 0, NULL);
    return status;
}

struct sent {
    struct transport_death death;
    struct transport_entry entries[];
};

static int call_send(struct op *op, const cJSON *line, struct error *err)
{
    const cJSON *items[ITEMS_MAX];
    size_t count = list_of(line, "entries", items);
    struct sent *sent = mem_calloc(1, sizeof(*sent) + count * sizeof(sent->entries[0]));
    (void)err;
    sent->death = (struct transport_death){text_of(line, "death_topic"), SLICE_LIT("a-consumer"),
                                           SLICE_LIT("it was no event"), 3};
    for (size_t i = 0; i < count; i++)
        sent->entries[i] = (struct transport_entry){
            text_of(items[i], "id"), text_of(items[i], "key"), text_of(items[i], "event"),
            is_set(items[i], "dead") ? &sent->death : NULL};
    op->memory = sent;
    return transport_publish(op->d->transport, json_get_string(line, "topic"), sent->entries, count,
                             on_published, op);
}

static int call_identify(struct op *op, const cJSON *line, struct error *err)
{
    (void)line;
    (void)err;
    return op->d->transport->identify(op->d->transport, on_identity, op);
}

/* ---- the app ---- */

static enum dapr_answer answer_named(const char *name)
{
    if (strcmp(name, "RETRY") == 0)
        return DAPR_RETRY;
    return strcmp(name, "DROP") == 0 ? DAPR_DROP : DAPR_SUCCESS;
}

static void tell_turn(struct driver *d, struct dapr_turn *turn, const char *kind, struct slice name,
                      struct slice body)
{
    struct out o;
    size_t at = d->turn_count++ % TURNS_MAX;
    d->turns[at] = turn;
    out_begin(&o);
    json_key_int(&o.w, "turn", (int64_t)at);
    json_key_int(&o.w, "at_us", clock_monotonic_us());
    out_slice(&o, kind, name);
    out_slice(&o, "body", body);
    out_end(&o);
    if (strcmp(d->mode, "ask") != 0)
        dapr_turn_end(turn, answer_named(d->mode));
}

static void on_message(void *ctx, const struct dapr_message *m, struct dapr_turn *turn)
{
    tell_turn(ctx, turn, "topic", m->topic, m->body);
}

static void on_due(void *ctx, struct slice name, struct slice data, struct dapr_turn *turn)
{
    tell_turn(ctx, turn, "job", name, data);
}

static void on_request(void *ctx, struct http_request *req)
{
    struct driver *d = ctx;
    if (!dapr_app_handle(d->app, req))
        http_respond(req, 404, NULL, 0, SLICE_EMPTY);
}

static int call_app(struct op *op, const cJSON *line, struct error *err)
{
    struct driver *d = op->d;
    const cJSON *list[ITEMS_MAX];
    struct dapr_subscription subs[16];
    size_t count = list_of(line, "subscriptions", list);
    struct dapr_job_route jobs[] = {{"check-due-tasks", on_due, d}};
    for (size_t i = 0; i < count && i < 16; i++)
        subs[i] = (struct dapr_subscription){.pubsub = json_get_string(list[i], "pubsub"),
                                             .topic = json_get_string(list[i], "topic"),
                                             .route = json_get_string(list[i], "route"),
                                             .bulk_max = number_of(list[i], "bulk_max"),
                                             .bulk_wait_ms = number_of(list[i], "bulk_wait_ms"),
                                             .is_parallel = is_set(list[i], "parallel"),
                                             .fn = on_message,
                                             .ctx = d};
    const char *token = json_get_string(line, "token");
    snprintf(d->token, sizeof(d->token), "%s", token ? token : "");
    d->secret = (struct secret){.fixed = token && *token ? d->token : NULL};
    struct dapr_app_options options = {.token = &d->secret,
                                       .subscriptions = subs,
                                       .subscription_count = count,
                                       .jobs = jobs,
                                       .job_count = 1,
                                       .health_path = "/healthz"};
    int status = dapr_app_new(&options, &d->log, &d->app, err);
    if (!status)
        status = http_server_new(&d->loop, &http_limits_default, NULL, on_request, d, &d->server);
    if (!status)
        status = http_server_listen(d->server, "127.0.0.1", (uint16_t)number_of(line, "port"), err);
    if (!status)
        on_done(op, 0, NULL);
    return status;
}

static int call_mode(struct op *op, const cJSON *line, struct error *err)
{
    (void)err;
    snprintf(op->d->mode, sizeof(op->d->mode), "%s", json_get_string(line, "answer"));
    on_done(op, 0, NULL);
    return 0;
}

static int call_end(struct op *op, const cJSON *line, struct error *err)
{
    (void)err;
    dapr_turn_end(op->d->turns[number_of(line, "turn") % TURNS_MAX],
                  answer_named(json_get_string(line, "answer")));
    on_done(op, 0, NULL);
    return 0;
}

/* ---- lines ---- */

static const struct {
    const char *name;
    call_fn fn;
} calls[] = {
    {"wait", call_wait},
    {"publish", call_publish},
    {"bulk", call_bulk},
    {"state_get", call_get},
    {"state_get_bulk", call_get_bulk},
    {"state_save", call_save},
    {"state_delete", call_delete},
    {"state_transact", call_transact},
    {"job_schedule", call_schedule},
    {"job_get", call_job_get},
    {"job_delete", call_job_delete},
    {"component", call_component},
    {"transport", call_transport},
    {"send", call_send},
    {"identify", call_identify},
    {"app", call_app},
    {"mode", call_mode},
    {"end", call_end},
};

static void run_line(struct driver *d, struct slice text)
{
    struct error err = {0};
    struct op *op = mem_calloc(1, sizeof(*op));
    op->d = d;
    op->line = json_parse(text, &err);
    const char *name = json_get_string(op->line, "op");
    call_fn fn = NULL;
    for (size_t i = 0; name && i < sizeof(calls) / sizeof(*calls); i++)
        if (strcmp(calls[i].name, name) == 0)
            fn = calls[i].fn;
    int status = fn ? fn(op, op->line, &err) : BASE_EINVAL; /* 0: `op` may be gone */
    if (!status)
        return;
    struct out o;
    answer_begin(&o, op, status, &err);
    answer_end(&o, op);
}

static void on_app_closed(void *ctx)
{
    dapr_app_free(((struct driver *)ctx)->app);
}

static void on_client_closed(void *ctx)
{
    (void)ctx;
}

static void on_transport_closed(void *ctx)
{
    dapr_client_close(((struct driver *)ctx)->client, on_client_closed, ctx);
}

static void end(struct driver *d)
{
    uv_close((uv_handle_t *)&d->in, NULL);
    if (d->server)
        http_server_close(d->server, 1000, on_app_closed, d);
    if (d->transport)
        transport_close(d->transport, on_transport_closed, d);
    else
        on_transport_closed(d);
}

static void on_alloc(uv_handle_t *handle, size_t size, uv_buf_t *out)
{
    (void)handle;
    *out = uv_buf_init(mem_alloc(size), (unsigned)size);
}

static void on_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *bytes)
{
    struct driver *d = stream->data;
    if (len > 0)
        buf_append(&d->line, bytes->base, (size_t)len);
    mem_free(bytes->base);
    for (char *nl; d->line.len > 0 && (nl = memchr(d->line.ptr, '\n', d->line.len));) {
        size_t size = (size_t)(nl - d->line.ptr);
        run_line(d, (struct slice){d->line.ptr, size});
        buf_consume(&d->line, size + 1);
    }
    if (len < 0)
        end(d);
}

static void on_change(void *ctx, bool is_up)
{
    struct out o;
    (void)ctx;
    out_begin(&o);
    json_key_bool(&o.w, "is_up", is_up);
    out_end(&o);
}

int main(int argc, char **argv)
{
    struct driver *d = mem_calloc(1, sizeof(*d));
    struct error err = {0};
    struct dapr_client_options options = {
        .port = (uint16_t)(argc > 1 ? strtol(argv[1], NULL, 10) : 0),
        .api_token = argc > 2 ? argv[2] : NULL,
        .timeout_ms = argc > 3 ? (uint32_t)strtol(argv[3], NULL, 10) : 0,
        .on_change = on_change};
    uv_loop_init(&d->loop);
    log_init(&d->log, 2, LOG_INFO, LOG_FORMAT_JSON);
    buf_init(&d->line, LINE_MAX_BYTES);
    snprintf(d->mode, sizeof(d->mode), "SUCCESS");
    if (dapr_client_new(&d->loop, &options, &d->log, &d->client, &err)) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    uv_pipe_init(&d->loop, &d->in, 0);
    d->in.data = d;
    uv_pipe_open(&d->in, 0);
    uv_read_start((uv_stream_t *)&d->in, on_alloc, on_read);
    uv_run(&d->loop, UV_RUN_DEFAULT);
    buf_deinit(&d->line);
    int status = uv_loop_close(&d->loop) ? 2 : 0;
    mem_free(d);
    return status;
}
