#pragma once
/* db/agenda: what is pending: today, overdue, upcoming in the user's own time zone, or in one
 * category; and which day it is for the user. Reads only. Conventions as in db/task.h. */
#include "db/task.h"

enum db_agenda {
    DB_TODAY,    /* due on the user's present day */
    DB_OVERDUE,  /* due before now */
    DB_UPCOMING, /* due on one of the seven days after today */
};

struct db_agenda_reply {
    bool is_found;               /* false: no such category, or no such user */
    struct slice timezone;       /* by time: the user's */
    bool has_from;               /* by time */
    int64_t from, until;         /* by time: from <= due date < until */
    struct db_label category;    /* by category; task_count counts the completed too */
    const struct db_task *tasks; /* by time: soonest due first; by category: newest first */
    int count;
    int64_t total; /* pending tasks, shown or not */
};
typedef void (*db_agenda_fn)(void *ctx, int status, const struct db_agenda_reply *reply,
                             const struct error *err);

/* At most `limit` tasks. */
int db_agenda_get(struct db_pool *p, int64_t user_id, enum db_agenda which, int limit,
                  db_agenda_fn fn, void *ctx, db_op_id *id, struct error *err);
int db_agenda_category(struct db_pool *p, int64_t user_id, int64_t category_id, int limit,
                       db_agenda_fn fn, void *ctx, db_op_id *id, struct error *err);

struct db_day_reply {
    bool is_found; /* false: no such user */
    struct slice timezone;
    struct slice date, weekday; /* "2026-12-01", "Tuesday" */
    bool is_today;
    int64_t now, from, until;      /* the day: from <= time < until */
    int64_t week_from, week_until; /* its week, from Monday on */
    int64_t category_id, tag_id;   /* of the names; 0: none was given, or there is none */
};
typedef void (*db_day_fn)(void *ctx, int status, const struct db_day_reply *reply,
                          const struct error *err);
/* `date` is YYYY-MM-DD and a day of the calendar, or empty: today. `category` and `tag` are names
 * in exact case, or empty. */
int db_day_get(struct db_pool *p, int64_t user_id, struct slice date, struct slice category,
               struct slice tag, db_day_fn fn, void *ctx, db_op_id *id, struct error *err);
