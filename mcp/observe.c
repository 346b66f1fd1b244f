/* What is seen of calls from outside: a span each, and a report to who asked for it.
 * Names of spans and attributes: OpenTelemetry's semantic conventions for MCP. */
#include <stdio.h>

#include "base/clock.h"
#include "mcp/call_int.h"

#define SPAN_NAME_BYTES 192

static const char *method_of(const struct mcp_call *call)
{
    switch (call->kind) {
    case CALL_TOOL:
        return "tools/call";
    case CALL_RESOURCE:
        return "resources/read";
    case CALL_PROMPT:
        return "prompts/get";
    case CALL_COMPLETION:
        return "completion/complete";
    }
    return "";
}

/* From _meta, else from the HTTP header. */
static bool find_parent(const struct mcp_call *call, struct slice header, struct slice *text,
                        struct trace_context *parent)
{
    *text = slice_from_cstr(json_get_string(call->message.meta, "traceparent"));
    if (trace_context_parse(*text, parent))
        return true;
    *text = header;
    return trace_context_parse(header, parent);
}

/* Copied, since the header's bytes go before the call does. Without memory nothing is passed on. */
static struct slice keep(struct mcp_call *call, struct slice text)
{
    const char *copy = arena_copy(&call->arena, text);
    return copy ? (struct slice){copy, text.len} : SLICE_EMPTY;
}

void observe_start(struct mcp_call *call, struct slice header)
{
    struct tracer *tracer = call->server->info.tracer;
    struct trace_context parent;
    struct slice text;
    char own[TRACE_PARENT_SIZE];
    bool has_parent = find_parent(call, header, &text, &parent);
    call->started_us = clock_monotonic_us();
    if (tracer) {
        trace_span_start(tracer, has_parent ? &parent : NULL, &call->span);
        trace_context_format(&call->span.context, own);
        text = slice_from_cstr(own);
    }
    if (has_parent || tracer)
        call->traceparent = keep(call, text);
}

static void end_span(const struct mcp_call *call, const char *method)
{
    char name[SPAN_NAME_BYTES];
    const char *target = call->entry->key;
    const struct trace_attribute attributes[] = {
        trace_text("mcp.method.name", method),
        trace_text(call->kind == CALL_TOOL     ? "gen_ai.tool.name"
                   : call->kind == CALL_PROMPT ? "gen_ai.prompt.name"
                                               : "mcp.resource.uri",
                   target),
        trace_text("mcp.protocol.version", mcp_revision_name(call->revision)),
    };
    const struct trace_end end = {.name = name,
                                  .kind = TRACE_SERVER,
                                  .attributes = attributes,
                                  .attribute_count = sizeof(attributes) / sizeof(*attributes),
                                  .error = call->is_error       ? "tool_error"
                                           : call->is_cancelled ? "cancelled"
                                                                : NULL};
    snprintf(name, sizeof(name), "%s %s", method, target);
    trace_span_end(call->server->info.tracer, &call->span, &end);
}

void observe_end(const struct mcp_call *call)
{
    const struct mcp_server_info *info = &call->server->info;
    const char *method = method_of(call);
    if (info->tracer)
        end_span(call, method);
    if (info->on_call) {
        const struct mcp_call_report report = {.method = method,
                                               .name = call->entry->key,
                                               .is_error = call->is_error,
                                               .is_cancelled = call->is_cancelled,
                                               .duration_us =
                                                   clock_monotonic_us() - call->started_us,
                                               .traceparent = call->traceparent};
        info->on_call(info->on_call_ctx, &report);
    }
}
