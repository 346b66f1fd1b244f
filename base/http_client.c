/* libcurl on libuv. curl says through two callbacks what it waits for, and we tell it what came:
 *
 *   http_client_start -> curl_multi_add_handle -> on_curl_timer, on_curl_socket -> uv
 *   uv -> on_timer, on_poll -> curl_multi_socket_action -> reap -> deliver -> the caller's fn
 *   http_client_cancel -> out of curl, end_call -> on_deferred -> deliver -> the caller's fn
 *
 * curl must not be called from inside its callbacks: those only move uv's handles. */
#include "base/http_client.h"

#include <assert.h>
#include <curl/curl.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/http_server.h"
#include "base/mem.h"

#define TIMEOUT_MS      30000
#define MAX_BYTES       ((uint32_t)1 << 20)
#define REDIRECTS_MAX   5
#define SPARE_EASY_MAX  16
#define HEADER_LINE_MAX 16384

const struct http_client_options http_client_options_default = {.calls_max = 1024,
                                                                .connections_per_host = 16};

struct http_call {
    struct http_call *prev, *next; /* in client.active or client.ended */
    struct http_client *client;
    CURL *easy;
    struct curl_slist *headers;
    struct buf body; /* of the answer */
    http_client_fn fn;
    void *ctx;
    int status;        /* once ended */
    bool has_ended;    /* is in client.ended */
    struct error *err; /* NULL, or `error`, once ended */
    struct error error;
    char curl_text[CURL_ERROR_SIZE];
    size_t sent_len;
    char sent[]; /* the request's body */
};

struct call_list {
    struct http_call *first, *last;
};

struct http_client {
    uv_loop_t *loop;
    struct http_client_options options;
    CURLM *multi;
    uv_timer_t timer;    /* curl's */
    uv_timer_t deferred; /* delivers what was cancelled */
    struct call_list active, ended;
    uint32_t call_count;
    CURL *spare[SPARE_EASY_MAX];
    uint32_t spare_count;
    uint32_t handles; /* uv's, not closed yet */
    bool is_delivering;
    bool is_closing;
    bool is_gone; /* curl's part is cleaned up */
    http_client_closed_fn closed;
    void *closed_ctx;
};

struct http_poll {
    uv_poll_t handle;
    struct http_client *client;
    curl_socket_t fd;
};

/* ---- the lists ---- */

static void list_append(struct call_list *list, struct http_call *call)
{
    call->prev = list->last;
    call->next = NULL;
    if (list->last)
        list->last->next = call;
    else
        list->first = call;
    list->last = call;
}

static void list_remove(struct call_list *list, struct http_call *call)
{
    if (call->prev)
        call->prev->next = call->next;
    else
        list->first = call->next;
    if (call->next)
        call->next->prev = call->prev;
    else
        list->last = call->prev;
}

/* ---- the end of a call ---- */

static void keep_easy(struct http_client *c, CURL *easy)
{
    if (easy && c->spare_count < SPARE_EASY_MAX) {
        curl_easy_reset(easy);
        c->spare[c->spare_count++] = easy;
    } else if (easy) {
        curl_easy_cleanup(easy);
    }
}

static void call_free(struct http_call *call)
{
    keep_easy(call->client, call->easy);
    curl_slist_free_all(call->headers);
    buf_deinit(&call->body);
    mem_free(call);
}

/* What the caller learns of curl's code. */
static int fail_code(struct http_call *call, CURLcode code, const char **text)
{
    *text = call->curl_text[0] ? call->curl_text : curl_easy_strerror(code);
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

/* Out of curl, into the list of what is to be told. */
static void end_call(struct http_call *call, int status, const char *text)
{
    struct http_client *c = call->client;
    curl_multi_remove_handle(c->multi, call->easy);
    list_remove(&c->active, call);
    list_append(&c->ended, call);
    call->has_ended = true;
    call->status = status;
    if (status) {
        error_set(&call->error, status, NULL, "%s", text);
        call->err = &call->error;
    }
}

static void reap(struct http_client *c)
{
    int left = 0;
    for (CURLMsg *msg = curl_multi_info_read(c->multi, &left); msg;
         msg = curl_multi_info_read(c->multi, &left)) {
        struct http_call *call = NULL;
        const char *text = NULL;
        CURLcode code = msg->data.result; /* `msg` dies with the removal */
        if (msg->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, (char **)&call);
        int status = code == CURLE_OK ? 0 : fail_code(call, code, &text);
        end_call(call, status, text);
    }
}

static void tell(struct http_call *call)
{
    long http_status = 0;
    if (call->status) {
        call->fn(call->ctx, call->status, NULL, call->err);
        return;
    }
    curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &http_status);
    struct http_client_response res = {
        .status = (int)http_status, .body = buf_slice(&call->body), .call = call};
    call->fn(call->ctx, 0, &res, NULL);
}

