#pragma once
/* mcp/content: writes content blocks, resource contents and prompt messages as JSON.
 *
 *     json_begin_array(&w);
 *     mcp_content_text(&w, SLICE_LIT("here is the chart"));
 *     mcp_content_image(&w, png_bytes, "image/png");
 *     json_end_array(&w);
 *     mcp_call_content(call, buf_slice(&b), false);
 *
 * Bytes are written in base64. Spec: server/tools#tool-result, server/resources#data-types. */
#include "base/json.h"

void mcp_content_text(struct json_writer *w, struct slice text);
void mcp_content_image(struct json_writer *w, struct slice bytes, const char *mime_type);
void mcp_content_audio(struct json_writer *w, struct slice bytes, const char *mime_type);
/* A link to a resource that the client may read. `mime_type` may be NULL. */
void mcp_content_link(struct json_writer *w, const char *uri, const char *name,
                      const char *mime_type);
/* An embedded resource: begin, one of the two resource functions below, end. */
void mcp_content_embed_begin(struct json_writer *w);
void mcp_content_embed_end(struct json_writer *w);

/* The contents of a resource: an element of mcp_call_contents' array, or embedded. `mime_type` may
 * be NULL. */
void mcp_content_resource_text(struct json_writer *w, const char *uri, const char *mime_type,
                               struct slice text);
void mcp_content_resource_blob(struct json_writer *w, const char *uri, const char *mime_type,
                               struct slice bytes);

/* A prompt's message: begin with role "user" or "assistant", one content block, end. */
void mcp_content_message_begin(struct json_writer *w, const char *role);
void mcp_content_message_end(struct json_writer *w);
