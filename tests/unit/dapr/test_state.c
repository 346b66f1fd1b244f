/* State, jobs and metadata: what is sent, and what answers mean. */
#include "support/mem_loop.h"
#include "support/unit.h"

#include "base/error.h"
#include "base/mem.h"
#include "dapr/jobs.h"
#include "dapr/metadata.h"
#include "dapr/state.h"
#include "fixture.h"

static int write_value(char *out, size_t size, const struct dapr_state_value *v)
{
    return snprintf(out, size, "%.*s|%d|%s|%.*s|%.*s;", (int)v->key.len, v->key.ptr, v->status,
                    v->is_found ? "found" : "absent", (int)v->value.len,
                    v->value.len ? v->value.ptr : "", (int)v->etag.len,
                    v->etag.len ? v->etag.ptr : "");
}

static void on_state(void *ctx, int status, const struct dapr_state_value *value,
                     const struct error *err)
{
    struct heard *h = ctx;
    heard_error(h, status, err);
    h->value[0] = '\0';
    if (value)
        write_value(h->value, sizeof(h->value), value);
}

static void on_states(void *ctx, int status, const struct dapr_state_value *values, size_t count,
                      const struct error *err)
{
    struct heard *h = ctx;
    int at = 0;
    heard_error(h, status, err);
    h->value[0] = '\0';
    for (size_t i = 0; i < count; i++)
        at += write_value(h->value + at, sizeof(h->value) - (size_t)at, &values[i]);
}

static void on_job(void *ctx, int status, bool is_found, const struct dapr_job *job,
                   const struct error *err)
{
    struct heard *h = ctx;
    heard_error(h, status, err);
    snprintf(h->value, sizeof(h->value), "%s", is_found ? "found" : "absent");
    if (job)
        snprintf(h->value, sizeof(h->value), "%s|%s|%s|%s|%u|%.*s", job->name,
                 job->schedule ? job->schedule : "-", job->due_time ? job->due_time : "-",
                 job->ttl ? job->ttl : "-", job->repeats, (int)job->data.len,
                 job->data.len ? job->data.ptr : "");
}

static void on_component(void *ctx, int status, const struct dapr_component *component,
                         const struct error *err)
{
    struct heard *h = ctx;
    heard_error(h, status, err);
    snprintf(h->value, sizeof(h->value), "%s|%s", component ? component->type : "-",
             component ? component->version : "-");
}

/* ---- state ---- */

static void a_value_is_read_with_its_etag(void **state)
{
    static const struct {
        struct canned answer;
        int status;
        const char *value;
    } cases[] = {
        {{200, "{\"n\": 1}", "12"}, 0, "a/b||0|found|{\"n\": 1}|12;"},
        {{200, "null", "12"}, 0, "a/b||0|found|null|12;"},
        {{204, "", NULL}, 0, "a/b||0|absent||;"},
        {{200, "not json", "1"}, DAPR_EPROTOCOL, ""},
        {{200, "", NULL}, DAPR_EPROTOCOL, ""},
        {{500, "{\"errorCode\":\"ERR_STATE_GET\",\"message\":\"x\"}", NULL}, DAPR_ECOMPONENT, ""},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        f->answer = cases[i].answer;
        fixture_wait(
            f, dapr_state_get(f->client, "store", SLICE_LIT("a/b|"), on_state, &f->heard, NULL));
        assert_int_equal(f->heard.status, cases[i].status);
        assert_string_equal(f->heard.value, cases[i].value);
    }
    assert_string_equal(f->method, "GET");
    assert_string_equal(f->path, "/v1.0/state/store/a%2Fb%7C");
}

