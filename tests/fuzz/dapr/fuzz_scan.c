/* Any JSON that the check takes: the reader without a tree finds the members and items that the
 * tree has, in order, and hands on text that is JSON by itself. */
#include <assert.h>
#include <stdint.h>

#include "base/json.h"
#include "dapr/scan_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const cJSON *check_value(struct slice value, const cJSON *item)
{
    assert(item && json_check(value, NULL) == 0);
    assert(cJSON_IsString(item) == (scan_string(value).ptr != NULL));
    return item->next;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct slice text = {(const char *)data, size};
    struct scan scan;
    struct slice key, value;
    cJSON *tree = json_parse(text, NULL);
    if (!tree)
        return 0;
    const cJSON *item = tree->child;
    if (scan_object(&scan, text)) {
        assert(cJSON_IsObject(tree));
        while (scan_member(&scan, &key, &value))
            item = check_value(value, item);
    } else if (scan_array(&scan, text)) {
        assert(cJSON_IsArray(tree));
        while (scan_item(&scan, &value))
            item = check_value(value, item);
    } else {
        assert(!cJSON_IsObject(tree) && !cJSON_IsArray(tree));
    }
    assert(!item);
    cJSON_Delete(tree);
    return 0;
}
