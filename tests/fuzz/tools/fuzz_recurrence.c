/* Any bytes as a recurrence rule: what is taken is canonical, and stays so when read again. */
#include <assert.h>
#include <stdint.h>

#include "base/error.h"
#include "tools/recurrence.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct recurrence once, again;
    struct error err = {0};
    if (recurrence_parse((struct slice){(const char *)data, size}, &once, NULL, &err) < 0) {
        assert(err.code == BASE_EINVAL && err.text[0]);
        return 0;
    }
    assert(recurrence_parse(slice_from_cstr(once.text), &again, NULL, &err) == 0);
    assert(strcmp(once.text, again.text) == 0 && once.last_us == again.last_us);
    return 0;
}
