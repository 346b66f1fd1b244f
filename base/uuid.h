#pragma once
/* base/uuid: UUIDv7 (RFC 9562 section 5.7), monotonic within one generator.
 * The generator is the caller's: one a loop. Randomness from getrandom(2). */
#include <stdint.h>

#define UUID_TEXT_SIZE 37 /* 36 characters and a NUL */

struct uuid_gen {
    uint64_t last_ms;
    uint16_t counter; /* rand_a, counts up within one millisecond */
};

void uuid_gen_init(struct uuid_gen *g);
/* Writes lower-case 8-4-4-4-12 text. 0 or a UV_E* code when the kernel gives no randomness. */
int uuid_v7(struct uuid_gen *g, char out[UUID_TEXT_SIZE]);
