#include "settings.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/config.h"
#include "base/error.h"
#include "base/smtp.h"
#include "events/transport_direct.h"

enum setting {
    STDIO,
    HTTP_HOST,
    HTTP_PORT,
    TODO_USER,
    TODO_TIMEZONE,
    TODO_EMAIL,
    TOOLSETS_SHOWN,
    TOOLS_SHOWN,
    READ_ONLY,
    ALLOWED_ORIGINS,
    ALLOWED_HOSTS,
    HEADER_BYTES_MAX,
    BODY_BYTES_MAX,
    CONNECTIONS_MAX,
    REQUEST_TIMEOUT_MS,
    IDLE_TIMEOUT_MS,
    SHUTDOWN_DELAY_MS,
    API_KEYS,
    OAUTH_ISSUER,
    OAUTH_AUDIENCE,
    OAUTH_JWKS_URL,
    PUBLIC_URL,
    RATE_LIMIT_PER_MINUTE,
    RATE_LIMIT_BURST,
    AUTH_FAILURES_PER_MINUTE,
    TRUSTED_PROXIES,
    RELAY,
    EVENT_SUBSCRIBERS,
    EVENT_BROKER_ID,
    OUTBOX_ATTEMPTS_MAX,
    OUTBOX_RETENTION_HOURS,
    INBOX_RETENTION_DAYS,
    REPLAY_ON_SWAP_HOURS,
    OWN_COUNT,
    SETTINGS_COUNT = OWN_COUNT + SHARED_ROWS
};

