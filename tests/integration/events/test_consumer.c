/* events/consumer: what becomes of a delivery. */
#include "fixture.h"

#include "base/buf.h"
#include "support/mem_loop.h"

/* ---- done ---- */

static void an_event_is_handled_and_acknowledged(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(deliver(f, event_text(f, NULL, NULL)), 0);
    assert_int_equal(consumer_in_flight(f->consumer), 1);
    fixture_wait_answers(f, 1);
    assert_int_equal(f->acks, 1);
    assert_int_equal(f->runs, 1);
    assert_int_equal(f->seen_task, 7);
    assert_int_equal(consumer_in_flight(f->consumer), 0);
}

static void an_event_in_binary_mode_is_the_same(void **state)
{
    struct fixture *f = *state;
    const struct cloudevent_attribute attributes[] = {
        {SLICE_LIT("specversion"), SLICE_LIT("1.0")},
        {SLICE_LIT("id"), SLICE_LIT(EVENT_ID)},
        {SLICE_LIT("source"), SLICE_LIT("/todo/mcp-server")},
        {SLICE_LIT("type"), SLICE_LIT("TaskDeletedEvent")},
        {SLICE_LIT("time"), SLICE_LIT("2026-01-02T03:04:05Z")}};
    const char *data = strstr(event_text(f, NULL, NULL), "\"data\":") + 7;
    struct slice body = {data, strlen(data) - 1};
    assert_int_equal(deliver_as(f, SLICE_LIT("application/json"), body, attributes, 5), 0);
    fixture_wait_answers(f, 1);
    assert_int_equal(f->acks, 1);
    assert_int_equal(f->seen_task, 7);
}

static void a_repeat_changes_nothing(void **state)
{
    struct fixture *f = *state;
    f->verdicts[0] = f->verdicts[1] = f->verdicts[2] = EFFECT;
    for (int i = 0; i < 3; i++)
        assert_int_equal(deliver(f, event_text(f, NULL, NULL)), 0);
    fixture_wait_answers(f, 3);
    assert_int_equal(f->acks, 3);
    assert_int_equal(postgres_int(f->pg, "select count(*) from public.effects"), 1);
    assert_int_equal(postgres_int(f->pg, "select count(*) from todo.inbox"), 1);
}

static void a_type_without_a_handler_is_acknowledged(void **state)
{
    struct fixture *f = *state;
    const char *reminder =
        "{\"specversion\":\"1.0\",\"id\":\"" EVENT_ID "\",\"source\":\"/s\","
        "\"type\":\"ReminderSentEvent\",\"time\":\"2026-01-02T03:04:05Z\","
        "\"datacontenttype\":\"application/json\",\"data\":{\"event_id\":\"" EVENT_ID "\","
        "\"event_type\":\"reminder.sent\",\"timestamp\":\"2026-01-02T03:04:05Z\",\"user_id\":1,"
        "\"schema_version\":\"1.0\",\"task_id\":7,\"reminder_time\":\"2026-01-02T03:04:05Z\","
        "\"title\":\"t\",\"due_date\":null,\"priority\":\"low\"}}";
    assert_int_equal(deliver(f, reminder), 0);
    fixture_wait_answers(f, 1);
    assert_int_equal(f->acks, 1);
    assert_int_equal(f->runs, 0);
    assert_int_equal(dead_letters(f), 0);
}

/* ---- failed ---- */

static void a_failure_is_tried_again_after_100_200_and_400_ms_and_then_dead(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < RUNS_MAX; i++)
        f->verdicts[i] = CONSUMER_FAILED;
    assert_int_equal(deliver(f, event_text(f, NULL, NULL)), 0);
    fixture_wait_answers(f, 1);
    assert_int_equal(f->acks, 1);
    assert_int_equal(f->runs, 4);
    for (int i = 0; i < 3; i++)
        assert_true(f->run_ms[i + 1] - f->run_ms[i] >= 100u << i);
    assert_int_equal(dead_letters(f), 1);
    assert_int_equal(postgres_int(f->pg, "select attempts from todo.dead_letters"), 4);
    assert_string_equal(postgres_text(f->pg, "select reason from todo.dead_letters"),
                        "run 4 said no");
    assert_string_equal(postgres_text(f->pg,
                                      "select concat_ws(' ', consumer, event_id, key, topic) from"
                                      " todo.dead_letters"),
                        CONSUMERS " " EVENT_ID " 7 task-events");
    assert_string_equal(
        postgres_text(f->pg, "select convert_from(event, 'UTF8') from todo.dead_letters"),
        event_text(f, NULL, NULL));
}

