/* Tags and reminders of a task. */
#include "fixture.h"

#define DUE    INT64_C(4004877845000000) /* 2096-11-27T18:04:05Z */
#define MINUTE INT64_C(60000000)

/* ---- tags ---- */

static void adding_and_removing_a_tag_are_idempotent(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_titled(f, "x");
    int64_t tag = add_label(f, DB_TAG, "red");
    new_events(f);
    struct task_answer a = tag_task(f, f->user, id, tag, true);
    assert_outcome(a, DB_OK);
    assert_true(a.reply.changed);
    assert_int_equal(a.task.tag_count, 1);
    assert_slice(a.task.tags[0].name, "red");
    assert_int_equal(a.task.version, 2);
    assert_int_equal(new_events(f), 1);
    assert_string_equal(newest_event(f, "event_type"), "task.updated");
    assert_int_equal(newest_event_int(f, "updated_fields,tag_ids,0"), tag);
    assert_int_equal(newest_event_int(f, "version"), 2);
    a = tag_task(f, f->user, id, tag, true);
    assert_outcome(a, DB_OK);
    assert_false(a.reply.changed);
    assert_int_equal(a.task.version, 2);
    assert_int_equal(new_events(f), 0);
    a = tag_task(f, f->user, id, tag, false);
    assert_true(a.reply.changed);
    assert_int_equal(a.task.tag_count, 0);
    assert_int_equal(new_events(f), 1);
    assert_string_equal(newest_event(f, "updated_fields"), "{\"tag_ids\": []}");
    a = tag_task(f, f->user, id, tag, false);
    assert_false(a.reply.changed);
    assert_int_equal(a.task.version, 3);
    assert_int_equal(new_events(f), 0);
}

static void a_tag_of_another_user_is_not_found(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_titled(f, "x");
    int64_t tag = create_label(f, DB_TAG, f->other, "theirs", NULL).reply.labels[0].id;
    new_events(f);
    assert_outcome(tag_task(f, f->user, id, tag, true), DB_TAG_NOT_FOUND);
    assert_outcome(tag_task(f, f->user, id, tag, false), DB_TAG_NOT_FOUND);
    assert_int_equal(get_task(f, f->user, id).task.tag_count, 0);
    assert_int_equal(new_events(f), 0);
}

static void a_task_has_at_most_ten_tags(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_titled(f, "x");
    int64_t tags[DB_TASK_TAGS_MAX + 1];
    for (int i = 0; i <= DB_TASK_TAGS_MAX; i++) {
        char name[32];
        snprintf(name, sizeof(name), "tag %02d", i);
        tags[i] = add_label(f, DB_TAG, name);
    }
    for (int i = 0; i < DB_TASK_TAGS_MAX; i++)
        assert_outcome(tag_task(f, f->user, id, tags[i], true), DB_OK);
    new_events(f);
    assert_outcome(tag_task(f, f->user, id, tags[DB_TASK_TAGS_MAX], true), DB_LIMIT_EXCEEDED);
    assert_outcome(tag_task(f, f->user, id, tags[0], true), DB_OK); /* has it already */
    assert_int_equal(new_events(f), 0);
    struct task_answer a = get_task(f, f->user, id);
    assert_int_equal(a.task.tag_count, DB_TASK_TAGS_MAX);
    for (int i = 0; i < DB_TASK_TAGS_MAX; i++)
        assert_int_equal(a.task.tags[i].id, tags[i]);
}

