/* A call is a transfer of base/curl_loop: http_client_start -> … -> on_done -> the caller's fn. */
#include "base/http_client.h"

#include <string.h>

#include "base/buf.h"
#include "base/curl_loop_int.h"
#include "base/error.h"
#include "base/http_server.h"
#include "base/mem.h"

#define TIMEOUT_MS      30000
#define MAX_BYTES       ((uint32_t)1 << 20)
#define REDIRECTS_MAX   5
#define HEADER_LINE_MAX 16384
#define EXPECT_FROM     ((size_t)1 << 20) /* from here on curl would wait for 100 Continue */

const struct http_client_options http_client_options_default = {.calls_max = 1024,
                                                                .connections_per_host = 16};

struct http_call {
    struct curl_transfer transfer; /* the first member */
    struct http_client *client;
    struct curl_slist *headers;
    struct buf body; /* of the answer */
    http_client_fn fn;
    void *ctx;
    size_t sent_len;
    char sent[]; /* the request's body */
};

struct http_url {
    CURLU *parts;
};

struct http_client {
    struct curl_loop curl;
    struct http_client_options options;
    http_client_closed_fn closed;
    void *closed_ctx;
};

/* ---- the end of a call ---- */

static void call_free(struct http_call *call)
{
    curl_loop_keep(&call->transfer);
    curl_slist_free_all(call->headers);
    buf_deinit(&call->body);
    mem_free(call);
}

/* What the caller learns of curl's code. */
static int fail_code(struct http_call *call, CURLcode code, const char **text)
{
    *text = call->transfer.text[0] ? call->transfer.text : curl_easy_strerror(code);
    switch ((int)code) {
    case CURLE_WRITE_ERROR:
        *text = buf_status(&call->body) == BASE_ELIMIT ? "the answer is too large" : *text;
        return buf_status(&call->body) ? buf_status(&call->body) : UV_EIO;
    case CURLE_OUT_OF_MEMORY:
        return BASE_ENOMEM;
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
        return BASE_EINVAL;
    case CURLE_OPERATION_TIMEDOUT:
        return UV_ETIMEDOUT;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        return UV_EAI_NONAME;
    case CURLE_COULDNT_CONNECT:
        return UV_ECONNREFUSED;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
        return UV_EPROTO;
    default:
        return UV_EIO;
    }
}

static void tell_failure(struct http_call *call)
{
    struct error err = {0};
    const char *text = "the request was cancelled";
    int status =
        call->transfer.is_cancelled ? UV_ECANCELED : fail_code(call, call->transfer.code, &text);
    error_set(&err, status, NULL, "%s", text);
    call->fn(call->ctx, status, NULL, &err);
}

static void tell_answer(struct http_call *call)
{
    long http_status = 0;
    curl_easy_getinfo(call->transfer.easy, CURLINFO_RESPONSE_CODE, &http_status);
    struct http_client_response res = {
        .status = (int)http_status, .body = buf_slice(&call->body), .call = call};
    call->fn(call->ctx, 0, &res, NULL);
}

static void on_done(struct curl_transfer *transfer)
{
    struct http_call *call = (struct http_call *)transfer;
    if (transfer->is_cancelled || transfer->code != CURLE_OK)
        tell_failure(call);
    else
        tell_answer(call);
    call_free(call);
}

void http_client_cancel(struct http_call *call)
{
    curl_loop_cancel(&call->transfer);
}

/* ---- the start of a call ---- */

static size_t on_curl_body(char *bytes, size_t size, size_t count, void *ctx)
{
    struct http_call *call = ctx;
    buf_append(&call->body, bytes, size * count);
    return buf_status(&call->body) ? 0 : size * count;
}

static bool has_line_break(struct slice s)
{
    return s.len > 0 &&
           (memchr(s.ptr, '\r', s.len) || memchr(s.ptr, '\n', s.len) || memchr(s.ptr, '\0', s.len));
}

static int add_line(struct http_call *call, const char *line)
{
    struct curl_slist *longer = curl_slist_append(call->headers, line);
    if (longer)
        call->headers = longer;
    return longer ? 0 : BASE_ENOMEM;
}

static int add_header(struct http_call *call, const struct http_header *header)
{
    struct buf line;
    if (has_line_break(header->name) || has_line_break(header->value))
        return BASE_EINVAL;
    buf_init(&line, HEADER_LINE_MAX);
    buf_append_slice(&line, header->name);
    /* "Name:" alone would make curl leave the header out; "Name;" sends it empty. */
    buf_append_cstr(&line, header->value.len ? ": " : ";");
    buf_append_slice(&line, header->value);
    int status = buf_status(&line);
    if (!status)
        status = add_line(call, line.ptr);
    buf_deinit(&line);
    return status;
}

static int set_headers(struct http_call *call, const struct http_client_request *req)
{
    int status = req->body.len >= EXPECT_FROM ? add_line(call, "Expect:") : 0;
    for (size_t i = 0; i < req->header_count && !status; i++)
        status = add_header(call, &req->headers[i]);
    if (!status && curl_easy_setopt(call->transfer.easy, CURLOPT_HTTPHEADER, call->headers))
        status = BASE_ENOMEM;
    return status;
}

