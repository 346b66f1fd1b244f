/* mcp_serve: start -> loop -> stop.
 *   stop: server's waiting ends -> transports drain -> signals close -> the loop has nothing left
 */
#include "mcp/serve.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/http_server.h"
#include "base/log.h"
#include "mcp/http.h"
#include "mcp/server.h"
#include "mcp/stdio.h"

#define SERVE_PATH          "/mcp"
#define SERVE_LINE_BYTES    (1u << 20)
#define SERVE_IN_FLIGHT     64
#define SERVE_DRAIN_MS      10000
#define SERVE_SIGNALS_COUNT 2

struct serve {
    uv_loop_t *loop;
    struct mcp_server *server;
    const struct mcp_serve_options *options;
    const struct log *log;
    struct mcp_identity identity;
    struct mcp_http_options http_options;
    struct mcp_http *mcp_http;
    struct http_server *http;
    struct mcp_stdio *stdio;
    uv_signal_t signals[SERVE_SIGNALS_COUNT];
    int open_count; /* transports that are not closed yet */
    bool is_stopping;
};

/* ---- the end ---- */

static void serve_close_signals(struct serve *s)
{
    for (size_t i = 0; i < SERVE_SIGNALS_COUNT; i++)
        uv_close((uv_handle_t *)&s->signals[i], NULL);
}

static void serve_on_closed(void *ctx)
{
    struct serve *s = ctx;
    if (--s->open_count == 0)
        serve_close_signals(s);
}

static uint32_t serve_drain_ms(const struct serve *s)
{
    return s->options->drain_ms ? s->options->drain_ms : SERVE_DRAIN_MS;
}

static void serve_stop(struct serve *s)
{
    if (s->is_stopping)
        return;
    s->is_stopping = true;
    log_info(s->log, "stopping");
    mcp_server_stop(s->server);
    if (s->mcp_http)
        mcp_http_close(s->mcp_http, serve_on_closed, s);
    if (s->http)
        http_server_close(s->http, serve_drain_ms(s), serve_on_closed, s);
    if (s->stdio)
        mcp_stdio_close(s->stdio, serve_drain_ms(s));
}

static void serve_on_signal(uv_signal_t *handle, int number)
{
    (void)number;
    serve_stop(handle->data);
}

/* Comes when the input ends, or after mcp_stdio_close: whichever is first. */
static void serve_on_stdio_ended(void *ctx)
{
    struct serve *s = ctx;
    serve_stop(s);
    serve_on_closed(s);
}

/* ---- the start ---- */

static int serve_start_signals(struct serve *s)
{
    static const int numbers[SERVE_SIGNALS_COUNT] = {SIGTERM, SIGINT};
    int status = 0;
    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < SERVE_SIGNALS_COUNT; i++) {
        uv_signal_init(s->loop, &s->signals[i]);
        s->signals[i].data = s;
        if (!status)
            status = uv_signal_start(&s->signals[i], serve_on_signal, numbers[i]);
    }
    return status;
}

static void serve_on_request(void *ctx, struct http_request *req)
{
    struct serve *s = ctx;
    static const struct http_header json = {{"Content-Type", 12}, {"application/json", 16}};
    if (slice_is_equal(http_request_path(req), SLICE_LIT(SERVE_PATH)))
        mcp_http_handle(s->mcp_http, req);
    else
        http_respond(req, 404, &json, 1,
                     SLICE_LIT("{\"error\":\"the MCP endpoint is " SERVE_PATH "\"}\n"));
}

static bool is_loopback(const char *host)
{
    return strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0;
}

static int serve_start_http(struct serve *s, struct error *err)
{
    const char *host = s->options->host ? s->options->host : "127.0.0.1";
    if (s->options->http)
        s->http_options = *s->options->http;
    if (!s->http_options.identity)
        s->http_options.identity = &s->identity;
    if (!s->http_options.authenticate && !is_loopback(host))
        return error_set(err, BASE_EINVAL, "host", "%s would let anyone in: authenticate callers",
                         host);
    if (mcp_http_new(s->loop, s->server, &s->http_options, s->log, &s->mcp_http))
        return error_set(err, BASE_ENOMEM, NULL, "out of memory");
    s->open_count++;
    int status =
        http_server_new(s->loop, &http_limits_default, s->log, serve_on_request, s, &s->http);
    if (status)
        return error_set(err, status, NULL, "no HTTP server could be made");
    s->open_count++;
    status = http_server_listen(s->http, host, s->options->port, err);
    if (!status)
        log_info(s->log, "listening", log_str("address", host),
                 log_int("port", http_server_port(s->http)), log_str("path", SERVE_PATH));
    return status;
}

static int serve_start_stdio(struct serve *s, struct error *err)
{
    const struct mcp_stdio_options options = {.in_fd = STDIN_FILENO,
                                              .out_fd = STDOUT_FILENO,
                                              .line_bytes = SERVE_LINE_BYTES,
                                              .in_flight = SERVE_IN_FLIGHT};
    int status = mcp_stdio_open(s->loop, s->server, &s->identity, &options, s->log,
                                serve_on_stdio_ended, s, &s->stdio, err);
    if (!status)
        s->open_count++;
    return status;
}

int mcp_serve(uv_loop_t *loop, struct mcp_server *server, const struct mcp_serve_options *options,
              const struct log *log, struct error *err)
{
    static const struct mcp_identity local = {.subject = "local", .scopes = UINT32_MAX};
    struct serve s = {.loop = loop, .server = server, .options = options, .log = log};
    s.identity = options->identity ? *options->identity : local;
    int status = serve_start_signals(&s);
    if (status)
        error_set(err, status, NULL, "no signal handler: %s", uv_strerror(status));
    else
        status = options->is_stdio ? serve_start_stdio(&s, err) : serve_start_http(&s, err);
    if (status) {
        serve_stop(&s);
        if (s.open_count == 0)
            serve_close_signals(&s);
    }
    uv_run(loop, UV_RUN_DEFAULT);
    return status;
}
