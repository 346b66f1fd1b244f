/* What the two sides tell each other about themselves: server/discover, initialize, capabilities.
 * Spec: server/discover and basic/versioning of 2026-07-28; basic/lifecycle of the others. */
#include "base/error.h"
#include "mcp/server_int.h"
#include "mcp/subscribe_int.h"

/* ---- the client's ---- */

static uint32_t elicitation_of(const cJSON *capability)
{
    bool has_form = cJSON_IsObject(json_get(capability, "form"));
    bool has_url = cJSON_IsObject(json_get(capability, "url"));
    if (!cJSON_IsObject(capability))
        return 0;
    /* An empty object means forms, as it did before there were modes. */
    return (has_form || !has_url ? MCP_CAN_ELICIT : 0) | (has_url ? MCP_CAN_ELICIT_URL : 0);
}

uint32_t capabilities_parse(const cJSON *capabilities)
{
    uint32_t can = elicitation_of(json_get(capabilities, "elicitation"));
    if (cJSON_IsObject(json_get(capabilities, "sampling")))
        can |= MCP_CAN_SAMPLE;
    if (cJSON_IsObject(json_get(capabilities, "roots")))
        can |= MCP_CAN_LIST_ROOTS;
    if (cJSON_IsObject(json_get(json_get(capabilities, "extensions"), MCP_TASKS_EXTENSION)))
        can |= MCP_CAN_TASKS;
    return can;
}

/* ---- ours ---- */

static void write_capability(struct json_writer *w, const char *name, const char *first,
                             const char *second)
{
    json_key(w, name);
    json_begin_object(w);
    if (first)
        json_key_bool(w, first, true);
    if (second)
        json_key_bool(w, second, true);
    json_end_object(w);
}

static void write_capabilities(struct json_writer *w, const struct exchange *x)
{
    const struct mcp_server *s = x->rx->server;
    json_key(w, "capabilities");
    json_begin_object(w);
    if (s->tools.last_ordinal > 0)
        write_capability(w, "tools", "listChanged", NULL);
    if (s->resources.last_ordinal + s->templates.last_ordinal > 0)
        write_capability(w, "resources", "subscribe", "listChanged");
    if (s->prompts.last_ordinal > 0)
        write_capability(w, "prompts", "listChanged", NULL);
    if (s->completer_count > 0)
        write_capability(w, "completions", NULL, NULL);
    if (s->info.logs)
        write_capability(w, "logging", NULL, NULL);
    if (s->tasking_count > 0 && x->revision >= MCP_2026_07_28) {
        json_key(w, "extensions");
        json_begin_object(w);
        write_capability(w, MCP_TASKS_EXTENSION, NULL, NULL);
        json_end_object(w);
    }
    json_end_object(w);
}

void write_supported_versions(struct json_writer *w, const char *key)
{
    json_key(w, key);
    json_begin_array(w);
    for (int i = MCP_REVISIONS - 1; i >= 0; i--)
        json_string(w, mcp_revision_name((enum mcp_revision)i));
    json_end_array(w);
}

static void write_instructions(struct json_writer *w, const struct mcp_server *s)
{
    if (s->info.instructions)
        json_key_string(w, "instructions", s->info.instructions);
}

void method_discover(struct exchange *x)
{
    const struct mcp_server *s = x->rx->server;
    struct buf b;
    struct json_writer w;
    buf_init(&b, MCP_ANSWER_BYTES_MAX);
    json_writer_init(&w, &b);
    result_begin(&w, s, x->message->id, x->revision, "complete");
    write_supported_versions(&w, "supportedVersions");
    write_capabilities(&w, x);
    write_instructions(&w, s);
    write_cache_hints(&w, x, s->info.list_ttl_ms, true);
    result_end(&w);
    finish_with(&b, 200, x->out);
}

static void answer_initialize(struct exchange *x)
{
    const struct mcp_server *s = x->rx->server;
    struct buf b;
    struct json_writer w;
    buf_init(&b, MCP_ANSWER_BYTES_MAX);
    json_writer_init(&w, &b);
    result_begin(&w, s, x->message->id, x->revision, "complete");
    json_key_string(&w, "protocolVersion", mcp_revision_name(x->revision));
    write_capabilities(&w, x);
    json_key(&w, "serverInfo");
    json_raw(&w, buf_slice(&s->identity_json));
    write_instructions(&w, s);
    result_end(&w);
    finish_with(&b, 200, x->out);
}

/* The version that the client asked for where we have it, else our newest with a handshake. */
void method_initialize(struct exchange *x)
{
    struct mcp_peer *peer = x->rx->peer;
    const char *wanted = json_get_string(x->message->params, "protocolVersion");
    if (!wanted || peer->is_initialized) {
        finish_error(x->rx, x->message->id, true, wanted ? MCP_INVALID_REQUEST : MCP_INVALID_PARAMS,
                     wanted ? "initialize was answered already"
                            : "params.protocolVersion must be a string",
                     wanted ? 400 : 200, x->out);
        return;
    }
    if (!mcp_revision_parse(wanted, &x->revision) || x->revision > MCP_2025_11_25)
        x->revision = MCP_2025_11_25;
    peer->revision = x->revision;
    peer->client_capabilities = capabilities_parse(json_get(x->message->params, "capabilities"));
    peer->is_initialized = true;
    subscriber_join_peer(peer);
    answer_initialize(x);
}

void method_ping(struct exchange *x)
{
    exchange_acknowledge(x);
}

/* ---- logging ---- */

static const char *const level_names[] = {"emergency", "alert",  "critical", "error",
                                          "warning",   "notice", "info",     "debug"};

const char *log_level_name(enum mcp_log_level level)
{
    return level_names[level];
}

bool log_level_from_name(const char *name, enum mcp_log_level *out)
{
    for (size_t i = 0; name && i < sizeof(level_names) / sizeof(*level_names); i++) {
        if (strcmp(name, level_names[i]) == 0) {
            *out = (enum mcp_log_level)i;
            return true;
        }
    }
    return false;
}

void method_set_level(struct exchange *x)
{
    struct mcp_peer *peer = x->rx->peer;
    enum mcp_log_level level;
    if (!log_level_from_name(json_get_string(x->message->params, "level"), &level)) {
        exchange_refuse(x, MCP_INVALID_PARAMS,
                        "params.level must be one of debug, info, notice, warning, error, "
                        "critical, alert, emergency");
        return;
    }
    peer->log_level = level;
    peer->has_log_level = true;
    exchange_acknowledge(x);
}
