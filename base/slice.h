#pragma once
/* base/slice: a borrowed run of bytes, not NUL-terminated. Owns nothing. */
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

struct slice {
    const char *ptr; /* borrowed; may be NULL only when len is 0 */
    size_t len;
};

#define SLICE_LIT(text) ((struct slice){(text), sizeof(text) - 1})
#define SLICE_EMPTY     ((struct slice){NULL, 0})

static inline struct slice slice_from_cstr(const char *text)
{
    return (struct slice){text, text ? strlen(text) : 0};
}

static inline bool slice_is_equal(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/* ASCII's upper and lower case are the same. */
static inline bool slice_is_equal_nocase(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || strncasecmp(a.ptr, b.ptr, a.len) == 0);
}
