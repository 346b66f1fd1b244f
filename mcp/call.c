/* The life of a call, and what its handler sees of it. */
#include <stdio.h>

#include "base/error.h"
#include "base/mem.h"
#include "mcp/call_int.h"

/* ---- life ---- */

void call_detach(struct mcp_call *call)
{
    if (call->peer) {
        struct mcp_call **at = &call->peer->calls;
        while (*at != call)
            at = &(*at)->next;
        *at = call->next;
    }
    call->peer = NULL;
    call->next = NULL;
}

void mcp_call_free(struct mcp_call *call)
{
    mcp_message_deinit(&call->message);
    cJSON_Delete(call->empty);
    cJSON_Delete(call->answers);
    if (call->entry)
        catalog_entry_release(call->entry);
    arena_deinit(&call->arena);
    mem_free(call);
}

static int level_of(const struct exchange *x)
{
    const struct mcp_peer *peer = x->rx->peer;
    enum mcp_log_level level;
    if (x->revision >= MCP_2026_07_28)
        return log_level_from_name(json_get_string(x->message->meta, META_LOG_LEVEL), &level)
                   ? (int)level
                   : -1;
    return peer && peer->has_log_level ? (int)peer->log_level : MCP_LOG_INFO;
}

static struct mcp_call *make_call(struct exchange *x, const struct call_target *target)
{
    struct mcp_call *call = mem_calloc(1, sizeof(*call));
    if (!call)
        return NULL;
    call->server = x->rx->server;
    call->peer = x->rx->peer;
    call->out = x->out;
    call->message = *x->message;
    call->identity = *x->rx->identity;
    call->revision = x->revision;
    call->kind = target->kind;
    call->entry = target->entry;
    call->client_capabilities = x->client_capabilities;
    call->fn = target->fn;
    call->ctx = target->ctx;
    call->progress = -1;
    call->log_level = level_of(x);
    arena_init(&call->arena, CALL_ARENA_BYTES);
    call->progress_token = json_get(call->message.meta, "progressToken");
    observe_start(call, x->rx->traceparent);
    call->arguments = json_get(call->message.params, "arguments");
    if (!call->arguments)
        call->arguments = call->empty = cJSON_CreateObject();
    return call;
}

/* The call is part of the world from here on: counted, found by its peer and by its out. */
static void enlist(struct mcp_call *call)
{
    call->entry->users++;
    if (call->peer) {
        call->next = call->peer->calls;
        call->peer->calls = call;
    }
    call->out->call = call;
    call->server->stats.calls++;
    call->server->stats.in_flight++;
}

/* A call that never became one: its message stays the exchange's. */
static void abandon(struct mcp_call *call)
{
    if (!call)
        return;
    call->message.root = NULL;
    call->entry = NULL;
    mcp_call_free(call);
}

struct mcp_call *mcp_call_new(struct exchange *x, const struct call_target *target)
{
    struct mcp_server *s = x->rx->server;
    const char *fault = NULL;
    if (s->stats.in_flight >= s->info.calls_max) {
        exchange_refuse(x, MCP_SERVER_BUSY, "too many calls are in flight; try again in a moment");
        return NULL;
    }
    struct mcp_call *call = make_call(x, target);
    if (!call || !call->arguments || !ask_restore(call, &fault)) {
        exchange_refuse(x, fault ? MCP_INVALID_PARAMS : MCP_INTERNAL_ERROR,
                        fault ? fault : "out of memory");
        abandon(call);
        return NULL;
    }
    x->message->root = NULL;
    enlist(call);
    return call;
}

void call_run(struct mcp_call *call)
{
    call->is_waiting = false;
    call->questions = NULL;
    call->fn(call->ctx, call);
}

void mcp_call_start(struct exchange *x, const struct call_target *target)
{
    struct mcp_call *call = mcp_call_new(x, target);
    if (!call)
        return;
    uint32_t missing = call->entry->scopes & ~call->identity.scopes;
    if (missing)
        call_forbid(call, missing);
    else
        call_run(call);
}

/* ---- cancellation ---- */

void call_cancel(struct mcp_call *call)
{
    if (call->is_cancelled)
        return;
    call->is_cancelled = true;
    call->server->stats.cancelled++;
    if (call->is_waiting) {
        ask_withdraw(call);
        call_drop(call);
    } else if (call->on_cancel) {
        call->on_cancel(call->on_cancel_ctx, call);
    }
}

