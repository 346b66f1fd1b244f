/* The checks of a request's headers. Spec: basic/transports/streamable-http of 2026-07-28
 * (#security-warning, #server-validation); RFC 9110 sections 8.3 and 12.5.1. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "mcp/http_int.h"

static bool is_equal_nocase(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || strncasecmp(a.ptr, b.ptr, a.len) == 0);
}

static bool starts_with(struct slice s, struct slice prefix)
{
    return s.len >= prefix.len && memcmp(s.ptr, prefix.ptr, prefix.len) == 0;
}

static struct slice drop(struct slice s, size_t count)
{
    return (struct slice){s.ptr + count, s.len - count};
}

static struct slice trim(struct slice s)
{
    while (s.len > 0 && (s.ptr[0] == ' ' || s.ptr[0] == '\t'))
        s = drop(s, 1);
    while (s.len > 0 && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t'))
        s.len--;
    return s;
}

/* Takes what stands before `mark` off the front of `rest`. */
static struct slice take_until(struct slice *rest, char mark)
{
    const char *end = rest->len ? memchr(rest->ptr, mark, rest->len) : NULL;
    struct slice head = {rest->ptr, end ? (size_t)(end - rest->ptr) : rest->len};
    *rest = drop(*rest, head.len + (end ? 1 : 0));
    return head;
}

/* ---- DNS rebinding ---- */

static bool is_in(const char *const *list, struct slice value)
{
    for (; list && *list; list++) {
        if (strcmp(*list, "*") == 0 || is_equal_nocase(slice_from_cstr(*list), value))
            return true;
    }
    return false;
}

/* host or host:port or [v6]:port -> host */
static struct slice without_port(struct slice host)
{
    if (host.len > 0 && host.ptr[0] == '[') {
        const char *end = memchr(host.ptr, ']', host.len);
        return end ? (struct slice){host.ptr, (size_t)(end - host.ptr) + 1} : host;
    }
    return take_until(&host, ':');
}

static bool is_loopback_name(struct slice host)
{
    return is_equal_nocase(host, SLICE_LIT("localhost")) ||
           slice_is_equal(host, SLICE_LIT("127.0.0.1")) || slice_is_equal(host, SLICE_LIT("[::1]"));
}

bool http_check_host(const struct mcp_http *t, const struct http_request *req)
{
    struct slice value = http_request_header(req, "Host");
    struct slice host = without_port(value);
    return is_loopback_name(host) || is_in(t->options.allowed_hosts, value) ||
           is_in(t->options.allowed_hosts, host);
}

bool http_check_origin(const struct mcp_http *t, const struct http_request *req)
{
    struct slice origin = http_request_header(req, "Origin");
    if (!origin.ptr || is_in(t->options.allowed_origins, origin))
        return true;
    if (starts_with(origin, SLICE_LIT("http://")))
        return is_loopback_name(without_port(drop(origin, 7)));
    if (starts_with(origin, SLICE_LIT("https://")))
        return is_loopback_name(without_port(drop(origin, 8)));
    return false;
}

/* ---- content ---- */

/* application/json matches itself, application/<any> and <any>/<any>; no header accepts all. */
bool http_accepts(const struct http_request *req, const char *type)
{
    struct slice rest = http_request_header(req, "Accept");
    struct slice wanted = slice_from_cstr(type);
    struct slice major = {type, (size_t)(strchr(type, '/') - type) + 1};
    if (!rest.ptr)
        return true;
    while (rest.len > 0) {
        struct slice range = take_until(&rest, ',');
        range = trim(take_until(&range, ';'));
        if (is_equal_nocase(range, wanted) || slice_is_equal(range, SLICE_LIT("*/*")))
            return true;
        if (range.len == major.len + 1 && range.ptr[major.len] == '*' &&
            is_equal_nocase((struct slice){range.ptr, major.len}, major))
            return true;
    }
    return false;
}

bool http_is_json(const struct http_request *req)
{
    struct slice type = http_request_header(req, "Content-Type");
    type = trim(take_until(&type, ';'));
    return is_equal_nocase(type, SLICE_LIT("application/json"));
}

/* ---- mirrored headers ---- */

static int base64_digit(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* RFC 4648 section 4, canonical, with padding. False when it is none; `out` has room for
 * 3/4 of it. */
static bool decode_base64(struct slice text, char *out, size_t *len)
{
    *len = 0;
    if (text.len % 4 != 0)
        return false;
    while (text.len > 0 && text.ptr[text.len - 1] == '=')
        text.len--;
    unsigned bits = 0;
    int count = 0;
    for (size_t i = 0; i < text.len; i++) {
        int digit = base64_digit(text.ptr[i]);
        if (digit < 0)
            return false;
        bits = (bits << 6 | (unsigned)digit) & 0xffff;
        count += 6;
        if (count >= 8) {
            count -= 8;
            out[(*len)++] = (char)(bits >> count & 0xff);
        }
    }
    return count < 6 && (bits & ((1u << count) - 1)) == 0;
}

static bool is_plain(struct slice value)
{
    for (size_t i = 0; i < value.len; i++) {
        if ((value.ptr[i] < 0x20 && value.ptr[i] != '\t') || value.ptr[i] > 0x7e)
            return false;
    }
    return true;
}

/* The header's value as the body has it: =?base64?…?= is decoded into the request's arena. */
static bool decode_value(const struct http_request *req, struct slice *value)
{
    static const struct slice head = {"=?base64?", 9};
    if (!is_plain(*value))
        return false;
    if (!starts_with(*value, head) || value->len < 11 ||
        memcmp(value->ptr + value->len - 2, "?=", 2) != 0)
        return true;
    struct slice text = {value->ptr + head.len, value->len - 11};
    /* The arena is the request's own scratch; the request itself stays as it is. */
    char *bytes =
        arena_alloc(http_request_arena((struct http_request *)(uintptr_t)req), text.len + 1);
    if (!bytes || !decode_base64(text, bytes, &value->len))
        return false;
    value->ptr = bytes;
    return true;
}

static bool check_one(const struct http_request *req, const char *name, const char *body,
                      char *text, size_t size)
{
    struct slice value = http_request_header(req, name);
    if (!value.ptr)
        snprintf(text, size, "Header mismatch: the header %s is missing", name);
    else if (http_request_header_count(req, name) > 1)
        snprintf(text, size, "Header mismatch: the header %s came more than once", name);
    else if (!decode_value(req, &value))
        snprintf(text, size, "Header mismatch: the value of %s is malformed", name);
    else if (!slice_is_equal(value, slice_from_cstr(body)))
        snprintf(text, size, "Header mismatch: the value of %s differs from the body's", name);
    else
        return true;
    return false;
}

/* The member of params that Mcp-Name mirrors, or NULL. */
static const char *name_member(const char *method)
{
    if (strcmp(method, "tools/call") == 0 || strcmp(method, "prompts/get") == 0)
        return "name";
    return strcmp(method, "resources/read") == 0 ? "uri" : NULL;
}

bool http_check_mirrored(const struct http_request *req, const struct mcp_message *m, char *text,
                         size_t size)
{
    if (!check_one(req, "Mcp-Method", m->method, text, size))
        return false;
    const char *member = name_member(m->method);
    const char *name = member ? json_get_string(m->params, member) : NULL;
    return !name || check_one(req, "Mcp-Name", name, text, size);
}
