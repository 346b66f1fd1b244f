#include "shared/probe.h"

#include "base/buf.h"
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

void probe_answer_metrics(struct http_request *req, const struct metrics *m)
{
    struct buf b;
    buf_init(&b, METRICS_BYTES_MAX);
    metrics_write(m, &b);
    if (buf_status(&b))
        probe_answer(req, 503, SLICE_LIT("{\"error\":\"out of memory\"}\n"));
    else
        answer(req, 200, METRICS_MIME, buf_slice(&b));
    buf_deinit(&b);
}
