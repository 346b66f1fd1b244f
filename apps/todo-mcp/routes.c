#include "routes.h"

#include "app.h"
#include "base/http_server.h"
#include "db/pool.h"

static void answer(struct http_request *req, int status, struct slice json)
{
    static const struct http_header headers[] = {
        {{"Content-Type", 12}, {"application/json", 16}},
        {{"Cache-Control", 13}, {"no-store", 8}},
    };
    http_respond(req, status, headers, 2, json);
}

static void answer_ready(struct app *app, struct http_request *req)
{
    if (!app->is_stopping && db_pool_is_ready(app->pool))
        answer(req, 200, SLICE_LIT("{\"status\":\"ready\"}\n"));
    else
        answer(req, 503,
               app->is_stopping ? SLICE_LIT("{\"status\":\"stopping\"}\n")
                                : SLICE_LIT("{\"status\":\"no database\"}\n"));
}

void routes_handle(void *ctx, struct http_request *req)
{
    struct app *app = ctx;
    struct slice path = http_request_path(req);
    if (slice_is_equal(path, SLICE_LIT(ROUTES_MCP)))
        mcp_http_handle(app->mcp_http, req);
    else if (slice_is_equal(path, SLICE_LIT("/healthz")))
        answer(req, 200, SLICE_LIT("{\"status\":\"ok\"}\n"));
    else if (slice_is_equal(path, SLICE_LIT("/readyz")))
        answer_ready(app, req);
    else
        answer(req, 404, SLICE_LIT("{\"error\":\"the MCP endpoint is " ROUTES_MCP "\"}\n"));
}
