#include "fixture.h"

/* ---- life ---- */

static void on_closed(void *ctx)
{
    struct fixture *f = ctx;
    f->pool = NULL;
}

void fixture_wait(struct fixture *f, const bool *done)
{
    while (!*done)
        assert_true(uv_run(&f->loop, UV_RUN_ONCE) || *done); /* else nothing can come any more */
}

void fixture_wait_for_lock(struct fixture *f)
{
    while (!postgres_int(f->pg, "select count(*) from pg_stat_activity where wait_event_type ="
                                " 'Lock' and application_name = 'todo-mcp'")) {
        uv_run(&f->loop, UV_RUN_ONCE);
        postgres_run(f->pg, "select pg_stat_clear_snapshot()");
    }
}

void fixture_open_pool(struct fixture *f, const struct db_pool_options *options)
{
    struct error err;
    struct db_pool_options o = *options;
    if (!o.conninfo)
        o.conninfo = &f->pg->secret;
    if (db_pool_new(&f->loop, &o, NULL, &f->pool, &err))
        fail_msg("no pool: %s", err.text);
}

void fixture_close_pool(struct fixture *f, uint32_t drain_ms)
{
    db_pool_close(f->pool, drain_ms, on_closed, f);
    while (f->pool)
        uv_run(&f->loop, UV_RUN_ONCE);
}

int fixture_setup(void **state)
{
    struct postgres *pg = *state;
    struct fixture *f = test_calloc(1, sizeof(*f));
    struct db_pool_options options = db_pool_options_default;
    options.size = 2;
    f->pg = pg;
    arena_init(&f->arena, 16u << 20);
    assert_int_equal(uv_loop_init(&f->loop), 0);
    *state = f;
    fixture_open_pool(f, &options);
    char subject[64];
    snprintf(subject, sizeof(subject), "user %s", postgres_text(pg, "select gen_random_uuid()"));
    f->user = ensure_user(f, subject, "Europe/Berlin");
    snprintf(subject, sizeof(subject), "other %s", postgres_text(pg, "select gen_random_uuid()"));
    f->other = ensure_user(f, subject, NULL);
    new_events(f);
    return 0;
}

int fixture_teardown(void **state)
{
    struct fixture *f = *state;
    struct postgres *pg = f->pg;
    if (f->pool)
        fixture_close_pool(f, 10000);
    assert_false(uv_run(&f->loop, UV_RUN_NOWAIT));
    assert_int_equal(uv_loop_close(&f->loop), 0);
    arena_deinit(&f->arena);
    test_free(f);
    *state = pg;
    return 0;
}

/* ---- copies of answers ---- */

static struct slice keep(struct fixture *f, struct slice text)
{
    if (!text.ptr)
        return text;
    char *copy = arena_copy(&f->arena, text);
    assert_non_null(copy);
    return (struct slice){copy, text.len};
}

static struct db_label keep_label(struct fixture *f, const struct db_label *label)
{
    struct db_label copy = *label;
    copy.name = keep(f, label->name);
    copy.color = keep(f, label->color);
    return copy;
}

static struct db_task keep_task(struct fixture *f, const struct db_task *task)
{
    struct db_task copy = *task;
    copy.title = keep(f, task->title);
    copy.description = keep(f, task->description);
    copy.recurrence_rule = keep(f, task->recurrence_rule);
    copy.timezone = keep(f, task->timezone);
    copy.category = keep_label(f, &task->category);
    for (int i = 0; i < task->tag_count; i++)
        copy.tags[i] = keep_label(f, &task->tags[i]);
    return copy;
}

static void keep_error(struct error *out, int status, const struct error *err)
{
    if (!status)
        return;
    if (!err || err->code != status)
        fail_msg("status %d without its error", status);
    else
        *out = *err;
}

void on_task(void *ctx, int status, const struct db_task_reply *reply, const struct error *err)
{
    struct task_answer *a = ctx;
    assert_false(a->is_done); /* exactly once */
    a->is_done = true;
    a->status = status;
    keep_error(&a->err, status, err);
    if (status)
        return;
    a->reply = *reply;
    if (reply->task)
        a->task = keep_task(a->f, reply->task);
}

