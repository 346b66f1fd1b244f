/* The registry: what the server is, its tools, and their entries of tools/list rendered once for
 * each revision when they are added. */
#include "mcp/server.h"

#include <assert.h>

#include "base/error.h"
#include "base/mem.h"
#include "mcp/server_int.h"

#define LIST_BYTES_MAX (4u << 20)

static const char *const revision_names[MCP_REVISIONS] = {"2025-03-26", "2025-06-18", "2025-11-25",
                                                          "2026-07-28"};

const char *mcp_revision_name(enum mcp_revision revision)
{
    return revision_names[revision];
}

bool mcp_revision_parse(const char *name, enum mcp_revision *out)
{
    for (int i = 0; i < MCP_REVISIONS; i++) {
        if (strcmp(name, revision_names[i]) == 0) {
            *out = (enum mcp_revision)i;
            return true;
        }
    }
    return false;
}

/* Copies a string that may be NULL; false when memory is out. */
static bool copy_text(const char **text)
{
    if (!*text)
        return true;
    *text = mem_strdup(*text);
    return *text != NULL;
}

static void free_text(const char *text)
{
    mem_free((void *)(uintptr_t)text);
}

static void render_identity(struct mcp_server *s)
{
    struct json_writer w;
    json_writer_init(&w, &s->identity_json);
    json_begin_object(&w);
    json_key_string(&w, "name", s->info.name);
    if (s->info.title)
        json_key_string(&w, "title", s->info.title);
    json_key_string(&w, "version", s->info.version);
    if (s->info.website_url)
        json_key_string(&w, "websiteUrl", s->info.website_url);
    json_end_object(&w);
}

int mcp_server_new(const struct mcp_server_info *info, const struct log *log,
                   struct mcp_server **out)
{
    struct mcp_server *s = mem_calloc(1, sizeof(*s));
    if (!s)
        return BASE_ENOMEM;
    s->info = *info;
    s->log = log;
    for (int i = 0; i < MCP_REVISIONS; i++)
        buf_init(&s->lists[i], LIST_BYTES_MAX);
    buf_init(&s->identity_json, LIST_BYTES_MAX);
    bool is_copied = copy_text(&s->info.name) & copy_text(&s->info.title) &
                     copy_text(&s->info.version) & copy_text(&s->info.website_url) &
                     copy_text(&s->info.instructions);
    if (is_copied)
        render_identity(s);
    if (!is_copied || buf_status(&s->identity_json)) {
        mcp_server_free(s);
        return BASE_ENOMEM;
    }
    *out = s;
    return 0;
}

static void free_entry(struct mcp_tool_entry *entry)
{
    free_text(entry->tool.name);
    free_text(entry->tool.title);
    free_text(entry->tool.description);
    mcp_schema_free(entry->input);
}

void mcp_server_free(struct mcp_server *s)
{
    assert(s->stats.in_flight == 0);
    for (size_t i = 0; i < s->tool_count; i++)
        free_entry(&s->tools[i]);
    mem_free(s->tools);
    for (int i = 0; i < MCP_REVISIONS; i++)
        buf_deinit(&s->lists[i]);
    buf_deinit(&s->identity_json);
    free_text(s->info.name);
    free_text(s->info.title);
    free_text(s->info.version);
    free_text(s->info.website_url);
    free_text(s->info.instructions);
    mem_free(s);
}

void mcp_server_stats(const struct mcp_server *s, struct mcp_server_stats *out)
{
    *out = s->stats;
}

const struct mcp_tool_entry *server_find_tool(const struct mcp_server *s, const char *name)
{
    for (size_t i = 0; i < s->tool_count; i++) {
        if (strcmp(s->tools[i].tool.name, name) == 0)
            return &s->tools[i];
    }
    return NULL;
}

/* ---- tools/list entries ---- */

