/* Categories and tags, both by the same tests; and users. */
#include "fixture.h"

static const enum db_label_kind kinds[] = {DB_CATEGORY, DB_TAG};

static const char *table_of(enum db_label_kind kind)
{
    return kind == DB_CATEGORY ? "categories" : "tags";
}

static int64_t add_task_with(struct fixture *f, enum db_label_kind kind, int64_t label)
{
    struct db_task_new task = {.title = SLICE_LIT("x")};
    if (kind == DB_CATEGORY) {
        task.category_id = label;
    } else {
        task.tag_ids[0] = label;
        task.tag_count = 1;
    }
    return add_task(f, &task).task.id;
}

static void a_created_label_is_listed_by_name_with_its_count(void **state)
{
    struct fixture *f = *state;
    for (enum db_label_kind kind = DB_CATEGORY; kind <= DB_TAG; kind++) {
        struct label_answer a = create_label(f, kind, f->user, "b", "#aaBB01");
        assert_outcome(a, DB_OK);
        assert_int_equal(a.reply.count, 1);
        assert_slice(a.reply.labels[0].name, "b");
        assert_slice(a.reply.labels[0].color, "#aaBB01");
        assert_true(a.reply.labels[0].created_at > 0);
        add_label(f, kind, "c");
        add_label(f, kind, "a");
        add_task_with(f, kind, a.reply.labels[0].id);
        add_task_with(f, kind, a.reply.labels[0].id);
        struct label_answer list = list_labels(f, kind, f->user);
        assert_int_equal(list.reply.count, 3);
        assert_slice(list.reply.labels[0].name, "a");
        assert_int_equal(list.reply.labels[0].color.len, 0);
        assert_int_equal(list.reply.labels[0].task_count, 0);
        assert_slice(list.reply.labels[1].name, "b");
        assert_int_equal(list.reply.labels[1].task_count, 2);
        assert_int_equal(list_labels(f, kind, f->other).reply.count, 0);
    }
}

static void one_label_is_got_with_its_count(void **state)
{
    struct fixture *f = *state;
    for (enum db_label_kind kind = DB_CATEGORY; kind <= DB_TAG; kind++) {
        int64_t id = add_label(f, kind, "one");
        add_label(f, kind, "another");
        add_task_with(f, kind, id);
        struct label_answer a = get_label(f, kind, f->user, id);
        assert_int_equal(a.reply.count, 1);
        assert_int_equal(a.reply.labels[0].id, id);
        assert_int_equal(a.reply.labels[0].task_count, 1);
        assert_int_equal(get_label(f, kind, f->other, id).reply.count, 0);
        assert_int_equal(get_label(f, kind, f->user, id + 1000).reply.count, 0);
    }
}

static void a_name_is_unique_to_its_user_in_its_exact_case(void **state)
{
    struct fixture *f = *state;
    for (enum db_label_kind kind = DB_CATEGORY; kind <= DB_TAG; kind++) {
        int64_t id = add_label(f, kind, "name");
        assert_outcome(create_label(f, kind, f->user, "name", NULL), DB_NAME_TAKEN);
        assert_outcome(create_label(f, kind, f->user, "Name", NULL), DB_OK);
        assert_outcome(create_label(f, kind, f->other, "name", NULL), DB_OK);
        const struct db_label_patch patch = {.set_name = true, .name = SLICE_LIT("Name")};
        assert_outcome(update_label(f, kind, f->user, id, &patch), DB_NAME_TAKEN);
    }
}

#define AT_ONCE 8

/* What the statement looks for first, a constraint decides for those that meet. */
static void one_name_at_once_is_made_once(void **state)
{
    struct fixture *f = *state;
    for (enum db_label_kind kind = DB_CATEGORY; kind <= DB_TAG; kind++) {
        struct label_answer answers[AT_ONCE] = {0};
        int made = 0;
        for (int i = 0; i < AT_ONCE; i++) {
            answers[i].f = f;
            assert_int_equal(db_label_create(f->pool, kind, f->user, SLICE_LIT("same"), SLICE_EMPTY,
                                             on_label, &answers[i], NULL, NULL),
                             0);
            uv_run(&f->loop, UV_RUN_NOWAIT);
        }
        for (int i = 0; i < AT_ONCE; i++) {
            fixture_wait(f, &answers[i].is_done);
            assert_int_equal(answers[i].status, 0);
            made += answers[i].reply.outcome == DB_OK;
            if (answers[i].reply.outcome != DB_OK)
                assert_outcome(answers[i], DB_NAME_TAKEN);
        }
        assert_int_equal(made, 1);
    }
}

