#pragma once
/* base/json_int: what the JSON readers and the writer share. */
#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/slice.h"

#define JSON_NUMBER_MAX_CHARS 63

/* Of text that json_check has accepted; NULL: out of memory. */
cJSON *json_build(struct slice text);

#define JSON_EACH_BYTE UINT64_C(0x0101010101010101)
#define JSON_HIGH_BITS UINT64_C(0x8080808080808080)

/* Non-zero when one of the eight bytes is not plain: below 0x20, a quote, a backslash or >= 0x80.
 * A subtraction sets the high bit of a byte only by borrowing, that is where the byte is too small
 * (or, for zero after the XOR, the one looked for); plain bytes never borrow. */
static inline uint64_t json_special_bytes(uint64_t eight)
{
    uint64_t quote = eight ^ (JSON_EACH_BYTE * '"');
    uint64_t backslash = eight ^ (JSON_EACH_BYTE * '\\');
    uint64_t control = eight - JSON_EACH_BYTE * 0x20;
    return (control | (quote - JSON_EACH_BYTE) | (backslash - JSON_EACH_BYTE) | eight) &
           JSON_HIGH_BITS;
}

static inline bool json_is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

/* How many of the eight bytes stand before the first special one, as far as it is told without
 * looking at each: a borrow taints only bytes of higher value, which on a little-endian machine are
 * the later ones. */
static inline unsigned json_plain_count(uint64_t special)
{
#if defined(__GNUC__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    return (unsigned)__builtin_ctzll(special) / 8;
#else
    (void)special;
    return 0;
#endif
}

/* The end of the run of plain ASCII at `at`: bytes that stand in a JSON string as they are. */
static inline const char *json_skip_plain(const char *at, const char *end)
{
    while (end - at >= 8) {
        uint64_t eight;
        memcpy(&eight, at, 8);
        uint64_t special = json_special_bytes(eight);
        if (special) {
            at += json_plain_count(special);
            break;
        }
        at += 8;
    }
    while (at < end && json_is_plain((unsigned char)*at))
        at++;
    return at;
}
