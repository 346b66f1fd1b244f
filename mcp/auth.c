/* One check:
 *
 *   mcp_auth_check -> remembered? -> parse -> issuer -> key and signature -> claims -> remember
 *                                                       | no keys yet, or no such key
 *                                                       v
 *                                     waiter -> (auth_fetch.c) -> auth_on_fetched -> judge again */
#include "mcp/auth.h"

#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/http_client.h"
#include "base/log.h"
#include "base/lru.h"
#include "base/mem.h"
#include "base/rate_limit.h"
#include "mcp/auth_int.h"

#define WELL_KNOWN       "/.well-known/oauth-protected-resource"
#define EXTRA_PER_MINUTE 6
#define EXTRA_BURST      3
#define SECOND_US        1000000

struct auth_waiter {
    struct auth_waiter *next;
    mcp_auth_fn fn;
    void *ctx;
    size_t len;
    char text[];
};

/* ---- one judgement ---- */

static enum mcp_auth_reason judge_token(const struct mcp_auth *a, const struct auth_token *t,
                                        struct slice text, struct mcp_auth_result *out)
{
    enum mcp_auth_reason reason = auth_token_check_issuer(t, a->options.issuer);
    if (!reason && !a->keys)
        reason = MCP_AUTH_KEYS_UNAVAILABLE;
    if (!reason)
        reason = auth_keys_verify(a->keys, t, text);
    if (!reason)
        reason = auth_token_check_claims(t, &a->options, clock_now_us(), out);
    return reason;
}

/* `*has_kid`: whether the token names a key. */
static enum mcp_auth_reason judge(const struct mcp_auth *a, struct slice text,
                                  struct mcp_auth_result *out, bool *has_kid)
{
    struct auth_token t;
    *out = (struct mcp_auth_result){0};
    enum mcp_auth_reason reason = auth_token_parse(&t, text);
    if (!reason)
        reason = judge_token(a, &t, text, out);
    auth_token_show_kid(&t, out->kid);
    *has_kid = t.kid[0] != '\0';
    auth_token_deinit(&t);
    out->reason = reason;
    return reason;
}

/* ---- what is remembered ---- */

static bool recall(struct mcp_auth *a, struct slice digest, struct mcp_auth_result *out)
{
    const struct mcp_auth_result *known = lru_get(a->verified, digest);
    if (!known)
        return false;
    if (known->expires_us + (int64_t)a->options.clock_skew_s * SECOND_US <= clock_now_us()) {
        lru_remove(a->verified, digest);
        return false;
    }
    *out = *known;
    return true;
}

/* Without memory nothing is remembered: the next check costs more. */
static void remember(struct mcp_auth *a, struct slice digest, const struct mcp_auth_result *result)
{
    struct mcp_auth_result *slot = lru_put(a->verified, digest);
    if (slot)
        *slot = *result;
}

/* ---- waiting ---- */

static enum mcp_auth_reason wait_for_keys(struct mcp_auth *a, struct slice text, mcp_auth_fn fn,
                                          void *ctx)
{
    if (a->waiter_count >= a->options.waiters_max)
        return MCP_AUTH_BUSY;
    struct auth_waiter *w = mem_alloc(sizeof(*w) + text.len);
    if (!w)
        return MCP_AUTH_NO_MEMORY;
    *w = (struct auth_waiter){.fn = fn, .ctx = ctx, .len = text.len};
    memcpy(w->text, text.ptr, text.len);
    if (a->last)
        a->last->next = w;
    else
        a->first = w;
    a->last = w;
    a->waiter_count++;
    return MCP_AUTH_PENDING;
}

static struct auth_waiter *take_waiters(struct mcp_auth *a)
{
    struct auth_waiter *all = a->first;
    a->first = a->last = NULL;
    a->waiter_count = 0;
    return all;
}

