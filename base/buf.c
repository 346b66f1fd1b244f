#include "base/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"

#define BUF_FIRST_BYTES 256
#define BUF_MAX_BYTES   (SIZE_MAX / 4) /* so that doubling and the NUL cannot overflow */

void buf_init(struct buf *b, size_t max_bytes)
{
    *b = (struct buf){.max = max_bytes < BUF_MAX_BYTES ? max_bytes : BUF_MAX_BYTES};
}

void buf_init_fixed(struct buf *b, char *storage, size_t size)
{
    assert(size > 0);
    storage[0] = '\0';
    *b = (struct buf){.ptr = storage, .cap = size, .max = size - 1};
}

void buf_deinit(struct buf *b)
{
    mem_free(b->ptr);
    *b = (struct buf){.max = b->max};
}

void buf_reset(struct buf *b)
{
    b->len = 0;
    b->status = 0;
    if (b->ptr)
        b->ptr[0] = '\0';
}

int buf_status(const struct buf *b)
{
    return b->status;
}

struct slice buf_slice(const struct buf *b)
{
    return (struct slice){b->ptr, b->len};
}

void buf_consume(struct buf *b, size_t count)
{
    assert(count <= b->len);
    b->len -= count;
    if (b->ptr) {
        memmove(b->ptr, b->ptr + count, b->len);
        b->ptr[b->len] = '\0';
    }
}

static int fail(struct buf *b, int code)
{
    b->status = code;
    return code;
}

/* Doubling, but never past the limit and its NUL. */
static size_t grown_cap(const struct buf *b, size_t need)
{
    size_t cap = b->cap > 0 ? b->cap : BUF_FIRST_BYTES;
    while (cap < need)
        cap *= 2;
    return cap <= b->max + 1 ? cap : b->max + 1;
}

int buf_reserve(struct buf *b, size_t extra)
{
    if (b->status)
        return b->status;
    if (extra > b->max || b->len > b->max - extra)
        return fail(b, BASE_ELIMIT);
    size_t need = b->len + extra + 1;
    if (need <= b->cap)
        return 0;
    size_t cap = grown_cap(b, need);
    char *ptr = mem_realloc(b->ptr, cap);
    if (!ptr)
        return fail(b, BASE_ENOMEM);
    b->ptr = ptr;
    b->cap = cap;
    return 0;
}

void buf_append_slice(struct buf *b, struct slice s)
{
    buf_append(b, s.ptr, s.len);
}

void buf_append_cstr(struct buf *b, const char *text)
{
    buf_append(b, text, strlen(text));
}

void buf_append_i64(struct buf *b, int64_t value)
{
    char digits[20];
    size_t at = sizeof(digits);
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do {
        digits[--at] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (value < 0)
        digits[--at] = '-';
    buf_append(b, digits + at, sizeof(digits) - at);
}

/* Into the room there is; most texts fit at the first try. */
__attribute__((format(printf, 2, 0))) static int print_into_room(struct buf *b, const char *format,
                                                                 va_list args)
{
    size_t room = b->cap - b->len;
    int len = vsnprintf(room > 0 ? b->ptr + b->len : NULL, room, format, args);
    if (len >= 0 && (size_t)len < room)
        b->len += (size_t)len;
    return len;
}

void buf_printf(struct buf *b, const char *format, ...)
{
    if (b->status)
        return;
    va_list args;
    va_list again;
    va_start(args, format);
    va_copy(again, args);
    size_t room = b->cap - b->len;
    int len = print_into_room(b, format, args);
    va_end(args);
    if (len < 0)
        fail(b, BASE_EINVAL);
    else if ((size_t)len >= room && !buf_reserve(b, (size_t)len))
        print_into_room(b, format, again);
    va_end(again);
    if (b->status && b->ptr)
        b->ptr[b->len] = '\0'; /* no part of a text that did not fit */
}
