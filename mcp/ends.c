/* The ways that a call ends, and the answers that they make. */
#include "base/error.h"
#include "base/log.h"
#include "mcp/call_int.h"
#include "mcp/task_int.h"

/* Whatever the answer is: the call is no longer found by anybody. Its out, NULL for a task. */
static struct mcp_out *retire(struct mcp_call *call)
{
    struct mcp_out *out = call->out;
    observe_end(call);
    call->server->stats.in_flight--;
    call_detach(call);
    if (out)
        out->call = NULL;
    call->out = NULL;
    return out;
}

/* Sends the answer and frees the call. What a cancelled call answers is dropped. */
static void end(struct mcp_call *call, struct buf *answer, int http_status)
{
    struct mcp_out *out = retire(call);
    if (call->is_cancelled) {
        if (out)
            out->finish(out, SLICE_EMPTY, 202);
    } else if (buf_status(answer)) {
        struct mcp_request_context rx = {.server = call->server};
        finish_error(&rx, call->message.id, true, MCP_INTERNAL_ERROR, "the answer is too large",
                     200, out);
    } else {
        out->finish(out, buf_slice(answer), http_status);
    }
    buf_deinit(answer);
    mcp_call_free(call);
}

/* The same for a call that became a task: `answer` is the result's or the error's object. */
static void end_task(struct mcp_call *call, struct buf *answer, bool is_error)
{
    (void)retire(call);
    if (call->task)
        task_finish(call->task, answer, is_error);
    buf_deinit(answer);
    mcp_call_free(call);
}

void call_drop(struct mcp_call *call)
{
    struct buf none;
    buf_init(&none, 0);
    if (call->out)
        end(call, &none, 202);
    else
        end_task(call, &none, false);
}

/* ---- results ---- */

void call_result_begin(struct mcp_call *call, struct buf *b, struct json_writer *w,
                       const char *type)
{
    json_writer_init(w, b);
    if (call->out)
        result_begin(w, call->server, call->message.id, call->revision, type);
    else
        json_begin_object(w);
}

static void result_send(struct mcp_call *call, struct buf *b, struct json_writer *w,
                        int http_status)
{
    if (!call->out) {
        json_end_object(w);
        end_task(call, b, false);
        return;
    }
    result_end(w);
    end(call, b, http_status);
}

