#pragma once
/* base/rate_limit: token buckets by key. A bucket holds `burst` tokens and gains `per_minute` a
 * minute; a take costs one.
 * Use:    rate_limit_new -> rate_limit_take ... -> rate_limit_free.
 * Limits: keys_max buckets. A full bucket is forgotten, which changes nothing; with all of them in
 *         use, a new key takes the place of the one that was used longest ago. */
#include <stdint.h>

#include "base/slice.h"

struct rate_limit;

struct rate_limit_options {
    uint32_t per_minute; /* at least 1 */
    uint32_t burst;      /* at least 1 */
    uint32_t keys_max;   /* at least 1 */
};

/* 0 and *out, BASE_ENOMEM, or UV_E* when the kernel gives no randomness. */
__attribute__((warn_unused_result)) int rate_limit_new(const struct rate_limit_options *options,
                                                       struct rate_limit **out);
/* NULL is fine. */
void rate_limit_free(struct rate_limit *r);
/* `now_us` is a monotonic clock's. 0: the token is taken; else none is there, none is taken, and
 * the next one comes in so many milliseconds. Without memory for a bucket: 0. */
uint32_t rate_limit_take(struct rate_limit *r, struct slice key, int64_t now_us);
/* What rate_limit_take would answer, without taking. */
uint32_t rate_limit_wait_ms(struct rate_limit *r, struct slice key, int64_t now_us);
/* Buckets that are remembered. */
uint32_t rate_limit_count(const struct rate_limit *r);
