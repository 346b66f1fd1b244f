#pragma once
/* tests/support/mem_loop: runs an operation again and again, each time with the next allocation
 * failing, until it passes without one (curl's torture).
 *   struct mem_loop loop = {0};
 *   while (mem_loop_next(&loop)) {
 *       int status = operation(…);
 *       mem_loop_expect(&loop, status, BASE_ENOMEM);
 *       … free what the operation made …
 *   }
 * LeakSanitizer judges that a failed operation left nothing behind. */
#include <stdbool.h>
#include <stdint.h>

struct mem_loop {
    uint64_t nth;    /* the allocation that fails in this round, from 1; 0 before the first */
    bool has_failed; /* this round's fault has happened */
};

/* Arms the next round. False, with the fault off, once a round has passed without a failure;
 * fails the test when the very first round met no allocation at all, or after 100,000 rounds. */
bool mem_loop_next(struct mem_loop *loop);
/* Ends the round's fault (what the test allocates from here on succeeds). True when it happened:
 * the operation cannot have succeeded unless it can do without that memory. */
bool mem_loop_has_failed(struct mem_loop *loop);
/* As mem_loop_has_failed, and asserts: `status` is `expected` in a round that failed, else 0. */
void mem_loop_expect(struct mem_loop *loop, int status, int expected);

/* Sends cJSON's allocations through base/mem so that the loop reaches them too. cJSON keeps its
 * hooks process-wide: call it once, in the test program's main. */
void mem_loop_hook_cjson(void);
