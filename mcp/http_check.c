/* The checks of a request's headers. Spec: basic/transports/streamable-http of 2026-07-28
 * (#security-warning); RFC 9110 sections 8.3 and 12.5.1. */
#include <string.h>

#include "base/http_host.h"
#include "mcp/http_int.h"

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
    if (rest->len == 0)
        return *rest; /* of a header that is not there */
    const char *end = memchr(rest->ptr, mark, rest->len);
    struct slice head = {rest->ptr, end ? (size_t)(end - rest->ptr) : rest->len};
    *rest = drop(*rest, head.len + (end ? 1 : 0));
    return head;
}

/* ---- DNS rebinding ---- */

static bool is_in(const char *const *list, struct slice value)
{
    for (; list && *list; list++) {
        if (strcmp(*list, "*") == 0 || slice_is_equal_nocase(slice_from_cstr(*list), value))
            return true;
    }
    return false;
}

bool http_check_host(const struct mcp_http *t, const struct http_request *req)
{
    struct slice value = http_request_header(req, "Host");
    return http_host_is_loopback(value) || is_in(t->options.allowed_hosts, value) ||
           is_in(t->options.allowed_hosts, http_host_name(value));
}

bool http_check_origin(const struct mcp_http *t, const struct http_request *req)
{
    struct slice origin = http_request_header(req, "Origin");
    if (!origin.ptr || is_in(t->options.allowed_origins, origin))
        return true;
    if (starts_with(origin, SLICE_LIT("http://")))
        return http_host_is_loopback(drop(origin, 7));
    if (starts_with(origin, SLICE_LIT("https://")))
        return http_host_is_loopback(drop(origin, 8));
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
        if (slice_is_equal_nocase(range, wanted) || slice_is_equal(range, SLICE_LIT("*/*")))
            return true;
        if (range.len == major.len + 1 && range.ptr[major.len] == '*' &&
            slice_is_equal_nocase((struct slice){range.ptr, major.len}, major))
            return true;
    }
    return false;
}

bool http_is_json(const struct http_request *req)
{
    struct slice type = http_request_header(req, "Content-Type");
    type = trim(take_until(&type, ';'));
    return slice_is_equal_nocase(type, SLICE_LIT("application/json"));
}
