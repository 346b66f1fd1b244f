#pragma once
/* mcp/auth_int: what the parts of mcp/auth share.
 *   auth.c         checks, remembers, waits        auth_keys.c  key set -> cjose keys, signatures
 *   auth_token.c   text -> header and claims       auth_fetch.c the issuer's metadata and keys
 *   auth_answer.c  what clients are told */
#include <cjose/cjose.h>
#include <cjson/cJSON.h>

#include "base/digest.h"
#include "mcp/auth.h"

#define AUTH_KID_MAX  256
#define AUTH_KEYS_MAX 64

/* The algorithms that are taken, each with the kind of key that it needs. */
#define AUTH_ALGS(X)                                                                               \
    X(AUTH_RS256, "RS256", CJOSE_JWK_KTY_RSA)                                                      \
    X(AUTH_PS256, "PS256", CJOSE_JWK_KTY_RSA)                                                      \
    X(AUTH_ES256, "ES256", CJOSE_JWK_KTY_EC)

enum auth_alg {
#define X(name, text, kind) name,
    AUTH_ALGS(X)
#undef X
        AUTH_ALG_COUNT
};
/* False: none of ours. */
bool auth_alg_parse(const char *name, enum auth_alg *out);
cjose_jwk_kty_t auth_alg_kind(enum auth_alg alg);

/* ---- auth_token.c: pure ---- */

struct auth_token {
    char *memory; /* behind the decoded parts */
    struct slice payload, signature;
    cJSON *claims; /* an object */
    enum auth_alg alg;
    char kid[AUTH_KID_MAX + 1]; /* "" when there is none */
};

/* Takes the text apart; nothing in it is believed yet. MCP_AUTH_OK, or what is wrong with it. In
 * both cases auth_token_deinit is due. */
enum mcp_auth_reason auth_token_parse(struct auth_token *t, struct slice text);
void auth_token_deinit(struct auth_token *t);
enum mcp_auth_reason auth_token_check_issuer(const struct auth_token *t, const char *issuer);
/* The claims of a token whose signature is good. Fills *out but its reason and kid. */
enum mcp_auth_reason auth_token_check_claims(const struct auth_token *t,
                                             const struct mcp_auth_options *options, int64_t now_us,
                                             struct mcp_auth_result *out);
/* For the log. */
void auth_token_show_kid(const struct auth_token *t, char out[MCP_AUTH_KID_SIZE]);

/* ---- auth_keys.c: pure ---- */

struct auth_key {
    cjose_jwk_t *jwk;
    bool fits[AUTH_ALG_COUNT];
    char kid[AUTH_KID_MAX + 1]; /* "" when there is none */
};

struct auth_keys {
    int count;
    int ignored; /* entries of the set that are of no use to us */
    unsigned char digest[DIGEST_SIZE];
    struct auth_key keys[AUTH_KEYS_MAX];
};

/* A JWK set's text -> its usable keys; auth_keys_free. NULL with `err` when it has none. */
struct auth_keys *auth_keys_parse(struct slice json, struct error *err);
void auth_keys_free(struct auth_keys *keys);
/* `text` is what `t` was parsed from. MCP_AUTH_OK, _KEY_UNKNOWN, _KEY_MISMATCH, _SIGNATURE_WRONG or
 * _NO_MEMORY. */
enum mcp_auth_reason auth_keys_verify(const struct auth_keys *keys, const struct auth_token *t,
                                      struct slice text);

/* ---- auth_fetch.c ---- */

enum fetch_state { FETCH_IDLE, FETCH_METADATA, FETCH_KEYS };

struct http_call;

struct auth_fetch {
    enum fetch_state state;
    int candidate;            /* FETCH_METADATA: which address of the metadata */
    char *found_url;          /* of the keys, by the metadata; NULL: to be found */
    struct http_call *call;   /* in flight */
    uint32_t failures;        /* since the last success */
    uv_timer_t timer;         /* of the next fetch */
    struct rate_limit *extra; /* of fetches beyond the timer's */
};

/* Begins now unless it is under way. `auth_on_fetched` comes at the end. */
void auth_fetch_start(struct mcp_auth *a);
/* https, or http to a loopback host; a host, no user, no fragment. BASE_EINVAL with `field`. */
int auth_check_url(const char *url, const char *field, struct error *err);
/* The same for a jwks_uri in the metadata of `issuer`; from one with https keys come by https
 * alone. */
int auth_check_keys_url(const char *issuer, const char *url, struct error *err);
/* Length of scheme and authority. */
size_t auth_origin_len(const char *url);

/* ---- auth.c ---- */

struct auth_waiter;

struct mcp_auth {
    uv_loop_t *loop;
    struct http_client *http;
    const struct log *log;
    struct mcp_auth_options options; /* its texts are owned */
    char *texts;
    char *metadata_url;
    struct auth_keys *keys; /* NULL before the first fetch */
    struct lru *verified;   /* SHA-256 of a token -> struct mcp_auth_result */
    struct auth_waiter *first, *last;
    uint32_t waiter_count;
    struct auth_fetch fetch;
    bool is_closing, is_timer_closed;
    mcp_auth_closed_fn closed;
    void *closed_ctx;
};

/* The keys came (taken over), or NULL: they did not, and the old ones stay. */
void auth_on_fetched(struct mcp_auth *a, struct auth_keys *take_keys);
/* The HTTP call has ended while closing. */
void auth_try_free(struct mcp_auth *a);