static bool set_method(struct http_call *call, const struct http_client_request *req)
{
    CURL *easy = call->transfer.easy;
    const char *sent = call->sent;
    bool has_body = req->body.len > 0 || strcmp(req->method, "POST") == 0;
    if (strcmp(req->method, "HEAD") == 0)
        return curl_easy_setopt(easy, CURLOPT_NOBODY, 1L) == CURLE_OK;
    return (!has_body || (curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                                           (curl_off_t)call->sent_len) == CURLE_OK &&
                          curl_easy_setopt(easy, CURLOPT_POSTFIELDS, sent) == CURLE_OK)) &&
           curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, req->method) == CURLE_OK;
}

static bool set_limits(struct http_call *call, const struct http_client_request *req)
{
    CURL *easy = call->transfer.easy;
    return curl_loop_set(&call->transfer, req->timeout_ms ? req->timeout_ms : TIMEOUT_MS) &&
           curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, req->follows_redirects ? 1L : 0L) ==
               CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_MAXREDIRS, (long)REDIRECTS_MAX) == CURLE_OK &&
           (!req->is_direct || curl_easy_setopt(easy, CURLOPT_NOPROXY, "*") == CURLE_OK);
}

static bool set_options(struct http_call *call, const struct http_client_request *req)
{
    const struct http_client_options *o = &call->client->options;
    CURL *easy = call->transfer.easy;
    return curl_easy_setopt(easy, CURLOPT_URL, req->url) == CURLE_OK &&
           (!req->parsed_url ||
            curl_easy_setopt(easy, CURLOPT_CURLU, req->parsed_url->parts) == CURLE_OK) &&
           curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_curl_body) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_WRITEDATA, call) == CURLE_OK &&
           (!o->user_agent ||
            curl_easy_setopt(easy, CURLOPT_USERAGENT, o->user_agent) == CURLE_OK) &&
           (!o->ca_file || curl_easy_setopt(easy, CURLOPT_CAINFO, o->ca_file) == CURLE_OK) &&
           set_limits(call, req) && set_method(call, req);
}

static struct http_call *call_new(struct http_client *c, const struct http_client_request *req)
{
    struct http_call *call = mem_calloc(1, sizeof(*call) + req->body.len + 1);
    if (!call)
        return NULL;
    call->client = c;
    buf_init(&call->body, req->max_bytes ? req->max_bytes : MAX_BYTES);
    call->sent_len = req->body.len;
    if (req->body.len > 0)
        memcpy(call->sent, req->body.ptr, req->body.len);
    (void)curl_loop_take(&c->curl, &call->transfer); /* http_client_start looks */
    return call;
}

int http_client_start(struct http_client *c, const struct http_client_request *req,
                      http_client_fn fn, void *ctx, struct http_call **out, struct error *err)
{
    if (c->curl.is_closing)
        return error_set(err, BASE_ECLOSED, NULL, "the HTTP client is closed");
    if (c->curl.count >= c->options.calls_max)
        return error_set(err, BASE_ELIMIT, NULL, "too many HTTP calls are in flight");
    struct http_call *call = call_new(c, req);
    if (!call)
        return error_set(err, BASE_ENOMEM, NULL, "out of memory");
    call->fn = fn;
    call->ctx = ctx;
    int status = call->transfer.easy ? set_headers(call, req) : BASE_ENOMEM;
    if (!status)
        status = set_options(call, req) ? curl_loop_start(&call->transfer) : BASE_ENOMEM;
    if (status) {
        call_free(call);
        return error_set(err, status, NULL,
                         status == BASE_EINVAL ? "a header has a line break" : "out of memory");
    }
    if (out)
        *out = call;
    return 0;
}

/* ---- URLs ---- */

int http_url_new(const char *text, struct http_url **out)
{
    struct http_url *url = mem_calloc(1, sizeof(*url));
    if (!url)
        return BASE_ENOMEM;
    url->parts = curl_url();
    CURLUcode code =
        url->parts ? curl_url_set(url->parts, CURLUPART_URL, text, 0) : CURLUE_OUT_OF_MEMORY;
    if (code != CURLUE_OK) {
        http_url_free(url);
        return code == CURLUE_OUT_OF_MEMORY ? BASE_ENOMEM : BASE_EINVAL;
    }
    *out = url;
    return 0;
}

void http_url_free(struct http_url *url)
{
    if (url)
        curl_url_cleanup(url->parts);
    mem_free(url);
}

struct slice http_client_header(const struct http_client_response *res, const char *name)
{
    struct curl_header *header;
    const struct http_call *call = res->call;
    if (curl_easy_header(call->transfer.easy, name, 0, CURLH_HEADER, -1, &header) != CURLHE_OK)
        return SLICE_EMPTY;
    return slice_from_cstr(header->value);
}

/* ---- life ---- */

static void on_gone(void *owner)
{
    struct http_client *c = owner;
    http_client_closed_fn closed = c->closed;
    void *ctx = c->closed_ctx;
    mem_free(c);
    closed(ctx);
}

int http_client_new(uv_loop_t *loop, const struct http_client_options *options,
                    struct http_client **out)
{
    struct http_client *c = mem_calloc(1, sizeof(*c));
    if (!c)
        return BASE_ENOMEM;
    c->options = *options;
    int status = curl_loop_init(&c->curl, loop, options->connections_per_host, on_done, on_gone, c);
    if (status)
        mem_free(c);
    else
        *out = c;
    return status;
}

void http_client_close(struct http_client *c, http_client_closed_fn closed, void *ctx)
{
    c->closed = closed;
    c->closed_ctx = ctx;
    curl_loop_close(&c->curl);
}