/* clang-format off: one setting a row */
static const struct config_setting table[OWN_COUNT] = {
    [STDIO] = {"STDIO", CONFIG_BOOL, "false", NULL, 0, 0, "",
               "speak MCP over stdin and stdout instead of HTTP"},
    [HTTP_HOST] =
        {"HTTP_HOST", CONFIG_STRING, "127.0.0.1", NULL, 0, 0, "",
         "numeric address to listen on; another than a loopback one needs OAUTH_ISSUER or "
         "API_KEYS"},
    [HTTP_PORT] = {"HTTP_PORT", CONFIG_INT, "8000", NULL, 0, 65535, "",
                   "port to listen on; 0 picks a free one"},
    [TODO_USER] =
        {"TODO_USER", CONFIG_STRING, NULL, NULL, 0, 0, "",
         "whose tasks these are on stdio and while callers are not authenticated; default: the "
         "login name"},
    [TODO_TIMEZONE] = {"TODO_TIMEZONE", CONFIG_STRING, NULL, NULL, 0, 0, "",
                       "time zone of a new user (IANA name); default: the system's, else UTC"},
    [TODO_EMAIL] = {"TODO_EMAIL", CONFIG_STRING, NULL, NULL, 0, 0, "",
                    "where TODO_USER gets reminders by mail; with OAuth a user's is the token's "
                    "claim email, when email_verified"},
    [TOOLSETS_SHOWN] = {"TOOLSETS", CONFIG_STRING, NULL, NULL, 0, 0, "",
                        "toolsets that agents get, separated by commas: tasks, search, categories, "
                        "tags, reminders; default: all"},
    [TOOLS_SHOWN] = {"TOOLS", CONFIG_STRING, NULL, NULL, 0, 0, "",
                     "single tools that agents get beside TOOLSETS, separated by commas; without "
                     "TOOLSETS these alone"},
    [READ_ONLY] = {"READ_ONLY", CONFIG_BOOL, "false", NULL, 0, 0, "",
                   "agents get only the tools that read, whatever else is set or asked for"},
    [ALLOWED_ORIGINS] =
        {"ALLOWED_ORIGINS", CONFIG_STRING, NULL, NULL, 0, 0, "",
         "web origins beside loopback ones that may call, separated by commas; * for all"},
    [ALLOWED_HOSTS] = {"ALLOWED_HOSTS", CONFIG_STRING, NULL, NULL, 0, 0, "",
                       "Host names beside loopback ones that the server answers to, separated by "
                       "commas; * for all"},
    [HEADER_BYTES_MAX] = {"HEADER_BYTES_MAX", CONFIG_INT, "16384", NULL, 1024, 1048576, "bytes",
                          "largest head of an HTTP request"},
    [BODY_BYTES_MAX] = {"BODY_BYTES_MAX", CONFIG_INT, "1048576", NULL, 1024, 67108864, "bytes",
                        "largest body of an HTTP request"},
    [CONNECTIONS_MAX] = {"CONNECTIONS_MAX", CONFIG_INT, "1024", NULL, 1, 100000, "",
                         "HTTP connections at a time"},
    [REQUEST_TIMEOUT_MS] = {"REQUEST_TIMEOUT_MS", CONFIG_INT, "30000", NULL, 100, 600000, "ms",
                            "longest time to send one HTTP request"},
    [IDLE_TIMEOUT_MS] = {"IDLE_TIMEOUT_MS", CONFIG_INT, "60000", NULL, 100, 3600000, "ms",
                         "an HTTP connection without a request is closed after so long"},
    [SHUTDOWN_DELAY_MS] =
        {"SHUTDOWN_DELAY_MS", CONFIG_INT, "0", NULL, 0, 600000, "ms",
         "after the first SIGTERM or SIGINT the HTTP server goes on for so long, "
         "while /readyz says that it is stopping, so that load balancers look away"},
    [API_KEYS] = {"API_KEYS", CONFIG_BOOL, "false", NULL, 0, 0, "",
                  "callers authenticate by API keys (todo-mcp key create)"},
    [OAUTH_ISSUER] = {"OAUTH_ISSUER", CONFIG_STRING, NULL, NULL, 0, 0, "",
                      "callers authenticate by access tokens of this OAuth 2.1 issuer (its URL, "
                      "exactly as tokens name it)"},
    [OAUTH_AUDIENCE] = {"OAUTH_AUDIENCE", CONFIG_STRING, NULL, NULL, 0, 0, "",
                        "audience that tokens must have; default: PUBLIC_URL"},
    [OAUTH_JWKS_URL] = {"OAUTH_JWKS_URL", CONFIG_STRING, NULL, NULL, 0, 0, "",
                        "where the issuer's keys are; default: as its metadata says"},
    [PUBLIC_URL] = {"PUBLIC_URL", CONFIG_STRING, NULL, NULL, 0, 0, "",
                    "URL of the endpoint as clients know it, such as https://todo.example.com/mcp"},
    [RATE_LIMIT_PER_MINUTE] = {"RATE_LIMIT_PER_MINUTE", CONFIG_INT, "600", NULL, 0, 1000000, "",
                               "requests of one authenticated user; 0: no limit"},
    [RATE_LIMIT_BURST] = {"RATE_LIMIT_BURST", CONFIG_INT, "100", NULL, 1, 1000000, "",
                          "requests of one authenticated user at once"},
    [AUTH_FAILURES_PER_MINUTE] =
        {"AUTH_FAILURES_PER_MINUTE", CONFIG_INT, "60", NULL, 0, 1000000, "",
         "requests without good credentials from one address; 0: no limit"},
    [TRUSTED_PROXIES] = {"TRUSTED_PROXIES", CONFIG_INT, "0", NULL, 0, 8, "",
                         "how many proxies of yours are in front: the caller's address is then "
                         "taken from X-Forwarded-For"},
    [RELAY] = {"RELAY", CONFIG_BOOL, "true", NULL, 0, 0, "",
               "publish events from the outbox, when no other process does; false: another one "
               "must (todo-mcp relay)"},
    [EVENT_SUBSCRIBERS] =
        {"EVENT_SUBSCRIBERS", CONFIG_STRING, NULL, NULL, 0, 0, "",
         "where events are posted to without Dapr and Kafka: topic=URL, separated by commas; "
         "default: the workers' ports on this machine"},
    [EVENT_BROKER_ID] =
        {"EVENT_BROKER_ID", CONFIG_STRING, NULL, NULL, 0, 0, "",
         "a name for the broker, to be changed when another one takes its place; default: what "
         "the sidecar says"},
    [OUTBOX_ATTEMPTS_MAX] = {"OUTBOX_ATTEMPTS_MAX", CONFIG_INT, "10", NULL, 1, 1000, "",
                             "refusals by the broker before an event is parked (todo-mcp outbox)"},
    [OUTBOX_RETENTION_HOURS] = {"OUTBOX_RETENTION_HOURS", CONFIG_INT, "48", NULL, 0, 8760, "h",
                                "published events are kept for so long, to be published again"},
    [INBOX_RETENTION_DAYS] =
        {"INBOX_RETENTION_DAYS", CONFIG_INT, "14", NULL, 1, 3650, "d",
         "what consumers have done is remembered for so long: longer than a broker's retention "
         "and OUTBOX_RETENTION_HOURS together"},
    [REPLAY_ON_SWAP_HOURS] =
        {"REPLAY_ON_SWAP_HOURS", CONFIG_INT, "48", NULL, 0, 8760, "h",
         "when another broker is found, what was published within that time is published again; "
         "0: nothing"},
};
/* clang-format on */