/* The same against another process's open transaction: the constraint's name is the outcome. */
static void a_name_committed_meanwhile_is_taken(void **state)
{
    struct fixture *f = *state;
    for (enum db_label_kind kind = DB_CATEGORY; kind <= DB_TAG; kind++) {
        struct label_answer a = {.f = f};
        postgres_run(f->pg, "begin; insert into todo.%s (user_id, name) values (%lld, 'held')",
                     table_of(kind), (long long)f->user);
        assert_int_equal(db_label_create(f->pool, kind, f->user, SLICE_LIT("held"), SLICE_EMPTY,
                                         on_label, &a, NULL, NULL),
                         0);
        fixture_wait_for_lock(f);
        postgres_run(f->pg, "commit");
        fixture_wait(f, &a.is_done);
        assert_int_equal(a.status, 0);
        assert_outcome(a, DB_NAME_TAKEN);
    }
}

static void past_the_limit_a_label_is_refused(void **state)
{
    struct fixture *f = *state;
    static const int limits[] = {DB_CATEGORIES_MAX, DB_TAGS_MAX};
    for (size_t i = 0; i < 2; i++) {
        postgres_run(f->pg,
                     "insert into todo.%s (user_id, name) select %lld, 'n' || n"
                     " from generate_series(2, %d) n",
                     table_of(kinds[i]), (long long)f->user, limits[i]);
        int64_t last = add_label(f, kinds[i], "last");
        assert_outcome(create_label(f, kinds[i], f->user, "over", NULL), DB_LIMIT_EXCEEDED);
        assert_int_equal(list_labels(f, kinds[i], f->user).reply.count, limits[i]);
        assert_outcome(delete_label(f, kinds[i], f->user, last), DB_OK);
        assert_outcome(create_label(f, kinds[i], f->user, "room again", NULL), DB_OK);
    }
}

/* One more place, and another process takes it while ours waits. */
static void the_limit_holds_for_calls_that_meet(void **state)
{
    struct fixture *f = *state;
    struct label_answer a = {.f = f};
    postgres_run(f->pg,
                 "insert into todo.categories (user_id, name) select %lld, 'n' || n"
                 " from generate_series(2, %d) n",
                 (long long)f->user, DB_CATEGORIES_MAX);
    postgres_run(f->pg, "begin; insert into todo.categories (user_id, name) values (%lld, 'x')",
                 (long long)f->user);
    assert_int_equal(db_label_create(f->pool, DB_CATEGORY, f->user, SLICE_LIT("y"), SLICE_EMPTY,
                                     on_label, &a, NULL, NULL),
                     0);
    fixture_wait_for_lock(f);
    postgres_run(f->pg, "commit");
    fixture_wait(f, &a.is_done);
    assert_int_equal(a.status, 0);
    assert_outcome(a, DB_LIMIT_EXCEEDED);
}

static void an_update_changes_what_it_names(void **state)
{
    struct fixture *f = *state;
    for (enum db_label_kind kind = DB_CATEGORY; kind <= DB_TAG; kind++) {
        int64_t id = create_label(f, kind, f->user, "old", "#000000").reply.labels[0].id;
        struct db_label_patch patch = {.set_name = true, .name = SLICE_LIT("new")};
        struct label_answer a = update_label(f, kind, f->user, id, &patch);
        assert_outcome(a, DB_OK);
        assert_true(a.reply.changed);
        assert_slice(a.reply.labels[0].name, "new");
        assert_slice(a.reply.labels[0].color, "#000000");
        a = update_label(f, kind, f->user, id, &patch);
        assert_outcome(a, DB_OK);
        assert_false(a.reply.changed);
        patch = (struct db_label_patch){.set_color = true};
        a = update_label(f, kind, f->user, id, &patch);
        assert_true(a.reply.changed);
        assert_int_equal(a.reply.labels[0].color.len, 0);
        assert_slice(list_labels(f, kind, f->user).reply.labels[0].name, "new");
    }
}

