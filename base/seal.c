/* nonce (12 bytes) | ciphertext | tag (16 bytes), in base64url. */
#include "base/seal.h"

#include <errno.h>
#include <limits.h>
#include <openssl/evp.h>
#include <sys/random.h>

#include "base/base64.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/mem.h"

#define NONCE_BYTES 12
#define TAG_BYTES   16
#define FRAME_BYTES (NONCE_BYTES + TAG_BYTES)
#define PLAIN_MAX   ((size_t)1 << 24)

static const unsigned char *bytes_of(struct slice s)
{
    return (const unsigned char *)(s.len > 0 ? s.ptr : "");
}

/* `frame` has the nonce; the rest is filled in. */
static bool encrypt(const unsigned char *key, struct slice plain, struct slice context,
                    unsigned char *frame)
{
    int len = 0;
    int tail = 0;
    unsigned char *body = frame + NONCE_BYTES;
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    bool is_done = c && EVP_EncryptInit_ex(c, EVP_aes_256_gcm(), NULL, key, frame) == 1 &&
                   EVP_EncryptUpdate(c, NULL, &len, bytes_of(context), (int)context.len) == 1 &&
                   EVP_EncryptUpdate(c, body, &len, bytes_of(plain), (int)plain.len) == 1 &&
                   EVP_EncryptFinal_ex(c, body + len, &tail) == 1 &&
                   EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, TAG_BYTES, body + plain.len) == 1;
    EVP_CIPHER_CTX_free(c);
    return is_done;
}

static bool decrypt(const unsigned char *key, unsigned char *frame, size_t body_len,
                    struct slice context, unsigned char *plain)
{
    int len = 0;
    int tail = 0;
    unsigned char *body = frame + NONCE_BYTES;
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    bool is_done = c && EVP_DecryptInit_ex(c, EVP_aes_256_gcm(), NULL, key, frame) == 1 &&
                   EVP_DecryptUpdate(c, NULL, &len, bytes_of(context), (int)context.len) == 1 &&
                   EVP_DecryptUpdate(c, plain, &len, body, (int)body_len) == 1 &&
                   EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_TAG, TAG_BYTES, body + body_len) == 1 &&
                   EVP_DecryptFinal_ex(c, plain + len, &tail) == 1;
    EVP_CIPHER_CTX_free(c);
    return is_done;
}

int seal_close(const unsigned char key[SEAL_KEY_SIZE], struct slice plain, struct slice context,
               struct buf *out)
{
    if (plain.len > PLAIN_MAX || context.len > PLAIN_MAX)
        return BASE_ELIMIT;
    unsigned char *frame = mem_alloc(FRAME_BYTES + plain.len);
    if (!frame)
        return BASE_ENOMEM;
    int status = getrandom(frame, NONCE_BYTES, 0) == NONCE_BYTES ? 0 : -errno;
    if (!status && !encrypt(key, plain, context, frame))
        status = BASE_ENOMEM;
    if (!status) {
        base64url_append(out, (struct slice){(const char *)frame, FRAME_BYTES + plain.len});
        status = buf_status(out);
    }
    mem_free(frame);
    return status;
}

int seal_open(const unsigned char key[SEAL_KEY_SIZE], struct slice sealed, struct slice context,
              struct buf *out)
{
    size_t len = 0;
    if (sealed.len > 2 * PLAIN_MAX || context.len > PLAIN_MAX)
        return BASE_EINVAL;
    unsigned char *frame = mem_alloc(2 * sealed.len + 2);
    if (!frame)
        return BASE_ENOMEM;
    unsigned char *plain = frame + sealed.len + 1;
    int status = BASE_EINVAL;
    if (base64url_decode(sealed, (char *)frame, &len) == 0 && len >= FRAME_BYTES &&
        decrypt(key, frame, len - FRAME_BYTES, context, plain)) {
        buf_append(out, plain, len - FRAME_BYTES);
        status = buf_status(out);
    }
    mem_free(frame);
    return status;
}
