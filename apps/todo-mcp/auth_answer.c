/* What callers are told when they are not let in. */
#include <stdio.h>

#include "auth_int.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/http_server.h"
#include "base/log.h"
#include "base/rate_limit.h"
#include "scopes.h"
#include "settings.h"

#define ALL_SCOPES UINT32_MAX
#define HEADER_MAX 2048

/* ---- WWW-Authenticate ---- */

/* Without OAuth there is no metadata to point at: RFC 6750 section 3 alone. */
static void challenge_for_key(enum mcp_auth_reason reason, uint32_t scopes, struct buf *out)
{
    char names[SCOPES_TEXT_SIZE];
    buf_append_cstr(out, "Bearer realm=\"todo\"");
    if (reason == MCP_AUTH_SCOPE_MISSING)
        buf_printf(out, ", error=\"insufficient_scope\", scope=\"%s\"",
                   scopes_format(scopes, names));
    else if (reason != MCP_AUTH_MISSING)
        buf_append_cstr(out, ", error=\"invalid_token\"");
}

static struct slice challenge(const struct auth *a, enum mcp_auth_reason reason, uint32_t scopes,
                              struct arena *arena)
{
    struct buf b;
    struct slice value = SLICE_EMPTY;
    buf_init(&b, HEADER_MAX);
    if (a->oauth)
        mcp_auth_challenge(a->oauth, reason, scopes, &b);
    else
        challenge_for_key(reason, scopes, &b);
    char *copy = buf_status(&b) ? NULL : arena_copy(arena, buf_slice(&b));
    if (copy)
        value = (struct slice){copy, b.len};
    buf_deinit(&b);
    return value;
}

struct slice auth_challenge(void *ctx, uint32_t scopes, struct arena *arena)
{
    const struct auth *a = ctx;
    char names[SCOPES_TEXT_SIZE];
    log_info(a->log, "caller refused", log_int("status", 403), log_str("reason", "scope_missing"),
             log_str("scope", scopes_format(scopes, names)));
    return challenge(a, MCP_AUTH_SCOPE_MISSING, scopes, arena);
}

bool auth_metadata(const struct auth *a, struct buf *out)
{
    if (!a->oauth)
        return false;
    mcp_auth_metadata(a->oauth, out);
    return true;
}

/* ---- the ends of an attempt ---- */

/* Never the token: a word, a key's name in harmless characters, and where it came from. */
static void log_refusal(const struct attempt *t, int status, const char *reason)
{
    const struct auth *a = t->auth;
    log_info(a->log, "caller refused", log_int("status", status), log_str("reason", reason),
             log_str("address", t->address.text), log_str("kid", t->kid[0] ? t->kid : NULL),
             log_str("issuer", a->settings->oauth_issuer));
}

/* A flood must not fill the log: a line a second, after the first ones. */
static void log_flood(const struct attempt *t, const char *reason)
{
    if (rate_limit_take(t->auth->log_lines, SLICE_LIT("flood"), clock_monotonic_us()) == 0)
        log_refusal(t, 429, reason);
}

void attempt_wait(struct attempt *t, uint32_t wait_ms, const char *limit)
{
    char seconds[16];
    char message[64];
    int len = snprintf(seconds, sizeof(seconds), "%u", wait_ms / 1000 + (wait_ms % 1000 > 0));
    const struct http_header header = {SLICE_LIT("Retry-After"), {seconds, (size_t)len}};
    snprintf(message, sizeof(message), "too many requests: wait %s s", seconds);
    log_flood(t, limit);
    mcp_http_refuse(t->admission, 429, &header, 1, message);
}

void attempt_unavailable(struct attempt *t, const char *word, const char *text)
{
    const struct http_header header = {SLICE_LIT("Retry-After"), SLICE_LIT("2")};
    log_refusal(t, 503, word);
    mcp_http_refuse(t->admission, 503, &header, 1, text);
}

bool attempt_is_flood(struct attempt *t)
{
    struct auth *a = t->auth;
    uint32_t wait = a->addresses ? rate_limit_wait_ms(a->addresses, address_key(&t->address),
                                                      clock_monotonic_us())
                                 : 0;
    if (wait > 0)
        attempt_wait(t, wait, "address_limit");
    return wait > 0;
}

void attempt_refuse(struct attempt *t, enum mcp_auth_reason reason, const struct refusal *why)
{
    struct auth *a = t->auth;
    if (mcp_auth_is_temporary(reason)) {
        attempt_unavailable(t, why->word, why->text);
        return;
    }
    if (attempt_is_flood(t))
        return;
    if (a->addresses)
        (void)rate_limit_take(a->addresses, address_key(&t->address), clock_monotonic_us());
    struct http_header header = {SLICE_LIT("WWW-Authenticate"),
                                 challenge(a, reason, ALL_SCOPES, http_request_arena(t->req))};
    log_refusal(t, 401, why->word);
    mcp_http_refuse(t->admission, 401, &header, header.value.len > 0 ? 1 : 0, why->text);
}
