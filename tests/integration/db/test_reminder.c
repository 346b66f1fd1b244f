/* When a reminder is sent and when it is not: each way that a task can come to be due, against the
 * database's own clock. A test moves a task's times, not the clock: only their distance counts. */
#include "reminders.h"

#include "base/clock.h"

/* ---- the default reminder ---- */

static void a_task_is_reminded_of_an_hour_before_it_is_due(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_due_in(f, 2 * HOUR);
    assert_silent(f);
    pass_time(f, id, HOUR - MINUTE);
    assert_silent(f);
    pass_time(f, id, MINUTE);
    assert_sent(f, id);
    struct task_answer a = get_task(f, f->user, id);
    assert_false(a.task.reminder.is_set); /* it is nothing that the user set */
    assert_int_equal(a.task.version, 1);
}

static void the_event_tells_what_the_contract_says(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_due_in(f, 30 * MINUTE);
    assert_sent(f, id);
    assert_string_equal(
        postgres_text(f->pg,
                      "select concat_ws(' ', topic, type, source, key = '%lld', published_at"
                      " is null) from todo.outbox order by seq desc limit 1",
                      (long long)id),
        "task-reminders ReminderSentEvent notification-service t t");
    assert_string_equal(newest_event(f, "event_type"), "reminder.sent");
    assert_string_equal(newest_event(f, "title"), "due");
    assert_string_equal(newest_event(f, "priority"), "high");
    assert_string_equal(newest_event(f, "schema_version"), "1.0");
    assert_int_equal(newest_event_int(f, "user_id"), f->user);
    assert_true(postgres_int(f->pg, "select ((data->>'due_date')::timestamptz -"
                                    " (data->>'reminder_time')::timestamptz = interval '1 hour'"
                                    " and data->>'event_id' = id::text)::integer"
                                    " from todo.outbox order by seq desc limit 1"));
}

static void a_task_due_within_the_hour_is_reminded_of_at_once(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_due_in(f, 10 * MINUTE);
    assert_sent(f, id);
    pass_time(f, id, 20 * MINUTE);
    assert_silent(f);
}

static void a_task_that_was_due_when_it_came_is_not_reminded_of(void **state)
{
    struct fixture *f = *state;
    add_due_in(f, -MINUTE);
    assert_silent(f);
    move_due_to(f, add_due_in(f, 2 * HOUR), -MINUTE);
    assert_silent(f);
    int64_t id = add_due_in(f, 2 * HOUR);
    complete_task(f, f->user, id);
    pass_time(f, id, 3 * HOUR);
    reopen(f, id);
    assert_silent(f);
}

static void a_new_due_date_arms_the_default_reminder_again(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_due_in(f, 30 * MINUTE);
    assert_sent(f, id);
    move_due_to(f, id, 3 * HOUR);
    assert_silent(f);
    move_due_to(f, id, 40 * MINUTE);
    assert_sent(f, id);
    int64_t due = get_task(f, f->user, id).task.due_date;
    move_due_to(f, id, 3 * HOUR);
    const struct db_task_patch back = {
        .set = DB_FIELD_DUE_DATE, .has_due_date = true, .due_date = due};
    update_task(f, f->user, id, &back); /* new all the same */
    new_events(f);
    assert_sent(f, id);
    const struct db_task_patch patch = {.set = DB_FIELD_DUE_DATE};
    update_task(f, f->user, id, &patch);
    new_events(f);
    assert_silent(f);
}

static void a_change_of_anything_else_arms_nothing(void **state)
{
    struct fixture *f = *state;
    const struct db_task_patch patch = {.set = DB_FIELD_TITLE, .title = SLICE_LIT("new")};
    int64_t own = add_due_in(f, 30 * MINUTE);
    remind_before(f, own, 30);
    assert_sent(f, own);
    int64_t id = add_due_in(f, 30 * MINUTE);
    assert_sent(f, id);
    update_task(f, f->user, id, &patch);
    update_task(f, f->user, own, &patch);
    new_events(f);
    assert_silent(f);
}

static void completed_and_deleted_tasks_are_not_reminded_of(void **state)
{
    struct fixture *f = *state;
    for (int is_own = 0; is_own < 2; is_own++) {
        int64_t done = add_due_in(f, 2 * HOUR);
        int64_t gone = add_due_in(f, 2 * HOUR);
        if (is_own) {
            remind_before(f, done, 60);
            remind_before(f, gone, 60);
        }
        complete_task(f, f->user, done);
        delete_task(f, f->user, gone);
        new_events(f);
        pass_time(f, done, HOUR);
        assert_silent(f);
    }
}

