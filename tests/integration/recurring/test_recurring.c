/* The worker of recurring tasks over a real PostgreSQL: what each task.completed comes to. The
 * events are those that completing a task has written. */
#include "fixture.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "db/pool_int.h"
#include "recurring/recurring.h"
#include "support/mem_loop.h"

#define EVENT_BYTES 4096

struct stage {
    struct fixture *f;
    struct metrics *metrics;
    struct recurring *recurring;
    struct consumer *consumer; /* NULL once closed */
    struct consumer_route route;
    int answers, acks;
    int created;
    int64_t created_id;
};

/* ---- life ---- */

static void on_created(void *ctx, int64_t user_id, int64_t task_id, int64_t category_id)
{
    struct stage *s = ctx;
    (void)category_id;
    assert_int_equal(user_id, s->f->user);
    s->created++;
    s->created_id = task_id;
}

static void on_event(void *ctx, const struct consumer_event *event, struct consumer_turn *turn)
{
    struct stage *s = ctx;
    recurring_handle(s->recurring, event, turn);
}

static int setup(void **state)
{
    struct error err;
    assert_int_equal(fixture_setup(state), 0);
    struct stage *s = test_calloc(1, sizeof(*s));
    s->f = *state;
    *state = s;
    assert_int_equal(metrics_new(&s->metrics), 0);
    const struct recurring_options options = {.consumer = "recurring-task-service",
                                              .metrics = s->metrics,
                                              .on_created = on_created,
                                              .ctx = s};
    assert_int_equal(recurring_new(s->f->pool, NULL, &options, &s->recurring, &err), 0);
    s->route = (struct consumer_route){EVENT_TASK_COMPLETED, "/", on_event, s};
    const struct consumer_options consumer = {
        .name = "recurring-task-service", .routes = &s->route, .route_count = 1};
    assert_int_equal(consumer_new(&s->f->loop, &consumer, s->f->pool, NULL, &s->consumer, &err), 0);
    return 0;
}

static void on_closed(void *ctx)
{
    ((struct stage *)ctx)->consumer = NULL;
}

static int teardown(void **state)
{
    struct stage *s = *state;
    consumer_close(s->consumer, on_closed, s);
    while (s->consumer)
        uv_run(&s->f->loop, UV_RUN_ONCE);
    recurring_free(s->recurring);
    metrics_free(s->metrics);
    postgres_run(s->f->pg, "truncate todo.dead_letters, todo.inbox");
    *state = s->f;
    test_free(s);
    return fixture_teardown(state);
}
#define stage_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

/* ---- steps ---- */

static int64_t at(const char *text)
{
    int64_t time_us;
    assert_int_equal(clock_parse_rfc3339(slice_from_cstr(text), &time_us, NULL), 0);
    return time_us;
}

static int64_t add_series(struct stage *s, const char *rule, const char *due)
{
    const struct db_task_new task = {.title = SLICE_LIT("again"),
                                     .priority = DB_PRIORITY_LOW,
                                     .has_due_date = due != NULL,
                                     .due_date = due ? at(due) : 0,
                                     .recurrence_rule = slice_from_cstr(rule),
                                     .timezone = SLICE_LIT("Europe/Berlin")};
    return add_task(s->f, &task).task.id;
}

/* Completes the task; the CloudEvent of that, in `out`. */
static void complete(struct stage *s, int64_t id, char *out)
{
    assert_true(complete_task(s->f, s->f->user, id).reply.changed);
    const char *text = postgres_text(
        s->f->pg,
        "select jsonb_build_object('specversion', '1.0', 'id', id, 'source', '/todo/mcp-server',"
        " 'type', type, 'subject', 'task/' || key, 'time', todo.rfc3339(created_at),"
        " 'datacontenttype', 'application/json', 'partitionkey', key, 'data', data)::text"
        " from todo.outbox where type = 'TaskCompletedEvent' and key = '%lld'"
        " order by seq desc limit 1",
        (long long)id);
    snprintf(out, EVENT_BYTES, "%s", text);
    new_events(s->f);
}

static void on_answer(void *ctx, enum consumer_answer answer)
{
    struct stage *s = ctx;
    s->answers++;
    s->acks += answer == CONSUMER_ACK;
}

static int start_delivery(struct stage *s, const char *event)
{
    const struct consumer_delivery delivery = {.topic = "task-recurrence",
                                               .content_type = SLICE_LIT(CLOUDEVENT_MIME),
                                               .body = slice_from_cstr(event)};
    return consumer_deliver(s->consumer, &delivery, on_answer, s);
}

static void wait_answers(struct stage *s, int count)
{
    while (s->answers < count)
        assert_true(uv_run(&s->f->loop, UV_RUN_ONCE));
}

/* True: acknowledged. */
static bool deliver(struct stage *s, const char *event)
{
    int answers = s->answers, acks = s->acks;
    assert_int_equal(start_delivery(s, event), 0);
    wait_answers(s, answers + 1);
    return s->acks > acks;
}

