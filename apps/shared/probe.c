#include "shared/probe.h"

#include "base/buf.h"
#include "base/http_host.h"
#include "base/http_server.h"
#include "base/metrics.h"

#define METRICS_BYTES_MAX (4u << 20)

static void answer(struct http_request *req, int status, const char *type, struct slice body)
{
    const struct http_header headers[] = {
        {{"Content-Type", 12}, slice_from_cstr(type)},
        {{"Cache-Control", 13}, {"no-store", 8}},
    };
    http_respond(req, status, headers, 2, body);
}

void probe_answer(struct http_request *req, int status, struct slice json)
{
    answer(req, status, "application/json", json);
}

/* A page in a browser of this machine, by a name of its own that resolves here (DNS rebinding). */
static bool is_of_page(const struct http_request *req)
{
    struct slice host = http_request_header(req, "Host");
    return http_request_is_loopback(req) && host.ptr && !http_host_is_fixed(host);
}

void probe_answer_metrics(struct http_request *req, const struct metrics *m)
{
    struct buf b;
    if (is_of_page(req)) {
        probe_answer(
            req, 403,
            SLICE_LIT("{\"error\":\"from this machine ask at localhost or at an address\"}\n"));
        return;
    }
    buf_init(&b, METRICS_BYTES_MAX);
    metrics_write(m, &b);
    if (buf_status(&b))
        probe_answer(req, 503, SLICE_LIT("{\"error\":\"out of memory\"}\n"));
    else
        answer(req, 200, METRICS_MIME, buf_slice(&b));
    buf_deinit(&b);
}
