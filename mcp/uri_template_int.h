#pragma once
/* mcp/uri_template: RFC 6570 level 1 ("task://{id}"), read backwards: which URI fits, and what its
 * variables are. A variable stands for one or more characters other than '/', up to the first
 * occurrence of the literal that follows it. */
#include <stdbool.h>

#include "base/slice.h"

struct arena;
struct error;

/* BASE_EINVAL: an expression that is no {name}, or two without a literal between them. */
int uri_template_check(const char *pattern, struct error *err);
/* True when `uri` fits. With `name`, *value is that variable's part as it stands in the URI
 * (ptr NULL: the template has no such variable). */
bool uri_template_match(const char *pattern, const char *uri, const char *name,
                        struct slice *value);
/* True when the template has that variable. */
bool uri_template_has(const char *pattern, const char *name);
/* Percent-decoded (RFC 3986 section 2.1), in the arena; SLICE_EMPTY when it is malformed, holds a
 * NUL or memory is out. */
struct slice uri_decode(struct slice raw, struct arena *arena);
