/* Headers that mirror the body, so that proxies can route without parsing it; what differs is
 * refused. Spec: basic/transports/streamable-http of 2026-07-28 (#request-metadata); for tasks the
 * extension io.modelcontextprotocol/tasks. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/base64.h"
#include "mcp/http_int.h"

/* Why a header was refused; its name comes before. */
static const char missing[] = "is missing";
static const char repeated[] = "came more than once";
static const char malformed[] = "is malformed";
static const char different[] = "differs from the body";
static const char unexpected[] = "has no value in the body";

/* Visible ASCII, spaces and tabs. */
static bool is_plain(struct slice value)
{
    for (size_t i = 0; i < value.len; i++) {
        if ((value.ptr[i] < 0x20 && value.ptr[i] != '\t') || value.ptr[i] > 0x7e)
            return false;
    }
    return true;
}

static bool is_encoded(struct slice value)
{
    static const char head[] = "=?base64?";
    size_t len = sizeof(head) - 1;
    return value.len >= len + 2 && memcmp(value.ptr, head, len) == 0 &&
           memcmp(value.ptr + value.len - 2, "?=", 2) == 0;
}

/* The value as the body has it: =?base64?…?= is decoded into the request's arena. */
static bool decode_value(struct http_request *req, struct slice *value)
{
    if (!is_plain(*value))
        return false;
    if (!is_encoded(*value))
        return true;
    struct slice text = {value->ptr + 9, value->len - 11};
    char *bytes = arena_alloc(http_request_arena(req), BASE64_DECODED_MAX(text.len));
    if (!bytes || base64_decode(text, bytes, &value->len))
        return false;
    value->ptr = bytes;
    return true;
}

/* NULL and the decoded value, or why not. */
static const char *read_header(struct http_request *req, const char *name, struct slice *value)
{
    *value = http_request_header(req, name);
    if (!value->ptr)
        return missing;
    if (http_request_header_count(req, name) > 1)
        return repeated;
    return decode_value(req, value) ? NULL : malformed;
}

static const char *check_name(struct http_request *req, const char *body)
{
    struct slice value;
    const char *fault = read_header(req, "Mcp-Name", &value);
    if (!fault && !slice_is_equal(value, slice_from_cstr(body)))
        fault = different;
    return fault;
}

/* Method names are plain: this header is never encoded. */
static const char *check_method(const struct http_request *req, const char *body)
{
    struct slice value = http_request_header(req, "Mcp-Method");
    if (!value.ptr)
        return missing;
    if (http_request_header_count(req, "Mcp-Method") > 1)
        return repeated;
    return slice_is_equal(value, slice_from_cstr(body)) ? NULL : different;
}

/* ---- Mcp-Param-… ---- */

/* A decimal number as JSON writes it; its value compares, not its text: 42.0 is 42. */
static bool parse_number(struct slice text, double *out)
{
    char copy[64];
    if (text.len == 0 || text.len >= sizeof(copy))
        return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    if (strspn(copy, "+-.0123456789eE") != text.len || copy[0] == '+' || copy[0] == '.')
        return false;
    char *end;
    *out = strtod(copy, &end);
    return end == copy + text.len;
}

/* Beyond 2^53 different integers are one double. */
static bool is_same_number(struct slice header, double body)
{
    double value;
    return parse_number(header, &value) && fabs(value) <= (double)JSON_INTEGER_MAX && value == body;
}

static const char *check_value(struct http_request *req, const char *name, const cJSON *body)
{
    struct slice value;
    const char *fault = read_header(req, name, &value);
    bool is_same = false;
    if (fault)
        return fault;
    if (cJSON_IsString(body))
        is_same = slice_is_equal(value, slice_from_cstr(body->valuestring));
    else if (cJSON_IsBool(body))
        is_same = slice_is_equal(value, slice_from_cstr(cJSON_IsTrue(body) ? "true" : "false"));
    else
        is_same = is_same_number(value, body->valuedouble);
    return is_same ? NULL : different;
}

static const cJSON *value_at(const cJSON *arguments, const char *const *path)
{
    const cJSON *at = arguments;
    for (; at && *path; path++)
        at = json_get(at, *path);
    return at;
}

/* An object or array where the schema wants a text or number has no header; the schema refuses
 * it afterwards. */
static const char *check_param(struct http_request *req, const struct mcp_header_param *param,
                               const cJSON *arguments)
{
    const cJSON *body = value_at(arguments, param->path);
    if (cJSON_IsObject(body) || cJSON_IsArray(body))
        return NULL;
    if (body && !cJSON_IsNull(body))
        return check_value(req, param->header, body);
    return http_request_header_count(req, param->header) > 0 ? unexpected : NULL;
}

/* ---- all of them ---- */

/* The member of params that Mcp-Name mirrors, or NULL. */
static const char *name_member(const char *method)
{
    static const char *const members[][2] = {
        {"tools/call", "name"},  {"prompts/get", "name"},    {"resources/read", "uri"},
        {"tasks/get", "taskId"}, {"tasks/update", "taskId"}, {"tasks/cancel", "taskId"},
    };
    for (size_t i = 0; i < sizeof(members) / sizeof(*members); i++) {
        if (strcmp(members[i][0], method) == 0)
            return members[i][1];
    }
    return NULL;
}

/* NULL, or the fault and the header that has it. */
static const char *find_fault(const struct mcp_request_context *rx, struct http_request *req,
                              const struct mcp_message *m, const char **header)
{
    *header = "Mcp-Method";
    const char *fault = check_method(req, m->method);
    const char *member = name_member(m->method);
    const char *name = member ? json_get_string(m->params, member) : NULL;
    if (!fault && name) {
        *header = "Mcp-Name";
        fault = check_name(req, name);
    }
    if (fault || !name || strcmp(m->method, "tools/call") != 0)
        return fault;
    size_t count;
    const struct mcp_header_param *params = mcp_tool_header_params(rx, name, &count);
    for (size_t i = 0; i < count && !fault; i++) {
        *header = params[i].header;
        fault = check_param(req, &params[i], json_get(m->params, "arguments"));
    }
    return fault;
}

bool http_check_mirrored(const struct mcp_request_context *rx, struct http_request *req,
                         const struct mcp_message *m, char *text, size_t size)
{
    const char *header;
    const char *fault = find_fault(rx, req, m, &header);
    if (!fault)
        return true;
    snprintf(text, size, "Header mismatch: %s %s", header, fault);
    return false;
}
