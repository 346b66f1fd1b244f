/* update_task and complete_task: values, versions, events, and what changes nothing. */
#include "fixture.h"

#define DUE INT64_C(1795802645000000) /* 2026-11-27T18:04:05Z */

static int64_t add_full(struct fixture *f)
{
    struct db_task_new task = {.title = SLICE_LIT("title"),
                               .description = SLICE_LIT("text"),
                               .priority = DB_PRIORITY_HIGH,
                               .has_due_date = true,
                               .due_date = DUE,
                               .recurrence_rule = SLICE_LIT("FREQ=DAILY"),
                               .timezone = SLICE_LIT("UTC")};
    task.category_id = add_label(f, DB_CATEGORY, "category");
    int64_t id = add_task(f, &task).task.id;
    new_events(f);
    return id;
}

static void an_update_changes_what_it_names_and_no_more(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_full(f);
    const struct db_task_patch patch = {.set = DB_FIELD_TITLE | DB_FIELD_PRIORITY,
                                        .title = SLICE_LIT("new"),
                                        .priority = DB_PRIORITY_LOW};
    struct task_answer before = get_task(f, f->user, id);
    struct task_answer a = update_task(f, f->user, id, &patch);
    assert_outcome(a, DB_OK);
    assert_true(a.reply.changed);
    assert_int_equal(a.reply.updated_fields, DB_FIELD_TITLE | DB_FIELD_PRIORITY);
    for (int i = 0; i < 2; i++, a = get_task(f, f->user, id)) {
        assert_slice(a.task.title, "new");
        assert_int_equal(a.task.priority, DB_PRIORITY_LOW);
        assert_slice(a.task.description, "text");
        assert_int_equal(a.task.due_date, DUE);
        assert_slice(a.task.recurrence_rule, "FREQ=DAILY");
        assert_slice(a.task.category.name, "category");
        assert_int_equal(a.task.version, 2);
        assert_int_equal(a.task.created_at, before.task.created_at);
        assert_true(a.task.updated_at > before.task.updated_at);
    }
    assert_int_equal(new_events(f), 1);
    assert_string_equal(newest_event(f, "event_type"), "task.updated");
    assert_string_equal(newest_event(f, "updated_fields"),
                        "{\"title\": \"new\", \"priority\": \"low\"}");
    assert_int_equal(newest_event_int(f, "version"), 2);
}

static void empty_values_remove_what_can_be_removed(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_full(f);
    const struct db_task_patch patch = {.set = DB_FIELD_DESCRIPTION | DB_FIELD_CATEGORY |
                                               DB_FIELD_DUE_DATE | DB_FIELD_RECURRENCE};
    struct task_answer a = update_task(f, f->user, id, &patch);
    assert_outcome(a, DB_OK);
    assert_int_equal(a.reply.updated_fields, patch.set);
    for (int i = 0; i < 2; i++, a = get_task(f, f->user, id)) {
        assert_int_equal(a.task.description.len, 0);
        assert_int_equal(a.task.category.id, 0);
        assert_false(a.task.has_due_date);
        assert_int_equal(a.task.recurrence_rule.len, 0);
    }
    assert_int_equal(new_events(f), 1);
    assert_string_equal(newest_event(f, "updated_fields"),
                        "{\"due_date\": null, \"category_id\": null, \"description\": null, "
                        "\"recurrence_rule\": null}");
}

static void every_field_is_told_in_the_event_with_its_new_value(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_titled(f, "x");
    struct db_task_patch patch = {.set = 255,
                                  .title = SLICE_LIT("t"),
                                  .description = SLICE_LIT("d"),
                                  .completed = false,
                                  .priority = DB_PRIORITY_URGENT,
                                  .has_due_date = true,
                                  .due_date = DUE,
                                  .recurrence_rule = SLICE_LIT("FREQ=WEEKLY"),
                                  .timezone = SLICE_LIT("UTC")};
    patch.category_id = add_label(f, DB_CATEGORY, "c");
    new_events(f);
    struct task_answer a = update_task(f, f->user, id, &patch);
    assert_int_equal(a.reply.updated_fields, 255 & ~DB_FIELD_COMPLETED);
    assert_int_equal(new_events(f), 1);
    assert_string_equal(newest_event(f, "updated_fields,due_date"), "2026-11-27T18:04:05.000000Z");
    assert_string_equal(newest_event(f, "updated_fields,recurrence_rule"), "FREQ=WEEKLY");
    assert_string_equal(newest_event(f, "updated_fields,timezone"), "UTC");
    assert_string_equal(newest_event(f, "updated_fields,description"), "d");
    assert_int_equal(newest_event_int(f, "updated_fields,category_id"), patch.category_id);
    assert_string_equal(newest_event(f, "updated_fields,completed"), "");
}

