#include "support/unit.h"

#include "base/buf.h"
#include "base/config.h"
#include "base/error.h"

enum { DATABASE_URL, HTTP_PORT, USE_DAPR, LOG_LEVEL, SMTP_PASSWORD, OFFSET, SETTING_COUNT };

static const struct config_setting table[SETTING_COUNT] = {
    [DATABASE_URL] = {.name = "DATABASE_URL", .type = CONFIG_STRING, .help = "Where the data is"},
    [HTTP_PORT] = {.name = "HTTP_PORT",
                   .type = CONFIG_INT,
                   .default_value = "8000",
                   .min = 0,
                   .max = 65535,
                   .help = "Port to listen on"},
    [USE_DAPR] = {.name = "USE_DAPR",
                  .type = CONFIG_BOOL,
                  .default_value = "false",
                  .help = "Publish through Dapr"},
    [LOG_LEVEL] = {.name = "LOG_LEVEL",
                   .type = CONFIG_ENUM,
                   .default_value = "info",
                   .choices = "debug|info|warn",
                   .help = "What is logged"},
    [SMTP_PASSWORD] = {.name = "SMTP_PASSWORD",
                       .type = CONFIG_SECRET,
                       .default_value = "s3cret",
                       .help = "For SMTP"},
    [OFFSET] = {.name = "OFFSET",
                .type = CONFIG_INT,
                .min = -10,
                .max = 10,
                .unit = "ms",
                .help = "A number that may be negative"},
};

struct load {
    struct config_value values[SETTING_COUNT];
    struct error err;
    int rest;
};

static int load_with(struct load *l, config_getenv_fn env, int argc, const char *const *args)
{
    char *argv[16] = {NULL};
    memset(l, 0, sizeof(*l));
    for (int i = 0; i < argc; i++)
        argv[i] = (char *)(uintptr_t)args[i]; /* main's argv is not const; config only reads */
    return config_load(table, SETTING_COUNT, argc, argv, env, l->values, &l->rest, &l->err);
}

#define LOAD(l, env, ...)                                                                          \
    load_with((l), (env),                                                                          \
              (int)(sizeof((const char *[]){"program", __VA_ARGS__}) / sizeof(char *)),            \
              (const char *[]){"program", __VA_ARGS__})

static const char *full_environment(const char *name)
{
    if (strcmp(name, "DATABASE_URL") == 0)
        return "postgres://environment";
    if (strcmp(name, "HTTP_PORT") == 0)
        return "9000";
    if (strcmp(name, "USE_DAPR") == 0)
        return "on";
    return strcmp(name, "LOG_LEVEL") == 0 ? "warn" : NULL;
}

static const char *bad_port(const char *name)
{
    return strcmp(name, "HTTP_PORT") == 0 ? "eighty" : NULL;
}

static const char *empty_environment(const char *name)
{
    (void)name;
    return "";
}

static void defaults_apply_where_nothing_is_given(void **state)
{
    (void)state;
    struct load l;
    assert_int_equal(load_with(&l, NULL, 1, (const char *[]){"program"}), 0);
    assert_null(l.values[DATABASE_URL].text);
    assert_int_equal(l.values[HTTP_PORT].num, 8000);
    assert_false(l.values[USE_DAPR].flag);
    assert_int_equal(l.values[LOG_LEVEL].num, 1);
    assert_string_equal(l.values[LOG_LEVEL].text, "info");
    for (int i = 0; i < SETTING_COUNT; i++)
        assert_false(l.values[i].is_set);
    assert_int_equal(l.rest, 1);
}

static void the_environment_wins_over_defaults(void **state)
{
    (void)state;
    struct load l;
    assert_int_equal(load_with(&l, full_environment, 1, (const char *[]){"program"}), 0);
    assert_string_equal(l.values[DATABASE_URL].text, "postgres://environment");
    assert_int_equal(l.values[HTTP_PORT].num, 9000);
    assert_true(l.values[USE_DAPR].flag);
    assert_int_equal(l.values[LOG_LEVEL].num, 2);
    assert_true(l.values[HTTP_PORT].is_set);
}

static void an_empty_variable_counts_as_unset(void **state)
{
    (void)state;
    struct load l;
    assert_int_equal(load_with(&l, empty_environment, 1, (const char *[]){"program"}), 0);
    assert_int_equal(l.values[HTTP_PORT].num, 8000);
    assert_false(l.values[HTTP_PORT].is_set);
}

static void a_flag_wins_over_the_environment(void **state)
{
    (void)state;
    struct load l;
    assert_int_equal(LOAD(&l, full_environment, "--http-port", "1", "--log-level=debug",
                          "--use-dapr=no", "--database-url", "here"),
                     0);
    assert_int_equal(l.values[HTTP_PORT].num, 1);
    assert_int_equal(l.values[LOG_LEVEL].num, 0);
    assert_false(l.values[USE_DAPR].flag);
    assert_string_equal(l.values[DATABASE_URL].text, "here");
}

