/* A JWK set (RFC 7517) -> keys that cjose verifies with.
 *
 * A key is used for what it says it is for: `use`, `key_ops` and `alg` that say otherwise rule it
 * out, and so do symmetric keys, RSA below 2,048 bits and curves other than P-256. Only the public
 * members are read. Of EdDSA keys libcjose 0.6 knows nothing: they are ignored. */
#include <openssl/err.h>
#include <string.h>

#include "base/base64.h"
#include "base/error.h"
#include "base/json.h"
#include "base/mem.h"
#include "mcp/auth_int.h"

#define RSA_BITS_MIN 2048
#define RSA_BITS_MAX 8192 /* verifying grows with the square */
#define RSA_BYTES    (RSA_BITS_MAX / 8)
#define EC_BYTES     32 /* of a P-256 coordinate; a signature has two */
#define TRIES_MAX    8

/* ---- members ---- */

/* The bytes of a base64url member; false when there is none or it is too long. */
static bool read_bytes(const cJSON *jwk, const char *member, uint8_t *out, size_t size, size_t *len)
{
    char bytes[BASE64_DECODED_MAX(RSA_BYTES * 4 / 3 + 4)];
    struct slice text = slice_from_cstr(json_get_string(jwk, member));
    if (!text.ptr || BASE64_DECODED_MAX(text.len) > sizeof(bytes) ||
        base64url_decode(text, bytes, len) || *len == 0 || *len > size)
        return false;
    memcpy(out, bytes, *len);
    return true;
}

static bool has_operation(const cJSON *operations, const char *wanted)
{
    const cJSON *one;
    cJSON_ArrayForEach(one, operations)
    {
        if (cJSON_IsString(one) && strcmp(one->valuestring, wanted) == 0)
            return true;
    }
    return false;
}

static bool is_for_verifying(const cJSON *jwk)
{
    const cJSON *use = json_get(jwk, "use");
    const cJSON *operations = json_get(jwk, "key_ops");
    if (use && !(cJSON_IsString(use) && strcmp(use->valuestring, "sig") == 0))
        return false;
    return !operations || (cJSON_IsArray(operations) && has_operation(operations, "verify"));
}

/* False when the key fits none of our algorithms. */
static bool read_fits(struct auth_key *key, const cJSON *jwk, cjose_jwk_kty_t kind)
{
    enum auth_alg only = AUTH_RS256;
    bool is_any = false;
    const cJSON *alg = json_get(jwk, "alg");
    if (alg && !(cJSON_IsString(alg) && auth_alg_parse(alg->valuestring, &only)))
        return false;
    for (int i = 0; i < AUTH_ALG_COUNT; i++) {
        enum auth_alg one = (enum auth_alg)i;
        key->fits[i] = auth_alg_kind(one) == kind && (!alg || one == only);
        is_any = is_any || key->fits[i];
    }
    return is_any;
}

static bool read_key_id(struct auth_key *key, const cJSON *jwk)
{
    const cJSON *kid = json_get(jwk, "kid");
    if (!kid)
        return true;
    size_t len = cJSON_IsString(kid) ? strlen(kid->valuestring) : 0;
    if (len == 0 || len > AUTH_KID_MAX)
        return false;
    memcpy(key->kid, kid->valuestring, len + 1);
    return true;
}

/* ---- keys ---- */

static size_t bit_count(const uint8_t *number, size_t len)
{
    while (len > 0 && *number == 0) {
        number++;
        len--;
    }
    size_t bits = len * 8;
    for (int i = 7; len > 0 && i >= 0 && !(*number >> i & 1); i--)
        bits--;
    return bits;
}

static cjose_jwk_t *read_rsa(const cJSON *jwk)
{
    uint8_t n[RSA_BYTES];
    uint8_t e[4]; /* a larger exponent only costs time */
    cjose_jwk_rsa_keyspec spec = {.n = n, .e = e};
    if (!read_bytes(jwk, "n", n, sizeof(n), &spec.nlen) ||
        !read_bytes(jwk, "e", e, sizeof(e), &spec.elen))
        return NULL;
    size_t bits = bit_count(n, spec.nlen);
    if (bits < RSA_BITS_MIN || bits > RSA_BITS_MAX || !(e[spec.elen - 1] & 1) ||
        bit_count(e, spec.elen) < 2)
        return NULL;
    return cjose_jwk_create_RSA_spec(&spec, NULL);
}

