/* Resources and templates: their entries, and resources/read. */
#include "mcp/resource.h"

#include <stdio.h>

#include "base/error.h"
#include "base/mem.h"
#include "mcp/call_int.h"
#include "mcp/resource_int.h"
#include "mcp/subscribe_int.h"
#include "mcp/uri_template_int.h"

/* ---- entries ---- */

static void resource_entry_free(struct catalog_entry *base)
{
    catalog_entry_deinit(base);
    mem_free(base); /* the first member */
}

static void render(struct buf *out, const struct mcp_resource *r, bool is_template,
                   enum mcp_revision revision)
{
    struct json_writer w;
    json_writer_init(&w, out);
    json_begin_object(&w);
    json_key_string(&w, is_template ? "uriTemplate" : "uri", r->uri);
    json_key_string(&w, "name", r->name);
    if (revision >= MCP_2025_06_18 && r->title)
        json_key_string(&w, "title", r->title);
    if (r->description)
        json_key_string(&w, "description", r->description);
    if (r->mime_type)
        json_key_string(&w, "mimeType", r->mime_type);
    if (revision >= MCP_2025_11_25)
        write_icons(&w, &(struct mcp_icon){.src = r->icon});
    json_end_object(&w);
}

static int add_entry(struct mcp_server *s, struct catalog *catalog, const struct mcp_resource *r,
                     mcp_call_fn complete, struct error *err)
{
    struct resource_entry *entry = mem_calloc(1, sizeof(*entry));
    int status = entry ? catalog_entry_init(&entry->base, r->uri, r->scopes, resource_entry_free)
                       : BASE_ENOMEM;
    if (!entry)
        return error_set(err, status, r->uri, "out of memory");
    entry->ttl_ms = r->ttl_ms;
    entry->is_public = r->is_public;
    entry->read = r->read;
    entry->complete = complete;
    entry->ctx = r->ctx;
    for (int i = 0; i < MCP_REVISIONS && !status; i++)
        render(&entry->base.json[i], r, catalog == &s->templates, (enum mcp_revision)i);
    if (status)
        (void)error_set(err, status, r->uri, "out of memory");
    else
        status = catalog_add(catalog, &entry->base, err);
    if (status)
        resource_entry_free(&entry->base);
    else
        subscribers_notify_list(s, SUBSCRIBE_RESOURCES, 0);
    return status;
}

int mcp_server_add_resource(struct mcp_server *s, const struct mcp_resource *resource,
                            struct error *err)
{
    return add_entry(s, &s->resources, resource, NULL, err);
}

void mcp_server_remove_resource(struct mcp_server *s, const char *uri)
{
    if (catalog_remove(&s->resources, uri))
        subscribers_notify_list(s, SUBSCRIBE_RESOURCES, 0);
}

int mcp_server_add_resource_template(struct mcp_server *s, const struct mcp_resource_template *t,
                                     struct error *err)
{
    int status = uri_template_check(t->resource.uri, err);
    if (!status)
        status = add_entry(s, &s->templates, &t->resource, t->complete, err);
    if (!status && t->complete)
        s->completer_count++;
    return status;
}

/* ---- resources/read ---- */

static struct resource_entry *find(const struct mcp_server *s, const char *uri)
{
    struct catalog_entry *entry = catalog_find(&s->resources, uri);
    for (size_t i = 0; !entry && i < s->templates.count; i++) {
        if (uri_template_match(s->templates.entries[i]->key, uri, NULL, NULL))
            entry = s->templates.entries[i];
    }
    return (struct resource_entry *)entry;
}

bool is_resource_known(const struct mcp_request_context *rx, const char *uri)
{
    const struct resource_entry *entry = find(rx->server, uri);
    return entry && is_entry_visible(rx, &entry->base);
}

void refuse_unknown_resource(struct exchange *x, const char *uri)
{
    struct buf b;
    buf_init(&b, MCP_ANSWER_BYTES_MAX);
    x->rx->server->stats.errors++;
    write_resource_not_found(&b, x->message->id, x->revision, uri);
    finish_with(&b, 200, x->out);
}

void method_resources_read(struct exchange *x)
{
    const char *uri = json_get_string(x->message->params, "uri");
    struct resource_entry *entry = uri ? find(x->rx->server, uri) : NULL;
    if (!entry) {
        if (uri)
            refuse_unknown_resource(x, uri);
        else
            exchange_refuse(x, MCP_INVALID_PARAMS, "params.uri must be the URI of a resource");
        return;
    }
    const struct call_target target = {
        .kind = CALL_RESOURCE, .entry = &entry->base, .fn = entry->read, .ctx = entry->ctx};
    mcp_call_start(x, &target);
}

void mcp_call_contents(struct mcp_call *call, struct slice contents)
{
    const struct resource_entry *entry = (const struct resource_entry *)call->entry;
    const struct exchange x = {.revision = call->revision};
    struct buf b;
    struct json_writer w;
    buf_init(&b, MCP_ANSWER_BYTES_MAX);
    call_result_begin(call, &b, &w, "complete");
    json_key(&w, "contents");
    json_raw(&w, contents);
    write_cache_hints(&w, &x, entry->ttl_ms, entry->is_public);
    call_result_end(call, &b, &w);
}

struct slice mcp_call_uri_variable(struct mcp_call *call, const char *name)
{
    struct slice raw = SLICE_EMPTY;
    if (!uri_template_match(call->entry->key, mcp_call_name(call), name, &raw) || !raw.ptr)
        return SLICE_EMPTY;
    return uri_decode(raw, &call->arena);
}