static const struct slice *keep_slices(struct fixture *f, const struct slice *slices, int count)
{
    if (!slices)
        return NULL;
    struct slice *copy = arena_calloc(&f->arena, (size_t)count, sizeof(*copy));
    assert_non_null(copy);
    for (int i = 0; i < count; i++)
        copy[i] = keep(f, slices[i]);
    return copy;
}

void on_list(void *ctx, int status, const struct db_task_list_reply *reply, const struct error *err)
{
    struct list_answer *a = ctx;
    assert_false(a->is_done);
    a->is_done = true;
    a->status = status;
    keep_error(&a->err, status, err);
    if (status)
        return;
    a->reply = *reply;
    size_t count = (size_t)reply->count;
    struct db_task *tasks = arena_calloc(&a->f->arena, count + 1, sizeof(*tasks));
    double *ranks = arena_calloc(&a->f->arena, count + 1, sizeof(*ranks));
    assert_true(tasks && ranks);
    for (size_t i = 0; i < count; i++) {
        tasks[i] = keep_task(a->f, &reply->tasks[i]);
        ranks[i] = reply->rank ? reply->rank[i] : 0;
    }
    a->reply.tasks = tasks;
    a->reply.rank = reply->rank ? ranks : NULL;
    a->reply.title_highlight = keep_slices(a->f, reply->title_highlight, reply->count);
    a->reply.description_highlight = keep_slices(a->f, reply->description_highlight, reply->count);
}

void on_label(void *ctx, int status, const struct db_label_reply *reply, const struct error *err)
{
    struct label_answer *a = ctx;
    assert_false(a->is_done);
    a->is_done = true;
    a->status = status;
    keep_error(&a->err, status, err);
    if (status)
        return;
    a->reply = *reply;
    struct db_label *labels = arena_calloc(&a->f->arena, (size_t)reply->count + 1, sizeof(*labels));
    assert_non_null(labels);
    for (int i = 0; i < reply->count; i++)
        labels[i] = keep_label(a->f, &reply->labels[i]);
    a->reply.labels = labels;
}

/* ---- calls that wait ---- */

/* By value, so the pointer into itself is set here, where the answer has its place. */
#define WAIT_FOR(type, call)                                                                       \
    struct type a = {.f = f};                                                                      \
    assert_int_equal(call, 0);                                                                     \
    fixture_wait(f, &a.is_done);                                                                   \
    if (a.status)                                                                                  \
        fail_msg("%s (%s)", a.err.text, a.err.field);                                              \
    return a

struct task_answer add_task(struct fixture *f, const struct db_task_new *task)
{
    WAIT_FOR(task_answer, db_task_add(f->pool, f->user, task, on_task, &a, NULL, NULL));
}

int64_t add_titled(struct fixture *f, const char *title)
{
    const struct db_task_new task = {.title = slice_from_cstr(title),
                                     .priority = DB_PRIORITY_MEDIUM};
    struct task_answer a = add_task(f, &task);
    assert_outcome(a, DB_OK);
    return a.task.id;
}

struct task_answer get_task(struct fixture *f, int64_t user, int64_t id)
{
    WAIT_FOR(task_answer, db_task_get(f->pool, user, id, on_task, &a, NULL, NULL));
}

struct task_answer update_task(struct fixture *f, int64_t user, int64_t id,
                               const struct db_task_patch *patch)
{
    WAIT_FOR(task_answer, db_task_update(f->pool, user, id, patch, on_task, &a, NULL, NULL));
}

struct task_answer complete_task(struct fixture *f, int64_t user, int64_t id)
{
    WAIT_FOR(task_answer,
             db_task_complete(f->pool, user, id, SLICE_EMPTY, on_task, &a, NULL, NULL));
}

struct task_answer delete_task(struct fixture *f, int64_t user, int64_t id)
{
    WAIT_FOR(task_answer, db_task_delete(f->pool, user, id, SLICE_EMPTY, on_task, &a, NULL, NULL));
}

struct task_answer tag_task(struct fixture *f, int64_t user, int64_t id, int64_t tag, bool add)
{
    WAIT_FOR(task_answer,
             db_task_tag(f->pool, user, id, tag, add, SLICE_EMPTY, on_task, &a, NULL, NULL));
}

