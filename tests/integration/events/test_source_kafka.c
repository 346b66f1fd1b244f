/* The way in from Kafka: the order of a key, what is committed, room, the end, and each allocation
 * failing once. The consumer is this test's, so that it says when what is answered. */
#include <uv.h>

#include "base/error.h"
#include "base/mem.h"
#include "broker.h"
#include "events/consumer.h"
#include "events/source_kafka.h"
#include "support/mem_loop.h"
#include "support/unit.h"

#define TOPIC     "task-events"
#define GROUP     "email"
#define WAIT_MS   30000
#define GIVEN_MAX 64
#define QUIET_MS  200

struct given {
    char body[8];
    consumer_answer_fn fn;
    void *ctx;
};

/* Stands for events/consumer.c, which is not linked into this program. */
struct consumer {
    struct given given[GIVEN_MAX];
    size_t count;
    size_t open, open_max;
    uv_loop_t *loop;
    bool answers_at_once; /* in the loop's next turn */
    size_t told;
    uv_timer_t timer;
};

struct fixture {
    struct broker broker;
    uv_loop_t loop;
    uv_timer_t guard, quiet;
    struct consumer consumer;
    struct source_kafka *source;
    bool is_quiet, is_closed;
};

static void answer(struct fixture *f, size_t index, enum consumer_answer value)
{
    struct given g = f->consumer.given[index];
    assert_non_null(g.fn);
    f->consumer.given[index].fn = NULL;
    f->consumer.open--;
    g.fn(g.ctx, value);
}

static void on_answers(uv_timer_t *timer)
{
    struct fixture *f = timer->data;
    while (f->consumer.told < f->consumer.count)
        answer(f, f->consumer.told++, CONSUMER_ACK);
    uv_stop(&f->loop);
}

int consumer_deliver(struct consumer *c, const struct consumer_delivery *d, consumer_answer_fn fn,
                     void *ctx)
{
    if (c->open_max && c->open == c->open_max)
        return BASE_ELIMIT;
    void *copy = mem_alloc(1); /* as the real one copies */
    if (!copy)
        return BASE_ENOMEM;
    mem_free(copy);
    assert_string_equal(d->topic, TOPIC);
    assert_true(c->count < GIVEN_MAX && d->body.len < sizeof(c->given->body));
    struct given *g = &c->given[c->count++];
    memcpy(g->body, d->body.ptr, d->body.len);
    g->fn = fn;
    g->ctx = ctx;
    c->open++;
    if (c->answers_at_once)
        uv_timer_start(&c->timer, on_answers, 0, 0);
    uv_stop(c->loop);
    return 0;
}

static void on_guard(uv_timer_t *timer)
{
    (void)timer;
    fail_msg("it took too long");
}

static void on_quiet(uv_timer_t *timer)
{
    struct fixture *f = timer->data;
    f->is_quiet = true;
    uv_stop(&f->loop);
}

static void on_closed(void *ctx)
{
    struct fixture *f = ctx;
    f->is_closed = true;
    uv_stop(&f->loop);
}

/* That something does not happen can only be waited for so long. */
static void run_quiet(struct fixture *f)
{
    f->is_quiet = false;
    uv_timer_start(&f->quiet, on_quiet, QUIET_MS, 0);
    while (!f->is_quiet)
        uv_run(&f->loop, UV_RUN_ONCE);
}

static void run_until_given(struct fixture *f, size_t count)
{
    uv_timer_start(&f->guard, on_guard, WAIT_MS, 0);
    while (f->consumer.count < count)
        uv_run(&f->loop, UV_RUN_ONCE);
    uv_timer_stop(&f->guard);
}

static void run_until_closed(struct fixture *f)
{
    uv_timer_start(&f->guard, on_guard, WAIT_MS, 0);
    while (!f->is_closed)
        uv_run(&f->loop, UV_RUN_ONCE);
    uv_timer_stop(&f->guard);
    f->source = NULL;
}

static int open_at(struct fixture *f, const char *brokers, uint32_t window_max, uint32_t close_ms)
{
    static const char *const topics[] = {TOPIC};
    const struct source_kafka_options options = {.config = {.brokers = brokers},
                                                 .group = GROUP,
                                                 .topics = topics,
                                                 .topic_count = 1,
                                                 .consumer = &f->consumer,
                                                 .window_max = window_max,
                                                 .close_ms = close_ms};
    f->is_closed = false;
    f->consumer.count = f->consumer.told = f->consumer.open = 0;
    return source_kafka_new(&f->loop, &options, NULL, &f->source, NULL);
}

static void open_source(struct fixture *f, uint32_t window_max)
{
    assert_int_equal(open_at(f, f->broker.address, window_max, 0), 0);
}

static void close_source(struct fixture *f)
{
    source_kafka_close(f->source, on_closed, f);
    run_until_closed(f);
}

static int setup(void **state)
{
    struct fixture *f = mem_calloc(1, sizeof(*f));
    broker_open(&f->broker, TOPIC, 1);
    uv_loop_init(&f->loop);
    uv_timer_t *const timers[] = {&f->guard, &f->quiet, &f->consumer.timer};
    for (size_t i = 0; i < 3; i++) {
        uv_timer_init(&f->loop, timers[i]);
        timers[i]->data = f;
    }
    f->consumer.loop = &f->loop;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    uv_timer_t *const timers[] = {&f->guard, &f->quiet, &f->consumer.timer};
    for (size_t i = 0; i < 3; i++)
        uv_close((uv_handle_t *)timers[i], NULL);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    broker_close(&f->broker);
    mem_free(f);
    return 0;
}

static void assert_given(struct fixture *f, size_t index, const char *body)
{
    assert_string_equal(f->consumer.given[index].body, body);
}

