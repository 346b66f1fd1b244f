#pragma once
/* mcp/stdio: the stdio transport: one JSON-RPC message a line, both ways.
 * Spec: basic/transports/stdio. Nothing but protocol is written to the output.
 * Limits: a line of `line_bytes` (1 MiB; longer: a parse error answer and the rest of the line is
 * skipped), `in_flight` requests (64; reading stops past it: back pressure).
 * End of input: requests in flight are answered, then `ended`. A broken output: `ended` at once. */
#include <stdint.h>
#include <uv.h>

struct error;
struct log;
struct mcp_identity;
struct mcp_server;
struct mcp_stdio;

struct mcp_stdio_options {
    int in_fd, out_fd;   /* borrowed; pipes, sockets, files or a terminal */
    uint32_t line_bytes; /* 1 MiB */
    uint32_t in_flight;  /* 64 */
};
typedef void (*mcp_stdio_ended_fn)(void *ctx);

/* `identity` is copied, its subject borrowed. */
__attribute__((warn_unused_result)) int
mcp_stdio_open(uv_loop_t *loop, struct mcp_server *server, const struct mcp_identity *identity,
               const struct mcp_stdio_options *options, const struct log *log,
               mcp_stdio_ended_fn ended, void *ctx, struct mcp_stdio **out, struct error *err);
/* Stops reading; answers what is in flight for at most `drain_ms`; then `ended`, then frees itself.
 * Must be called once, also after `ended` came by itself (then it only frees, asynchronously). */
void mcp_stdio_close(struct mcp_stdio *t, uint32_t drain_ms);
