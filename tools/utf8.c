/* tools/utf8.c */
#include "tools/utf8_int.h"

#include <stdint.h>

static bool is_continuation(char c)
{
    return ((unsigned char)c & 0xC0) == 0x80;
}

size_t utf8_length(struct slice text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.len; i++)
        count += !is_continuation(text.ptr[i]);
    return count;
}

struct slice utf8_cut(struct slice text, size_t count)
{
    size_t i = 0;
    while (i < text.len) {
        if (!is_continuation(text.ptr[i]) && count-- == 0)
            break;
        i++;
    }
    return (struct slice){text.ptr, i};
}

/* The code point that the 1 to 3 bytes make; white space needs no four. */
static uint32_t decode(const char *bytes, size_t len)
{
    const unsigned char *b = (const unsigned char *)bytes;
    if (len == 1)
        return b[0];
    if (len == 2)
        return (b[0] & 0x1Fu) << 6 | (b[1] & 0x3Fu);
    if (len == 3)
        return (b[0] & 0x0Fu) << 12 | (b[1] & 0x3Fu) << 6 | (b[2] & 0x3Fu);
    return UINT32_MAX;
}

/* Unicode 16, PropList.txt, White_Space. */
static bool is_white_space(uint32_t c)
{
    return (c >= 0x09 && c <= 0x0D) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
           c == 0x205F || c == 0x3000;
}

static size_t first_char_len(struct slice text)
{
    size_t len = 1;
    while (len < text.len && is_continuation(text.ptr[len]))
        len++;
    return len;
}

static size_t last_char_len(struct slice text)
{
    size_t len = 1;
    while (len < text.len && is_continuation(text.ptr[text.len - len]))
        len++;
    return len;
}

struct slice utf8_trim(struct slice text)
{
    while (text.len > 0) {
        size_t len = first_char_len(text);
        if (!is_white_space(decode(text.ptr, len)))
            break;
        text.ptr += len;
        text.len -= len;
    }
    while (text.len > 0) {
        size_t len = last_char_len(text);
        if (!is_white_space(decode(text.ptr + text.len - len, len)))
            break;
        text.len -= len;
    }
    return text;
}
