/* The envelope: written, read back, and refused where the specification says so. */
#include "base/buf.h"
#include "base/error.h"
#include "base/json.h"
#include "events/cloudevent.h"
#include "support/mem_loop.h"
#include "support/unit.h"

#define REQUIRED                                                                                   \
    "\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/s\",\"type\":\"T\",\"time\":"              \
    "\"2026-11-24T10:00:00Z\",\"datacontenttype\":\"application/json\""

static void what_is_written_reads_back(void **state)
{
    const struct cloudevent event = {.id = "1",
                                     .source = "/todo/mcp-server",
                                     .type = "TaskDeletedEvent",
                                     .subject = "task/7",
                                     .time = "2026-11-24T10:00:00Z",
                                     .traceparent = "00-1-2-01",
                                     .partitionkey = "7"};
    struct cloudevent read;
    struct buf b;
    struct json_writer w;
    (void)state;
    buf_init(&b, 4096);
    json_writer_init(&w, &b);
    cloudevent_write(&w, &event, SLICE_LIT("{\"a\":1}"));
    assert_int_equal(cloudevent_parse(buf_slice(&b), &read, NULL), 0);
    assert_string_equal(read.id, "1");
    assert_string_equal(read.subject, "task/7");
    assert_string_equal(read.partitionkey, "7");
    assert_null(read.dataschema);
    assert_non_null(json_get(read.data, "a"));
    cloudevent_deinit(&read);
    buf_deinit(&b);
}

static void unknown_extensions_are_kept(void **state)
{
    struct cloudevent e;
    (void)state;
    assert_int_equal(
        cloudevent_parse(SLICE_LIT("{" REQUIRED ",\"tenant\":\"x\",\"data\":null}"), &e, NULL), 0);
    assert_string_equal(json_get_string(e.root, "tenant"), "x");
    cloudevent_deinit(&e);
}

static void an_empty_extension_is_as_good_as_none(void **state)
{
    struct cloudevent e;
    (void)state;
    assert_int_equal(cloudevent_parse(SLICE_LIT("{" REQUIRED ",\"traceparent\":\"\",\"tracestate\":"
                                                "\"\",\"partitionkey\":\"\",\"data\":null}"),
                                      &e, NULL),
                     0);
    assert_null(e.traceparent);
    assert_null(e.partitionkey);
    cloudevent_deinit(&e);
}

static void what_the_specification_forbids_is_refused(void **state)
{
    static const struct {
        const char *text, *field;
        int status;
    } bad[] = {
        {"", "", BASE_ESYNTAX},
        {"{", "", BASE_ESYNTAX},
        {"[]", "", BASE_EINVAL},
        {"7", "", BASE_EINVAL},
        {"{\"specversion\":\"1.0\"}", "id", BASE_EINVAL},
        {"{" REQUIRED "}", "data", BASE_EINVAL},
        {"{" REQUIRED ",\"data_base64\":\"AA==\"}", "data", BASE_EINVAL},
        {"{" REQUIRED ",\"Data\":1,\"data\":1}", "Data", BASE_EINVAL},
        {"{" REQUIRED ",\"a-b\":1,\"data\":1}", "a-b", BASE_EINVAL},
        {"{" REQUIRED ",\"subject\":\"\",\"data\":1}", "subject", BASE_EINVAL},
        {"{" REQUIRED ",\"subject\":7,\"data\":1}", "subject", BASE_EINVAL},
        {"{\"specversion\":\"0.3\",\"id\":\"1\",\"source\":\"/s\",\"type\":\"T\",\"time\":"
         "\"2026-11-24T10:00:00Z\",\"datacontenttype\":\"application/json\",\"data\":1}",
         "specversion", BASE_EINVAL},
        {"{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/s\",\"type\":\"T\",\"time\":"
         "\"2026-11-24T10:00:00\",\"datacontenttype\":\"application/json\",\"data\":1}",
         "time", BASE_EINVAL},
        {"{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/s\",\"type\":\"T\",\"time\":"
         "\"2026-11-24T10:00:00Z\",\"datacontenttype\":\"text/xml\",\"data\":1}",
         "datacontenttype", BASE_EINVAL},
        {"{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/s\",\"type\":\"T\",\"time\":"
         "\"2026-11-24T10:00:00Z\",\"data\":1}",
         "datacontenttype", BASE_EINVAL},
    };
    struct cloudevent e;
    struct error err;
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        err = (struct error){0};
        assert_int_equal(cloudevent_parse(slice_from_cstr(bad[i].text), &e, &err), bad[i].status);
        assert_string_equal(err.field, bad[i].field);
        assert_null(e.root);
    }
}

