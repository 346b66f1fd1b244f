#pragma once
/* mcp/auth: an OAuth 2.1 resource server: judges access tokens, tells clients where to get one.
 *
 *   mcp_auth_new -> mcp_auth_check … -> mcp_auth_close (async) -> closed callback
 *   refused: 401 with mcp_auth_challenge; a scope is missing: 403 with mcp_auth_challenge;
 *   GET /.well-known/oauth-protected-resource[/path]: mcp_auth_metadata
 *
 * Tokens are JWTs (RFC 9068, RFC 7519), signed RS256, PS256 or ES256 with a key of the issuer's set
 * (RFC 7517), and checked by libcjose. The set is fetched at the start, again every refresh_ms, and
 * when a token names a key that is not in it (bounded: three at once, then six a minute). The old
 * keys count until a new set is there: a failed fetch is repeated with growing pauses and takes
 * nothing away. A token that was found good is remembered by its hash until it expires or the key
 * set changes.
 * Owns:   copies of its options' texts; the key set. Borrows the loop, the HTTP client and the log.
 * Thread: loop thread only. A signature costs less than a millisecond.
 * Limits: 8 KiB a token, 64 keys, cache_max remembered tokens, waiters_max waiting ones.
 * The token's text is never logged or kept, but by a check that waits for keys.
 * Spec:   basic/authorization of 2026-07-28; RFC 6750, 8414, 8725, 9728. */
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/slice.h"

struct buf;
struct error;
struct http_client;
struct log;
struct mcp_auth;

#define MCP_AUTH_TOKEN_MAX   8192
#define MCP_AUTH_SUBJECT_MAX 255 /* bytes */
#define MCP_AUTH_EMAIL_MAX   254
#define MCP_AUTH_KID_SIZE    64

/* name, word for logs, text for the client. The words are stable. */
#define MCP_AUTH_REASONS(X)                                                                        \
    X(MCP_AUTH_OK, "ok", "the token is good")                                                      \
    X(MCP_AUTH_PENDING, "pending", "the issuer's keys are being fetched")                          \
    X(MCP_AUTH_MISSING, "missing", "an access token is needed")                                    \
    X(MCP_AUTH_TOO_LONG, "too_long", "the token is longer than 8192 bytes")                        \
    X(MCP_AUTH_MALFORMED, "malformed", "the token is no JWT of three parts")                       \
    X(MCP_AUTH_ENCRYPTED, "encrypted", "encrypted tokens are not taken")                           \
    X(MCP_AUTH_HEADER_ENCODING, "header_encoding", "the header is no canonical base64url")         \
    X(MCP_AUTH_HEADER_JSON, "header_json", "the header is no valid JSON object")                   \
    X(MCP_AUTH_TYPE, "type", "the type is neither at+jwt nor JWT")                                 \
    X(MCP_AUTH_CRITICAL, "critical", "a critical header member is not understood")                 \
    X(MCP_AUTH_UNENCODED, "unencoded", "unencoded payloads are not taken")                         \
    X(MCP_AUTH_ALG_MISSING, "alg_missing", "the header names no algorithm")                        \
    X(MCP_AUTH_ALG_NONE, "alg_none", "the token is not signed")                                    \
    X(MCP_AUTH_ALG_SYMMETRIC, "alg_symmetric", "symmetric algorithms are not taken")               \
    X(MCP_AUTH_ALG_EDDSA, "alg_eddsa", "EdDSA is not supported by this server")                    \
    X(MCP_AUTH_ALG_UNSUPPORTED, "alg_unsupported", "the algorithm is not RS256, PS256 or ES256")   \
    X(MCP_AUTH_KID_INVALID, "kid_invalid", "the key id is no text of 1 to 256 bytes")              \
    X(MCP_AUTH_PAYLOAD_ENCODING, "payload_encoding", "the payload is no canonical base64url")      \
    X(MCP_AUTH_PAYLOAD_JSON, "payload_json", "the payload is no valid JSON object")                \
    X(MCP_AUTH_SIGNATURE_ENCODING, "signature_encoding",                                           \
      "the signature is no canonical base64url")                                                   \
    X(MCP_AUTH_SIGNATURE_MISSING, "signature_missing", "the signature is empty")                   \
    X(MCP_AUTH_ISSUER_MISSING, "issuer_missing", "the issuer is missing")                          \
    X(MCP_AUTH_ISSUER_WRONG, "issuer_wrong", "the token is of another issuer")                     \
    X(MCP_AUTH_KEY_UNKNOWN, "key_unknown", "the issuer has no such key")                           \
    X(MCP_AUTH_KEY_MISMATCH, "key_mismatch", "the key is not one for the algorithm")               \
    X(MCP_AUTH_SIGNATURE_WRONG, "signature_wrong", "the signature does not match")                 \
    X(MCP_AUTH_AUDIENCE_MISSING, "audience_missing", "the audience is missing")                    \
    X(MCP_AUTH_AUDIENCE_INVALID, "audience_invalid", "the audience is no text or list of texts")   \
    X(MCP_AUTH_AUDIENCE_WRONG, "audience_wrong", "the token is for another audience")              \
    X(MCP_AUTH_EXPIRY_MISSING, "expiry_missing", "the time of expiry is missing")                  \
    X(MCP_AUTH_EXPIRY_INVALID, "expiry_invalid", "the time of expiry is no time")                  \
    X(MCP_AUTH_EXPIRED, "expired", "the token has expired")                                        \
    X(MCP_AUTH_START_INVALID, "start_invalid", "the start of validity is no time")                 \
    X(MCP_AUTH_NOT_YET_VALID, "not_yet_valid", "the token is not valid yet")                       \
    X(MCP_AUTH_ISSUED_INVALID, "issued_invalid", "the time of issue is no time")                   \
    X(MCP_AUTH_ISSUED_LATER, "issued_later", "the token was issued in the future")                 \
    X(MCP_AUTH_SUBJECT_MISSING, "subject_missing", "the subject is missing")                       \
    X(MCP_AUTH_SUBJECT_INVALID, "subject_invalid",                                                 \
      "the subject is no text of 1 to 255 bytes without control characters")                       \
    X(MCP_AUTH_SCOPE_INVALID, "scope_invalid", "the scope is no text or list of texts")            \
    X(MCP_AUTH_BOUND, "bound", "tokens that are bound to a client's key are not taken")            \
    X(MCP_AUTH_KEYS_UNAVAILABLE, "keys_unavailable", "the issuer's keys cannot be fetched now")    \
    X(MCP_AUTH_BUSY, "busy", "too many tokens wait for the issuer's keys")                         \
    X(MCP_AUTH_NO_MEMORY, "no_memory", "out of memory")                                            \
    X(MCP_AUTH_REFUSED, "refused", "the credential is not valid")                                  \
    X(MCP_AUTH_SCOPE_MISSING, "scope_missing", "the token lacks a scope that this needs")

