/* message -> method. One table of methods; the revision decides which of them exist.
 *
 *   invalid      -> error (id null in the handshake revisions, none in the stateless one)
 *   batch        -> 2025-03-26 only: each member on its own, one array back
 *   response     -> nothing asks clients for anything yet: dropped
 *   stateless    -> check _meta -> method
 *   handshake    -> initialize first, then the rest */
#include <assert.h>
#include <stdio.h>

#include "base/error.h"
#include "base/mem.h"
#include "mcp/server_int.h"

#define META_CAPABILITIES "io.modelcontextprotocol/clientCapabilities"
#define META_SERVER_INFO  "io.modelcontextprotocol/serverInfo"

/* ---- answers ---- */

static void write_id(struct json_writer *w, const cJSON *id, bool with_null_id)
{
    if (!id && !with_null_id)
        return;
    json_key(w, "id");
    json_tree(w, id ? id : &(const cJSON){.type = cJSON_NULL});
}

static void error_begin(struct json_writer *w, struct buf *b, const cJSON *id, bool with_null_id,
                        int code, const char *message)
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

static void error_end(struct json_writer *w)
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

/* Sends what is in `b`; with no memory even for that, an error that needs none. */
static void finish_with(struct buf *b, int http_status, struct mcp_out *out)
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

