#include "base/json.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/json_int.h"
#include "base/utf8.h"

void json_writer_init(struct json_writer *w, struct buf *out)
{
    *w = (struct json_writer){.out = out, .is_first = true};
}

/* Places the comma before a value or key where one is due. */
static void separate(struct json_writer *w)
{
    if (!w->is_first && !w->is_after_key)
        buf_append_char(w->out, ',');
    w->is_first = false;
    w->is_after_key = false;
}

static void open_level(struct json_writer *w, char bracket)
{
    separate(w);
    buf_append_char(w->out, bracket);
    w->depth++;
    w->is_first = true;
}

static void close_level(struct json_writer *w, char bracket)
{
    assert(w->depth > 0 && !w->is_after_key);
    w->depth--;
    w->is_first = false;
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
    char escape[6] = {'\\', (char)c};
    switch (c) {
    case '"':
    case '\\':
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
        escape[1] = 'u';
        escape[2] = '0';
        escape[3] = '0';
        escape[4] = hex[c >> 4];
        escape[5] = hex[c & 15];
        buf_append(out, escape, 6);
        return;
    }
    buf_append(out, escape, 2);
}

/* U+0080 to U+009F: C1 controls, which a terminal that shows the text may obey. */
static bool is_c1_control(const char *at, size_t len)
{
    return len == 2 && (unsigned char)at[0] == 0xC2 && (unsigned char)at[1] < 0xA0;
}

/* Writes the one character at `at` that is not plain; returns its length there. */
static size_t append_special(struct buf *out, const char *at, const char *end)
{
    unsigned char c = (unsigned char)*at;
    if (c < 0x80) {
        append_escaped_byte(out, c);
        return 1;
    }
    size_t len = utf8_length_at(at, (size_t)(end - at));
    if (len == 0) {
        buf_append_cstr(out, "\xEF\xBF\xBD");
        return 1;
    }
    if (is_c1_control(at, len))
        append_escaped_byte(out, (unsigned char)at[1]);
    else
        buf_append(out, at, len);
    return len;
}

/* json_skip_plain that copies on its way. There is room at `to` for all up to `end` and 7 bytes
 * more. Returns the end of the run; *to moves as far. */
static const char *copy_plain(char **to, const char *at, const char *end)
{
    char *out = *to;
    while (end - at >= 8) {
        uint64_t eight;
        memcpy(&eight, at, 8);
        memcpy(out, &eight, 8);
        uint64_t special = json_special_bytes(eight);
        unsigned plain = special ? json_plain_count(special) : 8;
        at += plain;
        out += plain;
        if (special)
            break;
    }
    while (at < end && json_is_plain((unsigned char)*at))
        *out++ = *at++;
    *to = out;
    return at;
}

/* Room for `len` bytes and a few more; false near the limit, where each append must ask. */
static bool has_room(struct buf *out, size_t len)
{
    size_t most = len + 16;
    return out->cap - out->len > most || (out->max - out->len >= most && !buf_reserve(out, most));
}

/* Plain bytes, and quotes and backslashes with their escapes. Room for twice what is left. */
static const char *copy_escaped(char **to, const char *at, const char *end)
{
    for (;;) {
        at = copy_plain(to, at, end);
        if (at == end || (*at != '"' && *at != '\\'))
            return at;
        *(*to)++ = '\\';
        *(*to)++ = *at++;
    }
}

/* As many of the bytes at `at` as need no closer look; returns their end. */
static const char *append_run(struct buf *out, const char *at, const char *end)
{
    if (!has_room(out, 2 * (size_t)(end - at))) {
        const char *run_end = json_skip_plain(at, end);
        buf_append(out, at, (size_t)(run_end - at));
        return run_end;
    }
    char *to = out->ptr + out->len;
    at = copy_escaped(&to, at, end);
    out->len = (size_t)(to - out->ptr);
    return at;
}

static void append_quoted_slowly(struct buf *out, const char *at, const char *end)
{
    buf_append_char(out, '"');
    for (at = append_run(out, at, end); at < end; at = append_run(out, at, end))
        at += append_special(out, at, end);
    buf_append_char(out, '"');
}

/* Most texts are plain from end to end. */
static void append_quoted(struct buf *out, struct slice text)
{
    const char *end = text.ptr + text.len;
    if (has_room(out, text.len)) {
        char *to = out->ptr + out->len;
        *to++ = '"';
        if (copy_plain(&to, text.ptr, end) == end) {
            *to++ = '"';
            *to = '\0';
            out->len = (size_t)(to - out->ptr);
            return;
        }
    }
    append_quoted_slowly(out, text.ptr, end);
}

void json_key(struct json_writer *w, const char *key)
{
    separate(w);
    append_quoted(w->out, slice_from_cstr(key));
    buf_append_char(w->out, ':');
    w->is_after_key = true;
}

void json_key_raw(struct json_writer *w, struct slice key)
{
    separate(w);
    buf_append(w->out, key.ptr, key.len);
    w->is_after_key = true;
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
        json_null(w);
        return;
    }
    if (fabs(value) <= (double)JSON_INTEGER_MAX && value == trunc(value)) {
        json_int(w, (int64_t)value);
        return;
    }
    char text[32];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    json_raw(w, slice_from_cstr(text));
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

/* NOLINTNEXTLINE(misc-no-recursion): a parsed tree is at most JSON_DEPTH_MAX deep */
static void write_members(struct json_writer *w, const cJSON *tree)
{
    const bool is_object = cJSON_IsObject(tree);
    for (const cJSON *child = tree->child; child; child = child->next) {
        if (is_object)
            json_key(w, child->string);
        json_tree(w, child);
    }
}

/* NOLINTNEXTLINE(misc-no-recursion): as above */
void json_tree(struct json_writer *w, const cJSON *tree)
{
    if (cJSON_IsObject(tree)) {
        json_begin_object(w);
        write_members(w, tree);
        json_end_object(w);
    } else if (cJSON_IsArray(tree)) {
        json_begin_array(w);
        write_members(w, tree);
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
