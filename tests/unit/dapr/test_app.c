/* The app's side, over real connections: routes, the token, deliveries single and bulk, answers. */
#include "support/mem_loop.h"
#include "support/unit.h"

#include "base/buf.h"
#include "base/error.h"
#include "base/http_client.h"
#include "base/http_server.h"
#include "base/mem.h"
#include "base/secret.h"
#include "dapr/app.h"

#define CE   "application/cloudevents+json"
#define JSON "application/json"

static const struct secret token = {.fixed = "s3cret"};

struct fixture {
    uv_loop_t loop;
    struct http_server *server;
    struct http_client *client;
    struct dapr_app *app;
    int closed_count;
    /* what the handlers heard: "topic|type|body;" */
    char heard[4096];
    size_t heard_len;
    int begun;
    struct dapr_turn *turns[16];
    enum dapr_answer answers[16]; /* of each turn, by its number */
    bool is_asked;                /* turns are ended by the test */
    bool is_healthy;
    unsigned fail_nth; /* the allocation that fails, counted from the request on; 0: none */
    int status;        /* of the last answer; 0 while there is none */
    char body[4096];
};

static void hear(struct fixture *f, struct slice a, struct slice b, struct slice c,
                 struct dapr_turn *turn)
{
    f->heard_len += (size_t)snprintf(f->heard + f->heard_len, sizeof(f->heard) - f->heard_len,
                                     "%.*s|%.*s|%.*s;", (int)a.len, a.ptr, (int)b.len,
                                     b.len ? b.ptr : "", (int)c.len, c.len ? c.ptr : "");
    int number = f->begun++;
    f->turns[number % 16] = turn;
    if (!f->is_asked)
        dapr_turn_end(turn, f->answers[number % 16]);
}

static void on_message(void *ctx, const struct dapr_message *m, struct dapr_turn *turn)
{
    hear(ctx, m->topic, m->content_type, m->body, turn);
}

static void on_job(void *ctx, struct slice name, struct slice data, struct dapr_turn *turn)
{
    hear(ctx, name, SLICE_EMPTY, data, turn);
}

static bool is_healthy(void *ctx)
{
    return ((struct fixture *)ctx)->is_healthy;
}

static void on_request(void *ctx, struct http_request *req)
{
    struct fixture *f = ctx;
    mem_fail_nth(f->fail_nth);
    if (!dapr_app_handle(f->app, req))
        http_respond(req, 404, NULL, 0, SLICE_EMPTY);
}

static struct dapr_app_options options_of(struct fixture *f, struct dapr_subscription subs[3],
                                          const struct dapr_job_route *job)
{
    subs[0] = (struct dapr_subscription){
        .pubsub = "bus", .topic = "one", .route = "/events/one", .fn = on_message, .ctx = f};
    subs[1] = (struct dapr_subscription){.pubsub = "bus",
                                         .topic = "many",
                                         .route = "/events/many",
                                         .bulk_max = 10,
                                         .bulk_wait_ms = 20,
                                         .fn = on_message,
                                         .ctx = f};
    subs[2] = (struct dapr_subscription){.pubsub = "bus",
                                         .topic = "all",
                                         .route = "/events/all",
                                         .bulk_max = 5,
                                         .is_parallel = true,
                                         .fn = on_message,
                                         .ctx = f};
    return (struct dapr_app_options){.token = &token,
                                     .subscriptions = subs,
                                     .subscription_count = 3,
                                     .jobs = job,
                                     .job_count = 1,
                                     .health_path = "/healthz",
                                     .is_healthy = is_healthy,
                                     .ctx = f};
}

static int setup(void **state)
{
    struct fixture *f = test_calloc(1, sizeof(*f));
    struct dapr_subscription subs[3];
    struct dapr_job_route job = {"check-due-tasks", on_job, f};
    struct dapr_app_options options = options_of(f, subs, &job);
    *state = f;
    f->is_healthy = true;
    assert_int_equal(dapr_app_new(&options, NULL, &f->app, NULL), 0);
    assert_int_equal(uv_loop_init(&f->loop), 0);
    assert_int_equal(
        http_server_new(&f->loop, &http_limits_default, NULL, on_request, f, &f->server), 0);
    assert_int_equal(http_server_listen(f->server, "127.0.0.1", 0, NULL), 0);
    assert_int_equal(http_client_new(&f->loop, &http_client_options_default, &f->client), 0);
    return 0;
}