void call_result_end(struct mcp_call *call, struct buf *b, struct json_writer *w)
{
    result_send(call, b, w, 200);
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

static void answer_tool(struct mcp_call *call, struct slice structured, struct slice text,
                        bool is_error, int http_status)
{
    struct buf b;
    struct json_writer w;
    buf_init(&b, MCP_ANSWER_BYTES_MAX);
    (void)buf_reserve(&b, 2 * structured.len + text.len + 512); /* a failure shows at the end */
    call_result_begin(call, &b, &w, "complete");
    bool has_structured = call->revision >= MCP_2025_06_18 && structured.len > 0;
    write_text_content(&w,
                       text.len > 0 && (has_structured || structured.len == 0) ? text : structured);
    if (has_structured) {
        json_key(&w, "structuredContent");
        json_raw(&w, structured);
    }
    if (is_error)
        json_key_bool(&w, "isError", true);
    result_send(call, &b, &w, http_status);
}

static void tool_failed(struct mcp_call *call)
{
    call->server->stats.call_failures++;
    call->is_error = true;
}

void mcp_call_result(struct mcp_call *call, struct slice structured, struct slice text)
{
    answer_tool(call, structured, text, false, 200);
}

void mcp_call_fail(struct mcp_call *call, struct slice structured, struct slice text)
{
    tool_failed(call);
    answer_tool(call, structured, text, true, 200);
}

void mcp_call_text(struct mcp_call *call, const char *text)
{
    answer_tool(call, SLICE_EMPTY, slice_from_cstr(text), false, 200);
}

void mcp_call_content(struct mcp_call *call, struct slice blocks, bool is_error)
{
    struct buf b;
    struct json_writer w;
    buf_init(&b, MCP_ANSWER_BYTES_MAX);
    if (is_error)
        tool_failed(call);
    call_result_begin(call, &b, &w, "complete");
    json_key(&w, "content");
    json_raw(&w, blocks);
    if (is_error)
        json_key_bool(&w, "isError", true);
    call_result_end(call, &b, &w);
}

void mcp_call_messages(struct mcp_call *call, const char *description, struct slice messages)
{
    struct buf b;
    struct json_writer w;
    buf_init(&b, MCP_ANSWER_BYTES_MAX);
    call_result_begin(call, &b, &w, "complete");
    if (description)
        json_key_string(&w, "description", description);
    json_key(&w, "messages");
    json_raw(&w, messages);
    call_result_end(call, &b, &w);
}

void mcp_call_values(struct mcp_call *call, const char *const *values, size_t count, int64_t total)
{
    static const size_t most = 100; /* server/utilities/completion */
    struct buf b;
    struct json_writer w;
    buf_init(&b, MCP_ANSWER_BYTES_MAX);
    call_result_begin(call, &b, &w, "complete");
    json_key(&w, "completion");
    json_begin_object(&w);
    json_key(&w, "values");
    json_begin_array(&w);
    for (size_t i = 0; i < count && i < most; i++)
        json_string(&w, values[i]);
    json_end_array(&w);
    if (total >= 0)
        json_key_int(&w, "total", total);
    json_key_bool(&w, "hasMore", count > most || total > (int64_t)count);
    json_end_object(&w);
    call_result_end(call, &b, &w);
}

/* ---- errors ---- */

/* `b` has the error's object for a task, or the whole answer. */
static void error_send(struct mcp_call *call, struct buf *b, int http_status)
{
    call->server->stats.errors++;
    call->is_error = true;
    if (call->out)
        end(call, b, http_status);
    else
        end_task(call, b, true);
}

void mcp_call_error(struct mcp_call *call, enum mcp_error_code code, const char *message)
{
    struct buf b;
    buf_init(&b, MCP_ANSWER_BYTES_MAX);
    if (call->out) {
        mcp_render_error(&b, call->message.id, true, code, message);
    } else {
        struct json_writer w;
        json_writer_init(&w, &b);
        json_begin_object(&w);
        json_key_int(&w, "code", code);
        json_key_string(&w, "message", message);
        json_end_object(&w);
    }
    error_send(call, &b, 200);
}

void mcp_call_not_found(struct mcp_call *call)
{
    struct buf b;
    buf_init(&b, MCP_ANSWER_BYTES_MAX);
    write_resource_not_found(&b, call->message.id, call->revision, mcp_call_name(call));
    error_send(call, &b, 200);
}

void call_refuse_capability(struct mcp_call *call, uint32_t missing)
{
    struct buf b;
    struct json_writer w;
    if (call->revision < MCP_2026_07_28 || !call->out) {
        call_fail_with(call, "unavailable",
                       "the client cannot be asked what this needs to know: it lacks a capability",
                       "", "");
        return;
    }
    buf_init(&b, MCP_ANSWER_BYTES_MAX);
    error_begin(&w, &b, call->message.id, true, MCP_MISSING_CLIENT_CAPABILITY,
                "the client lacks a capability that this request needs");
    error_data_capabilities(&w, missing);
    error_end(&w);
    error_send(call, &b, 400);
}

static void write_failure(struct buf *b, const char *code, const char *message, const char *field,
                          const char *expected)
{
    struct json_writer w;
    json_writer_init(&w, b);
    json_begin_object(&w);
    json_key_string(&w, "code", code);
    json_key_string(&w, "message", message);
    if (*field)
        json_key_string(&w, "field", field);
    if (*expected)
        json_key_string(&w, "expected", expected);
    json_key_bool(&w, "retryable", false);
    json_end_object(&w);
}

static void fail_with(struct mcp_call *call, const char *code, const char *message,
                      const char *field, const char *expected, int http_status)
{
    struct buf b;
    if (call->kind != CALL_TOOL) {
        buf_init(&b, MCP_ANSWER_BYTES_MAX);
        mcp_render_error(&b, call->message.id, true, MCP_INVALID_REQUEST, message);
        error_send(call, &b, http_status);
        return;
    }
    buf_init(&b, MCP_ANSWER_BYTES_MAX);
    write_failure(&b, code, message, field, expected);
    if (buf_status(&b)) {
        mcp_call_error(call, MCP_INTERNAL_ERROR, "out of memory");
    } else {
        tool_failed(call);
        answer_tool(call, buf_slice(&b), SLICE_EMPTY, true, http_status);
    }
    buf_deinit(&b);
}

void call_fail_with(struct mcp_call *call, const char *code, const char *message, const char *field,
                    const char *expected)
{
    fail_with(call, code, message, field, expected, 200);
}

void call_forbid(struct mcp_call *call, uint32_t missing)
{
    call->out->missing_scopes = missing;
    fail_with(call, "forbidden", "this caller lacks a scope that the request needs", "", "", 403);
}
