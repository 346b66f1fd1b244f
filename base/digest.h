#pragma once
/* base/digest: SHA-256 (FIPS 180-4), and a comparison whose time tells nothing. */
#include <stdbool.h>

#include "base/slice.h"

#define DIGEST_SIZE 32

/* 0, or BASE_ENOMEM. */
__attribute__((warn_unused_result)) int digest_sha256(struct slice bytes,
                                                      unsigned char out[DIGEST_SIZE]);
/* Takes the same time wherever the two differ. */
bool digest_is_equal(const unsigned char a[DIGEST_SIZE], const unsigned char b[DIGEST_SIZE]);
