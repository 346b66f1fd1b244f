#pragma once
/* tools/recurrence: checks a recurrence rule: RFC 5545 section 3.3.10 without the parts that a
 * task cannot have, or one of the words daily, weekly, monthly, yearly.
 *
 * FREQ       DAILY, WEEKLY, MONTHLY, YEARLY; needed
 * INTERVAL   1 to RECURRENCE_INTERVAL_MAX
 * COUNT      1 to RECURRENCE_COUNT_MAX; not with UNTIL
 * UNTIL      20261231T235959Z, or 20261231 (that whole day in the task's time zone)
 * BYMONTH    1 to 12
 * BYMONTHDAY ±1 to 31; not with WEEKLY
 * BYDAY      MO … SU; with a place before it (2TU, -1FR) only for MONTHLY and YEARLY
 * BYSETPOS   ±1 to 366; needs another BY part
 * WKST       MO … SU
 * The time of day and the first day come from the task's due date. A rule that can never match
 * (30 February) is refused. */
#include <stdint.h>

#include "base/slice.h"

struct error;

#define RECURRENCE_TEXT_MAX     255
#define RECURRENCE_INTERVAL_MAX 1000
#define RECURRENCE_COUNT_MAX    10000

struct recurrence {
    char text[RECURRENCE_TEXT_MAX + 1]; /* canonical: upper case, FREQ first, numbers bare */
    int64_t last_us; /* no occurrence is after this, in any time zone; INT64_MAX without UNTIL */
};

/* 0 and *out, or BASE_EINVAL with a reason of its own for each refused rule; err->field is the
 * part at fault ("BYDAY"), or "". */
__attribute__((warn_unused_result)) int recurrence_parse(struct slice text, struct recurrence *out,
                                                         struct error *err);
