#include "dapr/state.h"

#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "dapr/client_int.h"

static int check_store(const char *store, struct error *err)
{
    return check_name("store", slice_from_cstr(store), err);
}

/* daprd makes "<app id>||<key>" of it. */
static int check_key(struct slice key, struct error *err)
{
    int status = check_name("key", key, err);
    if (!status && answer_says(key, "||"))
        status = error_set(err, BASE_EINVAL, "key", "a key must not have \"||\"");
    return status;
}

static struct dapr_call *state_call(struct dapr_client *c, const char *method, const char *store,
                                    dapr_reply_fn reply)
{
    struct dapr_call *call = call_new(c, method, reply);
    if (!call)
        return NULL;
    call_path(call, "/v1.0/state");
    call_segment(call, slice_from_cstr(store));
    return call;
}

/* Ends what was begun: starts the call, or frees it where `status` says why not. */
static int finish(struct dapr_call *call, int status, struct error *err)
{
    if (!status)
        return call_start(call, err);
    call_free(call);
    return status;
}

/* ---- get ---- */

static void get_reply(struct dapr_call *call, int status, const struct dapr_reply *reply,
                      const struct error *err)
{
    size_t at = 0;
    struct error why = {0};
    if (status) {
        call->fn.state_get(call->ctx, status, NULL, err);
        return;
    }
    struct dapr_state_value value = {.key = call_next_name(call, &at),
                                     .is_found = reply->http_status != 204,
                                     .value = reply->body,
                                     .etag = reply->etag};
    if (value.is_found && json_check(value.value, NULL)) {
        error_set(&why, DAPR_EPROTOCOL, NULL, "the state's value is no JSON");
        call->fn.state_get(call->ctx, DAPR_EPROTOCOL, NULL, &why);
        return;
    }
    call->fn.state_get(call->ctx, 0, &value, NULL);
}

int dapr_state_get(struct dapr_client *c, const char *store, struct slice key, dapr_state_get_fn fn,
                   void *ctx, struct error *err)
{
    int status = check_store(store, err);
    if (!status)
        status = check_key(key, err);
    if (status)
        return status;
    struct dapr_call *call = state_call(c, "GET", store, get_reply);
    if (!call)
        return error_set(err, BASE_ENOMEM, NULL, "out of memory");
    call->fn.state_get = fn;
    call->ctx = ctx;
    call->is_read = true;
    call_segment(call, key);
    call_query(call, "consistency", SLICE_LIT("strong"));
    call_name(call, key);
    return call_start(call, err);
}

/* ---- bulk get ---- */

/* One of the answer's values, written as text again into `texts`, from where it is borrowed. */
static void read_value(const cJSON *entry, struct slice key, struct buf *texts,
                       struct dapr_state_value *out)
{
    const cJSON *data = json_get(entry, "data");
    const char *etag = json_get_string(entry, "etag");
    const char *failure = json_get_string(entry, "error");
    struct json_writer w;
    *out = (struct dapr_state_value){.key = key, .etag = slice_from_cstr(etag)};
    if (failure && *failure) {
        out->status = DAPR_ECOMPONENT;
        return;
    }
    if (!data || (cJSON_IsNull(data) && !etag))
        return;
    out->is_found = true;
    buf_reset(texts);
    json_writer_init(&w, texts);
    json_tree(&w, data);
    out->value = buf_slice(texts);
}

struct bulk_get {
    struct dapr_state_value *values;
    struct buf *texts; /* each value's */
    size_t count;
};

static void bulk_get_deinit(struct bulk_get *b)
{
    for (size_t i = 0; b->texts && i < b->count; i++)
        buf_deinit(&b->texts[i]);
    mem_free(b->texts);
    mem_free(b->values);
}

static int bulk_get_init(struct bulk_get *b, size_t count)
{
    *b = (struct bulk_get){.values = mem_calloc(count, sizeof(*b->values)),
                           .texts = mem_calloc(count, sizeof(*b->texts)),
                           .count = count};
    for (size_t i = 0; b->texts && i < count; i++)
        buf_init(&b->texts[i], (size_t)32 << 20);
    return b->values && b->texts ? 0 : BASE_ENOMEM;
}

static const cJSON *find_entry(const cJSON *list, struct slice key)
{
    const cJSON *entry;
    cJSON_ArrayForEach(entry, list)
    {
        const char *name = json_get_string(entry, "key");
        if (name && slice_is_equal(slice_from_cstr(name), key))
            return entry;
    }
    return NULL;
}

/* daprd answers in an order of its own. */
static int read_values(const struct dapr_call *call, const cJSON *root, struct bulk_get *b)
{
    size_t at = 0;
    if (!cJSON_IsArray(root))
        return DAPR_EPROTOCOL;
    for (size_t i = 0; i < b->count; i++) {
        struct slice key = call_next_name(call, &at);
        const cJSON *entry = find_entry(root, key);
        if (!entry)
            return DAPR_EPROTOCOL;
        read_value(entry, key, &b->texts[i], &b->values[i]);
        if (buf_status(&b->texts[i]))
            return buf_status(&b->texts[i]);
    }
    return 0;
}

static void bulk_get_reply(struct dapr_call *call, int status, const struct dapr_reply *reply,
                           const struct error *err)
{
    struct bulk_get b;
    struct error why = {0};
    if (status) {
        call->fn.state_get_bulk(call->ctx, status, NULL, 0, err);
        return;
    }
    status = bulk_get_init(&b, call->name_count);
    cJSON *root = status ? NULL : json_parse(reply->body, &why);
    if (!status)
        status = !root && why.code == BASE_ENOMEM ? BASE_ENOMEM : read_values(call, root, &b);
    if (status) {
        error_set(&why, status, NULL, "%s",
                  status == DAPR_EPROTOCOL ? dapr_strerror(status) : "out of memory");
        call->fn.state_get_bulk(call->ctx, status, NULL, 0, &why);
    } else {
        call->fn.state_get_bulk(call->ctx, 0, b.values, b.count, NULL);
    }
    cJSON_Delete(root);
    bulk_get_deinit(&b);
}

