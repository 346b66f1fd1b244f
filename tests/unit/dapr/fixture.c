#include "support/unit.h"

#include "fixture.h"

#include "base/error.h"
#include "base/mem.h"

static void copy(char *out, size_t size, struct slice text)
{
    snprintf(out, size, "%.*s", (int)(text.len < size ? text.len : size), text.ptr ? text.ptr : "");
}

static void answer(struct fixture *f, struct http_request *req)
{
    struct http_header headers[] = {{{"ETag", 4}, slice_from_cstr(f->answer.etag)}};
    if (f->answer.status == 0 && f->held_count < 8)
        f->held[f->held_count++] = req;
    else
        http_respond(req, f->answer.status, headers, f->answer.etag ? 1 : 0,
                     slice_from_cstr(f->answer.body));
    mem_fail_nth(f->fail_nth);
}

static void on_request(void *ctx, struct http_request *req)
{
    struct fixture *f = ctx;
    if (slice_is_equal(http_request_path(req), SLICE_LIT("/v1.0/healthz/outbound"))) {
        f->health_count++;
        http_respond(req, f->is_healthy ? 204 : 500, NULL, 0, SLICE_EMPTY);
        return;
    }
    f->request_count++;
    copy(f->method, sizeof(f->method), http_request_method(req));
    copy(f->path, sizeof(f->path), http_request_path(req));
    copy(f->query, sizeof(f->query), http_request_query(req));
    copy(f->body, sizeof(f->body), http_request_body(req));
    copy(f->token, sizeof(f->token), http_request_header(req, "dapr-api-token"));
    copy(f->if_match, sizeof(f->if_match), http_request_header(req, "if-match"));
    copy(f->content_type, sizeof(f->content_type), http_request_header(req, "content-type"));
    answer(f, req);
}

static void on_change(void *ctx, bool is_up)
{
    struct fixture *f = ctx;
    f->change_count++;
    f->is_up = is_up;
}

void fixture_closed(void *ctx)
{
    ((struct fixture *)ctx)->closed_count++;
}

static void open_client(struct fixture *f, struct dapr_client_options options)
{
    options.port = http_server_port(f->server);
    options.on_change = on_change;
    options.ctx = f;
    assert_int_equal(dapr_client_new(&f->loop, &options, NULL, &f->client, NULL), 0);
}

int fixture_setup(void **state)
{
    struct fixture *f = test_calloc(1, sizeof(*f));
    *state = f;
    f->is_healthy = true;
    f->answer = (struct canned){204, "", NULL};
    assert_int_equal(uv_loop_init(&f->loop), 0);
    assert_int_equal(
        http_server_new(&f->loop, &http_limits_default, NULL, on_request, f, &f->server), 0);
    assert_int_equal(http_server_listen(f->server, "127.0.0.1", 0, NULL), 0);
    open_client(f, (struct dapr_client_options){.timeout_ms = 2000, .api_token = "secret"});
    return 0;
}

void fixture_close_client(struct fixture *f)
{
    int before = f->closed_count;
    dapr_client_close(f->client, fixture_closed, f);
    while (f->closed_count == before)
        uv_run(&f->loop, UV_RUN_ONCE);
    f->client = NULL;
}

void fixture_reopen(struct fixture *f, const struct dapr_client_options *options)
{
    fixture_close_client(f);
    open_client(f, *options);
}

void fixture_close_server(struct fixture *f)
{
    int before = f->closed_count;
    for (size_t i = 0; i < f->held_count; i++)
        http_respond(f->held[i], 200, NULL, 0, SLICE_EMPTY);
    f->held_count = 0;
    http_server_close(f->server, 0, fixture_closed, f);
    f->server = NULL;
    while (f->closed_count == before)
        uv_run(&f->loop, UV_RUN_ONCE);
}

int fixture_teardown(void **state)
{
    struct fixture *f = *state;
    if (f->client)
        fixture_close_client(f);
    if (f->server)
        fixture_close_server(f);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    test_free(f);
    return 0;
}

void fixture_wait(struct fixture *f, int status)
{
    assert_int_equal(status, 0);
    assert_int_equal(f->heard.count, 0);
    while (f->heard.count == 0)
        uv_run(&f->loop, UV_RUN_ONCE);
    assert_int_equal(f->heard.count, 1);
    f->heard.count = 0;
}

void heard_error(struct heard *h, int status, const struct error *err)
{
    h->count++;
    h->status = status;
    assert_true((status == 0) == (err == NULL));
    snprintf(h->field, sizeof(h->field), "%s", err ? err->field : "");
    snprintf(h->text, sizeof(h->text), "%s", err ? err->text : "");
}

void heard_done(void *ctx, int status, const struct error *err)
{
    heard_error(ctx, status, err);
}
