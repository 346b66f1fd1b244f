/* message -> method. One table of methods; the revision decides which of them exist.
 *
 *   invalid      -> error (id null in the handshake revisions, none in the stateless one)
 *   batch        -> 2025-03-26 only: each member on its own, one array back (batch.c)
 *   response     -> the answer to a question that a call put to this peer (ask.c)
 *   stateless    -> check _meta -> method
 *   handshake    -> initialize first, then the rest */
#include <assert.h>
#include <stdio.h>

#include "base/error.h"
#include "mcp/call_int.h"
#include "mcp/server_int.h"
#include "mcp/subscribe_int.h"

enum feature { ALWAYS, TOOLS, RESOURCES, PROMPTS, COMPLETIONS, LOGS, TASKS };

static const struct method {
    const char *name;
    enum mcp_revision since, until;
    enum feature feature; /* the method exists where the server has it */
    bool before_initialize;
    void (*run)(struct exchange *x);
} methods[] = {
    {"tools/call", MCP_2025_03_26, MCP_2026_07_28, TOOLS, false, method_tools_call},
    {"tools/list", MCP_2025_03_26, MCP_2026_07_28, TOOLS, false, method_tools_list},
    {"resources/list", MCP_2025_03_26, MCP_2026_07_28, RESOURCES, false, method_resources_list},
    {"resources/read", MCP_2025_03_26, MCP_2026_07_28, RESOURCES, false, method_resources_read},
    {"resources/templates/list", MCP_2025_03_26, MCP_2026_07_28, RESOURCES, false,
     method_templates_list},
    {"resources/subscribe", MCP_2025_03_26, MCP_2025_11_25, RESOURCES, false, method_subscribe},
    {"resources/unsubscribe", MCP_2025_03_26, MCP_2025_11_25, RESOURCES, false, method_unsubscribe},
    {"prompts/list", MCP_2025_03_26, MCP_2026_07_28, PROMPTS, false, method_prompts_list},
    {"prompts/get", MCP_2025_03_26, MCP_2026_07_28, PROMPTS, false, method_prompts_get},
    {"completion/complete", MCP_2025_03_26, MCP_2026_07_28, COMPLETIONS, false, method_complete},
    {"logging/setLevel", MCP_2025_03_26, MCP_2025_11_25, LOGS, false, method_set_level},
    {"subscriptions/listen", MCP_2026_07_28, MCP_2026_07_28, ALWAYS, false, method_listen},
    {"tasks/get", MCP_2026_07_28, MCP_2026_07_28, TASKS, false, method_task_get},
    {"tasks/update", MCP_2026_07_28, MCP_2026_07_28, TASKS, false, method_task_update},
    {"tasks/cancel", MCP_2026_07_28, MCP_2026_07_28, TASKS, false, method_task_cancel},
    {"ping", MCP_2025_03_26, MCP_2025_11_25, ALWAYS, true, method_ping},
    {"initialize", MCP_2025_03_26, MCP_2025_11_25, ALWAYS, true, method_initialize},
    {"server/discover", MCP_2026_07_28, MCP_2026_07_28, ALWAYS, true, method_discover},
};

static bool has_feature(const struct mcp_server *s, enum feature feature)
{
    switch (feature) {
    case ALWAYS:
        return true;
    case TOOLS:
        return s->tools.last_ordinal > 0;
    case RESOURCES:
        return s->resources.last_ordinal + s->templates.last_ordinal > 0;
    case PROMPTS:
        return s->prompts.last_ordinal > 0;
    case COMPLETIONS:
        return s->completer_count > 0;
    case LOGS:
        return s->info.logs;
    case TASKS:
        return s->tasking_count > 0;
    }
    return false;
}

static const struct method *find_method(const struct exchange *x)
{
    const char *name = x->message->method;
    for (size_t i = 0; i < sizeof(methods) / sizeof(*methods); i++) {
        const struct method *m = &methods[i];
        if (strcmp(m->name, name) == 0 && x->revision >= m->since && x->revision <= m->until)
            return has_feature(x->rx->server, m->feature) ? m : NULL;
    }
    return NULL;
}

static void finish_unknown_method(struct exchange *x)
{
    char text[128];
    snprintf(text, sizeof(text), "unknown method \"%.64s\"", x->message->method);
    finish_error(x->rx, x->message->id, true, MCP_METHOD_NOT_FOUND, text,
                 x->revision >= MCP_2026_07_28 ? 404 : 200, x->out);
}

/* ---- the two lifecycles ---- */

static void finish_unsupported_version(struct exchange *x)
{
    struct buf b;
    struct json_writer w;
    buf_init(&b, MCP_ANSWER_BYTES_MAX);
    x->rx->server->stats.errors++;
    error_begin(&w, &b, x->message->id, true, MCP_UNSUPPORTED_VERSION,
                "Unsupported protocol version");
    json_key(&w, "data");
    json_begin_object(&w);
    write_supported_versions(&w, "supported");
    json_key_string(&w, "requested", x->message->version);
    json_end_object(&w);
    error_end(&w);
    finish_with(&b, 400, x->out);
}

