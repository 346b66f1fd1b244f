/* The client: health, retries, what an answer means, and its end. */
#include "support/mem_loop.h"
#include "support/unit.h"

#include "base/error.h"
#include "base/mem.h"
#include "dapr/pubsub.h"
#include "dapr/state.h"
#include "fixture.h"

static const struct dapr_event event = {.id = {"1", 1}, .body = {"{\"id\":\"1\"}", 10}};

static void publish(struct fixture *f)
{
    fixture_wait(f, dapr_publish(f->client, "bus", "news", &event, heard_done, &f->heard, NULL));
}

static void on_state(void *ctx, int status, const struct dapr_state_value *value,
                     const struct error *err)
{
    struct heard *h = ctx;
    heard_error(h, status, err);
    snprintf(h->value, sizeof(h->value), "%s", value && value->is_found ? "found" : "absent");
}

static void the_sidecar_is_found_and_waited_for(void **state)
{
    struct fixture *f = *state;
    assert_false(dapr_client_is_up(f->client));
    f->is_healthy = false;
    assert_int_equal(dapr_client_wait(f->client, 5000, heard_done, &f->heard), 0);
    while (f->health_count < 3)
        uv_run(&f->loop, UV_RUN_ONCE);
    assert_false(dapr_client_is_up(f->client));
    assert_int_equal(f->heard.count, 0);
    f->is_healthy = true;
    fixture_wait(f, 0);
    assert_int_equal(f->heard.status, 0);
    assert_true(dapr_client_is_up(f->client));
    assert_true(f->is_up);
    assert_int_equal(f->change_count, 2); /* down, which was not known before, and up */
}

static void a_wait_ends_with_its_time(void **state)
{
    struct fixture *f = *state;
    f->is_healthy = false;
    fixture_wait(f, dapr_client_wait(f->client, 60, heard_done, &f->heard));
    assert_int_equal(f->heard.status, DAPR_EUNAVAILABLE);
    assert_true(dapr_error_is_retriable(f->heard.status));
}

static void a_wait_on_a_sidecar_that_is_up_ends_soon(void **state)
{
    struct fixture *f = *state;
    fixture_wait(f, dapr_client_wait(f->client, 5000, heard_done, &f->heard));
    fixture_wait(f, dapr_client_wait(f->client, 1000, heard_done, &f->heard));
    assert_int_equal(f->heard.status, 0);
}

static void a_call_carries_the_token(void **state)
{
    struct fixture *f = *state;
    publish(f);
    assert_int_equal(f->heard.status, 0);
    assert_string_equal(f->token, "secret");
}

static void each_answer_has_its_code(void **state)
{
    static const struct {
        struct canned answer;
        int status;
        const char *field, *text;
    } cases[] = {
        {{200, "", NULL}, 0, "", ""},
        {{401, "invalid api token\n", NULL}, DAPR_ETOKEN, "", "HTTP 401: invalid api token\n"},
        {{403, "{\"errorCode\":\"ERR_PUBSUB_FORBIDDEN\",\"message\":\"no\"}", NULL},
         DAPR_EFORBIDDEN,
         "ERR_PUBSUB_FORBIDDEN",
         "no"},
        {{404, "{\"errorCode\":\"ERR_PUBSUB_NOT_FOUND\",\"message\":\"x\"}", NULL},
         DAPR_ENOCOMPONENT,
         "ERR_PUBSUB_NOT_FOUND",
         "x"},
        {{400, "{\"errorCode\":\"ERR_STATE_STORE_NOT_FOUND\",\"message\":\"x\"}", NULL},
         DAPR_ENOCOMPONENT,
         "ERR_STATE_STORE_NOT_FOUND",
         "x"},
        {{400, "{\"errorCode\":\"ERR_MALFORMED_REQUEST\",\"message\":\"stream too large\"}", NULL},
         DAPR_ETOOLARGE,
         "ERR_MALFORMED_REQUEST",
         "stream too large"},
        {{400, "{\"errorCode\":\"X\",\"message\":\"y\"}", NULL}, DAPR_EREFUSED, "X", "y"},
        {{409, "", NULL}, DAPR_ECONFLICT, "", "the state or job was changed by another (HTTP 409)"},
        {{413, "", NULL},
         DAPR_ETOOLARGE,
         "",
         "the request is larger than the sidecar takes (HTTP 413)"},
        {{500, "{\"errorCode\":\"ERR_STATE_SAVE\",\"message\":\"a: no item was updated\"}", NULL},
         DAPR_ECONFLICT,
         "ERR_STATE_SAVE",
         "a: no item was updated"},
        {{500, "{\"errorCode\":\"ERR_STATE_TRANSACTION\",\"message\":\"etag mismatch\"}", NULL},
         DAPR_ECONFLICT,
         "ERR_STATE_TRANSACTION",
         "etag mismatch"},
        {{500, "{\"errorCode\":[],\"message\":7}", NULL},
         DAPR_ECOMPONENT,
         "",
         "what is behind the sidecar failed (HTTP 500)"},
        {{500, "{\"errorCode\":\"A", NULL}, DAPR_ECOMPONENT, "", "HTTP 500: {\"errorCode\":\"A"},
        {{500, "\xff\xfe", NULL}, DAPR_ECOMPONENT, "", "HTTP 500: ?"},
        {{302, "", NULL},
         DAPR_EPROTOCOL,
         "",
         "the sidecar's answer is not what its API says (HTTP 302)"},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        f->answer = cases[i].answer;
        publish(f);
        assert_int_equal(f->heard.status, cases[i].status);
        assert_string_equal(f->heard.field, cases[i].field);
        assert_string_equal(f->heard.text, cases[i].text);
    }
    assert_int_equal(f->request_count, sizeof(cases) / sizeof(*cases)); /* none was tried again */
}