static const char *env_of(const char *name)
{
    return getenv(name);
}

/* ---- defaults that the machine gives ---- */

static void default_user(struct settings *s)
{
    const struct passwd *user = getpwuid(getuid());
    snprintf(s->user, sizeof(s->user), "%s", user && *user->pw_name ? user->pw_name : "default");
}

static bool read_first_line(const char *path, char *line, size_t size)
{
    FILE *file = fopen(path, "re");
    bool is_read = file && fgets(line, (int)size, file);
    if (file)
        fclose(file);
    if (is_read)
        line[strcspn(line, " \t\r\n")] = '\0';
    return is_read && *line;
}

/* /etc/localtime links to the zone's file. */
static void default_timezone(struct settings *s)
{
    char target[256];
    const char *env = env_of("TZ");
    if (env && *env == ':')
        env++;
    if (env && *env && *env != '/' && strlen(env) < sizeof(s->timezone)) {
        snprintf(s->timezone, sizeof(s->timezone), "%s", env);
        return;
    }
    ssize_t len = readlink("/etc/localtime", target, sizeof(target) - 1);
    target[len > 0 ? len : 0] = '\0';
    const char *zone = strstr(target, "/zoneinfo/");
    if (zone && strlen(zone + 10) < sizeof(s->timezone))
        snprintf(s->timezone, sizeof(s->timezone), "%s", zone + 10);
    else if (!read_first_line("/etc/timezone", s->timezone, sizeof(s->timezone)))
        snprintf(s->timezone, sizeof(s->timezone), "UTC");
}

/* ---- values -> settings ---- */

static int copy_text(const struct config_value *value, enum setting which, char *out, size_t size,
                     struct error *err)
{
    if (strlen(value->text) >= size)
        return error_set(err, BASE_EINVAL, table[which].name, "%s is too long", table[which].name);
    snprintf(out, size, "%s", value->text);
    return 0;
}

/* "a, b" -> {"a", "b", NULL}; the texts go into s->lists at *used. */
static int read_list(struct settings *s, const struct config_value *value, enum setting which,
                     const char **out, size_t *used, struct error *err)
{
    size_t count = 0;
    char *rest = s->lists + *used;
    size_t len = value->text ? strlen(value->text) + 1 : 0;
    if (len > sizeof(s->lists) - *used)
        return error_set(err, BASE_EINVAL, table[which].name, "%s is too long", table[which].name);
    if (len > 0)
        memcpy(rest, value->text, len);
    *used += len;
    for (char *item = len ? strtok_r(rest, ", ", &rest) : NULL; item;
         item = strtok_r(NULL, ", ", &rest)) {
        if (count == SETTINGS_LIST_MAX)
            return error_set(err, BASE_EINVAL, table[which].name, "%s has more than %d entries",
                             table[which].name, SETTINGS_LIST_MAX);
        out[count++] = item;
    }
    out[count] = NULL;
    return 0;
}

static int read_view(struct settings *s, const struct config_value *v, struct error *err)
{
    struct error why = {0};
    if (!tool_view_parse(slice_from_cstr(v[TOOLSETS_SHOWN].text),
                         slice_from_cstr(v[TOOLS_SHOWN].text), v[READ_ONLY].flag, &s->view, &why))
        return 0;
    const char *name = table[strcmp(why.field, "toolset") == 0 ? TOOLSETS_SHOWN : TOOLS_SHOWN].name;
    return error_set(err, why.code, name, "%s: %s", name, why.text);
}

static bool is_loopback(const char *host)
{
    return strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0;
}

