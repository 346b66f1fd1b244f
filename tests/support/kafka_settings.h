#pragma once
/* tests/support/kafka_settings: KAFKA_* of the environment, as a program's settings read them. */
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "events/kafka_config.h"

/* `login` gets user and password, and lives as long as what is made of the result. */
static inline struct kafka_config kafka_settings_of_environment(struct secret login[2])
{
    const char *tls = getenv("KAFKA_TLS");
    login[0].fixed = getenv("KAFKA_SASL_USERNAME");
    login[1].fixed = getenv("KAFKA_SASL_PASSWORD");
    return (struct kafka_config){.brokers = getenv("KAFKA_BROKERS"),
                                 .sasl_mechanism = getenv("KAFKA_SASL_MECHANISM"),
                                 .sasl_username = &login[0],
                                 .sasl_password = &login[1],
                                 .tls = tls && strcmp(tls, "true") == 0,
                                 .ca_file = getenv("KAFKA_CA_FILE")};
}