/* OpenSSL refuses a point that is not on the curve. */
static cjose_jwk_t *read_ec(const cJSON *jwk)
{
    uint8_t x[EC_BYTES];
    uint8_t y[EC_BYTES];
    cjose_jwk_ec_keyspec spec = {.crv = CJOSE_JWK_EC_P_256, .x = x, .y = y};
    const char *crv = json_get_string(jwk, "crv");
    if (!crv || strcmp(crv, "P-256") != 0 || !read_bytes(jwk, "x", x, sizeof(x), &spec.xlen) ||
        !read_bytes(jwk, "y", y, sizeof(y), &spec.ylen) || spec.xlen != EC_BYTES ||
        spec.ylen != EC_BYTES)
        return NULL;
    return cjose_jwk_create_EC_spec(&spec, NULL);
}

static bool read_key(struct auth_key *key, const cJSON *jwk)
{
    const char *kty = json_get_string(jwk, "kty");
    bool is_rsa = kty && strcmp(kty, "RSA") == 0;
    if (!is_rsa && !(kty && strcmp(kty, "EC") == 0))
        return false;
    *key = (struct auth_key){0};
    if (!is_for_verifying(jwk) || !read_key_id(key, jwk) ||
        !read_fits(key, jwk, is_rsa ? CJOSE_JWK_KTY_RSA : CJOSE_JWK_KTY_EC))
        return false;
    key->jwk = is_rsa ? read_rsa(jwk) : read_ec(jwk);
    ERR_clear_error();
    return key->jwk != NULL;
}

static int read_set(struct auth_keys *keys, const cJSON *set, struct error *err)
{
    const cJSON *list = json_get(set, "keys");
    const cJSON *one;
    if (!cJSON_IsArray(list))
        return error_set(err, BASE_EINVAL, "keys", "the key set has no list of keys");
    cJSON_ArrayForEach(one, list)
    {
        if (keys->count < AUTH_KEYS_MAX && read_key(&keys->keys[keys->count], one))
            keys->count++;
        else
            keys->ignored++;
    }
    return keys->count > 0
               ? 0
               : error_set(err, BASE_EINVAL, "keys",
                           "none of the set's %d keys is for RS256, PS256 or ES256", keys->ignored);
}

struct auth_keys *auth_keys_parse(struct slice json, struct error *err)
{
    struct auth_keys *keys = mem_calloc(1, sizeof(*keys));
    if (!keys) {
        error_set(err, BASE_ENOMEM, NULL, "out of memory");
        return NULL;
    }
    cJSON *set = json_parse(json, err);
    if (!set || digest_sha256(json, keys->digest) || read_set(keys, set, err)) {
        auth_keys_free(keys);
        keys = NULL;
    }
    cJSON_Delete(set);
    return keys;
}

void auth_keys_free(struct auth_keys *keys)
{
    for (int i = 0; keys && i < keys->count; i++)
        cjose_jwk_release(keys->keys[i].jwk);
    mem_free(keys);
}

/* ---- signatures ---- */

static enum mcp_auth_reason verify_one(const struct auth_key *key, const struct auth_token *t,
                                       struct slice text)
{
    uint8_t *plain = NULL;
    size_t plain_len = 0;
    enum mcp_auth_reason reason = MCP_AUTH_SIGNATURE_WRONG;
    if (t->alg == AUTH_ES256 && t->signature.len != (size_t)2 * EC_BYTES)
        return reason;
    cjose_err err = {0};
    cjose_jws_t *jws = cjose_jws_import(text.ptr, text.len, &err);
    if (!jws) {
        reason = err.code == CJOSE_ERR_NO_MEMORY ? MCP_AUTH_NO_MEMORY : reason;
    } else if (cjose_jws_verify(jws, key->jwk, NULL) &&
               cjose_jws_get_plaintext(jws, &plain, &plain_len, NULL) &&
               slice_is_equal(t->payload, (struct slice){(char *)plain, plain_len})) {
        reason = MCP_AUTH_OK; /* and what was signed is what we read */
    }
    cjose_jws_release(jws);
    ERR_clear_error();
    return reason;
}

/* A token with a key id is for the keys of that id, one without for any that fits. */
static bool is_named(const struct auth_key *key, const struct auth_token *t)
{
    return !t->kid[0] || strcmp(key->kid, t->kid) == 0;
}

enum mcp_auth_reason auth_keys_verify(const struct auth_keys *keys, const struct auth_token *t,
                                      struct slice text)
{
    int tries = 0;
    enum mcp_auth_reason reason = MCP_AUTH_KEY_UNKNOWN;
    for (int i = 0; i < keys->count && tries < TRIES_MAX; i++) {
        const struct auth_key *key = &keys->keys[i];
        if (!is_named(key, t))
            continue;
        if (!key->fits[t->alg]) {
            reason = tries || !t->kid[0] ? reason : MCP_AUTH_KEY_MISMATCH;
            continue;
        }
        tries++;
        reason = verify_one(key, t, text);
        if (reason != MCP_AUTH_SIGNATURE_WRONG)
            break;
    }
    return reason;
}