static void finish_close(struct http_client *c);

/* A callback may start and cancel calls and close the client. */
static void deliver(struct http_client *c)
{
    if (c->is_delivering)
        return;
    c->is_delivering = true;
    while (c->ended.first) {
        struct http_call *call = c->ended.first;
        list_remove(&c->ended, call);
        tell(call);
        c->call_count--;
        call_free(call);
    }
    c->is_delivering = false;
    if (c->is_closing)
        finish_close(c);
}

static void on_deferred(uv_timer_t *timer)
{
    deliver(timer->data);
}

static void cancel(struct http_call *call)
{
    if (!call->has_ended)
        end_call(call, UV_ECANCELED, "the request was cancelled");
}

void http_client_cancel(struct http_call *call)
{
    cancel(call);
    uv_timer_start(&call->client->deferred, on_deferred, 0, 0);
}

/* ---- uv -> curl ---- */

static void drive(struct http_client *c, curl_socket_t fd, int flags)
{
    int running = 0;
    curl_multi_socket_action(c->multi, fd, flags, &running);
    reap(c);
    deliver(c);
}

static void on_timer(uv_timer_t *timer)
{
    drive(timer->data, CURL_SOCKET_TIMEOUT, 0);
}

static void on_poll(uv_poll_t *handle, int status, int events)
{
    struct http_poll *poll = handle->data;
    int flags = status < 0 ? CURL_CSELECT_ERR : 0;
    if (events & UV_READABLE)
        flags |= CURL_CSELECT_IN;
    if (events & UV_WRITABLE)
        flags |= CURL_CSELECT_OUT;
    drive(poll->client, poll->fd, flags);
}

/* ---- curl -> uv ---- */

static int on_curl_timer(CURLM *multi, long timeout_ms, void *ctx)
{
    struct http_client *c = ctx;
    (void)multi;
    if (timeout_ms < 0)
        uv_timer_stop(&c->timer);
    else
        uv_timer_start(&c->timer, on_timer, (uint64_t)timeout_ms, 0);
    return 0;
}

static void try_free(struct http_client *c)
{
    if (!c->is_gone || c->handles > 0)
        return;
    http_client_closed_fn closed = c->closed;
    void *ctx = c->closed_ctx;
    mem_free(c);
    curl_global_cleanup();
    closed(ctx);
}

static void on_poll_closed(uv_handle_t *handle)
{
    struct http_poll *poll = handle->data;
    struct http_client *c = poll->client;
    mem_free(poll);
    c->handles--;
    try_free(c);
}

static struct http_poll *poll_new(struct http_client *c, curl_socket_t fd)
{
    struct http_poll *poll = mem_calloc(1, sizeof(*poll));
    if (!poll || uv_poll_init_socket(c->loop, &poll->handle, fd)) {
        mem_free(poll);
        return NULL;
    }
    poll->handle.data = poll;
    poll->client = c;
    poll->fd = fd;
    c->handles++;
    curl_multi_assign(c->multi, fd, poll);
    return poll;
}

/* An error told to curl from here would end all calls for ever. A socket that cannot be watched for
 * want of memory is left alone instead, and its call ends by its timeout. */
static int on_curl_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *socket_ctx)
{
    struct http_client *c = ctx;
    struct http_poll *poll = socket_ctx;
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (poll)
            uv_close((uv_handle_t *)&poll->handle, on_poll_closed);
        return 0;
    }
    int events = (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
    if (!poll)
        poll = poll_new(c, fd);
    if (poll)
        uv_poll_start(&poll->handle, events, on_poll);
    return 0;
}

static size_t on_curl_body(char *bytes, size_t size, size_t count, void *ctx)
{
    struct http_call *call = ctx;
    buf_append(&call->body, bytes, size * count);
    return buf_status(&call->body) ? 0 : size * count;
}

/* ---- the start of a call ---- */

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
    int status = add_line(call, "Expect:"); /* no wait for 100 Continue */
    for (size_t i = 0; i < req->header_count && !status; i++)
        status = add_header(call, &req->headers[i]);
    if (!status && curl_easy_setopt(call->easy, CURLOPT_HTTPHEADER, call->headers))
        status = BASE_ENOMEM;
    return status;
}

