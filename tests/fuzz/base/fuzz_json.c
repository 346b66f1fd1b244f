/* Any bytes as JSON: what is taken has the tree that cJSON makes of it, and what is written of that
 * tree is taken again, and written as the same text. */
#include <assert.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_tree(const cJSON *tree, struct buf *out)
{
    struct json_writer w;
    buf_init(out, (size_t)1 << 20);
    json_writer_init(&w, out);
    json_tree(&w, tree);
    assert(!buf_status(out));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct slice text = {(const char *)data, size};
    struct buf once, twice;
    cJSON *tree = json_parse(text, NULL);
    if (!tree)
        return 0;
    cJSON *other = cJSON_ParseWithLength(text.ptr, text.len);
    assert(other && cJSON_Compare(tree, other, true));
    write_tree(tree, &once);
    cJSON *again = json_parse(buf_slice(&once), NULL);
    assert(again);
    write_tree(again, &twice);
    assert(slice_is_equal(buf_slice(&once), buf_slice(&twice)));
    buf_deinit(&once);
    buf_deinit(&twice);
    cJSON_Delete(tree);
    cJSON_Delete(other);
    cJSON_Delete(again);
    return 0;
}
