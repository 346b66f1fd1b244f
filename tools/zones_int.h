#pragma once
/* tools/zones: the names of the system's time zones, read once, so that checking a name is a
 * look-up in memory. Owns its list. */
#include "base/slice.h"
#include "base/zone.h"

struct zones;

/* Reads the names below `directory` (ZONES_DIRECTORY). Where it cannot be read, or holds none, the
 * list is UTC alone. 0 and *out, or BASE_ENOMEM. */
#define ZONES_DIRECTORY ZONE_DIRECTORY
__attribute__((warn_unused_result)) int zones_load(const char *directory, struct zones **out);
void zones_free(struct zones *z);
/* The name as the database spells it, whatever the case of `name`; SLICE_EMPTY when unknown.
 * Borrowed from `z`. */
struct slice zones_find(const struct zones *z, struct slice name);
int zones_count(const struct zones *z);
