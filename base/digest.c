#include "base/digest.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "base/error.h"

int digest_sha256(struct slice bytes, unsigned char out[DIGEST_SIZE])
{
    return EVP_Digest(bytes.len ? bytes.ptr : "", bytes.len, out, NULL, EVP_sha256(), NULL) == 1
               ? 0
               : BASE_ENOMEM;
}

bool digest_is_equal(const unsigned char a[DIGEST_SIZE], const unsigned char b[DIGEST_SIZE])
{
    return CRYPTO_memcmp(a, b, DIGEST_SIZE) == 0;
}
