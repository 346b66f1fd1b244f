#pragma once
/* What each test of db/ stands on: a loop, a pool, two users of its own, and the program's calls
 * made to wait for their answers. */
#include "support/unit.h"

#include <uv.h>

#include "base/arena.h"
#include "base/error.h"
#include "db/label.h"
#include "db/pool.h"
#include "db/task.h"
#include "db/user.h"
#include "support/postgres.h"

struct fixture {
    struct postgres *pg; /* borrowed from the group */
    uv_loop_t loop;
    struct db_pool *pool; /* NULL once closed */
    int64_t user, other;
    struct arena arena; /* what answers point to, until the test's end */
    int64_t last_seq;   /* of the outbox, for new_events */
};

/* Set-up and tear-down of a test; the latter asserts that the loop closes with 0. */
int fixture_setup(void **state);
int fixture_teardown(void **state);
#define db_test(f) cmocka_unit_test_setup_teardown(f, fixture_setup, fixture_teardown)

/* For tests of the pool: the same with other options. fixture_close_pool waits for `closed`. */
void fixture_open_pool(struct fixture *f, const struct db_pool_options *options);
void fixture_close_pool(struct fixture *f, uint32_t drain_ms);
/* Turns the loop until *done. */
void fixture_wait(struct fixture *f, const bool *done);

/* Turns it until one of the pool's sessions waits for a lock of p->admin's transaction. */
void fixture_wait_for_lock(struct fixture *f);

/* ---- answers ---- */

struct task_answer {
    struct fixture *f;
    bool is_done;
    int status;
    struct error err;
    struct db_task_reply reply; /* reply.task: NULL or &task */
    struct db_task task;
};
struct list_answer {
    struct fixture *f;
    bool is_done;
    int status;
    struct error err;
    struct db_task_list_reply reply; /* copied */
};
struct label_answer {
    struct fixture *f;
    bool is_done;
    int status;
    struct error err;
    struct db_label_reply reply; /* copied */
};

/* The callbacks that fill them: fn and ctx of a call. */
void on_task(void *ctx, int status, const struct db_task_reply *reply, const struct error *err);
void on_list(void *ctx, int status, const struct db_task_list_reply *reply,
             const struct error *err);
void on_label(void *ctx, int status, const struct db_label_reply *reply, const struct error *err);

/* ---- calls that wait; each fails the test unless the status is 0 ---- */

struct task_answer add_task(struct fixture *f, const struct db_task_new *task);
/* One with this title that must come out well; its id. */
int64_t add_titled(struct fixture *f, const char *title);
struct task_answer get_task(struct fixture *f, int64_t user, int64_t id);
struct task_answer update_task(struct fixture *f, int64_t user, int64_t id,
                               const struct db_task_patch *patch);
struct task_answer complete_task(struct fixture *f, int64_t user, int64_t id);
struct task_answer delete_task(struct fixture *f, int64_t user, int64_t id);
struct task_answer tag_task(struct fixture *f, int64_t user, int64_t id, int64_t tag, bool add);
struct task_answer set_reminder(struct fixture *f, int64_t user, int64_t id,
                                const struct db_reminder_set *set);
struct list_answer list_tasks(struct fixture *f, int64_t user, const struct db_task_filter *filter);
struct list_answer search_tasks(struct fixture *f, int64_t user, const char *query, int limit,
                                const struct db_cursor *cursor);
struct label_answer create_label(struct fixture *f, enum db_label_kind kind, int64_t user,
                                 const char *name, const char *color);
/* One with this name that must come out well; its id. */
int64_t add_label(struct fixture *f, enum db_label_kind kind, const char *name);
struct label_answer list_labels(struct fixture *f, enum db_label_kind kind, int64_t user);
struct label_answer get_label(struct fixture *f, enum db_label_kind kind, int64_t user, int64_t id);
struct label_answer update_label(struct fixture *f, enum db_label_kind kind, int64_t user,
                                 int64_t id, const struct db_label_patch *patch);
struct label_answer delete_label(struct fixture *f, enum db_label_kind kind, int64_t user,
                                 int64_t id);
int64_t ensure_user(struct fixture *f, const char *subject, const char *timezone);

/* ---- checks ---- */

#define assert_outcome(answer, expected)                                                           \
    assert_int_equal((int)(answer).reply.outcome, (int)(expected))
void assert_slice(struct slice actual, const char *expected);
/* How many outbox rows came since the last call (or the test's start). */
int64_t new_events(struct fixture *f);
/* The newest row's `data` as SQL's jsonb names it, e.g. "event_type" or "updated_fields,title". */
const char *newest_event(struct fixture *f, const char *path);
int64_t newest_event_int(struct fixture *f, const char *path);
