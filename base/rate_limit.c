/* A bucket is one number: the time at which it will be full again. It lacks
 * (full_at - now) / interval tokens, and a bucket whose time has passed is as good as none. */
#include "base/rate_limit.h"

#include "base/error.h"
#include "base/lru.h"
#include "base/mem.h"

#define MINUTE_US 60000000

struct rate_limit {
    int64_t interval_us; /* a token's */
    int64_t depth_us;    /* of a bucket: burst * interval */
    struct lru *full_at; /* key -> int64_t */
};

int rate_limit_new(const struct rate_limit_options *options, struct rate_limit **out)
{
    struct rate_limit *r = mem_calloc(1, sizeof(*r));
    if (!r)
        return BASE_ENOMEM;
    r->interval_us = MINUTE_US / options->per_minute;
    r->depth_us = r->interval_us * options->burst;
    int status = lru_new(sizeof(int64_t), options->keys_max, &r->full_at);
    if (status)
        mem_free(r);
    else
        *out = r;
    return status;
}

void rate_limit_free(struct rate_limit *r)
{
    if (!r)
        return;
    lru_free(r->full_at);
    mem_free(r);
}

/* Of the wait until one token is there. */
static uint32_t wait_ms(const struct rate_limit *r, int64_t full_at, int64_t now_us)
{
    int64_t wait_us = full_at + r->interval_us - r->depth_us - now_us;
    return wait_us > 0 ? (uint32_t)((wait_us + 999) / 1000) : 0;
}

static void forget_full(struct rate_limit *r, int64_t now_us)
{
    const int64_t *oldest = lru_oldest(r->full_at);
    while (oldest && *oldest <= now_us) {
        lru_remove_oldest(r->full_at);
        oldest = lru_oldest(r->full_at);
    }
}

uint32_t rate_limit_take(struct rate_limit *r, struct slice key, int64_t now_us)
{
    forget_full(r, now_us);
    int64_t *full_at = lru_put(r->full_at, key);
    if (!full_at)
        return 0;
    if (*full_at < now_us)
        *full_at = now_us;
    uint32_t wait = wait_ms(r, *full_at, now_us);
    if (wait == 0)
        *full_at += r->interval_us;
    return wait;
}

uint32_t rate_limit_wait_ms(struct rate_limit *r, struct slice key, int64_t now_us)
{
    const int64_t *full_at = lru_get(r->full_at, key);
    return full_at ? wait_ms(r, *full_at, now_us) : 0;
}

uint32_t rate_limit_count(const struct rate_limit *r)
{
    return (uint32_t)lru_count(r->full_at);
}
