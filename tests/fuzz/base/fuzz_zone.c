/* Any bytes as the file of a time zone, and each eight of them as a time too: what is taken turns a
 * time into a wall-clock time and back, within the offsets that there are, and to the same one
 * where no change of the clocks is near. */
#include <assert.h>
#include <stdint.h>

#include "base/error.h"
#include "base/zone.h"

#define US_PER_S    INT64_C(1000000)
#define DAY_US      (INT64_C(86400) * US_PER_S)
#define OFFSET_MAX  (INT64_C(26) * 3600 * US_PER_S)
#define SECONDS_MAX INT64_C(253402300799) /* the year 9999 */
#define TIMES_MAX   512

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int64_t offset(const struct zone *z, int64_t time_us)
{
    int64_t offset_us = zone_to_wall(z, time_us) - time_us;
    assert(offset_us <= OFFSET_MAX && offset_us >= -OFFSET_MAX);
    return offset_us;
}

static void check_time(const struct zone *z, int64_t time_us)
{
    int64_t offset_us = offset(z, time_us);
    int64_t wall_us = time_us + offset_us;
    int64_t back_us = zone_from_wall(z, wall_us);
    assert(wall_us - back_us <= OFFSET_MAX && back_us - wall_us <= OFFSET_MAX);
    if (offset(z, wall_us - DAY_US) == offset_us && offset(z, wall_us + DAY_US) == offset_us)
        assert(back_us == time_us);
}

static int64_t read_time(const uint8_t *at)
{
    uint64_t seconds = 0;
    for (size_t i = 0; i < 8; i++)
        seconds = seconds << 8 | at[i];
    return (int64_t)(seconds % (2 * (uint64_t)SECONDS_MAX)) - SECONDS_MAX;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct zone *z;
    struct error err = {0};
    if (zone_read((struct slice){(const char *)data, size}, &z, &err)) {
        assert(err.code == BASE_EINVAL && err.text[0] && !z);
        return 0;
    }
    for (size_t i = 0; i + 8 <= size && i < TIMES_MAX; i++)
        check_time(z, read_time(data + i) * US_PER_S);
    zone_free(z);
    return 0;
}
