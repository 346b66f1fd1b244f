/* tools/error.c */
#include "tools/error_int.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/json.h"
#include "tools/render_int.h"

static const struct {
    const char *name;
    bool retryable;
} codes[] = {
#define X(name, text, retryable) [name] = {text, retryable},
    TOOL_ERRORS(X)
#undef X
};

const char *tool_error_code_name(enum tool_error_code code)
{
    return codes[code].name;
}

void tool_error_set(struct tool_error *e, enum tool_error_code code, const char *field,
                    const char *expected, const char *format, ...)
{
    e->code = code;
    e->retryable = codes[code].retryable;
    e->current = NULL;
    snprintf(e->field, sizeof(e->field), "%s", field ? field : "");
    snprintf(e->expected, sizeof(e->expected), "%s", expected ? expected : "");
    va_list args;
    va_start(args, format);
    vsnprintf(e->message, sizeof(e->message), format, args);
    va_end(args);
}

/* ---- tasks ---------------------------------------------------------------------------------- */

static void set_version_conflict(struct tool_error *e, const struct tool_subject *s,
                                 const struct db_task *current)
{
    tool_error_set(e, TOOL_CONFLICT, "expected_version", NULL,
                   "the task has version %" PRId64 ", not %" PRId64 ": somebody changed it; see "
                   "current, then call again with expected_version %" PRId64,
                   current ? current->version : 0, s->expected_version,
                   current ? current->version : 0);
    e->current = current;
}

static void set_no_due_date(struct tool_error *e, const struct tool_subject *s)
{
    if (s->is_reminder)
        tool_error_set(e, TOOL_VALIDATION_ERROR, "remind_before_minutes", NULL,
                       "the task has no due date to count back from; set due_date with "
                       "update_task, or give remind_at");
    else
        tool_error_set(e, TOOL_VALIDATION_ERROR, "due_date", NULL,
                       "a task that repeats needs a due date; give due_date too, or remove "
                       "recurrence_rule with null");
}

static void set_task_not_found(struct tool_error *e, const struct tool_subject *s)
{
    if (s->has_idempotency_key)
        tool_error_set(e, TOOL_NOT_FOUND, "idempotency_key", "a key that was not used before",
                       "the task that this idempotency_key made was deleted; give another key to "
                       "make a new one");
    else
        tool_error_set(e, TOOL_NOT_FOUND, "task_id", NULL,
                       "no task has id %" PRId64 "; list_tasks and search_tasks show the ids",
                       s->task_id);
}

void tool_error_from_task(struct tool_error *e, enum db_outcome outcome,
                          const struct tool_subject *s, const struct db_task *current)
{
    switch (outcome) {
    case DB_OK:
    case DB_NAME_TAKEN:
    case DB_NOT_FOUND:
        set_task_not_found(e, s);
        break;
    case DB_CATEGORY_NOT_FOUND:
        tool_error_set(e, TOOL_NOT_FOUND, "category_id", NULL,
                       "no category has id %" PRId64 "; list_categories shows the ids, "
                       "create_category makes one",
                       s->category_id);
        break;
    case DB_TAG_NOT_FOUND:
        if (s->tag_id)
            tool_error_set(e, TOOL_NOT_FOUND, "tag_id", NULL,
                           "no tag has id %" PRId64 "; list_tags shows the ids, create_tag makes "
                           "one",
                           s->tag_id);
        else
            tool_error_set(e, TOOL_NOT_FOUND, "tag_ids", NULL,
                           "at least one of tag_ids names no tag; list_tags shows the ids, "
                           "create_tag makes one");
        break;
    case DB_VERSION_CONFLICT:
        set_version_conflict(e, s, current);
        break;
    case DB_LIMIT_EXCEEDED:
        tool_error_set(e, TOOL_LIMIT_EXCEEDED, s->tag_id ? "tag_id" : "tag_ids", NULL,
                       "a task has at most %d tags; take one off with remove_tag_from_task first",
                       DB_TASK_TAGS_MAX);
        break;
    case DB_NO_DUE_DATE:
        set_no_due_date(e, s);
        break;
    }
}

/* ---- categories and tags -------------------------------------------------------------------- */

static const struct {
    const char *noun, *plural, *id_field, *list_tool, *update_tool, *delete_tool;
    int max;
} label_words[] = {
    [DB_CATEGORY] = {"category", "categories", "category_id", "list_categories", "update_category",
                     "delete_category", DB_CATEGORIES_MAX},
    [DB_TAG] = {"tag", "tags", "tag_id", "list_tags", "update_tag", "delete_tag", DB_TAGS_MAX},
};