struct task_answer set_reminder(struct fixture *f, int64_t user, int64_t id,
                                const struct db_reminder_set *set)
{
    WAIT_FOR(task_answer, db_task_set_reminder(f->pool, user, id, set, on_task, &a, NULL, NULL));
}

struct list_answer list_tasks(struct fixture *f, int64_t user, const struct db_task_filter *filter)
{
    WAIT_FOR(list_answer, db_task_list(f->pool, user, filter, on_list, &a, NULL, NULL));
}

struct list_answer search_tasks(struct fixture *f, int64_t user, const char *query, int limit,
                                const struct db_cursor *cursor)
{
    WAIT_FOR(list_answer, db_task_search(f->pool, user, slice_from_cstr(query), -1, limit, cursor,
                                         on_list, &a, NULL, NULL));
}

struct label_answer create_label(struct fixture *f, enum db_label_kind kind, int64_t user,
                                 const char *name, const char *color)
{
    WAIT_FOR(label_answer, db_label_create(f->pool, kind, user, slice_from_cstr(name),
                                           slice_from_cstr(color), on_label, &a, NULL, NULL));
}

int64_t add_label(struct fixture *f, enum db_label_kind kind, const char *name)
{
    struct label_answer a = create_label(f, kind, f->user, name, NULL);
    assert_outcome(a, DB_OK);
    return a.reply.labels[0].id;
}

struct label_answer list_labels(struct fixture *f, enum db_label_kind kind, int64_t user)
{
    WAIT_FOR(label_answer, db_label_list(f->pool, kind, user, on_label, &a, NULL, NULL));
}

struct label_answer get_label(struct fixture *f, enum db_label_kind kind, int64_t user, int64_t id)
{
    WAIT_FOR(label_answer, db_label_get(f->pool, kind, user, id, on_label, &a, NULL, NULL));
}

struct label_answer update_label(struct fixture *f, enum db_label_kind kind, int64_t user,
                                 int64_t id, const struct db_label_patch *patch)
{
    WAIT_FOR(label_answer,
             db_label_update(f->pool, kind, user, id, patch, on_label, &a, NULL, NULL));
}

struct label_answer delete_label(struct fixture *f, enum db_label_kind kind, int64_t user,
                                 int64_t id)
{
    WAIT_FOR(label_answer,
             db_label_delete(f->pool, kind, user, id, SLICE_EMPTY, on_label, &a, NULL, NULL));
}

struct user_answer {
    bool is_done;
    int64_t id;
};

static void on_user(void *ctx, int status, const struct db_user_reply *user,
                    const struct error *err)
{
    struct user_answer *a = ctx;
    if (status)
        fail_msg("%s", err->text);
    a->is_done = true;
    a->id = user->id;
}

int64_t ensure_user(struct fixture *f, const char *subject, const char *timezone)
{
    struct user_answer a = {0};
    const struct db_user_ask user = {.subject = slice_from_cstr(subject),
                                     .zone = slice_from_cstr(timezone)};
    assert_int_equal(db_user_ensure(f->pool, &user, on_user, &a, NULL, NULL), 0);
    fixture_wait(f, &a.is_done);
    return a.id;
}

/* ---- checks ---- */

void assert_slice(struct slice actual, const char *expected)
{
    if (!slice_is_equal(actual, slice_from_cstr(expected)))
        fail_msg("\"%.*s\" is not \"%s\"", (int)actual.len, actual.len ? actual.ptr : "", expected);
}

int64_t new_events(struct fixture *f)
{
    int64_t before = f->last_seq;
    f->last_seq = postgres_int(f->pg, "select coalesce(max(seq), 0) from todo.outbox");
    return postgres_int(f->pg, "select count(*) from todo.outbox where seq > %lld",
                        (long long)before);
}

const char *newest_event(struct fixture *f, const char *path)
{
    return postgres_text(f->pg, "select data #>> '{%s}' from todo.outbox order by seq desc limit 1",
                         path);
}

int64_t newest_event_int(struct fixture *f, const char *path)
{
    return postgres_int(f->pg, "select data #>> '{%s}' from todo.outbox order by seq desc limit 1",
                        path);
}