/* Completes the task and hands on the event; the successor's id, 0 for none. */
static int64_t follow(struct stage *s, int64_t id)
{
    char event[EVENT_BYTES];
    int before = s->created;
    complete(s, id, event);
    assert_true(deliver(s, event));
    return s->created > before ? s->created_id : 0;
}

static void assert_due(struct stage *s, int64_t id, const char *due)
{
    char text[CLOCK_RFC3339_SIZE];
    clock_format_rfc3339(get_task(s->f, s->f->user, id).task.due_date, text);
    assert_string_equal(text, due);
}

static void assert_outcome_counted(struct stage *s, const char *outcome)
{
    char text[8192], line[128];
    struct buf b;
    buf_init_fixed(&b, text, sizeof(text));
    metrics_write(s->metrics, &b);
    buf_append_char(&b, '\0');
    assert_int_equal(buf_status(&b), 0);
    snprintf(line, sizeof(line), "todo_recurrences_total{outcome=\"%s\"} 1\n", outcome);
    if (!strstr(text, line))
        fail_msg("no %s in\n%s", line, text);
}

static int64_t dead_letters(struct stage *s)
{
    return postgres_int(s->f->pg, "select count(*) from todo.dead_letters");
}

/* ---- tests ---- */

static void a_completed_task_has_a_successor_with_its_event(void **state)
{
    struct stage *s = *state;
    int64_t next = follow(s, add_series(s, "FREQ=DAILY", "2026-06-01T07:00:00Z"));
    assert_true(next > 0);
    assert_due(s, next, "2026-06-02T07:00:00Z");
    assert_int_equal(new_events(s->f), 1);
    assert_int_equal(newest_event_int(s->f, "task_id"), next);
    assert_outcome_counted(s, "created");
    assert_int_equal(dead_letters(s), 0);
}

static void a_series_goes_on_over_a_change_of_the_clocks(void **state)
{
    struct stage *s = *state;
    static const char *const due[] = {"2026-03-29T01:30:00Z", "2026-03-30T00:30:00Z",
                                      "2026-03-31T00:30:00Z"};
    int64_t id = add_series(s, "FREQ=DAILY", "2026-03-28T01:30:00Z"); /* half past two */
    for (int i = 0; i < 3; i++) {
        id = follow(s, id);
        assert_due(s, id, due[i]);
    }
}

static void count_ends_a_series(void **state)
{
    struct stage *s = *state;
    int64_t second = follow(s, add_series(s, "FREQ=DAILY;COUNT=2", "2026-06-01T07:00:00Z"));
    assert_true(second > 0);
    assert_int_equal(follow(s, second), 0);
    assert_outcome_counted(s, "ended");
}

static void what_exdate_leaves_out_is_counted_but_does_not_come(void **state)
{
    struct stage *s = *state;
    int64_t second =
        follow(s, add_series(s, "FREQ=DAILY;COUNT=3\nEXDATE:20260602", "2026-06-01T07:00:00Z"));
    assert_due(s, second, "2026-06-03T07:00:00Z");
    assert_int_equal(follow(s, second), 0);
}

static void a_new_rule_counts_from_its_own_start(void **state)
{
    struct stage *s = *state;
    int64_t id = follow(s, add_series(s, "FREQ=DAILY;COUNT=2", "2026-06-01T07:00:00Z"));
    const struct db_task_patch weekly = {.set = DB_FIELD_RECURRENCE,
                                         .recurrence_rule = SLICE_LIT("FREQ=WEEKLY;COUNT=2")};
    update_task(s->f, s->f->user, id, &weekly);
    id = follow(s, id);
    assert_due(s, id, "2026-06-09T07:00:00Z");
    assert_int_equal(follow(s, id), 0);
}

static void a_moved_occurrence_moves_those_after_it(void **state)
{
    struct stage *s = *state;
    int64_t id = follow(s, add_series(s, "FREQ=WEEKLY;BYDAY=MO", "2026-06-01T07:00:00Z"));
    assert_due(s, id, "2026-06-08T07:00:00Z");
    const struct db_task_patch earlier = {
        .set = DB_FIELD_DUE_DATE, .has_due_date = true, .due_date = at("2026-06-05T16:00:00Z")};
    update_task(s->f, s->f->user, id, &earlier);
    assert_due(s, follow(s, id), "2026-06-15T16:00:00Z"); /* not the 8th again */
}

static void nothing_is_skipped_however_late_it_is_completed(void **state)
{
    struct stage *s = *state;
    int64_t next = follow(s, add_series(s, "FREQ=DAILY", "2020-06-01T07:00:00Z"));
    assert_due(s, next, "2020-06-02T07:00:00Z");
}

static void a_task_that_does_not_repeat_leaves_nothing_behind(void **state)
{
    struct stage *s = *state;
    assert_int_equal(follow(s, add_series(s, NULL, NULL)), 0);
    assert_outcome_counted(s, "single");
    assert_int_equal(postgres_int(s->f->pg, "select count(*) from todo.inbox"), 0);
    assert_int_equal(new_events(s->f), 0);
}

