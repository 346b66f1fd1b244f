#pragma once
/* tools/utf8: the few things done to a person's text. Input is valid UTF-8 (json_parse saw to it);
 * on other bytes the answers are merely meaningless, never unsafe. */
#include <stddef.h>

#include "base/slice.h"

/* Code points, as PostgreSQL's char_length counts. */
size_t utf8_length(struct slice text);
/* Without leading and trailing characters of Unicode's White_Space property. */
struct slice utf8_trim(struct slice text);
/* The first `count` code points. */
struct slice utf8_cut(struct slice text, size_t count);
