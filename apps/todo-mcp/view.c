#include "view.h"

#include <strings.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/http_server.h"

#define TOOLSETS_HEADER "X-MCP-Toolsets"
#define TOOLS_HEADER    "X-MCP-Tools"
#define READONLY_HEADER "X-MCP-Readonly"

static bool is_word(struct slice value, const char *word)
{
    return value.len == strlen(word) && strncasecmp(value.ptr, word, value.len) == 0;
}

static int read_flag(struct slice value, bool *out, struct error *err)
{
    static const char *const words[2][4] = {{"true", "1", "yes", "on"},
                                            {"false", "0", "no", "off"}};
    for (size_t i = 0; i < 4; i++) {
        if (is_word(value, words[0][i]) || is_word(value, words[1][i])) {
            *out = is_word(value, words[0][i]);
            return 0;
        }
    }
    return error_set(err, BASE_EINVAL, READONLY_HEADER,
                     "the header " READONLY_HEADER " must be true or false");
}

/* Two of a kind are refused: whoever is to see less must not see more by the order of lines. */
static int check_count(const struct http_request *req, const char *header, struct error *err)
{
    if (http_request_header_count(req, header) <= 1)
        return 0;
    return error_set(err, BASE_EINVAL, header, "the header %s came more than once", header);
}

static int parse(const struct http_request *req, struct slice toolsets, struct slice tools,
                 struct slice readonly, struct tool_view *out, struct error *err)
{
    bool reads_only = false;
    struct error why = {0};
    int status = check_count(req, TOOLSETS_HEADER, err);
    if (!status)
        status = check_count(req, TOOLS_HEADER, err);
    if (!status)
        status = check_count(req, READONLY_HEADER, err);
    if (!status && readonly.len > 0)
        status = read_flag(readonly, &reads_only, err);
    if (status)
        return status;
    status = tool_view_parse(toolsets, tools, reads_only, out, &why);
    if (!status)
        return 0;
    const char *header =
        is_word(slice_from_cstr(why.field), "toolset") ? TOOLSETS_HEADER : TOOLS_HEADER;
    return error_set(err, status, header, "%s: %s", header, why.text);
}

int view_from_request(const struct tool_view *base, const struct http_request *req,
                      struct arena *arena, const struct tool_view **out, struct error *err)
{
    struct slice toolsets = http_request_header(req, TOOLSETS_HEADER);
    struct slice tools = http_request_header(req, TOOLS_HEADER);
    struct slice readonly = http_request_header(req, READONLY_HEADER);
    *out = base;
    if (!toolsets.ptr && !tools.ptr && !readonly.ptr)
        return 0;
    struct tool_view *view = arena_calloc(arena, 1, sizeof(*view));
    if (!view)
        return error_set(err, BASE_ENOMEM, NULL, "out of memory");
    int status = parse(req, toolsets, tools, readonly, view, err);
    view->tools &= base->tools;
    *out = view;
    return status;
}
