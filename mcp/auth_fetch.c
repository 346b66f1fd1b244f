/* The issuer's key set.
 *
 *   IDLE -- timer, or a token with an unknown key --> is the keys' URL known? yes --> KEYS
 *                                                                             no  --> METADATA
 *   METADATA -- a document of this issuer --> KEYS      KEYS -- a set with a usable key --> IDLE
 *   METADATA -- anything else --> the next of the addresses at which it may be, else IDLE
 *   KEYS     -- anything else --> IDLE (the URL is forgotten, should it have moved)
 *
 * The addresses: basic/authorization/authorization-server-discovery of 2026-07-28. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/http_client.h"
#include "base/http_server.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rate_limit.h"
#include "mcp/auth_int.h"

#define URL_MAX            2048
#define DOCUMENT_BYTES_MAX (256 * 1024)
#define BACKOFF_MIN_MS     1000
#define BACKOFF_MAX_MS     60000

/* ---- URLs ---- */

size_t auth_origin_len(const char *url)
{
    const char *authority = strstr(url, "://");
    size_t start = authority ? (size_t)(authority - url) + 3 : 0;
    return start + strcspn(url + start, "/?#");
}

static bool is_loopback_url(const char *url)
{
    static const char *const hosts[] = {"http://127.0.0.1", "http://localhost", "http://[::1]"};
    for (size_t i = 0; i < sizeof(hosts) / sizeof(*hosts); i++) {
        size_t len = strlen(hosts[i]);
        /* strchr finds the terminator too: the host may end the URL. */
        if (strncmp(url, hosts[i], len) == 0 && strchr(":/", url[len]))
            return true;
    }
    return false;
}

static bool is_plain_url(const char *url)
{
    for (const char *at = url; *at; at++) {
        if (*at <= 0x20 || *at > 0x7e || strchr("\"\\<>^`{|}#", *at))
            return false;
    }
    return strlen(url) < URL_MAX / 2;
}

static bool is_https(const char *url)
{
    return strncmp(url, "https://", 8) == 0;
}

int auth_check_url(const char *url, const char *field, struct error *err)
{
    if (!is_plain_url(url))
        return error_set(err, BASE_EINVAL, field, "%s is no URL without a fragment", field);
    if (!is_https(url) && !is_loopback_url(url))
        return error_set(err, BASE_EINVAL, field,
                         "%s must begin with https:// (http:// only for a loopback host)", field);
    size_t origin_len = auth_origin_len(url);
    if ((is_https(url) && origin_len == 8) || memchr(url, '@', origin_len))
        return error_set(err, BASE_EINVAL, field, "%s needs a host and must not name a user",
                         field);
    return 0;
}

int auth_check_keys_url(const char *issuer, const char *url, struct error *err)
{
    int status = auth_check_url(url, "jwks_uri", err);
    if (!status && is_https(issuer) && !is_https(url))
        return error_set(err, BASE_EINVAL, "jwks_uri",
                         "jwks_uri must begin with https:// as the issuer does");
    return status;
}

/* The n-th place of the issuer's metadata; false: there are no more. */
static bool metadata_url(const char *issuer, int n, char *out, size_t size)
{
    size_t origin_len = auth_origin_len(issuer);
    const char *path = issuer + origin_len;
    int path_len = (int)strcspn(path, "?");
    while (path_len > 0 && path[path_len - 1] == '/')
        path_len--;
    int origin = (int)origin_len;
    if (n == 0)
        snprintf(out, size, "%.*s/.well-known/oauth-authorization-server%.*s", origin, issuer,
                 path_len, path);
    else if (n == 1)
        snprintf(out, size, "%.*s/.well-known/openid-configuration%.*s", origin, issuer, path_len,
                 path);
    else if (n == 2 && path_len > 0)
        snprintf(out, size, "%.*s%.*s/.well-known/openid-configuration", origin, issuer, path_len,
                 path);
    else
        return false;
    return true;
}

/* ---- the end of a fetch ---- */

static void on_timer(uv_timer_t *timer)
{
    auth_fetch_start(timer->data);
}

static uint64_t backoff_ms(uint32_t failures)
{
    uint64_t pause = BACKOFF_MIN_MS;
    for (uint32_t i = 1; i < failures && pause < BACKOFF_MAX_MS; i++)
        pause *= 2;
    return pause < BACKOFF_MAX_MS ? pause : BACKOFF_MAX_MS;
}

static void end(struct mcp_auth *a, struct auth_keys *take_keys, uint64_t next_ms)
{
    a->fetch.state = FETCH_IDLE;
    uv_timer_start(&a->fetch.timer, on_timer, next_ms, 0);
    auth_on_fetched(a, take_keys);
}

