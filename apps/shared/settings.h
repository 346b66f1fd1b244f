#pragma once
/* apps/shared/settings: the settings that all our programs have: database, transport, end, log.
 * A program's table is its own rows and then shared_rows: `shared_table_make` puts them together,
 * so that no row is written twice. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/config.h"
#include "base/log.h"
#include "base/secret.h"
#include "events/kafka_config.h"

struct error;

enum shared_row {
    SHARED_SECRETS_DIR,
    SHARED_DATABASE_URL,
    SHARED_DATA_DIR,
    SHARED_POOL_SIZE,
    SHARED_STATEMENT_TIMEOUT_MS,
    SHARED_USE_DAPR,
    SHARED_DAPR_HTTP_PORT,
    SHARED_DAPR_API_TOKEN,
    SHARED_APP_API_TOKEN,
    SHARED_PUBSUB_NAME,
    SHARED_STATE_STORE_NAME,
    SHARED_KAFKA_BROKERS,
    SHARED_KAFKA_SASL_MECHANISM,
    SHARED_KAFKA_SASL_USERNAME,
    SHARED_KAFKA_SASL_PASSWORD,
    SHARED_KAFKA_TLS,
    SHARED_KAFKA_CA_FILE,
    SHARED_OTLP_ENDPOINT,
    SHARED_TRACE_SAMPLE_PERCENT,
    SHARED_DRAIN_MS,
    SHARED_LOG_LEVEL,
    SHARED_LOG_FORMAT,
    SHARED_ROWS
};
extern const struct config_setting shared_rows[SHARED_ROWS];

/* How events travel: USE_DAPR, else KAFKA_BROKERS, else by HTTP from the relay to the workers. */
enum shared_transport { SHARED_DIRECT, SHARED_KAFKA, SHARED_DAPR };

/* Strings are borrowed from argv, the environment and the table. A copy's `kafka` has the secrets
 * of what it was copied from. */
struct shared_settings {
    const char *secrets_dir;    /* NULL: none */
    struct secret database_url; /* without a value: the private cluster in data_dir */
    char data_dir[4096];
    uint32_t pool_size;
    uint32_t statement_ms;
    enum shared_transport transport;
    uint16_t dapr_http_port;
    struct secret dapr_api_token;
    struct secret app_api_token;
    const char *pubsub_name;
    const char *state_store_name;
    struct secret kafka_username, kafka_password;
    struct kafka_config kafka; /* brokers NULL: no Kafka */
    const char *otlp_endpoint; /* NULL: no traces */
    uint32_t trace_percent;
    uint32_t drain_ms;
    enum log_level log_level;
    enum log_format log_format;
};

/* out[own_count + SHARED_ROWS]: the program's own rows, then the shared ones. */
void shared_table_make(const struct config_setting *own, size_t own_count,
                       struct config_setting *out);
/* `values` are those of shared_rows. 0, or BASE_EINVAL with the setting in err->field. */
__attribute__((warn_unused_result)) int shared_settings_fill(struct shared_settings *s,
                                                             const struct config_value *values,
                                                             struct error *err);
/* From now on the secrets follow their files. Not those that a sidecar takes at its own start: they
 * are new when both are. */
void shared_settings_watch(struct shared_settings *s, struct secret_watch *watch);
/* The first of --help, -h and --version that is there; settings are not looked at then. */
enum shared_action { SHARED_RUN, SHARED_HELP, SHARED_VERSION };
enum shared_action shared_action_of(int argc, char **argv);
