#pragma once
/* An issuer's tools for tests: keys, JWKs and signed tokens, made by OpenSSL alone, so that what
 * is tested (libcjose) does not judge its own work. */
#include <openssl/evp.h>

#include "base/slice.h"

struct buf;

EVP_PKEY *jose_rsa(unsigned bits);
/* "P-256", "P-384" … */
EVP_PKEY *jose_ec(const char *curve);
EVP_PKEY *jose_ed25519(void);

/* The public key as a JWK; `more` are further members: ",\"kid\":\"k1\"". */
void jose_append_jwk(struct buf *out, EVP_PKEY *key, const char *more);

enum jose_alg { JOSE_RS256, JOSE_PS256, JOSE_ES256, JOSE_HS256, JOSE_EDDSA, JOSE_RS512 };
/* base64url(header).base64url(payload).base64url(signature), whatever the header says. HS256 signs
 * with `secret`. Freed with mem_free. */
char *jose_sign(enum jose_alg alg, EVP_PKEY *key, struct slice secret, const char *header,
                const char *payload);
