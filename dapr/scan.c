#include "dapr/scan_int.h"

static void skip_space(struct scan *s)
{
    while (s->at < s->end && (*s->at == ' ' || *s->at == '\t' || *s->at == '\n' || *s->at == '\r'))
        s->at++;
}

/* From the opening quote to behind the closing one. */
static void skip_string(struct scan *s)
{
    s->at++;
    while (s->at < s->end && *s->at != '"')
        s->at += *s->at == '\\' ? 2 : 1;
    s->at = s->at < s->end ? s->at + 1 : s->end;
}

static bool ends_scalar(char c)
{
    return c == ',' || c == ']' || c == '}' || c == ' ' || c == '\t' || c == '\n' || c == '\r' ||
           c == ':';
}

/* An object or array, to behind its last bracket. */
static void skip_nested(struct scan *s)
{
    size_t depth = 0;
    while (s->at < s->end) {
        char c = *s->at;
        if (c == '"') {
            skip_string(s);
            continue;
        }
        depth += c == '{' || c == '[';
        s->at++;
        if ((c == '}' || c == ']') && --depth == 0)
            return;
    }
}

static struct slice take_value(struct scan *s)
{
    skip_space(s);
    const char *from = s->at;
    if (s->at < s->end && *s->at == '"')
        skip_string(s);
    else if (s->at < s->end && (*s->at == '{' || *s->at == '['))
        skip_nested(s);
    else
        while (s->at < s->end && !ends_scalar(*s->at))
            s->at++;
    return (struct slice){from, (size_t)(s->at - from)};
}

static bool begin(struct scan *s, struct slice text, char bracket)
{
    if (text.len == 0)
        return false; /* ptr may be NULL */
    *s = (struct scan){text.ptr, text.ptr + text.len};
    skip_space(s);
    if (s->at == s->end || *s->at != bracket)
        return false;
    s->at++;
    return true;
}

bool scan_object(struct scan *s, struct slice text)
{
    return begin(s, text, '{');
}

bool scan_array(struct scan *s, struct slice text)
{
    return begin(s, text, '[');
}

/* Past the comma, if any; false at the closing bracket. */
static bool has_more(struct scan *s)
{
    skip_space(s);
    if (s->at < s->end && *s->at == ',')
        s->at++;
    skip_space(s);
    return s->at < s->end && *s->at != '}' && *s->at != ']';
}

bool scan_member(struct scan *s, struct slice *key, struct slice *value)
{
    if (!has_more(s))
        return false;
    *key = scan_string(take_value(s));
    skip_space(s);
    if (s->at < s->end)
        s->at++; /* the colon */
    *value = take_value(s);
    return true;
}

bool scan_item(struct scan *s, struct slice *value)
{
    if (!has_more(s))
        return false;
    *value = take_value(s);
    return true;
}

struct slice scan_string(struct slice value)
{
    if (value.len < 2 || value.ptr[0] != '"')
        return SLICE_EMPTY;
    return (struct slice){value.ptr + 1, value.len - 2};
}