static void fill_numbers(struct settings *s, const struct config_value *v)
{
    s->http_port = (uint16_t)v[HTTP_PORT].num;
    s->limits = http_limits_default;
    s->limits.header_bytes = (uint32_t)v[HEADER_BYTES_MAX].num;
    s->limits.body_bytes = (uint32_t)v[BODY_BYTES_MAX].num;
    s->limits.connections = (uint32_t)v[CONNECTIONS_MAX].num;
    s->limits.request_ms = (uint32_t)v[REQUEST_TIMEOUT_MS].num;
    s->limits.idle_ms = (uint32_t)v[IDLE_TIMEOUT_MS].num;
    s->shutdown_delay_ms = (uint32_t)v[SHUTDOWN_DELAY_MS].num;
}

static void fill_callers(struct settings *s, const struct config_value *v)
{
    s->api_keys = v[API_KEYS].flag;
    s->oauth_issuer = v[OAUTH_ISSUER].text;
    s->oauth_audience = v[OAUTH_AUDIENCE].text;
    s->oauth_jwks_url = v[OAUTH_JWKS_URL].text;
    s->public_url = v[PUBLIC_URL].text;
    s->rate_per_minute = (uint32_t)v[RATE_LIMIT_PER_MINUTE].num;
    s->rate_burst = (uint32_t)v[RATE_LIMIT_BURST].num;
    s->failures_per_minute = (uint32_t)v[AUTH_FAILURES_PER_MINUTE].num;
    s->trusted_proxies = (uint32_t)v[TRUSTED_PROXIES].num;
}

#define BROKER_ID_MAX 200

static int fill_events(struct settings *s, const struct config_value *v, struct error *err)
{
    const char *subscribers = v[EVENT_SUBSCRIBERS].text;
    s->has_relay = v[RELAY].flag;
    s->event_subscribers = subscribers ? subscribers : TRANSPORT_DIRECT_DEFAULT;
    s->broker_id = v[EVENT_BROKER_ID].text;
    s->attempts_max = (uint32_t)v[OUTBOX_ATTEMPTS_MAX].num;
    s->outbox_hours = (uint32_t)v[OUTBOX_RETENTION_HOURS].num;
    s->inbox_days = (uint32_t)v[INBOX_RETENTION_DAYS].num;
    s->replay_hours = (uint32_t)v[REPLAY_ON_SWAP_HOURS].num;
    if (s->broker_id && strlen(s->broker_id) > BROKER_ID_MAX)
        return error_set(err, BASE_EINVAL, "EVENT_BROKER_ID",
                         "EVENT_BROKER_ID has more than %d bytes", BROKER_ID_MAX);
    if (s->inbox_days * 24 <= s->outbox_hours)
        return error_set(err, BASE_EINVAL, "INBOX_RETENTION_DAYS",
                         "INBOX_RETENTION_DAYS must be longer than OUTBOX_RETENTION_HOURS, or an "
                         "event that is published again would be done again");
    return s->shared.transport == SHARED_DIRECT ? transport_direct_check(s->event_subscribers, err)
                                                : 0;
}

bool settings_has_auth(const struct settings *s)
{
    return s->api_keys || s->oauth_issuer;
}

static int check_callers(const struct settings *s, struct error *err)
{
    if (s->is_stdio)
        return 0;
    if (!settings_has_auth(s) && !is_loopback(s->http_host))
        return error_set(err, BASE_EINVAL, "HTTP_HOST",
                         "HTTP_HOST %.45s would let anyone in, since callers are not "
                         "authenticated: set OAUTH_ISSUER and PUBLIC_URL, or API_KEYS=true, or "
                         "listen on a loopback address such as 127.0.0.1",
                         s->http_host);
    if (!s->oauth_issuer && (s->oauth_audience || s->oauth_jwks_url))
        return error_set(err, BASE_EINVAL, "OAUTH_ISSUER",
                         "OAUTH_AUDIENCE and OAUTH_JWKS_URL need OAUTH_ISSUER");
    if (s->oauth_issuer && !s->public_url && !is_loopback(s->http_host))
        return error_set(err, BASE_EINVAL, "PUBLIC_URL",
                         "OAUTH_ISSUER needs PUBLIC_URL: the URL of the endpoint as clients know "
                         "it, such as https://todo.example.com/mcp");
    return 0;
}