static void the_same_values_change_nothing_and_write_no_event(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_full(f);
    struct task_answer before = get_task(f, f->user, id);
    const struct db_task_patch patch = {.set = 255,
                                        .title = SLICE_LIT("title"),
                                        .description = SLICE_LIT("text"),
                                        .priority = DB_PRIORITY_HIGH,
                                        .category_id = before.task.category.id,
                                        .has_due_date = true,
                                        .due_date = DUE,
                                        .recurrence_rule = SLICE_LIT("FREQ=DAILY"),
                                        .timezone = SLICE_LIT("UTC")};
    struct task_answer a = update_task(f, f->user, id, &patch);
    assert_outcome(a, DB_OK);
    assert_false(a.reply.changed);
    assert_int_equal(a.reply.updated_fields, 0);
    assert_int_equal(a.task.version, 1);
    assert_int_equal(a.task.updated_at, before.task.updated_at);
    assert_int_equal(new_events(f), 0);
}

/* ---- versions ---- */

static void another_version_than_expected_is_a_conflict_that_shows_the_task(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_titled(f, "first");
    struct db_task_patch patch = {
        .set = DB_FIELD_TITLE, .title = SLICE_LIT("second"), .expected_version = 1};
    assert_outcome(update_task(f, f->user, id, &patch), DB_OK);
    new_events(f);
    patch.title = SLICE_LIT("third");
    struct task_answer a = update_task(f, f->user, id, &patch);
    assert_outcome(a, DB_VERSION_CONFLICT);
    assert_false(a.reply.changed);
    assert_non_null(a.reply.task);
    assert_slice(a.task.title, "second");
    assert_int_equal(a.task.version, 2);
    assert_int_equal(new_events(f), 0);
    patch.expected_version = 2;
    assert_outcome(update_task(f, f->user, id, &patch), DB_OK);
}

#define AT_ONCE 12

static void of_updates_that_expect_one_version_at_once_one_wins(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_titled(f, "x");
    struct task_answer answers[AT_ONCE] = {0};
    new_events(f);
    for (int i = 0; i < AT_ONCE; i++) {
        char title[32];
        snprintf(title, sizeof(title), "title %d", i);
        const struct db_task_patch patch = {
            .set = DB_FIELD_TITLE, .title = slice_from_cstr(title), .expected_version = 1};
        answers[i].f = f;
        assert_int_equal(
            db_task_update(f->pool, f->user, id, &patch, on_task, &answers[i], NULL, NULL), 0);
        if (i % 3 == 2)
            uv_run(&f->loop, UV_RUN_NOWAIT);
    }
    int won = 0;
    for (int i = 0; i < AT_ONCE; i++) {
        fixture_wait(f, &answers[i].is_done);
        assert_int_equal(answers[i].status, 0);
        won += answers[i].reply.outcome == DB_OK;
        assert_true(answers[i].reply.outcome == DB_OK ||
                    answers[i].reply.outcome == DB_VERSION_CONFLICT);
        assert_int_equal(answers[i].task.version, 2);
    }
    assert_int_equal(won, 1);
    assert_int_equal(new_events(f), 1);
}

