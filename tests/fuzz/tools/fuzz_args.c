/* Bytes -> JSON -> input schema -> the tool's reader, as a call goes. The first byte chooses the
 * tool. The reader runs on what the schema refuses as well: it must be safe by itself. What it
 * takes must be what the contract allows. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/json.h"
#include "mcp/schema.h"
#include "tools/error_int.h"
#include "tools/tool_int.h"
#include "tools/utf8_int.h"
#include "tools/zones_int.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TOOLS_MAX 18

/* Made once: the fuzzer has no other place for what outlives a run. */
static struct {
    const struct tool_def *defs[TOOLS_MAX];
    struct mcp_schema *schemas[TOOLS_MAX];
    int count;
    struct zones *zones;
} made;

static void add(const struct tool_def *def)
{
    cJSON *schema = json_parse(slice_from_cstr(def->input_schema), NULL);
    if (!schema || mcp_schema_compile(schema, &made.schemas[made.count], NULL) < 0)
        abort();
    cJSON_Delete(schema);
    made.defs[made.count++] = def;
}

/* NOLINTNEXTLINE(readability-non-const-parameter): libFuzzer's signature */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    const struct tool_def *const families[] = {task_tools, list_tools, search_tools, reminder_tools,
                                               label_tools};
    (void)argc;
    (void)argv;
    for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
        for (const struct tool_def *def = families[i]; def->name; def++)
            add(def);
    }
    return zones_load(ZONES_DIRECTORY, &made.zones);
}

static void check_taken(const struct tool_def *def, const struct tool_input *in)
{
    if (def->read == task_tools[0].read) {
        const struct db_task_new *t = &in->u.add;
        size_t length = utf8_length(t->title);
        assert(length >= 1 && length <= 200);
        assert(utf8_trim(t->title).len == t->title.len);
        assert(utf8_length(t->description) <= 10000);
        assert(t->tag_count >= 0 && t->tag_count <= DB_TASK_TAGS_MAX);
        assert(t->recurrence_rule.len == 0 || t->has_due_date);
        assert(t->category_id >= 0 && t->category_id <= JSON_INTEGER_MAX);
    }
    if (def == &list_tools[0])
        assert(in->u.list.filter.limit >= 1 && in->u.list.filter.limit <= 200);
    if (def == &search_tools[0])
        assert(in->u.search.limit >= 1 && in->u.search.limit <= 100);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mcp_schema_fault fault;
    struct tool_error error = {0};
    struct tool_input in = {0};
    if (size == 0)
        return 0;
    int which = data[0] % made.count;
    cJSON *object = json_parse((struct slice){(const char *)data + 1, size - 1}, NULL);
    if (!cJSON_IsObject(object)) {
        cJSON_Delete(object);
        return 0;
    }
    struct args args = {.object = object,
                        .zones = made.zones,
                        .user_id = 1,
                        .now_us = INT64_C(1795802645000000),
                        .error = &error};
    if (mcp_schema_check(made.schemas[which], object, &fault) < 0)
        assert(fault.message[0]);
    in.subject.kind = made.defs[which]->kind;
    made.defs[which]->read(&args, made.defs[which], &in);
    if (args_status(&args) == 0)
        check_taken(made.defs[which], &in);
    else
        assert(error.message[0]);
    cJSON_Delete(object);
    return 0;
}
