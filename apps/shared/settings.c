#include "shared/settings.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/secret.h"

/* clang-format off: one setting a row */
const struct config_setting shared_rows[SHARED_ROWS] = {
    [SHARED_SECRETS_DIR] =
        {"SECRETS_DIR", CONFIG_STRING, NULL, NULL, 0, 0, "",
         "folder with a file for each secret that is set neither by flag nor by environment, named "
         "like its setting; a new content holds without a restart"},
    [SHARED_DATABASE_URL] =
        {"DATABASE_URL", CONFIG_SECRET, NULL, NULL, 0, 0, "",
         "PostgreSQL connection string; without it the program runs a private PostgreSQL"},
    [SHARED_DATA_DIR] = {"DATA_DIR", CONFIG_STRING, NULL, NULL, 0, 0, "",
                         "where the private PostgreSQL lives; default $XDG_DATA_HOME/todo-app or "
                         "~/.local/share/todo-app, as root /var/lib/todo-app"},
    [SHARED_POOL_SIZE] = {"POOL_SIZE", CONFIG_INT, "8", NULL, 1, 128, "",
                          "connections to PostgreSQL"},
    [SHARED_STATEMENT_TIMEOUT_MS] = {"STATEMENT_TIMEOUT_MS", CONFIG_INT, "10000", NULL, 100, 600000,
                                     "ms", "longest run of one statement"},
    [SHARED_USE_DAPR] = {"USE_DAPR", CONFIG_BOOL, "false", NULL, 0, 0, "",
                         "events, state and jobs go through the Dapr sidecar"},
    [SHARED_DAPR_HTTP_PORT] = {"DAPR_HTTP_PORT", CONFIG_INT, "3500", NULL, 1, 65535, "",
                               "the sidecar's HTTP port, on 127.0.0.1"},
    [SHARED_DAPR_API_TOKEN] = {"DAPR_API_TOKEN", CONFIG_SECRET, NULL, NULL, 0, 0, "",
                               "what the sidecar asks of us (header dapr-api-token)"},
    [SHARED_APP_API_TOKEN] =
        {"APP_API_TOKEN", CONFIG_SECRET, NULL, NULL, 0, 0, "",
         "what deliveries of events need to carry (header dapr-api-token); without it they are "
         "taken from this machine alone, and from no browser"},
    [SHARED_PUBSUB_NAME] = {"PUBSUB_NAME", CONFIG_STRING, "pubsub-kafka", NULL, 0, 0, "",
                            "Dapr's pub/sub component"},
    [SHARED_STATE_STORE_NAME] = {"STATE_STORE_NAME", CONFIG_STRING, "statestore-postgres", NULL, 0,
                                 0, "", "Dapr's state store component"},
    [SHARED_KAFKA_BROKERS] =
        {"KAFKA_BROKERS", CONFIG_STRING, NULL, NULL, 0, 0, "",
         "host:port, separated by commas: events go straight to Kafka where USE_DAPR is false; "
         "without brokers the server posts them to the workers by HTTP"},
    [SHARED_KAFKA_SASL_MECHANISM] = {"KAFKA_SASL_MECHANISM", CONFIG_ENUM, "none",
                                     "none|PLAIN|SCRAM-SHA-256|SCRAM-SHA-512", 0, 0, "",
                                     "how to say to Kafka who we are"},
    [SHARED_KAFKA_SASL_USERNAME] = {"KAFKA_SASL_USERNAME", CONFIG_SECRET, NULL, NULL, 0, 0, "",
                                    "the user's name"},
    [SHARED_KAFKA_SASL_PASSWORD] = {"KAFKA_SASL_PASSWORD", CONFIG_SECRET, NULL, NULL, 0, 0, "",
                                    "the user's password"},
    [SHARED_KAFKA_TLS] = {"KAFKA_TLS", CONFIG_BOOL, "false", NULL, 0, 0, "",
                          "speak TLS with Kafka, whose certificate is verified"},
    [SHARED_KAFKA_CA_FILE] = {"KAFKA_CA_FILE", CONFIG_STRING, NULL, NULL, 0, 0, "",
                              "PEM file of the authorities to trust; default: the system's"},
    [SHARED_OTLP_ENDPOINT] =
        {"OTEL_EXPORTER_OTLP_ENDPOINT", CONFIG_STRING, NULL, NULL, 0, 0, "",
         "collector of traces, such as http://127.0.0.1:4318 (OTLP over HTTP, JSON); without it "
         "nothing is traced"},
    [SHARED_TRACE_SAMPLE_PERCENT] =
        {"TRACE_SAMPLE_PERCENT", CONFIG_INT, "100", NULL, 0, 100, "",
         "how many of the traces that begin here are kept; those of a caller follow its choice"},
    [SHARED_DRAIN_MS] = {"DRAIN_MS", CONFIG_INT, "10000", NULL, 0, 600000, "ms",
                         "how long what is in flight may take to end after SIGTERM or SIGINT"},
    [SHARED_LOG_LEVEL] = {"LOG_LEVEL", CONFIG_ENUM, "info", "debug|info|warn|error|off", 0, 0, "",
                          "what goes to stderr"},
    [SHARED_LOG_FORMAT] = {"LOG_FORMAT", CONFIG_ENUM, "auto", "auto|json|text", 0, 0, "",
                           "auto: text on a terminal, else one JSON object a line"},
};
/* clang-format on */

void shared_table_make(const struct config_setting *own, size_t own_count,
                       struct config_setting *out)
{
    if (own_count > 0)
        memcpy(out, own, own_count * sizeof(*own));
    memcpy(out + own_count, shared_rows, sizeof(shared_rows));
}

/* ---- the default of DATA_DIR ---- */

