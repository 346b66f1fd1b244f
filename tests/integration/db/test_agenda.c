/* What is pending, by the user's days and by category; and the day itself. */
#include "fixture.h"

#include "base/buf.h"
#include "db/agenda.h"

#define LIMIT 50

struct agenda_answer {
    bool is_done;
    int status;
    struct db_agenda_reply reply; /* without tasks */
    char timezone[65];
    char titles[1024]; /* each followed by a blank, in order */
};

static void on_agenda(void *ctx, int status, const struct db_agenda_reply *reply,
                      const struct error *err)
{
    struct agenda_answer *a = ctx;
    struct buf titles;
    assert_false(a->is_done);
    a->is_done = true;
    a->status = status;
    if (status) {
        assert_int_equal(err->code, status);
        return;
    }
    a->reply = *reply;
    snprintf(a->timezone, sizeof(a->timezone), "%.*s", (int)reply->timezone.len,
             reply->timezone.len ? reply->timezone.ptr : "");
    buf_init_fixed(&titles, a->titles, sizeof(a->titles));
    for (int i = 0; i < reply->count; i++)
        buf_printf(&titles, "%.*s ", (int)reply->tasks[i].title.len, reply->tasks[i].title.ptr);
    assert_int_equal(buf_status(&titles), 0);
    a->reply.tasks = NULL;
}

static struct agenda_answer agenda(struct fixture *f, int64_t user, enum db_agenda which, int limit)
{
    struct agenda_answer a = {0};
    assert_int_equal(db_agenda_get(f->pool, user, which, limit, on_agenda, &a, NULL, NULL), 0);
    fixture_wait(f, &a.is_done);
    assert_int_equal(a.status, 0);
    return a;
}

static struct agenda_answer category(struct fixture *f, int64_t user, int64_t id, int limit)
{
    struct agenda_answer a = {0};
    assert_int_equal(db_agenda_category(f->pool, user, id, limit, on_agenda, &a, NULL, NULL), 0);
    fixture_wait(f, &a.is_done);
    assert_int_equal(a.status, 0);
    return a;
}

/* A pending task due at a time of the user's own clock: so many days after today, then the hour. */
static void add_due(struct fixture *f, int64_t user, const char *title, int days, const char *hour)
{
    postgres_run(f->pg,
                 "insert into todo.tasks (user_id, title, timezone, due_date) select u.id, '%s',"
                 " 'UTC', (date_trunc('day', now() at time zone u.timezone)"
                 " + make_interval(days => %d) + interval '%s') at time zone u.timezone"
                 " from todo.users u where u.id = %lld",
                 title, days, hour, (long long)user);
}

static int64_t user_in(struct fixture *f, const char *timezone)
{
    char subject[128];
    snprintf(subject, sizeof(subject), "%s %s", timezone,
             postgres_text(f->pg, "select gen_random_uuid()"));
    return ensure_user(f, subject, timezone);
}

static void add_days(struct fixture *f, int64_t user)
{
    add_due(f, user, "yesterday", -1, "23:59:59.999999");
    add_due(f, user, "midnight", 0, "0");
    add_due(f, user, "evening", 0, "23:59:59.999999");
    add_due(f, user, "tomorrow", 1, "0");
    add_due(f, user, "seventh", 7, "23:59:59.999999");
    add_due(f, user, "eighth", 8, "0");
}

/* The dates of these two never agree: one is 25 hours ahead of the other. */
static void days_are_those_of_the_user(void **state)
{
    static const char *const zones[] = {"Pacific/Kiritimati", "Pacific/Pago_Pago", "UTC"};
    struct fixture *f = *state;
    for (size_t i = 0; i < 3; i++) {
        int64_t user = user_in(f, zones[i]);
        add_days(f, user);
        struct agenda_answer a = agenda(f, user, DB_TODAY, LIMIT);
        assert_string_equal(a.titles, "midnight evening ");
        assert_string_equal(a.timezone, zones[i]);
        assert_true(a.reply.has_from);
        assert_int_equal(a.reply.until - a.reply.from, INT64_C(86400000000));
        assert_string_equal(agenda(f, user, DB_UPCOMING, LIMIT).titles, "tomorrow seventh ");
        assert_string_equal(agenda(f, user, DB_OVERDUE, LIMIT).titles, "yesterday midnight ");
    }
}

static void what_is_done_or_has_no_date_or_is_anothers_is_left_out(void **state)
{
    struct fixture *f = *state;
    add_titled(f, "undated");
    add_days(f, f->other);
    add_due(f, f->user, "done", -1, "0");
    postgres_run(f->pg,
                 "update todo.tasks set completed = true, completed_at = now()"
                 " where user_id = %lld and title = 'done'",
                 (long long)f->user);
    for (int which = DB_TODAY; which <= DB_UPCOMING; which++) {
        struct agenda_answer a = agenda(f, f->user, (enum db_agenda)which, LIMIT);
        assert_true(a.reply.is_found);
        assert_int_equal(a.reply.count, 0);
        assert_int_equal(a.reply.total, 0);
    }
}