static void a_repeated_event_makes_no_second_successor(void **state)
{
    struct stage *s = *state;
    char event[EVENT_BYTES];
    complete(s, add_series(s, "FREQ=DAILY", "2026-06-01T07:00:00Z"), event);
    for (int i = 0; i < 8; i++)
        assert_int_equal(start_delivery(s, event), 0);
    wait_answers(s, 8);
    assert_int_equal(s->acks, 8);
    assert_int_equal(s->created, 1);
    assert_int_equal(new_events(s->f), 1);
}

static void a_task_that_is_completed_twice_has_one_successor(void **state)
{
    struct stage *s = *state;
    char first[EVENT_BYTES], second[EVENT_BYTES];
    int64_t id = add_series(s, "FREQ=DAILY", "2026-06-01T07:00:00Z");
    const struct db_task_patch reopen = {.set = DB_FIELD_COMPLETED};
    complete(s, id, first);
    update_task(s->f, s->f->user, id, &reopen);
    assert_true(deliver(s, first)); /* it is open: the next completion makes the successor */
    assert_outcome_counted(s, "reopened");
    assert_int_equal(s->created, 0);
    complete(s, id, second);
    assert_true(deliver(s, second));
    assert_int_equal(s->created, 1);
    update_task(s->f, s->f->user, id, &reopen);
    assert_int_equal(follow(s, id), 0);
    assert_outcome_counted(s, "repeated");
}

static void a_deleted_task_ends_its_series(void **state)
{
    struct stage *s = *state;
    char event[EVENT_BYTES];
    int64_t id = add_series(s, "FREQ=DAILY", "2026-06-01T07:00:00Z");
    complete(s, id, event);
    delete_task(s->f, s->f->user, id);
    assert_true(deliver(s, event));
    assert_outcome_counted(s, "gone");
    assert_int_equal(s->created, 0);
}

static void what_no_try_can_mend_is_a_dead_letter_at_once(void **state)
{
    struct stage *s = *state;
    static const struct {
        const char *set, *word;
    } cases[] = {
        {"recurrence_rule = 'FREQ=HOURLY'", "at most once a day"},
        {"timezone = 'Nowhere/Land'", "does not know the time zone"},
        {"recurrence_rule = 'FREQ=DAILY;INTERVAL=7;BYDAY=SU'", "more than a century"},
    };
    for (int i = 0; i < 3; i++) {
        char event[EVENT_BYTES];
        int64_t id = add_series(s, "FREQ=DAILY", "2026-06-01T07:00:00Z");
        postgres_run(s->f->pg, "update todo.tasks set %s where id = %lld", cases[i].set,
                     (long long)id);
        complete(s, id, event);
        assert_true(deliver(s, event));
        assert_int_equal(dead_letters(s), i + 1);
        const char *reason =
            postgres_text(s->f->pg, "select reason from todo.dead_letters order by seq desc");
        if (!strstr(reason, cases[i].word))
            fail_msg("%s", reason);
    }
    assert_int_equal(s->created, 0);
}

static void a_failed_allocation_loses_no_successor_and_makes_no_second(void **state)
{
    struct stage *s = *state;
    struct mem_loop loop = {0};
    char event[EVENT_BYTES];
    complete(s, add_series(s, "FREQ=DAILY", "2026-06-01T07:00:00Z"), event);
    while (mem_loop_next(&loop)) {
        int answers = s->answers, acks = s->acks;
        int status = start_delivery(s, event);
        if (status == 0)
            wait_answers(s, answers + 1);
        if (!mem_loop_has_failed(&loop))
            assert_int_equal(s->acks, acks + 1);
    }
    assert_true(deliver(s, event));
    assert_int_equal(new_events(s->f), 1);
    assert_int_equal(dead_letters(s), 0);
}

static void a_failed_allocation_makes_no_half_worker(void **state)
{
    struct stage *s = *state;
    struct mem_loop loop = {0};
    const struct recurring_options options = {.consumer = "x"};
    while (mem_loop_next(&loop)) {
        struct recurring *r;
        struct error err;
        mem_loop_expect(&loop, recurring_new(s->f->pool, NULL, &options, &r, &err), BASE_ENOMEM);
        recurring_free(r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        stage_test(a_completed_task_has_a_successor_with_its_event),
        stage_test(a_series_goes_on_over_a_change_of_the_clocks),
        stage_test(count_ends_a_series),
        stage_test(what_exdate_leaves_out_is_counted_but_does_not_come),
        stage_test(a_new_rule_counts_from_its_own_start),
        stage_test(a_moved_occurrence_moves_those_after_it),
        stage_test(nothing_is_skipped_however_late_it_is_completed),
        stage_test(a_task_that_does_not_repeat_leaves_nothing_behind),
        stage_test(a_repeated_event_makes_no_second_successor),
        stage_test(a_task_that_is_completed_twice_has_one_successor),
        stage_test(a_deleted_task_ends_its_series),
        stage_test(what_no_try_can_mend_is_a_dead_letter_at_once),
        stage_test(a_failed_allocation_loses_no_successor_and_makes_no_second),
        stage_test(a_failed_allocation_makes_no_half_worker),
    };
    return cmocka_run_group_tests(tests, postgres_setup, postgres_teardown);
}