/* Spec: basic/index#_meta, per-request protocol fields. */
static bool check_meta(struct exchange *x)
{
    const struct mcp_message *m = x->message;
    const cJSON *capabilities = json_get(m->meta, META_CAPABILITIES);
    enum mcp_revision revision;
    const char *fault = NULL;
    if (!m->meta)
        fault = "params._meta is missing";
    else if (!m->version)
        fault = "params._meta needs io.modelcontextprotocol/protocolVersion, a string";
    else if (!mcp_revision_parse(m->version, &revision) || revision < MCP_2026_07_28) {
        finish_unsupported_version(x);
        return false;
    } else if (!cJSON_IsObject(capabilities))
        fault = "params._meta needs io.modelcontextprotocol/clientCapabilities, an object";
    if (fault)
        finish_error(x->rx, m->id, true, MCP_INVALID_PARAMS, fault, 400, x->out);
    else
        x->client_capabilities = capabilities_parse(capabilities);
    return !fault;
}

static void dispatch_stateless(struct exchange *x)
{
    x->revision = MCP_2026_07_28;
    if (!check_meta(x))
        return;
    const struct method *method = find_method(x);
    if (method)
        method->run(x);
    else
        finish_unknown_method(x);
}

static bool is_id_in_flight(const struct mcp_peer *peer, const cJSON *id)
{
    for (const struct mcp_call *call = peer->calls; call; call = call->next) {
        if (id_is_equal(call->message.id, id))
            return true;
    }
    return false;
}

static void dispatch_handshake(struct exchange *x)
{
    const struct mcp_peer *peer = x->rx->peer;
    x->revision = peer->is_initialized ? peer->revision : MCP_2025_11_25;
    x->client_capabilities = peer->client_capabilities;
    const struct method *method = find_method(x);
    if (is_id_in_flight(peer, x->message->id))
        finish_error(x->rx, x->message->id, true, MCP_INVALID_REQUEST,
                     "a request with this id is in flight", 400, x->out);
    else if (!peer->is_initialized && (!method || !method->before_initialize))
        finish_error(x->rx, x->message->id, true, MCP_INVALID_REQUEST,
                     "send initialize first, or a protocol version in params._meta", 400, x->out);
    else if (!method)
        finish_unknown_method(x);
    else
        method->run(x);
}

static void dispatch_request(struct exchange *x)
{
    x->rx->server->stats.requests++;
    bool is_discover = strcmp(x->message->method, "server/discover") == 0;
    if (x->rx->is_stateless || x->message->has_version || !x->rx->peer || is_discover)
        dispatch_stateless(x);
    else
        dispatch_handshake(x);
}

static void dispatch_notification(struct exchange *x)
{
    const struct mcp_message *m = x->message;
    if (x->rx->peer && strcmp(m->method, "notifications/cancelled") == 0) {
        call_cancel_by_id(x->rx->peer, json_get(m->params, "requestId"));
        listen_cancel_by_id(x->rx->peer, json_get(m->params, "requestId"));
    }
    x->out->finish(x->out, SLICE_EMPTY, 202);
}

static void dispatch_response(struct exchange *x)
{
    if (x->rx->peer)
        ask_answered(x->rx->peer, x->message);
    x->out->finish(x->out, SLICE_EMPTY, 202);
}

void dispatch_one(struct exchange *x)
{
    const struct mcp_message *m = x->message;
    x->out->call = NULL;
    x->out->subscriber = NULL;
    x->out->missing_scopes = 0;
    switch (m->kind) {
    case MCP_REQUEST:
        dispatch_request(x);
        break;
    case MCP_NOTIFICATION:
        dispatch_notification(x);
        break;
    case MCP_RESPONSE:
        dispatch_response(x);
        break;
    case MCP_BATCH:
        assert(false);
        break;
    case MCP_INVALID:
        finish_error(x->rx, m->id, !x->rx->is_stateless, m->error_code, m->error_text,
                     m->error_code == MCP_INTERNAL_ERROR ? 500 : 400, x->out);
        break;
    }
}

/* ---- the door ---- */

void mcp_dispatch(const struct mcp_request_context *rx, struct mcp_message *take_m,
                  struct mcp_out *out)
{
    struct exchange x = {.rx = rx, .message = take_m, .out = out};
    if (take_m->kind == MCP_BATCH)
        dispatch_batch(&x);
    else
        dispatch_one(&x);
    mcp_message_deinit(take_m); /* nothing to free where a call took it over */
}

void mcp_out_cancel(struct mcp_out *out)
{
    if (out->call)
        call_cancel(out->call);
    else if (out->subscriber)
        listen_cancel(out->subscriber);
}

/* ---- peers ---- */

void mcp_peer_init(struct mcp_peer *peer, struct mcp_server *server,
                   const struct mcp_identity *identity)
{
    *peer = (struct mcp_peer){.server = server, .identity = *identity};
}

void mcp_peer_deinit(struct mcp_peer *peer)
{
    subscriber_leave(&peer->subscriber);
    while (peer->calls) {
        struct mcp_call *call = peer->calls;
        call_detach(call);
        call_cancel(call);
    }
}
