/* The steps of the tests of reminders. */
#include "reminders.h"

const struct db_reminder_rules reminder_rules = {.default_minutes = 60, .late_max_hours = 24};
const struct db_reminder_rules reminder_rules_no_default = {.late_max_hours = 24};

/* ---- calls that wait ---- */

static void on_fired(void *ctx, int status, const struct db_reminder_fire_reply *reply,
                     const struct error *err)
{
    struct fired *a = ctx;
    if (status)
        fail_msg("%s (%s)", err->text, err->field);
    assert_false(a->is_done);
    a->is_done = true;
    a->sent = reply->count;
    a->given_up = reply->given_up;
    a->has_more = reply->has_more;
    if (reply->count > 0) {
        a->user_id = reply->sent[reply->count - 1].user_id;
        a->task_id = reply->sent[reply->count - 1].task_id;
        a->late_ms = reply->sent[reply->count - 1].late_ms;
    }
}

struct fired fire_with(struct fixture *f, const struct db_reminder_rules *with, int limit)
{
    struct fired a = {0};
    assert_int_equal(db_reminder_fire(f->pool, with, limit, SLICE_LIT("notification-service"),
                                      on_fired, &a, NULL, NULL),
                     0);
    fixture_wait(f, &a.is_done);
    return a;
}

struct fired fire(struct fixture *f)
{
    return fire_with(f, &reminder_rules, 100);
}

static void on_next(void *ctx, int status, const struct db_reminder_next_reply *reply,
                    const struct error *err)
{
    struct next *a = ctx;
    if (status)
        fail_msg("%s (%s)", err->text, err->field);
    *a = (struct next){.is_done = true, .has_next = reply->has_next, .ms = reply->next_ms};
}

struct next next_one(struct fixture *f, const struct db_reminder_rules *with)
{
    struct next a = {0};
    assert_int_equal(db_reminder_next(f->pool, with, on_next, &a, NULL, NULL), 0);
    fixture_wait(f, &a.is_done);
    return a;
}

/* ---- tasks ---- */

static int64_t now_us(struct fixture *f)
{
    return postgres_int(f->pg, "select (extract(epoch from clock_timestamp()) * 1e6)::bigint");
}

int64_t add_due_in(struct fixture *f, int64_t after_us)
{
    const struct db_task_new task = {.title = SLICE_LIT("due"),
                                     .priority = DB_PRIORITY_HIGH,
                                     .has_due_date = true,
                                     .due_date = now_us(f) + after_us};
    int64_t id = add_task(f, &task).task.id;
    new_events(f);
    return id;
}

void move_due_to(struct fixture *f, int64_t id, int64_t after_us)
{
    const struct db_task_patch patch = {
        .set = DB_FIELD_DUE_DATE, .has_due_date = true, .due_date = now_us(f) + after_us};
    assert_outcome(update_task(f, f->user, id, &patch), DB_OK);
    new_events(f);
}

void reopen(struct fixture *f, int64_t id)
{
    const struct db_task_patch patch = {.set = DB_FIELD_COMPLETED};
    assert_outcome(update_task(f, f->user, id, &patch), DB_OK);
    new_events(f);
}

void remind_before(struct fixture *f, int64_t id, int64_t minutes)
{
    const struct db_reminder_set set = {.remind_before_minutes = minutes};
    assert_outcome(set_reminder(f, f->user, id, &set), DB_OK);
    new_events(f);
}

void remind_in(struct fixture *f, int64_t id, int64_t after_us)
{
    const struct db_reminder_set set = {.remind_before_minutes = -1,
                                        .remind_at = now_us(f) + after_us};
    assert_outcome(set_reminder(f, f->user, id, &set), DB_OK);
    new_events(f);
}

void clear_reminder(struct fixture *f, int64_t id)
{
    const struct db_reminder_set clear = {.clear = true};
    assert_outcome(set_reminder(f, f->user, id, &clear), DB_OK);
    new_events(f);
}

void pass_time(struct fixture *f, int64_t id, int64_t us)
{
    postgres_run(f->pg,
                 "update todo.tasks set due_date = due_date - %2$lld * interval '1 us',"
                 " created_at = created_at - %2$lld * interval '1 us',"
                 " updated_at = updated_at - %2$lld * interval '1 us',"
                 " reminded_for = reminded_for - %2$lld * interval '1 us' where id = %1$lld",
                 (long long)id, (long long)us);
    postgres_run(f->pg,
                 "update todo.reminders set remind_at = remind_at - %2$lld * interval '1 us',"
                 " sent_at = sent_at - %2$lld * interval '1 us' where task_id = %1$lld",
                 (long long)id, (long long)us);
}

void assert_sent(struct fixture *f, int64_t id)
{
    struct fired a = fire(f);
    assert_int_equal(a.sent, 1);
    assert_int_equal(a.task_id, id);
    assert_int_equal(a.user_id, f->user);
    assert_int_equal(new_events(f), 1);
    assert_int_equal(newest_event_int(f, "task_id"), id);
    a = fire(f);
    assert_int_equal(a.sent + a.given_up, 0); /* once */
    assert_int_equal(new_events(f), 0);
}

void assert_silent(struct fixture *f)
{
    assert_int_equal(fire(f).sent, 0);
    assert_int_equal(new_events(f), 0);
}

int reminder_teardown(void **state)
{
    struct fixture *f = *state;
    postgres_run(f->pg, "delete from todo.tasks");
    return fixture_teardown(state);
}
