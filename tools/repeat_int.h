#pragma once
/* tools/repeat_int: whether a task with this rule and due date would repeat at all. A rule that
 * never comes true again is a mistake of whoever wrote it, most of the time: a wrong year, a wrong
 * weekday; said at once it can be mended. Reads the time zone's file. */
#include <stdint.h>

#include "base/slice.h"
#include "tools/recurrence.h"

struct error;

/* `zone` empty: it is not known here; then the rule only has to come true in some time zone. A zone
 * that cannot be read says nothing against the rule. 0, or BASE_EINVAL with the reason. */
__attribute__((warn_unused_result)) int repeat_check(const struct recurrence *rule, int64_t due_us,
                                                     struct slice zone, struct error *err);
