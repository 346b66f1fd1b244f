/* A line of JSON as a schema, the rest as a value: what is compiled gives one verdict, with words
 * that are UTF-8 where it is a refusal. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "base/utf8.h"
#include "mcp/schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void assert_words(const char *text, size_t room)
{
    size_t left = strnlen(text, room);
    assert(left > 0 && left < room);
    while (left > 0) {
        size_t len = utf8_length_at(text, left);
        assert(len > 0);
        text += len;
        left -= len;
    }
}

static void check(const struct mcp_schema *schema, const cJSON *value)
{
    struct mcp_schema_fault fault;
    memset(&fault, 'x', sizeof(fault));
    int status = mcp_schema_check(schema, value, &fault);
    assert(status == 0 || status == BASE_EINVAL);
    assert(status == mcp_schema_check(schema, value, NULL));
    if (status) {
        assert_words(fault.message, sizeof(fault.message));
        assert_words(fault.expected, sizeof(fault.expected));
        if (fault.field[0])
            assert_words(fault.field, sizeof(fault.field));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    const char *end = size > 0 ? memchr(text, '\n', size) : NULL;
    if (!end)
        return 0;
    size_t line = (size_t)(end - text);
    cJSON *source = json_parse((struct slice){text, line}, NULL);
    cJSON *value = json_parse((struct slice){end + 1, size - line - 1}, NULL);
    struct mcp_schema *schema = NULL;
    struct error err = {.text = ""};
    if (source && mcp_schema_compile(source, &schema, &err))
        assert(err.code && err.text[0] && !schema);
    if (schema) {
        check(schema, source);
        if (value)
            check(schema, value);
    }
    mcp_schema_free(schema);
    cJSON_Delete(source);
    cJSON_Delete(value);
    return 0;
}
