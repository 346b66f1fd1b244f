#include "api_key.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "base/base64.h"
#include "base/buf.h"

#define KEY_BYTES 32

int api_key_make(char out[API_KEY_SIZE])
{
    char bytes[KEY_BYTES];
    struct buf b;
    if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
        return -errno;
    buf_init_fixed(&b, out, API_KEY_SIZE);
    buf_append_cstr(&b, API_KEY_PREFIX);
    base64url_append(&b, (struct slice){bytes, sizeof(bytes)});
    return buf_status(&b);
}

bool api_key_is_one(struct slice text)
{
    return text.len >= sizeof(API_KEY_PREFIX) - 1 &&
           memcmp(text.ptr, API_KEY_PREFIX, sizeof(API_KEY_PREFIX) - 1) == 0;
}

int api_key_hash(struct slice key, unsigned char out[DIGEST_SIZE])
{
    return digest_sha256(key, out);
}
