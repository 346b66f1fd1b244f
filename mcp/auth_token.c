/* The token's text -> header and claims (RFC 7515 section 5.2, RFC 7519 section 7.2, RFC 8725).
 *
 *   auth_token_parse: three parts -> header -> payload -> signature
 *   auth_token_check_issuer, (the signature: auth_keys.c), auth_token_check_claims
 *
 * Stricter than the RFCs ask where leniency has a history: one spelling of base64url, no duplicate
 * members, no `crit` at all, and whatever key a header brings along (jwk, jku, x5c, x5u) is not
 * looked at. */
#include <math.h>
#include <string.h>
#include <strings.h>

#include "base/base64.h"
#include "base/error.h"
#include "base/json.h"
#include "base/mem.h"
#include "mcp/auth_int.h"

#define SECOND_US  1000000
#define TIME_MAX_S 1e11

static const struct {
    const char *name;
    cjose_jwk_kty_t kind;
} algs[AUTH_ALG_COUNT] = {
#define X(name, text, kind) [name] = {text, kind},
    AUTH_ALGS(X)
#undef X
};

bool auth_alg_parse(const char *name, enum auth_alg *out)
{
    for (int i = 0; i < AUTH_ALG_COUNT; i++) {
        if (strcmp(name, algs[i].name) == 0) {
            *out = (enum auth_alg)i;
            return true;
        }
    }
    return false;
}

cjose_jwk_kty_t auth_alg_kind(enum auth_alg alg)
{
    return algs[alg].kind;
}

/* ---- the parts ---- */

#define PARTS 3

/* The text between the dots. */
static enum mcp_auth_reason split(struct slice text, struct slice parts[PARTS])
{
    int count = 0;
    const char *end = text.ptr + text.len;
    for (const char *at = text.ptr; at; count++) {
        const char *dot = memchr(at, '.', (size_t)(end - at));
        if (count < PARTS)
            parts[count] = (struct slice){at, (size_t)((dot ? dot : end) - at)};
        at = dot ? dot + 1 : NULL;
    }
    if (count == 5)
        return MCP_AUTH_ENCRYPTED;
    return count == PARTS ? MCP_AUTH_OK : MCP_AUTH_MALFORMED;
}

/* Decodes to *at and moves it on. */
static bool decode(struct slice part, char **at, struct slice *out)
{
    out->ptr = *at;
    if (base64url_decode(part, *at, &out->len))
        return false;
    *at += out->len;
    return true;
}

static enum mcp_auth_reason parse_object(struct slice text, enum mcp_auth_reason otherwise,
                                         cJSON **out)
{
    struct error err = {0};
    *out = json_parse(text, &err);
    if (!*out)
        return err.code == BASE_ENOMEM ? MCP_AUTH_NO_MEMORY : otherwise;
    return cJSON_IsObject(*out) ? MCP_AUTH_OK : otherwise;
}

/* ---- the header ---- */

static bool is_type_taken(const cJSON *typ)
{
    static const char *const taken[] = {"at+jwt", "application/at+jwt", "JWT"};
    if (!typ)
        return true; /* some issuers leave it out */
    for (size_t i = 0; cJSON_IsString(typ) && i < sizeof(taken) / sizeof(*taken); i++) {
        if (strcasecmp(typ->valuestring, taken[i]) == 0)
            return true;
    }
    return false;
}

static enum mcp_auth_reason read_alg(const char *name, enum auth_alg *out)
{
    if (!name)
        return MCP_AUTH_ALG_MISSING;
    if (strcasecmp(name, "none") == 0)
        return MCP_AUTH_ALG_NONE;
    if (strncasecmp(name, "HS", 2) == 0)
        return MCP_AUTH_ALG_SYMMETRIC;
    if (strcmp(name, "EdDSA") == 0 || strcmp(name, "Ed25519") == 0)
        return MCP_AUTH_ALG_EDDSA;
    return auth_alg_parse(name, out) ? MCP_AUTH_OK : MCP_AUTH_ALG_UNSUPPORTED;
}

static enum mcp_auth_reason read_kid(const cJSON *kid, char out[AUTH_KID_MAX + 1])
{
    if (!kid)
        return MCP_AUTH_OK;
    size_t len = cJSON_IsString(kid) ? strlen(kid->valuestring) : 0;
    if (len == 0 || len > AUTH_KID_MAX)
        return MCP_AUTH_KID_INVALID;
    memcpy(out, kid->valuestring, len + 1);
    return MCP_AUTH_OK;
}

