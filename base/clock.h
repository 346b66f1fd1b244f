#pragma once
/* base/clock: wall time as microseconds since 1970-01-01T00:00:00Z, and RFC 3339 text. */
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

struct error;

#define CLOCK_RFC3339_SIZE 32 /* "2026-11-23T18:04:05.123456Z" and a NUL */

int64_t clock_now_us(void);
/* Monotonic, for durations. */
int64_t clock_monotonic_us(void);
/* Writes UTC with "Z"; fraction only when it is not zero, without trailing zeros.
 * `out` holds CLOCK_RFC3339_SIZE bytes. Returns the length written. */
size_t clock_format_rfc3339(int64_t time_us, char *out);
/* The date alone, "2026-11-23". */
size_t clock_format_date(int64_t time_us, char *out);
/* RFC 3339 section 5.6 date-time, strict: offset required, real calendar dates, years 0001-9999,
 * leap second 60 taken as 59.999999. BASE_EINVAL with the reason in `err` (e.g. the offset is
 * missing: "needs a UTC offset such as Z or +02:00"). */
int clock_parse_rfc3339(struct slice text, int64_t *out_us, struct error *err);
