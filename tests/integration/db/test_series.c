/* The successor of a completed task: what it is handed on, and that there is one. */
#include "fixture.h"

#include "base/clock.h"
#include "db/series.h"

#define DAY_US    (INT64_C(86400) * 1000000)
#define HOUR_US   (INT64_C(3600) * 1000000)
#define MINUTE_US (INT64_C(60) * 1000000)

/* ---- steps ---- */

struct series_answer {
    bool is_done;
    int status;
    struct error err;
    struct db_series series;
    struct db_series_reply reply;
};

static void on_series(void *ctx, int status, const struct db_series *series,
                      const struct error *err)
{
    struct series_answer *a = ctx;
    assert_false(a->is_done);
    a->is_done = true;
    a->status = status;
    if (status)
        a->err = *err;
    else
        a->series = *series;
}

static struct db_series get_series(struct fixture *f, int64_t user, int64_t id)
{
    struct series_answer a = {0};
    assert_int_equal(db_series_get(f->pool, user, id, on_series, &a, NULL, NULL), 0);
    fixture_wait(f, &a.is_done);
    assert_int_equal(a.status, 0);
    return a.series;
}

static void on_next(void *ctx, int status, const struct db_series_reply *reply,
                    const struct error *err)
{
    struct series_answer *a = ctx;
    assert_false(a->is_done);
    a->is_done = true;
    a->status = status;
    if (status)
        a->err = *err;
    else
        a->reply = *reply;
}

