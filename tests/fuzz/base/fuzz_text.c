/* Any bytes as one of the small texts that come in headers, arguments and tokens; the first byte
 * says as which. What is taken is written again, and is then the same or, where several texts mean
 * one thing, taken as the same. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "base/base64.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/http_host.h"
#include "base/mem.h"
#include "base/seal.h"
#include "base/trace.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_time(struct slice text)
{
    int64_t once, again;
    char written[CLOCK_RFC3339_SIZE];
    struct error err = {0};
    if (clock_parse_rfc3339(text, &once, &err)) {
        assert(err.code == BASE_EINVAL && err.text[0]);
        return;
    }
    size_t len = clock_format_rfc3339(once, written);
    /* An offset may lead out of the years that can be written. */
    if (clock_parse_rfc3339((struct slice){written, len}, &again, NULL) == 0)
        assert(once == again && text.len >= 20);
}

static void check_trace(struct slice text)
{
    struct trace_context once, again;
    char written[TRACE_PARENT_SIZE];
    struct trace_ids ids;
    trace_ids_read(text, &ids);
    bool is_one = trace_context_parse(text, &once);
    assert(strlen(ids.trace_id) == (is_one ? 32 : 0) && strlen(ids.span_id) == (is_one ? 16 : 0));
    if (!is_one)
        return;
    trace_context_format(&once, written);
    assert(strlen(written) == TRACE_PARENT_SIZE - 1);
    assert(trace_context_parse(slice_from_cstr(written), &again));
    assert(memcmp(once.trace_id, again.trace_id, sizeof(once.trace_id)) == 0);
    assert(memcmp(once.span_id, again.span_id, sizeof(once.span_id)) == 0);
    assert(once.is_sampled == again.is_sampled);
    assert(memcmp(text.ptr + 3, written + 3, 50) == 0);
}

static void check_base64(struct slice text, bool is_url)
{
    size_t len = 0;
    struct buf again;
    char *bytes = mem_alloc(BASE64_DECODED_MAX(text.len));
    assert(bytes);
    if ((is_url ? base64url_decode : base64_decode)(text, bytes, &len) == 0) {
        assert(len <= BASE64_DECODED_MAX(text.len));
        buf_init(&again, text.len + 8);
        (is_url ? base64url_append : base64_append)(&again, (struct slice){bytes, len});
        assert(!buf_status(&again) && slice_is_equal(buf_slice(&again), text));
        buf_deinit(&again);
    }
    mem_free(bytes);
}

static void check_host(struct slice text)
{
    struct slice host = http_host_name(text);
    assert(host.len <= text.len && (host.len == 0 || host.ptr == text.ptr));
    if (!http_host_is_loopback(text))
        return;
    assert(http_host_is_loopback(host));
    assert(slice_is_equal(http_host_name(host), host));
}

/* Nothing opens that was not closed with the key. */
static void check_seal(struct slice text)
{
    static const unsigned char key[SEAL_KEY_SIZE] = {1};
    struct buf out;
    buf_init(&out, 1u << 16);
    assert(seal_open(key, text, SLICE_EMPTY, &out) == BASE_EINVAL);
    assert(out.len == 0);
    buf_deinit(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    const struct slice text = {(const char *)data + 1, size - 1};
    switch (data[0] % 6) {
    case 0:
        check_time(text);
        break;
    case 1:
        check_trace(text);
        break;
    case 2:
    case 3:
        check_base64(text, data[0] % 2);
        break;
    case 4:
        check_host(text);
        break;
    default:
        check_seal(text);
        break;
    }
    return 0;
}