void tool_error_from_label(struct tool_error *e, enum db_outcome outcome,
                           const struct tool_subject *s)
{
    enum db_label_kind kind = s->kind;
    switch (outcome) {
    case DB_NAME_TAKEN:
        tool_error_set(e, TOOL_DUPLICATE_NAME, "name", NULL,
                       "a %s named \"%.*s\" exists already; %s shows it; use it or choose another "
                       "name",
                       label_words[kind].noun, (int)s->name.len, s->name.ptr ? s->name.ptr : "",
                       label_words[kind].list_tool);
        break;
    case DB_LIMIT_EXCEEDED:
        tool_error_set(e, TOOL_LIMIT_EXCEEDED, NULL, NULL,
                       "there are %d %s already, which is the most; reuse one (%s, %s) or delete "
                       "one (%s)",
                       label_words[kind].max, label_words[kind].plural, label_words[kind].list_tool,
                       label_words[kind].update_tool, label_words[kind].delete_tool);
        break;
    case DB_OK:
    case DB_NOT_FOUND:
    case DB_CATEGORY_NOT_FOUND:
    case DB_TAG_NOT_FOUND:
    case DB_VERSION_CONFLICT:
    case DB_NO_DUE_DATE:
        tool_error_set(e, TOOL_NOT_FOUND, label_words[kind].id_field, NULL,
                       "no %s has id %" PRId64 "; %s shows the ids", label_words[kind].noun,
                       s->label_id, label_words[kind].list_tool);
        break;
    }
}

/* ---- the database itself -------------------------------------------------------------------- */

static void set_unknown_outcome(struct tool_error *e, bool is_repeatable)
{
    if (is_repeatable) {
        tool_error_set(e, TOOL_UNAVAILABLE, NULL, NULL,
                       "the database connection broke; the change may or may not be stored; call "
                       "again, a repeat does no harm");
        return;
    }
    tool_error_set(e, TOOL_UNAVAILABLE, NULL, NULL,
                   "the database connection broke; the change may or may not be stored; look with "
                   "a list or get tool before you call again");
    e->retryable = false;
}

bool tool_error_from_status(struct tool_error *e, int status, bool is_repeatable)
{
    switch (status) {
    case DB_EUNKNOWN:
        set_unknown_outcome(e, is_repeatable);
        return true;
    case DB_ESERIALIZE:
        tool_error_set(e, TOOL_CONFLICT, NULL, NULL,
                       "the change met another one made at the same time; nothing was changed; "
                       "call again");
        e->retryable = true;
        return true;
    case DB_ECONSTRAINT: /* none that two changes run into: db/call.c */
    case DB_EUNIQUE:
        tool_error_set(e, TOOL_UNAVAILABLE, NULL, NULL,
                       "the database refuses this by a rule that the server does not know, as when "
                       "its schema is newer; nothing was changed; a repeat will not help: tell "
                       "whoever runs the server");
        e->retryable = false;
        return true;
    case DB_EBUSY:
        tool_error_set(e, TOOL_UNAVAILABLE, NULL, NULL,
                       "too many calls are waiting for the database; nothing was changed; call "
                       "again in a second");
        return true;
    case DB_ETIMEOUT:
        tool_error_set(e, TOOL_UNAVAILABLE, NULL, NULL,
                       "the database took too long; nothing was changed; call again in a few "
                       "seconds");
        return true;
    case DB_ECANCELLED:
        tool_error_set(e, TOOL_UNAVAILABLE, NULL, NULL, "cancelled; nothing was changed");
        return true;
    case DB_ENOMEM:
    case DB_ECLOSED:
    case DB_EUNAVAILABLE:
        tool_error_set(e, TOOL_UNAVAILABLE, NULL, NULL,
                       "the database cannot be reached now; nothing was changed; call again in a "
                       "few seconds");
        return true;
    default:
        return false;
    }
}

void tool_error_write(struct json_writer *w, const struct tool_error *e)
{
    json_begin_object(w);
    json_key_string(w, "code", tool_error_code_name(e->code));
    json_key_string(w, "message", e->message);
    if (e->field[0])
        json_key_string(w, "field", e->field);
    if (e->expected[0])
        json_key_string(w, "expected", e->expected);
    json_key_bool(w, "retryable", e->retryable);
    if (e->current) {
        json_key(w, "current");
        render_task(w, e->current);
    }
    json_end_object(w);
}
