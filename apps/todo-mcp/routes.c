#include "routes.h"

#include <string.h>

#include "app.h"
#include "base/buf.h"
#include "base/http_server.h"
#include "db/pool.h"
#include "shared/probe.h"

static void answer_ready(struct app *app, struct http_request *req)
{
    bool is_ending = app->is_stopping || app->is_leaving;
    if (!is_ending && db_pool_is_ready(app->pool))
        probe_answer(req, 200, SLICE_LIT("{\"status\":\"ready\"}\n"));
    else
        probe_answer(req, 503,
                     is_ending ? SLICE_LIT("{\"status\":\"stopping\"}\n")
                               : SLICE_LIT("{\"status\":\"no database\"}\n"));
}

static void answer_metadata(struct app *app, struct http_request *req)
{
    static const struct http_header headers[] = {
        {{"Content-Type", 12}, {"application/json", 16}},
        {{"Cache-Control", 13}, {"max-age=300", 11}},
        {{"Access-Control-Allow-Origin", 27}, {"*", 1}},
    };
    struct buf b;
    buf_init(&b, 65536);
    if (!app->has_auth || !auth_metadata(&app->auth, &b))
        probe_answer(req, 404, SLICE_LIT("{\"error\":\"OAuth is not set up here\"}\n"));
    else if (buf_status(&b))
        probe_answer(req, 503, SLICE_LIT("{\"error\":\"out of memory\"}\n"));
    else
        http_respond(req, 200, headers, 3, buf_slice(&b));
    buf_deinit(&b);
}

/* With the path of the endpoint as clients know it, which a proxy may have changed. */
static bool is_metadata(struct slice path)
{
    static const char name[] = "/.well-known/oauth-protected-resource";
    size_t len = sizeof(name) - 1;
    return path.len >= len && memcmp(path.ptr, name, len) == 0 &&
           (path.len == len || path.ptr[len] == '/');
}

void routes_handle(void *ctx, struct http_request *req)
{
    struct app *app = ctx;
    struct slice path = http_request_path(req);
    if (slice_is_equal(path, SLICE_LIT(ROUTES_MCP)))
        mcp_http_handle(app->mcp_http, req);
    else if (is_metadata(path))
        answer_metadata(app, req);
    else if (slice_is_equal(path, SLICE_LIT("/healthz")))
        probe_answer(req, 200, SLICE_LIT("{\"status\":\"ok\"}\n"));
    else if (slice_is_equal(path, SLICE_LIT("/readyz")))
        answer_ready(app, req);
    else if (slice_is_equal(path, SLICE_LIT("/metrics")))
        probe_answer_metrics(req, app->observe.metrics);
    else
        probe_answer(req, 404, SLICE_LIT("{\"error\":\"the MCP endpoint is " ROUTES_MCP "\"}\n"));
}
