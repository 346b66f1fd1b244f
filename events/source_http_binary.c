/* CloudEvents HTTP binding 1.0.2, section 3.1.3: attributes are headers with the prefix ce-, their
 * values percent-encoded where they are not plain ASCII. */
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/error.h"
#include "events/source_http_int.h"

static const char prefix[] = "ce-";
#define PREFIX_LEN (sizeof(prefix) - 1)

static int digit_of(char c)
{
    static const char digits[] = "0123456789abcdefABCDEF";
    const char *at = c ? strchr(digits, c) : NULL;
    if (!at)
        return -1;
    int index = (int)(at - digits);
    return index < 16 ? index : index - 6;
}

/* False: a '%' without two digits. That it is UTF-8 text is events/cloudevent's to say. */
static bool decode(struct slice in, char *out, size_t *len)
{
    *len = 0;
    for (size_t i = 0; i < in.len; i++) {
        char c = in.ptr[i];
        if (c == '%') {
            int high = i + 2 < in.len ? digit_of(in.ptr[i + 1]) : -1;
            int low = high >= 0 ? digit_of(in.ptr[i + 2]) : -1;
            if (low < 0)
                return false;
            c = (char)(high * 16 + low);
            i += 2;
        }
        out[(*len)++] = c;
    }
    return true;
}

int source_http_attributes(struct http_request *req, struct cloudevent_attribute *out,
                           size_t *count, struct error *err)
{
    struct http_header header;
    *count = 0;
    for (size_t i = 0; http_request_header_at(req, i, &header); i++) {
        if (header.name.len <= PREFIX_LEN || strncasecmp(header.name.ptr, prefix, PREFIX_LEN) != 0)
            continue;
        if (*count == SOURCE_HTTP_ATTRIBUTES_MAX)
            return error_set(err, BASE_ELIMIT, NULL, "the event has more than %d attributes",
                             SOURCE_HTTP_ATTRIBUTES_MAX);
        size_t len;
        char *text = arena_alloc(http_request_arena(req), header.value.len + 1);
        if (!text)
            return error_set(err, BASE_ENOMEM, NULL, "out of memory");
        if (!decode(header.value, text, &len))
            return error_set(err, BASE_EINVAL, NULL, "the value of a header ce-… is malformed");
        out[(*count)++] = (struct cloudevent_attribute){
            .name = {header.name.ptr + PREFIX_LEN, header.name.len - PREFIX_LEN},
            .value = {text, len}};
    }
    return 0;
}
