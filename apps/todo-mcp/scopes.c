#include "scopes.h"

#include "base/buf.h"
#include "tools/tools.h"

const struct mcp_auth_scope scopes_table[SCOPES_COUNT] = {{"tasks:read", TOOLS_SCOPE_READ},
                                                          {"tasks:write", TOOLS_SCOPE_WRITE}};

static uint32_t bits_of(struct slice name)
{
    for (size_t i = 0; i < SCOPES_COUNT; i++) {
        if (slice_is_equal(name, slice_from_cstr(scopes_table[i].name)))
            return scopes_table[i].bits;
    }
    return 0;
}

static bool is_separator(char c)
{
    return c == ' ' || c == ',';
}

bool scopes_parse(struct slice text, uint32_t *bits)
{
    bool is_known = true;
    *bits = 0;
    for (size_t at = 0; at < text.len; at++) {
        size_t start = at;
        while (at < text.len && !is_separator(text.ptr[at]))
            at++;
        uint32_t one = bits_of((struct slice){text.ptr + start, at - start});
        is_known = is_known && (one || at == start);
        *bits |= one;
    }
    return is_known;
}

const char *scopes_format(uint32_t bits, char out[SCOPES_TEXT_SIZE])
{
    struct buf b;
    buf_init_fixed(&b, out, SCOPES_TEXT_SIZE);
    for (size_t i = 0; i < SCOPES_COUNT; i++) {
        if (!(scopes_table[i].bits & bits))
            continue;
        if (b.len > 0)
            buf_append_char(&b, ' ');
        buf_append_cstr(&b, scopes_table[i].name);
    }
    return out;
}