static void a_page_is_cut_and_the_total_is_not(void **state)
{
    struct fixture *f = *state;
    add_due(f, f->user, "second", -1, "2:00");
    add_due(f, f->user, "first", -1, "1:00");
    add_due(f, f->user, "third", -1, "3:00");
    struct agenda_answer a = agenda(f, f->user, DB_OVERDUE, 2);
    assert_string_equal(a.titles, "first second ");
    assert_int_equal(a.reply.total, 3);
    assert_false(a.reply.has_from);
    assert_true(a.reply.until > 0);
}

static void a_category_has_its_pending_tasks_newest_first(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_label(f, DB_CATEGORY, "home");
    struct db_task_new task = {.category_id = id};
    static const char *const titles[] = {"old", "done", "middle", "new"};
    for (size_t i = 0; i < 4; i++) {
        task.title = slice_from_cstr(titles[i]);
        int64_t task_id = add_task(f, &task).task.id;
        if (i == 1)
            complete_task(f, f->user, task_id);
    }
    add_titled(f, "elsewhere");
    struct agenda_answer a = category(f, f->user, id, 2);
    assert_true(a.reply.is_found);
    assert_string_equal(a.titles, "new middle ");
    assert_int_equal(a.reply.total, 3);
    assert_int_equal(a.reply.category.id, id);
    assert_int_equal(a.reply.category.task_count, 4);
    assert_true(a.reply.category.created_at > 0);
}

static void an_empty_category_is_found_and_anothers_is_not(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_label(f, DB_CATEGORY, "empty");
    struct agenda_answer a = category(f, f->user, id, LIMIT);
    assert_true(a.reply.is_found);
    assert_int_equal(a.reply.count, 0);
    assert_false(category(f, f->other, id, LIMIT).reply.is_found);
    assert_false(category(f, f->user, id + 1000, LIMIT).reply.is_found);
}

/* ---- the day -------------------------------------------------------------------------------- */

struct day_answer {
    bool is_done;
    struct db_day_reply reply;
    char text[128]; /* zone, date, weekday */
};

static void on_day(void *ctx, int status, const struct db_day_reply *reply, const struct error *err)
{
    struct day_answer *a = ctx;
    if (status)
        fail_msg("%s", err->text);
    a->is_done = true;
    a->reply = *reply;
    snprintf(a->text, sizeof(a->text), "%.*s %.*s %.*s", (int)reply->timezone.len,
             reply->timezone.ptr, (int)reply->date.len, reply->date.ptr, (int)reply->weekday.len,
             reply->weekday.ptr);
}

static struct day_answer day(struct fixture *f, int64_t user, const char *date,
                             const char *category_name, const char *tag)
{
    struct day_answer a = {0};
    assert_int_equal(db_day_get(f->pool, user, slice_from_cstr(date),
                                slice_from_cstr(category_name), slice_from_cstr(tag), on_day, &a,
                                NULL, NULL),
                     0);
    fixture_wait(f, &a.is_done);
    return a;
}

/* In Berlin the 25th of October 2026 has 25 hours: clocks go back from +02:00 to +01:00. */
static void a_day_and_its_week_have_bounds(void **state)
{
    struct fixture *f = *state;
    struct day_answer a = day(f, f->user, "2026-10-25", NULL, NULL);
    assert_string_equal(a.text, "Europe/Berlin 2026-10-25 Sunday");
    assert_false(a.reply.is_today);
    assert_int_equal(a.reply.from, INT64_C(1792879200000000)); /* 2026-10-24T22:00:00Z */
    assert_int_equal(a.reply.until - a.reply.from, INT64_C(25) * 3600 * 1000000);
    assert_int_equal(a.reply.from - a.reply.week_from, INT64_C(6) * 86400 * 1000000);
    assert_int_equal(a.reply.week_until, a.reply.until);
}

static void without_a_date_it_is_today(void **state)
{
    struct fixture *f = *state;
    struct day_answer a = day(f, f->user, NULL, NULL, NULL);
    assert_true(a.reply.is_today);
    assert_true(a.reply.from <= a.reply.now && a.reply.now < a.reply.until);
    assert_true(a.reply.week_from <= a.reply.from && a.reply.until <= a.reply.week_until);
}

static void names_become_ids_of_the_user(void **state)
{
    struct fixture *f = *state;
    int64_t home = add_label(f, DB_CATEGORY, "home");
    int64_t urgent = add_label(f, DB_TAG, "urgent");
    struct day_answer a = day(f, f->user, NULL, "home", "urgent");
    assert_int_equal(a.reply.category_id, home);
    assert_int_equal(a.reply.tag_id, urgent);
    a = day(f, f->user, NULL, "Home", NULL);
    assert_int_equal(a.reply.category_id, 0);
    assert_int_equal(a.reply.tag_id, 0);
    assert_int_equal(day(f, f->other, NULL, "home", "urgent").reply.category_id, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        db_test(days_are_those_of_the_user),
        db_test(what_is_done_or_has_no_date_or_is_anothers_is_left_out),
        db_test(a_page_is_cut_and_the_total_is_not),
        db_test(a_category_has_its_pending_tasks_newest_first),
        db_test(an_empty_category_is_found_and_anothers_is_not),
        db_test(a_day_and_its_week_have_bounds),
        db_test(without_a_date_it_is_today),
        db_test(names_become_ids_of_the_user),
    };
    return cmocka_run_group_tests(tests, postgres_setup, postgres_teardown);
}
