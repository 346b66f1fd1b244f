#pragma once
/* tools/render: tasks, categories and tags as JSON, and lists as short text.
 *
 * A single task has all its members, null where there is none. In lists a member that is null,
 * empty or false is left out, because a list's size is an agent's context. */
#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "db/label.h"

struct buf;
struct json_writer;

extern const char *const render_priority_names[4]; /* by enum db_priority */

/* The members of a task in the order of an answer; the bit of each is 1 << its place. */
#define RENDER_TASK_MEMBERS(X)                                                                     \
    X(ID, "id")                                                                                    \
    X(TITLE, "title")                                                                              \
    X(DESCRIPTION, "description")                                                                  \
    X(COMPLETED, "completed")                                                                      \
    X(STATUS, "status")                                                                            \
    X(PRIORITY, "priority")                                                                        \
    X(DUE_DATE, "due_date")                                                                        \
    X(RECURRENCE_RULE, "recurrence_rule")                                                          \
    X(TIMEZONE, "timezone")                                                                        \
    X(CATEGORY, "category")                                                                        \
    X(TAGS, "tags")                                                                                \
    X(REMINDER, "reminder")                                                                        \
    X(VERSION, "version")                                                                          \
    X(CREATED_AT, "created_at")                                                                    \
    X(UPDATED_AT, "updated_at")                                                                    \
    X(COMPLETED_AT, "completed_at")
enum render_member {
#define X(name, text) RENDER_##name,
    RENDER_TASK_MEMBERS(X)
#undef X
        RENDER_MEMBER_COUNT
};
#define RENDER_ALL ((1u << RENDER_MEMBER_COUNT) - 1)
/* Beside the members, when the caller chose none: what another member tells already is left out,
 * which is updated_at of a task that was never changed (version 1). */
#define RENDER_FRUGAL (1u << RENDER_MEMBER_COUNT)
extern const char *const render_member_names[RENDER_MEMBER_COUNT];

/* The whole task as an object, or its members alone, for an answer that has more of them. */
void render_task(struct json_writer *w, const struct db_task *task);
void render_task_members(struct json_writer *w, const struct db_task *task);
/* The task's members in a list, those of `members` only. The caller opens and closes the object. */
void render_list_members(struct json_writer *w, const struct db_task *task, uint32_t members);
/* "updated_fields":["title", …] of DB_FIELD_* bits. */
void render_updated_fields(struct json_writer *w, uint32_t fields);

/* id, name, color, created_at; with task_count in lists. */
void render_label_members(struct json_writer *w, const struct db_label *label, bool with_count);

/* One line for a person or model: `12 [ ] high due 2026-12-01 Buy milk`, ended by "\n". */
void render_task_line(struct buf *out, const struct db_task *task);
/* The lines' head: `25 of 312 tasks; more: call again with cursor "…"`. `total` below 0: unknown;
 * `cursor` NULL: that was all. */
void render_list_head(struct buf *out, int count, int64_t total, bool is_fuzzy, const char *cursor);

/* Of a search's highlight, about `chars` characters around the first hit; the hits stay marked. */
struct slice render_excerpt(struct slice highlight, size_t chars);
