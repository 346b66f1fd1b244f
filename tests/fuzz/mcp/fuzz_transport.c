/* Requests to the endpoint of the Streamable HTTP transport, after a byte whose lowest bit says
 * whether answers are streams that can be resumed. A line "~" ends a request: the letter of its
 * method, header lines (a '$' stands for the session that was opened last), an empty line, the
 * body. Each gets an answer that is no failure of ours; at the end no session is left. */
#include <assert.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/http_server.h"
#include "mcp/call.h"
#include "mcp/http.h"
#include "mcp/tool.h"
#include "wire/peer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUESTS_MAX  6
#define ROUNDS_MAX    40
#define ANSWER_BYTES  2048
#define SESSION_BYTES 32

struct fixture {
    uv_loop_t loop;
    struct http_server *http;
    struct mcp_server *server;
    struct mcp_http *transport;
    char session[SESSION_BYTES + 1];
    char answer[ANSWER_BYTES + 1];
    size_t answer_len;
    int closed;
};

static void on_echo(void *ctx, struct mcp_call *call)
{
    (void)ctx;
    mcp_call_progress(call, 1, 2, "half");
    mcp_call_log(call, MCP_LOG_INFO, NULL, SLICE_LIT("{\"a\":1}"));
    mcp_call_text(call, "done");
}

static void on_request(void *ctx, struct http_request *req)
{
    const struct fixture *f = ctx;
    mcp_http_handle(f->transport, req);
}

static void on_closed(void *ctx)
{
    ((struct fixture *)ctx)->closed++;
}

/* ---- the client ---- */

static void write_line(const struct fixture *f, struct buf *out, struct slice line)
{
    for (size_t i = 0; i < line.len; i++) {
        if (line.ptr[i] == '$')
            buf_append_cstr(out, f->session);
        else
            buf_append_char(out, line.ptr[i]);
    }
    buf_append_cstr(out, "\r\n");
}

static void write_request(const struct fixture *f, struct buf *out, struct slice text)
{
    char method = text.len > 0 ? text.ptr[0] : 'p';
    const char *at = text.ptr + (text.len > 0);
    const char *end = text.ptr + text.len;
    buf_append_cstr(out, method == 'g' ? "GET" : method == 'd' ? "DELETE" : "POST");
    buf_append_cstr(out, " /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n");
    while (at < end && *at != '\n') {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        stop = stop ? stop : end;
        write_line(f, out, (struct slice){at, (size_t)(stop - at)});
        at = stop < end ? stop + 1 : end;
    }
    at += at < end;
    buf_printf(out, "Content-Length: %zu\r\n\r\n", (size_t)(end - at));
    buf_append(out, at, (size_t)(end - at));
    assert(!buf_status(out));
}

static void read_session(struct fixture *f)
{
    static const char name[] = "Mcp-Session-Id: ";
    f->answer[f->answer_len] = '\0';
    const char *id = strstr(f->answer, name);
    if (id && strcspn(id + sizeof(name) - 1, "\r") == SESSION_BYTES)
        memcpy(f->session, id + sizeof(name) - 1, SESSION_BYTES);
}

/* A stream may stay open: what came until then is the answer. */
static void talk(struct fixture *f, struct slice request)
{
    int fd = peer_connect(http_server_port(f->http));
    ssize_t count = send(fd, request.ptr, request.len, MSG_NOSIGNAL);
    assert(count == (ssize_t)request.len); /* less than the kernel's buffer */
    f->answer_len = 0;
    count = -1;
    for (int i = 0; i < ROUNDS_MAX && count != 0 && f->answer_len < ANSWER_BYTES; i++) {
        uv_run(&f->loop, f->answer_len == 0 ? UV_RUN_ONCE : UV_RUN_NOWAIT);
        count = recv(fd, f->answer + f->answer_len, ANSWER_BYTES - f->answer_len, MSG_DONTWAIT);
        f->answer_len += count > 0 ? (size_t)count : 0;
    }
    close(fd);
    assert(f->answer_len > 12 && memcmp(f->answer, "HTTP/1.1 ", 9) == 0);
    assert(f->answer[9] == '2' || f->answer[9] == '4');
    read_session(f);
}

/* ---- the server ---- */

static void open_server(struct fixture *f, bool streams_answers)
{
    static const unsigned char key[32] = {7};
    static const struct mcp_server_info info = {
        .name = "fuzz", .version = "1", .logs = true, .seal_key = key};
    static const struct mcp_identity identity = {.user_id = 1, .subject = "f", .scopes = 3};
    static const struct mcp_tool echo = {
        .name = "echo",
        .description = "d",
        .input_schema = "{\"type\":\"object\",\"properties\":{\"region\":{\"type\":\"string\","
                        "\"x-mcp-header\":\"Region\"},\"n\":{\"type\":\"integer\","
                        "\"x-mcp-header\":\"N\"}}}",
        .call = on_echo};
    const struct mcp_http_options options = {.identity = &identity,
                                             .streams_answers = streams_answers};
    int status = uv_loop_init(&f->loop);
    assert(status == 0);
    status = mcp_server_new(&info, NULL, &f->server);
    assert(status == 0);
    status = mcp_server_add_tool(f->server, &echo, NULL);
    assert(status == 0);
    status = http_server_new(&f->loop, &http_limits_default, NULL, on_request, f, &f->http);
    assert(status == 0);
    status = mcp_http_new(&f->loop, f->server, &options, NULL, &f->transport);
    assert(status == 0);
    status = http_server_listen(f->http, "127.0.0.1", 0, NULL);
    assert(status == 0);
}

static void close_server(struct fixture *f)
{
    mcp_server_stop(f->server);
    mcp_http_close(f->transport, on_closed, f);
    http_server_close(f->http, 0, on_closed, f);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    int status = uv_loop_close(&f->loop);
    assert(status == 0 && f->closed == 2);
    struct mcp_server_stats stats;
    mcp_server_stats(f->server, &stats);
    assert(stats.in_flight == 0 && stats.subscribers == 0);
    mcp_server_free(f->server);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fixture f = {.closed = 0};
    if (size == 0)
        return 0;
    open_server(&f, data[0] & 1);
    const char *at = (const char *)data + 1;
    const char *end = (const char *)data + size;
    for (int i = 0; i < REQUESTS_MAX && at < end; i++) {
        struct buf request;
        const char *stop = memmem(at, (size_t)(end - at), "\n~\n", 3);
        buf_init(&request, 1u << 18);
        write_request(&f, &request, (struct slice){at, (size_t)((stop ? stop : end) - at)});
        talk(&f, buf_slice(&request));
        buf_deinit(&request);
        at = stop ? stop + 3 : end;
    }
    close_server(&f);
    return 0;
}