static void a_reopened_task_is_reminded_of_when_its_time_comes(void **state)
{
    struct fixture *f = *state;
    for (int is_own = 0; is_own < 2; is_own++) {
        int64_t id = add_due_in(f, 2 * HOUR);
        if (is_own)
            remind_before(f, id, 60);
        complete_task(f, f->user, id);
        reopen(f, id);
        assert_silent(f);
        pass_time(f, id, HOUR);
        assert_sent(f, id);
        complete_task(f, f->user, id);
        reopen(f, id);
        assert_silent(f); /* it was */
    }
}

static void a_cleared_reminder_is_not_replaced_by_the_default_one(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_due_in(f, 2 * HOUR);
    remind_before(f, id, 5);
    clear_reminder(f, id);
    pass_time(f, id, 90 * MINUTE);
    assert_silent(f);
    id = add_due_in(f, 2 * HOUR);
    clear_reminder(f, id); /* there was only the default one */
    assert_int_equal(get_task(f, f->user, id).task.version, 1);
    pass_time(f, id, 90 * MINUTE);
    assert_silent(f);
    move_due_to(f, id, 30 * MINUTE);
    assert_silent(f);
    remind_before(f, id, 30);
    assert_sent(f, id);
}

static void the_default_can_be_switched_off(void **state)
{
    struct fixture *f = *state;
    add_due_in(f, 30 * MINUTE);
    assert_int_equal(fire_with(f, &reminder_rules_no_default, 100).sent, 0);
    assert_false(next_one(f, &reminder_rules_no_default).has_next);
    assert_int_equal(fire(f).sent, 1);
}

/* ---- reminders that were set ---- */

static void a_set_reminder_is_sent_in_its_time_and_is_the_only_one(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_due_in(f, 2 * HOUR);
    remind_before(f, id, 10);
    pass_time(f, id, 100 * MINUTE);
    assert_silent(f);
    pass_time(f, id, 10 * MINUTE);
    int64_t version = get_task(f, f->user, id).task.version;
    assert_sent(f, id);
    assert_true(get_task(f, f->user, id).task.reminder.sent);
    assert_int_equal(get_task(f, f->user, id).task.version, version);
    pass_time(f, id, HOUR);
    assert_silent(f);
}

static void one_at_a_time_needs_no_due_date(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_titled(f, "no due date");
    remind_in(f, id, HOUR);
    assert_silent(f);
    pass_time(f, id, HOUR);
    assert_sent(f, id);
    remind_in(f, id, HOUR); /* the snooze */
    assert_silent(f);
    pass_time(f, id, HOUR);
    assert_sent(f, id);
}

static void a_relative_one_follows_the_due_date(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_due_in(f, HOUR);
    remind_before(f, id, 30);
    move_due_to(f, id, 3 * HOUR);
    pass_time(f, id, HOUR);
    assert_silent(f);
    move_due_to(f, id, 20 * MINUTE); /* its time is past, the task's is not */
    assert_sent(f, id);
    move_due_to(f, id, HOUR);
    pass_time(f, id, 30 * MINUTE);
    assert_sent(f, id);
    move_due_to(f, id, -MINUTE); /* both are past */
    assert_silent(f);
    move_due_to(f, id, MINUTE);
    assert_sent(f, id);
}

static void a_relative_one_of_a_task_that_is_due_waits_for_a_new_date(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_due_in(f, -HOUR);
    remind_before(f, id, 30);
    assert_silent(f);
    move_due_to(f, id, 10 * MINUTE);
    assert_sent(f, id);
}

static void what_passed_while_the_task_was_completed_is_not_sent_on_reopening(void **state)
{
    struct fixture *f = *state;
    int64_t at = add_due_in(f, 5 * HOUR);
    int64_t relative = add_due_in(f, HOUR);
    remind_in(f, at, HOUR);
    remind_before(f, relative, 30);
    complete_task(f, f->user, at);
    complete_task(f, f->user, relative);
    pass_time(f, at, 2 * HOUR);
    pass_time(f, relative, 2 * HOUR);
    reopen(f, at);
    reopen(f, relative);
    assert_silent(f);
    move_due_to(f, at, 6 * HOUR); /* does not bring its own time back */
    assert_silent(f);
    remind_in(f, at, HOUR);
    pass_time(f, at, HOUR);
    assert_sent(f, at);
}

static void a_reminder_survives_the_move_of_its_task(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_due_in(f, HOUR);
    remind_in(f, id, MINUTE);
    pass_time(f, id, 2 * MINUTE); /* due, and not sent yet */
    move_due_to(f, id, 3 * HOUR);
    assert_sent(f, id);
}

/* ---- downtime ---- */