bool id_is_equal(const cJSON *a, const cJSON *b)
{
    if (cJSON_IsString(a))
        return cJSON_IsString(b) && strcmp(a->valuestring, b->valuestring) == 0;
    int64_t x;
    int64_t y;
    return json_as_int(a, &x) && json_as_int(b, &y) && x == y;
}

void call_cancel_by_id(struct mcp_peer *peer, const cJSON *id)
{
    for (struct mcp_call *call = peer->calls; call; call = call->next) {
        if (id_is_equal(call->message.id, id)) {
            call_cancel(call);
            return;
        }
    }
}

void mcp_call_on_cancel(struct mcp_call *call, mcp_cancel_fn fn, void *ctx)
{
    call->on_cancel = fn;
    call->on_cancel_ctx = ctx;
}

bool mcp_call_is_cancelled(const struct mcp_call *call)
{
    return call->is_cancelled;
}

/* ---- messages before the answer ---- */

static void notification_begin(struct json_writer *w, struct buf *b, const char *method)
{
    buf_init(b, MCP_ANSWER_BYTES_MAX);
    json_writer_init(w, b);
    json_begin_object(w);
    json_key_string(w, "jsonrpc", "2.0");
    json_key_string(w, "method", method);
    json_key(w, "params");
    json_begin_object(w);
}

/* What does not fit into memory is not sent: a notification may be lost. */
static void notification_send(struct mcp_call *call, struct json_writer *w, struct buf *b)
{
    json_end_object(w);
    json_end_object(w);
    if (!buf_status(b))
        call->out->send(call->out, buf_slice(b));
    buf_deinit(b);
}

static bool has_progress_token(const struct mcp_call *call)
{
    return cJSON_IsString(call->progress_token) || cJSON_IsNumber(call->progress_token);
}

void mcp_call_progress(struct mcp_call *call, double progress, double total, const char *message)
{
    struct buf b;
    struct json_writer w;
    if (!has_progress_token(call) || !call->out || call->is_cancelled || progress <= call->progress)
        return;
    call->progress = progress;
    notification_begin(&w, &b, "notifications/progress");
    json_key(&w, "progressToken");
    json_tree(&w, call->progress_token);
    json_key(&w, "progress");
    json_double(&w, progress);
    if (total >= 0) {
        json_key(&w, "total");
        json_double(&w, total);
    }
    if (message)
        json_key_string(&w, "message", message);
    notification_send(call, &w, &b);
}

void mcp_call_log(struct mcp_call *call, enum mcp_log_level level, const char *logger,
                  struct slice data)
{
    struct buf b;
    struct json_writer w;
    if (!call->out || call->is_cancelled || (int)level > call->log_level)
        return;
    notification_begin(&w, &b, "notifications/message");
    json_key_string(&w, "level", log_level_name(level));
    if (logger)
        json_key_string(&w, "logger", logger);
    json_key(&w, "data");
    json_raw(&w, data);
    notification_send(call, &w, &b);
}

void mcp_call_release_connection(struct mcp_call *call, uint32_t retry_ms)
{
    if (call->out && call->out->release && call->revision == MCP_2025_11_25)
        call->out->release(call->out, retry_ms);
}

/* ---- the request ---- */

const cJSON *mcp_call_arguments(const struct mcp_call *call)
{
    return call->arguments;
}

struct arena *mcp_call_arena(struct mcp_call *call)
{
    return &call->arena;
}

const struct mcp_identity *mcp_call_identity(const struct mcp_call *call)
{
    return &call->identity;
}

enum mcp_revision mcp_call_revision(const struct mcp_call *call)
{
    return call->revision;
}

const char *mcp_call_name(const struct mcp_call *call)
{
    const char *uri = json_get_string(call->message.params, "uri");
    return call->kind == CALL_RESOURCE && uri ? uri : call->entry->key;
}

const cJSON *mcp_call_meta(const struct mcp_call *call)
{
    return call->message.meta;
}

struct slice mcp_call_traceparent(const struct mcp_call *call)
{
    return call->traceparent;
}

uint32_t mcp_call_client_capabilities(const struct mcp_call *call)
{
    return call->client_capabilities;
}
