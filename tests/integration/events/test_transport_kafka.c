/* The way out to Kafka: its limits, its answers, its end, and each allocation failing once. */
#include <uv.h>

#include "base/error.h"
#include "base/mem.h"
#include "broker.h"
#include "events/transport_kafka.h"
#include "support/mem_loop.h"
#include "support/unit.h"

#define TOPIC   "task-events"
#define ENTRIES 4
#define WAIT_MS 20000

struct fixture {
    struct broker broker;
    uv_loop_t loop;
    uv_timer_t guard;
    struct transport *transport;
    struct transport_result results[ENTRIES];
    unsigned done_count;
    unsigned closed_count;
    char identity[TRANSPORT_IDENTITY_MAX + 1];
    bool is_inside; /* of a call: no callback may come */
};

static void on_guard(uv_timer_t *timer)
{
    (void)timer;
    fail_msg("it took too long");
}

/* Callbacks stop the loop: one that a timer calls would else be followed by a wait for input. */
static void run_until(struct fixture *f, const unsigned *count, unsigned wanted)
{
    uv_timer_start(&f->guard, on_guard, WAIT_MS, 0);
    while (*count < wanted)
        uv_run(&f->loop, UV_RUN_ONCE);
    uv_timer_stop(&f->guard);
}

static void on_done(void *ctx, const struct transport_result *results, size_t count)
{
    struct fixture *f = ctx;
    assert_false(f->is_inside);
    assert_true(count <= ENTRIES);
    memcpy(f->results, results, count * sizeof(*results));
    f->done_count++;
    uv_stop(&f->loop);
}

static void on_closed(void *ctx)
{
    struct fixture *f = ctx;
    f->closed_count++;
    uv_stop(&f->loop);
}

static int open_at(struct fixture *f, const char *brokers, uint32_t close_ms)
{
    const struct transport_kafka_options options = {
        .config = {.brokers = brokers}, .timeout_ms = 5000, .close_ms = close_ms};
    return transport_kafka_new(&f->loop, &options, NULL, &f->transport, NULL);
}

static int setup(void **state)
{
    struct fixture *f = mem_calloc(1, sizeof(*f));
    broker_open(&f->broker, TOPIC, 3);
    uv_loop_init(&f->loop);
    uv_timer_init(&f->loop, &f->guard);
    *state = f;
    return 0;
}

static void close_transport(struct fixture *f)
{
    unsigned before = f->closed_count;
    transport_close(f->transport, on_closed, f);
    assert_int_equal(f->closed_count, before);
    run_until(f, &f->closed_count, before + 1);
    f->transport = NULL;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    if (f->transport)
        close_transport(f);
    uv_close((uv_handle_t *)&f->guard, NULL);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    broker_close(&f->broker);
    mem_free(f);
    return 0;
}

static int publish(struct fixture *f, size_t count)
{
    struct transport_entry entries[ENTRIES];
    for (size_t i = 0; i < count; i++)
        entries[i] = (struct transport_entry){
            .id = SLICE_LIT("1"), .key = SLICE_LIT("7"), .event = SLICE_LIT("{}")};
    f->is_inside = true;
    int status = transport_publish(f->transport, TOPIC, entries, count, on_done, f);
    f->is_inside = false;
    return status;
}

static enum transport_outcome outcome_of_one(struct fixture *f)
{
    unsigned before = f->done_count;
    assert_int_equal(publish(f, 1), 0);
    run_until(f, &f->done_count, before + 1);
    return f->results[0].outcome;
}

static void each_event_of_a_publish_has_its_answer(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(open_at(f, f->broker.address, 0), 0);
    assert_int_equal(publish(f, ENTRIES), 0);
    run_until(f, &f->done_count, 1);
    for (size_t i = 0; i < ENTRIES; i++) {
        assert_int_equal(f->results[i].outcome, TRANSPORT_ACKED);
        assert_string_equal(f->results[i].reason, "");
    }
}