static void a_sidecar_that_is_not_there_is_tried_again_and_then_told(void **state)
{
    struct fixture *f = *state;
    fixture_wait(f, dapr_client_wait(f->client, 5000, heard_done, &f->heard));
    fixture_close_server(f);
    uint64_t begin = uv_hrtime();
    fixture_wait(f, dapr_state_get(f->client, "s", SLICE_LIT("k"), on_state, &f->heard, NULL));
    assert_int_equal(f->heard.status, DAPR_EUNAVAILABLE);
    assert_true(uv_hrtime() - begin > UINT64_C(300) * 1000000); /* 50, 100 and 200 ms lie between */
    while (dapr_client_is_up(f->client))
        uv_run(&f->loop, UV_RUN_ONCE);
    assert_false(f->is_up);
}

static void a_publish_is_never_tried_again(void **state)
{
    struct fixture *f = *state;
    fixture_wait(f, dapr_client_wait(f->client, 5000, heard_done, &f->heard));
    fixture_close_server(f);
    uint64_t begin = uv_hrtime();
    publish(f);
    assert_int_equal(f->heard.status, DAPR_EUNAVAILABLE);
    uint64_t took = uv_hrtime() - begin;
    begin = uv_hrtime();
    fixture_wait(f, dapr_state_get(f->client, "s", SLICE_LIT("k"), on_state, &f->heard, NULL));
    assert_true(took < uv_hrtime() - begin); /* which is */
}

static void a_call_that_gets_no_answer_ends_with_its_time(void **state)
{
    struct fixture *f = *state;
    fixture_reopen(f, &(struct dapr_client_options){.timeout_ms = 100});
    f->answer.status = 0;
    publish(f);
    assert_int_equal(f->heard.status, DAPR_ETIMEOUT);
    assert_true(dapr_error_is_unknown(f->heard.status));
    assert_int_equal(f->request_count, 1);
}

static void an_answer_that_is_too_large_is_refused(void **state)
{
    struct fixture *f = *state;
    fixture_reopen(f, &(struct dapr_client_options){.answer_max_bytes = 8});
    f->answer = (struct canned){200, "\"0123456789\"", NULL};
    fixture_wait(f, dapr_state_get(f->client, "s", SLICE_LIT("k"), on_state, &f->heard, NULL));
    assert_int_equal(f->heard.status, DAPR_EPROTOCOL);
}

static void calls_past_the_limit_are_refused(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    fixture_reopen(f, &(struct dapr_client_options){.calls_max = 1});
    f->answer.status = 0;
    assert_int_equal(dapr_publish(f->client, "bus", "news", &event, heard_done, &f->heard, NULL),
                     0);
    assert_int_equal(dapr_publish(f->client, "bus", "news", &event, heard_done, &f->heard, &err),
                     BASE_ELIMIT);
    while (f->held_count == 0)
        uv_run(&f->loop, UV_RUN_ONCE);
}

/* One call is in flight, one waits for its next try, and someone waits for the sidecar. */
static void closing_ends_calls_and_waits(void **state)
{
    struct fixture *f = *state;
    struct heard retried = {0}, waiting = {0};
    fixture_close_server(f);
    f->heard.count = 0;
    assert_int_equal(dapr_state_get(f->client, "s", SLICE_LIT("k"), on_state, &retried, NULL), 0);
    assert_int_equal(dapr_client_wait(f->client, 5000, heard_done, &waiting), 0);
    uint64_t begin = uv_hrtime();
    while (uv_hrtime() - begin < UINT64_C(20) * 1000000)
        uv_run(&f->loop, UV_RUN_NOWAIT);
    assert_int_equal(dapr_publish(f->client, "bus", "news", &event, heard_done, &f->heard, NULL),
                     0);
    fixture_close_client(f);
    assert_int_equal(f->heard.status, BASE_ECLOSED);
    assert_int_equal(retried.status, BASE_ECLOSED);
    assert_int_equal(waiting.status, BASE_ECLOSED);
    assert_int_equal(f->heard.count + retried.count + waiting.count, 3);
}

