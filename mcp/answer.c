/* What goes out: JSON-RPC results and errors. */
#include "base/error.h"
#include "mcp/server_int.h"

static void write_id(struct json_writer *w, const cJSON *id, bool with_null_id)
{
    if (!id && !with_null_id)
        return;
    json_key(w, "id");
    json_tree(w, id ? id : &(const cJSON){.type = cJSON_NULL});
}

void error_begin(struct json_writer *w, struct buf *b, const cJSON *id, bool with_null_id, int code,
                 const char *message)
{
    json_writer_init(w, b);
    json_begin_object(w);
    json_key_string(w, "jsonrpc", "2.0");
    write_id(w, id, with_null_id);
    json_key(w, "error");
    json_begin_object(w);
    json_key_int(w, "code", code);
    json_key_string(w, "message", message);
}

void error_end(struct json_writer *w)
{
    json_end_object(w);
    json_end_object(w);
}

void mcp_render_error(struct buf *b, const cJSON *id, bool with_null_id, int code,
                      const char *message)
{
    struct json_writer w;
    error_begin(&w, b, id, with_null_id, code, message);
    error_end(&w);
}

/* With no memory even for the answer comes an error that needs none. */
void finish_with(struct buf *b, int http_status, struct mcp_out *out)
{
    static const char no_memory[] = "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32603,"
                                    "\"message\":\"out of memory\"}}";
    if (buf_status(b))
        out->finish(out, SLICE_LIT(no_memory), 500);
    else
        out->finish(out, buf_slice(b), http_status);
    buf_deinit(b);
}

void finish_error(const struct mcp_request_context *rx, const cJSON *id, bool with_null_id,
                  int code, const char *message, int http_status, struct mcp_out *out)
{
    struct buf b;
    buf_init(&b, MCP_ANSWER_BYTES_MAX);
    rx->server->stats.errors++;
    mcp_render_error(&b, id, with_null_id, code, message);
    finish_with(&b, http_status, out);
}

void exchange_refuse(struct exchange *x, int code, const char *message)
{
    finish_error(x->rx, x->message->id, true, code, message, 200, x->out);
}

void write_resource_not_found(struct buf *b, const cJSON *id, enum mcp_revision revision,
                              const char *uri)
{
    struct json_writer w;
    bool is_stateless = revision >= MCP_2026_07_28;
    error_begin(&w, b, id, true, is_stateless ? MCP_INVALID_PARAMS : MCP_RESOURCE_NOT_FOUND,
                "Resource not found");
    json_key(&w, "data");
    json_begin_object(&w);
    json_key_string(&w, "uri", uri);
    json_end_object(&w);
    error_end(&w);
}

void result_begin(struct json_writer *w, const struct mcp_server *s, const cJSON *id,
                  enum mcp_revision revision, const char *type)
{
    json_begin_object(w);
    json_key_string(w, "jsonrpc", "2.0");
    write_id(w, id, true);
    json_key(w, "result");
    json_begin_object(w);
    if (revision < MCP_2026_07_28)
        return;
    json_key_string(w, "resultType", type);
    json_key(w, "_meta");
    json_begin_object(w);
    json_key(w, META_SERVER_INFO);
    json_raw(w, buf_slice(&s->identity_json));
    json_end_object(w);
}

void result_end(struct json_writer *w)
{
    json_end_object(w);
    json_end_object(w);
}

void exchange_acknowledge(struct exchange *x)
{
    struct buf b;
    struct json_writer w;
    buf_init(&b, MCP_ANSWER_BYTES_MAX);
    json_writer_init(&w, &b);
    result_begin(&w, x->rx->server, x->message->id, x->revision, "complete");
    result_end(&w);
    finish_with(&b, 200, x->out);
}

void write_cache_hints(struct json_writer *w, const struct exchange *x, uint32_t ttl_ms,
                       bool is_public)
{
    if (x->revision < MCP_2026_07_28)
        return;
    json_key_int(w, "ttlMs", ttl_ms);
    json_key_string(w, "cacheScope", is_public ? "public" : "private");
}

/* ---- what the client lacks ---- */

static void write_empty(struct json_writer *w, const char *key)
{
    json_key(w, key);
    json_begin_object(w);
    json_end_object(w);
}

/* A ClientCapabilities object, as the schema of the error has it. */
void error_data_capabilities(struct json_writer *w, uint32_t missing)
{
    json_key(w, "data");
    json_begin_object(w);
    json_key(w, "requiredCapabilities");
    json_begin_object(w);
    if (missing & (MCP_CAN_ELICIT | MCP_CAN_ELICIT_URL)) {
        json_key(w, "elicitation");
        json_begin_object(w);
        if (missing & MCP_CAN_ELICIT)
            write_empty(w, "form");
        if (missing & MCP_CAN_ELICIT_URL)
            write_empty(w, "url");
        json_end_object(w);
    }
    if (missing & MCP_CAN_SAMPLE)
        write_empty(w, "sampling");
    if (missing & MCP_CAN_LIST_ROOTS)
        write_empty(w, "roots");
    if (missing & MCP_CAN_TASKS) {
        json_key(w, "extensions");
        json_begin_object(w);
        write_empty(w, MCP_TASKS_EXTENSION);
        json_end_object(w);
    }
    json_end_object(w);
    json_end_object(w);
}

void exchange_refuse_capability(struct exchange *x, uint32_t missing)
{
    struct buf b;
    struct json_writer w;
    buf_init(&b, MCP_ANSWER_BYTES_MAX);
    x->rx->server->stats.errors++;
    error_begin(&w, &b, x->message->id, true, MCP_MISSING_CLIENT_CAPABILITY,
                "the client lacks a capability that this request needs");
    error_data_capabilities(&w, missing);
    error_end(&w);
    finish_with(&b, 400, x->out);
}