static void tell(struct mcp_auth *a, struct auth_waiter *take_waiter)
{
    bool has_kid;
    struct mcp_auth_result result = {.reason = MCP_AUTH_KEYS_UNAVAILABLE};
    if (!a->is_closing)
        (void)judge(a, (struct slice){take_waiter->text, take_waiter->len}, &result, &has_kid);
    take_waiter->fn(take_waiter->ctx, &result);
    mem_free(take_waiter);
}

static void tell_all(struct mcp_auth *a)
{
    struct auth_waiter *next;
    for (struct auth_waiter *w = take_waiters(a); w; w = next) {
        next = w->next;
        tell(a, w);
    }
}

void auth_on_fetched(struct mcp_auth *a, struct auth_keys *take_keys)
{
    if (take_keys) {
        if (a->keys && !digest_is_equal(a->keys->digest, take_keys->digest))
            lru_clear(a->verified);
        auth_keys_free(a->keys);
        a->keys = take_keys;
    }
    tell_all(a);
}

/* Whether new keys may change the verdict, and are on their way. A key that nobody knows may be a
 * new one, but a stranger can name such keys all day. */
static bool are_keys_coming(struct mcp_auth *a, enum mcp_auth_reason reason, bool has_kid)
{
    bool may_be_new =
        reason == MCP_AUTH_KEY_UNKNOWN || (reason == MCP_AUTH_SIGNATURE_WRONG && !has_kid);
    if (a->is_closing || (reason != MCP_AUTH_KEYS_UNAVAILABLE && !may_be_new))
        return false;
    if (a->fetch.state == FETCH_IDLE && may_be_new &&
        rate_limit_take(a->fetch.extra, SLICE_LIT("extra"), clock_monotonic_us()) == 0)
        auth_fetch_start(a);
    return a->fetch.state != FETCH_IDLE;
}

enum mcp_auth_reason mcp_auth_check(struct mcp_auth *a, struct slice token,
                                    struct mcp_auth_result *now, mcp_auth_fn fn, void *ctx)
{
    bool has_kid = false;
    unsigned char bytes[DIGEST_SIZE];
    struct slice digest = {(const char *)bytes, sizeof(bytes)};
    *now = (struct mcp_auth_result){.reason = MCP_AUTH_NO_MEMORY};
    if (token.len > MCP_AUTH_TOKEN_MAX)
        return now->reason = MCP_AUTH_TOO_LONG;
    if (digest_sha256(token, bytes) || recall(a, digest, now))
        return now->reason;
    enum mcp_auth_reason reason = judge(a, token, now, &has_kid);
    if (reason == MCP_AUTH_OK)
        remember(a, digest, now);
    else if (are_keys_coming(a, reason, has_kid))
        now->reason = wait_for_keys(a, token, fn, ctx);
    return now->reason;
}

/* ---- life ---- */

static const struct mcp_auth_options defaults = {.clock_skew_s = 60,
                                                 .refresh_ms = 15 * 60 * 1000,
                                                 .fetch_timeout_ms = 5000,
                                                 .cache_max = 4096,
                                                 .waiters_max = 1024};

static void fill_defaults(struct mcp_auth_options *o)
{
#define FILL(member) o->member = o->member ? o->member : defaults.member
    FILL(clock_skew_s);
    FILL(refresh_ms);
    FILL(fetch_timeout_ms);
    FILL(cache_max);
    FILL(waiters_max);
#undef FILL
}

/* Copies the options' texts into one allocation. */
static int copy_texts(struct mcp_auth *a)
{
    struct mcp_auth_options *o = &a->options;
    const char **texts[] = {&o->resource, &o->resource_name, &o->issuer, &o->audience,
                            &o->jwks_url};
    size_t size = 0;
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        size += *texts[i] ? strlen(*texts[i]) + 1 : 0;
    char *at = a->texts = mem_alloc(size);
    if (!at)
        return BASE_ENOMEM;
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        size_t len = *texts[i] ? strlen(*texts[i]) + 1 : 0;
        if (len > 0)
            *texts[i] = memcpy(at, *texts[i], len);
        at += len;
    }
    return 0;
}

