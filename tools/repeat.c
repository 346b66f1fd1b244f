#include "tools/repeat_int.h"

#include "base/error.h"
#include "base/zone.h"
#include "tools/occurrence.h"

static enum occurrence_outcome look(const struct recurrence_rule *rule, int64_t due_us,
                                    struct slice zone_name)
{
    const struct occurrence first = {.due_us = due_us, .number = 1};
    struct occurrence next;
    struct zone *zone;
    if (zone_open(ZONE_DIRECTORY, zone_name, &zone, NULL) < 0)
        return OCCURRENCE_FOUND;
    enum occurrence_outcome outcome = occurrence_next(rule, zone, &first, &next);
    zone_free(zone);
    return outcome;
}

/* The due date's day is another one in the west and in the east, but never more than these. */
static enum occurrence_outcome look_around(const struct recurrence_rule *rule, int64_t due_us)
{
    static const struct slice zones[] = {{"UTC", 3}, {"Etc/GMT+12", 10}, {"Etc/GMT-14", 10}};
    enum occurrence_outcome outcome = OCCURRENCE_FOUND;
    for (int i = 0; i < 3; i++) {
        outcome = look(rule, due_us, zones[i]);
        if (outcome == OCCURRENCE_FOUND)
            break;
    }
    return outcome;
}

int repeat_check(const struct recurrence *rule, int64_t due_us, struct slice zone,
                 struct error *err)
{
    struct recurrence same;
    struct recurrence_rule says;
    if (recurrence_parse(slice_from_cstr(rule->text), &same, &says, err) < 0)
        return BASE_EINVAL;
    switch (zone.len ? look(&says, due_us, zone) : look_around(&says, due_us)) {
    case OCCURRENCE_FOUND:
        return 0;
    case OCCURRENCE_TOO_RARE:
        return error_set(err, BASE_EINVAL, NULL,
                         "the rule has no occurrence for more than a century after due_date; look "
                         "at BYDAY, BYMONTH and INTERVAL");
    case OCCURRENCE_ENDED:
        break;
    }
    if (says.count == 1)
        return error_set(
            err, BASE_EINVAL, NULL,
            "COUNT=1 is the task itself, which would never repeat: leave the rule out");
    if (rule->last_us < due_us)
        return error_set(err, BASE_EINVAL, NULL,
                         "UNTIL is before due_date: the task would never repeat");
    return error_set(err, BASE_EINVAL, NULL,
                     "the rule has no occurrence after due_date: the task would never repeat");
}
