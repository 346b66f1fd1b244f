/* JSON text -> one classified message. JSON-RPC 2.0; ids as MCP has them: a string or an integer,
 * never null. Spec: basic/index#messages. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "mcp/peer.h"

/* It is kept, and written, as long as what it names lasts: a stream, say. */
#define ID_BYTES_MAX 1024
#define META_VERSION "io.modelcontextprotocol/protocolVersion"

static void refuse(struct mcp_message *m, int code, const char *text)
{
    m->kind = MCP_INVALID;
    m->error_code = code;
    snprintf(m->error_text, sizeof(m->error_text), "%s", text);
}

static bool is_valid_id(const cJSON *id)
{
    int64_t number;
    if (cJSON_IsString(id))
        return strlen(id->valuestring) <= ID_BYTES_MAX;
    return json_as_int(id, &number);
}

/* There are clients that write the arguments of a call without any as null: Dapr's does. */
static void drop_null_arguments(cJSON *params)
{
    if (cJSON_IsNull(json_get(params, "arguments")))
        cJSON_DeleteItemFromObjectCaseSensitive(params, "arguments");
}

static void read_params(struct mcp_message *m)
{
    cJSON *params = cJSON_GetObjectItemCaseSensitive(m->root, "params");
    if (!params)
        return;
    if (!cJSON_IsObject(params)) {
        refuse(m, MCP_INVALID_REQUEST, "params must be an object");
        return;
    }
    drop_null_arguments(params);
    m->params = params;
    const cJSON *meta = json_get(params, "_meta");
    m->meta = cJSON_IsObject(meta) ? meta : NULL;
    m->has_version = json_get(m->meta, META_VERSION) != NULL;
    m->version = json_get_string(m->meta, META_VERSION);
}

static void read_request(struct mcp_message *m, const cJSON *id)
{
    m->method = json_get_string(m->root, "method");
    if (!m->method)
        refuse(m, MCP_INVALID_REQUEST, "method must be a string");
    else if (!id)
        m->kind = MCP_NOTIFICATION;
    else if (!m->id)
        refuse(m, MCP_INVALID_REQUEST, "id must be an integer or a string of at most 1,024 bytes");
    else
        m->kind = MCP_REQUEST;
    if (m->kind != MCP_INVALID)
        read_params(m);
}

void mcp_message_from_tree(struct mcp_message *m, cJSON *take_tree)
{
    *m = (struct mcp_message){.root = take_tree};
    if (cJSON_IsArray(take_tree)) {
        m->kind = MCP_BATCH;
        if (!take_tree->child)
            refuse(m, MCP_INVALID_REQUEST, "an empty batch");
        return;
    }
    if (!cJSON_IsObject(take_tree)) {
        refuse(m, MCP_INVALID_REQUEST, "a message is a JSON object");
        return;
    }
    const cJSON *id = json_get(take_tree, "id");
    m->id = id && is_valid_id(id) ? id : NULL;
    const char *version = json_get_string(take_tree, "jsonrpc");
    if (!version || strcmp(version, "2.0") != 0)
        refuse(m, MCP_INVALID_REQUEST, "jsonrpc must be \"2.0\"");
    else if (json_get(take_tree, "method"))
        read_request(m, id);
    else if (id && (json_get(take_tree, "result") || json_get(take_tree, "error")))
        m->kind = MCP_RESPONSE;
    else
        refuse(m, MCP_INVALID_REQUEST, "method is missing");
}

void mcp_message_parse(struct mcp_message *m, struct slice text)
{
    struct error err = {0};
    cJSON *tree = json_parse(text, &err);
    if (tree) {
        mcp_message_from_tree(m, tree);
        return;
    }
    *m = (struct mcp_message){0};
    refuse(m, err.code == BASE_ENOMEM ? MCP_INTERNAL_ERROR : MCP_PARSE_ERROR, err.text);
}

void mcp_message_deinit(struct mcp_message *m)
{
    cJSON_Delete(m->root);
    m->root = NULL;
}
