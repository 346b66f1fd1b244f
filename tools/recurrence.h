#pragma once
/* tools/recurrence: checks a recurrence rule: RFC 5545 section 3.3.10 without the parts that a
 * task cannot have, or one of the words daily, weekly, monthly, yearly; lines of EXDATE may follow.
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
 * EXDATE:    20261224T080000Z, 20261224T090000 (in the task's time zone) or 20261224 (that day),
 *            more with commas; "EXDATE;VALUE=DATE:" is the same
 * The time of day and the first day come from the task's due date. A rule that can never match
 * (30 February) is refused. */
#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

struct error;

#define RECURRENCE_RULE_MAX     255 /* bytes of the rule itself */
#define RECURRENCE_TEXT_MAX     999 /* and with its EXDATEs */
#define RECURRENCE_INTERVAL_MAX 1000
#define RECURRENCE_COUNT_MAX    10000
#define RECURRENCE_LIST_MAX     64

struct recurrence {
    char text[RECURRENCE_TEXT_MAX + 1]; /* canonical: upper case, FREQ first, numbers bare */
    int64_t last_us; /* no occurrence is after this, in any time zone; INT64_MAX without UNTIL */
};

enum recurrence_freq {
    RECURRENCE_DAILY,
    RECURRENCE_WEEKLY,
    RECURRENCE_MONTHLY,
    RECURRENCE_YEARLY,
    RECURRENCE_FREQS
};

enum recurrence_form {
    RECURRENCE_NO_TIME,
    RECURRENCE_UTC,  /* 20261224T080000Z */
    RECURRENCE_WALL, /* 20261224T090000: on the clock of the task's time zone */
    RECURRENCE_DAY,  /* 20261224 */
};
struct recurrence_time {
    enum recurrence_form form;
    int64_t us; /* since 1970, UTC; of a wall-clock time or a day as if it were UTC */
};
struct recurrence_day {
    int weekday; /* 0 is Monday */
    int place;   /* the n-th of the month or year, from its end where negative; 0: each */
};

/* What a rule says. */
struct recurrence_rule {
    enum recurrence_freq freq;
    int interval;                         /* 1 where the rule has none */
    int count;                            /* 0: none */
    int week_start;                       /* 0 is Monday, as where the rule has none */
    struct recurrence_time until;         /* not RECURRENCE_WALL */
    uint32_t months;                      /* bits 1 to 12; 0: none are named */
    uint32_t month_days, month_days_back; /* bits 1 to 31, from the start and from the end */
    struct recurrence_day days[RECURRENCE_LIST_MAX];
    int day_count;
    int places[RECURRENCE_LIST_MAX]; /* BYSETPOS */
    int place_count;
    struct recurrence_time exdates[RECURRENCE_LIST_MAX];
    int exdate_count;
};

/* 0 and *out, or BASE_EINVAL with a reason of its own for each refused rule; err->field is the
 * part at fault ("BYDAY"), or "". `rule` may be NULL. */
__attribute__((warn_unused_result)) int recurrence_parse(struct slice text, struct recurrence *out,
                                                         struct recurrence_rule *rule,
                                                         struct error *err);