enum mcp_auth_reason {
#define X(name, word, text) name,
    MCP_AUTH_REASONS(X)
#undef X
};
const char *mcp_auth_reason_word(enum mcp_auth_reason reason);
const char *mcp_auth_reason_text(enum mcp_auth_reason reason);
/* The token was not judged: 503, not 401. */
bool mcp_auth_is_temporary(enum mcp_auth_reason reason);

struct mcp_auth_scope {
    const char *name;
    uint32_t bits; /* a broad scope has the bits of the narrow ones too */
};

struct mcp_auth_options {
    const char *resource;      /* the endpoint's URL as clients know it, without a fragment */
    const char *resource_name; /* for people; may be NULL */
    const char *issuer;        /* exactly as tokens name it; https, or http on loopback */
    const char *audience;      /* NULL: the resource */
    const char *jwks_url;      /* NULL: found through the issuer's metadata */
    const struct mcp_auth_scope *scopes; /* borrowed for its life */
    size_t scope_count;
    uint32_t clock_skew_s;     /* 0: 60 s */
    uint32_t refresh_ms;       /* 0: 15 min */
    uint32_t fetch_timeout_ms; /* of one request to the issuer; 0: 5 s */
    uint32_t cache_max;        /* 0: 4,096 */
    uint32_t waiters_max;      /* 0: 1,024 */
};

struct mcp_auth_result {
    enum mcp_auth_reason reason;
    uint32_t scopes;                        /* of a good token */
    int64_t expires_us;                     /* of a good token */
    char subject[MCP_AUTH_SUBJECT_MAX + 1]; /* of a good token */
    char email[MCP_AUTH_EMAIL_MAX + 1];     /* of a good token that says it is verified, else "" */
    char kid[MCP_AUTH_KID_SIZE];            /* for the log: cut, in harmless characters; or "" */
};

/* Comes once, never from inside mcp_auth_check. `result` is borrowed until the return. */
typedef void (*mcp_auth_fn)(void *ctx, const struct mcp_auth_result *result);
typedef void (*mcp_auth_closed_fn)(void *ctx);

/* Begins to fetch the keys. 0 and *out; BASE_EINVAL with the option's name in err->field;
 * BASE_ENOMEM; UV_E*. */
__attribute__((warn_unused_result)) int
mcp_auth_new(uv_loop_t *loop, const struct mcp_auth_options *options, struct http_client *http,
             const struct log *log, struct mcp_auth **out, struct error *err);
/* Judges a token. The keys that are here suffice: the reason, which is also in *now, and `fn` is
 * not called. Else MCP_AUTH_PENDING, and `fn` comes later: at the latest when fetching has failed
 * or mcp_auth_close was called. */
enum mcp_auth_reason mcp_auth_check(struct mcp_auth *a, struct slice token,
                                    struct mcp_auth_result *now, mcp_auth_fn fn, void *ctx);
/* Tells what waits MCP_AUTH_KEYS_UNAVAILABLE, then calls `closed` and frees. To be called before
 * the HTTP client is closed. */
void mcp_auth_close(struct mcp_auth *a, mcp_auth_closed_fn closed, void *ctx);

/* The document of RFC 9728, as JSON. */
void mcp_auth_metadata(const struct mcp_auth *a, struct buf *out);
/* Where clients find it. */
const char *mcp_auth_metadata_url(const struct mcp_auth *a);
/* The value of WWW-Authenticate (RFC 6750 section 3, RFC 9728 section 5.1), with the names of the
 * scopes that the bits stand for. MCP_AUTH_MISSING: no error in it; MCP_AUTH_SCOPE_MISSING:
 * insufficient_scope, to be sent with 403; else invalid_token. */
void mcp_auth_challenge(const struct mcp_auth *a, enum mcp_auth_reason reason, uint32_t scopes,
                        struct buf *out);
