#pragma once
/* base/seal: text that a stranger may carry and hand back, but neither read nor change:
 * AES-256-GCM (NIST SP 800-38D) with a random nonce, in unpadded base64url. */
#include "base/slice.h"

struct buf;

#define SEAL_KEY_SIZE 32

/* Appends the sealed text to `out`. `context` is bound to it but not in it: opening needs the same
 * bytes. 0, BASE_ENOMEM/BASE_ELIMIT, or UV_E* when the kernel gives no randomness. */
int seal_close(const unsigned char key[SEAL_KEY_SIZE], struct slice plain, struct slice context,
               struct buf *out);
/* Appends the plain text to `out`. BASE_EINVAL when the text was not sealed with this key and
 * context. */
int seal_open(const unsigned char key[SEAL_KEY_SIZE], struct slice sealed, struct slice context,
              struct buf *out);
