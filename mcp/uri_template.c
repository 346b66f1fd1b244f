#include "mcp/uri_template_int.h"

#include <string.h>

#include "base/arena.h"
#include "base/error.h"

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

int uri_template_check(const char *pattern, struct error *err)
{
    for (const char *at = pattern; *at; at++) {
        if (*at != '{')
            continue;
        const char *end = at + 1;
        while (is_name_char(*end))
            end++;
        if (end == at + 1 || *end != '}' || end[1] == '{')
            return error_set(err, BASE_EINVAL, "uri",
                             "\"%.100s\" is no template of literals and {name}s", pattern);
        at = end;
    }
    return 0;
}

/* Where the variable's value ends in the URI: before the literal that follows in the pattern. */
static const char *value_end(const char *uri, const char *rest)
{
    size_t literal = strcspn(rest, "{");
    const char *end = uri;
    while (*end && *end != '/' && !(literal > 0 && strncmp(end, rest, literal) == 0))
        end++;
    return end;
}

static bool is_named(const char *at, const char *close, const char *name)
{
    size_t len = (size_t)(close - at);
    return name && strlen(name) == len && memcmp(at, name, len) == 0;
}

bool uri_template_match(const char *pattern, const char *uri, const char *name, struct slice *value)
{
    while (*pattern) {
        if (*pattern != '{') {
            if (*pattern++ != *uri++)
                return false;
            continue;
        }
        const char *close = strchr(pattern, '}');
        const char *end = value_end(uri, close + 1);
        if (end == uri)
            return false;
        if (is_named(pattern + 1, close, name))
            *value = (struct slice){uri, (size_t)(end - uri)};
        pattern = close + 1;
        uri = end;
    }
    return *uri == '\0';
}

bool uri_template_has(const char *pattern, const char *name)
{
    for (const char *open = strchr(pattern, '{'); open; open = strchr(open + 1, '{')) {
        if (is_named(open + 1, strchr(open, '}'), name))
            return true;
    }
    return false;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

struct slice uri_decode(struct slice raw, struct arena *arena)
{
    char *text = arena_alloc(arena, raw.len + 1);
    size_t len = 0;
    if (!text)
        return SLICE_EMPTY;
    for (size_t i = 0; i < raw.len; i++) {
        char c = raw.ptr[i];
        if (c == '%') {
            int high = i + 2 < raw.len ? hex_digit(raw.ptr[i + 1]) : -1;
            int low = high >= 0 ? hex_digit(raw.ptr[i + 2]) : -1;
            if (low < 0 || high * 16 + low == 0)
                return SLICE_EMPTY;
            c = (char)(high * 16 + low);
            i += 2;
        }
        text[len++] = c;
    }
    text[len] = '\0';
    return (struct slice){text, len};
}
