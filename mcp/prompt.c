/* Prompts: their entries, and prompts/get. */
#include "mcp/prompt.h"

#include <stdio.h>

#include "base/error.h"
#include "base/mem.h"
#include "mcp/call_int.h"
#include "mcp/prompt_int.h"
#include "mcp/subscribe_int.h"

/* ---- entries ---- */

static void prompt_entry_free(struct catalog_entry *base)
{
    struct prompt_entry *entry = (struct prompt_entry *)base;
    for (size_t i = 0; i < entry->argument_count; i++)
        text_free(entry->arguments[i].name);
    mem_free(entry->arguments);
    catalog_entry_deinit(base);
    mem_free(entry);
}

static void render_arguments(struct json_writer *w, const struct mcp_prompt *p,
                             enum mcp_revision revision)
{
    json_key(w, "arguments");
    json_begin_array(w);
    for (size_t i = 0; i < p->argument_count; i++) {
        const struct mcp_prompt_argument *a = &p->arguments[i];
        json_begin_object(w);
        json_key_string(w, "name", a->name);
        if (revision >= MCP_2025_06_18 && a->title)
            json_key_string(w, "title", a->title);
        if (a->description)
            json_key_string(w, "description", a->description);
        json_key_bool(w, "required", a->is_required);
        json_end_object(w);
    }
    json_end_array(w);
}

static void render(struct buf *out, const struct mcp_prompt *p, enum mcp_revision revision)
{
    struct json_writer w;
    json_writer_init(&w, out);
    json_begin_object(&w);
    json_key_string(&w, "name", p->name);
    if (revision >= MCP_2025_06_18 && p->title)
        json_key_string(&w, "title", p->title);
    if (p->description)
        json_key_string(&w, "description", p->description);
    if (p->argument_count > 0)
        render_arguments(&w, p, revision);
    if (revision >= MCP_2025_11_25)
        write_icons(&w, &(struct mcp_icon){.src = p->icon});
    json_end_object(&w);
}

static int copy_arguments(struct prompt_entry *entry, const struct mcp_prompt *p)
{
    if (p->argument_count == 0)
        return 0;
    entry->arguments = mem_calloc(p->argument_count, sizeof(*entry->arguments));
    if (!entry->arguments)
        return BASE_ENOMEM;
    for (; entry->argument_count < p->argument_count; entry->argument_count++) {
        struct mcp_prompt_argument *copy = &entry->arguments[entry->argument_count];
        copy->is_required = p->arguments[entry->argument_count].is_required;
        copy->name = p->arguments[entry->argument_count].name;
        if (!text_copy(&copy->name))
            return BASE_ENOMEM;
    }
    return 0;
}

int mcp_server_add_prompt(struct mcp_server *s, const struct mcp_prompt *prompt, struct error *err)
{
    struct prompt_entry *entry = mem_calloc(1, sizeof(*entry));
    if (!entry)
        return error_set(err, BASE_ENOMEM, prompt->name, "out of memory");
    int status = catalog_entry_init(&entry->base, prompt->name, prompt->scopes, prompt_entry_free);
    entry->get = prompt->get;
    entry->complete = prompt->complete;
    entry->ctx = prompt->ctx;
    if (!status)
        status = copy_arguments(entry, prompt);
    for (int i = 0; i < MCP_REVISIONS && !status; i++)
        render(&entry->base.json[i], prompt, (enum mcp_revision)i);
    if (status)
        (void)error_set(err, status, prompt->name, "out of memory");
    else
        status = catalog_add(&s->prompts, &entry->base, err);
    if (status) {
        prompt_entry_free(&entry->base);
        return status;
    }
    s->completer_count += prompt->complete != NULL;
    subscribers_notify_list(s, SUBSCRIBE_PROMPTS, 0);
    return 0;
}

void mcp_server_remove_prompt(struct mcp_server *s, const char *name)
{
    const struct prompt_entry *entry = (const struct prompt_entry *)catalog_find(&s->prompts, name);
    if (!entry)
        return;
    s->completer_count -= entry->complete != NULL;
    (void)catalog_remove(&s->prompts, name);
    subscribers_notify_list(s, SUBSCRIBE_PROMPTS, 0);
}

bool prompt_entry_has_argument(const struct prompt_entry *entry, const char *name)
{
    for (size_t i = 0; i < entry->argument_count; i++) {
        if (strcmp(entry->arguments[i].name, name) == 0)
            return true;
    }
    return false;
}

/* ---- prompts/get ---- */

/* NULL when the arguments are what the prompt takes, else why not. */
static const char *check_arguments(const struct prompt_entry *entry, const cJSON *arguments,
                                   char *text, size_t size)
{
    const cJSON *argument;
    if (arguments && !cJSON_IsObject(arguments))
        return "params.arguments must be an object";
    cJSON_ArrayForEach(argument, arguments)
    {
        if (cJSON_IsString(argument))
            continue;
        snprintf(text, size, "the argument \"%.64s\" must be a string", argument->string);
        return text;
    }
    for (size_t i = 0; i < entry->argument_count; i++) {
        const struct mcp_prompt_argument *a = &entry->arguments[i];
        if (!a->is_required || json_get(arguments, a->name))
            continue;
        snprintf(text, size, "the argument \"%.64s\" is missing", a->name);
        return text;
    }
    return NULL;
}

static const char *refusal(const struct exchange *x, struct prompt_entry **entry, char *text,
                           size_t size)
{
    const char *name = json_get_string(x->message->params, "name");
    if (!name)
        return "params.name must be the name of a prompt";
    *entry = (struct prompt_entry *)catalog_find(&x->rx->server->prompts, name);
    if (!*entry) {
        snprintf(text, size, "unknown prompt \"%.64s\"; prompts/list names them all", name);
        return text;
    }
    return check_arguments(*entry, json_get(x->message->params, "arguments"), text, size);
}

void method_prompts_get(struct exchange *x)
{
    char text[160];
    struct prompt_entry *entry = NULL;
    const char *why = refusal(x, &entry, text, sizeof(text));
    if (why) {
        exchange_refuse(x, MCP_INVALID_PARAMS, why);
        return;
    }
    const struct call_target target = {
        .kind = CALL_PROMPT, .entry = &entry->base, .fn = entry->get, .ctx = entry->ctx};
    mcp_call_start(x, &target);
}
