#pragma once
/* base/utf8: one sequence at a time (RFC 3629: no overlong forms, surrogates or > U+10FFFF). */
#include <stddef.h>

/* The length (1–4) of the valid sequence at `text`, or 0 when there is none within `len`. */
size_t utf8_length_at(const char *text, size_t len);
