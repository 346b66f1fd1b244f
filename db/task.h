#pragma once
/* db/task: the SQL of tasks, their tags and reminders; each write with its outbox row(s) in the
 * same statement. Every statement carries the user: another user's row is "not found".
 * Callbacks come exactly once, later than the call, on the loop thread; what they point to is
 * borrowed until they return. Every function: 0 or a DB_E* code as db_pool_submit. */
#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "db/pool.h"

#define DB_TASK_TAGS_MAX 10

enum db_priority { DB_PRIORITY_LOW, DB_PRIORITY_MEDIUM, DB_PRIORITY_HIGH, DB_PRIORITY_URGENT };

/* What became of the operation, decided in SQL. */
enum db_outcome {
    DB_OK,
    DB_NOT_FOUND,          /* the task (or label) itself */
    DB_CATEGORY_NOT_FOUND, /* category_id names no category of the user */
    DB_TAG_NOT_FOUND,      /* at least one tag id names no tag of the user */
    DB_VERSION_CONFLICT,   /* expected_version differs; the reply has the current task */
    DB_LIMIT_EXCEEDED,     /* tags a task, categories or tags a user */
    DB_NO_DUE_DATE,        /* a recurrence or remind_before needs a due date */
    DB_NAME_TAKEN,         /* labels: the name exists */
};

struct db_label {
    int64_t id;
    struct slice name;
    struct slice color; /* empty: none */
    int64_t created_at; /* microseconds; 0 where a task's label is shown */
    int64_t task_count; /* lists only */
};

struct db_reminder {
    bool is_set;
    int64_t remind_at;             /* microseconds; 0 while there is no due date to count from */
    int64_t remind_before_minutes; /* -1: an absolute time */
    bool sent;
};

struct db_task {
    int64_t id;
    struct slice title;
    struct slice description; /* empty: none; lists carry at most 200 characters of it */
    bool description_truncated;
    bool completed;
    enum db_priority priority;
    int64_t due_date; /* microseconds; 0: none (has_due_date) */
    bool has_due_date;
    struct slice recurrence_rule; /* empty: none */
    struct slice timezone;
    struct db_label category; /* id 0: none */
    struct db_label tags[DB_TASK_TAGS_MAX];
    int tag_count;
    struct db_reminder reminder;
    int64_t version;
    int64_t created_at, updated_at;
    int64_t completed_at; /* 0: not completed */
};

struct db_task_reply {
    enum db_outcome outcome;
    const struct db_task *task; /* DB_OK (but not for delete), DB_VERSION_CONFLICT; else NULL */
    bool changed;               /* false: same values, already completed, tag was there … */
    bool replayed;              /* add: the idempotency key was known, this is the first task */
    uint32_t updated_fields;    /* DB_FIELD_* bits whose value really changed */
};
typedef void (*db_task_fn)(void *ctx, int status, const struct db_task_reply *reply,
                           const struct error *err);

struct db_task_list_reply {
    const struct db_task *tasks;
    int count;
    bool has_more;
    int64_t total;                                               /* -1: not asked for */
    const double *rank;                                          /* search: one a task, else NULL */
    const struct slice *title_highlight, *description_highlight; /* search: or empty */
    bool is_fuzzy; /* search: answered by trigram similarity */
};
typedef void (*db_task_list_fn)(void *ctx, int status, const struct db_task_list_reply *reply,
                                const struct error *err);

struct db_task_new {
    struct slice title, description, recurrence_rule, timezone; /* timezone empty: the user's */
    enum db_priority priority;
    int64_t category_id; /* 0: none */
    int64_t tag_ids[DB_TASK_TAGS_MAX];
    int tag_count;
    bool has_due_date;
    int64_t due_date;
    struct slice idempotency_key; /* empty: none */
    struct slice traceparent;     /* empty: none; for the outbox row; so below */
};
int db_task_add(struct db_pool *p, int64_t user_id, const struct db_task_new *task, db_task_fn fn,
                void *ctx, db_op_id *id, struct error *err);