static void a_success_after_a_failure_is_a_success(void **state)
{
    struct fixture *f = *state;
    f->verdicts[0] = CONSUMER_FAILED;
    f->verdicts[1] = CONSUMER_DONE;
    assert_int_equal(deliver(f, event_text(f, NULL, NULL)), 0);
    fixture_wait_answers(f, 1);
    assert_int_equal(f->runs, 2);
    assert_int_equal(f->acks, 1);
    assert_int_equal(dead_letters(f), 0);
}

static void a_refusal_is_dead_at_once_and_once(void **state)
{
    struct fixture *f = *state;
    f->verdicts[0] = f->verdicts[1] = CONSUMER_REFUSED;
    for (int i = 1; i <= 2; i++) {
        assert_int_equal(deliver(f, event_text(f, NULL, NULL)), 0);
        fixture_wait_answers(f, i);
    }
    assert_int_equal(f->runs, 2);
    assert_int_equal(f->acks, 2);
    assert_int_equal(dead_letters(f), 1);
    assert_int_equal(postgres_int(f->pg, "select attempts from todo.dead_letters"), 1);
}

static void what_is_unavailable_gives_the_event_back(void **state)
{
    struct fixture *f = *state;
    f->verdicts[0] = CONSUMER_UNAVAILABLE;
    assert_int_equal(deliver(f, event_text(f, NULL, NULL)), 0);
    fixture_wait_answers(f, 1);
    assert_int_equal(f->acks, 0);
    assert_int_equal(f->runs, 1);
    assert_int_equal(dead_letters(f), 0);
}

static void what_a_statement_ends_with_says_the_verdict(void **state)
{
    (void)state;
    assert_int_equal(consumer_verdict_of(DB_EUNAVAILABLE), CONSUMER_UNAVAILABLE);
    assert_int_equal(consumer_verdict_of(DB_ECLOSED), CONSUMER_UNAVAILABLE);
    assert_int_equal(consumer_verdict_of(DB_EUNKNOWN), CONSUMER_UNAVAILABLE);
    assert_int_equal(consumer_verdict_of(DB_ECONSTRAINT), CONSUMER_FAILED);
    assert_int_equal(consumer_verdict_of(BASE_ENOMEM), CONSUMER_UNAVAILABLE);
    assert_int_equal(consumer_verdict_of(BASE_EINVAL), CONSUMER_FAILED);
}

/* ---- no event ---- */

static void expect_dead(struct fixture *f, const char *text, const char *event_id)
{
    postgres_run(f->pg, "truncate todo.dead_letters");
    int before = f->answers;
    assert_int_equal(deliver(f, text), 0);
    fixture_wait_answers(f, before + 1);
    assert_int_equal(f->acks, f->answers);
    assert_int_equal(f->runs, 0);
    assert_int_equal(dead_letters(f), 1);
    assert_string_equal(postgres_text(f->pg, "select event_id from todo.dead_letters"), event_id);
    assert_string_equal(
        postgres_text(f->pg, "select convert_from(event, 'UTF8') from todo.dead_letters"), text);
}

static void what_is_no_event_is_dead_at_once(void **state)
{
    struct fixture *f = *state;
    expect_dead(f, "", "");
    expect_dead(f, "no JSON", "");
    expect_dead(f, "{\"specversion\":\"1.0\"", "");
    expect_dead(f, "[]", "");
    expect_dead(f, event_text(f, "\"specversion\":\"1.0\",", ""), "");
    expect_dead(f, event_text(f, "\"1.0\"", "\"0.3\""), "");
    expect_dead(f, event_text(f, "TaskDeletedEvent", "TaskEatenEvent"), EVENT_ID);
    expect_dead(f, event_text(f, "\"user_id\":1", "\"user_id\":\"1\""), EVENT_ID);
    expect_dead(f, event_text(f, "task.deleted", "task.created"), EVENT_ID);
    expect_dead(f, event_text(f, "\"schema_version\":\"1.0\"", "\"schema_version\":\"2.0\""),
                EVENT_ID);
    expect_dead(f, event_text(f, "0000aa\",\"source", "0000ab\",\"source"),
                "01900000-0000-7000-8000-0000000000ab");
}

