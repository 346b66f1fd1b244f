#pragma once
/* base/error: what went wrong, lent by the caller and filled by whoever fails.
 * Functions return 0 or a negative code; `struct error` adds the words. A code is negative and
 * unique across the project: libuv's UV_E* for system errors, or a folder's own X-macro range:
 * base -20000.., mcp -21000.., db -22000.., events -23000.., tools -24000.., dapr -25000... */

struct error {
    int code;
    char field[64]; /* the field, setting or header at fault; "" when none is */
    char text[256]; /* one English sentence without a final stop; safe to show to a caller */
};

#define BASE_ERRORS(X)                                                                             \
    X(BASE_ENOMEM, -20001, "out of memory")                                                        \
    X(BASE_ELIMIT, -20002, "limit reached")                                                        \
    X(BASE_EINVAL, -20003, "invalid value")                                                        \
    X(BASE_ESYNTAX, -20004, "malformed text")                                                      \
    X(BASE_ECLOSED, -20005, "closed")

enum base_error {
#define X(name, code, text) name = (code),
    BASE_ERRORS(X)
#undef X
};

/* Fills `err` (which may be NULL) and returns `code`, so that `return error_set(…)` reads well.
 * `field` may be NULL. Text longer than the buffer is cut at a UTF-8 boundary; bytes that are no
 * UTF-8 become '?'. */
__attribute__((format(printf, 4, 5))) int error_set(struct error *err, int code, const char *field,
                                                    const char *format, ...);
