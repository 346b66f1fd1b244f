/* What the driver writes: a line for each call that ended. */
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "support/dapr_driver/driver.h"

/* ---- writing ---- */

void out_begin(struct out *o)
{
    buf_init(&o->b, LINE_MAX_BYTES);
    json_writer_init(&o->w, &o->b);
    json_begin_object(&o->w);
}

void out_end(struct out *o)
{
    json_end_object(&o->w);
    buf_append_char(&o->b, '\n');
    for (size_t at = 0; at < o->b.len;) {
        ssize_t n = write(1, o->b.ptr + at, o->b.len - at);
        if (n <= 0)
            exit(1);
        at += (size_t)n;
    }
    buf_deinit(&o->b);
}

void out_slice(struct out *o, const char *key, struct slice text)
{
    json_key(&o->w, key);
    json_slice(&o->w, text);
}

void answer_begin(struct out *o, const struct op *op, int status, const struct error *err)
{
    int64_t n = 0;
    json_as_int(json_get(op->line, "n"), &n);
    out_begin(o);
    json_key_int(&o->w, "n", n);
    json_key_int(&o->w, "status", status);
    if (err) {
        json_key_string(&o->w, "field", err->field);
        json_key_string(&o->w, "text", err->text);
    }
}

void answer_end(struct out *o, struct op *op)
{
    out_end(o);
    cJSON_Delete(op->line);
    mem_free(op->memory);
    mem_free(op);
}

/* ---- the answers ---- */

void on_done(void *ctx, int status, const struct error *err)
{
    struct op *op = ctx;
    struct out o;
    answer_begin(&o, op, status, err);
    answer_end(&o, op);
}

void on_bulk(void *ctx, int status, const struct dapr_event_result *results, size_t count,
             const struct error *err)
{
    struct op *op = ctx;
    struct out o;
    answer_begin(&o, op, status, err);
    json_key(&o.w, "results");
    json_begin_array(&o.w);
    for (size_t i = 0; i < count; i++) {
        json_begin_object(&o.w);
        json_key_int(&o.w, "status", results[i].status);
        out_slice(&o, "reason", results[i].reason);
        json_end_object(&o.w);
    }
    json_end_array(&o.w);
    answer_end(&o, op);
}

static void write_value(struct out *o, const struct dapr_state_value *v)
{
    json_key_int(&o->w, "item_status", v->status);
    json_key_bool(&o->w, "found", v->is_found);
    out_slice(o, "key", v->key);
    out_slice(o, "value", v->value);
    out_slice(o, "etag", v->etag);
}

void on_state(void *ctx, int status, const struct dapr_state_value *value, const struct error *err)
{
    struct op *op = ctx;
    struct out o;
    answer_begin(&o, op, status, err);
    if (value)
        write_value(&o, value);
    answer_end(&o, op);
}

void on_states(void *ctx, int status, const struct dapr_state_value *values, size_t count,
               const struct error *err)
{
    struct op *op = ctx;
    struct out o;
    answer_begin(&o, op, status, err);
    json_key(&o.w, "values");
    json_begin_array(&o.w);
    for (size_t i = 0; i < count; i++) {
        json_begin_object(&o.w);
        write_value(&o, &values[i]);
        json_end_object(&o.w);
    }
    json_end_array(&o.w);
    answer_end(&o, op);
}

void on_job(void *ctx, int status, bool is_found, const struct dapr_job *job,
            const struct error *err)
{
    struct op *op = ctx;
    struct out o;
    answer_begin(&o, op, status, err);
    json_key_bool(&o.w, "found", is_found);
    if (job) {
        json_key_string(&o.w, "name", job->name);
        json_key_string(&o.w, "schedule", job->schedule);
        json_key_string(&o.w, "dueTime", job->due_time);
        json_key_string(&o.w, "ttl", job->ttl);
        json_key_int(&o.w, "repeats", job->repeats);
        out_slice(&o, "data", job->data);
    }
    answer_end(&o, op);
}

void on_component(void *ctx, int status, const struct dapr_component *c, const struct error *err)
{
    struct op *op = ctx;
    struct out o;
    answer_begin(&o, op, status, err);
    json_key_string(&o.w, "type", c ? c->type : NULL);
    json_key_string(&o.w, "version", c ? c->version : NULL);
    answer_end(&o, op);
}

void on_published(void *ctx, const struct transport_result *results, size_t count)
{
    struct op *op = ctx;
    struct out o;
    answer_begin(&o, op, 0, NULL);
    json_key(&o.w, "results");
    json_begin_array(&o.w);
    for (size_t i = 0; i < count; i++) {
        json_begin_object(&o.w);
        json_key_int(&o.w, "outcome", (int64_t)results[i].outcome);
        json_key_string(&o.w, "reason", results[i].reason);
        json_end_object(&o.w);
    }
    json_end_array(&o.w);
    answer_end(&o, op);
}

void on_identity(void *ctx, struct slice identity)
{
    struct op *op = ctx;
    struct out o;
    answer_begin(&o, op, 0, NULL);
    out_slice(&o, "identity", identity);
    answer_end(&o, op);
}
