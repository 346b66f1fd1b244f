/* Text in buffers of fixed size: what is too long is cut and says so. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "mcp/schema_int.h"

#define VALUE_CHARS 60

void words_init(struct words *w, char *out, size_t size)
{
    *w = (struct words){.out = out, .size = size};
    out[0] = '\0';
}

void words_put(struct words *w, const char *format, ...)
{
    va_list args;
    if (w->is_cut)
        return;
    va_start(args, format);
    int len = vsnprintf(w->out + w->len, w->size - w->len, format, args);
    va_end(args);
    if (len < 0 || (size_t)len >= w->size - w->len) {
        w->is_cut = true;
        w->len = w->size - 1;
        return;
    }
    w->len += (size_t)len;
}

static void put_bytes(struct words *w, const char *bytes, size_t len)
{
    words_put(w, "%.*s", (int)len, bytes);
}

void words_quote(struct words *w, const char *text, size_t max)
{
    size_t left = strlen(text);
    words_put(w, "\"");
    for (size_t i = 0; i < max && left > 0 && !w->is_cut; i++) {
        size_t len = utf8_length_at(text, left);
        unsigned char first = (unsigned char)*text;
        if (len == 0)
            words_put(w, "?");
        else if (first == '"' || first == '\\')
            words_put(w, "\\%c", first);
        else if (first < 0x20 || first == 0x7F)
            words_put(w, "\\u%04x", first);
        else
            put_bytes(w, text, len);
        text += len > 0 ? len : 1;
        left -= len > 0 ? len : 1;
    }
    words_put(w, left > 0 ? "...\"" : "\"");
}

void words_number(struct words *w, double value)
{
    char text[40];
    snprintf(text, sizeof(text), "%.15g", value);
    if (strtod(text, NULL) < value || strtod(text, NULL) > value)
        snprintf(text, sizeof(text), "%.17g", value);
    words_put(w, "%s", text);
}

static void put_count(struct words *w, size_t count, const char *one, const char *many)
{
    words_put(w, "%zu %s", count, count == 1 ? one : many);
}

void words_value(struct words *w, const cJSON *value)
{
    switch (SCHEMA_TYPE(value)) {
    case cJSON_String:
        words_quote(w, value->valuestring, VALUE_CHARS);
        break;
    case cJSON_Number:
        words_number(w, value->valuedouble);
        break;
    case cJSON_True:
        words_put(w, "true");
        break;
    case cJSON_False:
        words_put(w, "false");
        break;
    case cJSON_NULL:
        words_put(w, "null");
        break;
    case cJSON_Array:
        words_put(w, "an array of ");
        put_count(w, schema_count(value), "item", "items");
        break;
    case cJSON_Object:
        words_put(w, "an object of ");
        put_count(w, schema_count(value), "property", "properties");
        break;
    default:
        words_put(w, "no JSON value");
    }
}

/* A name that would be misread between dots goes into brackets. */
static bool is_plain_name(const char *name)
{
    if (!*name)
        return false;
    for (; *name; name++) {
        if (strchr(".[]\"\\", *name) || (unsigned char)*name <= 0x20 || *name == 0x7F)
            return false;
    }
    return true;
}

void words_place(struct words *w, const struct schema_place *place) /* NOLINT(misc-no-recursion) */
{
    if (!place->parent)
        return;
    words_place(w, place->parent);
    if (!place->key) {
        words_put(w, "[%zu]", place->index);
    } else if (is_plain_name(place->key)) {
        words_put(w, "%s%s", w->len > 0 ? "." : "", place->key);
    } else {
        words_put(w, "[");
        words_quote(w, place->key, VALUE_CHARS);
        words_put(w, "]");
    }
}

/* NOLINTNEXTLINE(misc-no-recursion) */
void words_pointer(struct words *w, const struct schema_place *place)
{
    if (!place->parent)
        return;
    words_pointer(w, place->parent);
    words_put(w, "/");
    if (!place->key)
        words_put(w, "%zu", place->index);
    for (const char *c = place->key; c && *c && !w->is_cut; c++) {
        if (*c == '~' || *c == '/')
            words_put(w, "~%c", *c == '~' ? '0' : '1');
        else
            words_put(w, "%c", *c);
    }
}

/* Cuts the text before `len` where no sequence is cut, and puts the dots there. */
static void cut(struct words *w)
{
    size_t len = w->size - 4;
    while (len > 0 && ((unsigned char)w->out[len] & 0xC0) == 0x80)
        len--;
    memcpy(w->out + len, "...", 4);
}

void words_end(struct words *w)
{
    if (w->is_cut)
        cut(w);
    char *end = w->out + strlen(w->out);
    for (char *at = w->out; at < end;) {
        size_t len = utf8_length_at(at, (size_t)(end - at));
        if (len == 0)
            *at = '?';
        at += len > 0 ? len : 1;
    }
}
