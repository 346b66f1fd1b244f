#include "support/unit.h"

#include <float.h>
#include <math.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/json.h"
#include "base/mem.h"
#include "support/mem_loop.h"

struct fixture {
    struct buf out;
    struct json_writer w;
};

static int set_up(void **state)
{
    struct fixture *f = mem_calloc(1, sizeof(*f));
    buf_init(&f->out, 1 << 20);
    json_writer_init(&f->w, &f->out);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    buf_deinit(&f->out);
    mem_free(f);
    return 0;
}

static void expect(const struct fixture *f, const char *text)
{
    assert_int_equal(buf_status(&f->out), 0);
    assert_string_equal(f->out.ptr, text);
}

static void commas_stand_between_values_and_nowhere_else(void **state)
{
    struct fixture *f = *state;
    struct json_writer *w = &f->w;
    json_begin_object(w);
    json_key_int(w, "id", 7);
    json_key(w, "empty");
    json_begin_array(w);
    json_end_array(w);
    json_key(w, "list");
    json_begin_array(w);
    json_int(w, 1);
    json_begin_object(w);
    json_end_object(w);
    json_begin_array(w);
    json_null(w);
    json_end_array(w);
    json_string(w, "x");
    json_end_array(w);
    json_key_bool(w, "ok", true);
    json_key_string(w, "none", NULL);
    json_end_object(w);
    expect(f, "{\"id\":7,\"empty\":[],\"list\":[1,{},[null],\"x\"],\"ok\":true,\"none\":null}");
}

static void a_lone_value_is_a_whole_text(void **state)
{
    struct fixture *f = *state;
    json_bool(&f->w, false);
    expect(f, "false");
}

static void a_writer_may_begin_behind_other_text(void **state)
{
    struct fixture *f = *state;
    buf_append_cstr(&f->out, "data: ");
    json_begin_array(&f->w);
    json_int(&f->w, 1);
    json_end_array(&f->w);
    expect(f, "data: [1]");
}

static void raw_text_counts_as_one_value(void **state)
{
    struct fixture *f = *state;
    json_begin_array(&f->w);
    json_raw(&f->w, SLICE_LIT("{\"a\":1}"));
    json_raw(&f->w, SLICE_LIT("2"));
    json_end_array(&f->w);
    expect(f, "[{\"a\":1},2]");
}

static void strings_are_escaped_as_json_demands(void **state)
{
    struct fixture *f = *state;
    json_string(&f->w, "a\"b\\c/d\b\f\n\r\t\x01\x1f\x7f caf\xC3\xA9 \xF0\x9F\x98\x80");
    expect(f, "\"a\\\"b\\\\c/d\\u0008\\u000c\\n\\r\\t\\u0001\\u001f\x7f caf\xC3\xA9 "
              "\xF0\x9F\x98\x80\"");
}

static void keys_are_escaped_too(void **state)
{
    struct fixture *f = *state;
    json_begin_object(&f->w);
    json_key_int(&f->w, "a\"b", 1);
    json_end_object(&f->w);
    expect(f, "{\"a\\\"b\":1}");
}

static void terminal_controls_of_latin_1_are_escaped(void **state)
{
    struct fixture *f = *state;
    json_string(&f->w, "\xC2\x80\xC2\x9B\xC2\xA0");
    expect(f, "\"\\u0080\\u009b\xC2\xA0\"");
}

static void invalid_utf8_becomes_the_replacement_character(void **state)
{
    struct fixture *f = *state;
    json_string(&f->w, "a\xFF"
                       "b\xC3(\xED\xA0\x80");
    expect(f, "\"a\xEF\xBF\xBD"
              "b\xEF\xBF\xBD(\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"");
}

static void a_slice_may_hold_nul_or_nothing(void **state)
{
    struct fixture *f = *state;
    json_begin_array(&f->w);
    json_slice(&f->w, (struct slice){"a\0b", 3});
    json_slice(&f->w, SLICE_EMPTY);
    json_slice(&f->w, (struct slice){"\xE2\x82\xAC", 2}); /* cut inside a sequence */
    json_end_array(&f->w);
    expect(f, "[\"a\\u0000b\",\"\",\"\xEF\xBF\xBD\xEF\xBF\xBD\"]");
}

static void every_byte_at_every_place_reads_back_as_written(void **state)
{
    struct fixture *f = *state;
    for (int byte = 1; byte < 0x80; byte++) {
        for (int before = 0; before < 17; before++) {
            char text[64];
            snprintf(text, sizeof(text), "%.*s%c%s", before, "abcdefghijklmnopqrstuvwxyz", byte,
                     "0123456789");
            buf_reset(&f->out);
            json_writer_init(&f->w, &f->out);
            json_string(&f->w, text);
            cJSON *tree = json_parse(buf_slice(&f->out), NULL);
            assert_non_null(tree);
            assert_string_equal(tree->valuestring, text);
            cJSON_Delete(tree);
        }
    }
}

static void integers_are_exact_to_64_bits(void **state)
{
    struct fixture *f = *state;
    json_begin_array(&f->w);
    json_int(&f->w, INT64_MIN);
    json_int(&f->w, INT64_MAX);
    json_int(&f->w, 0);
    json_end_array(&f->w);
    expect(f, "[-9223372036854775808,9223372036854775807,0]");
}

static void doubles_are_short(void **state)
{
    struct fixture *f = *state;
    json_begin_array(&f->w);
    json_double(&f->w, 0.1);
    json_double(&f->w, 3.0);
    json_double(&f->w, -2.5);
    json_double(&f->w, 1e300);
    json_double(&f->w, 0.1 + 0.2);
    json_end_array(&f->w);
    expect(f, "[0.1,3,-2.5,1e+300,0.30000000000000004]");
}

static void doubles_read_back_as_written(void **state)
{
    struct fixture *f = *state;
    static const double numbers[] = {DBL_MAX, -DBL_MAX, DBL_MIN, DBL_EPSILON,        1.0 / 3,
                                     1e15,    1e16 + 2, 5e-324,  9007199254740993.0, 123456.789};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
        buf_reset(&f->out);
        json_writer_init(&f->w, &f->out);
        json_double(&f->w, numbers[i]);
        assert_int_equal(json_check(buf_slice(&f->out), NULL), 0);
        assert_true(strtod(f->out.ptr, NULL) == numbers[i]);
    }
}

