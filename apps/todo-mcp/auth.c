#include "auth.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "api_key.h"
#include "auth_int.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/http_client.h"
#include "base/http_server.h"
#include "base/log.h"
#include "base/lru.h"
#include "base/rate_limit.h"
#include "base/smtp.h"
#include "db/user.h"
#include "routes.h"
#include "scopes.h"
#include "settings.h"
#include "view.h"

#define KNOWN_USERS_MAX  4096
#define KNOWN_USER_US    60000000
#define LIMIT_KEYS_MAX   65536
#define LOG_LINES_MINUTE 60
#define LOG_LINES_BURST  5
#define SKEW_US          60000000 /* mcp_auth's own default: a token is taken so long */

struct known_user {
    int64_t id, until_us;
};

static const struct refusal none = {"missing", "send Authorization: Bearer and a credential"};
static const struct refusal repeated = {"header_repeated", "one Authorization header, please"};
static const struct refusal other_scheme = {"scheme", "the Authorization scheme must be Bearer"};
static const struct refusal no_keys = {"api_key_off", "API keys are not taken here"};
static const struct refusal no_tokens = {"no_api_key", "an API key is needed"};

/* ---- the user ---- */

/* What the caller sees is its own choice, as far as it is less (view.h). */
static void admit_with_view(struct attempt *t)
{
    struct error err = {0};
    const struct tool_view *view;
    int status = view_from_request(&t->auth->settings->view, t->req, http_request_arena(t->req),
                                   &view, &err);
    t->identity.view = view;
    if (status)
        mcp_http_refuse(t->admission, status == BASE_EINVAL ? 400 : 503, NULL, 0, err.text);
    else
        mcp_http_admit(t->admission, &t->identity);
}

static void admit(struct attempt *t)
{
    struct auth *a = t->auth;
    struct slice subject = slice_from_cstr(t->identity.subject);
    uint32_t wait = a->users ? rate_limit_take(a->users, subject, clock_monotonic_us()) : 0;
    if (wait > 0)
        attempt_wait(t, wait, "user_limit");
    else
        admit_with_view(t);
}

static void on_user(void *ctx, int status, const struct db_user_reply *user,
                    const struct error *err)
{
    struct attempt *t = ctx;
    (void)err;
    if (status) {
        attempt_unavailable(t, "database", "the database cannot be reached");
        return;
    }
    struct known_user *slot = lru_put(t->auth->subjects, slice_from_cstr(t->identity.subject));
    if (slot)
        *slot = (struct known_user){user->id, clock_monotonic_us() + KNOWN_USER_US};
    t->identity.user_id = user->id;
    admit(t);
}

static void ensure_user(struct attempt *t, struct slice subject)
{
    const struct auth *a = t->auth;
    const struct db_user_ask user = {.subject = subject,
                                     .zone = slice_from_cstr(a->settings->timezone),
                                     .email = slice_from_cstr(t->email)};
    if (db_user_ensure(a->pool, &user, on_user, t, NULL, NULL))
        attempt_unavailable(t, "database", "the database is busy");
}

void attempt_admit(struct attempt *t)
{
    struct auth *a = t->auth;
    struct slice subject = slice_from_cstr(t->identity.subject);
    if (t->identity.user_id == 0) {
        const struct known_user *known = lru_get(a->subjects, subject);
        if (known && known->until_us > clock_monotonic_us())
            t->identity.user_id = known->id;
    }
    if (t->identity.user_id)
        admit(t);
    else
        ensure_user(t, subject);
}

/* ---- tokens ---- */

static void on_token(void *ctx, const struct mcp_auth_result *result)
{
    struct attempt *t = ctx;
    memcpy(t->kid, result->kid, sizeof(t->kid));
    if (result->reason != MCP_AUTH_OK) {
        const struct refusal why = {mcp_auth_reason_word(result->reason),
                                    mcp_auth_reason_text(result->reason)};
        attempt_refuse(t, result->reason, &why);
        return;
    }
    char *subject = arena_strdup(http_request_arena(t->req), result->subject);
    /* Nothing that cannot be written to is stored. */
    if (smtp_is_address(slice_from_cstr(result->email)))
        t->email = arena_strdup(http_request_arena(t->req), result->email);
    if (!subject) {
        attempt_unavailable(t, "no_memory", "out of memory");
        return;
    }
    t->identity = (struct mcp_identity){
        .subject = subject, .scopes = result->scopes, .until_us = result->expires_us + SKEW_US};
    attempt_admit(t);
}

static void attempt_token(struct attempt *t, struct slice token)
{
    struct mcp_auth_result result;
    if (mcp_auth_check(t->auth->oauth, token, &result, on_token, t) != MCP_AUTH_PENDING)
        on_token(t, &result);
}

/* ---- the header ---- */

/* RFC 6750 section 2.1. False: another scheme, or no credentials after it. */
static bool read_bearer(struct slice value, struct slice *out)
{
    static const char scheme[] = "Bearer ";
    size_t len = sizeof(scheme) - 1;
    if (value.len <= len || strncasecmp(value.ptr, scheme, len) != 0)
        return false;
    while (len < value.len && value.ptr[len] == ' ')
        len++;
    *out = (struct slice){value.ptr + len, value.len - len};
    return out->len > 0;
}

