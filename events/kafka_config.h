#pragma once
/* events/kafka_config: how Kafka is reached, as the settings KAFKA_* say it.
 * Secrets stand in here and in librdkafka's configuration, and are never written anywhere. */
#include <stdbool.h>

struct error;
struct secret;

/* Borrowed texts, which have to live as long as what is made of them. */
struct kafka_config {
    const char *brokers;        /* "host:port,host:port" */
    const char *sasl_mechanism; /* PLAIN, SCRAM-SHA-256, SCRAM-SHA-512; NULL: no SASL */
    const struct secret *sasl_username, *sasl_password; /* followed where they change */
    bool tls;            /* certificates and the names in them are verified */
    const char *ca_file; /* PEM; NULL: the system's authorities */
};

/* 0, or BASE_EINVAL with the setting at fault in err->field. */
__attribute__((warn_unused_result)) int kafka_config_check(const struct kafka_config *config,
                                                           struct error *err);
/* What librdkafka calls it: PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL. */
const char *kafka_config_protocol(const struct kafka_config *config);