static void on_done_close(void *ctx, int status, const struct error *err)
{
    struct fixture *f = ctx;
    heard_error(&f->heard, status, err);
    dapr_client_close(f->client, fixture_closed, f);
    assert_int_equal(dapr_publish(f->client, "bus", "news", &event, heard_done, f, NULL),
                     BASE_ECLOSED);
    assert_int_equal(dapr_client_wait(f->client, 1, heard_done, f), BASE_ECLOSED);
    f->client = NULL;
}

static void a_callback_may_close(void **state)
{
    struct fixture *f = *state;
    fixture_wait(f, dapr_publish(f->client, "bus", "news", &event, on_done_close, f, NULL));
    assert_int_equal(f->heard.status, 0);
}

static void starting_survives_lost_memory(void **state)
{
    struct fixture *f = *state;
    struct mem_loop loop = {0};
    while (mem_loop_next(&loop)) {
        struct dapr_client *c = NULL;
        int status =
            dapr_client_new(&f->loop, &(struct dapr_client_options){.port = 1}, NULL, &c, NULL);
        mem_loop_expect(&loop, status, BASE_ENOMEM);
        if (!status)
            dapr_client_close(c, fixture_closed, f);
    }
    loop = (struct mem_loop){0};
    while (mem_loop_next(&loop)) {
        int status = dapr_client_wait(f->client, 1000, heard_done, &f->heard);
        mem_loop_expect(&loop, status, BASE_ENOMEM);
        if (!status)
            fixture_wait(f, 0);
    }
}

static void arguments_that_cannot_be_are_refused(void **state)
{
    struct fixture *f = *state;
    struct dapr_client *c = NULL;
    struct error err = {0};
    static const char *const hosts[] = {"", "a/b", "a b", "user@host", "a\nb"};
    for (size_t i = 0; i < sizeof(hosts) / sizeof(*hosts); i++)
        assert_int_equal(dapr_client_new(&f->loop, &(struct dapr_client_options){.host = hosts[i]},
                                         NULL, &c, &err),
                         BASE_EINVAL);
    assert_int_equal(dapr_client_new(&f->loop, &(struct dapr_client_options){.api_token = "a\r\nb"},
                                     NULL, &c, &err),
                     BASE_EINVAL);
    assert_string_equal(err.field, "api_token");
    assert_int_equal(dapr_publish(f->client, "", "t", &event, heard_done, f, &err), BASE_EINVAL);
    assert_int_equal(dapr_publish(f->client, "p", "a\nb", &event, heard_done, f, &err),
                     BASE_EINVAL);
}

static void each_code_has_its_words(void **state)
{
    (void)state;
    assert_string_equal(dapr_strerror(DAPR_ETOKEN), "the sidecar refuses the API token");
    assert_string_equal(dapr_strerror(-1), "unknown error");
    assert_false(dapr_error_is_retriable(DAPR_ETOKEN));
    assert_false(dapr_error_is_retriable(-1));
    assert_false(dapr_error_is_unknown(DAPR_EUNAVAILABLE));
    assert_false(dapr_error_is_unknown(-1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(the_sidecar_is_found_and_waited_for),
        FIXTURE_TEST(a_wait_ends_with_its_time),
        FIXTURE_TEST(a_wait_on_a_sidecar_that_is_up_ends_soon),
        FIXTURE_TEST(a_call_carries_the_token),
        FIXTURE_TEST(each_answer_has_its_code),
        FIXTURE_TEST(a_sidecar_that_is_not_there_is_tried_again_and_then_told),
        FIXTURE_TEST(a_publish_is_never_tried_again),
        FIXTURE_TEST(a_call_that_gets_no_answer_ends_with_its_time),
        FIXTURE_TEST(an_answer_that_is_too_large_is_refused),
        FIXTURE_TEST(calls_past_the_limit_are_refused),
        FIXTURE_TEST(closing_ends_calls_and_waits),
        FIXTURE_TEST(a_callback_may_close),
        FIXTURE_TEST(starting_survives_lost_memory),
        FIXTURE_TEST(arguments_that_cannot_be_are_refused),
        cmocka_unit_test(each_code_has_its_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
