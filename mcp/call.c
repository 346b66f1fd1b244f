/* One tools/call: find the tool -> check scope and arguments -> the tool's function -> its answer.
 * The call owns the message that it came from, since its arguments point into it. */
#include <stdio.h>

#include "base/error.h"
#include "base/mem.h"
#include "mcp/server_int.h"

static void unlink_call(struct mcp_call *call)
{
    if (!call->peer)
        return;
    struct mcp_call **at = &call->peer->calls;
    while (*at && *at != call)
        at = &(*at)->next;
    if (*at)
        *at = call->next;
    call->peer = NULL;
}

static void call_free(struct mcp_call *call)
{
    unlink_call(call);
    mcp_message_deinit(&call->message);
    cJSON_Delete(call->empty);
    arena_deinit(&call->arena);
    mem_free(call);
}

/* Sends the answer and ends the call. What a cancelled call answers is dropped. */
static void finish(struct mcp_call *call, struct buf *answer, int http_status)
{
    struct mcp_out *out = call->out;
    call->server->stats.in_flight--;
    out->call = NULL;
    if (call->is_cancelled) {
        out->finish(out, SLICE_EMPTY, 202);
    } else if (buf_status(answer)) {
        call->server->stats.errors++;
        struct mcp_request_context rx = {.server = call->server};
        finish_error(&rx, call->message.id, true, MCP_INTERNAL_ERROR, "the answer is too large",
                     200, out);
    } else {
        out->finish(out, buf_slice(answer), http_status);
    }
    buf_deinit(answer);
    call_free(call);
}

static void write_text_content(struct json_writer *w, struct slice text)
{
    json_key(w, "content");
    json_begin_array(w);
    json_begin_object(w);
    json_key_string(w, "type", "text");
    json_key(w, "text");
    json_slice(w, text);
    json_end_object(w);
    json_end_array(w);
}

static void answer_result(struct mcp_call *call, struct slice structured, struct slice text,
                          bool is_error)
{
    struct buf b;
    struct json_writer w;
    buf_init(&b, MCP_ANSWER_BYTES_MAX);
    (void)buf_reserve(&b, 2 * structured.len + text.len + 256); /* a failure shows at the end */
    json_writer_init(&w, &b);
    result_begin(&w, call->server, call->message.id, call->revision);
    bool has_structured = call->revision >= MCP_2025_06_18 && structured.len > 0;
    write_text_content(&w,
                       text.len > 0 && (has_structured || structured.len == 0) ? text : structured);
    if (has_structured) {
        json_key(&w, "structuredContent");
        json_raw(&w, structured);
    }
    if (is_error)
        json_key_bool(&w, "isError", true);
    result_end(&w);
    finish(call, &b, 200);
}

void mcp_call_result(struct mcp_call *call, struct slice structured, struct slice text)
{
    answer_result(call, structured, text, false);
}

void mcp_call_fail(struct mcp_call *call, struct slice structured, struct slice text)
{
    call->server->stats.call_failures++;
    answer_result(call, structured, text, true);
}

void mcp_call_error(struct mcp_call *call, enum mcp_error_code code, const char *message)
{
    struct buf b;
    call->server->stats.errors++;
    buf_init(&b, MCP_ANSWER_BYTES_MAX);
    mcp_render_error(&b, call->message.id, true, code, message);
    finish(call, &b, 200);
}

/* ---- refusals before the tool runs ---- */

static void fail_with(struct mcp_call *call, const char *code, const char *message,
                      const char *field, const char *expected)
{
    struct buf b;
    struct json_writer w;
    buf_init(&b, MCP_ANSWER_BYTES_MAX);
    json_writer_init(&w, &b);
    json_begin_object(&w);
    json_key_string(&w, "code", code);
    json_key_string(&w, "message", message);
    if (*field)
        json_key_string(&w, "field", field);
    if (*expected)
        json_key_string(&w, "expected", expected);
    json_key_bool(&w, "retryable", false);
    json_end_object(&w);
    if (buf_status(&b))
        mcp_call_error(call, MCP_INTERNAL_ERROR, "out of memory");
    else
        mcp_call_fail(call, buf_slice(&b), SLICE_EMPTY);
    buf_deinit(&b);
}

static void run(struct mcp_call *call)
{
    const struct mcp_tool *tool = &call->entry->tool;
    struct mcp_schema_fault fault;
    if ((call->identity.scopes & tool->scopes) != tool->scopes)
        fail_with(call, "forbidden", "this token lacks the scope that the tool needs", "", "");
    else if (mcp_schema_check(call->entry->input, call->arguments, &fault))
        fail_with(call, "validation_error", fault.message, fault.field, fault.expected);
    else
        tool->call(tool->ctx, call);
}

/* ---- the start ---- */