static void attempt_credentials(struct attempt *t, struct slice credentials)
{
    const struct auth *a = t->auth;
    if (api_key_is_one(credentials)) {
        if (a->settings->api_keys)
            attempt_key(t, credentials);
        else
            attempt_refuse(t, MCP_AUTH_REFUSED, &no_keys);
    } else if (a->oauth) {
        attempt_token(t, credentials);
    } else {
        attempt_refuse(t, MCP_AUTH_REFUSED, &no_tokens);
    }
}

void auth_authenticate(void *ctx, struct mcp_http_admission *admission, struct http_request *req)
{
    struct auth *a = ctx;
    struct slice credentials;
    struct slice header = http_request_header(req, "Authorization");
    struct attempt *t = arena_calloc(http_request_arena(req), 1, sizeof(*t));
    if (!t) {
        mcp_http_refuse(admission, 503, NULL, 0, "out of memory");
        return;
    }
    *t = (struct attempt){.auth = a, .admission = admission, .req = req};
    address_of(req, a->settings->trusted_proxies, &t->address);
    if (!header.ptr)
        attempt_refuse(t, MCP_AUTH_MISSING, &none);
    else if (http_request_header_count(req, "Authorization") > 1)
        attempt_refuse(t, MCP_AUTH_REFUSED, &repeated);
    else if (!read_bearer(header, &credentials))
        attempt_refuse(t, MCP_AUTH_MISSING, &other_scheme);
    else
        attempt_credentials(t, credentials);
}

/* ---- life ---- */

static int open_limits(struct auth *a)
{
    const struct settings *s = a->settings;
    const struct rate_limit_options users = {s->rate_per_minute, s->rate_burst, LIMIT_KEYS_MAX};
    const struct rate_limit_options addresses = {s->failures_per_minute, s->failures_per_minute,
                                                 LIMIT_KEYS_MAX};
    const struct rate_limit_options lines = {LOG_LINES_MINUTE, LOG_LINES_BURST, 1};
    int status = rate_limit_new(&lines, &a->log_lines);
    if (!status && users.per_minute > 0)
        status = rate_limit_new(&users, &a->users);
    if (!status && addresses.per_minute > 0)
        status = rate_limit_new(&addresses, &a->addresses);
    return status;
}

/* The library's options by the names that an operator has set them with. */
static int explain(struct error *err)
{
    static const char *const names[][2] = {
        {"issuer", "OAUTH_ISSUER"}, {"jwks_url", "OAUTH_JWKS_URL"}, {"resource", "PUBLIC_URL"}};
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        size_t len = strlen(names[i][0]);
        struct error old = *err;
        if (strcmp(old.field, names[i][0]) == 0 && strncmp(old.text, names[i][0], len) == 0)
            return error_set(err, old.code, names[i][1], "%s%s", names[i][1], old.text + len);
    }
    return err->code;
}

static int open_oauth(struct auth *a, uint16_t port, struct error *err)
{
    const struct settings *s = a->settings;
    char own_url[128];
    bool is_v6 = strchr(s->http_host, ':') != NULL;
    snprintf(own_url, sizeof(own_url), is_v6 ? "http://[%s]:%u%s" : "http://%s:%u%s", s->http_host,
             port, ROUTES_MCP);
    const struct mcp_auth_options options = {.resource = s->public_url ? s->public_url : own_url,
                                             .resource_name = "Todo",
                                             .issuer = s->oauth_issuer,
                                             .audience = s->oauth_audience,
                                             .jwks_url = s->oauth_jwks_url,
                                             .scopes = scopes_table,
                                             .scope_count = SCOPES_COUNT};
    struct http_client_options client = http_client_options_default;
    client.user_agent = "todo-mcp/" TODO_VERSION;
    if (http_client_new(a->loop, &client, &a->client))
        return error_set(err, BASE_ENOMEM, NULL, "out of memory");
    return mcp_auth_new(a->loop, &options, a->client, a->log, &a->oauth, err) ? explain(err) : 0;
}

int auth_open(struct auth *a, uv_loop_t *loop, struct db_pool *pool,
              const struct settings *settings, uint16_t port, const struct log *log,
              struct error *err)
{
    *a = (struct auth){.loop = loop, .pool = pool, .settings = settings, .log = log};
    int status = open_limits(a);
    if (!status)
        status = lru_new(sizeof(struct known_user), KNOWN_USERS_MAX, &a->subjects);
    if (!status)
        status = auth_keys_open(a);
    if (status)
        return error_set(err, status, NULL, "out of memory");
    return settings->oauth_issuer ? open_oauth(a, port, err) : 0;
}

static void on_client_closed(void *ctx)
{
    struct auth *a = ctx;
    a->client = NULL;
    a->closed(a->closed_ctx);
}

static void close_client(void *ctx)
{
    struct auth *a = ctx;
    a->oauth = NULL;
    if (a->client)
        http_client_close(a->client, on_client_closed, a);
    else
        a->closed(a->closed_ctx);
}

void auth_close(struct auth *a, auth_closed_fn closed, void *ctx)
{
    a->closed = closed;
    a->closed_ctx = ctx;
    if (a->oauth)
        mcp_auth_close(a->oauth, close_client, a);
    else
        close_client(a);
}

void auth_deinit(struct auth *a)
{
    rate_limit_free(a->users);
    rate_limit_free(a->addresses);
    rate_limit_free(a->log_lines);
    lru_free(a->subjects);
    lru_free(a->keys);
}