static void on_closed(void *ctx)
{
    ((struct fixture *)ctx)->closed_count++;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    http_client_close(f->client, on_closed, f);
    http_server_close(f->server, 0, on_closed, f);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(f->closed_count, 2);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    assert_int_equal(dapr_app_turns(f->app), 0);
    dapr_app_free(f->app);
    test_free(f);
    return 0;
}

static void on_answer(void *ctx, int status, const struct http_client_response *res,
                      const struct error *err)
{
    struct fixture *f = ctx;
    (void)err;
    f->status = res ? res->status : status;
    snprintf(f->body, sizeof(f->body), "%.*s", res ? (int)res->body.len : 0,
             res && res->body.len ? res->body.ptr : "");
}

struct ask {
    const char *method, *path, *type, *token, *body;
};

static void begin(struct fixture *f, struct ask ask)
{
    char url[128];
    struct http_header headers[2];
    size_t count = 0;
    if (ask.token)
        headers[count++] =
            (struct http_header){SLICE_LIT("Dapr-Api-Token"), slice_from_cstr(ask.token)};
    headers[count++] =
        (struct http_header){SLICE_LIT("Content-Type"), slice_from_cstr(ask.type ? ask.type : "")};
    snprintf(url, sizeof(url), "http://127.0.0.1:%u%s", http_server_port(f->server), ask.path);
    struct http_client_request req = {.method = ask.method,
                                      .url = url,
                                      .headers = headers,
                                      .header_count = count,
                                      .body = slice_from_cstr(ask.body),
                                      .is_direct = true};
    f->status = 0;
    f->heard_len = 0;
    f->heard[0] = '\0';
    f->begun = 0;
    assert_int_equal(http_client_start(f->client, &req, on_answer, f, NULL, NULL), 0);
}

static int wait_answer(struct fixture *f)
{
    while (f->status == 0)
        uv_run(&f->loop, UV_RUN_ONCE);
    return f->status;
}

static void wait_turns(struct fixture *f, int count)
{
    while (f->begun < count)
        uv_run(&f->loop, UV_RUN_ONCE);
}

static int ask(struct fixture *f, struct ask what)
{
    begin(f, what);
    return wait_answer(f);
}

static int post(struct fixture *f, const char *path, const char *type, const char *body)
{
    return ask(f, (struct ask){"POST", path, type, "s3cret", body});
}

static void it_says_what_it_listens_to(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(ask(f, (struct ask){"GET", "/dapr/subscribe", NULL, "s3cret", NULL}), 200);
    assert_string_equal(
        f->body,
        "[{\"pubsubname\":\"bus\",\"topic\":\"one\",\"route\":\"/events/one\"},"
        "{\"pubsubname\":\"bus\",\"topic\":\"many\",\"route\":\"/events/many\",\"bulkSubscribe\":{"
        "\"enabled\":true,\"maxMessagesCount\":10,\"maxAwaitDurationMs\":20}},"
        "{\"pubsubname\":\"bus\",\"topic\":\"all\",\"route\":\"/events/all\",\"bulkSubscribe\":{"
        "\"enabled\":true,\"maxMessagesCount\":5}}]");
    assert_int_equal(ask(f, (struct ask){"GET", "/dapr/config", NULL, "s3cret", NULL}), 200);
    assert_string_equal(f->body, "{}");
}

static void each_answer_of_a_single_delivery_has_its_status(void **state)
{
    static const struct {
        enum dapr_answer answer;
        int status;
        const char *body;
    } cases[] = {{DAPR_SUCCESS, 200, "{\"status\":\"SUCCESS\"}"},
                 {DAPR_RETRY, 503, "{\"status\":\"RETRY\"}"},
                 {DAPR_DROP, 200, "{\"status\":\"DROP\"}"}};
    struct fixture *f = *state;
    for (size_t i = 0; i < 3; i++) {
        f->answers[0] = cases[i].answer;
        assert_int_equal(post(f, "/events/one", CE, "{\"id\":\"1\"}"), cases[i].status);
        assert_string_equal(f->heard, "one|" CE "|{\"id\":\"1\"};");
        assert_string_equal(f->body, cases[i].body);
    }
}

