/* tools/tool.c */
#include "tools/tool_int.h"

#include "base/error.h"
#include "base/log.h"
#include "tools/render_int.h"

#define JSON_MAX_BYTES ((size_t)8 * 1024 * 1024)
#define TEXT_MAX_BYTES ((size_t)128 * 1024)
#define TASK_BYTES     1000 /* of a usual one, with nothing left out */

/* For when there is no memory to say it in another way. */
#define NO_MEMORY_JSON                                                                             \
    "{\"code\":\"unavailable\",\"message\":\"the server is out of memory; call again in a few "    \
    "seconds\",\"retryable\":true}"
#define NO_MEMORY_TEXT "unavailable: the server is out of memory; call again in a few seconds"

int64_t tool_user_id(const struct tool_op *op)
{
    return mcp_call_identity(op->call)->user_id;
}

struct slice tool_traceparent(const struct tool_op *op)
{
    return mcp_call_traceparent(op->call);
}

void tool_answer_begin(struct tool_answer *answer)
{
    buf_init(&answer->json, JSON_MAX_BYTES);
    buf_init(&answer->text, TEXT_MAX_BYTES);
    json_writer_init(&answer->w, &answer->json);
}

static void answer_free(struct tool_answer *answer)
{
    buf_deinit(&answer->text);
    buf_deinit(&answer->json);
}

void tool_call_fail_no_memory(struct mcp_call *call)
{
    mcp_call_fail(call, SLICE_LIT(NO_MEMORY_JSON), SLICE_LIT(NO_MEMORY_TEXT));
}

void tool_answer_end(struct tool_answer *answer, struct tool_op *op)
{
    if (buf_status(&answer->json) < 0 || buf_status(&answer->text) < 0)
        tool_call_fail_no_memory(op->call);
    else
        mcp_call_result(op->call, buf_slice(&answer->json), buf_slice(&answer->text));
    answer_free(answer);
}

/* ---- failures ------------------------------------------------------------------------------- */

void tool_op_fail(struct tool_op *op, const struct tool_error *e)
{
    struct tool_answer answer;
    tool_answer_begin(&answer);
    tool_error_write(&answer.w, e);
    buf_printf(&answer.text, "%s: %s", tool_error_code_name(e->code), e->message);
    if (e->expected[0])
        buf_printf(&answer.text, "; expected %s", e->expected);
    if (buf_status(&answer.json) < 0 || buf_status(&answer.text) < 0)
        tool_call_fail_no_memory(op->call);
    else
        mcp_call_fail(op->call, buf_slice(&answer.json), buf_slice(&answer.text));
    answer_free(&answer);
}

static bool is_repeatable(const struct tool_op *op)
{
    return op->def->read_only || op->def->idempotent || op->in.subject.has_idempotency_key;
}

void tool_op_trace(struct tool_op *op)
{
    struct trace_context call;
    bool has_call = trace_context_parse(tool_traceparent(op), &call);
    trace_span_start(op->tools->tracer, has_call ? &call : NULL, &op->statement);
}

/* The submission and the result of a statement are both looked at: where it was taken, only the
 * result is its end. */
static void end_statement(struct tool_op *op, int status)
{
    const struct trace_attribute attributes[] = {trace_text("db.system.name", "postgresql"),
                                                 trace_text("db.operation.name", op->def->name)};
    const struct trace_end end = {.name = op->def->name,
                                  .kind = TRACE_CLIENT,
                                  .attributes = attributes,
                                  .attribute_count = 2,
                                  .error = status < 0 ? "the statement failed" : NULL};
    trace_span_end(op->tools->tracer, &op->statement, &end);
    op->statement.is_recorded = false;
}

bool tool_op_has_failed(struct tool_op *op, int status, const struct error *err)
{
    struct tool_error e;
    if (op->statement.is_recorded)
        end_statement(op, status);
    if (status >= 0)
        return false;
    if (status == DB_ECONSTRAINT || status == DB_EUNIQUE || status == DB_EINTERNAL)
        log_error(op->tools->log, "statement refused", log_str("tool", op->def->name),
                  log_int("code", status), log_str("constraint", err ? err->field : NULL));
    if (status == DB_EUNKNOWN && !op->def->read_only)
        tool_op_tell_change(op, (struct change){.is_all = true});
    if (tool_error_from_status(&e, status, is_repeatable(op)))
        tool_op_fail(op, &e);
    else
        mcp_call_error(op->call, MCP_INTERNAL_ERROR, "internal error; nothing was changed");
    return true;
}

void tool_op_has_changed(struct tool_op *op)
{
    if (op->tools->on_commit)
        op->tools->on_commit(op->tools->on_commit_ctx);
}

void tool_op_tell_change(struct tool_op *op, struct change change)
{
    change.user_id = tool_user_id(op);
    if (op->tools->on_change)
        op->tools->on_change(op->tools->on_change_ctx, &change);
}

/* Which category a task left, by a move or with its deletion, nobody has said. */
static void tell_task_change(struct tool_op *op, const struct db_task_reply *reply)
{
    const struct db_task *task = reply->task;
    tool_op_tell_change(op, (struct change){.task_id = task ? task->id : op->in.subject.task_id,
                                            .category_id = task ? task->category.id : 0,
                                            .is_any_category = !task || (reply->updated_fields &
                                                                         DB_FIELD_CATEGORY) != 0});
}

/* ---- the answer of all that ends in one task --------------------------------------------------
 */

void tool_on_task(void *ctx, int status, const struct db_task_reply *reply, const struct error *err)
{
    struct tool_op *op = ctx;
    struct tool_answer answer;
    if (tool_op_has_failed(op, status, err))
        return;
    if (reply->outcome != DB_OK) {
        struct tool_error e;
        tool_error_from_task(&e, reply->outcome, &op->in.subject, reply->task);
        tool_op_fail(op, &e);
        return;
    }
    if (reply->changed) {
        tool_op_has_changed(op);
        tell_task_change(op, reply);
    }
    tool_answer_begin(&answer);
    (void)buf_reserve(&answer.json, TASK_BYTES); /* a failure shows at the end */
    json_begin_object(&answer.w);
    if (reply->task)
        render_task_members(&answer.w, reply->task);
    if (op->def->write)
        op->def->write(&answer.w, op, reply);
    json_end_object(&answer.w);
    tool_answer_end(&answer, op);
}