static void a_malformed_variable_that_a_flag_overrides_is_not_read(void **state)
{
    (void)state;
    struct load l;
    assert_int_equal(LOAD(&l, bad_port, "--http-port=80"), 0);
    assert_int_equal(l.values[HTTP_PORT].num, 80);
}

static void the_last_flag_of_a_kind_wins(void **state)
{
    (void)state;
    struct load l;
    assert_int_equal(LOAD(&l, NULL, "--http-port=1", "--http-port=2"), 0);
    assert_int_equal(l.values[HTTP_PORT].num, 2);
}

static void a_flag_may_be_set_to_nothing(void **state)
{
    (void)state;
    struct load l;
    assert_int_equal(LOAD(&l, full_environment, "--database-url="), 0);
    assert_string_equal(l.values[DATABASE_URL].text, "");
    assert_true(l.values[DATABASE_URL].is_set);
}

static void a_bool_flag_needs_no_value_and_takes_none_that_follows(void **state)
{
    (void)state;
    struct load l;
    assert_int_equal(LOAD(&l, NULL, "--use-dapr", "false"), 0);
    assert_true(l.values[USE_DAPR].flag);
    assert_int_equal(l.rest, 2);
}

static void every_word_for_true_and_false_is_known(void **state)
{
    (void)state;
    static const char *const yes[] = {"true", "1", "yes", "on", "TRUE"};
    static const char *const no[] = {"false", "0", "no", "off", "Off"};
    for (int i = 0; i < 5; i++) {
        struct load l;
        char flag[32];
        snprintf(flag, sizeof(flag), "--use-dapr=%s", yes[i]);
        assert_int_equal(LOAD(&l, NULL, flag), 0);
        assert_true(l.values[USE_DAPR].flag);
        snprintf(flag, sizeof(flag), "--use-dapr=%s", no[i]);
        assert_int_equal(LOAD(&l, NULL, flag), 0);
        assert_false(l.values[USE_DAPR].flag);
    }
}

static void rest_is_the_first_argument_that_is_no_flag(void **state)
{
    (void)state;
    struct load l;
    assert_int_equal(LOAD(&l, NULL, "--http-port", "1", "migrate", "--http-port", "2"), 0);
    assert_int_equal(l.rest, 3);
    assert_int_equal(l.values[HTTP_PORT].num, 1);
    assert_int_equal(LOAD(&l, NULL, "--http-port", "1"), 0);
    assert_int_equal(l.rest, 3);
}

static void two_dashes_end_the_flags(void **state)
{
    (void)state;
    struct load l;
    assert_int_equal(LOAD(&l, NULL, "--", "--http-port"), 0);
    assert_int_equal(l.rest, 2);
    assert_false(l.values[HTTP_PORT].is_set);
}

static void rest_may_be_left_out(void **state)
{
    (void)state;
    struct config_value values[SETTING_COUNT];
    char program[] = "program";
    char *argv[] = {program, NULL};
    assert_int_equal(config_load(table, SETTING_COUNT, 1, argv, NULL, values, NULL, NULL), 0);
}

static void an_unknown_flag_is_named_without_its_value(void **state)
{
    (void)state;
    struct load l;
    assert_int_equal(LOAD(&l, NULL, "--smtp-pasword=hunter2"), BASE_EINVAL);
    assert_string_equal(l.err.field, "--smtp-pasword");
    assert_non_null(strstr(l.err.text, "\"--smtp-pasword\""));
    assert_null(strstr(l.err.text, "hunter2"));
}

static void a_prefix_of_a_flag_is_unknown(void **state)
{
    (void)state;
    struct load l;
    assert_int_equal(LOAD(&l, NULL, "--http", "1"), BASE_EINVAL);
    assert_int_equal(LOAD(&l, NULL, "--http-ports", "1"), BASE_EINVAL);
    assert_int_equal(LOAD(&l, NULL, "--HTTP-PORT", "1"), BASE_EINVAL);
}

static void a_flag_without_its_value_is_named(void **state)
{
    (void)state;
    struct load l;
    assert_int_equal(LOAD(&l, NULL, "--http-port"), BASE_EINVAL);
    assert_string_equal(l.err.field, "HTTP_PORT");
    assert_string_equal(l.err.text, "--http-port needs a value");
    assert_int_equal(LOAD(&l, NULL, "--database-url", "--use-dapr"), BASE_EINVAL);
    assert_string_equal(l.err.field, "DATABASE_URL");
}