/* RFC 9728 section 3.1: the well-known part comes between host and path. */
static int make_metadata_url(struct mcp_auth *a)
{
    const char *resource = a->options.resource;
    size_t origin_len = auth_origin_len(resource);
    const char *path = resource + origin_len;
    size_t size = strlen(resource) + sizeof(WELL_KNOWN);
    a->metadata_url = mem_alloc(size);
    if (!a->metadata_url)
        return BASE_ENOMEM;
    memcpy(a->metadata_url, resource, origin_len);
    memcpy(a->metadata_url + origin_len, WELL_KNOWN, sizeof(WELL_KNOWN));
    if (strcmp(path, "/") != 0)
        memcpy(a->metadata_url + origin_len + sizeof(WELL_KNOWN) - 1, path, strlen(path) + 1);
    return 0;
}

static int check_options(const struct mcp_auth_options *o, struct error *err)
{
    int status = auth_check_url(o->resource, "resource", err);
    if (!status)
        status = auth_check_url(o->issuer, "issuer", err);
    if (!status && strchr(o->issuer, '?'))
        status = error_set(err, BASE_EINVAL, "issuer", "issuer must have no query");
    if (!status && o->jwks_url)
        status = auth_check_url(o->jwks_url, "jwks_url", err);
    return status;
}

static void auth_free(struct mcp_auth *a)
{
    lru_free(a->verified);
    rate_limit_free(a->fetch.extra);
    auth_keys_free(a->keys);
    mem_free(a->fetch.found_url);
    mem_free(a->metadata_url);
    mem_free(a->texts);
    mem_free(a);
}

static int fill(struct mcp_auth *a)
{
    const struct rate_limit_options extra = {EXTRA_PER_MINUTE, EXTRA_BURST, 1};
    fill_defaults(&a->options);
    int status = copy_texts(a);
    if (!status)
        status = make_metadata_url(a);
    if (!status)
        status = lru_new(sizeof(struct mcp_auth_result), a->options.cache_max, &a->verified);
    if (!status)
        status = rate_limit_new(&extra, &a->fetch.extra);
    return status;
}

int mcp_auth_new(uv_loop_t *loop, const struct mcp_auth_options *options, struct http_client *http,
                 const struct log *log, struct mcp_auth **out, struct error *err)
{
    int status = check_options(options, err);
    if (status)
        return status;
    struct mcp_auth *a = mem_calloc(1, sizeof(*a));
    if (!a)
        return error_set(err, BASE_ENOMEM, NULL, "out of memory");
    a->loop = loop;
    a->http = http;
    a->log = log;
    a->options = *options;
    status = fill(a);
    if (status) {
        auth_free(a);
        return error_set(err, status, NULL, "out of memory");
    }
    uv_timer_init(loop, &a->fetch.timer);
    a->fetch.timer.data = a;
    *out = a;
    auth_fetch_start(a);
    return 0;
}

void auth_try_free(struct mcp_auth *a)
{
    if (!a->is_closing || !a->is_timer_closed || a->fetch.call)
        return;
    mcp_auth_closed_fn closed = a->closed;
    void *ctx = a->closed_ctx;
    auth_free(a);
    closed(ctx);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct mcp_auth *a = handle->data;
    tell_all(a); /* not from inside mcp_auth_close */
    a->is_timer_closed = true;
    auth_try_free(a);
}

void mcp_auth_close(struct mcp_auth *a, mcp_auth_closed_fn closed, void *ctx)
{
    a->is_closing = true;
    a->closed = closed;
    a->closed_ctx = ctx;
    if (a->fetch.call)
        http_client_cancel(a->fetch.call);
    uv_close((uv_handle_t *)&a->fetch.timer, on_timer_closed);
}
