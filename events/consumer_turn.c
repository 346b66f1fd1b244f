/* One delivery: its copy, what it says, its dead letter. */
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"
#include "db/dead_letter.h"
#include "events/consumer_int.h"
#include "events/error.h"

#define ID_MAX     200 /* of a dead letter's texts that are keys: longer ones are hardly ids */
#define LETTER_MAX (64u << 20)

/* ---- the copy ---- */

static struct slice put(char **at, struct slice text)
{
    struct slice copy = {*at, text.len};
    if (text.len > 0)
        memcpy(*at, text.ptr, text.len);
    *at += text.len;
    return copy;
}

static size_t size_of(const struct consumer_delivery *d)
{
    size_t size = strlen(d->topic) + d->content_type.len + d->body.len;
    for (size_t i = 0; i < d->attribute_count; i++)
        size += d->attributes[i].name.len + d->attributes[i].value.len;
    return size;
}

static bool is_structured(struct slice type)
{
    const size_t len = sizeof(CLOUDEVENT_MIME) - 1;
    if (type.len < len || strncasecmp(type.ptr, CLOUDEVENT_MIME, len) != 0)
        return false;
    return type.len == len || strchr("; \t", type.ptr[len]) != NULL;
}

struct consumer_turn *turn_new(const struct consumer_delivery *d)
{
    size_t list_size = d->attribute_count * sizeof(struct cloudevent_attribute);
    struct consumer_turn *t = mem_calloc(1, sizeof(*t));
    char *bytes = t ? mem_alloc(list_size + size_of(d) + 1) : NULL;
    if (!bytes) {
        mem_free(t);
        return NULL;
    }
    char *at = bytes + list_size;
    t->bytes = bytes;
    t->attributes = (struct cloudevent_attribute *)(void *)bytes;
    t->attribute_count = d->attribute_count;
    t->topic = put(&at, slice_from_cstr(d->topic));
    t->content_type = put(&at, d->content_type);
    t->body = put(&at, d->body);
    t->is_structured = is_structured(d->content_type);
    for (size_t i = 0; i < d->attribute_count; i++) {
        t->attributes[i].name = put(&at, d->attributes[i].name);
        t->attributes[i].value = put(&at, d->attributes[i].value);
    }
    return t;
}

void turn_free(struct consumer_turn *turn)
{
    cloudevent_deinit(&turn->envelope);
    mem_free(turn->bytes);
    mem_free(turn);
}

/* ---- what it says ---- */

static int check_id(const struct cloudevent *e, const cJSON *data, struct error *err)
{
    if (strcasecmp(e->id, json_get_string(data, "event_id")) == 0)
        return 0;
    return error_set(err, BASE_EINVAL, "event_id", "data.event_id is another than the event's id");
}

static int read_event(struct consumer_turn *t, struct error *err)
{
    struct consumer_event *event = &t->event;
    const struct cloudevent *e = &t->envelope;
    if (!event_kind_of_type(e->type, &event->kind))
        return error_set(err, EVENTS_ETYPE, "type", "the event type \"%.60s\" is unknown", e->type);
    int status = event_check(event->kind, e->data, err);
    if (!status)
        status = check_id(e, e->data, err);
    if (status)
        return status;
    event->envelope = e;
    event->data = e->data;
    event->id = slice_from_cstr(e->id);
    (void)json_as_int(json_get(e->data, "user_id"), &event->user_id);
    (void)json_as_int(json_get(e->data, "task_id"), &event->task_id);
    return 0;
}

int turn_decode(struct consumer_turn *t, struct error *err)
{
    int status = t->is_structured
                     ? cloudevent_parse(t->body, &t->envelope, err)
                     : cloudevent_from_binary(t->attributes, t->attribute_count, t->content_type,
                                              t->body, &t->envelope, err);
    return status ? status : read_event(t, err);
}

/* ---- the dead letter ---- */

struct burial {
    struct consumer_turn *turn;
    turn_buried_fn done;
};

static void on_buried(void *ctx, int status, bool is_fresh, const struct error *err)
{
    struct burial b = *(struct burial *)ctx;
    (void)is_fresh;
    mem_free(ctx);
    b.done(b.turn, status, err);
}

static struct slice short_text(const char *text)
{
    struct slice s = slice_from_cstr(text);
    return s.len <= ID_MAX ? s : SLICE_EMPTY;
}

/* The task: its events' order is by it. */
static struct slice key_of(const struct cloudevent *e)
{
    static const char prefix[] = "task/";
    if (e->partitionkey)
        return short_text(e->partitionkey);
    if (e->subject && strncmp(e->subject, prefix, sizeof(prefix) - 1) == 0)
        return short_text(e->subject + sizeof(prefix) - 1);
    return SLICE_EMPTY;
}

/* The bytes that came; of an event in binary mode the same event in structured mode, since its
 * attributes were no part of them. */
static struct slice bytes_of(const struct consumer_turn *t, struct buf *made)
{
    if (t->is_structured || !t->envelope.root)
        return t->body;
    struct json_writer w;
    json_writer_init(&w, made);
    json_tree(&w, t->envelope.root);
    return buf_slice(made);
}

int turn_bury(struct consumer_turn *t, turn_buried_fn done, struct error *err)
{
    struct buf made;
    struct burial *b = mem_alloc(sizeof(*b));
    if (!b)
        return error_set(err, BASE_ENOMEM, NULL, "out of memory");
    *b = (struct burial){.turn = t, .done = done};
    buf_init(&made, LETTER_MAX);
    const struct db_dead_letter_new letter = {.consumer =
                                                  slice_from_cstr(t->consumer->options.name),
                                              .event_id = short_text(t->envelope.id),
                                              .key = key_of(&t->envelope),
                                              .topic = t->topic,
                                              .reason = slice_from_cstr(t->why.text),
                                              .attempts = t->attempts,
                                              .event = bytes_of(t, &made)};
    int status = buf_status(&made)
                     ? error_set(err, BASE_ENOMEM, NULL, "out of memory")
                     : db_dead_letter_add(t->consumer->pool, &letter, on_buried, b, NULL, err);
    buf_deinit(&made);
    if (status)
        mem_free(b);
    return status;
}