/* Each statement counts under the task's lock, so that the limit holds for calls at once too. */
static void the_limit_holds_for_calls_at_once(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_titled(f, "x");
    enum { CALLS = DB_TASK_TAGS_MAX + 6 };
    struct task_answer answers[CALLS] = {0};
    int64_t tags[CALLS];
    int added = 0;
    for (int i = 0; i < CALLS; i++) {
        char name[32];
        snprintf(name, sizeof(name), "tag %02d", i);
        tags[i] = add_label(f, DB_TAG, name);
    }
    for (int i = 0; i < CALLS; i++) {
        answers[i].f = f;
        assert_int_equal(db_task_tag(f->pool, f->user, id, tags[i], true, SLICE_EMPTY, on_task,
                                     &answers[i], NULL, NULL),
                         0);
        if (i % 2)
            uv_run(&f->loop, UV_RUN_NOWAIT);
    }
    for (int i = 0; i < CALLS; i++) {
        fixture_wait(f, &answers[i].is_done);
        assert_int_equal(answers[i].status, 0);
        added += answers[i].reply.outcome == DB_OK;
        if (answers[i].reply.outcome != DB_OK)
            assert_outcome(answers[i], DB_LIMIT_EXCEEDED);
    }
    assert_int_equal(added, DB_TASK_TAGS_MAX);
    assert_int_equal(postgres_int(f->pg, "select count(*) from todo.task_tags where task_id = %lld",
                                  (long long)id),
                     DB_TASK_TAGS_MAX);
}

/* ---- reminders ---- */

static int64_t add_due(struct fixture *f)
{
    const struct db_task_new task = {
        .title = SLICE_LIT("due"), .has_due_date = true, .due_date = DUE};
    int64_t id = add_task(f, &task).task.id;
    new_events(f);
    return id;
}

static void a_relative_reminder_counts_from_the_due_date(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_due(f);
    const struct db_reminder_set set = {.remind_before_minutes = 30};
    struct task_answer a = set_reminder(f, f->user, id, &set);
    assert_outcome(a, DB_OK);
    for (int i = 0; i < 2; i++, a = get_task(f, f->user, id)) {
        assert_true(a.task.reminder.is_set);
        assert_int_equal(a.task.reminder.remind_at, DUE - 30 * MINUTE);
        assert_int_equal(a.task.reminder.remind_before_minutes, 30);
        assert_false(a.task.reminder.sent);
        assert_int_equal(a.task.version, 2);
    }
    assert_int_equal(new_events(f), 1);
    assert_string_equal(newest_event(f, "updated_fields"),
                        "{\"reminder\": {\"remind_at\": \"2096-11-27T17:34:05.000000Z\", "
                        "\"remind_before_minutes\": 30}}");
}

static void an_absolute_reminder_keeps_its_time(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_titled(f, "no due date");
    const struct db_reminder_set set = {.remind_before_minutes = -1, .remind_at = DUE};
    struct task_answer a = set_reminder(f, f->user, id, &set);
    assert_outcome(a, DB_OK);
    assert_int_equal(a.task.reminder.remind_at, DUE);
    assert_int_equal(a.task.reminder.remind_before_minutes, -1);
}

static void a_relative_reminder_needs_a_due_date(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_titled(f, "no due date");
    const struct db_reminder_set set = {.remind_before_minutes = 0};
    new_events(f);
    assert_outcome(set_reminder(f, f->user, id, &set), DB_NO_DUE_DATE);
    assert_false(get_task(f, f->user, id).task.reminder.is_set);
    assert_int_equal(new_events(f), 0);
}

static void a_new_due_date_moves_a_relative_reminder_and_arms_it_again(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_due(f);
    const struct db_reminder_set set = {.remind_before_minutes = 30};
    struct db_task_patch patch = {
        .set = DB_FIELD_DUE_DATE, .has_due_date = true, .due_date = DUE + 60 * MINUTE};
    set_reminder(f, f->user, id, &set);
    postgres_run(f->pg, "update todo.reminders set sent_at = now() where task_id = %lld",
                 (long long)id);
    assert_true(get_task(f, f->user, id).task.reminder.sent);
    struct task_answer a = update_task(f, f->user, id, &patch);
    for (int i = 0; i < 2; i++, a = get_task(f, f->user, id)) {
        assert_int_equal(a.task.reminder.remind_at, DUE + 30 * MINUTE);
        assert_false(a.task.reminder.sent);
    }
    patch.has_due_date = false;
    a = update_task(f, f->user, id, &patch);
    for (int i = 0; i < 2; i++, a = get_task(f, f->user, id)) {
        assert_true(a.task.reminder.is_set); /* waits for a due date */
        assert_int_equal(a.task.reminder.remind_at, 0);
        assert_int_equal(a.task.reminder.remind_before_minutes, 30);
    }
}

