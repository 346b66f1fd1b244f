#include "base/json.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/utf8.h"

void json_writer_init(struct json_writer *w, struct buf *out)
{
    *w = (struct json_writer){.out = out, .first = 1};
}

/* Places the comma before a value or key where one is due. */
static void separate(struct json_writer *w)
{
    uint64_t bit = UINT64_C(1) << w->depth;
    if (w->after_key)
        w->after_key = false;
    else if (w->first & bit)
        w->first &= ~bit;
    else
        buf_append_char(w->out, ',');
}

static void open_level(struct json_writer *w, char bracket)
{
    separate(w);
    buf_append_char(w->out, bracket);
    assert(w->depth < 63);
    w->depth++;
    w->first |= UINT64_C(1) << w->depth;
}

static void close_level(struct json_writer *w, char bracket)
{
    assert(w->depth > 0 && !w->after_key);
    w->depth--;
    buf_append_char(w->out, bracket);
}

void json_begin_object(struct json_writer *w)
{
    open_level(w, '{');
}

void json_end_object(struct json_writer *w)
{
    close_level(w, '}');
}

void json_begin_array(struct json_writer *w)
{
    open_level(w, '[');
}

void json_end_array(struct json_writer *w)
{
    close_level(w, ']');
}

static void append_escaped_byte(struct buf *out, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
    char escape[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
    switch (c) {
    case '"':
    case '\\':
        escape[1] = (char)c;
        break;
    case '\n':
        escape[1] = 'n';
        break;
    case '\r':
        escape[1] = 'r';
        break;
    case '\t':
        escape[1] = 't';
        break;
    default:
        buf_append(out, escape, 6);
        return;
    }
    buf_append(out, escape, 2);
}

static bool is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

static void append_quoted(struct buf *out, struct slice text)
{
    const char *at = text.ptr;
    const char *end = text.ptr + text.len;
    buf_append_char(out, '"');
    while (at < end) {
        const char *run = at;
        while (at < end && is_plain((unsigned char)*at))
            at++;
        if (at > run)
            buf_append(out, run, (size_t)(at - run));
        if (at == end)
            break;
        size_t len = utf8_length_at(at, (size_t)(end - at));
        if ((unsigned char)*at < 0x80)
            append_escaped_byte(out, (unsigned char)*at);
        else if (len > 0)
            buf_append(out, at, len);
        else
            buf_append_cstr(out, "\xEF\xBF\xBD");
        at += len > 0 ? len : 1;
    }
    buf_append_char(out, '"');
}

void json_key(struct json_writer *w, const char *key)
{
    separate(w);
    append_quoted(w->out, slice_from_cstr(key));
    buf_append_char(w->out, ':');
    w->after_key = true;
}

void json_slice(struct json_writer *w, struct slice text)
{
    separate(w);
    append_quoted(w->out, text.ptr ? text : SLICE_LIT(""));
}

void json_string(struct json_writer *w, const char *text)
{
    if (text)
        json_slice(w, slice_from_cstr(text));
    else
        json_null(w);
}

void json_int(struct json_writer *w, int64_t value)
{
    separate(w);
    buf_append_i64(w->out, value);
}

void json_double(struct json_writer *w, double value)
{
    if (!isfinite(value)) {
        json_null(w); /* JSON has no infinity and no NaN */
        return;
    }
    if (value == (double)(int64_t)value && fabs(value) < 1e15) {
        json_int(w, (int64_t)value);
        return;
    }
    separate(w);
    char text[32];
    snprintf(text, sizeof(text), "%.15g", value);
    buf_append_cstr(w->out, text);
}

void json_bool(struct json_writer *w, bool value)
{
    separate(w);
    buf_append_cstr(w->out, value ? "true" : "false");
}

void json_null(struct json_writer *w)
{
    separate(w);
    buf_append_cstr(w->out, "null");
}

void json_raw(struct json_writer *w, struct slice json)
{
    separate(w);
    buf_append_slice(w->out, json);
}

static void write_children(struct json_writer *w, const cJSON *tree)
{
    const cJSON *child;
    cJSON_ArrayForEach(child, tree)
    {
        if (cJSON_IsObject(tree))
            json_key(w, child->string);
        json_tree(w, child);
    }
}

void json_tree(struct json_writer *w, const cJSON *tree) /* NOLINT(misc-no-recursion): depth is
                                                            bounded by JSON_DEPTH_MAX */
{
    if (cJSON_IsObject(tree)) {
        json_begin_object(w);
        write_children(w, tree);
        json_end_object(w);
    } else if (cJSON_IsArray(tree)) {
        json_begin_array(w);
        write_children(w, tree);
        json_end_array(w);
    } else if (cJSON_IsString(tree)) {
        json_string(w, tree->valuestring);
    } else if (cJSON_IsNumber(tree)) {
        json_double(w, tree->valuedouble);
    } else if (cJSON_IsBool(tree)) {
        json_bool(w, cJSON_IsTrue(tree));
    } else {
        json_null(w);
    }
}

void json_key_string(struct json_writer *w, const char *key, const char *text)
{
    json_key(w, key);
    json_string(w, text);
}

void json_key_int(struct json_writer *w, const char *key, int64_t value)
{
    json_key(w, key);
    json_int(w, value);
}

void json_key_bool(struct json_writer *w, const char *key, bool value)
{
    json_key(w, key);
    json_bool(w, value);
}
