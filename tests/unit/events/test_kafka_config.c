/* What the settings KAFKA_* say together: taken, or refused by the name of the one at fault. */
#include "base/error.h"
#include "base/secret.h"
#include "events/kafka_config.h"
#include "support/unit.h"

static void brokers_are_hosts_with_ports(void **state)
{
    static const char *const good[] = {"a:9092", "a", "a:1,b:2,c:65535", "[::1]:9092",
                                       "10.0.0.1:9"};
    static const char *const bad[] = {
        "",      ",",        "a:0",      "a:65536", "a:",           "a:1,",   ",a:1",
        "a: 1",  "a:1, b:2", ":9092",    "a:b",     "a:1:2",        "[::1",   "http://a:1",
        "a@b:1", "a:1;b:2",  "a:123456", "[::1]9",  "a:1\nb.c:d=e", "\"a\":1"};
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        const struct kafka_config c = {.brokers = good[i]};
        assert_int_equal(kafka_config_check(&c, NULL), 0);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        const struct kafka_config c = {.brokers = bad[i]};
        struct error err = {0};
        assert_int_equal(kafka_config_check(&c, &err), BASE_EINVAL);
        assert_string_equal(err.field, "KAFKA_BROKERS");
    }
}

static void what_does_not_go_together_is_refused(void **state)
{
    static const struct secret user = {.fixed = "u"};
    static const struct secret password = {.fixed = "p"};
    static const struct {
        struct kafka_config config;
        const char *field;
    } bad[] = {
        {{.brokers = NULL}, "KAFKA_BROKERS"},
        {{.brokers = "a", .sasl_username = &user}, "KAFKA_SASL_MECHANISM"},
        {{.brokers = "a", .sasl_password = &password}, "KAFKA_SASL_MECHANISM"},
        {{.brokers = "a", .sasl_mechanism = "GSSAPI"}, "KAFKA_SASL_MECHANISM"},
        {{.brokers = "a", .sasl_mechanism = "PLAIN", .sasl_password = &password},
         "KAFKA_SASL_USERNAME"},
        {{.brokers = "a", .sasl_mechanism = "PLAIN", .sasl_username = &user},
         "KAFKA_SASL_PASSWORD"},
        {{.brokers = "a", .ca_file = "/etc/passwd"}, "KAFKA_TLS"},
        {{.brokers = "a", .tls = true, .ca_file = "/nowhere.pem"}, "KAFKA_CA_FILE"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct error err = {0};
        assert_int_equal(kafka_config_check(&bad[i].config, &err), BASE_EINVAL);
        assert_string_equal(err.field, bad[i].field);
    }
}

static void the_protocol_follows_from_user_and_tls(void **state)
{
    struct kafka_config c = {.brokers = "a"};
    (void)state;
    assert_string_equal(kafka_config_protocol(&c), "PLAINTEXT");
    c.tls = true;
    assert_string_equal(kafka_config_protocol(&c), "SSL");
    c.sasl_mechanism = "SCRAM-SHA-256";
    assert_string_equal(kafka_config_protocol(&c), "SASL_SSL");
    c.tls = false;
    assert_string_equal(kafka_config_protocol(&c), "SASL_PLAINTEXT");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(brokers_are_hosts_with_ports),
        cmocka_unit_test(what_does_not_go_together_is_refused),
        cmocka_unit_test(the_protocol_follows_from_user_and_tls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
