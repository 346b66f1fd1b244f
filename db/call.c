#include "db/call_int.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"

/* ---- values ---- */

static void push(struct db_args *a, struct slice value)
{
    assert(a->count < DB_PARAMS_MAX);
    a->params[a->count++] = value;
}

/* The `len` bytes just printed at the end of a->text. */
static void push_printed(struct db_args *a, size_t len)
{
    assert(a->used + len < sizeof(a->text));
    push(a, (struct slice){a->text + a->used, len});
    a->used += len + 1;
}

void params_null(struct db_args *a)
{
    push(a, SLICE_EMPTY);
}

void params_text(struct db_args *a, struct slice text)
{
    push(a, text.len ? text : SLICE_EMPTY);
}

void params_int(struct db_args *a, int64_t value)
{
    int len = snprintf(a->text + a->used, sizeof(a->text) - a->used, "%" PRId64, value);
    push_printed(a, (size_t)len);
}

void params_id(struct db_args *a, int64_t id)
{
    if (id)
        params_int(a, id);
    else
        params_null(a);
}

void params_bool(struct db_args *a, bool value)
{
    push(a, value ? SLICE_LIT("t") : SLICE_LIT("f"));
}

void params_double(struct db_args *a, double value)
{
    int len = snprintf(a->text + a->used, sizeof(a->text) - a->used, "%.17g", value);
    push_printed(a, (size_t)len);
}

void params_time(struct db_args *a, int64_t time_us)
{
    assert(a->used + CLOCK_RFC3339_SIZE < sizeof(a->text));
    push_printed(a, clock_format_rfc3339(time_us, a->text + a->used));
}

static bool has_id(const int64_t *ids, int count, int64_t id)
{
    for (int i = 0; i < count; i++) {
        if (ids[i] == id)
            return true;
    }
    return false;
}

void params_ids(struct db_args *a, const int64_t *ids, int count)
{
    char *start = a->text + a->used;
    size_t room = sizeof(a->text) - a->used;
    size_t len = 0;
    assert(count <= DB_TASK_TAGS_MAX && room > DB_TASK_TAGS_MAX * 21 + 3);
    start[len++] = '{';
    for (int i = 0; i < count; i++) {
        if (!has_id(ids, i, ids[i]))
            len += (size_t)snprintf(start + len, room - len, "%s%" PRId64, i ? "," : "", ids[i]);
    }
    start[len++] = '}';
    push_printed(a, len);
}

/* ---- the call ---- */

/* What a broken constraint means that this program knows; any other is one of a newer schema, or a
 * mistake, and is broken by each repeat as well. */
struct constraint {
    const char *name;
    bool is_race;            /* two changes that meet run into it */
    enum db_outcome outcome; /* where a statement leaves the question to it; DB_OK: none does */
};

static const struct constraint constraints[] = {
    {"tasks_user_fkey", true, DB_OK},
    {"tasks_category_fkey", true, DB_CATEGORY_NOT_FOUND},
    {"tasks_recurrence_check", false, DB_NO_DUE_DATE},
    {"tasks_series_key", true, DB_OK},
    {"task_tags_pkey", true, DB_OK},
    {"task_tags_tag_fkey", true, DB_TAG_NOT_FOUND},
    {"task_tags_task_fkey", true, DB_NOT_FOUND},
    {"reminders_pkey", true, DB_OK},
    {"reminders_task_fkey", true, DB_OK},
    {"idempotency_keys_pkey", true, DB_OK},
    {"idempotency_keys_task_fkey", true, DB_OK},
    {"categories_name_key", false, DB_NAME_TAKEN},
    {"categories_user_id_fkey", true, DB_OK},
    {"tags_name_key", false, DB_NAME_TAKEN},
    {"tags_user_id_fkey", true, DB_OK},
    {"users_category_count_check", false, DB_LIMIT_EXCEEDED},
    {"users_tag_count_check", false, DB_LIMIT_EXCEEDED},
};

/* NULL: it was no constraint, or is none of those. */
static const struct constraint *find_constraint(int status, const struct error *err)
{
    if ((status != DB_ECONSTRAINT && status != DB_EUNIQUE) || !err)
        return NULL;
    for (size_t i = 0; i < sizeof(constraints) / sizeof(*constraints); i++) {
        if (strcmp(err->field, constraints[i].name) == 0)
            return &constraints[i];
    }
    return NULL;
}

static bool wants_again(const struct db_call *call, int status, const struct db_result *res,
                        const struct constraint *broken)
{
    if (status)
        return call->retries_constraint && broken && broken->is_race;
    return call->stmt->is_write && db_result_rows(res) > 0 &&
           db_result_int(res, 0, 0) == CALL_AGAIN;
}

static int set_concurrent(struct error *out)
{
    return error_set(out, DB_ESERIALIZE, NULL, "the change met a concurrent one");
}

static void on_result(void *ctx, int status, const struct db_result *res, const struct error *err)
{
    struct db_call *call = ctx;
    struct error again;
    const struct constraint *broken = find_constraint(status, err);
    if (wants_again(call, status, res, broken)) {
        if (++call->tries < CALL_TRIES_MAX)
            status =
                db_pool_submit(call->pool, call->stmt, call->params, on_result, call, NULL, &again);
        else
            status = set_concurrent(&again);
        if (!status)
            return;
        res = NULL;
        err = &again;
    } else if (broken && broken->is_race && broken->outcome == DB_OK) {
        status = set_concurrent(&again);
        err = &again;
    }
    call->done(call, status, res, err);
    mem_free(call);
}

static struct db_call *copy_call(const struct db_call *call, const struct db_args *args)
{
    size_t count = (size_t)args->count;
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += args->params[i].len;
    struct db_call *copy = mem_alloc(sizeof(*copy) + count * sizeof(db_param) + bytes);
    if (!copy)
        return NULL;
    memcpy(copy, call, sizeof(*copy));
    char *at = (char *)(copy->params + count);
    for (size_t i = 0; i < count; i++) {
        struct slice value = args->params[i];
        copy->params[i] = (struct slice){value.ptr ? at : NULL, value.len};
        if (value.ptr)
            memcpy(at, value.ptr, value.len);
        at += value.len;
    }
    return copy;
}

int call_submit(const struct db_call *call, const struct db_args *args, db_op_id *id,
                struct error *err)
{
    assert(args->count == call->stmt->param_count);
    struct db_call *copy = copy_call(call, args);
    if (!copy)
        return error_set(err, DB_ENOMEM, NULL, "out of memory");
    int status = db_pool_submit(call->pool, call->stmt, copy->params, on_result, copy, id, err);
    if (status)
        mem_free(copy);
    return status;
}

bool call_outcome_of_error(int status, const struct error *err, enum db_outcome *out)
{
    const struct constraint *broken = find_constraint(status, err);
    if (!broken || broken->outcome == DB_OK)
        return false;
    *out = broken->outcome;
    return true;
}
