/* tools/render.c */
#include "tools/render_int.h"

#include <inttypes.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "tools/utf8_int.h"

#define LINE_TITLE_CHARS 60

const char *const render_priority_names[4] = {"low", "medium", "high", "urgent"};
const char *const render_member_names[RENDER_MEMBER_COUNT] = {
#define X(name, text) [RENDER_##name] = (text),
    RENDER_TASK_MEMBERS(X)
#undef X
};
/* As they stand in an answer: a list has some two hundred. */
static const struct slice member_keys[RENDER_MEMBER_COUNT] = {
#define X(name, text) [RENDER_##name] = {"\"" text "\":", sizeof("\"" text "\":") - 1},
    RENDER_TASK_MEMBERS(X)
#undef X
};

/* ---- values --------------------------------------------------------------------------------- */

static void write_time(struct json_writer *w, int64_t time_us)
{
    char text[CLOCK_RFC3339_SIZE];
    size_t len = clock_format_rfc3339(time_us, text);
    json_slice(w, (struct slice){text, len});
}

/* The moment of an event, to the millisecond: nobody reads the microseconds, lists pay for them. */
static void write_moment(struct json_writer *w, int64_t time_us)
{
    write_time(w, time_us - time_us % 1000);
}

static void write_text_or_null(struct json_writer *w, struct slice text)
{
    if (text.len == 0)
        json_null(w);
    else
        json_slice(w, text);
}

/* A category or tag as a task shows it; in lists without a colour that is not there. */
static void write_label(struct json_writer *w, const struct db_label *label, bool in_list)
{
    json_begin_object(w);
    json_key_int(w, "id", label->id);
    json_key(w, "name");
    json_slice(w, label->name);
    if (label->color.len > 0 || !in_list) {
        json_key(w, "color");
        write_text_or_null(w, label->color);
    }
    json_end_object(w);
}

static void write_tags(struct json_writer *w, const struct db_task *task, bool in_list)
{
    json_begin_array(w);
    for (int i = 0; i < task->tag_count; i++)
        write_label(w, &task->tags[i], in_list);
    json_end_array(w);
}

static void write_reminder(struct json_writer *w, const struct db_reminder *r, bool in_list)
{
    json_begin_object(w);
    if (r->remind_at != 0) {
        json_key(w, "remind_at");
        write_time(w, r->remind_at);
    } else if (!in_list) {
        json_key(w, "remind_at");
        json_null(w);
    }
    if (r->remind_before_minutes >= 0) {
        json_key_int(w, "remind_before_minutes", r->remind_before_minutes);
    } else if (!in_list) {
        json_key(w, "remind_before_minutes");
        json_null(w);
    }
    if (r->sent || !in_list)
        json_key_bool(w, "sent", r->sent);
    json_end_object(w);
}

/* ---- a task --------------------------------------------------------------------------------- */

static bool is_absent(const struct db_task *t, enum render_member member)
{
    switch (member) {
    case RENDER_DESCRIPTION:
        return t->description.len == 0;
    case RENDER_COMPLETED:
    case RENDER_COMPLETED_AT:
        return !t->completed;
    case RENDER_DUE_DATE:
        return !t->has_due_date;
    case RENDER_RECURRENCE_RULE:
        return t->recurrence_rule.len == 0;
    case RENDER_CATEGORY:
        return t->category.id == 0;
    case RENDER_TAGS:
        return t->tag_count == 0;
    case RENDER_REMINDER:
        return !t->reminder.is_set;
    case RENDER_ID:
    case RENDER_TITLE:
    case RENDER_STATUS:
    case RENDER_PRIORITY:
    case RENDER_TIMEZONE:
    case RENDER_VERSION:
    case RENDER_CREATED_AT:
    case RENDER_UPDATED_AT:
    case RENDER_MEMBER_COUNT:
        break;
    }
    return false;
}

static void write_member(struct json_writer *w, const struct db_task *t, enum render_member member,
                         bool in_list)
{
    switch (member) {
    case RENDER_ID:
        json_int(w, t->id);
        break;
    case RENDER_TITLE:
        json_slice(w, t->title);
        break;
    case RENDER_DESCRIPTION:
        json_slice(w, t->description);
        break;
    case RENDER_COMPLETED:
        json_bool(w, t->completed);
        break;
    case RENDER_STATUS:
        json_string(w, t->completed ? "completed" : "pending");
        break;
    case RENDER_PRIORITY:
        json_string(w, render_priority_names[t->priority]);
        break;
    case RENDER_DUE_DATE:
        write_time(w, t->due_date);
        break;
    case RENDER_RECURRENCE_RULE:
        json_slice(w, t->recurrence_rule);
        break;
    case RENDER_TIMEZONE:
        json_slice(w, t->timezone);
        break;
    case RENDER_CATEGORY:
        write_label(w, &t->category, in_list);
        break;
    case RENDER_TAGS:
        write_tags(w, t, in_list);
        break;
    case RENDER_REMINDER:
        write_reminder(w, &t->reminder, in_list);
        break;
    case RENDER_VERSION:
        json_int(w, t->version);
        break;
    case RENDER_CREATED_AT:
        write_moment(w, t->created_at);
        break;
    case RENDER_UPDATED_AT:
        write_moment(w, t->updated_at);
        break;
    case RENDER_COMPLETED_AT:
        write_moment(w, t->completed_at);
        break;
    case RENDER_MEMBER_COUNT:
        break;
    }
}

