#include "dapr/pubsub.h"

#include <string.h>
#include <strings.h>

#include "base/json.h"
#include "base/mem.h"
#include "dapr/client_int.h"
#include "dapr/scan_int.h"

#define CLOUDEVENT_TYPE "application/cloudevents+json"

static const char *content_type_of(const struct dapr_event *event)
{
    return event->content_type ? event->content_type : CLOUDEVENT_TYPE;
}

static struct dapr_call *publish_call(struct dapr_client *c, const char *path, const char *pubsub,
                                      const char *topic, dapr_reply_fn reply)
{
    struct dapr_call *call = call_new(c, "POST", reply);
    if (!call)
        return NULL;
    call_path(call, path);
    call_segment(call, slice_from_cstr(pubsub));
    call_segment(call, slice_from_cstr(topic));
    return call;
}

static int check_target(const char *pubsub, const char *topic, struct error *err)
{
    int status = check_name("pubsub", slice_from_cstr(pubsub), err);
    return status ? status : check_name("topic", slice_from_cstr(topic), err);
}

static bool is_type(const char *type, const char *prefix)
{
    return strncasecmp(type, prefix, strlen(prefix)) == 0;
}

/* daprd puts a traceparent of its own in the place of the event's, unless the event has a traceid:
 * then both stay. So the event's traceparent goes as its traceid too. Raw JSON of it, or empty. */
static struct slice missing_traceid(struct slice event)
{
    struct scan s;
    struct slice key, value, traceparent = SLICE_EMPTY;
    if (!scan_object(&s, event))
        return SLICE_EMPTY;
    while (scan_member(&s, &key, &value)) {
        if (slice_is_equal(key, SLICE_LIT("traceid")))
            return SLICE_EMPTY;
        if (slice_is_equal(key, SLICE_LIT("traceparent")) && scan_string(value).len > 0)
            traceparent = value;
    }
    return traceparent;
}

/* `event` is checked JSON. */
static int append_cloudevent(struct buf *out, struct slice event, struct error *err)
{
    struct slice traceid = missing_traceid(event);
    const char *brace = memchr(event.ptr, '{', event.len);
    struct scan s;
    if (!scan_object(&s, event))
        return error_set(err, BASE_EINVAL, "body", "a CloudEvent is a JSON object");
    if (traceid.len == 0) {
        buf_append_slice(out, event);
        return 0;
    }
    buf_append_cstr(out, "{\"traceid\":");
    buf_append_slice(out, traceid);
    buf_append_char(out, ',');
    buf_append(out, brace + 1, event.len - (size_t)(brace + 1 - event.ptr));
    return 0;
}

/* What is sent of an event of a JSON type. */
static int append_json(struct buf *out, const struct dapr_event *event, const char *type,
                       struct error *err)
{
    int status = json_check(event->body, err);
    if (status)
        return status;
    if (is_type(type, CLOUDEVENT_TYPE))
        return append_cloudevent(out, event->body, err);
    buf_append_slice(out, event->body);
    return 0;
}

static bool is_json(const char *type)
{
    return is_type(type, CLOUDEVENT_TYPE) || is_type(type, "application/json");
}

/* ---- one ---- */

int dapr_publish(struct dapr_client *c, const char *pubsub, const char *topic,
                 const struct dapr_event *event, dapr_done_fn fn, void *ctx, struct error *err)
{
    int status = check_target(pubsub, topic, err);
    if (status)
        return status;
    struct dapr_call *call = publish_call(c, "/v1.0/publish", pubsub, topic, call_reply_done);
    if (!call)
        return error_set(err, BASE_ENOMEM, NULL, "out of memory");
    call->is_once = true;
    call->fn.done = fn;
    call->ctx = ctx;
    call_query(call, "metadata.rawPayload", SLICE_LIT("false"));
    if (event->partition_key.len > 0)
        call_query(call, "metadata.partitionKey", event->partition_key);
    if (event->ttl_s)
        call_query_int(call, "metadata.ttlInSeconds", event->ttl_s);
    const char *type = content_type_of(event);
    if (is_json(type))
        status = append_json(&call->body, event, type, err);
    else
        buf_append_slice(&call->body, event->body);
    buf_append_cstr(&call->names, type);
    call->content_type = call->names.ptr;
    if (!status)
        return call_start(call, err);
    call_free(call);
    return status;
}

/* ---- several ---- */

struct failed_entry {
    const char *id, *error;
};

/* daprd names what failed in the order of the request, as a rule: the search goes on from the last
 * hit, and around. */
static bool mark_failed(const struct slice *ids, struct dapr_event_result *results, size_t count,
                        size_t *at, struct failed_entry failed)
{
    struct slice id = slice_from_cstr(failed.id);
    for (size_t i = 0; i < count; i++) {
        size_t k = (*at + i) % count;
        if (!slice_is_equal(ids[k], id))
            continue;
        results[k].status = answer_entry_status(failed.error);
        results[k].reason = slice_from_cstr(failed.error);
        *at = k + 1;
        return true;
    }
    return false;
}

