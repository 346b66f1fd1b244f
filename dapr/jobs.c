#include "dapr/jobs.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "dapr/client_int.h"

#define NAME_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"

static struct dapr_call *job_call(struct dapr_client *c, const char *method, const char *name,
                                  dapr_reply_fn reply, void *ctx)
{
    struct dapr_call *call = call_new(c, method, reply);
    if (!call)
        return NULL;
    call->ctx = ctx;
    call_path(call, "/v1.0/jobs");
    call_segment(call, slice_from_cstr(name));
    return call;
}

static int check_job_name(const char *name, struct error *err)
{
    return name && *name && name[strspn(name, NAME_CHARS)] == '\0'
               ? 0
               : error_set(err, BASE_EINVAL, "name",
                           "a job's name has letters, digits, '.', '_' and '-'");
}

/* ---- schedule ---- */

static void write_text(struct json_writer *w, const char *key, const char *text)
{
    if (text)
        json_key_string(w, key, text);
}

static void write_failure(struct json_writer *w, const struct dapr_job *job)
{
    char interval[16];
    if (job->failure == DAPR_JOB_DEFAULT)
        return;
    json_key(w, "failurePolicy");
    json_begin_object(w);
    json_key(w, job->failure == DAPR_JOB_DROP ? "drop" : "constant");
    json_begin_object(w);
    if (job->failure == DAPR_JOB_CONSTANT) {
        snprintf(interval, sizeof(interval), "%us", job->failure_interval_s);
        json_key_string(w, "interval", interval);
        if (job->failure_tries)
            json_key_int(w, "maxRetries", job->failure_tries);
    }
    json_end_object(w);
    json_end_object(w);
}

static void write_job(struct json_writer *w, const struct dapr_job *job)
{
    json_begin_object(w);
    write_text(w, "schedule", job->schedule);
    write_text(w, "dueTime", job->due_time);
    write_text(w, "ttl", job->ttl);
    if (job->repeats)
        json_key_int(w, "repeats", job->repeats);
    json_key_bool(w, "overwrite", job->overwrite);
    write_failure(w, job);
    json_key(w, "data");
    json_raw(w, job->data.len > 0 ? job->data : SLICE_LIT("{}"));
    json_end_object(w);
}

int dapr_job_schedule(struct dapr_client *c, const struct dapr_job *job, dapr_done_fn fn, void *ctx,
                      struct error *err)
{
    struct json_writer w;
    int status = check_job_name(job->name, err);
    if (!status && !job->schedule && !job->due_time)
        status = error_set(err, BASE_EINVAL, "schedule", "a job needs a schedule or a due time");
    if (!status && job->data.len > 0)
        status = json_check(job->data, err);
    if (status)
        return status;
    struct dapr_call *call = job_call(c, "POST", job->name, call_reply_done, ctx);
    if (!call)
        return error_set(err, BASE_ENOMEM, NULL, "out of memory");
    call->fn.done = fn;
    json_writer_init(&w, &call->body);
    write_job(&w, job);
    return call_start(call, err);
}

/* ---- get ---- */

/* daprd gives the data as {"@type": ".../google.protobuf.Value", "value": …}. */
static void read_job(const cJSON *root, struct buf *data, struct dapr_job *job)
{
    struct json_writer w;
    int64_t repeats = 0;
    const cJSON *value = json_get(json_get(root, "data"), "value");
    *job = (struct dapr_job){.name = json_get_string(root, "name"),
                             .schedule = json_get_string(root, "schedule"),
                             .due_time = json_get_string(root, "dueTime"),
                             .ttl = json_get_string(root, "ttl")};
    if (json_as_int(json_get(root, "repeats"), &repeats) && repeats > 0 && repeats <= UINT32_MAX)
        job->repeats = (uint32_t)repeats;
    if (!value)
        return;
    json_writer_init(&w, data);
    json_tree(&w, value);
    job->data = buf_slice(data);
}

static void tell_job(struct dapr_call *call, const cJSON *root, const struct error *why)
{
    struct buf data;
    struct dapr_job job = {0};
    struct error err = *why;
    buf_init(&data, (size_t)32 << 20);
    if (root)
        read_job(root, &data, &job);
    if (buf_status(&data) || why->code == BASE_ENOMEM)
        error_set(&err, BASE_ENOMEM, NULL, "out of memory");
    else if (!job.name)
        error_set(&err, DAPR_EPROTOCOL, NULL, "%s", dapr_strerror(DAPR_EPROTOCOL));
    if (err.code)
        call->fn.job_get(call->ctx, err.code, false, NULL, &err);
    else
        call->fn.job_get(call->ctx, 0, true, &job, NULL);
    buf_deinit(&data);
}

static void get_reply(struct dapr_call *call, int status, const struct dapr_reply *reply,
                      const struct error *err)
{
    struct error why = {0};
    if (status && reply && answer_says(reply->body, "job not found")) {
        call->fn.job_get(call->ctx, 0, false, NULL, NULL);
        return;
    }
    if (status) {
        call->fn.job_get(call->ctx, status, false, NULL, err);
        return;
    }
    cJSON *root = json_parse(reply->body, &why);
    tell_job(call, root, &why);
    cJSON_Delete(root);
}

int dapr_job_get(struct dapr_client *c, const char *name, dapr_job_get_fn fn, void *ctx,
                 struct error *err)
{
    int status = check_job_name(name, err);
    if (status)
        return status;
    struct dapr_call *call = job_call(c, "GET", name, get_reply, ctx);
    if (!call)
        return error_set(err, BASE_ENOMEM, NULL, "out of memory");
    call->fn.job_get = fn;
    call->is_read = true;
    return call_start(call, err);
}

/* ---- delete ---- */

int dapr_job_delete(struct dapr_client *c, const char *name, dapr_done_fn fn, void *ctx,
                    struct error *err)
{
    int status = check_job_name(name, err);
    if (status)
        return status;
    struct dapr_call *call = job_call(c, "DELETE", name, call_reply_done, ctx);
    if (!call)
        return error_set(err, BASE_ENOMEM, NULL, "out of memory");
    call->fn.done = fn;
    return call_start(call, err);
}