static void what_became_due_during_a_downtime_is_sent_once(void **state)
{
    struct fixture *f = *state;
    int64_t ids[3] = {add_due_in(f, 2 * HOUR), add_due_in(f, 2 * HOUR), add_titled(f, "x")};
    remind_before(f, ids[1], 30);
    remind_in(f, ids[2], HOUR);
    for (int i = 0; i < 3; i++)
        pass_time(f, ids[i], 20 * HOUR);
    struct fired a = fire(f);
    assert_int_equal(a.sent, 3);
    assert_int_equal(a.given_up, 0);
    assert_int_equal(new_events(f), 3);
    assert_silent(f);
}

static void what_has_been_due_for_too_long_is_given_up(void **state)
{
    struct fixture *f = *state;
    int64_t ids[3] = {add_due_in(f, 2 * HOUR), add_due_in(f, 2 * HOUR), add_titled(f, "x")};
    new_events(f);
    remind_before(f, ids[1], 30);
    remind_in(f, ids[2], HOUR);
    for (int i = 0; i < 3; i++)
        pass_time(f, ids[i], 27 * HOUR);
    struct fired a = fire(f);
    assert_int_equal(a.sent, 0);
    assert_int_equal(a.given_up, 2); /* the default one is no row */
    assert_int_equal(fire(f).given_up, 0);
    assert_false(next_one(f, &reminder_rules).has_next);
    assert_false(get_task(f, f->user, ids[1]).task.reminder.sent);
    move_due_to(f, ids[1], 10 * MINUTE);
    assert_sent(f, ids[1]);
}

static void a_late_reminder_of_a_task_still_to_come_is_of_use(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_due_in(f, 60 * HOUR);
    remind_in(f, id, HOUR);
    pass_time(f, id, 50 * HOUR);
    assert_sent(f, id);
}

static void a_clock_set_back_sends_nothing_twice(void **state)
{
    struct fixture *f = *state;
    int64_t own = add_due_in(f, 2 * HOUR);
    int64_t id = add_due_in(f, 30 * MINUTE);
    remind_before(f, own, 60);
    pass_time(f, own, HOUR);
    assert_int_equal(fire(f).sent, 2);
    for (int i = 0; i < 2; i++) { /* what was sent a moment ago now lies in the future, then past */
        pass_time(f, own, i == 0 ? -5 * HOUR : 5 * HOUR);
        pass_time(f, id, i == 0 ? -5 * HOUR : 5 * HOUR);
        assert_int_equal(fire(f).sent, 0);
        assert_false(next_one(f, &reminder_rules).has_next);
    }
}

static void minutes_before_are_minutes_across_a_change_of_the_clocks(void **state)
{
    struct fixture *f = *state;
    /* Berlin skips from 02:00 to 03:00 on 2096-03-25, 01:00 UTC: 90 minutes before 03:30 there is
     * 01:00 there. */
    struct db_task_new task = {
        .title = SLICE_LIT("spring"), .timezone = SLICE_LIT("Europe/Berlin"), .has_due_date = true};
    assert_int_equal(
        clock_parse_rfc3339(SLICE_LIT("2096-03-25T03:30:00+02:00"), &task.due_date, NULL), 0);
    int64_t id = add_task(f, &task).task.id;
    remind_before(f, id, 90);
    assert_int_equal(get_task(f, f->user, id).task.reminder.remind_at, task.due_date - 90 * MINUTE);
}

static void the_last_day_of_the_year_9999_is_no_special_case(void **state)
{
    struct fixture *f = *state;
    struct db_task_new task = {.title = SLICE_LIT("far"), .has_due_date = true};
    assert_int_equal(clock_parse_rfc3339(SLICE_LIT("9999-12-31T23:59:59Z"), &task.due_date, NULL),
                     0);
    int64_t id = add_task(f, &task).task.id;
    new_events(f);
    assert_silent(f);
    struct next next = next_one(f, &reminder_rules);
    assert_true(next.has_next);
    assert_true(next.ms > INT64_C(1000) * 60 * 60 * 24 * 365 * 7000);
    remind_before(f, id, 525600);
    assert_silent(f);
    assert_true(next_one(f, &reminder_rules).has_next);
}

/* ---- batches, and workers at once ---- */

static void a_batch_takes_at_most_its_limit_earliest_first(void **state)
{
    struct fixture *f = *state;
    int64_t ids[5];
    for (int i = 0; i < 5; i++) {
        ids[i] = add_due_in(f, HOUR + i * MINUTE);
        if (i % 2 == 0)
            remind_before(f, ids[i], 60);
        pass_time(f, ids[i], 10 * MINUTE);
    }
    struct fired a = fire_with(f, &reminder_rules, 2);
    assert_true(a.has_more);
    assert_int_equal(a.sent, 4); /* two of each kind */
    a = fire_with(f, &reminder_rules, 2);
    assert_int_equal(a.sent, 1);
    assert_int_equal(a.task_id, ids[4]);
    assert_false(a.has_more);
}