static void fail(struct mcp_auth *a, const char *reason)
{
    uint64_t pause = backoff_ms(++a->fetch.failures);
    log_warn(a->log, "the issuer's keys cannot be fetched", log_str("issuer", a->options.issuer),
             log_str("reason", reason), log_int("attempt", a->fetch.failures),
             log_int("retry_ms", (int64_t)pause));
    mem_free(a->fetch.found_url);
    a->fetch.found_url = NULL;
    end(a, NULL, pause);
}

static void succeed(struct mcp_auth *a, struct auth_keys *take_keys)
{
    a->fetch.failures = 0;
    if (!a->keys || !digest_is_equal(a->keys->digest, take_keys->digest))
        log_info(a->log, "issuer's keys", log_str("issuer", a->options.issuer),
                 log_int("count", take_keys->count), log_int("ignored", take_keys->ignored));
    end(a, take_keys, a->options.refresh_ms);
}

/* ---- one request ---- */

static void on_document(void *ctx, int status, const struct http_client_response *res,
                        const struct error *err);

static void request(struct mcp_auth *a, const char *url)
{
    static const struct http_header headers[] = {{{"Accept", 6}, {"application/json", 16}}};
    struct error err = {0};
    const struct http_client_request req = {.method = "GET",
                                            .url = url,
                                            .headers = headers,
                                            .header_count = 1,
                                            .timeout_ms = a->options.fetch_timeout_ms,
                                            .max_bytes = DOCUMENT_BYTES_MAX};
    log_debug(a->log, "fetching", log_str("url", url));
    if (http_client_start(a->http, &req, on_document, a, &a->fetch.call, &err))
        fail(a, err.text);
}

static void request_keys(struct mcp_auth *a, const char *url)
{
    a->fetch.state = FETCH_KEYS;
    request(a, url);
}

static void request_metadata(struct mcp_auth *a, const char *last_reason)
{
    char url[URL_MAX];
    a->fetch.state = FETCH_METADATA;
    if (metadata_url(a->options.issuer, a->fetch.candidate, url, sizeof(url)))
        request(a, url);
    else
        fail(a, last_reason);
}

static void on_keys(struct mcp_auth *a, struct slice body)
{
    struct error err = {0};
    struct auth_keys *keys = auth_keys_parse(body, &err);
    if (keys)
        succeed(a, keys);
    else
        fail(a, err.text);
}

/* RFC 8414 section 3.3: a document that names another issuer is not this one's. */
static int take_keys_url(struct mcp_auth *a, const cJSON *metadata, struct error *err)
{
    const char *issuer = json_get_string(metadata, "issuer");
    const char *url = json_get_string(metadata, "jwks_uri");
    if (!issuer || strcmp(issuer, a->options.issuer) != 0)
        return error_set(err, BASE_EINVAL, "issuer", "the metadata is of another issuer");
    if (!url)
        return error_set(err, BASE_EINVAL, "jwks_uri", "the metadata names no jwks_uri");
    int status = auth_check_keys_url(a->options.issuer, url, err);
    if (status)
        return status;
    a->fetch.found_url = mem_strdup(url);
    return a->fetch.found_url ? 0 : error_set(err, BASE_ENOMEM, NULL, "out of memory");
}

static int read_metadata(struct mcp_auth *a, struct slice body, struct error *err)
{
    cJSON *root = json_parse(body, err);
    if (!root)
        return err->code;
    int status = take_keys_url(a, root, err);
    cJSON_Delete(root);
    return status;
}

static void next_candidate(struct mcp_auth *a, const char *reason)
{
    a->fetch.candidate++;
    request_metadata(a, reason);
}

static void on_metadata(struct mcp_auth *a, struct slice body)
{
    struct error err = {0};
    if (read_metadata(a, body, &err))
        next_candidate(a, err.text);
    else
        request_keys(a, a->fetch.found_url);
}

static void on_document(void *ctx, int status, const struct http_client_response *res,
                        const struct error *err)
{
    struct mcp_auth *a = ctx;
    char reason[64];
    a->fetch.call = NULL;
    if (a->is_closing) {
        auth_try_free(a);
        return;
    }
    if (!status)
        snprintf(reason, sizeof(reason), "HTTP status %d", res->status);
    const char *text = status ? err->text : reason;
    bool is_good = !status && res->status == 200;
    if (a->fetch.state == FETCH_METADATA) {
        if (is_good)
            on_metadata(a, res->body);
        else
            next_candidate(a, text);
    } else if (is_good) {
        on_keys(a, res->body);
    } else {
        fail(a, text);
    }
}

void auth_fetch_start(struct mcp_auth *a)
{
    const char *url = a->options.jwks_url ? a->options.jwks_url : a->fetch.found_url;
    if (a->fetch.state != FETCH_IDLE || a->is_closing)
        return;
    uv_timer_stop(&a->fetch.timer);
    a->fetch.candidate = 0;
    if (url)
        request_keys(a, url);
    else
        request_metadata(a, "");
}