/* The events of one task have its versions in order, whoever wrote them. */
static void the_outbox_has_a_tasks_changes_in_the_order_of_its_versions(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_titled(f, "x");
    struct task_answer answers[AT_ONCE] = {0};
    new_events(f);
    for (int i = 0; i < AT_ONCE; i++) {
        char title[32];
        snprintf(title, sizeof(title), "title %d", i);
        const struct db_task_patch patch = {.set = DB_FIELD_TITLE, .title = slice_from_cstr(title)};
        answers[i].f = f;
        assert_int_equal(
            db_task_update(f->pool, f->user, id, &patch, on_task, &answers[i], NULL, NULL), 0);
        uv_run(&f->loop, UV_RUN_NOWAIT);
    }
    for (int i = 0; i < AT_ONCE; i++)
        fixture_wait(f, &answers[i].is_done);
    assert_string_equal(
        postgres_text(f->pg,
                      "select string_agg(data ->> 'version', ' ' order by seq) from todo.outbox"
                      " where key = '%lld' and type = 'TaskUpdatedEvent'",
                      (long long)id),
        "2 3 4 5 6 7 8 9 10 11 12 13");
    assert_int_equal(get_task(f, f->user, id).task.version, AT_ONCE + 1);
}

/* ---- refusals ---- */

static void a_category_of_another_user_is_refused(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_full(f);
    const struct db_task_patch patch = {
        .set = DB_FIELD_CATEGORY,
        .category_id = create_label(f, DB_CATEGORY, f->other, "c", NULL).reply.labels[0].id};
    struct task_answer a = update_task(f, f->user, id, &patch);
    assert_outcome(a, DB_CATEGORY_NOT_FOUND);
    assert_slice(get_task(f, f->user, id).task.category.name, "category");
    assert_int_equal(new_events(f), 0);
}

static void a_rule_without_a_due_date_is_refused(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_full(f);
    struct db_task_patch patch = {.set = DB_FIELD_DUE_DATE};
    assert_outcome(update_task(f, f->user, id, &patch), DB_NO_DUE_DATE);
    int64_t bare = add_titled(f, "bare");
    patch = (struct db_task_patch){.set = DB_FIELD_RECURRENCE,
                                   .recurrence_rule = SLICE_LIT("FREQ=DAILY")};
    new_events(f);
    assert_outcome(update_task(f, f->user, bare, &patch), DB_NO_DUE_DATE);
    assert_int_equal(new_events(f), 0);
}

/* ---- completing ---- */

static void completing_writes_one_event_and_a_second_time_nothing(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_full(f);
    struct task_answer a = complete_task(f, f->user, id);
    assert_outcome(a, DB_OK);
    assert_true(a.reply.changed);
    assert_true(a.task.completed);
    assert_int_equal(a.task.completed_at, a.task.updated_at);
    assert_int_equal(a.task.version, 2);
    assert_int_equal(new_events(f), 1);
    assert_string_equal(newest_event(f, "event_type"), "task.completed");
    assert_string_equal(newest_event(f, "recurrence_rule"), "FREQ=DAILY");
    assert_string_equal(newest_event(f, "due_date"), "2026-11-27T18:04:05.000000Z");
    assert_string_equal(newest_event(f, "timezone"), "UTC");
    assert_string_equal(
        postgres_text(f->pg, "select topic from todo.outbox order by seq desc limit 1"),
        "task-recurrence");
    struct task_answer again = complete_task(f, f->user, id);
    assert_outcome(again, DB_OK);
    assert_false(again.reply.changed);
    assert_int_equal(again.task.version, 2);
    assert_int_equal(again.task.completed_at, a.task.completed_at);
    assert_int_equal(new_events(f), 0);
}

static void update_that_completes_writes_both_events_or_only_the_one(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_titled(f, "x");
    struct db_task_patch patch = {.set = DB_FIELD_COMPLETED, .completed = true};
    new_events(f);
    struct task_answer a = update_task(f, f->user, id, &patch);
    assert_true(a.task.completed);
    assert_int_equal(a.reply.updated_fields, DB_FIELD_COMPLETED);
    assert_int_equal(new_events(f), 1);
    assert_string_equal(newest_event(f, "event_type"), "task.completed");
    id = add_titled(f, "y");
    patch.set |= DB_FIELD_TITLE;
    patch.title = SLICE_LIT("z");
    new_events(f);
    update_task(f, f->user, id, &patch);
    assert_int_equal(new_events(f), 2);
    assert_string_equal(postgres_text(f->pg,
                                      "select string_agg(data ->> 'event_type', ' ' order by seq)"
                                      " from todo.outbox where key = '%lld'",
                                      (long long)id),
                        "task.created task.updated task.completed");
}

