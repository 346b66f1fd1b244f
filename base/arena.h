#pragma once
/* base/arena: memory with the life of one request: allocate freely, free once.
 * Use:    arena_init -> arena_alloc ... -> arena_deinit.
 * Owns:   every block it handed out. Nothing that outlives the request goes in.
 * Limits: `max_bytes` in all, set at init; past it allocations return NULL.  */
#include <stddef.h>

#include "base/slice.h"

struct arena_block;
struct arena {
    struct arena_block *head;
    size_t used_bytes;
    size_t max_bytes;
    size_t first_bytes; /* of the first block; the next ones grow */
};

void arena_init(struct arena *a, size_t max_bytes);
/* For many arenas of which most need little. */
void arena_init_sized(struct arena *a, size_t max_bytes, size_t first_bytes);
void arena_deinit(struct arena *a);
/* 16-byte aligned, uninitialised; NULL when out of memory or over the limit. */
void *arena_alloc(struct arena *a, size_t size);
void *arena_calloc(struct arena *a, size_t count, size_t size);
/* NUL-terminated copies. NULL as arena_alloc. */
char *arena_strdup(struct arena *a, const char *text);
char *arena_copy(struct arena *a, struct slice text);
char *arena_join(struct arena *a, struct slice head, struct slice tail);
__attribute__((format(printf, 2, 3))) char *arena_printf(struct arena *a, const char *format, ...);
