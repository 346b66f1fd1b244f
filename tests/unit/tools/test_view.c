/* Which tools a view shows, and how it is named. */
#include "support/unit.h"

#include "base/error.h"
#include "mcp/server.h"
#include "tools/tool_int.h"
#include "tools/view.h"

static struct tool_view parse(const char *toolsets, const char *tools, bool reads_only)
{
    struct tool_view view;
    struct error err;
    if (tool_view_parse(slice_from_cstr(toolsets), slice_from_cstr(tools), reads_only, &view, &err))
        fail_msg("%s", err.text);
    return view;
}

static bool shows(struct tool_view view, const char *tool)
{
    struct tool_view none = {0};
    return tool_view_shows(&none, &(struct mcp_identity){.view = &view}, tool);
}

/* Each tool for which `expected` holds and no other. */
static void assert_shows(struct tool_view view, bool (*expected)(const struct tool_def *def))
{
    for (size_t i = 0; tool_families[i]; i++)
        for (const struct tool_def *def = tool_families[i]; def->name; def++)
            if (shows(view, def->name) != expected(def))
                fail_msg("%s is %s", def->name, expected(def) ? "hidden" : "shown");
}

static bool is_any(const struct tool_def *def)
{
    return def->name != NULL;
}

static bool is_reading(const struct tool_def *def)
{
    return def->read_only;
}

static bool is_tag_tool(const struct tool_def *def)
{
    return strstr(def->name, "_tag") != NULL;
}

static bool is_category_or_search(const struct tool_def *def)
{
    return strstr(def->name, "categor") || strcmp(def->name, "search_tasks") == 0;
}

static bool is_add_or_tag_list(const struct tool_def *def)
{
    return strcmp(def->name, "add_task") == 0 || strcmp(def->name, "list_tags") == 0;
}

static bool is_reminder_or_get(const struct tool_def *def)
{
    return strcmp(def->name, "set_reminder") == 0 || strcmp(def->name, "get_task") == 0;
}

static bool is_get(const struct tool_def *def)
{
    return strcmp(def->name, "get_task") == 0;
}

static bool is_none(const struct tool_def *def)
{
    return def->name == NULL;
}

static void nothing_named_shows_all(void **state)
{
    (void)state;
    assert_shows(parse(NULL, NULL, false), is_any);
    assert_shows(parse("", " , ", false), is_any);
    assert_shows(parse("all", "add_task", false), is_any);
    assert_shows(parse("tasks,search,categories,tags,reminders", NULL, false), is_any);
}

static void toolsets_show_their_tools(void **state)
{
    (void)state;
    assert_shows(parse("tags", NULL, false), is_tag_tool);
    assert_shows(parse(" search ,categories", NULL, false), is_category_or_search);
}

static void single_tools_stand_beside_toolsets_or_alone(void **state)
{
    (void)state;
    assert_shows(parse(NULL, "add_task,list_tags", false), is_add_or_tag_list);
    assert_shows(parse("reminders", "get_task", false), is_reminder_or_get);
}

static void read_only_wins_over_all(void **state)
{
    (void)state;
    assert_shows(parse(NULL, NULL, true), is_reading);
    assert_shows(parse("all", "add_task,delete_task", true), is_reading);
    assert_shows(parse("reminders", "get_task", true), is_get);
    assert_shows(parse(NULL, "add_task", true), is_none);
}

static void an_unknown_name_is_told(void **state)
{
    (void)state;
    struct tool_view view;
    struct error err;
    assert_int_equal(tool_view_parse(SLICE_LIT("tasks,tusks"), SLICE_EMPTY, false, &view, &err),
                     BASE_EINVAL);
    assert_string_equal(err.field, "toolset");
    assert_non_null(strstr(err.text, "\"tusks\""));
    assert_int_equal(
        tool_view_parse(SLICE_EMPTY, SLICE_LIT("add_task,Add_task"), false, &view, &err),
        BASE_EINVAL);
    assert_string_equal(err.field, "tool");
    assert_non_null(strstr(err.text, "\"Add_task\""));
}

static void a_caller_without_a_view_has_that_of_the_settings(void **state)
{
    (void)state;
    struct tool_view set_up = parse("search", NULL, false);
    assert_true(tool_view_shows(&set_up, &(struct mcp_identity){0}, "search_tasks"));
    assert_false(tool_view_shows(&set_up, &(struct mcp_identity){0}, "get_task"));
    assert_false(tool_view_shows(&set_up, &(struct mcp_identity){0}, "no_such_tool"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_named_shows_all),
        cmocka_unit_test(toolsets_show_their_tools),
        cmocka_unit_test(single_tools_stand_beside_toolsets_or_alone),
        cmocka_unit_test(read_only_wins_over_all),
        cmocka_unit_test(an_unknown_name_is_told),
        cmocka_unit_test(a_caller_without_a_view_has_that_of_the_settings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
