#pragma once
/* base/buf: a growable byte buffer with a maximum (as curl's dynbuf).
 * A failed append marks the buffer: later appends do nothing and buf_status says why, so that a
 * long run of appends needs one check at its end.
 * Owns:   its bytes. Always NUL-terminated after a successful append. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/slice.h"

struct buf {
    char *ptr; /* NULL while nothing was appended */
    size_t len;
    size_t cap; /* at most max + 1: what fits is within the limit */
    size_t max;
    int status; /* 0, BASE_ENOMEM or BASE_ELIMIT */
};

void buf_init(struct buf *b, size_t max_bytes);
/* Over the caller's `size` bytes (at least 1): never allocates, and needs no buf_deinit. */
void buf_init_fixed(struct buf *b, char *storage, size_t size);
void buf_deinit(struct buf *b);
/* Forgets content and error, keeps the memory. */
void buf_reset(struct buf *b);
int buf_status(const struct buf *b);
struct slice buf_slice(const struct buf *b);
/* Drops the first `count` bytes (count <= len). */
void buf_consume(struct buf *b, size_t count);
/* Makes room for `extra` more bytes (plus NUL); 0 or the error, which also marks the buffer. */
int buf_reserve(struct buf *b, size_t extra);

/* Inline because answers are made of many short appends. `bytes` must not lie in `b` itself. */
static inline void buf_append(struct buf *b, const void *bytes, size_t len)
{
    if (b->status || (b->cap - b->len <= len && buf_reserve(b, len)))
        return;
    if (len > 0)
        memcpy(b->ptr + b->len, bytes, len);
    b->len += len;
    b->ptr[b->len] = '\0';
}

static inline void buf_append_char(struct buf *b, char c)
{
    buf_append(b, &c, 1);
}

void buf_append_slice(struct buf *b, struct slice s);
void buf_append_cstr(struct buf *b, const char *text);
void buf_append_i64(struct buf *b, int64_t value);
__attribute__((format(printf, 2, 3))) void buf_printf(struct buf *b, const char *format, ...);