static void what_is_given_back_holds_its_key_and_no_other(void **state)
{
    struct fixture *f = *state;
    broker_fill(&f->broker, TOPIC, "aabca");
    open_source(f, 0);
    run_until_given(f, 3);
    run_quiet(f);
    assert_int_equal(f->consumer.count, 3);
    assert_given(f, 0, "0");
    assert_given(f, 1, "2");
    assert_given(f, 2, "3");
    answer(f, 0, CONSUMER_RETRY);
    answer(f, 2, CONSUMER_ACK);
    run_until_given(f, 4);
    assert_given(f, 3, "0");
    answer(f, 3, CONSUMER_RETRY);
    run_until_given(f, 5);
    assert_given(f, 4, "0");
    answer(f, 4, CONSUMER_ACK);
    run_until_given(f, 6);
    assert_given(f, 5, "1");
    answer(f, 5, CONSUMER_ACK);
    run_until_given(f, 7);
    assert_given(f, 6, "4");
    answer(f, 6, CONSUMER_ACK);
    answer(f, 1, CONSUMER_ACK);
    struct source_kafka_stats stats;
    source_kafka_read_stats(f->source, &stats);
    assert_int_equal(stats.taken, 5);
    assert_int_equal(stats.acked, 5);
    assert_int_equal(stats.retried, 2);
    assert_int_equal(stats.in_hand, 0);
    close_source(f);
}

static void nothing_behind_an_event_that_is_not_done_is_committed(void **state)
{
    struct fixture *f = *state;
    broker_fill(&f->broker, TOPIC, "abcd");
    open_source(f, 0);
    run_until_given(f, 4);
    answer(f, 0, CONSUMER_ACK);
    answer(f, 2, CONSUMER_ACK);
    answer(f, 3, CONSUMER_ACK);
    source_kafka_close(f->source, on_closed, f);
    run_quiet(f);
    assert_false(f->is_closed);
    answer(f, 1, CONSUMER_RETRY);
    run_until_closed(f);
    open_source(f, 0);
    run_until_given(f, 3);
    assert_given(f, 0, "1");
    for (size_t i = 0; i < 3; i++)
        answer(f, i, CONSUMER_ACK);
    close_source(f);
}

/* What is done during the end counts: the next member begins behind it. */
static void the_end_waits_for_turns_and_commits_them(void **state)
{
    struct fixture *f = *state;
    broker_fill(&f->broker, TOPIC, "aa");
    open_source(f, 0);
    run_until_given(f, 1);
    source_kafka_close(f->source, on_closed, f);
    answer(f, 0, CONSUMER_ACK);
    run_until_closed(f);
    assert_int_equal(f->consumer.count, 1);
    open_source(f, 0);
    run_until_given(f, 1);
    assert_given(f, 0, "1");
    answer(f, 0, CONSUMER_ACK);
    close_source(f);
}

static void a_turn_that_outlasts_the_end_is_waited_for_but_not_committed(void **state)
{
    struct fixture *f = *state;
    broker_fill(&f->broker, TOPIC, "a");
    assert_int_equal(open_at(f, f->broker.address, 0, 50), 0);
    run_until_given(f, 1);
    source_kafka_close(f->source, on_closed, f);
    run_quiet(f);
    run_quiet(f);
    assert_false(f->is_closed);
    answer(f, 0, CONSUMER_ACK);
    run_until_closed(f);
    open_source(f, 0);
    run_until_given(f, 1);
    assert_given(f, 0, "0");
    source_kafka_close(f->source, on_closed, f);
    answer(f, 0, CONSUMER_ACK);
    run_until_closed(f);
}

static void no_more_is_taken_than_there_is_room_for(void **state)
{
    struct fixture *f = *state;
    broker_fill(&f->broker, TOPIC, "abcdef");
    open_source(f, 3);
    f->consumer.open_max = 2;
    run_until_given(f, 2);
    run_quiet(f);
    assert_int_equal(f->consumer.count, 2);
    answer(f, 1, CONSUMER_ACK);
    run_until_given(f, 3);
    f->consumer.open_max = 0;
    answer(f, 2, CONSUMER_ACK);
    run_quiet(f);
    assert_int_equal(f->consumer.count, 3); /* the window is full behind the first */
    answer(f, 0, CONSUMER_ACK);
    run_until_given(f, 6);
    for (size_t i = 3; i < 6; i++)
        answer(f, i, CONSUMER_ACK);
    close_source(f);
}

static void it_ends_without_a_broker_too(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(open_at(f, "127.0.0.1:1", 0, 0), 0);
    run_quiet(f);
    close_source(f);
}

static void each_allocation_fails_once(void **state)
{
    struct fixture *f = *state;
    struct mem_loop loop = {0};
    f->consumer.answers_at_once = true;
    while (mem_loop_next(&loop)) {
        int status = open_at(f, f->broker.address, 0, 0);
        if (status) {
            mem_loop_expect(&loop, status, BASE_ENOMEM);
            continue;
        }
        broker_fill(&f->broker, TOPIC, "aab");
        run_until_given(f, 3);
        while (f->consumer.open > 0)
            uv_run(&f->loop, UV_RUN_ONCE);
        close_source(f);
        mem_loop_has_failed(&loop);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_is_given_back_holds_its_key_and_no_other),
        TEST(nothing_behind_an_event_that_is_not_done_is_committed),
        TEST(the_end_waits_for_turns_and_commits_them),
        TEST(a_turn_that_outlasts_the_end_is_waited_for_but_not_committed),
        TEST(no_more_is_taken_than_there_is_room_for),
        TEST(it_ends_without_a_broker_too),
        TEST(each_allocation_fails_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