static bool is_traceparent(const char *text)
{
    static const char shape[] = "00-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx-xxxxxxxxxxxxxxxx-xx";
    if (!text || strlen(text) != sizeof(shape) - 1)
        return false;
    for (size_t i = 0; i < sizeof(shape) - 1; i++) {
        bool is_hex = (text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f');
        if (shape[i] == '-' ? text[i] != '-' : !is_hex)
            return false;
    }
    return true;
}

static struct slice pick_traceparent(const struct mcp_call *call, struct slice header)
{
    const char *text = json_get_string(call->message.meta, "traceparent");
    if (is_traceparent(text))
        return slice_from_cstr(text);
    char copy[56];
    if (header.len != 55)
        return SLICE_EMPTY;
    memcpy(copy, header.ptr, 55);
    copy[55] = '\0';
    return is_traceparent(copy) ? header : SLICE_EMPTY;
}

static struct mcp_call *call_new(const struct mcp_request_context *rx, enum mcp_revision revision,
                                 const struct mcp_message *m, struct mcp_out *out)
{
    struct mcp_call *call = mem_calloc(1, sizeof(*call));
    if (!call)
        return NULL;
    *call = (struct mcp_call){.server = rx->server,
                              .peer = rx->peer,
                              .out = out,
                              .message = *m,
                              .identity = *rx->identity,
                              .revision = revision,
                              .progress = -1};
    arena_init(&call->arena, MCP_CALL_ARENA_BYTES);
    call->progress_token = json_get(m->meta, "progressToken");
    call->traceparent = pick_traceparent(call, rx->traceparent);
    if (call->traceparent.len > 0)
        call->traceparent.ptr = arena_copy(&call->arena, call->traceparent);
    if (!call->traceparent.ptr)
        call->traceparent = SLICE_EMPTY;
    if (call->peer) {
        call->next = call->peer->calls;
        call->peer->calls = call;
    }
    return call;
}

/* NULL when the call may start, else why not. */
static const char *refusal(const struct mcp_request_context *rx, const struct mcp_message *m,
                           const struct mcp_tool_entry **entry, char *text, size_t size)
{
    const char *name = json_get_string(m->params, "name");
    const cJSON *arguments = json_get(m->params, "arguments");
    if (!name)
        return "params.name must be the name of a tool";
    *entry = server_find_tool(rx->server, name);
    if (!*entry) {
        snprintf(text, size, "unknown tool \"%.64s\"; tools/list names them all", name);
        return text;
    }
    if (arguments && !cJSON_IsObject(arguments))
        return "params.arguments must be an object";
    return NULL;
}

void call_start(const struct mcp_request_context *rx, enum mcp_revision revision,
                struct mcp_message *take_m, struct mcp_out *out)
{
    char text[160];
    const struct mcp_tool_entry *entry = NULL;
    const char *why = refusal(rx, take_m, &entry, text, sizeof(text));
    int code = MCP_INVALID_PARAMS;
    if (!why && rx->server->stats.in_flight >= rx->server->info.calls_max) {
        why = "too many calls are in flight; try again in a moment";
        code = MCP_SERVER_BUSY;
    }
    struct mcp_call *call = why ? NULL : call_new(rx, revision, take_m, out);
    if (!call) {
        finish_error(rx, take_m->id, true, why ? code : MCP_INTERNAL_ERROR,
                     why ? why : "out of memory", 200, out);
        mcp_message_deinit(take_m);
        return;
    }
    take_m->root = NULL;
    call->entry = entry;
    call->arguments = json_get(call->message.params, "arguments");
    if (!call->arguments)
        call->arguments = call->empty = cJSON_CreateObject();
    out->call = call;
    rx->server->stats.calls++;
    rx->server->stats.in_flight++;
    run(call);
}

/* ---- cancellation and progress ---- */

void call_cancel(struct mcp_call *call)
{
    if (call->is_cancelled)
        return;
    call->is_cancelled = true;
    call->server->stats.cancelled++;
    if (call->on_cancel)
        call->on_cancel(call->on_cancel_ctx, call);
}

void mcp_out_cancel(struct mcp_out *out)
{
    if (out->call)
        call_cancel(out->call);
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

static bool is_token(const cJSON *token)
{
    return cJSON_IsString(token) || cJSON_IsNumber(token);
}

void mcp_call_progress(struct mcp_call *call, double progress, double total, const char *message)
{
    if (!is_token(call->progress_token) || call->is_cancelled || progress <= call->progress)
        return;
    call->progress = progress;
    struct buf b;
    struct json_writer w;
    buf_init(&b, MCP_ANSWER_BYTES_MAX);
    json_writer_init(&w, &b);
    json_begin_object(&w);
    json_key_string(&w, "jsonrpc", "2.0");
    json_key_string(&w, "method", "notifications/progress");
    json_key(&w, "params");
    json_begin_object(&w);
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
    json_end_object(&w);
    json_end_object(&w);
    if (!buf_status(&b))
        call->out->notify(call->out, buf_slice(&b));
    buf_deinit(&b);
}

/* ---- what a tool sees ---- */

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

const char *mcp_call_tool_name(const struct mcp_call *call)
{
    return call->entry->tool.name;
}

struct slice mcp_call_traceparent(const struct mcp_call *call)
{
    return call->traceparent;
}
