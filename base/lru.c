/* Buckets of chained entries, and one list of all entries by their last use. */
#include "base/lru.h"

#include <errno.h>
#include <stdalign.h>
#include <string.h>
#include <sys/random.h>

#include "base/error.h"
#include "base/mem.h"

struct lru_entry {
    struct lru_entry *chain;       /* in its bucket */
    struct lru_entry *prev, *next; /* by last use, the oldest first */
    uint64_t hash;
    size_t key_len;
    alignas(max_align_t) char bytes[]; /* the value, then the key */
};

struct lru {
    size_t value_size;
    size_t count, count_max;
    size_t mask; /* buckets - 1 */
    uint64_t seed[2];
    struct lru_entry *oldest, *newest;
    struct lru_entry *buckets[];
};

/* ---- SipHash-2-4 (Aumasson, Bernstein: SipHash, a fast short-input PRF) ---- */

static uint64_t rotate(uint64_t x, int bits)
{
    return x << bits | x >> (64 - bits);
}

static void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[2] += v[3];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] = rotate(v[0], 32);
    v[2] += v[1];
    v[0] += v[3];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] = rotate(v[2], 32);
}

static void sip_word(uint64_t v[4], uint64_t word)
{
    v[3] ^= word;
    sip_round(v);
    sip_round(v);
    v[0] ^= word;
}

static uint64_t siphash(const uint64_t seed[2], struct slice key)
{
    uint64_t v[4] = {seed[0] ^ UINT64_C(0x736f6d6570736575), seed[1] ^ UINT64_C(0x646f72616e646f6d),
                     seed[0] ^ UINT64_C(0x6c7967656e657261),
                     seed[1] ^ UINT64_C(0x7465646279746573)};
    size_t at = 0;
    uint64_t word = 0;
    for (; key.len - at >= 8; at += 8) {
        memcpy(&word, key.ptr + at, 8);
        sip_word(v, word);
    }
    word = 0;
    if (at < key.len)
        memcpy(&word, key.ptr + at, key.len - at);
    sip_word(v, word | (uint64_t)key.len << 56);
    v[2] ^= 0xff;
    for (int i = 0; i < 4; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* ---- the list ---- */

static void link_newest(struct lru *l, struct lru_entry *e)
{
    e->prev = l->newest;
    e->next = NULL;
    if (l->newest)
        l->newest->next = e;
    else
        l->oldest = e;
    l->newest = e;
}

static void unlink_entry(struct lru *l, struct lru_entry *e)
{
    if (e->prev)
        e->prev->next = e->next;
    else
        l->oldest = e->next;
    if (e->next)
        e->next->prev = e->prev;
    else
        l->newest = e->prev;
}

/* ---- entries ---- */

static struct lru_entry *find(const struct lru *l, struct slice key, uint64_t hash)
{
    struct lru_entry *e = l->buckets[hash & l->mask];
    while (e && (e->hash != hash ||
                 !slice_is_equal(key, (struct slice){e->bytes + l->value_size, e->key_len})))
        e = e->chain;
    return e;
}

static void remove_entry(struct lru *l, struct lru_entry *e)
{
    struct lru_entry **at = &l->buckets[e->hash & l->mask];
    while (*at != e)
        at = &(*at)->chain;
    *at = e->chain;
    unlink_entry(l, e);
    l->count--;
    mem_free(e);
}

static struct lru_entry *touch(struct lru *l, struct slice key, uint64_t hash)
{
    struct lru_entry *e = find(l, key, hash);
    if (e && e != l->newest) {
        unlink_entry(l, e);
        link_newest(l, e);
    }
    return e;
}

/* ---- public ---- */

int lru_new(size_t value_size, size_t count_max, struct lru **out)
{
    size_t buckets = 16;
    while (buckets < count_max)
        buckets *= 2;
    struct lru *l = mem_calloc(1, sizeof(*l) + buckets * sizeof(struct lru_entry *));
    if (!l)
        return BASE_ENOMEM;
    l->value_size = value_size;
    l->count_max = count_max;
    l->mask = buckets - 1;
    if (getrandom(l->seed, sizeof(l->seed), 0) != (ssize_t)sizeof(l->seed)) {
        int status = -errno;
        mem_free(l);
        return status;
    }
    *out = l;
    return 0;
}

void lru_clear(struct lru *l)
{
    while (l->oldest)
        remove_entry(l, l->oldest);
}

void lru_free(struct lru *l)
{
    if (l)
        lru_clear(l);
    mem_free(l);
}

void *lru_get(struct lru *l, struct slice key)
{
    struct lru_entry *e = touch(l, key, siphash(l->seed, key));
    return e ? e->bytes : NULL;
}

void *lru_put(struct lru *l, struct slice key)
{
    uint64_t hash = siphash(l->seed, key);
    struct lru_entry *e = touch(l, key, hash);
    if (e)
        return e->bytes;
    e = mem_calloc(1, sizeof(*e) + l->value_size + key.len);
    if (!e)
        return NULL;
    if (l->count == l->count_max)
        remove_entry(l, l->oldest);
    e->hash = hash;
    e->key_len = key.len;
    if (key.len > 0)
        memcpy(e->bytes + l->value_size, key.ptr, key.len);
    e->chain = l->buckets[hash & l->mask];
    l->buckets[hash & l->mask] = e;
    link_newest(l, e);
    l->count++;
    return e->bytes;
}

void lru_remove(struct lru *l, struct slice key)
{
    struct lru_entry *e = find(l, key, siphash(l->seed, key));
    if (e)
        remove_entry(l, e);
}

void *lru_oldest(struct lru *l)
{
    return l->oldest ? l->oldest->bytes : NULL;
}

void lru_remove_oldest(struct lru *l)
{
    if (l->oldest)
        remove_entry(l, l->oldest);
}

size_t lru_count(const struct lru *l)
{
    return l->count;
}