static const char *home_of_user(void)
{
    const char *home = getenv("HOME");
    if (home && *home)
        return home;
    const struct passwd *user = getpwuid(getuid());
    return user ? user->pw_dir : NULL;
}

/* Root's home is closed to user postgres, whom PostgreSQL runs as when root starts it. */
static int default_data_dir(struct shared_settings *s, struct error *err)
{
    const char *data_home = getenv("XDG_DATA_HOME");
    const char *home = home_of_user();
    int len = -1;
    if (data_home && data_home[0] == '/')
        len = snprintf(s->data_dir, sizeof(s->data_dir), "%s/todo-app", data_home);
    else if (geteuid() == 0)
        len = snprintf(s->data_dir, sizeof(s->data_dir), "/var/lib/todo-app");
    else if (home)
        len = snprintf(s->data_dir, sizeof(s->data_dir), "%s/.local/share/todo-app", home);
    if (len < 0 || (size_t)len >= sizeof(s->data_dir))
        return error_set(err, BASE_EINVAL, "DATA_DIR", "DATA_DIR has no default here: set it");
    return 0;
}

/* ---- values -> settings ---- */

static int fill_data_dir(struct shared_settings *s, const struct config_value *v, struct error *err)
{
    const char *text = v[SHARED_DATA_DIR].text;
    if (!text)
        return secret_text(&s->database_url) ? 0 : default_data_dir(s, err);
    int len = snprintf(s->data_dir, sizeof(s->data_dir), "%s", text);
    if (len < 0 || (size_t)len >= sizeof(s->data_dir))
        return error_set(err, BASE_EINVAL, "DATA_DIR", "DATA_DIR is too long");
    return 0;
}

static void fill_dapr(struct shared_settings *s, const struct config_value *v)
{
    s->dapr_http_port = (uint16_t)v[SHARED_DAPR_HTTP_PORT].num;
    s->pubsub_name = v[SHARED_PUBSUB_NAME].text;
    s->state_store_name = v[SHARED_STATE_STORE_NAME].text;
}

static void fill_kafka(struct shared_settings *s, const struct config_value *v)
{
    const struct config_value *mechanism = &v[SHARED_KAFKA_SASL_MECHANISM];
    s->kafka = (struct kafka_config){
        .brokers = v[SHARED_KAFKA_BROKERS].text,
        .sasl_mechanism = mechanism->num ? mechanism->text : NULL,
        .sasl_username = &s->kafka_username,
        .sasl_password = &s->kafka_password,
        .tls = v[SHARED_KAFKA_TLS].flag,
        .ca_file = v[SHARED_KAFKA_CA_FILE].text,
    };
}

static enum shared_transport transport_of(const struct shared_settings *s, bool use_dapr)
{
    if (use_dapr)
        return SHARED_DAPR;
    return s->kafka.brokers ? SHARED_KAFKA : SHARED_DIRECT;
}

static int check_secrets_dir(const char *dir, struct error *err)
{
    struct stat found;
    if (!dir || (stat(dir, &found) == 0 && S_ISDIR(found.st_mode)))
        return 0;
    return error_set(err, BASE_EINVAL, "SECRETS_DIR",
                     "SECRETS_DIR is \"%.160s\", which is no folder", dir);
}

static int fill_secrets(struct shared_settings *s, const struct config_value *v, struct error *err)
{
    const struct {
        struct secret *secret;
        enum shared_row row;
    } all[] = {{&s->database_url, SHARED_DATABASE_URL},
               {&s->dapr_api_token, SHARED_DAPR_API_TOKEN},
               {&s->app_api_token, SHARED_APP_API_TOKEN},
               {&s->kafka_username, SHARED_KAFKA_SASL_USERNAME},
               {&s->kafka_password, SHARED_KAFKA_SASL_PASSWORD}};
    int status = check_secrets_dir(s->secrets_dir, err);
    for (size_t i = 0; i < sizeof(all) / sizeof(*all) && !status; i++)
        status = secret_init(all[i].secret, shared_rows[all[i].row].name, v[all[i].row].text,
                             s->secrets_dir, err);
    return status;
}

int shared_settings_fill(struct shared_settings *s, const struct config_value *v, struct error *err)
{
    *s = (struct shared_settings){
        .secrets_dir = v[SHARED_SECRETS_DIR].text,
        .pool_size = (uint32_t)v[SHARED_POOL_SIZE].num,
        .statement_ms = (uint32_t)v[SHARED_STATEMENT_TIMEOUT_MS].num,
        .otlp_endpoint = v[SHARED_OTLP_ENDPOINT].text,
        .trace_percent = (uint32_t)v[SHARED_TRACE_SAMPLE_PERCENT].num,
        .drain_ms = (uint32_t)v[SHARED_DRAIN_MS].num,
        .log_level = (enum log_level)v[SHARED_LOG_LEVEL].num,
        .log_format = (enum log_format)v[SHARED_LOG_FORMAT].num,
    };
    fill_dapr(s, v);
    fill_kafka(s, v);
    s->transport = transport_of(s, v[SHARED_USE_DAPR].flag);
    int status = fill_secrets(s, v, err);
    if (!status && s->transport == SHARED_KAFKA)
        status = kafka_config_check(&s->kafka, err);
    return status ? status : fill_data_dir(s, v, err);
}

void shared_settings_watch(struct shared_settings *s, struct secret_watch *watch)
{
    secret_watch_add(watch, &s->database_url);
    secret_watch_add(watch, &s->kafka_username);
    secret_watch_add(watch, &s->kafka_password);
    if (s->transport != SHARED_DAPR)
        secret_watch_add(watch, &s->app_api_token);
}

enum shared_action shared_action_of(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return SHARED_HELP;
        if (strcmp(argv[i], "--version") == 0)
            return SHARED_VERSION;
    }
    return SHARED_RUN;
}