static void start_continue(struct fixture *f, int64_t id, const char *event_id, int64_t was_due,
                           int64_t occurrence, struct series_answer *a)
{
    const struct db_series_next next = {
        .consumer = SLICE_LIT("recurring-task-service"),
        .event_id = slice_from_cstr(event_id),
        .was_due = was_due,
        .due = was_due + DAY_US,
        .wall = was_due + DAY_US + HOUR_US,
        .occurrence = occurrence,
        .recurrence_rule = SLICE_LIT("FREQ=DAILY"),
        .timezone = SLICE_LIT("Europe/Berlin"),
        .traceparent = SLICE_LIT("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    };
    *a = (struct series_answer){0};
    assert_int_equal(db_series_continue(f->pool, f->user, id, &next, on_next, a, NULL, NULL), 0);
}

static struct db_series_reply continue_at(struct fixture *f, int64_t id, const char *event_id,
                                          int64_t was_due, int64_t occurrence)
{
    struct series_answer a;
    start_continue(f, id, event_id, was_due, occurrence, &a);
    fixture_wait(f, &a.is_done);
    if (a.status)
        fail_msg("%s (%s)", a.err.text, a.err.field);
    return a.reply;
}

/* The events' own ids do not matter here: each completion has another. */
static const char *new_event_id(struct fixture *f)
{
    return postgres_text(f->pg, "select todo.uuid_v7()::text");
}

static struct task_answer add_daily(struct fixture *f, int64_t due)
{
    const struct db_task_new task = {.title = SLICE_LIT("water the plants"),
                                     .description = SLICE_LIT("all of them"),
                                     .priority = DB_PRIORITY_HIGH,
                                     .has_due_date = true,
                                     .due_date = due,
                                     .recurrence_rule = SLICE_LIT("FREQ=DAILY"),
                                     .timezone = SLICE_LIT("Europe/Berlin")};
    return add_task(f, &task);
}

static int64_t due_in(int64_t after_us)
{
    return clock_now_us() / 1000000 * 1000000 + after_us;
}

/* A daily task that is completed, due so much after now; its id. */
static int64_t add_completed(struct fixture *f, int64_t due)
{
    int64_t id = add_daily(f, due).task.id;
    complete_task(f, f->user, id);
    new_events(f);
    return id;
}

/* ---- tests ---- */

static void a_first_task_is_number_one_and_has_no_time_of_its_rule(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_daily(f, due_in(HOUR_US)).task.id;
    struct db_series series = get_series(f, f->user, id);
    assert_true(series.is_found && !series.is_completed && !series.has_wall);
    assert_int_equal(series.occurrence, 1);
    assert_int_equal(series.first, 1);
    assert_false(get_series(f, f->other, id).is_found);
    assert_false(get_series(f, f->user, id + 1000000).is_found);
}

static void the_successor_has_what_the_completed_task_has(void **state)
{
    struct fixture *f = *state;
    int64_t category = add_label(f, DB_CATEGORY, "garden");
    int64_t tag = add_label(f, DB_TAG, "green");
    int64_t due = due_in(HOUR_US);
    struct task_answer first = add_daily(f, due);
    const struct db_task_patch patch = {.set = DB_FIELD_CATEGORY, .category_id = category};
    update_task(f, f->user, first.task.id, &patch);
    tag_task(f, f->user, first.task.id, tag, true);
    complete_task(f, f->user, first.task.id);
    new_events(f);

    struct db_series_reply reply = continue_at(f, first.task.id, new_event_id(f), due, 2);
    assert_true(reply.is_fresh && reply.task_id > 0);
    assert_int_equal(reply.category_id, category);
    struct db_task next = get_task(f, f->user, reply.task_id).task;
    assert_slice(next.title, "water the plants");
    assert_slice(next.description, "all of them");
    assert_slice(next.recurrence_rule, "FREQ=DAILY");
    assert_slice(next.timezone, "Europe/Berlin");
    assert_int_equal(next.priority, DB_PRIORITY_HIGH);
    assert_int_equal(next.category.id, category);
    assert_int_equal(next.tag_count, 1);
    assert_int_equal(next.tags[0].id, tag);
    assert_int_equal(next.due_date, due + DAY_US);
    assert_int_equal(next.version, 1);
    assert_false(next.completed);
    assert_false(next.reminder.is_set);

    struct db_series series = get_series(f, f->user, next.id);
    assert_true(series.has_wall);
    assert_int_equal(series.wall, due + DAY_US + HOUR_US);
    assert_int_equal(series.occurrence, 2);
    assert_int_equal(series.first, 1);
}

static void its_event_tells_of_it_and_of_who_made_it(void **state)
{
    struct fixture *f = *state;
    int64_t due = due_in(HOUR_US);
    int64_t id = add_completed(f, due);
    struct db_series_reply reply = continue_at(f, id, new_event_id(f), due, 2);
    assert_int_equal(new_events(f), 1);
    assert_int_equal(newest_event_int(f, "task_id"), reply.task_id);
    assert_string_equal(newest_event(f, "event_type"), "task.created");
    assert_string_equal(newest_event(f, "title"), "water the plants");
    assert_string_equal(newest_event(f, "recurrence_rule"), "FREQ=DAILY");
    assert_string_equal(postgres_text(f->pg,
                                      "select concat_ws(' ', topic, type, source, key = '%lld',"
                                      " left(traceparent, 6)) from todo.outbox"
                                      " order by seq desc limit 1",
                                      (long long)reply.task_id),
                        "task-events TaskCreatedEvent recurring-task-service t 00-0af");
}

static void a_repeated_event_changes_nothing(void **state)
{
    struct fixture *f = *state;
    int64_t due = due_in(HOUR_US);
    int64_t id = add_completed(f, due);
    char event_id[40];
    snprintf(event_id, sizeof(event_id), "%s", new_event_id(f));
    assert_true(continue_at(f, id, event_id, due, 2).task_id > 0);
    new_events(f);
    struct db_series_reply again = continue_at(f, id, event_id, due, 2);
    assert_false(again.is_fresh);
    assert_int_equal(again.task_id, 0);
    assert_int_equal(new_events(f), 0);
}

static void two_deliveries_at_once_make_one_successor(void **state)
{
    struct fixture *f = *state;
    int64_t due = due_in(HOUR_US);
    int64_t id = add_completed(f, due);
    char event_id[40];
    struct series_answer a[8];
    int made = 0;
    snprintf(event_id, sizeof(event_id), "%s", new_event_id(f));
    for (int i = 0; i < 8; i++)
        start_continue(f, id, event_id, due, 2, &a[i]);
    for (int i = 0; i < 8; i++) {
        fixture_wait(f, &a[i].is_done);
        assert_int_equal(a[i].status, 0);
        made += a[i].reply.task_id > 0;
    }
    assert_int_equal(made, 1);
    assert_int_equal(new_events(f), 1);
}

static void a_task_that_is_completed_again_has_no_second_successor(void **state)
{
    struct fixture *f = *state;
    int64_t due = due_in(HOUR_US);
    int64_t id = add_completed(f, due);
    int64_t next = continue_at(f, id, new_event_id(f), due, 2).task_id;
    const struct db_task_patch reopen = {.set = DB_FIELD_COMPLETED};
    update_task(f, f->user, id, &reopen);
    complete_task(f, f->user, id);
    new_events(f);
    struct db_series_reply again = continue_at(f, id, new_event_id(f), due, 2);
    assert_true(again.is_fresh);
    assert_int_equal(again.task_id, 0);
    assert_int_equal(new_events(f), 0);
    /* The successor's own successor belongs to the same series. */
    complete_task(f, f->user, next);
    int64_t third = continue_at(f, next, new_event_id(f), due + DAY_US, 3).task_id;
    assert_int_equal(postgres_int(f->pg,
                                  "select (series_id = %lld and occurrence = 3)::integer"
                                  " from todo.tasks where id = %lld",
                                  (long long)id, (long long)third),
                     1);
}

static void a_task_that_is_open_again_or_gone_has_none_now(void **state)
{
    struct fixture *f = *state;
    int64_t due = due_in(HOUR_US);
    int64_t id = add_completed(f, due);
    const struct db_task_patch reopen = {.set = DB_FIELD_COMPLETED};
    update_task(f, f->user, id, &reopen);
    new_events(f);
    assert_int_equal(continue_at(f, id, new_event_id(f), due, 2).task_id, 0);
    assert_int_equal(new_events(f), 0);
    complete_task(f, f->user, id);
    new_events(f);
    assert_true(continue_at(f, id, new_event_id(f), due, 2).task_id > 0);
    int64_t other = add_completed(f, due);
    delete_task(f, f->user, other);
    new_events(f);
    assert_int_equal(continue_at(f, other, new_event_id(f), due, 2).task_id, 0);
    assert_int_equal(new_events(f), 0);
}

static void a_reminder_keeps_its_distance_from_the_due_date(void **state)
{
    struct fixture *f = *state;
    int64_t due = due_in(2 * HOUR_US);
    const struct db_reminder_set sets[] = {
        {.remind_before_minutes = 30},
        {.remind_before_minutes = -1, .remind_at = due - 45 * MINUTE_US},
    };
    const int64_t distances[] = {30, 45};
    for (int i = 0; i < 2; i++) {
        int64_t id = add_daily(f, due).task.id;
        set_reminder(f, f->user, id, &sets[i]);
        complete_task(f, f->user, id);
        int64_t next = continue_at(f, id, new_event_id(f), due, 2).task_id;
        struct db_reminder reminder = get_task(f, f->user, next).task.reminder;
        assert_true(reminder.is_set && !reminder.sent);
        assert_int_equal(reminder.remind_before_minutes, i == 0 ? 30 : -1);
        assert_int_equal(reminder.remind_at, due + DAY_US - distances[i] * MINUTE_US);
        assert_int_equal(postgres_int(f->pg,
                                      "select r.active::integer from todo.reminders r"
                                      " where r.task_id = %lld",
                                      (long long)next),
                         1);
    }
}

static void a_reminder_of_a_task_that_is_past_already_is_not_sent(void **state)
{
    struct fixture *f = *state;
    int64_t due = due_in(-10 * DAY_US);
    int64_t id = add_daily(f, due).task.id;
    const struct db_reminder_set set = {.remind_before_minutes = 30};
    set_reminder(f, f->user, id, &set);
    complete_task(f, f->user, id);
    int64_t next = continue_at(f, id, new_event_id(f), due, 2).task_id;
    assert_int_equal(postgres_int(f->pg,
                                  "select count(*) from todo.reminders r join todo.tasks t"
                                  " on t.id = r.task_id where t.id = %lld and not r.active"
                                  " and t.reminded_for = 'infinity'",
                                  (long long)next),
                     1);
}

static void a_changed_rule_counts_anew_and_the_number_goes_on(void **state)
{
    struct fixture *f = *state;
    int64_t due = due_in(HOUR_US);
    int64_t id = add_completed(f, due);
    int64_t next = continue_at(f, id, new_event_id(f), due, 2).task_id;
    const struct db_task_patch moved = {
        .set = DB_FIELD_DUE_DATE, .has_due_date = true, .due_date = due + 2 * DAY_US};
    update_task(f, f->user, next, &moved);
    assert_true(get_series(f, f->user, next).has_wall);
    const struct db_task_patch other = {.set = DB_FIELD_RECURRENCE,
                                        .recurrence_rule = SLICE_LIT("FREQ=WEEKLY;COUNT=3")};
    update_task(f, f->user, next, &other);
    struct db_series series = get_series(f, f->user, next);
    assert_false(series.has_wall);
    assert_int_equal(series.occurrence, 2);
    assert_int_equal(series.first, 2);
    complete_task(f, f->user, next);
    int64_t third = continue_at(f, next, new_event_id(f), due + 2 * DAY_US, 3).task_id;
    series = get_series(f, f->user, third);
    assert_int_equal(series.occurrence, 3);
    assert_int_equal(series.first, 2);
    const struct db_task_patch zone = {.set = DB_FIELD_TIMEZONE,
                                       .timezone = SLICE_LIT("Asia/Kolkata")};
    update_task(f, f->user, third, &zone);
    series = get_series(f, f->user, third);
    assert_false(series.has_wall);
    assert_int_equal(series.first, 2);
}

static void labels_that_are_deleted_meanwhile_are_left_out(void **state)
{
    struct fixture *f = *state;
    int64_t due = due_in(HOUR_US);
    int64_t category = add_label(f, DB_CATEGORY, "garden");
    int64_t tag = add_label(f, DB_TAG, "green");
    int64_t id = add_daily(f, due).task.id;
    const struct db_task_patch patch = {.set = DB_FIELD_CATEGORY, .category_id = category};
    update_task(f, f->user, id, &patch);
    tag_task(f, f->user, id, tag, true);
    complete_task(f, f->user, id);
    delete_label(f, DB_CATEGORY, f->user, category);
    delete_label(f, DB_TAG, f->user, tag);
    struct db_task next =
        get_task(f, f->user, continue_at(f, id, new_event_id(f), due, 2).task_id).task;
    assert_int_equal(next.category.id, 0);
    assert_int_equal(next.tag_count, 0);
}

static void a_tag_that_is_deleted_at_the_same_time_is_looked_for_again(void **state)
{
    struct fixture *f = *state;
    int64_t due = due_in(HOUR_US);
    int64_t tag = add_label(f, DB_TAG, "green");
    int64_t id = add_daily(f, due).task.id;
    tag_task(f, f->user, id, tag, true);
    complete_task(f, f->user, id);
    new_events(f);
    struct series_answer a;
    postgres_run(f->pg, "begin");
    postgres_run(f->pg, "delete from todo.task_tags where tag_id = %lld", (long long)tag);
    postgres_run(f->pg, "delete from todo.tags where id = %lld", (long long)tag);
    start_continue(f, id, "01234567-89ab-7def-8123-456789abcdef", due, 2, &a);
    fixture_wait_for_lock(f);
    postgres_run(f->pg, "commit");
    fixture_wait(f, &a.is_done);
    assert_int_equal(a.status, 0);
    assert_true(a.reply.task_id > 0);
    assert_int_equal(get_task(f, f->user, a.reply.task_id).task.tag_count, 0);
    assert_int_equal(new_events(f), 1);
}

static void a_task_that_is_reopened_at_the_same_time_has_none(void **state)
{
    struct fixture *f = *state;
    int64_t due = due_in(HOUR_US);
    int64_t id = add_completed(f, due);
    struct series_answer a;
    char event_id[40];
    snprintf(event_id, sizeof(event_id), "%s", new_event_id(f));
    postgres_run(f->pg, "begin");
    postgres_run(f->pg,
                 "update todo.tasks set completed = false, completed_at = null where id = %lld",
                 (long long)id);
    start_continue(f, id, event_id, due, 2, &a);
    fixture_wait_for_lock(f);
    postgres_run(f->pg, "commit");
    fixture_wait(f, &a.is_done);
    assert_int_equal(a.status, 0);
    assert_true(a.reply.is_fresh);
    assert_int_equal(a.reply.task_id, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        db_test(a_first_task_is_number_one_and_has_no_time_of_its_rule),
        db_test(the_successor_has_what_the_completed_task_has),
        db_test(its_event_tells_of_it_and_of_who_made_it),
        db_test(a_repeated_event_changes_nothing),
        db_test(two_deliveries_at_once_make_one_successor),
        db_test(a_task_that_is_completed_again_has_no_second_successor),
        db_test(a_task_that_is_open_again_or_gone_has_none_now),
        db_test(a_reminder_keeps_its_distance_from_the_due_date),
        db_test(a_reminder_of_a_task_that_is_past_already_is_not_sent),
        db_test(a_changed_rule_counts_anew_and_the_number_goes_on),
        db_test(labels_that_are_deleted_meanwhile_are_left_out),
        db_test(a_tag_that_is_deleted_at_the_same_time_is_looked_for_again),
        db_test(a_task_that_is_reopened_at_the_same_time_has_none),
    };
    return cmocka_run_group_tests(tests, postgres_setup, postgres_teardown);
}