static void a_single_delivery_is_handed_over_as_it_came(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(post(f, "/events/one", NULL, "{\"torn"), 200);
    assert_string_equal(f->heard, "one||{\"torn;");
    assert_int_equal(post(f, "/events/many", CE "; charset=utf-8", "{\"id\":\"1\"}"), 200);
    assert_string_equal(f->heard, "many|" CE "; charset=utf-8|{\"id\":\"1\"};");
}

static void a_bulk_is_handed_over_entry_by_entry(void **state)
{
    struct fixture *f = *state;
    f->answers[1] = DAPR_DROP;
    assert_int_equal(
        post(f, "/events/many", JSON,
             "{\"id\":\"x\",\"entries\":[{\"entryId\":\"0\",\"event\":{ \"id\":\"}]\\\"\"},"
             "\"contentType\":\"a/b\"}, {\"metadata\":{\"entryId\":\"no\"},\"event\":[1],"
             "\"entryId\":\"a\\u0022b\"},{\"entryId\":\"2\"}],\"topic\":\"many\"}"),
        200);
    assert_string_equal(f->heard, "many|a/b|{ \"id\":\"}]\\\"\"};many|" CE "|[1];many|" CE "|;");
    assert_string_equal(f->body, "{\"statuses\":[{\"entryId\":\"0\",\"status\":\"SUCCESS\"},"
                                 "{\"entryId\":\"a\\u0022b\",\"status\":\"DROP\"},"
                                 "{\"entryId\":\"2\",\"status\":\"SUCCESS\"}]}");
}

static void after_a_retry_the_rest_of_a_bulk_is_to_come_again(void **state)
{
    struct fixture *f = *state;
    f->answers[1] = DAPR_RETRY;
    assert_int_equal(post(f, "/events/many", JSON,
                          "{\"entries\":[{\"entryId\":\"0\",\"event\":0},{\"entryId\":\"1\","
                          "\"event\":1},{\"entryId\":\"2\",\"event\":2}]}"),
                     200);
    assert_string_equal(f->heard, "many|" CE "|0;many|" CE "|1;");
    assert_string_equal(f->body, "{\"statuses\":[{\"entryId\":\"0\",\"status\":\"SUCCESS\"},"
                                 "{\"entryId\":\"1\",\"status\":\"RETRY\"},"
                                 "{\"entryId\":\"2\",\"status\":\"RETRY\"}]}");
}

static void entries_in_order_wait_for_each_other(void **state)
{
    struct fixture *f = *state;
    f->is_asked = true;
    begin(f, (struct ask){"POST", "/events/many", JSON, "s3cret",
                          "{\"entries\":[{\"entryId\":\"0\",\"event\":0},{\"entryId\":\"1\","
                          "\"event\":1}]}"});
    wait_turns(f, 1);
    assert_int_equal(dapr_app_turns(f->app), 1);
    dapr_turn_end(f->turns[0], DAPR_SUCCESS);
    assert_int_equal(f->begun, 2);
    dapr_turn_end(f->turns[1], DAPR_RETRY);
    assert_int_equal(wait_answer(f), 200);
    assert_non_null(strstr(f->body, "{\"entryId\":\"1\",\"status\":\"RETRY\"}"));
}

static void entries_in_parallel_end_in_any_order(void **state)
{
    struct fixture *f = *state;
    f->is_asked = true;
    begin(f, (struct ask){"POST", "/events/all", JSON, "s3cret",
                          "{\"entries\":[{\"entryId\":\"0\",\"event\":0},{\"entryId\":\"1\","
                          "\"event\":1},{\"entryId\":\"2\",\"event\":2}]}"});
    wait_turns(f, 3);
    dapr_turn_end(f->turns[1], DAPR_RETRY);
    dapr_turn_end(f->turns[2], DAPR_SUCCESS);
    dapr_turn_end(f->turns[0], DAPR_DROP);
    assert_int_equal(wait_answer(f), 200);
    assert_string_equal(f->body, "{\"statuses\":[{\"entryId\":\"0\",\"status\":\"DROP\"},"
                                 "{\"entryId\":\"1\",\"status\":\"RETRY\"},"
                                 "{\"entryId\":\"2\",\"status\":\"SUCCESS\"}]}");
}

