#pragma once
/* base/base64: RFC 4648. Section 4 (`base64_`, with padding) and section 5 (`base64url_`, the
 * url-safe alphabet without padding).
 * Decoding takes the canonical form only: no other characters, no line breaks, the unused bits of
 * the last digit are zero. */
#include <stddef.h>

#include "base/slice.h"

struct buf;

/* Appends the encoded `bytes`, which must not lie in `b`; a failure shows in buf_status. */
void base64_append(struct buf *b, struct slice bytes);
void base64url_append(struct buf *b, struct slice bytes);

/* `out` has room for BASE64_DECODED_MAX(text.len) bytes and may be text.ptr itself; nothing is
 * terminated. 0 and *len, or BASE_EINVAL. */
#define BASE64_DECODED_MAX(text_len) ((text_len) / 4 * 3 + 3)
__attribute__((warn_unused_result)) int base64_decode(struct slice text, char *out, size_t *len);
__attribute__((warn_unused_result)) int base64url_decode(struct slice text, char *out, size_t *len);
