#pragma once
/* base/lru: a bounded map from a key of bytes to a value of fixed size. A new key takes the place
 * of the one that was unused longest once the map is full. Use:    lru_new -> lru_put / lru_get /
 * lru_remove ... -> lru_free. Owns:   copies of the keys, and the values. A value stays where it is
 * until its entry goes. Keys come from strangers: SipHash with a random key keeps them from
 * choosing one bucket. */
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

struct lru;

/* 0 and *out, BASE_ENOMEM, or UV_E* when the kernel gives no randomness. */
__attribute__((warn_unused_result)) int lru_new(size_t value_size, size_t count_max,
                                                struct lru **out);
/* NULL is fine. */
void lru_free(struct lru *l);
/* The value, which counts as used now; NULL when the key is not there. */
void *lru_get(struct lru *l, struct slice key);
/* The value of a key that is there, or a new one of zero bytes; NULL when out of memory. */
void *lru_put(struct lru *l, struct slice key);
void lru_remove(struct lru *l, struct slice key);
/* The value that was unused longest; NULL when the map is empty. */
void *lru_oldest(struct lru *l);
void lru_remove_oldest(struct lru *l);
void lru_clear(struct lru *l);
size_t lru_count(const struct lru *l);
