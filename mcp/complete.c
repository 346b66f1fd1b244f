/* completion/complete: suggests values of a prompt's argument or a template's variable.
 * Spec: server/utilities/completion. */
#include "base/error.h"
#include "mcp/call_int.h"
#include "mcp/prompt_int.h"
#include "mcp/resource_int.h"
#include "mcp/uri_template_int.h"

/* What `ref` and `argument` name. NULL: nothing of ours; `fault` says what. */
static struct catalog_entry *find_target(const struct exchange *x, const char *argument,
                                         struct call_target *target, const char **fault)
{
    const struct mcp_server *s = x->rx->server;
    const cJSON *ref = json_get(x->message->params, "ref");
    const char *type = json_get_string(ref, "type");
    const char *name = json_get_string(ref, "name");
    const char *uri = json_get_string(ref, "uri");
    if (type && name && strcmp(type, "ref/prompt") == 0) {
        struct prompt_entry *prompt = (struct prompt_entry *)catalog_find(&s->prompts, name);
        *fault = prompt ? "the prompt has no argument of that name" : "unknown prompt";
        if (!prompt || !prompt_entry_has_argument(prompt, argument))
            return NULL;
        target->fn = prompt->complete;
        target->ctx = prompt->ctx;
        return &prompt->base;
    }
    if (type && uri && strcmp(type, "ref/resource") == 0) {
        struct resource_entry *entry = (struct resource_entry *)catalog_find(&s->templates, uri);
        *fault = entry ? "the template has no variable of that name" : "unknown resource template";
        if (!entry || !uri_template_has(uri, argument))
            return NULL;
        target->fn = entry->complete;
        target->ctx = entry->ctx;
        return &entry->base;
    }
    *fault = "params.ref must be a ref/prompt with its name or a ref/resource with its uri";
    return NULL;
}

/* Where the server suggests nothing: no values, which is no error. */
static void suggest_nothing(void *ctx, struct mcp_call *call)
{
    (void)ctx;
    mcp_call_values(call, NULL, 0, 0);
}

void method_complete(struct exchange *x)
{
    const cJSON *argument = json_get(x->message->params, "argument");
    const char *name = json_get_string(argument, "name");
    struct call_target target = {0};
    const char *fault = "params.argument must have a name and a value, both strings";
    if (name && json_get_string(argument, "value"))
        target.entry = find_target(x, name, &target, &fault);
    if (!target.entry) {
        exchange_refuse(x, MCP_INVALID_PARAMS, fault);
        return;
    }
    target.kind = CALL_COMPLETION;
    if (!target.fn)
        target.fn = suggest_nothing;
    mcp_call_start(x, &target);
}

const char *mcp_call_completing(const struct mcp_call *call)
{
    return json_get_string(json_get(call->message.params, "argument"), "name");
}

const char *mcp_call_typed(const struct mcp_call *call)
{
    return json_get_string(json_get(call->message.params, "argument"), "value");
}

const char *mcp_call_chosen(const struct mcp_call *call, const char *argument)
{
    const cJSON *context = json_get(call->message.params, "context");
    return json_get_string(json_get(context, "arguments"), argument);
}
