#pragma once
/* tools/occurrence: the occurrence of a series that comes after another one.
 *
 * Each step needs the one before and nothing older: an occurrence is in step with its rule's
 * intervals, and has the weekday, the day and the time of day that the rule takes from its start.
 * What it cannot tell is how many there were (COUNT), and what the clock on the wall should have
 * shown where clocks went forward over it; so both are handed on.
 *
 * A due date that was moved by hand is a new start: what the rule does not say comes from it. The
 * next occurrence is still after the one that was moved, so that none comes twice.
 * Pure, and bounded: OCCURRENCE_DAYS_MAX days are looked at. */
#include <stdbool.h>
#include <stdint.h>

#include "tools/recurrence.h"

struct zone;

/* 136 years of each day. The rarest date, 29 February on a given weekday, waits for 40 years. */
#define OCCURRENCE_DAYS_MAX 50000

struct occurrence {
    int64_t due_us;  /* UTC */
    int64_t wall_us; /* the wall-clock time that the rule gave; see base/zone */
    bool has_wall;   /* false: none gave it, it is the start of the series, say */
    int number;      /* from 1; what EXDATE leaves out has one too */
};

enum occurrence_outcome {
    OCCURRENCE_FOUND,
    OCCURRENCE_ENDED,    /* COUNT, UNTIL, or the year 9999 */
    OCCURRENCE_TOO_RARE, /* none in OCCURRENCE_DAYS_MAX days */
};

/* `out` may be `from`. */
enum occurrence_outcome occurrence_next(const struct recurrence_rule *rule, const struct zone *zone,
                                        const struct occurrence *from, struct occurrence *out);
