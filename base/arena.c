#include "base/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include "base/mem.h"

#define ARENA_ALIGN       16
#define ARENA_BLOCK_BYTES 4096

struct arena_block {
    struct arena_block *next;
    size_t used;
    size_t cap;
    alignas(ARENA_ALIGN) char bytes[];
};

void arena_init(struct arena *a, size_t max_bytes)
{
    *a = (struct arena){.head = NULL, .used_bytes = 0, .max_bytes = max_bytes};
}

void arena_deinit(struct arena *a)
{
    struct arena_block *block = a->head;
    while (block) {
        struct arena_block *next = block->next;
        mem_free(block);
        block = next;
    }
    a->head = NULL;
    a->used_bytes = 0;
}

static struct arena_block *block_new(size_t need)
{
    size_t cap = need > ARENA_BLOCK_BYTES ? need : ARENA_BLOCK_BYTES;
    struct arena_block *block = mem_alloc(sizeof(*block) + cap);
    if (block) {
        block->used = 0;
        block->cap = cap;
    }
    return block;
}

void *arena_alloc(struct arena *a, size_t size)
{
    if (size > a->max_bytes)
        return NULL;
    size_t need = (size + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
    if (need == 0)
        need = ARENA_ALIGN;
    if (need > a->max_bytes - a->used_bytes)
        return NULL;
    struct arena_block *block = a->head;
    if (!block || block->cap - block->used < need) {
        block = block_new(need);
        if (!block)
            return NULL;
        block->next = a->head;
        a->head = block;
    }
    void *ptr = block->bytes + block->used;
    block->used += need;
    a->used_bytes += need;
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

char *arena_copy(struct arena *a, struct slice text)
{
    char *copy = arena_alloc(a, text.len + 1);
    if (!copy)
        return NULL;
    if (text.len > 0)
        memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    return copy;
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
