#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "base/error.h"
#include "base/json.h"
#include "base/log.h"
#include "mcp/call.h"
#include "mcp/serve.h"
#include "mcp/tool.h"

/* The arguments fit the input schema: nobody else gets here. */
static void hello(void *ctx, struct mcp_call *call)
{
    char text[256];
    (void)ctx;
    snprintf(text, sizeof(text), "Hello, %s!", json_get_string(mcp_call_arguments(call), "name"));
    mcp_call_text(call, text);
}

int main(int argc, char **argv)
{
    const struct mcp_server_info info = {.name = "hello", .version = "1.0"};
    const struct mcp_tool tool = {
        .name = "hello",
        .description = "Greets somebody",
        .input_schema = "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\"}},"
                        "\"required\":[\"name\"]}",
        .read_only = true,
        .call = hello,
    };
    const struct mcp_serve_options options = {.is_stdio =
                                                  argc > 1 && strcmp(argv[1], "--stdio") == 0};
    struct mcp_server *server = NULL;
    struct error err = {0};
    struct log log;
    log_init(&log, STDERR_FILENO, LOG_INFO, LOG_FORMAT_AUTO);
    int status = mcp_server_new(&info, &log, &server);
    if (!status)
        status = mcp_server_add_tool(server, &tool, &err);
    if (!status)
        status = mcp_serve(uv_default_loop(), server, &options, &log, &err);
    if (status)
        fprintf(stderr, "hello: %s\n", err.text);
    mcp_server_free(server);
    return uv_loop_close(uv_default_loop()) || status ? 1 : 0;
}