static void deleting_leaves_the_tasks_and_tells_each_of_them(void **state)
{
    struct fixture *f = *state;
    for (enum db_label_kind kind = DB_CATEGORY; kind <= DB_TAG; kind++) {
        int64_t label = add_label(f, kind, "gone");
        int64_t first = add_task_with(f, kind, label);
        int64_t second = add_task_with(f, kind, label);
        int64_t without = add_titled(f, "without");
        new_events(f);
        struct label_answer a = delete_label(f, kind, f->user, label);
        assert_outcome(a, DB_OK);
        assert_int_equal(a.reply.tasks_affected, 2);
        assert_int_equal(new_events(f), 2);
        assert_int_equal(newest_event_int(f, "task_id"), second);
        assert_string_equal(newest_event(f, "event_type"), "task.updated");
        assert_int_equal(newest_event_int(f, "version"), 2);
        assert_string_equal(newest_event(f, "updated_fields"),
                            kind == DB_CATEGORY ? "{\"category_id\": null}" : "{\"tag_ids\": []}");
        struct task_answer task = get_task(f, f->user, first);
        assert_int_equal(task.task.category.id, 0);
        assert_int_equal(task.task.tag_count, 0);
        assert_int_equal(task.task.version, 2);
        assert_int_equal(get_task(f, f->user, without).task.version, 1);
        assert_int_equal(list_labels(f, kind, f->user).reply.count, 0);
        assert_outcome(delete_label(f, kind, f->user, label), DB_NOT_FOUND);
    }
}

static void a_tag_event_after_a_deletion_has_the_tags_that_are_left(void **state)
{
    struct fixture *f = *state;
    struct db_task_new task = {.title = SLICE_LIT("x"), .tag_count = 2};
    task.tag_ids[0] = add_label(f, DB_TAG, "stays");
    task.tag_ids[1] = add_label(f, DB_TAG, "goes");
    add_task(f, &task);
    delete_label(f, DB_TAG, f->user, task.tag_ids[1]);
    assert_int_equal(newest_event_int(f, "updated_fields,tag_ids,0"), task.tag_ids[0]);
    assert_string_equal(newest_event(f, "updated_fields,tag_ids,1"), "");
}

static void a_label_of_another_user_is_not_found(void **state)
{
    struct fixture *f = *state;
    for (enum db_label_kind kind = DB_CATEGORY; kind <= DB_TAG; kind++) {
        int64_t id = add_label(f, kind, "mine");
        const struct db_label_patch patch = {.set_name = true, .name = SLICE_LIT("taken over")};
        assert_outcome(update_label(f, kind, f->other, id, &patch), DB_NOT_FOUND);
        assert_outcome(delete_label(f, kind, f->other, id), DB_NOT_FOUND);
        assert_slice(list_labels(f, kind, f->user).reply.labels[0].name, "mine");
    }
}

/* A task that gets the label while it is deleted: either is first, and none is left pointing. */
static void a_task_tagged_during_the_deletion_loses_the_tag_too(void **state)
{
    struct fixture *f = *state;
    int64_t tag = add_label(f, DB_TAG, "gone");
    int64_t id = add_titled(f, "x");
    struct label_answer a = {.f = f};
    new_events(f);
    postgres_run(f->pg,
                 "begin; select from todo.tasks where id = %lld for no key update;"
                 " insert into todo.task_tags (user_id, task_id, tag_id) values (%lld, %lld, %lld)",
                 (long long)id, (long long)f->user, (long long)id, (long long)tag);
    assert_int_equal(
        db_label_delete(f->pool, DB_TAG, f->user, tag, SLICE_EMPTY, on_label, &a, NULL, NULL), 0);
    fixture_wait_for_lock(f);
    postgres_run(f->pg, "commit");
    fixture_wait(f, &a.is_done);
    assert_int_equal(a.status, 0);
    assert_outcome(a, DB_OK);
    assert_int_equal(a.reply.tasks_affected, 1);
    assert_int_equal(get_task(f, f->user, id).task.tag_count, 0);
    assert_int_equal(new_events(f), 1);
}

/* ---- users ---- */

static void a_user_is_made_once_and_keeps_its_timezone(void **state)
{
    struct fixture *f = *state;
    char subject[64];
    snprintf(subject, sizeof(subject), "s %s", postgres_text(f->pg, "select gen_random_uuid()"));
    int64_t id = ensure_user(f, subject, "Asia/Tokyo");
    assert_int_equal(ensure_user(f, subject, "Europe/Paris"), id);
    assert_string_equal(
        postgres_text(f->pg, "select timezone from todo.users where id = %lld", (long long)id),
        "Asia/Tokyo");
    assert_string_equal(postgres_text(f->pg, "select timezone from todo.users where id = %lld",
                                      (long long)f->other),
                        "UTC");
}

