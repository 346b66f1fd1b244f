#include "mcp/content.h"

#include "base/base64.h"
#include "base/buf.h"

static void begin(struct json_writer *w, const char *type)
{
    json_begin_object(w);
    json_key_string(w, "type", type);
}

/* Base64 needs no escapes: it is written between two quotes as a value. */
static void write_bytes(struct json_writer *w, const char *key, struct slice bytes)
{
    json_key(w, key);
    json_raw(w, SLICE_LIT("\""));
    base64_append(w->out, bytes);
    buf_append_char(w->out, '"');
}

static void write_media(struct json_writer *w, const char *type, struct slice bytes,
                        const char *mime_type)
{
    begin(w, type);
    write_bytes(w, "data", bytes);
    json_key_string(w, "mimeType", mime_type);
    json_end_object(w);
}

void mcp_content_text(struct json_writer *w, struct slice text)
{
    begin(w, "text");
    json_key(w, "text");
    json_slice(w, text);
    json_end_object(w);
}

void mcp_content_image(struct json_writer *w, struct slice bytes, const char *mime_type)
{
    write_media(w, "image", bytes, mime_type);
}

void mcp_content_audio(struct json_writer *w, struct slice bytes, const char *mime_type)
{
    write_media(w, "audio", bytes, mime_type);
}

static void write_mime_type(struct json_writer *w, const char *mime_type)
{
    if (mime_type)
        json_key_string(w, "mimeType", mime_type);
}

void mcp_content_link(struct json_writer *w, const char *uri, const char *name,
                      const char *mime_type)
{
    begin(w, "resource_link");
    json_key_string(w, "uri", uri);
    json_key_string(w, "name", name);
    write_mime_type(w, mime_type);
    json_end_object(w);
}

void mcp_content_embed_begin(struct json_writer *w)
{
    begin(w, "resource");
    json_key(w, "resource");
}

void mcp_content_embed_end(struct json_writer *w)
{
    json_end_object(w);
}

void mcp_content_resource_text(struct json_writer *w, const char *uri, const char *mime_type,
                               struct slice text)
{
    json_begin_object(w);
    json_key_string(w, "uri", uri);
    write_mime_type(w, mime_type);
    json_key(w, "text");
    json_slice(w, text);
    json_end_object(w);
}

void mcp_content_resource_blob(struct json_writer *w, const char *uri, const char *mime_type,
                               struct slice bytes)
{
    json_begin_object(w);
    json_key_string(w, "uri", uri);
    write_mime_type(w, mime_type);
    write_bytes(w, "blob", bytes);
    json_end_object(w);
}

void mcp_content_message_begin(struct json_writer *w, const char *role)
{
    json_begin_object(w);
    json_key_string(w, "role", role);
    json_key(w, "content");
}

void mcp_content_message_end(struct json_writer *w)
{
    json_end_object(w);
}
