#pragma once
/* tests/support/kafka_settings: KAFKA_* of the environment, as a program's settings read them. */
#include <stdlib.h>
#include <string.h>

#include "events/kafka_config.h"

static inline struct kafka_config kafka_settings_of_environment(void)
{
    const char *tls = getenv("KAFKA_TLS");
    return (struct kafka_config){.brokers = getenv("KAFKA_BROKERS"),
                                 .sasl_mechanism = getenv("KAFKA_SASL_MECHANISM"),
                                 .sasl_username = getenv("KAFKA_SASL_USERNAME"),
                                 .sasl_password = getenv("KAFKA_SASL_PASSWORD"),
                                 .tls = tls && strcmp(tls, "true") == 0,
                                 .ca_file = getenv("KAFKA_CA_FILE")};
}