int db_task_get(struct db_pool *p, int64_t user_id, int64_t task_id, db_task_fn fn, void *ctx,
                db_op_id *id, struct error *err);

enum db_task_field {
    DB_FIELD_TITLE = 1 << 0,
    DB_FIELD_DESCRIPTION = 1 << 1,
    DB_FIELD_COMPLETED = 1 << 2,
    DB_FIELD_PRIORITY = 1 << 3,
    DB_FIELD_CATEGORY = 1 << 4,
    DB_FIELD_DUE_DATE = 1 << 5,
    DB_FIELD_RECURRENCE = 1 << 6,
    DB_FIELD_TIMEZONE = 1 << 7,
    DB_FIELD_TAGS = 1 << 8,     /* events only */
    DB_FIELD_REMINDER = 1 << 9, /* events only */
};
struct db_task_patch {
    uint32_t set; /* DB_FIELD_* given by the caller; an empty value removes */
    struct slice title, description, recurrence_rule, timezone;
    bool completed;
    enum db_priority priority;
    int64_t category_id; /* 0 removes */
    bool has_due_date;   /* false removes */
    int64_t due_date;
    int64_t expected_version; /* 0: any */
    struct slice traceparent;
};
int db_task_update(struct db_pool *p, int64_t user_id, int64_t task_id,
                   const struct db_task_patch *patch, db_task_fn fn, void *ctx, db_op_id *id,
                   struct error *err);
/* changed = false: it was completed already. */
int db_task_complete(struct db_pool *p, int64_t user_id, int64_t task_id, struct slice traceparent,
                     db_task_fn fn, void *ctx, db_op_id *id, struct error *err);
int db_task_delete(struct db_pool *p, int64_t user_id, int64_t task_id, struct slice traceparent,
                   db_task_fn fn, void *ctx, db_op_id *id, struct error *err);

enum db_sort { DB_SORT_CREATED_AT, DB_SORT_DUE_DATE, DB_SORT_PRIORITY, DB_SORT_UPDATED_AT };
/* The place after which a page starts: the last row's sort key and id. */
struct db_cursor {
    bool is_set;
    bool key_is_null; /* sorted by due date, and the last row had none */
    int64_t key;      /* time in microseconds, or priority 0..3 */
    double rank;      /* search */
    bool is_fuzzy;    /* search: which of the two searches the first page used */
    int64_t id;
};
struct db_task_filter {
    int status;          /* -1 all, 0 pending, 1 completed */
    int priority;        /* -1 any, else enum db_priority */
    int64_t category_id; /* 0 any */
    int64_t tag_ids[DB_TASK_TAGS_MAX];
    int tag_count; /* any of */
    bool has_due_before, has_due_after;
    int64_t due_before, due_after; /* due < before, due > after */
    enum db_sort sort;
    bool descending;
    int limit; /* 1..200 */
    struct db_cursor cursor;
    bool with_total;
};
int db_task_list(struct db_pool *p, int64_t user_id, const struct db_task_filter *filter,
                 db_task_list_fn fn, void *ctx, db_op_id *id, struct error *err);
int db_task_search(struct db_pool *p, int64_t user_id, struct slice query, int status, int limit,
                   const struct db_cursor *cursor, db_task_list_fn fn, void *ctx, db_op_id *id,
                   struct error *err);

/* Idempotent; changed says whether anything did. DB_LIMIT_EXCEEDED past DB_TASK_TAGS_MAX. */
int db_task_tag(struct db_pool *p, int64_t user_id, int64_t task_id, int64_t tag_id, bool add,
                struct slice traceparent, db_task_fn fn, void *ctx, db_op_id *id,
                struct error *err);

struct db_reminder_set {
    bool clear;
    int64_t remind_before_minutes; /* -1: use remind_at */
    int64_t remind_at;
    struct slice traceparent;
};
int db_task_set_reminder(struct db_pool *p, int64_t user_id, int64_t task_id,
                         const struct db_reminder_set *set, db_task_fn fn, void *ctx, db_op_id *id,
                         struct error *err);
