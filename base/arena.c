#include "base/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/mem.h"

/* Under AddressSanitizer what was not handed out is poisoned: an overrun inside a block is seen. */
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(ptr, size)   ((void)(ptr), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(ptr, size) ((void)(ptr), (void)(size))
#endif

#define ARENA_ALIGN           16
#define ARENA_BLOCK_BYTES     ((size_t)4096)
#define ARENA_BLOCK_MAX_BYTES ((size_t)64 * 1024)
#define ARENA_MAX_BYTES       (SIZE_MAX / 4) /* so that padding and headers cannot overflow */

struct arena_block {
    struct arena_block *next;
    size_t used;
    size_t cap;
    alignas(ARENA_ALIGN) char bytes[];
};

void arena_init_sized(struct arena *a, size_t max_bytes, size_t first_bytes)
{
    *a = (struct arena){.max_bytes = max_bytes < ARENA_MAX_BYTES ? max_bytes : ARENA_MAX_BYTES,
                        .first_bytes = first_bytes};
}

void arena_init(struct arena *a, size_t max_bytes)
{
    arena_init_sized(a, max_bytes, ARENA_BLOCK_BYTES);
}

void arena_deinit(struct arena *a)
{
    struct arena_block *block = a->head;
    while (block) {
        struct arena_block *next = block->next;
        ASAN_UNPOISON_MEMORY_REGION(block->bytes, block->cap);
        mem_free(block);
        block = next;
    }
    a->head = NULL;
    a->used_bytes = 0;
}

/* Blocks double up to a size, so that a large request needs few of them. */
static size_t next_block_bytes(const struct arena *a)
{
    if (!a->head)
        return a->first_bytes;
    size_t cap = a->head->cap * 2;
    return cap < ARENA_BLOCK_MAX_BYTES ? cap : ARENA_BLOCK_MAX_BYTES;
}

/* A block with room for `need`. One made for a single large allocation goes second, so that the
 * rest of the first one stays in use. */
static struct arena_block *add_block(struct arena *a, size_t need)
{
    size_t usual = next_block_bytes(a);
    bool is_large = need > usual / 2;
    size_t cap = is_large ? need : usual;
    struct arena_block *block = mem_alloc(sizeof(*block) + cap);
    if (!block)
        return NULL;
    struct arena_block **link = is_large && a->head ? &a->head->next : &a->head;
    *block = (struct arena_block){.next = *link, .cap = cap};
    *link = block;
    ASAN_POISON_MEMORY_REGION(block->bytes, cap);
    return block;
}

void *arena_alloc(struct arena *a, size_t size)
{
    if (size > a->max_bytes)
        return NULL;
    size_t padded = size > 0 ? size : 1;
    size_t need = (padded + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
    if (need > a->max_bytes - a->used_bytes)
        return NULL;
    struct arena_block *block = a->head;
    if (!block || block->cap - block->used < need)
        block = add_block(a, need);
    if (!block)
        return NULL;
    void *ptr = block->bytes + block->used;
    block->used += need;
    a->used_bytes += need;
    ASAN_UNPOISON_MEMORY_REGION(ptr, size);
    return ptr;
}

void *arena_calloc(struct arena *a, size_t count, size_t size)
{
    size_t total;
    if (__builtin_mul_overflow(count, size, &total))
        return NULL;
    void *ptr = arena_alloc(a, total);
    return ptr ? memset(ptr, 0, total) : NULL;
}

char *arena_join(struct arena *a, struct slice head, struct slice tail)
{
    char *text = arena_alloc(a, head.len + tail.len + 1);
    if (!text)
        return NULL;
    if (head.len > 0)
        memcpy(text, head.ptr, head.len);
    if (tail.len > 0)
        memcpy(text + head.len, tail.ptr, tail.len);
    text[head.len + tail.len] = '\0';
    return text;
}

char *arena_copy(struct arena *a, struct slice text)
{
    return arena_join(a, text, SLICE_EMPTY);
}

char *arena_strdup(struct arena *a, const char *text)
{
    return arena_copy(a, slice_from_cstr(text));
}

char *arena_printf(struct arena *a, const char *format, ...)
{
    va_list args;
    va_list again;
    va_start(args, format);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = len < 0 ? NULL : arena_alloc(a, (size_t)len + 1);
    if (text)
        vsnprintf(text, (size_t)len + 1, format, again);
    va_end(again);
    return text;
}