static void several_values_are_read_in_the_order_of_their_keys(void **state)
{
    static const struct {
        const char *body;
        int status;
        const char *value;
    } cases[] = {
        {"[{\"key\":\"b\",\"data\":{\"x\":[1]},\"etag\":\"2\"},{\"key\":\"a\"}]", 0,
         "a|0|absent||;b|0|found|{\"x\":[1]}|2;"},
        {"[{\"key\":\"a\",\"data\":null,\"etag\":\"1\"},{\"key\":\"b\",\"error\":\"down\"}]", 0,
         "a|0|found|null|1;b|-25010|absent||;"},
        {"[{\"key\":\"a\"}]", DAPR_EPROTOCOL, ""},
        {"[{\"key\":7},{\"key\":\"b\"},3]", DAPR_EPROTOCOL, ""},
        {"{\"key\":\"a\"}", DAPR_EPROTOCOL, ""},
        {"[{\"key\":\"a\"},{\"key\"", DAPR_EPROTOCOL, ""},
        {"", DAPR_EPROTOCOL, ""},
    };
    const struct slice keys[] = {SLICE_LIT("a"), SLICE_LIT("b")};
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        f->answer = (struct canned){200, cases[i].body, NULL};
        fixture_wait(f, dapr_state_get_bulk(f->client, "s", keys, 2, on_states, &f->heard, NULL));
        assert_int_equal(f->heard.status, cases[i].status);
        assert_string_equal(f->heard.value, cases[i].value);
    }
    assert_string_equal(f->path, "/v1.0/state/s/bulk");
    assert_string_equal(f->body, "{\"keys\":[\"a\",\"b\"]}");
}

static void items_are_saved_with_etag_and_time(void **state)
{
    struct fixture *f = *state;
    const struct dapr_state_item items[] = {
        {.key = SLICE_LIT("k\""), .value = SLICE_LIT("{\"n\":1}")},
        {.key = SLICE_LIT("l"),
         .value = SLICE_LIT("2"),
         .etag = SLICE_LIT("7"),
         .is_first_write = true,
         .ttl_s = 3600},
    };
    fixture_wait(f, dapr_state_save(f->client, "s", items, 2, heard_done, &f->heard, NULL));
    assert_int_equal(f->heard.status, 0);
    assert_string_equal(f->path, "/v1.0/state/s");
    assert_string_equal(f->body,
                        "[{\"key\":\"k\\\"\",\"value\":{\"n\":1},\"options\":{\"concurrency\":"
                        "\"last-write\"}},"
                        "{\"key\":\"l\",\"value\":2,\"etag\":\"7\",\"options\":{\"concurrency\":"
                        "\"first-write\"},\"metadata\":{\"ttlInSeconds\":\"3600\"}}]");
}

static void a_delete_carries_its_etag(void **state)
{
    struct fixture *f = *state;
    fixture_wait(f, dapr_state_delete(f->client, "s", SLICE_LIT("k"), SLICE_LIT("7"), heard_done,
                                      &f->heard, NULL));
    assert_string_equal(f->method, "DELETE");
    assert_string_equal(f->query, "concurrency=first-write");
    assert_string_equal(f->if_match, "7");
    fixture_wait(f, dapr_state_delete(f->client, "s", SLICE_LIT("k"), SLICE_EMPTY, heard_done,
                                      &f->heard, NULL));
    assert_string_equal(f->query, "");
    assert_string_equal(f->if_match, "");
}

static void a_transaction_is_sent_as_its_operations(void **state)
{
    struct fixture *f = *state;
    const struct dapr_state_op ops[] = {
        {.item = {.key = SLICE_LIT("a"), .value = SLICE_LIT("1"), .ttl_s = 9}},
        {.is_delete = true,
         .item = {.key = SLICE_LIT("b"), .etag = SLICE_LIT("3"), .is_first_write = true}},
    };
    fixture_wait(f, dapr_state_transact(f->client, "s", ops, 2, heard_done, &f->heard, NULL));
    assert_string_equal(f->path, "/v1.0/state/s/transaction");
    assert_string_equal(
        f->body,
        "{\"operations\":[{\"operation\":\"upsert\",\"request\":{\"key\":\"a\",\"value\":1,"
        "\"options\":{\"concurrency\":\"last-write\"},\"metadata\":{\"ttlInSeconds\":\"9\"}}},"
        "{\"operation\":\"delete\",\"request\":{\"key\":\"b\",\"etag\":\"3\",\"options\":{"
        "\"concurrency\":\"first-write\"}}}]}");
}