static const struct cloudevent_attribute headers[] = {
    {{"specversion", 11}, {"1.0", 3}},
    {{"ID", 2}, {"1", 1}},
    {{"source", 6}, {"/s", 2}},
    {{"type", 4}, {"T", 1}},
    {{"time", 4}, {"2026-11-24T10:00:00Z", 20}},
};

static void binary_mode_gives_the_same_event(void **state)
{
    struct cloudevent e;
    struct error err;
    (void)state;
    assert_int_equal(cloudevent_from_binary(headers, 5,
                                            SLICE_LIT("application/json; charset=utf-8"),
                                            SLICE_LIT("{\"a\":1}"), &e, &err),
                     0);
    assert_string_equal(e.id, "1");
    assert_non_null(json_get(e.data, "a"));
    cloudevent_deinit(&e);
}

static void binary_mode_refuses_bytes_that_are_no_text(void **state)
{
    static const char *const bytes[] = {"\xff", "a\xc3", "\xed\xa0\x80"};
    (void)state;
    for (size_t i = 0; i < sizeof(bytes) / sizeof(*bytes); i++) {
        const struct cloudevent_attribute id = {SLICE_LIT("id"), slice_from_cstr(bytes[i])};
        struct cloudevent e;
        struct error err = {0};
        assert_int_equal(
            cloudevent_from_binary(&id, 1, SLICE_LIT("application/json"), SLICE_LIT("1"), &e, &err),
            BASE_EINVAL);
        assert_string_equal(err.field, "id");
    }
}

static void binary_mode_refuses_what_structured_mode_does(void **state)
{
    struct cloudevent e;
    struct cloudevent_attribute twice[6];
    struct error err;
    (void)state;
    assert_int_equal(
        cloudevent_from_binary(headers, 4, SLICE_LIT("application/json"), SLICE_LIT("1"), &e, &err),
        BASE_EINVAL);
    assert_string_equal(err.field, "time");
    assert_int_equal(
        cloudevent_from_binary(headers, 5, SLICE_LIT("text/plain"), SLICE_LIT("1"), &e, &err),
        BASE_EINVAL);
    assert_int_equal(
        cloudevent_from_binary(headers, 5, SLICE_LIT("application/json"), SLICE_LIT("{"), &e, &err),
        BASE_ESYNTAX);
    memcpy(twice, headers, sizeof(headers));
    twice[5] = headers[0];
    assert_int_equal(
        cloudevent_from_binary(twice, 6, SLICE_LIT("application/json"), SLICE_LIT("1"), &e, &err),
        BASE_EINVAL);
    twice[5] = (struct cloudevent_attribute){{"data", 4}, {"1", 1}};
    assert_int_equal(
        cloudevent_from_binary(twice, 6, SLICE_LIT("application/json"), SLICE_LIT("1"), &e, &err),
        BASE_EINVAL);
}

static void reading_survives_lost_memory(void **state)
{
    struct mem_loop loop = {0};
    (void)state;
    while (mem_loop_next(&loop)) {
        struct cloudevent e;
        int status = cloudevent_from_binary(headers, 5, SLICE_LIT("application/json"),
                                            SLICE_LIT("{\"a\":[1]}"), &e, NULL);
        mem_loop_expect(&loop, status, BASE_ENOMEM);
        cloudevent_deinit(&e);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_reads_back),
        cmocka_unit_test(unknown_extensions_are_kept),
        cmocka_unit_test(an_empty_extension_is_as_good_as_none),
        cmocka_unit_test(what_the_specification_forbids_is_refused),
        cmocka_unit_test(binary_mode_gives_the_same_event),
        cmocka_unit_test(binary_mode_refuses_bytes_that_are_no_text),
        cmocka_unit_test(binary_mode_refuses_what_structured_mode_does),
        cmocka_unit_test(reading_survives_lost_memory),
    };
    mem_loop_hook_cjson();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