static void what_json_cannot_hold_is_null(void **state)
{
    struct fixture *f = *state;
    json_begin_array(&f->w);
    json_double(&f->w, (double)INFINITY);
    json_double(&f->w, -(double)INFINITY);
    json_double(&f->w, (double)NAN);
    json_end_array(&f->w);
    expect(f, "[null,null,null]");
}

static void a_tree_is_written_as_it_was_read(void **state)
{
    struct fixture *f = *state;
    static const char text[] = "{\"a\":[1,-2.5,true,false,null,\"x\\ny\",{},[]],\"b\":{\"c\":{}},"
                               "\"\":\"\"}";
    cJSON *tree = json_parse(SLICE_LIT(text), NULL);
    json_tree(&f->w, tree);
    cJSON_Delete(tree);
    expect(f, text);
}

static void the_deepest_tree_fits_inside_a_deeper_answer(void **state)
{
    struct fixture *f = *state;
    char text[2 * (size_t)JSON_DEPTH_MAX + 1];
    memset(text, '[', JSON_DEPTH_MAX);
    memset(text + JSON_DEPTH_MAX, ']', JSON_DEPTH_MAX);
    text[sizeof(text) - 1] = '\0';
    cJSON *tree = json_parse(slice_from_cstr(text), NULL);
    for (int i = 0; i < 10; i++)
        json_begin_array(&f->w);
    json_tree(&f->w, tree);
    json_tree(&f->w, tree);
    for (int i = 0; i < 10; i++)
        json_end_array(&f->w);
    cJSON_Delete(tree);
    char expected[1000];
    snprintf(expected, sizeof(expected), "[[[[[[[[[[%s,%s]]]]]]]]]]", text, text);
    expect(f, expected);
}

static void an_error_sticks_in_the_buffer(void **state)
{
    (void)state;
    struct buf small;
    struct json_writer w;
    buf_init(&small, 8);
    json_writer_init(&w, &small);
    json_begin_object(&w);
    json_key_string(&w, "key", "much too long");
    json_end_object(&w);
    assert_int_equal(buf_status(&small), BASE_ELIMIT);
    buf_deinit(&small);
}

static void memory_running_out_marks_the_buffer(void **state)
{
    (void)state;
    struct mem_loop loop = {0};
    while (mem_loop_next(&loop)) {
        struct buf out;
        struct json_writer w;
        buf_init(&out, 1 << 20);
        json_writer_init(&w, &out);
        json_begin_array(&w);
        for (int i = 0; i < 500; i++)
            json_string(&w, "a text with \"quotes\"");
        json_end_array(&w);
        mem_loop_expect(&loop, buf_status(&out), BASE_ENOMEM);
        buf_deinit(&out);
    }
}

#define WRITER_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WRITER_TEST(commas_stand_between_values_and_nowhere_else),
        WRITER_TEST(a_lone_value_is_a_whole_text),
        WRITER_TEST(a_writer_may_begin_behind_other_text),
        WRITER_TEST(raw_text_counts_as_one_value),
        WRITER_TEST(strings_are_escaped_as_json_demands),
        WRITER_TEST(keys_are_escaped_too),
        WRITER_TEST(terminal_controls_of_latin_1_are_escaped),
        WRITER_TEST(invalid_utf8_becomes_the_replacement_character),
        WRITER_TEST(a_slice_may_hold_nul_or_nothing),
        WRITER_TEST(every_byte_at_every_place_reads_back_as_written),
        WRITER_TEST(integers_are_exact_to_64_bits),
        WRITER_TEST(doubles_are_short),
        WRITER_TEST(doubles_read_back_as_written),
        WRITER_TEST(what_json_cannot_hold_is_null),
        WRITER_TEST(a_tree_is_written_as_it_was_read),
        WRITER_TEST(the_deepest_tree_fits_inside_a_deeper_answer),
        cmocka_unit_test(an_error_sticks_in_the_buffer),
        cmocka_unit_test(memory_running_out_marks_the_buffer),
    };
    return cmocka_run_group_tests_name("base/json_write", tests, NULL, NULL);
}