static void render_annotations(struct json_writer *w, const struct mcp_tool *tool,
                               enum mcp_revision revision)
{
    json_key(w, "annotations");
    json_begin_object(w);
    if (revision == MCP_2025_03_26 && tool->title)
        json_key_string(w, "title", tool->title);
    json_key_bool(w, "readOnlyHint", tool->read_only);
    json_key_bool(w, "destructiveHint", tool->destructive);
    json_key_bool(w, "idempotentHint", tool->idempotent);
    json_key_bool(w, "openWorldHint", tool->open_world);
    json_end_object(w);
}

static void render_entry(struct buf *list, const struct mcp_tool *tool, const cJSON *input,
                         const cJSON *output, enum mcp_revision revision)
{
    struct json_writer w;
    if (list->len > 0)
        buf_append_char(list, ',');
    json_writer_init(&w, list);
    json_begin_object(&w);
    json_key_string(&w, "name", tool->name);
    if (revision >= MCP_2025_06_18 && tool->title)
        json_key_string(&w, "title", tool->title);
    json_key_string(&w, "description", tool->description);
    json_key(&w, "inputSchema");
    json_tree(&w, input);
    if (revision >= MCP_2025_06_18 && output) {
        json_key(&w, "outputSchema");
        json_tree(&w, output);
    }
    render_annotations(&w, tool, revision);
    json_end_object(&w);
}

static cJSON *parse_schema(const struct mcp_tool *tool, const char *text, const char *which,
                           struct error *err)
{
    struct error why;
    cJSON *tree = json_parse(slice_from_cstr(text), &why);
    if (!tree)
        error_set(err, why.code, tool->name, "%s of %s: %s", which, tool->name, why.text);
    return tree;
}

static int grow(struct mcp_server *s)
{
    if (s->tool_count < s->tool_cap)
        return 0;
    size_t cap = s->tool_cap ? s->tool_cap * 2 : 32;
    struct mcp_tool_entry *tools = mem_realloc(s->tools, cap * sizeof(*tools));
    if (!tools)
        return BASE_ENOMEM;
    s->tools = tools;
    s->tool_cap = cap;
    return 0;
}

static int add_entry(struct mcp_server *s, const struct mcp_tool *tool, const cJSON *input,
                     const cJSON *output, struct error *err)
{
    if (grow(s))
        return error_set(err, BASE_ENOMEM, tool->name, "out of memory");
    struct mcp_tool_entry *entry = &s->tools[s->tool_count];
    *entry = (struct mcp_tool_entry){.tool = *tool};
    bool is_copied = copy_text(&entry->tool.name) & copy_text(&entry->tool.title) &
                     copy_text(&entry->tool.description);
    int status = is_copied ? mcp_schema_compile(input, &entry->input, err)
                           : error_set(err, BASE_ENOMEM, tool->name, "out of memory");
    if (status) {
        free_entry(entry);
        return status;
    }
    s->tool_count++;
    for (int i = 0; i < MCP_REVISIONS; i++) {
        render_entry(&s->lists[i], tool, input, output, (enum mcp_revision)i);
        if (buf_status(&s->lists[i]))
            return error_set(err, BASE_ENOMEM, tool->name, "out of memory");
    }
    return 0;
}

int mcp_server_add_tool(struct mcp_server *s, const struct mcp_tool *tool, struct error *err)
{
    if (server_find_tool(s, tool->name))
        return error_set(err, BASE_EINVAL, tool->name, "two tools are named %s", tool->name);
    cJSON *input = parse_schema(tool, tool->input_schema, "the input schema", err);
    cJSON *output = NULL;
    int status = input ? 0 : BASE_EINVAL;
    if (!status && tool->output_schema) {
        output = parse_schema(tool, tool->output_schema, "the output schema", err);
        status = output ? 0 : BASE_EINVAL;
    }
    if (!status)
        status = add_entry(s, tool, input, output, err);
    cJSON_Delete(input);
    cJSON_Delete(output);
    return status;
}