static void keys_and_values_that_cannot_be_are_refused(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    struct dapr_state_item item = {.key = SLICE_LIT("k"), .value = SLICE_LIT("{")};
    struct dapr_state_op op = {.item = item};
    static const char *const keys[] = {"", "a||b", "a\nb"};
    for (size_t i = 0; i < 3; i++) {
        struct slice key = slice_from_cstr(keys[i]);
        assert_int_equal(dapr_state_get(f->client, "s", key, on_state, f, &err), BASE_EINVAL);
        assert_int_equal(dapr_state_get_bulk(f->client, "s", &key, 1, on_states, f, &err),
                         BASE_EINVAL);
        assert_int_equal(dapr_state_delete(f->client, "s", key, key, heard_done, f, &err),
                         BASE_EINVAL);
        assert_string_equal(err.field, "key");
    }
    assert_int_equal(dapr_state_get(f->client, "", SLICE_LIT("k"), on_state, f, &err), BASE_EINVAL);
    assert_int_equal(dapr_state_save(f->client, "s", &item, 1, heard_done, f, &err), BASE_ESYNTAX);
    assert_int_equal(dapr_state_save(f->client, "s", &item, 0, heard_done, f, &err), BASE_EINVAL);
    assert_int_equal(dapr_state_transact(f->client, "s", &op, 1, heard_done, f, &err),
                     BASE_ESYNTAX);
    assert_int_equal(dapr_state_transact(f->client, "s", &op, 0, heard_done, f, &err), BASE_EINVAL);
    assert_int_equal(dapr_state_get_bulk(f->client, "s", NULL, 0, on_states, f, &err), BASE_EINVAL);
}

/* ---- jobs ---- */

static void a_job_is_scheduled_with_data_always(void **state)
{
    struct fixture *f = *state;
    struct dapr_job job = {.name = "check-due-tasks", .schedule = "@every 1m", .overwrite = true};
    fixture_wait(f, dapr_job_schedule(f->client, &job, heard_done, &f->heard, NULL));
    assert_string_equal(f->path, "/v1.0/jobs/check-due-tasks");
    assert_string_equal(f->body, "{\"schedule\":\"@every 1m\",\"overwrite\":true,\"data\":{}}");
    job = (struct dapr_job){.name = "once",
                            .due_time = "30s",
                            .ttl = "1h",
                            .repeats = 2,
                            .data = SLICE_LIT("[1]"),
                            .failure = DAPR_JOB_CONSTANT,
                            .failure_interval_s = 5,
                            .failure_tries = 3};
    fixture_wait(f, dapr_job_schedule(f->client, &job, heard_done, &f->heard, NULL));
    assert_string_equal(f->body,
                        "{\"dueTime\":\"30s\",\"ttl\":\"1h\",\"repeats\":2,\"overwrite\":false,"
                        "\"failurePolicy\":{\"constant\":{\"interval\":\"5s\",\"maxRetries\":3}},"
                        "\"data\":[1]}");
    job.failure = DAPR_JOB_DROP;
    fixture_wait(f, dapr_job_schedule(f->client, &job, heard_done, &f->heard, NULL));
    assert_non_null(strstr(f->body, "\"failurePolicy\":{\"drop\":{}}"));
}

