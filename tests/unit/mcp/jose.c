#include "jose.h"

#include "support/unit.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/hmac.h>
#include <openssl/rsa.h>

#include "base/base64.h"
#include "base/buf.h"

#define EC_BYTES 32

EVP_PKEY *jose_rsa(unsigned bits)
{
    return EVP_RSA_gen(bits);
}

EVP_PKEY *jose_ec(const char *curve)
{
    return EVP_EC_gen(curve);
}

EVP_PKEY *jose_ed25519(void)
{
    return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
}

/* ---- JWK ---- */

/* `width` 0: as long as the number needs. */
static void append_number(struct buf *out, EVP_PKEY *key, const char *parameter, int width)
{
    BIGNUM *number = NULL;
    unsigned char bytes[1024];
    assert_int_equal(EVP_PKEY_get_bn_param(key, parameter, &number), 1);
    int len = width ? BN_bn2binpad(number, bytes, width) : BN_bn2bin(number, bytes);
    assert_true(len > 0);
    base64url_append(out, (struct slice){(char *)bytes, (size_t)len});
    BN_free(number);
}

static void append_ec(struct buf *out, EVP_PKEY *key)
{
    bool is_256 = EVP_PKEY_get_bits(key) == 256;
    int width = (EVP_PKEY_get_bits(key) + 7) / 8;
    buf_printf(out, "{\"kty\":\"EC\",\"crv\":\"%s\",\"x\":\"", is_256 ? "P-256" : "P-384");
    append_number(out, key, OSSL_PKEY_PARAM_EC_PUB_X, width);
    buf_append_cstr(out, "\",\"y\":\"");
    append_number(out, key, OSSL_PKEY_PARAM_EC_PUB_Y, width);
}

static void append_rsa(struct buf *out, EVP_PKEY *key)
{
    buf_append_cstr(out, "{\"kty\":\"RSA\",\"n\":\"");
    append_number(out, key, OSSL_PKEY_PARAM_RSA_N, 0);
    buf_append_cstr(out, "\",\"e\":\"");
    append_number(out, key, OSSL_PKEY_PARAM_RSA_E, 0);
}

static void append_ed25519(struct buf *out, EVP_PKEY *key)
{
    unsigned char bytes[32];
    size_t len = sizeof(bytes);
    assert_int_equal(EVP_PKEY_get_raw_public_key(key, bytes, &len), 1);
    buf_append_cstr(out, "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"");
    base64url_append(out, (struct slice){(char *)bytes, len});
}

void jose_append_jwk(struct buf *out, EVP_PKEY *key, const char *more)
{
    if (EVP_PKEY_is_a(key, "EC"))
        append_ec(out, key);
    else if (EVP_PKEY_is_a(key, "RSA"))
        append_rsa(out, key);
    else
        append_ed25519(out, key);
    buf_printf(out, "\"%s}", more);
    assert_int_equal(buf_status(out), 0);
}

/* ---- signatures ---- */

static size_t sign_by_key(enum jose_alg alg, EVP_PKEY *key, struct slice text, unsigned char *out,
                          size_t size)
{
    EVP_PKEY_CTX *options = NULL;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    const EVP_MD *md = alg == JOSE_EDDSA ? NULL : alg == JOSE_RS512 ? EVP_sha512() : EVP_sha256();
    assert_int_equal(EVP_DigestSignInit(ctx, &options, md, NULL, key), 1);
    if (alg == JOSE_PS256) {
        assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING), 1);
        assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_DIGEST), 1);
    }
    assert_int_equal(EVP_DigestSign(ctx, out, &size, (const unsigned char *)text.ptr, text.len), 1);
    EVP_MD_CTX_free(ctx);
    return size;
}

/* OpenSSL's DER -> the two numbers of RFC 7518 section 3.4. */
static size_t ec_to_jose(unsigned char *signature, size_t len)
{
    const unsigned char *at = signature;
    ECDSA_SIG *parsed = d2i_ECDSA_SIG(NULL, &at, (long)len);
    assert_non_null(parsed);
    assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_r(parsed), signature, EC_BYTES), EC_BYTES);
    assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_s(parsed), signature + EC_BYTES, EC_BYTES),
                     EC_BYTES);
    ECDSA_SIG_free(parsed);
    return (size_t)2 * EC_BYTES;
}

char *jose_sign(enum jose_alg alg, EVP_PKEY *key, struct slice secret, const char *header,
                const char *payload)
{
    struct buf token;
    unsigned char signature[1024];
    size_t len = sizeof(signature);
    unsigned mac_len = 0;
    buf_init(&token, 1 << 20);
    base64url_append(&token, slice_from_cstr(header));
    buf_append_char(&token, '.');
    base64url_append(&token, slice_from_cstr(payload));
    if (alg == JOSE_HS256) {
        assert_non_null(HMAC(EVP_sha256(), secret.ptr, (int)secret.len, (unsigned char *)token.ptr,
                             token.len, signature, &mac_len));
        len = mac_len;
    } else {
        len = sign_by_key(alg, key, buf_slice(&token), signature, len);
    }
    if (alg == JOSE_ES256)
        len = ec_to_jose(signature, len);
    buf_append_char(&token, '.');
    base64url_append(&token, (struct slice){(char *)signature, len});
    assert_int_equal(buf_status(&token), 0);
    return token.ptr;
}
