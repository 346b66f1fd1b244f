#pragma once
/* dapr/scan_int: reads JSON text that json_check has accepted without making a tree: what stands in
 * it is handed on as it stands. Keys and texts are compared as they are written. */
#include <stdbool.h>

#include "base/slice.h"

struct scan {
    const char *at, *end;
};

/* Begins at an object or array; false where `text` is no such thing. */
bool scan_object(struct scan *s, struct slice text);
bool scan_array(struct scan *s, struct slice text);
/* The next member or item; false at the end. `key` is without its quotes. */
bool scan_member(struct scan *s, struct slice *key, struct slice *value);
bool scan_item(struct scan *s, struct slice *value);
/* The text within the quotes of a string; ptr NULL where `value` is none. */
struct slice scan_string(struct slice value);