static void a_job_is_read_back(void **state)
{
    static const struct {
        struct canned answer;
        int status;
        const char *value;
    } cases[] = {
        {{200,
          "{\"name\":\"j\",\"schedule\":\"@daily\",\"repeats\":2,\"ttl\":\"1h\",\"data\":{"
          "\"@type\":\"type.googleapis.com/google.protobuf.Value\",\"value\":{\"a\":[1]}}}",
          NULL},
         0,
         "j|@daily|-|1h|2|{\"a\":[1]}"},
        {{200, "{\"name\":\"j\",\"repeats\":-1,\"data\":7}", NULL}, 0, "j|-|-|-|0|"},
        {{500,
          "{\"errorCode\":\"DAPR_SCHEDULER_GET_JOB\",\"message\":\"failed to get job due to: rpc "
          "error: code = NotFound desc = job not found: j\"}",
          NULL},
         0,
         "absent"},
        {{500, "{\"errorCode\":\"DAPR_SCHEDULER_GET_JOB\",\"message\":\"no scheduler\"}", NULL},
         DAPR_ECOMPONENT,
         "absent"},
        {{200, "{\"schedule\":\"@daily\"}", NULL}, DAPR_EPROTOCOL, "absent"},
        {{200, "{\"name\":", NULL}, DAPR_EPROTOCOL, "absent"},
        {{204, "", NULL}, DAPR_EPROTOCOL, "absent"},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        f->answer = cases[i].answer;
        fixture_wait(f, dapr_job_get(f->client, "j", on_job, &f->heard, NULL));
        assert_int_equal(f->heard.status, cases[i].status);
        assert_string_equal(f->heard.value, cases[i].value);
    }
    f->answer = (struct canned){204, "", NULL};
    fixture_wait(f, dapr_job_delete(f->client, "j", heard_done, &f->heard, NULL));
    assert_string_equal(f->method, "DELETE");
}

static void jobs_that_cannot_be_are_refused(void **state)
{
    struct fixture *f = *state;
    struct error err = {0};
    static const char *const names[] = {NULL, "", "a b", "a|b", "../x", "\xc3\xa9"};
    struct dapr_job job = {.schedule = "@daily"};
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        job.name = names[i];
        assert_int_equal(dapr_job_schedule(f->client, &job, heard_done, f, &err), BASE_EINVAL);
        assert_int_equal(dapr_job_get(f->client, names[i], on_job, f, &err), BASE_EINVAL);
        assert_int_equal(dapr_job_delete(f->client, names[i], heard_done, f, &err), BASE_EINVAL);
    }
    job = (struct dapr_job){.name = "j"};
    assert_int_equal(dapr_job_schedule(f->client, &job, heard_done, f, &err), BASE_EINVAL);
    assert_string_equal(err.field, "schedule");
    job = (struct dapr_job){.name = "j", .schedule = "@daily", .data = SLICE_LIT("{")};
    assert_int_equal(dapr_job_schedule(f->client, &job, heard_done, f, &err), BASE_ESYNTAX);
}

/* ---- metadata ---- */

static void a_component_says_its_type(void **state)
{
    static const struct {
        const char *body;
        int status;
        const char *value;
    } cases[] = {
        {"{\"components\":[{\"name\":\"x\"},7,{\"name\":\"bus\",\"type\":\"pubsub.redis\","
         "\"version\":\"v1\"}]}",
         0, "pubsub.redis|v1"},
        {"{\"components\":[{\"name\":\"bus\",\"type\":\"pubsub.redis\"}]}", 0, "pubsub.redis|"},
        {"{\"components\":[{\"name\":\"bus\"}]}", 0, "-|-"},
        {"{\"components\":{\"name\":\"other\"}}", 0, "-|-"},
        {"{}", 0, "-|-"},
        {"[", DAPR_EPROTOCOL, "-|-"},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        f->answer = (struct canned){200, cases[i].body, NULL};
        fixture_wait(f, dapr_component_get(f->client, "bus", on_component, &f->heard, NULL));
        assert_int_equal(f->heard.status, cases[i].status);
        assert_string_equal(f->heard.value, cases[i].value);
    }
    f->answer = (struct canned){500, "", NULL};
    fixture_wait(f, dapr_component_get(f->client, "bus", on_component, &f->heard, NULL));
    assert_int_equal(f->heard.status, DAPR_ECOMPONENT);
    assert_int_equal(dapr_component_get(f->client, "", on_component, f, NULL), BASE_EINVAL);
}

