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

/* What a constraint of the schema that this program knows means, where a statement leaves the
 * question to it. */
static bool outcome_of_constraint(const char *constraint, enum db_outcome *out)
{
    static const struct {
        const char *constraint;
        enum db_outcome outcome;
    } table[] = {
        {"tasks_category_fkey", DB_CATEGORY_NOT_FOUND},
        {"task_tags_tag_fkey", DB_TAG_NOT_FOUND},
        {"task_tags_task_fkey", DB_NOT_FOUND},
        {"tasks_recurrence_check", DB_NO_DUE_DATE},
        {"categories_name_key", DB_NAME_TAKEN},
        {"tags_name_key", DB_NAME_TAKEN},
        {"users_category_count_check", DB_LIMIT_EXCEEDED},
        {"users_tag_count_check", DB_LIMIT_EXCEEDED},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        if (strcmp(constraint, table[i].constraint) == 0) {
            *out = table[i].outcome;
            return true;
        }
    }
    return false;
}

/* Two changes that meet run into these. Any other constraint is broken by each repeat as well: it
 * is one of a newer schema, or a mistake. */
static bool is_race(const struct error *err)
{
    static const char *const constraints[] = {
        "tasks_user_fkey",    "tasks_category_fkey",     "task_tags_task_fkey",
        "task_tags_tag_fkey", "reminders_task_fkey",     "idempotency_keys_task_fkey",
        "tags_user_id_fkey",  "categories_user_id_fkey", "task_tags_pkey",
        "reminders_pkey",     "idempotency_keys_pkey",   "tasks_series_key",
    };
    for (size_t i = 0; i < sizeof(constraints) / sizeof(*constraints); i++) {
        if (strcmp(err->field, constraints[i]) == 0)
            return true;
    }
    return false;
}

static bool is_of_constraint(int status, const struct error *err)
{
    return (status == DB_ECONSTRAINT || status == DB_EUNIQUE) && err;
}

static bool wants_again(const struct db_call *call, int status, const struct db_result *res,
                        const struct error *err)
{
    if (status)
        return call->retries_constraint && is_of_constraint(status, err) && is_race(err);
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
    enum db_outcome outcome;
    if (wants_again(call, status, res, err)) {
        if (++call->tries < CALL_TRIES_MAX)
            status =
                db_pool_submit(call->pool, call->stmt, call->params, on_result, call, NULL, &again);
        else
            status = set_concurrent(&again);
        if (!status)
            return;
        res = NULL;
        err = &again;
    } else if (is_of_constraint(status, err) && is_race(err) &&
               !outcome_of_constraint(err->field, &outcome)) {
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
    return is_of_constraint(status, err) && outcome_of_constraint(err->field, out);
}
