#pragma once
/* mcp/serve: the rest of a program that is nothing but an MCP server: transport, signals, the end.
 *
 *     uv_loop_t loop;
 *     uv_loop_init(&loop);
 *     mcp_server_new(&info, &log, &server);
 *     mcp_server_add_tool(server, &tool, &err);
 *     mcp_serve(&loop, server, &options, &log, &err);
 *     mcp_server_free(server);
 *     uv_loop_close(&loop);
 *
 * A program that has more to open and to drain does the same steps by itself. */
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct error;
struct log;
struct mcp_http_options;
struct mcp_identity;
struct mcp_server;

struct mcp_serve_options {
    bool is_stdio;                       /* stdin and stdout; else HTTP */
    const struct mcp_identity *identity; /* every caller; NULL: user 0, "local", all scopes */
    const struct mcp_http_options *http; /* authentication, limits; NULL: neither */
    const char *host;                    /* numeric; NULL: 127.0.0.1 */
    uint16_t port;                       /* 0: a free one, which the log's "listening" line names */
    uint32_t drain_ms;                   /* for calls in flight at the end; 0: 10 s */
};

/* Runs the loop until the input ends (stdio) or SIGTERM or SIGINT came, and all has drained. HTTP
 * is served at "/mcp". `log` may be NULL. 0, or UV_E*, BASE_ENOMEM, or BASE_EINVAL for an address
 * that others can reach while no `http->authenticate` tells who calls. */
__attribute__((warn_unused_result)) int mcp_serve(uv_loop_t *loop, struct mcp_server *server,
                                                  const struct mcp_serve_options *options,
                                                  const struct log *log, struct error *err);
