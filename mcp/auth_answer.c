/* What clients are told: the metadata of RFC 9728 and the challenges of RFC 6750. The scope names
 * and URLs in them are ours, without quotes or backslashes. */
#include "base/buf.h"
#include "base/json.h"
#include "mcp/auth_int.h"

static const struct {
    const char *word, *text;
} reasons[] = {
#define X(name, word, text) {word, text},
    MCP_AUTH_REASONS(X)
#undef X
};

const char *mcp_auth_reason_word(enum mcp_auth_reason reason)
{
    return reasons[reason].word;
}

const char *mcp_auth_reason_text(enum mcp_auth_reason reason)
{
    return reasons[reason].text;
}

bool mcp_auth_is_temporary(enum mcp_auth_reason reason)
{
    return reason == MCP_AUTH_KEYS_UNAVAILABLE || reason == MCP_AUTH_BUSY ||
           reason == MCP_AUTH_NO_MEMORY;
}

void mcp_auth_metadata(const struct mcp_auth *a, struct buf *out)
{
    const struct mcp_auth_options *o = &a->options;
    struct json_writer w;
    json_writer_init(&w, out);
    json_begin_object(&w);
    json_key_string(&w, "resource", o->resource);
    json_key(&w, "authorization_servers");
    json_begin_array(&w);
    json_string(&w, o->issuer);
    json_end_array(&w);
    json_key(&w, "scopes_supported");
    json_begin_array(&w);
    for (size_t i = 0; i < o->scope_count; i++)
        json_string(&w, o->scopes[i].name);
    json_end_array(&w);
    json_key(&w, "bearer_methods_supported");
    json_begin_array(&w);
    json_string(&w, "header");
    json_end_array(&w);
    if (o->resource_name)
        json_key_string(&w, "resource_name", o->resource_name);
    json_end_object(&w);
}

const char *mcp_auth_metadata_url(const struct mcp_auth *a)
{
    return a->metadata_url;
}

static void append_scopes(const struct mcp_auth_options *o, uint32_t scopes, struct buf *out)
{
    const char *separator = ", scope=\"";
    for (size_t i = 0; i < o->scope_count; i++) {
        if ((o->scopes[i].bits & scopes) == 0)
            continue;
        buf_append_cstr(out, separator);
        buf_append_cstr(out, o->scopes[i].name);
        separator = " ";
    }
    if (*separator == ' ')
        buf_append_char(out, '"');
}

void mcp_auth_challenge(const struct mcp_auth *a, enum mcp_auth_reason reason, uint32_t scopes,
                        struct buf *out)
{
    buf_printf(out, "Bearer resource_metadata=\"%s\"", a->metadata_url);
    if (reason != MCP_AUTH_MISSING)
        buf_printf(out, ", error=\"%s\", error_description=\"%s\"",
                   reason == MCP_AUTH_SCOPE_MISSING ? "insufficient_scope" : "invalid_token",
                   mcp_auth_reason_text(reason));
    append_scopes(&a->options, scopes, out);
}