static bool set_method(struct http_call *call, const struct http_client_request *req)
{
    CURL *easy = call->easy;
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
    CURL *easy = call->easy;
    long timeout_ms = req->timeout_ms ? (long)req->timeout_ms : TIMEOUT_MS;
    return curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, timeout_ms) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, req->follows_redirects ? 1L : 0L) ==
               CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_MAXREDIRS, (long)REDIRECTS_MAX) == CURLE_OK &&
           (!req->is_direct || curl_easy_setopt(easy, CURLOPT_NOPROXY, "*") == CURLE_OK);
}

static bool set_options(struct http_call *call, const struct http_client_request *req)
{
    const struct http_client_options *o = &call->client->options;
    CURL *easy = call->easy;
    return curl_easy_setopt(easy, CURLOPT_URL, req->url) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PRIVATE, call) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->curl_text) == CURLE_OK &&
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
    call->easy = c->spare_count > 0 ? c->spare[--c->spare_count] : curl_easy_init();
    return call;
}

int http_client_start(struct http_client *c, const struct http_client_request *req,
                      http_client_fn fn, void *ctx, struct http_call **out, struct error *err)
{
    if (c->is_closing)
        return error_set(err, BASE_ECLOSED, NULL, "the HTTP client is closed");
    if (c->call_count >= c->options.calls_max)
        return error_set(err, BASE_ELIMIT, NULL, "too many HTTP calls are in flight");
    struct http_call *call = call_new(c, req);
    if (!call)
        return error_set(err, BASE_ENOMEM, NULL, "out of memory");
    call->fn = fn;
    call->ctx = ctx;
    int status = call->easy ? set_headers(call, req) : BASE_ENOMEM;
    if (!status && (!set_options(call, req) || curl_multi_add_handle(c->multi, call->easy)))
        status = BASE_ENOMEM;
    if (status) {
        call_free(call);
        return error_set(err, status, NULL,
                         status == BASE_EINVAL ? "a header has a line break" : "out of memory");
    }
    list_append(&c->active, call);
    c->call_count++;
    if (out)
        *out = call;
    return 0;
}

struct slice http_client_header(const struct http_client_response *res, const char *name)
{
    struct curl_header *header;
    const struct http_call *call = res->call;
    if (curl_easy_header(call->easy, name, 0, CURLH_HEADER, -1, &header) != CURLHE_OK)
        return SLICE_EMPTY;
    return slice_from_cstr(header->value);
}

/* ---- life ---- */

static bool multi_init(struct http_client *c)
{
    c->multi = curl_multi_init();
    return c->multi && !curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, on_curl_socket) &&
           !curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c) &&
           !curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, on_curl_timer) &&
           !curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c) &&
           !curl_multi_setopt(c->multi, CURLMOPT_MAX_HOST_CONNECTIONS,
                              (long)c->options.connections_per_host);
}

int http_client_new(uv_loop_t *loop, const struct http_client_options *options,
                    struct http_client **out)
{
    struct http_client *c = mem_calloc(1, sizeof(*c));
    if (!c)
        return BASE_ENOMEM;
    c->loop = loop;
    c->options = *options;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        mem_free(c);
        return BASE_ENOMEM;
    }
    if (!multi_init(c)) {
        curl_multi_cleanup(c->multi);
        curl_global_cleanup();
        mem_free(c);
        return BASE_ENOMEM;
    }
    uv_timer_init(loop, &c->timer);
    uv_timer_init(loop, &c->deferred);
    c->timer.data = c;
    c->deferred.data = c;
    c->handles = 2;
    *out = c;
    return 0;
}

static void on_own_closed(uv_handle_t *handle)
{
    struct http_client *c = handle->data;
    c->handles--;
    try_free(c);
}

/* All calls were told. Cleaning up curl closes its idle connections and may move our handles. */
static void finish_close(struct http_client *c)
{
    assert(c->call_count == 0 && !c->is_gone);
    while (c->spare_count > 0)
        curl_easy_cleanup(c->spare[--c->spare_count]);
    curl_multi_cleanup(c->multi);
    c->is_gone = true;
    uv_close((uv_handle_t *)&c->timer, on_own_closed);
    uv_close((uv_handle_t *)&c->deferred, on_own_closed);
}

void http_client_close(struct http_client *c, http_client_closed_fn closed, void *ctx)
{
    c->is_closing = true;
    c->closed = closed;
    c->closed_ctx = ctx;
    while (c->active.first)
        cancel(c->active.first);
    uv_timer_start(&c->deferred, on_deferred, 0, 0);
}
