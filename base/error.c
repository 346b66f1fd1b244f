#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

/* Cuts text that vsnprintf truncated in the middle of a UTF-8 sequence. */
static void trim_partial_utf8(char *text)
{
    size_t len = strlen(text);
    size_t start = len;
    while (start > 0 && ((unsigned char)text[start - 1] & 0xC0) == 0x80)
        start--;
    if (start == 0)
        return;
    unsigned char lead = (unsigned char)text[start - 1];
    size_t want = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
    if (len - (start - 1) < want)
        text[start - 1] = '\0';
}

/* The values in a message come from outside, and "%.60s" cuts where it likes. */
static void make_valid_utf8(char *text)
{
    trim_partial_utf8(text);
    char *end = text + strlen(text);
    while (text < end) {
        size_t len = utf8_length_at(text, (size_t)(end - text));
        if (len == 0)
            *text = '?';
        text += len > 0 ? len : 1;
    }
}

int error_set(struct error *err, int code, const char *field, const char *format, ...)
{
    if (!err)
        return code;
    err->code = code;
    snprintf(err->field, sizeof(err->field), "%s", field ? field : "");
    make_valid_utf8(err->field);
    va_list args;
    va_start(args, format);
    vsnprintf(err->text, sizeof(err->text), format, args);
    va_end(args);
    make_valid_utf8(err->text);
    return code;
}