int dapr_state_get_bulk(struct dapr_client *c, const char *store, const struct slice *keys,
                        size_t count, dapr_state_get_bulk_fn fn, void *ctx, struct error *err)
{
    struct json_writer w;
    int status = check_store(store, err);
    if (!status && count == 0)
        status = error_set(err, BASE_EINVAL, "keys", "there is no key");
    if (status)
        return status;
    struct dapr_call *call = state_call(c, "POST", store, bulk_get_reply);
    if (!call)
        return error_set(err, BASE_ENOMEM, NULL, "out of memory");
    call->fn.state_get_bulk = fn;
    call->ctx = ctx;
    call->is_read = true;
    call_path(call, "/bulk");
    json_writer_init(&w, &call->body);
    json_begin_object(&w);
    json_key(&w, "keys");
    json_begin_array(&w);
    for (size_t i = 0; i < count && !status; i++) {
        status = check_key(keys[i], err);
        json_slice(&w, keys[i]);
        call_name(call, keys[i]);
    }
    if (!status) {
        json_end_array(&w);
        json_end_object(&w);
    }
    return finish(call, status, err);
}

/* ---- save, delete, transaction ---- */

static void write_options(struct json_writer *w, const struct dapr_state_item *item)
{
    if (item->etag.len > 0) {
        json_key(w, "etag");
        json_slice(w, item->etag);
    }
    json_key(w, "options");
    json_begin_object(w);
    json_key_string(w, "concurrency", item->is_first_write ? "first-write" : "last-write");
    json_end_object(w);
}

static int write_item(struct json_writer *w, const struct dapr_state_item *item, bool is_delete,
                      struct error *err)
{
    char ttl[16];
    struct buf b;
    int status = check_key(item->key, err);
    if (!status && !is_delete)
        status = json_check(item->value, err);
    if (status)
        return status;
    json_begin_object(w);
    json_key(w, "key");
    json_slice(w, item->key);
    if (!is_delete) {
        json_key(w, "value");
        json_raw(w, item->value);
    }
    write_options(w, item);
    if (item->ttl_s && !is_delete) {
        buf_init_fixed(&b, ttl, sizeof(ttl));
        buf_append_i64(&b, item->ttl_s);
        json_key(w, "metadata");
        json_begin_object(w);
        json_key_string(w, "ttlInSeconds", ttl);
        json_end_object(w);
    }
    json_end_object(w);
    return 0;
}

int dapr_state_save(struct dapr_client *c, const char *store, const struct dapr_state_item *items,
                    size_t count, dapr_done_fn fn, void *ctx, struct error *err)
{
    struct json_writer w;
    int status = check_store(store, err);
    if (!status && count == 0)
        status = error_set(err, BASE_EINVAL, "items", "there is no item");
    if (status)
        return status;
    struct dapr_call *call = state_call(c, "POST", store, call_reply_done);
    if (!call)
        return error_set(err, BASE_ENOMEM, NULL, "out of memory");
    call->fn.done = fn;
    call->ctx = ctx;
    json_writer_init(&w, &call->body);
    json_begin_array(&w);
    for (size_t i = 0; i < count && !status; i++)
        status = write_item(&w, &items[i], false, err);
    if (!status)
        json_end_array(&w);
    return finish(call, status, err);
}

int dapr_state_delete(struct dapr_client *c, const char *store, struct slice key, struct slice etag,
                      dapr_done_fn fn, void *ctx, struct error *err)
{
    int status = check_store(store, err);
    if (!status)
        status = check_key(key, err);
    if (status)
        return status;
    struct dapr_call *call = state_call(c, "DELETE", store, call_reply_done);
    if (!call)
        return error_set(err, BASE_ENOMEM, NULL, "out of memory");
    call->fn.done = fn;
    call->ctx = ctx;
    call_segment(call, key);
    if (etag.len > 0) {
        call_query(call, "concurrency", SLICE_LIT("first-write"));
        buf_append_slice(&call->if_match, etag);
    }
    return call_start(call, err);
}

static int write_op(struct json_writer *w, const struct dapr_state_op *op, struct error *err)
{
    json_begin_object(w);
    json_key_string(w, "operation", op->is_delete ? "delete" : "upsert");
    json_key(w, "request");
    int status = write_item(w, &op->item, op->is_delete, err);
    if (!status)
        json_end_object(w);
    return status;
}

int dapr_state_transact(struct dapr_client *c, const char *store, const struct dapr_state_op *ops,
                        size_t count, dapr_done_fn fn, void *ctx, struct error *err)
{
    struct json_writer w;
    int status = check_store(store, err);
    if (!status && count == 0)
        status = error_set(err, BASE_EINVAL, "ops", "there is no operation");
    if (status)
        return status;
    struct dapr_call *call = state_call(c, "POST", store, call_reply_done);
    if (!call)
        return error_set(err, BASE_ENOMEM, NULL, "out of memory");
    call->fn.done = fn;
    call->ctx = ctx;
    call_path(call, "/transaction");
    json_writer_init(&w, &call->body);
    json_begin_object(&w);
    json_key(&w, "operations");
    json_begin_array(&w);
    for (size_t i = 0; i < count && !status; i++)
        status = write_op(&w, &ops[i], err);
    if (!status) {
        json_end_array(&w);
        json_end_object(&w);
    }
    return finish(call, status, err);
}