static enum mcp_auth_reason read_header(struct auth_token *t, const cJSON *header)
{
    enum mcp_auth_reason reason = read_kid(json_get(header, "kid"), t->kid);
    if (reason)
        return reason;
    if (json_get(header, "enc"))
        return MCP_AUTH_ENCRYPTED;
    if (json_get(header, "b64"))
        return MCP_AUTH_UNENCODED;
    if (json_get(header, "crit"))
        return MCP_AUTH_CRITICAL;
    if (!is_type_taken(json_get(header, "typ")))
        return MCP_AUTH_TYPE;
    return read_alg(json_get_string(header, "alg"), &t->alg);
}

static enum mcp_auth_reason parse_header(struct auth_token *t, struct slice part, char **at)
{
    struct slice text;
    cJSON *header = NULL;
    if (!decode(part, at, &text))
        return MCP_AUTH_HEADER_ENCODING;
    enum mcp_auth_reason reason = parse_object(text, MCP_AUTH_HEADER_JSON, &header);
    if (!reason)
        reason = read_header(t, header);
    cJSON_Delete(header);
    return reason;
}

enum mcp_auth_reason auth_token_parse(struct auth_token *t, struct slice text)
{
    struct slice parts[PARTS];
    *t = (struct auth_token){0};
    if (text.len > MCP_AUTH_TOKEN_MAX)
        return MCP_AUTH_TOO_LONG;
    if (text.len == 0)
        return MCP_AUTH_MALFORMED;
    enum mcp_auth_reason reason = split(text, parts);
    if (reason)
        return reason;
    char *at = t->memory = mem_alloc(BASE64_DECODED_MAX(text.len) + (size_t)3 * PARTS);
    if (!at)
        return MCP_AUTH_NO_MEMORY;
    reason = parse_header(t, parts[0], &at);
    if (reason)
        return reason;
    if (!decode(parts[1], &at, &t->payload))
        return MCP_AUTH_PAYLOAD_ENCODING;
    if (!decode(parts[2], &at, &t->signature))
        return MCP_AUTH_SIGNATURE_ENCODING;
    if (t->signature.len == 0)
        return MCP_AUTH_SIGNATURE_MISSING;
    return parse_object(t->payload, MCP_AUTH_PAYLOAD_JSON, &t->claims);
}

void auth_token_deinit(struct auth_token *t)
{
    cJSON_Delete(t->claims);
    mem_free(t->memory);
    *t = (struct auth_token){0};
}