/* A single task shows "completed": false and "tags": [], and null for the others. */
static bool is_null_when_absent(enum render_member member)
{
    return member != RENDER_COMPLETED && member != RENDER_TAGS;
}

void render_task_members(struct json_writer *w, const struct db_task *task)
{
    for (int i = 0; i < RENDER_MEMBER_COUNT; i++) {
        enum render_member member = (enum render_member)i;
        json_key_raw(w, member_keys[i]);
        if (is_absent(task, member) && is_null_when_absent(member))
            json_null(w);
        else
            write_member(w, task, member, false);
    }
}

void render_task(struct json_writer *w, const struct db_task *task)
{
    json_begin_object(w);
    render_task_members(w, task);
    json_end_object(w);
}

void render_list_members(struct json_writer *w, const struct db_task *task, uint32_t members)
{
    if ((members & RENDER_FRUGAL) && task->version == 1)
        members &= ~(1u << RENDER_UPDATED_AT);
    for (int i = 0; i < RENDER_MEMBER_COUNT; i++) {
        enum render_member member = (enum render_member)i;
        if (!(members & 1u << i) || is_absent(task, member))
            continue;
        json_key_raw(w, member_keys[i]);
        write_member(w, task, member, true);
        if (member == RENDER_DESCRIPTION && task->description_truncated)
            json_key_bool(w, "truncated", true);
    }
}

void render_updated_fields(struct json_writer *w, uint32_t fields)
{
    static const struct {
        uint32_t bit;
        enum render_member member;
    } names[] = {
        {DB_FIELD_TITLE, RENDER_TITLE},         {DB_FIELD_DESCRIPTION, RENDER_DESCRIPTION},
        {DB_FIELD_COMPLETED, RENDER_COMPLETED}, {DB_FIELD_PRIORITY, RENDER_PRIORITY},
        {DB_FIELD_DUE_DATE, RENDER_DUE_DATE},   {DB_FIELD_RECURRENCE, RENDER_RECURRENCE_RULE},
        {DB_FIELD_TIMEZONE, RENDER_TIMEZONE},   {DB_FIELD_TAGS, RENDER_TAGS},
        {DB_FIELD_REMINDER, RENDER_REMINDER},
    };
    json_key(w, "updated_fields");
    json_begin_array(w);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (fields & names[i].bit)
            json_string(w, render_member_names[names[i].member]);
    }
    if (fields & DB_FIELD_CATEGORY)
        json_string(w, "category_id"); /* named as the argument is, not as the member */
    json_end_array(w);
}

/* ---- a category or tag ---------------------------------------------------------------------- */

void render_label_members(struct json_writer *w, const struct db_label *label, bool with_count)
{
    json_key_int(w, "id", label->id);
    json_key(w, "name");
    json_slice(w, label->name);
    json_key(w, "color");
    write_text_or_null(w, label->color);
    json_key(w, "created_at");
    write_moment(w, label->created_at);
    if (with_count)
        json_key_int(w, "task_count", label->task_count);
}

/* ---- text ----------------------------------------------------------------------------------- */

/* A title's line breaks and other control characters would let it pass for further lines. */
static void append_one_line(struct buf *out, struct slice text)
{
    size_t start = out->len;
    buf_append_slice(out, text);
    for (size_t i = start; i < out->len; i++) {
        unsigned char c = (unsigned char)out->ptr[i];
        if (c < 0x20 || c == 0x7F)
            out->ptr[i] = ' ';
    }
}

void render_task_line(struct buf *out, const struct db_task *task)
{
    buf_append_i64(out, task->id);
    buf_append_cstr(out, task->completed ? " [x] " : " [ ] ");
    if (task->priority != DB_PRIORITY_MEDIUM) {
        buf_append_cstr(out, render_priority_names[task->priority]);
        buf_append_char(out, ' ');
    }
    if (task->has_due_date) {
        char due[CLOCK_RFC3339_SIZE];
        size_t len = clock_format_date(task->due_date, due);
        buf_append_cstr(out, "due ");
        buf_append(out, due, len);
        buf_append_char(out, ' ');
    }
    struct slice title = utf8_cut(task->title, LINE_TITLE_CHARS);
    append_one_line(out, title);
    buf_append_cstr(out, title.len < task->title.len ? "…\n" : "\n");
}

void render_list_head(struct buf *out, int count, int64_t total, bool is_fuzzy, const char *cursor)
{
    if (count == 0) {
        buf_append_cstr(out, "no tasks");
    } else {
        buf_append_i64(out, count);
        if (total >= 0)
            buf_printf(out, " of %" PRId64, total);
        buf_append_cstr(out, count == 1 && total <= 1 ? " task" : " tasks");
    }
    if (is_fuzzy)
        buf_append_cstr(out, " with similar words");
    if (cursor)
        buf_printf(out, "; more: call again with cursor \"%s\"", cursor);
    buf_append_char(out, '\n');
}

/* ---- excerpts ------------------------------------------------------------------------------- */

struct slice render_excerpt(struct slice highlight, size_t chars)
{
    return utf8_cut(highlight, chars);
}