static int fill(struct settings *s, const struct config_value *v, struct error *err)
{
    size_t used = 0;
    *s = (struct settings){.is_stdio = v[STDIO].flag, .http_host = v[HTTP_HOST].text};
    int status = shared_settings_fill(&s->shared, v + OWN_COUNT, err);
    fill_numbers(s, v);
    fill_callers(s, v);
    if (!status)
        status = fill_events(s, v, err);
    default_user(s);
    default_timezone(s);
    if (!status && v[TODO_USER].text)
        status = copy_text(&v[TODO_USER], TODO_USER, s->user, sizeof(s->user), err);
    if (!status && v[TODO_TIMEZONE].text)
        status = copy_text(&v[TODO_TIMEZONE], TODO_TIMEZONE, s->timezone, sizeof(s->timezone), err);
    s->email = v[TODO_EMAIL].text;
    if (!status && s->email && !smtp_is_address(slice_from_cstr(s->email)))
        status = error_set(err, BASE_EINVAL, "TODO_EMAIL",
                           "TODO_EMAIL is no e-mail address such as ann@example.org");
    if (!status)
        status = read_view(s, v, err);
    if (!status)
        status = read_list(s, &v[ALLOWED_ORIGINS], ALLOWED_ORIGINS, s->allowed_origins, &used, err);
    if (!status)
        status = read_list(s, &v[ALLOWED_HOSTS], ALLOWED_HOSTS, s->allowed_hosts, &used, err);
    return status ? status : check_callers(s, err);
}

int settings_load(struct settings *s, int argc, char **argv, struct error *err)
{
    struct config_setting all[SETTINGS_COUNT];
    struct config_value values[SETTINGS_COUNT];
    int rest = argc;
    shared_table_make(table, OWN_COUNT, all);
    int status = config_load(all, SETTINGS_COUNT, argc, argv, env_of, values, &rest, err);
    if (!status && rest < argc)
        status = error_set(err, BASE_EINVAL, "", "unknown command \"%.60s\"", argv[rest]);
    return status ? status : fill(s, values, err);
}

void settings_help(struct buf *out)
{
    struct config_setting all[SETTINGS_COUNT];
    shared_table_make(table, OWN_COUNT, all);
    buf_append_cstr(out,
                    "usage: todo-mcp [SETTINGS]\n"
                    "       todo-mcp relay [SETTINGS]: publish events only, without MCP\n"
                    "       todo-mcp outbox status | parked | replay | purge (see todo-mcp outbox "
                    "--help)\n"
                    "       todo-mcp dlq list | replay (see todo-mcp dlq --help)\n"
                    "       todo-mcp migrate [SETTINGS]: bring the schema up to date, and end\n"
                    "       todo-mcp key create | list | revoke ID (see todo-mcp key --help)\n\n"
                    "A task manager that AI agents drive over MCP, at http://HOST:PORT/mcp or "
                    "on stdio.\n\n"
                    "  --help, --version\n\n");
    config_help(all, SETTINGS_COUNT, out);
}

void settings_relay_help(struct buf *out)
{
    struct config_setting rows[OWN_COUNT - RELAY - 1 + SHARED_ROWS];
    shared_table_make(&table[RELAY + 1], OWN_COUNT - RELAY - 1, rows);
    buf_append_cstr(out, "usage: todo-mcp relay [SETTINGS]\n\n"
                         "Publishes the events of the outbox, without MCP. Of all relays on a "
                         "database one leads, here or in\na server; another one takes over when it "
                         "ends.\n\n");
    config_help(rows, sizeof(rows) / sizeof(*rows), out);
}

/* ---- todo-mcp key ---- */

/* Its own flags come first, and are flags only: NAME or USER of the environment mean other things.
 * TODO_USER has the flag --user here. */
enum key_setting { KEY_NAME, KEY_USER, KEY_SCOPES, KEY_EXPIRES_IN, KEY_OWN_COUNT };