static void malformed_numbers_are_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"",    " 1",     "1 ", "+1",    "0x10",
                                        "1.5", "eighty", "-1", "65536", "9223372036854775808",
                                        "1e3", "-"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        struct load l;
        char flag[64];
        snprintf(flag, sizeof(flag), "--http-port=%s", texts[i]);
        if (LOAD(&l, NULL, flag) != BASE_EINVAL)
            fail_msg("\"%s\" was taken", texts[i]);
        assert_string_equal(l.err.field, "HTTP_PORT");
    }
}

static void a_refusal_names_the_setting_what_came_and_what_was_expected(void **state)
{
    (void)state;
    struct load l;
    assert_int_equal(load_with(&l, bad_port, 1, (const char *[]){"program"}), BASE_EINVAL);
    assert_string_equal(l.err.field, "HTTP_PORT");
    assert_string_equal(l.err.text,
                        "HTTP_PORT is \"eighty\"; expected a whole number from 0 to 65535");
    LOAD(&l, NULL, "--offset=11");
    assert_string_equal(l.err.text, "OFFSET is \"11\"; expected a whole number from -10 to 10 ms");
    LOAD(&l, NULL, "--log-level=inf");
    assert_string_equal(l.err.text, "LOG_LEVEL is \"inf\"; expected one of debug|info|warn");
    LOAD(&l, NULL, "--use-dapr=maybe");
    assert_string_equal(l.err.text, "USE_DAPR is \"maybe\"; expected true or false");
}

static void the_ends_of_a_range_are_taken(void **state)
{
    (void)state;
    struct load l;
    assert_int_equal(LOAD(&l, NULL, "--http-port=65535", "--offset", "-10"), 0);
    assert_int_equal(l.values[HTTP_PORT].num, 65535);
    assert_int_equal(l.values[OFFSET].num, -10);
}

static void help_lists_each_setting_in_aligned_columns(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 10000);
    config_help(table, SETTING_COUNT, &out);
    assert_int_equal(buf_status(&out), 0);
    assert_string_equal(
        out.ptr,
        "  Flag                           Environment    Default   Meaning\n"
        "  --database-url <text>          DATABASE_URL   -         Where the data is\n"
        "  --http-port <number>           HTTP_PORT      8000      Port to listen on (0 to 65535)\n"
        "  --use-dapr                     USE_DAPR       false     Publish through Dapr\n"
        "  --log-level <debug|info|warn>  LOG_LEVEL      info      What is logged\n"
        "  --smtp-password <text>         SMTP_PASSWORD  (secret)  For SMTP\n"
        "  --offset <ms>                  OFFSET         -         A number that may be negative "
        "(-10 to 10 ms)\n");
    buf_deinit(&out);
}

static void a_secret_is_never_shown(void **state)
{
    (void)state;
    struct buf out;
    struct load l;
    buf_init(&out, 10000);
    config_help(table, SETTING_COUNT, &out);
    assert_null(strstr(out.ptr, "s3cret"));
    buf_deinit(&out);
    assert_int_equal(LOAD(&l, NULL, "--smtp-password", "hunter2"), 0);
    assert_string_equal(l.values[SMTP_PASSWORD].text, "hunter2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_apply_where_nothing_is_given),
        cmocka_unit_test(the_environment_wins_over_defaults),
        cmocka_unit_test(an_empty_variable_counts_as_unset),
        cmocka_unit_test(a_flag_wins_over_the_environment),
        cmocka_unit_test(a_malformed_variable_that_a_flag_overrides_is_not_read),
        cmocka_unit_test(the_last_flag_of_a_kind_wins),
        cmocka_unit_test(a_flag_may_be_set_to_nothing),
        cmocka_unit_test(a_bool_flag_needs_no_value_and_takes_none_that_follows),
        cmocka_unit_test(every_word_for_true_and_false_is_known),
        cmocka_unit_test(rest_is_the_first_argument_that_is_no_flag),
        cmocka_unit_test(two_dashes_end_the_flags),
        cmocka_unit_test(rest_may_be_left_out),
        cmocka_unit_test(an_unknown_flag_is_named_without_its_value),
        cmocka_unit_test(a_prefix_of_a_flag_is_unknown),
        cmocka_unit_test(a_flag_without_its_value_is_named),
        cmocka_unit_test(malformed_numbers_are_refused),
        cmocka_unit_test(a_refusal_names_the_setting_what_came_and_what_was_expected),
        cmocka_unit_test(the_ends_of_a_range_are_taken),
        cmocka_unit_test(help_lists_each_setting_in_aligned_columns),
        cmocka_unit_test(a_secret_is_never_shown),
    };
    return cmocka_run_group_tests_name("base/config", tests, NULL, NULL);
}
