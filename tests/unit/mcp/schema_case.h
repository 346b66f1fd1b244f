#pragma once
/* What the tests of mcp/schema share: JSON text in, a compiled schema or a verdict out. Text is
 * written with ' for ", so that it can be read. */
#include "support/unit.h"

#include "base/error.h"
#include "base/json.h"
#include "mcp/schema.h"

static inline cJSON *parse_quoted(const char *text)
{
    char json[4096];
    struct error err = {.text = ""};
    assert_true(strlen(text) < sizeof(json));
    snprintf(json, sizeof(json), "%s", text);
    for (char *quote = json; (quote = strchr(quote, '\'')) != NULL;)
        *quote = '"';
    cJSON *tree = json_parse(slice_from_cstr(json), &err);
    if (!tree)
        fail_msg("%s: %s", text, err.text);
    return tree;
}

static inline struct mcp_schema *compile_quoted(const char *text)
{
    struct mcp_schema *schema = NULL;
    struct error err = {.text = ""};
    cJSON *tree = parse_quoted(text);
    int status = mcp_schema_compile(tree, &schema, &err);
    cJSON_Delete(tree);
    if (status)
        fail_msg("%s: %s: %s", text, err.field, err.text);
    return schema;
}

/* The status of the check, with *fault (which may be NULL). */
static inline int check_quoted(const char *schema_text, const char *value_text,
                               struct mcp_schema_fault *fault)
{
    struct mcp_schema *schema = compile_quoted(schema_text);
    cJSON *value = parse_quoted(value_text);
    int status = mcp_schema_check(schema, value, fault);
    cJSON_Delete(value);
    mcp_schema_free(schema);
    return status;
}