/* clang-format off: one setting a row */
static const struct config_setting key_table[KEY_OWN_COUNT] = {
    [KEY_NAME] = {"NAME", CONFIG_STRING, NULL, NULL, 0, 0, "",
                  "what the key is for, such as \"laptop\""},
    [KEY_USER] = {"USER", CONFIG_STRING, NULL, NULL, 0, 0, "",
                  "whose key it is (with OAuth, the token's subject); default: TODO_USER, "
                  "else the login name"},
    [KEY_SCOPES] = {"SCOPES", CONFIG_STRING, "tasks:read,tasks:write", NULL, 0, 0, "",
                    "what it is good for; default: tasks:read,tasks:write"},
    [KEY_EXPIRES_IN] = {"EXPIRES_IN", CONFIG_INT, "0", NULL, 0, 36500, "days",
                        "how long it is good; 0: until it is revoked"},
};
/* clang-format on */

static const char *const key_flags[KEY_OWN_COUNT] = {"--name TEXT", "--user SUBJECT",
                                                     "--scopes LIST", "--expires-in DAYS"};

/* Of the server's settings: where they stand in its table. */
static const int key_shared[] = {OWN_COUNT + SHARED_SECRETS_DIR,
                                 OWN_COUNT + SHARED_DATABASE_URL,
                                 OWN_COUNT + SHARED_DATA_DIR,
                                 TODO_USER,
                                 TODO_TIMEZONE,
                                 OWN_COUNT + SHARED_LOG_LEVEL,
                                 OWN_COUNT + SHARED_LOG_FORMAT};
#define KEY_SHARED_COUNT (sizeof(key_shared) / sizeof(*key_shared))
#define KEY_COUNT        (KEY_OWN_COUNT + KEY_SHARED_COUNT)

static void make_key_table(struct config_setting out[KEY_COUNT])
{
    struct config_setting all[SETTINGS_COUNT];
    shared_table_make(table, OWN_COUNT, all);
    memcpy(out, key_table, sizeof(key_table));
    for (size_t i = 0; i < KEY_SHARED_COUNT; i++)
        out[KEY_OWN_COUNT + i] = all[key_shared[i]];
}

static const char *key_env_of(const char *name)
{
    for (size_t i = 0; i < KEY_OWN_COUNT; i++) {
        if (strcmp(name, key_table[i].name) == 0)
            return NULL;
    }
    return getenv(name);
}

/* The server's settings that a key command has none of keep their defaults. */
static int fill_key(struct key_settings *k, const struct config_value *own, struct error *err)
{
    char *no_args[] = {NULL};
    struct config_setting all[SETTINGS_COUNT];
    struct config_value values[SETTINGS_COUNT];
    shared_table_make(table, OWN_COUNT, all);
    int status = config_load(all, SETTINGS_COUNT, 0, no_args, NULL, values, NULL, err);
    if (status)
        return status;
    for (size_t i = 0; i < KEY_SHARED_COUNT; i++)
        values[key_shared[i]] = own[KEY_OWN_COUNT + i];
    if (own[KEY_USER].text)
        values[TODO_USER] = own[KEY_USER];
    k->name = own[KEY_NAME].text;
    k->scopes = own[KEY_SCOPES].text;
    k->expires_days = own[KEY_EXPIRES_IN].num;
    return fill(&k->base, values, err);
}

int settings_load_key(struct key_settings *k, int argc, char **argv, struct error *err)
{
    struct config_setting merged[KEY_COUNT];
    struct config_value values[KEY_COUNT];
    int rest = argc;
    *k = (struct key_settings){0};
    make_key_table(merged);
    int status = config_load(merged, KEY_COUNT, argc, argv, key_env_of, values, &rest, err);
    if (!status && rest < argc)
        status = error_set(err, BASE_EINVAL, "", "what is \"%.60s\"?", argv[rest]);
    return status ? status : fill_key(k, values, err);
}

void settings_key_help(struct buf *out)
{
    struct config_setting merged[KEY_COUNT];
    make_key_table(merged);
    buf_append_cstr(out, "usage: todo-mcp key create --name NAME [FLAGS] [SETTINGS]\n"
                         "       todo-mcp key list [SETTINGS]\n"
                         "       todo-mcp key revoke ID [SETTINGS]\n\n"
                         "API keys of callers over HTTP, for a server with API_KEYS=true. create "
                         "prints the key: once,\nsince only its hash is kept.\n\n");
    for (size_t i = 0; i < KEY_OWN_COUNT; i++)
        buf_printf(out, "  %-16s %s\n", key_flags[i], key_table[i].help);
    buf_append_char(out, '\n');
    config_help(merged + KEY_OWN_COUNT, KEY_SHARED_COUNT, out);
}
