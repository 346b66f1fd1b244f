/* A delivery of any bytes to a consumer: the first byte says in which mode it comes. In binary mode
 * lines "name:value" come first, an empty line ends them. What is taken is an event that keeps all
 * its promises, and is taken again when it is written in structured mode. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "events/consumer_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ATTRIBUTES_MAX 16

/* Takes the lines off `rest`. */
static size_t read_attributes(struct slice *rest, struct cloudevent_attribute *out)
{
    size_t count = 0;
    while (count < ATTRIBUTES_MAX && rest->len > 0) {
        const char *end = memchr(rest->ptr, '\n', rest->len);
        size_t len = end ? (size_t)(end - rest->ptr) : rest->len;
        const char *colon = memchr(rest->ptr, ':', len);
        const struct slice line = {rest->ptr, len};
        rest->ptr += end ? len + 1 : len;
        rest->len -= end ? len + 1 : len;
        if (line.len == 0)
            break;
        size_t name = colon ? (size_t)(colon - line.ptr) : line.len;
        out[count].name = (struct slice){line.ptr, name};
        out[count++].value = colon ? (struct slice){colon + 1, line.len - name - 1} : SLICE_EMPTY;
    }
    return count;
}

static struct consumer_turn *decode(const struct consumer_delivery *d, int *status)
{
    struct error err = {0};
    struct consumer_turn *turn = turn_new(d);
    assert(turn);
    *status = turn_decode(turn, &err);
    assert((*status == 0) == (err.code == 0) && (*status == 0 || *err.text));
    return turn;
}

static void check_again(const struct consumer_turn *turn)
{
    struct buf text;
    struct json_writer w;
    int status;
    buf_init(&text, (size_t)1 << 22);
    json_writer_init(&w, &text);
    json_tree(&w, turn->envelope.root);
    assert(!buf_status(&text));
    const struct consumer_delivery d = {
        .topic = "t", .content_type = SLICE_LIT(CLOUDEVENT_MIME), .body = buf_slice(&text)};
    struct consumer_turn *again = decode(&d, &status);
    assert(status == 0 && again->event.kind == turn->event.kind);
    assert(again->event.task_id == turn->event.task_id);
    assert(slice_is_equal(again->event.id, turn->event.id));
    turn_free(again);
    buf_deinit(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cloudevent_attribute attributes[ATTRIBUTES_MAX];
    struct consumer_delivery d = {.topic = "task-events", .attributes = attributes};
    int status;
    if (size == 0)
        return 0;
    bool is_binary = data[0] & 1;
    d.body = (struct slice){(const char *)data + 1, size - 1};
    d.content_type = is_binary ? SLICE_LIT("application/json") : SLICE_LIT(CLOUDEVENT_MIME);
    d.attribute_count = is_binary ? read_attributes(&d.body, attributes) : 0;
    struct consumer_turn *turn = decode(&d, &status);
    if (status == 0) {
        assert(turn->event.user_id > 0 && turn->event.task_id > 0 && turn->event.id.len == 36);
        check_again(turn);
    }
    turn_free(turn);
    return 0;
}