/* ---- memory ---- */

static const struct slice a_key = {"k", 1};
static const struct dapr_state_item an_item = {.key = {"k", 1}, .value = {"1", 1}};
static const struct dapr_state_op an_op = {.item = {.key = {"k", 1}, .value = {"1", 1}}};
static const struct dapr_job a_job = {.name = "j", .schedule = "@daily"};

static int start(struct fixture *f, int which)
{
    switch (which) {
    case 0:
        return dapr_state_get(f->client, "s", a_key, on_state, &f->heard, NULL);
    case 1:
        return dapr_state_get_bulk(f->client, "s", &a_key, 1, on_states, &f->heard, NULL);
    case 2:
        return dapr_state_save(f->client, "s", &an_item, 1, heard_done, &f->heard, NULL);
    case 3:
        return dapr_state_delete(f->client, "s", a_key, a_key, heard_done, &f->heard, NULL);
    case 4:
        return dapr_state_transact(f->client, "s", &an_op, 1, heard_done, &f->heard, NULL);
    case 5:
        return dapr_job_schedule(f->client, &a_job, heard_done, &f->heard, NULL);
    case 6:
        return dapr_job_get(f->client, "j", on_job, &f->heard, NULL);
    case 7:
        return dapr_job_delete(f->client, "j", heard_done, &f->heard, NULL);
    default:
        return dapr_component_get(f->client, "c", on_component, &f->heard, NULL);
    }
}

static void each_call_survives_lost_memory(void **state)
{
    struct fixture *f = *state;
    for (int which = 0; which < 9; which++) {
        struct mem_loop loop = {0};
        while (mem_loop_next(&loop)) {
            int status = start(f, which);
            mem_loop_expect(&loop, status, BASE_ENOMEM);
            if (!status)
                fixture_wait(f, 0);
        }
    }
}

/* From the answer on each allocation fails once: the call ends all the same, once. */
static void each_answer_survives_lost_memory(void **state)
{
    static const struct {
        int which;
        const char *body;
    } cases[] = {
        {0, "{\"a\":[1]}"},
        {1, "[{\"key\":\"k\",\"data\":{\"a\":[1]},\"etag\":\"1\"}]"},
        {6, "{\"name\":\"j\",\"data\":{\"value\":[1,{}]}}"},
        {8, "{\"components\":[{\"name\":\"c\",\"type\":\"t\"}]}"},
    };
    struct fixture *f = *state;
    fixture_reopen(f, &(struct dapr_client_options){.timeout_ms = 200});
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        bool is_failing = true;
        f->answer = (struct canned){200, cases[i].body, NULL};
        for (f->fail_nth = 1; is_failing && f->fail_nth < 100; f->fail_nth++) {
            fixture_wait(f, start(f, cases[i].which));
            is_failing = mem_fail_happened();
            mem_fail_nth(0);
        }
        f->fail_nth = 0;
        assert_false(is_failing);
        assert_int_equal(f->heard.status, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(a_value_is_read_with_its_etag),
        FIXTURE_TEST(several_values_are_read_in_the_order_of_their_keys),
        FIXTURE_TEST(items_are_saved_with_etag_and_time),
        FIXTURE_TEST(a_delete_carries_its_etag),
        FIXTURE_TEST(a_transaction_is_sent_as_its_operations),
        FIXTURE_TEST(keys_and_values_that_cannot_be_are_refused),
        FIXTURE_TEST(a_job_is_scheduled_with_data_always),
        FIXTURE_TEST(a_job_is_read_back),
        FIXTURE_TEST(jobs_that_cannot_be_are_refused),
        FIXTURE_TEST(a_component_says_its_type),
        FIXTURE_TEST(each_call_survives_lost_memory),
        FIXTURE_TEST(each_answer_survives_lost_memory),
    };
    mem_loop_hook_cjson();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
