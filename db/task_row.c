/* A row -> struct db_task, in the order of TASK_COLUMNS. */
#include <assert.h>

#include "base/error.h"
#include "db/task_int.h"

enum {
    COL_ID,
    COL_TITLE,
    COL_DESCRIPTION,
    COL_TRUNCATED,
    COL_COMPLETED,
    COL_PRIORITY,
    COL_DUE_DATE,
    COL_RECURRENCE_RULE,
    COL_TIMEZONE,
    COL_CATEGORY_ID,
    COL_CATEGORY_NAME,
    COL_CATEGORY_COLOR,
    COL_TAGS,
    COL_HAS_REMINDER,
    COL_REMIND_AT,
    COL_REMIND_BEFORE,
    COL_REMINDER_SENT,
    COL_VERSION,
    COL_CREATED_AT,
    COL_UPDATED_AT,
    COL_COMPLETED_AT,
    COL_COUNT
};
_Static_assert(COL_COUNT == TASK_COLUMN_COUNT, "the decoder and TASK_COLUMNS differ");

/* Takes the bytes up to `mark` off the front of `rest`. */
static struct slice take_until(struct slice *rest, char mark)
{
    const char *end = rest->len ? memchr(rest->ptr, mark, rest->len) : NULL;
    struct slice head = {rest->ptr, end ? (size_t)(end - rest->ptr) : rest->len};
    size_t taken = head.len + (end ? 1 : 0);
    rest->ptr += taken;
    rest->len -= taken;
    return head;
}

static int64_t parse_id(struct slice digits)
{
    int64_t id = 0;
    for (size_t i = 0; i < digits.len; i++)
        id = id * 10 + (digits.ptr[i] - '0');
    return id;
}

static void decode_tags(struct slice packed, struct db_task *out)
{
    out->tag_count = 0;
    while (packed.len > 0 && out->tag_count < DB_TASK_TAGS_MAX) {
        struct slice tag = take_until(&packed, '\x1e');
        struct db_label *label = &out->tags[out->tag_count++];
        *label = (struct db_label){.id = parse_id(take_until(&tag, '\x1f'))};
        label->name = take_until(&tag, '\x1f');
        label->color = tag;
    }
}

static void decode_reminder(const struct db_result *res, int row, int first,
                            struct db_reminder *out)
{
    bool is_relative = !db_result_is_null(res, row, first + COL_REMIND_BEFORE);
    *out = (struct db_reminder){
        .is_set = db_result_bool(res, row, first + COL_HAS_REMINDER),
        .remind_at = db_result_time(res, row, first + COL_REMIND_AT),
        .remind_before_minutes =
            is_relative ? db_result_int(res, row, first + COL_REMIND_BEFORE) : -1,
        .sent = db_result_bool(res, row, first + COL_REMINDER_SENT),
    };
}

void task_decode(const struct db_result *res, int row, int first, struct db_task *out)
{
    assert(db_result_columns(res) >= first + COL_COUNT);
    out->id = db_result_int(res, row, first + COL_ID);
    out->title = db_result_text(res, row, first + COL_TITLE);
    out->description = db_result_text(res, row, first + COL_DESCRIPTION);
    out->description_truncated = db_result_bool(res, row, first + COL_TRUNCATED);
    out->completed = db_result_bool(res, row, first + COL_COMPLETED);
    out->priority = (enum db_priority)db_result_int(res, row, first + COL_PRIORITY);
    out->has_due_date = !db_result_is_null(res, row, first + COL_DUE_DATE);
    out->due_date = db_result_time(res, row, first + COL_DUE_DATE);
    out->recurrence_rule = db_result_text(res, row, first + COL_RECURRENCE_RULE);
    out->timezone = db_result_text(res, row, first + COL_TIMEZONE);
    out->category = (struct db_label){
        .id = db_result_int(res, row, first + COL_CATEGORY_ID),
        .name = db_result_text(res, row, first + COL_CATEGORY_NAME),
        .color = db_result_text(res, row, first + COL_CATEGORY_COLOR),
    };
    decode_tags(db_result_text(res, row, first + COL_TAGS), out);
    decode_reminder(res, row, first, &out->reminder);
    out->version = db_result_int(res, row, first + COL_VERSION);
    out->created_at = db_result_time(res, row, first + COL_CREATED_AT);
    out->updated_at = db_result_time(res, row, first + COL_UPDATED_AT);
    out->completed_at = db_result_time(res, row, first + COL_COMPLETED_AT);
}

static void decode_write(const struct db_result *res, struct db_task *task,
                         struct db_task_reply *reply)
{
    reply->outcome = (enum db_outcome)db_result_int(res, 0, WRITE_OUTCOME);
    reply->changed = db_result_bool(res, 0, WRITE_CHANGED);
    reply->replayed = db_result_bool(res, 0, WRITE_REPLAYED);
    reply->updated_fields = (uint32_t)db_result_int(res, 0, WRITE_FIELDS);
    if (db_result_columns(res) > WRITE_TASK && !db_result_is_null(res, 0, WRITE_TASK)) {
        task_decode(res, 0, WRITE_TASK, task);
        reply->task = task;
    }
}

void task_done(struct db_call *call, int status, const struct db_result *res,
               const struct error *err)
{
    struct db_task task;
    struct db_task_reply reply = {.outcome = DB_NOT_FOUND};
    if (status && !call_outcome_of_error(status, err, &reply.outcome)) {
        call->fn.task(call->ctx, status, NULL, err);
        return;
    }
    if (!status && db_result_rows(res) > 0)
        decode_write(res, &task, &reply);
    call->fn.task(call->ctx, 0, &reply, NULL);
}