static void an_absolute_reminder_does_not_move(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_due(f);
    const struct db_reminder_set set = {.remind_before_minutes = -1, .remind_at = DUE - MINUTE};
    const struct db_task_patch patch = {
        .set = DB_FIELD_DUE_DATE, .has_due_date = true, .due_date = DUE + 60 * MINUTE};
    set_reminder(f, f->user, id, &set);
    struct task_answer a = update_task(f, f->user, id, &patch);
    assert_int_equal(a.task.reminder.remind_at, DUE - MINUTE);
}

static void the_same_reminder_again_changes_nothing_unless_it_was_sent(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_due(f);
    const struct db_reminder_set set = {.remind_before_minutes = 30};
    set_reminder(f, f->user, id, &set);
    new_events(f);
    struct task_answer a = set_reminder(f, f->user, id, &set);
    assert_outcome(a, DB_OK);
    assert_false(a.reply.changed);
    assert_int_equal(new_events(f), 0);
    postgres_run(f->pg, "update todo.reminders set sent_at = now() where task_id = %lld",
                 (long long)id);
    a = set_reminder(f, f->user, id, &set);
    assert_true(a.reply.changed);
    assert_false(a.task.reminder.sent);
    assert_int_equal(new_events(f), 1);
}

static void clearing_removes_the_reminder_once(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_due(f);
    const struct db_reminder_set set = {.remind_before_minutes = 30};
    const struct db_reminder_set clear = {.clear = true};
    set_reminder(f, f->user, id, &set);
    new_events(f);
    struct task_answer a = set_reminder(f, f->user, id, &clear);
    assert_outcome(a, DB_OK);
    assert_true(a.reply.changed);
    assert_false(a.task.reminder.is_set);
    assert_int_equal(new_events(f), 1);
    assert_string_equal(newest_event(f, "updated_fields"), "{\"reminder\": null}");
    a = set_reminder(f, f->user, id, &clear);
    assert_false(a.reply.changed);
    assert_int_equal(new_events(f), 0);
}

/* What the notification worker reads: reminders_due's condition. */
static void a_completed_tasks_reminder_is_not_due_and_a_reopened_ones_is(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_due(f);
    const struct db_reminder_set set = {.remind_before_minutes = 30};
    const struct db_task_patch reopen = {.set = DB_FIELD_COMPLETED};
    static const char due[] = "select count(*) from todo.reminders where task_id = %lld"
                              " and active and sent_at is null and remind_at is not null";
    set_reminder(f, f->user, id, &set);
    assert_int_equal(postgres_int(f->pg, due, (long long)id), 1);
    complete_task(f, f->user, id);
    assert_int_equal(postgres_int(f->pg, due, (long long)id), 0);
    update_task(f, f->user, id, &reopen);
    assert_int_equal(postgres_int(f->pg, due, (long long)id), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        db_test(adding_and_removing_a_tag_are_idempotent),
        db_test(a_tag_of_another_user_is_not_found),
        db_test(a_task_has_at_most_ten_tags),
        db_test(the_limit_holds_for_calls_at_once),
        db_test(a_relative_reminder_counts_from_the_due_date),
        db_test(an_absolute_reminder_keeps_its_time),
        db_test(a_relative_reminder_needs_a_due_date),
        db_test(a_new_due_date_moves_a_relative_reminder_and_arms_it_again),
        db_test(an_absolute_reminder_does_not_move),
        db_test(the_same_reminder_again_changes_nothing_unless_it_was_sent),
        db_test(clearing_removes_the_reminder_once),
        db_test(a_completed_tasks_reminder_is_not_due_and_a_reopened_ones_is),
    };
    return cmocka_run_group_tests(tests, postgres_setup, postgres_teardown);
}