void result_begin(struct json_writer *w, const struct mcp_server *s, const cJSON *id,
                  enum mcp_revision revision)
{
    json_begin_object(w);
    json_key_string(w, "jsonrpc", "2.0");
    write_id(w, id, true);
    json_key(w, "result");
    json_begin_object(w);
    if (revision < MCP_2026_07_28)
        return;
    json_key_string(w, "resultType", "complete");
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

/* ---- methods ---- */

struct exchange {
    const struct mcp_request_context *rx;
    struct mcp_message *message;
    enum mcp_revision revision;
    struct mcp_out *out;
};

static void write_cache_hints(struct json_writer *w, const struct exchange *x)
{
    if (x->revision < MCP_2026_07_28)
        return;
    json_key_int(w, "ttlMs", x->rx->server->info.list_ttl_ms);
    json_key_string(w, "cacheScope", "public");
}

static void write_capabilities(struct json_writer *w)
{
    json_key(w, "capabilities");
    json_begin_object(w);
    json_key(w, "tools");
    json_begin_object(w);
    json_end_object(w);
    json_end_object(w);
}

static void write_supported(struct json_writer *w, const char *key)
{
    json_key(w, key);
    json_begin_array(w);
    for (int i = MCP_REVISIONS - 1; i >= 0; i--)
        json_string(w, mcp_revision_name((enum mcp_revision)i));
    json_end_array(w);
}

static void do_discover(struct exchange *x)
{
    struct buf b;
    struct json_writer w;
    buf_init(&b, MCP_ANSWER_BYTES_MAX);
    json_writer_init(&w, &b);
    result_begin(&w, x->rx->server, x->message->id, x->revision);
    write_supported(&w, "supportedVersions");
    write_capabilities(&w);
    if (x->rx->server->info.instructions)
        json_key_string(&w, "instructions", x->rx->server->info.instructions);
    write_cache_hints(&w, x);
    result_end(&w);
    finish_with(&b, 200, x->out);
}

/* The version that the client asked for where we have it, else our newest with a handshake. */
static void do_initialize(struct exchange *x)
{
    struct mcp_peer *peer = x->rx->peer;
    const char *wanted = json_get_string(x->message->params, "protocolVersion");
    enum mcp_revision revision = MCP_2025_11_25;
    if (!wanted || peer->is_initialized) {
        finish_error(x->rx, x->message->id, true, wanted ? MCP_INVALID_REQUEST : MCP_INVALID_PARAMS,
                     wanted ? "initialize was answered already"
                            : "params.protocolVersion must be a string",
                     wanted ? 400 : 200, x->out);
        return;
    }
    if (!mcp_revision_parse(wanted, &revision) || revision > MCP_2025_11_25)
        revision = MCP_2025_11_25;
    peer->revision = revision;
    peer->is_initialized = true;
    struct buf b;
    struct json_writer w;
    buf_init(&b, MCP_ANSWER_BYTES_MAX);
    json_writer_init(&w, &b);
    result_begin(&w, x->rx->server, x->message->id, revision);
    json_key_string(&w, "protocolVersion", mcp_revision_name(revision));
    write_capabilities(&w);
    json_key(&w, "serverInfo");
    json_raw(&w, buf_slice(&x->rx->server->identity_json));
    if (x->rx->server->info.instructions)
        json_key_string(&w, "instructions", x->rx->server->info.instructions);
    result_end(&w);
    finish_with(&b, 200, x->out);
}

static void do_ping(struct exchange *x)
{
    struct buf b;
    struct json_writer w;
    buf_init(&b, MCP_ANSWER_BYTES_MAX);
    json_writer_init(&w, &b);
    result_begin(&w, x->rx->server, x->message->id, x->revision);
    result_end(&w);
    finish_with(&b, 200, x->out);
}

/* All tools are one page, so any cursor is one that we never gave. */
static void do_tools_list(struct exchange *x)
{
    const struct mcp_server *s = x->rx->server;
    if (json_get(x->message->params, "cursor")) {
        finish_error(x->rx, x->message->id, true, MCP_INVALID_PARAMS,
                     "params.cursor is not one that this server gave", 200, x->out);
        return;
    }
    struct buf b;
    struct json_writer w;
    buf_init(&b, MCP_ANSWER_BYTES_MAX);
    json_writer_init(&w, &b);
    result_begin(&w, s, x->message->id, x->revision);
    json_key(&w, "tools");
    json_begin_array(&w);
    if (s->lists[x->revision].len > 0)
        json_raw(&w, buf_slice(&s->lists[x->revision]));
    json_end_array(&w);
    write_cache_hints(&w, x);
    result_end(&w);
    finish_with(&b, 200, x->out);
}

static void do_tools_call(struct exchange *x)
{
    call_start(x->rx, x->revision, x->message, x->out);
}

static const struct method {
    const char *name;
    enum mcp_revision since, until;
    bool before_initialize;
    void (*run)(struct exchange *x);
} methods[] = {
    {"tools/call", MCP_2025_03_26, MCP_2026_07_28, false, do_tools_call},
    {"tools/list", MCP_2025_03_26, MCP_2026_07_28, false, do_tools_list},
    {"ping", MCP_2025_03_26, MCP_2025_11_25, true, do_ping},
    {"initialize", MCP_2025_03_26, MCP_2025_11_25, true, do_initialize},
    {"server/discover", MCP_2026_07_28, MCP_2026_07_28, true, do_discover},
};

static const struct method *find_method(const char *name, enum mcp_revision revision)
{
    for (size_t i = 0; i < sizeof(methods) / sizeof(*methods); i++) {
        const struct method *m = &methods[i];
        if (strcmp(m->name, name) == 0 && revision >= m->since && revision <= m->until)
            return m;
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
    write_supported(&w, "supported");
    json_key_string(&w, "requested", x->message->version);
    json_end_object(&w);
    error_end(&w);
    finish_with(&b, 400, x->out);
}

/* Spec: basic/index#_meta, per-request protocol fields. */
static bool check_meta(struct exchange *x)
{
    const struct mcp_message *m = x->message;
    enum mcp_revision revision;
    const char *fault = NULL;
    if (!m->meta)
        fault = "params._meta is missing";
    else if (!m->version)
        fault = "params._meta needs io.modelcontextprotocol/protocolVersion, a string";
    else if (!mcp_revision_parse(m->version, &revision) || revision < MCP_2026_07_28) {
        finish_unsupported_version(x);
        return false;
    } else if (!cJSON_IsObject(json_get(m->meta, META_CAPABILITIES)))
        fault = "params._meta needs io.modelcontextprotocol/clientCapabilities, an object";
    if (fault)
        finish_error(x->rx, m->id, true, MCP_INVALID_PARAMS, fault, 400, x->out);
    return !fault;
}

static void dispatch_stateless(struct exchange *x)
{
    x->revision = MCP_2026_07_28;
    if (!check_meta(x))
        return;
    const struct method *method = find_method(x->message->method, x->revision);
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
    const struct method *method = find_method(x->message->method, x->revision);
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
    if (x->rx->peer && strcmp(m->method, "notifications/cancelled") == 0)
        call_cancel_by_id(x->rx->peer, json_get(m->params, "requestId"));
    x->out->finish(x->out, SLICE_EMPTY, 202);
}

/* Any message but a batch. */
static void dispatch_one(struct exchange *x)
{
    const struct mcp_message *m = x->message;
    switch (m->kind) {
    case MCP_REQUEST:
        dispatch_request(x);
        break;
    case MCP_NOTIFICATION:
        dispatch_notification(x);
        break;
    case MCP_RESPONSE:
        x->out->finish(x->out, SLICE_EMPTY, 202);
        break;
    case MCP_BATCH:
        assert(false);
        break;
    case MCP_INVALID:
        finish_error(x->rx, m->id, !x->rx->is_stateless, m->error_code, m->error_text, 400, x->out);
        break;
    }
}

/* ---- batches (2025-03-26) ---- */

struct batch {
    struct mcp_out *out;
    struct buf answers;
    size_t pending; /* members, and one for the loop that starts them */
};

struct batch_member {
    struct mcp_out out;
    struct batch *batch;
};

static void batch_release(struct batch *batch)
{
    if (--batch->pending > 0)
        return;
    struct mcp_out *out = batch->out;
    if (batch->answers.len == 0 && !buf_status(&batch->answers)) {
        out->finish(out, SLICE_EMPTY, 202);
        buf_deinit(&batch->answers);
    } else {
        buf_append_char(&batch->answers, ']');
        finish_with(&batch->answers, 200, out);
    }
    mem_free(batch);
}

static void batch_notify(struct mcp_out *out, struct slice json)
{
    struct batch_member *member = (struct batch_member *)out;
    member->batch->out->notify(member->batch->out, json);
}

static void batch_finish(struct mcp_out *out, struct slice json, int http_status)
{
    struct batch_member *member = (struct batch_member *)out;
    struct batch *batch = member->batch;
    (void)http_status;
    if (json.len > 0) {
        buf_append_char(&batch->answers, batch->answers.len > 0 ? ',' : '[');
        buf_append_slice(&batch->answers, json);
    }
    mem_free(member);
    batch_release(batch);
}

static void start_member(const struct mcp_request_context *rx, struct batch *batch,
                         cJSON *take_tree)
{
    struct batch_member *member = mem_calloc(1, sizeof(*member));
    if (!member) {
        cJSON_Delete(take_tree);
        batch->answers.status = BASE_ENOMEM;
        return;
    }
    struct mcp_message m;
    member->out = (struct mcp_out){.notify = batch_notify, .finish = batch_finish};
    member->batch = batch;
    batch->pending++;
    mcp_message_from_tree(&m, take_tree);
    if (m.kind == MCP_BATCH) {
        m.kind = MCP_INVALID;
        m.error_code = MCP_INVALID_REQUEST;
        snprintf(m.error_text, sizeof(m.error_text), "a batch within a batch");
    }
    dispatch_one(&(struct exchange){.rx = rx, .message = &m, .out = &member->out});
    mcp_message_deinit(&m); /* nothing to free where a call took it over */
}

static void dispatch_batch(struct exchange *x)
{
    const struct mcp_peer *peer = x->rx->peer;
    bool has_batches = peer && peer->is_initialized && peer->revision == MCP_2025_03_26;
    struct batch *batch = has_batches ? mem_calloc(1, sizeof(*batch)) : NULL;
    if (!batch) {
        finish_error(x->rx, NULL, true, has_batches ? MCP_INTERNAL_ERROR : MCP_INVALID_REQUEST,
                     has_batches ? "out of memory" : "this protocol revision has no batches", 400,
                     x->out);
        return;
    }
    batch->out = x->out;
    batch->pending = 1;
    buf_init(&batch->answers, MCP_ANSWER_BYTES_MAX);
    cJSON *root = x->message->root;
    while (root->child)
        start_member(x->rx, batch, cJSON_DetachItemViaPointer(root, root->child));
    batch_release(batch);
}

/* ---- the door ---- */

void mcp_dispatch(const struct mcp_request_context *rx, struct mcp_message *take_m,
                  struct mcp_out *out)
{
    struct exchange x = {.rx = rx, .message = take_m, .out = out};
    out->call = NULL;
    if (take_m->kind == MCP_BATCH)
        dispatch_batch(&x);
    else
        dispatch_one(&x);
    mcp_message_deinit(take_m); /* nothing to free where a call took it over */
}

void mcp_peer_init(struct mcp_peer *peer, struct mcp_server *server,
                   const struct mcp_identity *identity)
{
    *peer = (struct mcp_peer){.server = server, .identity = *identity};
}

void mcp_peer_deinit(struct mcp_peer *peer)
{
    while (peer->calls) {
        struct mcp_call *call = peer->calls;
        peer->calls = call->next;
        call->peer = NULL;
        call->next = NULL;
    }
}