/* One bad entry among ten: the nine succeed. */
static void a_bad_entry_holds_up_no_other(void **state)
{
    static const char *const bad[] = {
        "7",
        "null",
        "[]",
        "\"x\"",
        "{}",
        "{\"entryId\":\"\",\"event\":{}}",
        "{\"entryId\":9,\"event\":{}}",
        "{\"event\":{}}",
        "{\"entryId\":{\"entryId\":\"x\"}}",
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        char body[1024];
        size_t len = 0;
        for (int k = 0; k < 10; k++)
            len += (size_t)(k == 4 ? snprintf(body + len, sizeof(body) - len, ",%s", bad[i])
                                   : snprintf(body + len, sizeof(body) - len,
                                              "%s{\"entryId\":\"%d\",\"event\":{}}",
                                              k ? "," : "{\"entries\":[", k));
        snprintf(body + len, sizeof(body) - len, "]}");
        assert_int_equal(post(f, "/events/many", JSON, body), 200);
        assert_int_equal(f->begun, 9);
        assert_null(strstr(f->body, "RETRY"));
        assert_non_null(strstr(f->body, "\"entryId\":\"9\""));
    }
}

static void an_entry_id_that_comes_twice_is_answered_twice(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(post(f, "/events/many", JSON,
                          "{\"entries\":[{\"entryId\":\"0\",\"event\":1},{\"entryId\":\"0\","
                          "\"event\":2}]}"),
                     200);
    assert_int_equal(f->begun, 2);
    assert_string_equal(f->body, "{\"statuses\":[{\"entryId\":\"0\",\"status\":\"SUCCESS\"},"
                                 "{\"entryId\":\"0\",\"status\":\"SUCCESS\"}]}");
}

static void what_is_no_bulk_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "{",
        "[]",
        "7",
        "null",
        "{}",
        "{\"entries\":7}",
        "{\"entries\":{}}",
        "{\"entries\":[{\"entryId\":\"0\",\"event\":{}}]",
        "{\"entries\":[{\"entryId\":\"0\",\"event\":{}}]} x",
        "{\"entries\":[{\"entryId\":\"0\",\"event\":{\"a\":\"\xff\"}}]}",
        "{\"entries\":[{\"entryId\":\"\\u0000\",\"event\":{}}]}",
        "{\"entries\":[{\"entryId\":\"\\ud800\",\"event\":{}}]}",
        "{\"entries\":[],\"entries\":1}",
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        assert_int_equal(post(f, "/events/many", JSON, bad[i]), 400);
        assert_int_equal(f->begun, 0);
    }
    assert_int_equal(post(f, "/events/many", JSON, "{\"entries\":[]}"), 200);
    assert_string_equal(f->body, "{\"statuses\":[]}");
}

static void a_bulk_of_too_many_entries_is_refused(void **state)
{
    struct fixture *f = *state;
    struct buf b;
    buf_init(&b, 1 << 20);
    buf_append_cstr(&b, "{\"entries\":[0");
    for (int i = 0; i < DAPR_BULK_MAX; i++)
        buf_append_cstr(&b, ",0");
    buf_append_cstr(&b, "]}");
    assert_int_equal(post(f, "/events/many", JSON, b.ptr), 400);
    buf_deinit(&b);
}

static void a_body_past_the_limit_is_refused(void **state)
{
    struct fixture *f = *state;
    size_t size = (1 << 20) + 1;
    char *body = test_malloc(size + 1);
    memset(body, ' ', size);
    body[size] = '\0';
    assert_int_equal(post(f, "/events/one", CE, body), 413);
    assert_int_equal(f->begun, 0);
    test_free(body);
}

static void only_the_right_token_opens(void **state)
{
    static const char *const paths[] = {"/events/one", "/events/many", "/job/check-due-tasks",
                                        "/dapr/subscribe", "/dapr/config"};
    static const char *const tokens[] = {NULL, "", "S3cret", "s3cre", "s3cret2", "s3cret,s3cret"};
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++)
        for (size_t k = 0; k < sizeof(tokens) / sizeof(*tokens); k++) {
            const char *method = i < 3 ? "POST" : "GET";
            assert_int_equal(ask(f, (struct ask){method, paths[i], CE, tokens[k], "{}"}), 401);
            assert_int_equal(f->begun, 0);
        }
    assert_int_equal(ask(f, (struct ask){"GET", "/healthz", NULL, NULL, NULL}), 200);
    f->is_healthy = false;
    assert_int_equal(ask(f, (struct ask){"GET", "/healthz", NULL, NULL, NULL}), 503);
}