static void a_newer_minor_version_with_unknown_members_is_handled(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(deliver(f, event_text(f, "\"schema_version\":\"1.0\"",
                                           "\"mood\":\"good\",\"schema_version\":\"1.7\"")),
                     0);
    fixture_wait_answers(f, 1);
    assert_int_equal(f->runs, 1);
    assert_int_equal(f->acks, 1);
}

static void bytes_that_are_no_text_are_kept_as_they_came(void **state)
{
    struct fixture *f = *state;
    const struct slice bytes = {"\xff\0\x80{", 4};
    const struct cloudevent_attribute attribute = {SLICE_LIT("id"), {"\xfe", 1}};
    assert_int_equal(deliver_as(f, SLICE_EMPTY, bytes, &attribute, 1), 0);
    fixture_wait_answers(f, 1);
    assert_int_equal(f->acks, 1);
    assert_string_equal(postgres_text(f->pg, "select encode(event, 'hex') from todo.dead_letters"),
                        "ff00807b");
}

/* The row's table is away for a while. */
static void a_dead_letter_that_cannot_be_written_is_given_back(void **state)
{
    struct fixture *f = *state;
    postgres_run(f->pg, "alter table todo.dead_letters rename to gone");
    assert_int_equal(deliver(f, "no JSON"), 0);
    fixture_wait_answers(f, 1);
    postgres_run(f->pg, "alter table todo.gone rename to dead_letters");
    assert_int_equal(f->acks, 0);
    assert_int_equal(deliver(f, "no JSON"), 0);
    fixture_wait_answers(f, 2);
    assert_int_equal(f->acks, 1);
    assert_int_equal(dead_letters(f), 1);
}

/* ---- limits and the end ---- */

static void a_full_consumer_takes_no_more(void **state)
{
    struct fixture *f = *state;
    fixture_begin_close(f);
    fixture_wait(f, !f->consumer);
    metrics_free(f->metrics);
    f->metrics = NULL;
    fixture_open_consumer(f, 1);
    f->verdicts[0] = KEEP;
    assert_int_equal(deliver(f, event_text(f, NULL, NULL)), 0);
    assert_true(consumer_is_full(f->consumer));
    assert_int_equal(deliver(f, event_text(f, NULL, NULL)), BASE_ELIMIT);
    fixture_wait(f, f->kept);
    consumer_turn_end(f->kept, CONSUMER_DONE, NULL);
    fixture_wait_answers(f, 1);
    assert_false(consumer_is_full(f->consumer));
}

static void the_end_waits_for_the_handlers_and_cuts_the_waits(void **state)
{
    struct fixture *f = *state;
    f->verdicts[0] = KEEP;
    f->verdicts[1] = CONSUMER_FAILED;
    assert_int_equal(deliver(f, event_text(f, NULL, NULL)), 0);
    assert_int_equal(deliver(f, event_text(f, NULL, NULL)), 0);
    fixture_wait(f, f->runs == 2);
    assert_int_equal(deliver(f, event_text(f, NULL, NULL)), 0);
    fixture_begin_close(f);
    assert_int_equal(deliver(f, event_text(f, NULL, NULL)), BASE_ECLOSED);
    fixture_wait_answers(f, 2); /* the one that waited, and the one that had not begun */
    assert_int_equal(f->acks, 0);
    assert_int_equal(f->runs, 2);
    assert_non_null(f->consumer);
    consumer_turn_end(f->kept, CONSUMER_DONE, NULL);
    fixture_wait(f, !f->consumer);
    assert_int_equal(f->answers, 3);
    assert_int_equal(f->acks, 1);
}

static void a_failure_at_the_end_is_given_back(void **state)
{
    struct fixture *f = *state;
    f->verdicts[0] = KEEP;
    assert_int_equal(deliver(f, event_text(f, NULL, NULL)), 0);
    fixture_wait(f, f->kept);
    fixture_begin_close(f);
    consumer_turn_end(f->kept, CONSUMER_FAILED, &(struct error){.text = "no"});
    fixture_wait(f, !f->consumer);
    assert_int_equal(f->answers, 1);
    assert_int_equal(f->acks, 0);
}

