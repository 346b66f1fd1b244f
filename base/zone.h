#pragma once
/* base/zone: a time zone of the system's database (RFC 9636 files), between UTC and wall-clock
 * time. A wall-clock time is in microseconds too, counted as if the clock on the wall showed UTC.
 *
 * What the C library offers works on one zone for the whole process, and PostgreSQL takes the
 * second of two times of the same name; a recurrence needs RFC 5545 section 3.3.5. Owns:    what it
 * read. The file is read once, in whole, by zone_open. Thread:  any.   Limits: ZONE_FILE_MAX bytes.
 */
#include <stdint.h>

#include "base/slice.h"

struct error;
struct zone;

#define ZONE_DIRECTORY "/usr/share/zoneinfo"
#define ZONE_FILE_MAX  65536

/* 0 and *out; BASE_EINVAL when there is no such zone, or its file is not understood; BASE_ENOMEM.
 */
__attribute__((warn_unused_result)) int zone_open(const char *directory, struct slice name,
                                                  struct zone **out, struct error *err);
/* The same from the bytes of a file, which are not kept. */
__attribute__((warn_unused_result)) int zone_read(struct slice file, struct zone **out,
                                                  struct error *err);
void zone_free(struct zone *z);

int64_t zone_to_wall(const struct zone *z, int64_t time_us);
/* Of a time that comes twice (clocks go back) the first; a time that does not come (clocks go
 * forward) is read with the offset before the gap, which makes it that much later. */
int64_t zone_from_wall(const struct zone *z, int64_t wall_us);