static void what_a_broker_never_takes_is_refused_and_what_it_may_take_is_tried_again(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(open_at(f, f->broker.address, 0), 0);
    rd_kafka_mock_push_request_errors(f->broker.cluster, PRODUCE_REQUEST, 1,
                                      RD_KAFKA_RESP_ERR_INVALID_RECORD);
    assert_int_equal(outcome_of_one(f), TRANSPORT_REFUSED);
    assert_non_null(strstr(f->results[0].reason, "record"));
    rd_kafka_mock_push_request_errors(f->broker.cluster, PRODUCE_REQUEST, 2,
                                      RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
                                      RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT);
    assert_int_equal(outcome_of_one(f), TRANSPORT_ACKED);
    rd_kafka_mock_push_request_errors(f->broker.cluster, PRODUCE_REQUEST, 1,
                                      RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
    assert_int_equal(outcome_of_one(f), TRANSPORT_UNAVAILABLE);
}

/* A sequence number that the broker did not expect: the producer can no more promise anything. */
static void a_broken_producer_is_made_anew(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(open_at(f, f->broker.address, 0), 0);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(outcome_of_one(f), TRANSPORT_ACKED);
        rd_kafka_mock_push_request_errors(f->broker.cluster, PRODUCE_REQUEST, 1,
                                          RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
        assert_int_equal(outcome_of_one(f), TRANSPORT_UNAVAILABLE);
        unsigned tries = 0;
        while (outcome_of_one(f) != TRANSPORT_ACKED)
            assert_true(++tries < 3);
    }
}

static void too_many_publishes_are_sent_back(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(open_at(f, f->broker.address, 0), 0);
    for (unsigned i = 0; i < f->transport->publish_max; i++)
        assert_int_equal(publish(f, 1), 0);
    assert_int_equal(publish(f, 1), BASE_ELIMIT);
    run_until(f, &f->done_count, f->transport->publish_max);
    assert_int_equal(publish(f, 1), 0);
    run_until(f, &f->done_count, f->transport->publish_max + 1);
}

static void the_end_gives_up_what_no_broker_answers(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(open_at(f, "127.0.0.1:1", 100), 0);
    assert_int_equal(publish(f, 2), 0);
    transport_close(f->transport, on_closed, f);
    assert_int_equal(publish(f, 1), BASE_ECLOSED);
    run_until(f, &f->closed_count, 1);
    f->transport = NULL;
    assert_int_equal(f->done_count, 1);
    assert_int_equal(f->results[1].outcome, TRANSPORT_UNAVAILABLE);
}

static void on_identity(void *ctx, struct slice identity)
{
    struct fixture *f = ctx;
    assert_false(f->is_inside);
    assert_true(identity.len <= TRANSPORT_IDENTITY_MAX);
    if (identity.len)
        memcpy(f->identity, identity.ptr, identity.len);
    f->identity[identity.len] = '\0';
    f->done_count++;
    uv_stop(&f->loop);
}

static void the_cluster_says_which_it_is(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(open_at(f, f->broker.address, 0), 0);
    assert_int_equal(outcome_of_one(f), TRANSPORT_ACKED);
    f->is_inside = true;
    assert_int_equal(f->transport->identify(f->transport, on_identity, f), 0);
    f->is_inside = false;
    run_until(f, &f->done_count, 2);
    assert_true(strlen(f->identity) > 0);
}

static void a_wrong_setting_is_named(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    const struct transport_kafka_options options = {
        .config = {.brokers = f->broker.address, .tls = true, .ca_file = "/nowhere"}};
    assert_int_equal(transport_kafka_new(&f->loop, &options, NULL, &f->transport, &err),
                     BASE_EINVAL);
    assert_string_equal(err.field, "KAFKA_CA_FILE");
}

static void each_allocation_fails_once(void **state)
{
    struct fixture *f = *state;
    struct mem_loop loop = {0};
    while (mem_loop_next(&loop)) {
        unsigned before = f->done_count;
        int status = open_at(f, f->broker.address, 0);
        bool is_open = status == 0;
        if (is_open)
            status = publish(f, 2);
        mem_loop_expect(&loop, status, BASE_ENOMEM);
        if (!status) {
            run_until(f, &f->done_count, before + 1);
            assert_int_equal(f->results[1].outcome, TRANSPORT_ACKED);
        }
        if (is_open)
            close_transport(f);
        f->transport = NULL;
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(each_event_of_a_publish_has_its_answer),
        TEST(what_a_broker_never_takes_is_refused_and_what_it_may_take_is_tried_again),
        TEST(a_broken_producer_is_made_anew),
        TEST(too_many_publishes_are_sent_back),
        TEST(the_end_gives_up_what_no_broker_answers),
        TEST(the_cluster_says_which_it_is),
        TEST(a_wrong_setting_is_named),
        TEST(each_allocation_fails_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
