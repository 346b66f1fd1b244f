#pragma once
/* base/mem: the one door to the heap, so that a test can fail the n-th allocation (see
 * tests/support). Bare malloc, calloc, realloc and strdup are banned outside base/mem.c.
 * The fault counter is the project's one process-wide variable: allocation has no context. */
#include <stddef.h>
#include <stdint.h>

/* As malloc/calloc/realloc/free; NULL when memory is out or the injected fault is due. */
void *mem_alloc(size_t size);
void *mem_calloc(size_t count, size_t size);
void *mem_realloc(void *ptr, size_t size);
char *mem_strdup(const char *text);
void mem_free(void *ptr);

/* Makes the `nth` allocation from now (1 = the next) and none after it fail; 0 switches it off.
 * Tests only. */
void mem_fail_nth(uint64_t nth);
/* True when the fault armed by mem_fail_nth has happened. */
int mem_fail_happened(void);