static void a_row_that_another_holds_is_left_to_it(void **state)
{
    struct fixture *f = *state;
    int64_t held = add_due_in(f, 30 * MINUTE);
    int64_t held_own = add_due_in(f, 30 * MINUTE);
    remind_before(f, held_own, 60);
    int64_t id = add_due_in(f, 30 * MINUTE);
    postgres_run(f->pg, "begin");
    postgres_run(f->pg, "select from todo.tasks where id in (%lld, %lld) for no key update",
                 (long long)held, (long long)held_own);
    struct fired a = fire(f);
    assert_int_equal(a.sent, 1);
    assert_int_equal(a.task_id, id);
    struct next next = next_one(f, &reminder_rules);
    assert_true(next.has_next);
    assert_true(next.ms <= 0); /* so that it is looked at again soon */
    postgres_run(f->pg, "commit");
    assert_int_equal(fire(f).sent, 2);
}

static void the_next_time_is_the_earliest_of_both_kinds(void **state)
{
    struct fixture *f = *state;
    assert_false(next_one(f, &reminder_rules).has_next);
    int64_t id = add_due_in(f, 3 * HOUR);
    struct next next = next_one(f, &reminder_rules);
    assert_true(next.has_next);
    assert_in_range(next.ms, 7190000, 7200000);
    int64_t own = add_titled(f, "own");
    remind_in(f, own, HOUR);
    next = next_one(f, &reminder_rules);
    assert_in_range(next.ms, 3590000, 3600000);
    complete_task(f, f->user, own);
    next = next_one(f, &reminder_rules);
    assert_in_range(next.ms, 7190000, 7200000);
    clear_reminder(f, id);
    assert_false(next_one(f, &reminder_rules).has_next);
}

static void how_late_it_is_counts_from_when_it_could_be_sent(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_due_in(f, 10 * MINUTE);
    struct fired a = fire(f);
    assert_int_equal(a.task_id, id);
    assert_in_range(a.late_ms, 0, 10000); /* not since fifty minutes before the task was there */
    id = add_due_in(f, 2 * HOUR);
    pass_time(f, id, HOUR + MINUTE);
    assert_in_range(fire(f).late_ms, 60000, 70000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        reminder_test(a_task_is_reminded_of_an_hour_before_it_is_due),
        reminder_test(the_event_tells_what_the_contract_says),
        reminder_test(a_task_due_within_the_hour_is_reminded_of_at_once),
        reminder_test(a_task_that_was_due_when_it_came_is_not_reminded_of),
        reminder_test(a_new_due_date_arms_the_default_reminder_again),
        reminder_test(a_change_of_anything_else_arms_nothing),
        reminder_test(completed_and_deleted_tasks_are_not_reminded_of),
        reminder_test(a_reopened_task_is_reminded_of_when_its_time_comes),
        reminder_test(a_cleared_reminder_is_not_replaced_by_the_default_one),
        reminder_test(the_default_can_be_switched_off),
        reminder_test(a_set_reminder_is_sent_in_its_time_and_is_the_only_one),
        reminder_test(one_at_a_time_needs_no_due_date),
        reminder_test(a_relative_one_follows_the_due_date),
        reminder_test(a_relative_one_of_a_task_that_is_due_waits_for_a_new_date),
        reminder_test(what_passed_while_the_task_was_completed_is_not_sent_on_reopening),
        reminder_test(a_reminder_survives_the_move_of_its_task),
        reminder_test(what_became_due_during_a_downtime_is_sent_once),
        reminder_test(what_has_been_due_for_too_long_is_given_up),
        reminder_test(a_late_reminder_of_a_task_still_to_come_is_of_use),
        reminder_test(a_clock_set_back_sends_nothing_twice),
        reminder_test(minutes_before_are_minutes_across_a_change_of_the_clocks),
        reminder_test(the_last_day_of_the_year_9999_is_no_special_case),
        reminder_test(a_batch_takes_at_most_its_limit_earliest_first),
        reminder_test(a_row_that_another_holds_is_left_to_it),
        reminder_test(the_next_time_is_the_earliest_of_both_kinds),
        reminder_test(how_late_it_is_counts_from_when_it_could_be_sent),
    };
    return cmocka_run_group_tests(tests, postgres_setup, postgres_teardown);
}