struct user_answer {
    bool is_done;
    int status;
    int64_t id;
};

static void on_user(void *ctx, int status, const struct db_user_reply *user,
                    const struct error *err)
{
    struct user_answer *a = ctx;
    (void)err;
    a->is_done = true;
    a->status = status;
    a->id = status ? 0 : user->id;
}

static void a_user_made_at_once_by_many_is_one(void **state)
{
    struct fixture *f = *state;
    struct user_answer answers[AT_ONCE] = {0};
    char subject[64];
    snprintf(subject, sizeof(subject), "s %s", postgres_text(f->pg, "select gen_random_uuid()"));
    const struct db_user_ask ask = {.subject = slice_from_cstr(subject)};
    for (int i = 0; i < AT_ONCE; i++) {
        assert_int_equal(db_user_ensure(f->pool, &ask, on_user, &answers[i], NULL, NULL), 0);
        uv_run(&f->loop, UV_RUN_NOWAIT);
    }
    for (int i = 0; i < AT_ONCE; i++) {
        fixture_wait(f, &answers[i].is_done);
        assert_int_equal(answers[i].status, 0);
        assert_int_equal(answers[i].id, answers[0].id);
    }
    assert_true(answers[0].id > 0);
}

/* Another process makes the same user, and commits while ours waits for it. */
static void a_user_that_another_process_makes_is_waited_for(void **state)
{
    struct fixture *f = *state;
    struct user_answer a = {0};
    char subject[64];
    snprintf(subject, sizeof(subject), "s %s", postgres_text(f->pg, "select gen_random_uuid()"));
    postgres_run(f->pg, "begin");
    int64_t id =
        postgres_int(f->pg, "insert into todo.users (subject) values ('%s') returning id", subject);
    const struct db_user_ask ask = {.subject = slice_from_cstr(subject)};
    assert_int_equal(db_user_ensure(f->pool, &ask, on_user, &a, NULL, NULL), 0);
    fixture_wait_for_lock(f);
    postgres_run(f->pg, "commit");
    fixture_wait(f, &a.is_done);
    assert_int_equal(a.status, 0);
    assert_int_equal(a.id, id);
}

static void an_email_address_is_stored_when_it_is_told_and_stays_when_not(void **state)
{
    struct fixture *f = *state;
    char subject[64];
    snprintf(subject, sizeof(subject), "s %s", postgres_text(f->pg, "select gen_random_uuid()"));
    static const char *const told[] = {NULL, "a@b.org", "a@b.org", NULL, "c@d.org"};
    static const char *const stored[] = {"", "a@b.org", "a@b.org", "a@b.org", "c@d.org"};
    int64_t id = 0;
    for (size_t i = 0; i < sizeof(told) / sizeof(*told); i++) {
        struct user_answer a = {0};
        const struct db_user_ask ask = {.subject = slice_from_cstr(subject),
                                        .email = slice_from_cstr(told[i])};
        assert_int_equal(db_user_ensure(f->pool, &ask, on_user, &a, NULL, NULL), 0);
        fixture_wait(f, &a.is_done);
        assert_int_equal(a.status, 0);
        assert_true(id == 0 || a.id == id);
        id = a.id;
        assert_string_equal(postgres_text(f->pg,
                                          "select email from todo.users where subject ="
                                          " '%s'",
                                          subject),
                            stored[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        db_test(a_created_label_is_listed_by_name_with_its_count),
        db_test(one_label_is_got_with_its_count),
        db_test(a_name_is_unique_to_its_user_in_its_exact_case),
        db_test(one_name_at_once_is_made_once),
        db_test(a_name_committed_meanwhile_is_taken),
        db_test(past_the_limit_a_label_is_refused),
        db_test(the_limit_holds_for_calls_that_meet),
        db_test(an_update_changes_what_it_names),
        db_test(deleting_leaves_the_tasks_and_tells_each_of_them),
        db_test(a_tag_event_after_a_deletion_has_the_tags_that_are_left),
        db_test(a_label_of_another_user_is_not_found),
        db_test(a_task_tagged_during_the_deletion_loses_the_tag_too),
        db_test(a_user_is_made_once_and_keeps_its_timezone),
        db_test(a_user_made_at_once_by_many_is_one),
        db_test(a_user_that_another_process_makes_is_waited_for),
        db_test(an_email_address_is_stored_when_it_is_told_and_stays_when_not),
    };
    return cmocka_run_group_tests(tests, postgres_setup, postgres_teardown);
}
