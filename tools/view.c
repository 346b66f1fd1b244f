/* tools/view.c */
#include "tools/view.h"

#include "base/error.h"
#include "mcp/server.h"
#include "tools/tool_int.h"

static const char *const set_names[] = {
#define X(name, text) [name] = (text),
    TOOLSETS(X)
#undef X
};
#define SETS_COUNT (sizeof(set_names) / sizeof(set_names[0]))
#define ALL_SETS   ((1u << SETS_COUNT) - 1)

/* ---- what there is -------------------------------------------------------------------------- */

/* The bits of the tools for which `is_meant` holds. */
typedef bool (*meant_fn)(const struct tool_def *def, const void *what);

static uint32_t bits_of(meant_fn is_meant, const void *what)
{
    uint32_t bits = 0;
    uint32_t bit = 1;
    for (size_t i = 0; tool_families[i]; i++) {
        for (const struct tool_def *def = tool_families[i]; def->name; def++, bit <<= 1)
            bits |= is_meant(def, what) ? bit : 0;
    }
    return bits;
}

static bool is_named(const struct tool_def *def, const void *what)
{
    return slice_is_equal(slice_from_cstr(def->name), *(const struct slice *)what);
}

static bool is_in_sets(const struct tool_def *def, const void *what)
{
    return (*(const uint32_t *)what & (1u << def->set)) != 0;
}

static bool is_reading(const struct tool_def *def, const void *what)
{
    (void)what;
    return def->read_only;
}

/* ---- names ---------------------------------------------------------------------------------- */

static bool is_separator(char c)
{
    return c == ',' || c == ' ' || c == '\t';
}

/* Takes the next name off `rest`; false at its end. */
static bool next_name(struct slice *rest, struct slice *out)
{
    size_t at = 0;
    if (rest->len == 0)
        return false;
    while (at < rest->len && is_separator(rest->ptr[at]))
        at++;
    size_t start = at;
    while (at < rest->len && !is_separator(rest->ptr[at]))
        at++;
    *out = (struct slice){rest->ptr + start, at - start};
    *rest = (struct slice){rest->ptr + at, rest->len - at};
    return out->len > 0;
}

/* 0 when there is no such toolset. */
static uint32_t set_bits(struct slice name)
{
    if (slice_is_equal(name, SLICE_LIT("all")))
        return ALL_SETS;
    for (uint32_t i = 0; i < SETS_COUNT; i++) {
        if (slice_is_equal(name, slice_from_cstr(set_names[i])))
            return 1u << i;
    }
    return 0;
}

static int refuse(struct error *err, const char *what, struct slice name, const char *hint)
{
    int shown = name.len > 40 ? 40 : (int)name.len;
    return error_set(err, BASE_EINVAL, what, "there is no %s \"%.*s\"%s", what, shown, name.ptr,
                     hint);
}

static int read_sets(struct slice list, uint32_t *sets, struct error *err)
{
    struct slice name;
    while (next_name(&list, &name)) {
        uint32_t bits = set_bits(name);
        if (!bits)
            return refuse(err, "toolset", name,
                          "; there are tasks, search, categories, tags, reminders and all");
        *sets |= bits;
    }
    return 0;
}

static int read_tools(struct slice list, uint32_t *tools, struct error *err)
{
    struct slice name;
    while (next_name(&list, &name)) {
        uint32_t bits = bits_of(is_named, &name);
        if (!bits)
            return refuse(err, "tool", name, "; tools/list names them all");
        *tools |= bits;
    }
    return 0;
}

int tool_view_parse(struct slice toolsets, struct slice tools, bool reads_only,
                    struct tool_view *out, struct error *err)
{
    uint32_t sets = 0;
    uint32_t single = 0;
    int status = read_sets(toolsets, &sets, err);
    if (!status)
        status = read_tools(tools, &single, err);
    if (!sets && !single)
        sets = ALL_SETS;
    out->tools = single | bits_of(is_in_sets, &sets);
    if (reads_only)
        out->tools &= bits_of(is_reading, NULL);
    return status;
}

bool tool_view_shows(void *ctx, const struct mcp_identity *identity, const char *tool)
{
    const struct tool_view *view = identity->view ? identity->view : ctx;
    struct slice name = slice_from_cstr(tool);
    return (view->tools & bits_of(is_named, &name)) != 0;
}