static void outcomes_are_counted(void **state)
{
    struct fixture *f = *state;
    struct buf text;
    f->verdicts[0] = CONSUMER_REPEATED;
    f->verdicts[1] = CONSUMER_FAILED;
    for (int i = 0; i < 2; i++)
        assert_int_equal(deliver(f, event_text(f, NULL, NULL)), 0);
    assert_int_equal(deliver(f, event_text(f, "TaskDeletedEvent", "anything")), 0);
    fixture_wait_answers(f, 3);
    buf_init(&text, 65536);
    metrics_write(f->metrics, &text);
    static const char *const lines[] = {
        "\ntodo_events_consumed_total{type=\"TaskDeletedEvent\",outcome=\"repeated\"} 1\n",
        "\ntodo_events_consumed_total{type=\"TaskDeletedEvent\",outcome=\"done\"} 1\n",
        "\ntodo_events_consumed_total{type=\"unknown\",outcome=\"dead_letter\"} 1\n",
        "\ntodo_event_retries_total{type=\"TaskDeletedEvent\"} 1\n",
        "\ntodo_event_handling_seconds_count{type=\"TaskDeletedEvent\"} 2\n"};
    for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++)
        assert_non_null(strstr(text.ptr, lines[i]));
    buf_deinit(&text);
}

/* ---- memory ---- */

/* Whatever allocation fails, the event is acknowledged or given back, and never a dead letter. */
static void a_failed_allocation_loses_no_event(void **state)
{
    struct fixture *f = *state;
    struct mem_loop loop = {0};
    while (mem_loop_next(&loop)) {
        int answers = f->answers;
        int acks = f->acks;
        f->runs = 0;
        int status = deliver(f, event_text(f, NULL, NULL));
        if (status == 0)
            fixture_wait_answers(f, answers + 1);
        bool has_failed = mem_loop_has_failed(&loop);
        if (status)
            assert_int_equal(status, BASE_ENOMEM);
        if (!has_failed)
            assert_int_equal(f->acks, acks + 1);
    }
    assert_int_equal(dead_letters(f), 0);
}

static void a_failed_allocation_loses_no_dead_letter(void **state)
{
    struct fixture *f = *state;
    struct mem_loop loop = {0};
    fixture_wait(f, db_pool_is_ready(f->pool));
    while (mem_loop_next(&loop)) {
        postgres_run(f->pg, "truncate todo.dead_letters");
        int answers = f->answers;
        int acks = f->acks;
        int status = deliver(f, event_text(f, "TaskDeletedEvent", "TaskEatenEvent"));
        if (status == 0)
            fixture_wait_answers(f, answers + 1);
        (void)mem_loop_has_failed(&loop);
        /* The row may be there for one that was given back: its answer found no memory. */
        if (f->acks > acks)
            assert_int_equal(dead_letters(f), 1);
    }
}

static void a_failed_allocation_makes_no_half_consumer(void **state)
{
    struct fixture *f = *state;
    const struct consumer_options options = {.name = "n", .routes = &f->route, .route_count = 1};
    struct mem_loop loop = {0};
    fixture_begin_close(f);
    fixture_wait(f, !f->consumer);
    while (mem_loop_next(&loop)) {
        int status = consumer_new(&f->loop, &options, f->pool, NULL, &f->consumer, NULL);
        mem_loop_expect(&loop, status, BASE_ENOMEM);
        if (status)
            f->consumer = NULL;
        else
            fixture_begin_close(f);
        fixture_wait(f, !f->consumer);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        consumer_test(an_event_is_handled_and_acknowledged),
        consumer_test(an_event_in_binary_mode_is_the_same),
        consumer_test(a_repeat_changes_nothing),
        consumer_test(a_type_without_a_handler_is_acknowledged),
        consumer_test(a_failure_is_tried_again_after_100_200_and_400_ms_and_then_dead),
        consumer_test(a_success_after_a_failure_is_a_success),
        consumer_test(a_refusal_is_dead_at_once_and_once),
        consumer_test(what_is_unavailable_gives_the_event_back),
        consumer_test(what_a_statement_ends_with_says_the_verdict),
        consumer_test(what_is_no_event_is_dead_at_once),
        consumer_test(a_newer_minor_version_with_unknown_members_is_handled),
        consumer_test(bytes_that_are_no_text_are_kept_as_they_came),
        consumer_test(a_dead_letter_that_cannot_be_written_is_given_back),
        consumer_test(a_full_consumer_takes_no_more),
        consumer_test(the_end_waits_for_the_handlers_and_cuts_the_waits),
        consumer_test(a_failure_at_the_end_is_given_back),
        consumer_test(outcomes_are_counted),
        consumer_test(a_failed_allocation_loses_no_event),
        consumer_test(a_failed_allocation_loses_no_dead_letter),
        consumer_test(a_failed_allocation_makes_no_half_consumer),
    };
    mem_loop_hook_cjson();
    return cmocka_run_group_tests(tests, postgres_setup, postgres_teardown);
}
