/* Any bytes as a sidecar's answer: the first one says to which call, the second the status, the
 * rest is the body. Each call ends, once. */
#include <assert.h>
#include <stdint.h>
#include <uv.h>

#include "base/http_server.h"
#include "base/json.h"
#include "dapr/jobs.h"
#include "dapr/metadata.h"
#include "dapr/pubsub.h"
#include "dapr/state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fixture {
    uv_loop_t loop;
    struct http_server *server;
    struct dapr_client *client;
    int http_status;
    struct slice body;
    int ended, closed;
};

static void on_request(void *ctx, struct http_request *req)
{
    const struct fixture *f = ctx;
    if (slice_is_equal(http_request_path(req), SLICE_LIT("/v1.0/healthz/outbound")))
        http_respond(req, 204, NULL, 0, SLICE_EMPTY);
    else
        http_respond(req, f->http_status, NULL, 0, f->body);
}

static void on_closed(void *ctx)
{
    ((struct fixture *)ctx)->closed++;
}

static void on_done(void *ctx, int status, const struct error *err)
{
    assert((status == 0) == (err == NULL));
    ((struct fixture *)ctx)->ended++;
}

static void on_bulk(void *ctx, int status, const struct dapr_event_result *results, size_t count,
                    const struct error *err)
{
    assert(count == (status ? 0 : 2) && (results != NULL) == (status == 0));
    on_done(ctx, status, err);
}

static void on_state(void *ctx, int status, const struct dapr_state_value *value,
                     const struct error *err)
{
    assert((value != NULL) == (status == 0));
    assert(!value || !value->is_found || json_check(value->value, NULL) == 0);
    on_done(ctx, status, err);
}

static void on_states(void *ctx, int status, const struct dapr_state_value *values, size_t count,
                      const struct error *err)
{
    assert(count == (status ? 0 : 2));
    for (size_t i = 0; i < count; i++)
        assert(!values[i].is_found || json_check(values[i].value, NULL) == 0);
    on_done(ctx, status, err);
}

static void on_job(void *ctx, int status, bool is_found, const struct dapr_job *job,
                   const struct error *err)
{
    assert(is_found == (job != NULL) && (!job || job->name));
    on_done(ctx, status, err);
}

static void on_component(void *ctx, int status, const struct dapr_component *component,
                         const struct error *err)
{
    assert(!component || (component->type && component->version));
    on_done(ctx, status, err);
}

static int begin(struct fixture *f, uint8_t which)
{
    const struct dapr_event events[] = {{.id = {"a", 1}, .body = {"{}", 2}},
                                        {.id = {"b", 1}, .body = {"{}", 2}}};
    const struct slice keys[] = {{"a", 1}, {"b", 1}};
    switch (which % 6) {
    case 0:
        return dapr_publish_bulk(f->client, "p", "t", events, 2, on_bulk, f, NULL);
    case 1:
        return dapr_state_get(f->client, "s", keys[0], on_state, f, NULL);
    case 2:
        return dapr_state_get_bulk(f->client, "s", keys, 2, on_states, f, NULL);
    case 3:
        return dapr_job_get(f->client, "j", on_job, f, NULL);
    case 4:
        return dapr_component_get(f->client, "c", on_component, f, NULL);
    default:
        return dapr_publish(f->client, "p", "t", &events[0], on_done, f, NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int statuses[] = {200, 204, 400, 401, 409, 500, 301, 503};
    struct fixture f = {0};
    if (size < 2)
        return 0;
    f.http_status = statuses[data[1] % 8];
    f.body = (struct slice){(const char *)data + 2, size - 2};
    int status = uv_loop_init(&f.loop);
    assert(status == 0);
    status = http_server_new(&f.loop, &http_limits_default, NULL, on_request, &f, &f.server);
    assert(status == 0);
    status = http_server_listen(f.server, "127.0.0.1", 0, NULL);
    assert(status == 0);
    const struct dapr_client_options options = {.port = http_server_port(f.server)};
    status = dapr_client_new(&f.loop, &options, NULL, &f.client, NULL);
    assert(status == 0);
    status = begin(&f, data[0]);
    assert(status == 0);
    while (f.ended == 0)
        uv_run(&f.loop, UV_RUN_ONCE);
    dapr_client_close(f.client, on_closed, &f);
    http_server_close(f.server, 0, on_closed, &f);
    uv_run(&f.loop, UV_RUN_DEFAULT);
    status = uv_loop_close(&f.loop);
    assert(status == 0 && f.closed == 2 && f.ended == 1);
    return 0;
}
