/* The lists: tools, resources, templates, prompts; a page at a time, each with what its caller may
 * see. A cursor names the last entry of the page before it, so that pages stay right while entries
 * come and go. Spec: server/utilities/pagination. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "mcp/server_int.h"

typedef bool (*visible_fn)(const struct mcp_request_context *rx, const struct catalog_entry *entry);

struct listing {
    const struct catalog *catalog;
    const char *member; /* of the result */
    char letter;        /* of its cursors, so that one list's are not another's */
    visible_fn is_visible;
    bool is_filtered; /* by the application's view */
};

bool is_entry_visible(const struct mcp_request_context *rx, const struct catalog_entry *entry)
{
    return (rx->identity->scopes & entry->scopes) == entry->scopes;
}

bool is_tool_visible(const struct mcp_request_context *rx, const struct catalog_entry *entry)
{
    const struct mcp_server_info *info = &rx->server->info;
    return is_entry_visible(rx, entry) &&
           (!info->is_tool_visible || info->is_tool_visible(info->ctx, rx->identity, entry->key));
}

/* False when there is a cursor that we never gave. Without one *after is 0. */
static bool read_cursor(const struct exchange *x, char letter, uint64_t *after)
{
    const cJSON *cursor = json_get(x->message->params, "cursor");
    char *end;
    *after = 0;
    if (!cursor)
        return true;
    const char *text = cursor->valuestring;
    if (!cJSON_IsString(cursor) || text[0] != letter || !text[1] || strlen(text) > 17)
        return false;
    if (strspn(text + 1, "0123456789abcdef") != strlen(text + 1))
        return false;
    *after = strtoull(text + 1, &end, 16);
    return *end == '\0';
}

/* Writes a page; the ordinal of its last entry, or 0 when it is the last page. */
static uint64_t write_page(struct json_writer *w, const struct exchange *x,
                           const struct listing *list, uint64_t after)
{
    uint32_t size = x->rx->server->info.page_size;
    uint32_t room = size > 0 ? size : UINT32_MAX;
    uint64_t last = 0;
    for (size_t i = 0; i < list->catalog->count; i++) {
        const struct catalog_entry *entry = list->catalog->entries[i];
        if (entry->ordinal <= after || !list->is_visible(x->rx, entry))
            continue;
        if (room-- == 0)
            return last;
        json_raw(w, buf_slice(&entry->json[x->revision]));
        last = entry->ordinal;
    }
    return 0;
}

static void list_page(struct exchange *x, const struct listing *list)
{
    uint64_t after;
    if (!read_cursor(x, list->letter, &after)) {
        exchange_refuse(x, MCP_INVALID_PARAMS,
                        "params.cursor is not one that this server gave for this list");
        return;
    }
    const struct mcp_server *s = x->rx->server;
    struct buf b;
    struct json_writer w;
    char cursor[24];
    buf_init(&b, MCP_ANSWER_BYTES_MAX);
    json_writer_init(&w, &b);
    result_begin(&w, s, x->message->id, x->revision, "complete");
    json_key(&w, list->member);
    json_begin_array(&w);
    uint64_t last = write_page(&w, x, list, after);
    json_end_array(&w);
    if (last) {
        snprintf(cursor, sizeof(cursor), "%c%" PRIx64, list->letter, last);
        json_key_string(&w, "nextCursor", cursor);
    }
    write_cache_hints(&w, x, s->info.list_ttl_ms, !list->catalog->has_scopes && !list->is_filtered);
    result_end(&w);
    finish_with(&b, 200, x->out);
}

void method_tools_list(struct exchange *x)
{
    const struct mcp_server *s = x->rx->server;
    list_page(x, &(struct listing){&s->tools, "tools", 't', is_tool_visible,
                                   s->info.is_tool_visible != NULL});
}

void method_resources_list(struct exchange *x)
{
    list_page(
        x, &(struct listing){&x->rx->server->resources, "resources", 'r', is_entry_visible, false});
}

void method_templates_list(struct exchange *x)
{
    list_page(x, &(struct listing){&x->rx->server->templates, "resourceTemplates", 'm',
                                   is_entry_visible, false});
}

void method_prompts_list(struct exchange *x)
{
    list_page(x,
              &(struct listing){&x->rx->server->prompts, "prompts", 'p', is_entry_visible, false});
}
