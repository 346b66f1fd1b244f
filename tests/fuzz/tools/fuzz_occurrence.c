/* Any bytes as a rule, from a start that they name too: a series is walked without end or time
 * running out, and each occurrence is later than the one before. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "base/error.h"
#include "base/zone.h"
#include "tools/occurrence.h"

#define STEPS_MAX   20
#define SECONDS_MAX INT64_C(253402300799) /* the year 9999 */
#define US_PER_S    INT64_C(1000000)
#define DAY_US      (INT64_C(86400) * US_PER_S)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The bytes: 8 of the first due date, 1 of the zone, then the rule. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct slice zones[] = {
        {"UTC", 3}, {"America/New_York", 16}, {"Asia/Kolkata", 12}};
    struct recurrence text;
    struct recurrence_rule rule;
    struct zone *zone;
    struct occurrence o = {.number = 1};
    int64_t seconds;
    if (size < 9)
        return 0;
    memcpy(&seconds, data, sizeof(seconds));
    o.due_us = seconds % SECONDS_MAX * US_PER_S;
    if (o.due_us < 0)
        o.due_us = -o.due_us;
    if (recurrence_parse((struct slice){(const char *)data + 9, size - 9}, &text, &rule, NULL) < 0)
        return 0;
    if (zone_open(ZONE_DIRECTORY, zones[data[8] % 3], &zone, NULL) < 0)
        return 0;
    for (int i = 0; i < STEPS_MAX; i++) {
        struct occurrence was = o;
        if (occurrence_next(&rule, zone, &o, &o) != OCCURRENCE_FOUND)
            break;
        /* Over a change of the clocks a day may be short, but not gone. */
        assert(o.number > was.number && o.due_us - was.due_us >= DAY_US / 2);
        assert(rule.count == 0 || o.number <= rule.count);
        assert(o.due_us <= text.last_us);
    }
    zone_free(zone);
    return 0;
}