/* {"failedEntries": [{"entryId": "…", "error": "…"}], "errorCode": "…"}: what is not named is
 * published. False where it is not that, or names what was not sent. */
static bool read_failed(const cJSON *root, const struct slice *ids,
                        struct dapr_event_result *results, size_t count)
{
    const cJSON *list = json_get(root, "failedEntries");
    const cJSON *entry;
    size_t at = 0;
    if (!cJSON_IsArray(list) || !list->child)
        return false;
    cJSON_ArrayForEach(entry, list)
    {
        struct failed_entry failed = {json_get_string(entry, "entryId"),
                                      json_get_string(entry, "error")};
        if (!failed.id || !mark_failed(ids, results, count, &at, failed))
            return false;
    }
    return true;
}

static void tell_each(struct dapr_call *call, const cJSON *root, int status,
                      const struct error *err)
{
    size_t count = call->name_count;
    struct dapr_event_result *results = mem_calloc(count, sizeof(*results));
    struct slice *ids = mem_calloc(count, sizeof(*ids));
    size_t at = 0;
    for (size_t i = 0; ids && i < count; i++)
        ids[i] = call_next_name(call, &at);
    if (!ids || !results)
        call->fn.bulk(call->ctx, BASE_ENOMEM, NULL, 0, err);
    else if (status && !read_failed(root, ids, results, count))
        call->fn.bulk(call->ctx, status, NULL, 0, err);
    else
        call->fn.bulk(call->ctx, 0, results, count, NULL);
    mem_free(ids);
    mem_free(results);
}

static void bulk_reply(struct dapr_call *call, int status, const struct dapr_reply *reply,
                       const struct error *err)
{
    if (status && status != DAPR_ECOMPONENT) {
        call->fn.bulk(call->ctx, status, NULL, 0, err);
        return;
    }
    cJSON *root = status && reply ? json_parse(reply->body, NULL) : NULL;
    tell_each(call, root, status, err);
    cJSON_Delete(root);
}

/* In the bulk's JSON an event of a JSON type stands as it is, a text as a string. */
static int write_body(struct json_writer *w, const struct dapr_event *event, const char *type,
                      struct error *err)
{
    if (is_type(type, "text/")) {
        json_slice(w, event->body);
        return 0;
    }
    if (!is_json(type))
        return error_set(err, BASE_EINVAL, "content_type", "a bulk takes JSON and text only");
    json_raw(w, SLICE_EMPTY); /* the place of a value */
    return append_json(w->out, event, type, err);
}

static void write_metadata(struct json_writer *w, const struct dapr_event *event)
{
    char ttl[16];
    struct buf b;
    json_key(w, "metadata");
    json_begin_object(w);
    json_key_string(w, "rawPayload", "false");
    if (event->partition_key.len > 0) {
        json_key(w, "partitionKey");
        json_slice(w, event->partition_key);
    }
    if (event->ttl_s) {
        buf_init_fixed(&b, ttl, sizeof(ttl));
        buf_append_i64(&b, event->ttl_s);
        json_key_string(w, "ttlInSeconds", ttl);
    }
    json_end_object(w);
}

static int write_entry(struct json_writer *w, const struct dapr_event *event, struct error *err)
{
    const char *type = content_type_of(event);
    json_begin_object(w);
    json_key(w, "entryId");
    json_slice(w, event->id);
    json_key_string(w, "contentType", type);
    write_metadata(w, event);
    json_key(w, "event");
    int status = write_body(w, event, type, err);
    if (!status)
        json_end_object(w);
    return status;
}

static int write_entries(struct dapr_call *call, const struct dapr_event *events, size_t count,
                         struct error *err)
{
    struct json_writer w;
    int status = count > 0 ? 0 : error_set(err, BASE_EINVAL, "events", "there is no event");
    json_writer_init(&w, &call->body);
    json_begin_array(&w);
    for (size_t i = 0; i < count && !status; i++) {
        status = check_name("id", events[i].id, err);
        if (!status)
            status = write_entry(&w, &events[i], err);
        call_name(call, events[i].id);
    }
    if (!status)
        json_end_array(&w);
    return status;
}

int dapr_publish_bulk(struct dapr_client *c, const char *pubsub, const char *topic,
                      const struct dapr_event *events, size_t count, dapr_bulk_fn fn, void *ctx,
                      struct error *err)
{
    int status = check_target(pubsub, topic, err);
    if (status)
        return status;
    struct dapr_call *call = publish_call(c, "/v1.0/publish/bulk", pubsub, topic, bulk_reply);
    if (!call)
        return error_set(err, BASE_ENOMEM, NULL, "out of memory");
    call->is_once = true;
    call->fn.bulk = fn;
    call->ctx = ctx;
    status = write_entries(call, events, count, err);
    if (status) {
        call_free(call);
        return status;
    }
    return call_start(call, err);
}