static void reopening_is_an_update(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_titled(f, "x");
    complete_task(f, f->user, id);
    const struct db_task_patch patch = {.set = DB_FIELD_COMPLETED, .completed = false};
    new_events(f);
    struct task_answer a = update_task(f, f->user, id, &patch);
    assert_outcome(a, DB_OK);
    assert_false(a.task.completed);
    assert_int_equal(a.task.completed_at, 0);
    assert_int_equal(new_events(f), 1);
    assert_string_equal(newest_event(f, "updated_fields"), "{\"completed\": false}");
}

static void of_completions_at_once_one_writes_the_event(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_titled(f, "x");
    struct task_answer answers[AT_ONCE] = {0};
    int changed = 0;
    new_events(f);
    for (int i = 0; i < AT_ONCE; i++) {
        answers[i].f = f;
        assert_int_equal(
            db_task_complete(f->pool, f->user, id, SLICE_EMPTY, on_task, &answers[i], NULL, NULL),
            0);
        uv_run(&f->loop, UV_RUN_NOWAIT);
    }
    for (int i = 0; i < AT_ONCE; i++) {
        fixture_wait(f, &answers[i].is_done);
        assert_int_equal(answers[i].status, 0);
        assert_outcome(answers[i], DB_OK);
        assert_true(answers[i].task.completed);
        changed += answers[i].reply.changed;
    }
    assert_int_equal(changed, 1);
    assert_int_equal(new_events(f), 1);
}

/* ---- a change behind another process's lock ---- */

static void an_update_behind_a_lock_sees_what_was_committed_meanwhile(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_titled(f, "x");
    const struct db_task_patch patch = {.set = DB_FIELD_PRIORITY, .priority = DB_PRIORITY_URGENT};
    struct task_answer a = {.f = f};
    postgres_run(f->pg, "begin");
    postgres_run(f->pg,
                 "update todo.tasks set title = 'theirs', version = version + 1 where id = %lld",
                 (long long)id);
    assert_int_equal(db_task_update(f->pool, f->user, id, &patch, on_task, &a, NULL, NULL), 0);
    fixture_wait_for_lock(f);
    postgres_run(f->pg, "commit");
    fixture_wait(f, &a.is_done);
    assert_int_equal(a.status, 0);
    assert_outcome(a, DB_OK);
    assert_slice(a.task.title, "theirs");
    assert_int_equal(a.task.version, 3);
    assert_int_equal(newest_event_int(f, "version"), 3);
}

static void a_change_behind_a_deletion_finds_nothing(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_titled(f, "x");
    struct task_answer a = {.f = f};
    new_events(f);
    postgres_run(f->pg, "begin");
    postgres_run(f->pg, "delete from todo.tasks where id = %lld", (long long)id);
    assert_int_equal(db_task_complete(f->pool, f->user, id, SLICE_EMPTY, on_task, &a, NULL, NULL),
                     0);
    fixture_wait_for_lock(f);
    postgres_run(f->pg, "commit");
    fixture_wait(f, &a.is_done);
    assert_int_equal(a.status, 0);
    assert_outcome(a, DB_NOT_FOUND);
    assert_int_equal(new_events(f), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        db_test(an_update_changes_what_it_names_and_no_more),
        db_test(empty_values_remove_what_can_be_removed),
        db_test(every_field_is_told_in_the_event_with_its_new_value),
        db_test(the_same_values_change_nothing_and_write_no_event),
        db_test(another_version_than_expected_is_a_conflict_that_shows_the_task),
        db_test(of_updates_that_expect_one_version_at_once_one_wins),
        db_test(the_outbox_has_a_tasks_changes_in_the_order_of_its_versions),
        db_test(a_category_of_another_user_is_refused),
        db_test(a_rule_without_a_due_date_is_refused),
        db_test(completing_writes_one_event_and_a_second_time_nothing),
        db_test(update_that_completes_writes_both_events_or_only_the_one),
        db_test(reopening_is_an_update),
        db_test(of_completions_at_once_one_writes_the_event),
        db_test(an_update_behind_a_lock_sees_what_was_committed_meanwhile),
        db_test(a_change_behind_a_deletion_finds_nothing),
    };
    return cmocka_run_group_tests(tests, postgres_setup, postgres_teardown);
}