/* Whoever sends tokens chooses this text, and people read logs in terminals. */
void auth_token_show_kid(const struct auth_token *t, char out[MCP_AUTH_KID_SIZE])
{
    static const char harmless[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.:/+=~";
    size_t i = 0;
    for (; i < MCP_AUTH_KID_SIZE - 1 && t->kid[i]; i++)
        out[i] = strchr(harmless, t->kid[i]) ? t->kid[i] : '?';
    out[i] = '\0';
}

/* ---- the claims ---- */

enum mcp_auth_reason auth_token_check_issuer(const struct auth_token *t, const char *issuer)
{
    const cJSON *iss = json_get(t->claims, "iss");
    if (!iss)
        return MCP_AUTH_ISSUER_MISSING;
    return cJSON_IsString(iss) && strcmp(iss->valuestring, issuer) == 0 ? MCP_AUTH_OK
                                                                        : MCP_AUTH_ISSUER_WRONG;
}

static enum mcp_auth_reason check_audience(const cJSON *aud, const char *wanted)
{
    bool is_found = false;
    if (!aud)
        return MCP_AUTH_AUDIENCE_MISSING;
    if (cJSON_IsString(aud))
        return strcmp(aud->valuestring, wanted) == 0 ? MCP_AUTH_OK : MCP_AUTH_AUDIENCE_WRONG;
    if (!cJSON_IsArray(aud))
        return MCP_AUTH_AUDIENCE_INVALID;
    const cJSON *one;
    cJSON_ArrayForEach(one, aud)
    {
        if (!cJSON_IsString(one))
            return MCP_AUTH_AUDIENCE_INVALID;
        is_found = is_found || strcmp(one->valuestring, wanted) == 0;
    }
    return is_found ? MCP_AUTH_OK : MCP_AUTH_AUDIENCE_WRONG;
}

/* NumericDate, RFC 7519 section 2: seconds, perhaps with a fraction. */
static bool read_time(const cJSON *item, int64_t *out_us)
{
    if (!cJSON_IsNumber(item) || !(fabs(item->valuedouble) <= TIME_MAX_S))
        return false;
    *out_us = (int64_t)(item->valuedouble * SECOND_US);
    return true;
}

static enum mcp_auth_reason check_times(const cJSON *claims, int64_t skew_us, int64_t now_us,
                                        int64_t *expires_us)
{
    int64_t time_us;
    const cJSON *exp = json_get(claims, "exp");
    const cJSON *nbf = json_get(claims, "nbf");
    const cJSON *iat = json_get(claims, "iat");
    if (!exp)
        return MCP_AUTH_EXPIRY_MISSING;
    if (!read_time(exp, expires_us))
        return MCP_AUTH_EXPIRY_INVALID;
    if (*expires_us + skew_us <= now_us)
        return MCP_AUTH_EXPIRED;
    if (nbf && !read_time(nbf, &time_us))
        return MCP_AUTH_START_INVALID;
    if (nbf && time_us - skew_us > now_us)
        return MCP_AUTH_NOT_YET_VALID;
    if (iat && !read_time(iat, &time_us))
        return MCP_AUTH_ISSUED_INVALID;
    if (iat && time_us - skew_us > now_us)
        return MCP_AUTH_ISSUED_LATER;
    return MCP_AUTH_OK;
}

static enum mcp_auth_reason read_subject(const cJSON *sub, char out[MCP_AUTH_SUBJECT_MAX + 1])
{
    if (!sub)
        return MCP_AUTH_SUBJECT_MISSING;
    size_t len = cJSON_IsString(sub) ? strlen(sub->valuestring) : 0;
    if (len == 0 || len > MCP_AUTH_SUBJECT_MAX)
        return MCP_AUTH_SUBJECT_INVALID;
    for (const char *at = sub->valuestring; *at; at++) {
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            return MCP_AUTH_SUBJECT_INVALID;
    }
    memcpy(out, sub->valuestring, len + 1);
    return MCP_AUTH_OK;
}

/* OpenID Connect Core section 5.1: only one that the issuer has verified; some write "true". What
 * is no such claim is left out, since no request depends on it. */
static void read_email(const cJSON *claims, char out[MCP_AUTH_EMAIL_MAX + 1])
{
    const cJSON *verified = json_get(claims, "email_verified");
    const char *email = json_get_string(claims, "email");
    bool is_verified = cJSON_IsTrue(verified) ||
                       (cJSON_IsString(verified) && strcmp(verified->valuestring, "true") == 0);
    if (is_verified && email && strlen(email) <= MCP_AUTH_EMAIL_MAX)
        memcpy(out, email, strlen(email) + 1);
}

/* The bits of the names in `text`, which are separated by spaces; unknown ones have none. */
static uint32_t scope_bits(const char *text, const struct mcp_auth_options *o)
{
    uint32_t bits = 0;
    while (*text) {
        size_t len = strcspn(text, " ");
        for (size_t i = 0; i < o->scope_count; i++) {
            if (slice_is_equal((struct slice){text, len}, slice_from_cstr(o->scopes[i].name)))
                bits |= o->scopes[i].bits;
        }
        text += len;
        text += strspn(text, " ");
    }
    return bits;
}

/* A text (RFC 8693 section 4.2), or a list of texts, as some issuers have it. */
static enum mcp_auth_reason read_scopes(const cJSON *scope, const struct mcp_auth_options *o,
                                        uint32_t *bits)
{
    if (cJSON_IsString(scope))
        *bits |= scope_bits(scope->valuestring, o);
    else if (scope && !cJSON_IsArray(scope))
        return MCP_AUTH_SCOPE_INVALID;
    const cJSON *list = cJSON_IsArray(scope) ? scope : NULL;
    const cJSON *one;
    cJSON_ArrayForEach(one, list)
    {
        if (!cJSON_IsString(one))
            return MCP_AUTH_SCOPE_INVALID;
        *bits |= scope_bits(one->valuestring, o);
    }
    return MCP_AUTH_OK;
}

enum mcp_auth_reason auth_token_check_claims(const struct auth_token *t,
                                             const struct mcp_auth_options *o, int64_t now_us,
                                             struct mcp_auth_result *out)
{
    const cJSON *claims = t->claims;
    const char *audience = o->audience ? o->audience : o->resource;
    enum mcp_auth_reason reason = check_audience(json_get(claims, "aud"), audience);
    if (!reason)
        reason =
            check_times(claims, (int64_t)o->clock_skew_s * SECOND_US, now_us, &out->expires_us);
    if (!reason)
        reason = read_subject(json_get(claims, "sub"), out->subject);
    if (!reason)
        reason = read_scopes(json_get(claims, "scope"), o, &out->scopes);
    if (!reason)
        reason = read_scopes(json_get(claims, "scp"), o, &out->scopes);
    /* RFC 9449 section 7.2, RFC 8705 section 3: such a token proves nothing without the key. */
    if (!reason && json_get(claims, "cnf"))
        reason = MCP_AUTH_BOUND;
    if (!reason)
        read_email(claims, out->email);
    return reason;
}
