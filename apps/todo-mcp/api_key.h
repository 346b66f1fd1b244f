#pragma once
/* apps/todo-mcp/api_key: what an API key looks like: "todo_" and 32 random bytes in base64url. */
#include <stdbool.h>

#include "base/digest.h"

#define API_KEY_PREFIX "todo_"
/* 43 digits and a NUL, rounded up as base64url_append does. */
#define API_KEY_SIZE (sizeof(API_KEY_PREFIX) + 44)

/* 0, or UV_E* when the kernel gives no randomness. */
__attribute__((warn_unused_result)) int api_key_make(char out[API_KEY_SIZE]);
/* Whether the text can be a key of ours; else it may be a token. */
bool api_key_is_one(struct slice text);
/* What is stored of it. 0, or BASE_ENOMEM. */
__attribute__((warn_unused_result)) int api_key_hash(struct slice key,
                                                     unsigned char out[DIGEST_SIZE]);