static void other_methods_and_paths_are_not_its(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(ask(f, (struct ask){"GET", "/events/one", NULL, "s3cret", NULL}), 405);
    assert_int_equal(ask(f, (struct ask){"PUT", "/job/check-due-tasks", NULL, "s3cret", "{}"}),
                     405);
    assert_int_equal(post(f, "/dapr/subscribe", JSON, "{}"), 405);
    static const char *const others[] = {"/",
                                         "/events",
                                         "/events/one/",
                                         "/job/",
                                         "/job/other",
                                         "/jobs/check-due-tasks/x",
                                         "/job/check-due-task"};
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
        assert_int_equal(post(f, others[i], JSON, "{}"), 404);
}

static void a_job_is_handed_over_by_both_its_paths(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(post(f, "/job/check-due-tasks", JSON, "{\"a\":1}"), 200);
    assert_string_equal(f->heard, "check-due-tasks||{\"a\":1};");
    f->answers[0] = DAPR_RETRY;
    assert_int_equal(post(f, "/jobs/check-due-tasks", JSON, ""), 503);
}

static void without_a_token_all_may_come(void **state)
{
    struct fixture *f = *state;
    struct dapr_subscription subs[3];
    struct dapr_job_route job = {"check-due-tasks", on_job, f};
    struct dapr_app_options options = options_of(f, subs, &job);
    options.token = NULL;
    dapr_app_free(f->app);
    assert_int_equal(dapr_app_new(&options, NULL, &f->app, NULL), 0);
    assert_int_equal(ask(f, (struct ask){"POST", "/events/one", CE, NULL, "{}"}), 200);
    subs[1].route = "events";
    assert_int_equal(dapr_app_new(&options, NULL, &f->app, NULL), BASE_EINVAL);
}

static void it_is_made_and_answers_with_lost_memory(void **state)
{
    struct fixture *f = *state;
    struct mem_loop loop = {0};
    struct dapr_subscription subs[3];
    struct dapr_job_route job = {"check-due-tasks", on_job, f};
    struct dapr_app_options options = options_of(f, subs, &job);
    while (mem_loop_next(&loop)) {
        struct dapr_app *app = NULL;
        int status = dapr_app_new(&options, NULL, &app, NULL);
        mem_loop_expect(&loop, status, BASE_ENOMEM);
        if (!status)
            dapr_app_free(app);
    }
    /* A delivery is answered, or its connection breaks. */
    bool is_failing = true;
    for (f->fail_nth = 1; is_failing && f->fail_nth < 100; f->fail_nth++) {
        int status = post(f, "/events/many", JSON, "{\"entries\":[{\"entryId\":\"0\"}]}");
        is_failing = mem_fail_happened();
        mem_fail_nth(0);
        assert_true(status < 0 || status == 200 || status == 401 || status == 503);
    }
    assert_false(is_failing);
}

int main(void)
{
#define APP_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        APP_TEST(it_says_what_it_listens_to),
        APP_TEST(each_answer_of_a_single_delivery_has_its_status),
        APP_TEST(a_single_delivery_is_handed_over_as_it_came),
        APP_TEST(a_bulk_is_handed_over_entry_by_entry),
        APP_TEST(after_a_retry_the_rest_of_a_bulk_is_to_come_again),
        APP_TEST(entries_in_order_wait_for_each_other),
        APP_TEST(entries_in_parallel_end_in_any_order),
        APP_TEST(a_bad_entry_holds_up_no_other),
        APP_TEST(an_entry_id_that_comes_twice_is_answered_twice),
        APP_TEST(what_is_no_bulk_is_refused),
        APP_TEST(a_bulk_of_too_many_entries_is_refused),
        APP_TEST(a_body_past_the_limit_is_refused),
        APP_TEST(only_the_right_token_opens),
        APP_TEST(other_methods_and_paths_are_not_its),
        APP_TEST(a_job_is_handed_over_by_both_its_paths),
        APP_TEST(without_a_token_all_may_come),
        APP_TEST(it_is_made_and_answers_with_lost_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
