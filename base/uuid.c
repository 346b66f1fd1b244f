#include "base/uuid.h"

#include <errno.h>
#include <stddef.h>
#include <sys/random.h>

#include "base/clock.h"

void uuid_gen_init(struct uuid_gen *g)
{
    *g = (struct uuid_gen){0};
}

static void format_uuid(const uint8_t bytes[16], char *out)
{
    static const char hex[] = "0123456789abcdef";
    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *out++ = '-';
        *out++ = hex[bytes[i] >> 4];
        *out++ = hex[bytes[i] & 15];
    }
    *out = '\0';
}

/* RFC 9562 section 6.2, method 1: a 12-bit counter that starts low each millisecond; when it runs
 * over, or the clock steps back, the timestamp runs ahead instead. */
static void advance(struct uuid_gen *g, uint64_t now_ms, uint16_t seed)
{
    if (now_ms > g->last_ms) {
        g->last_ms = now_ms;
        g->counter = seed & 0x7FF;
    } else if (++g->counter > 0xFFF) {
        g->last_ms++;
        g->counter = seed & 0x7FF;
    }
}

static int fill_random(uint8_t *bytes, size_t size)
{
    ssize_t got;
    do
        got = getrandom(bytes, size, 0); /* never short for up to 256 bytes */
    while (got < 0 && errno == EINTR);
    return got < 0 ? -errno : 0;
}

int uuid_v7(struct uuid_gen *g, char out[UUID_TEXT_SIZE])
{
    uint8_t bytes[16];
    int status = fill_random(bytes, sizeof(bytes));
    if (status)
        return status;
    advance(g, (uint64_t)clock_now_us() / 1000, (uint16_t)(bytes[6] << 8 | bytes[7]));
    for (int i = 0; i < 6; i++)
        bytes[i] = (uint8_t)(g->last_ms >> (40 - 8 * i));
    bytes[6] = (uint8_t)(0x70 | g->counter >> 8);
    bytes[7] = (uint8_t)g->counter;
    bytes[8] = (uint8_t)(0x80 | (bytes[8] & 0x3F));
    format_uuid(bytes, out);
    return 0;
}
