#include "base/mem.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Counts down to the injected fault: 0 is off. Atomic because libuv's pool allocates too. See the
 * header for why this is process-wide. */
static _Atomic uint64_t fail_countdown;
static _Atomic bool fail_happened;

static bool is_fault_due(void)
{
    uint64_t left = atomic_load_explicit(&fail_countdown, memory_order_relaxed);
    while (left > 0 && !atomic_compare_exchange_weak(&fail_countdown, &left, left - 1)) {
    }
    if (left != 1)
        return false;
    atomic_store(&fail_happened, true);
    return true;
}

void mem_fail_nth(uint64_t nth)
{
    atomic_store(&fail_happened, false);
    atomic_store(&fail_countdown, nth);
}

int mem_fail_happened(void)
{
    return atomic_load(&fail_happened);
}

void *mem_alloc(size_t size)
{
    return is_fault_due() ? NULL : malloc(size);
}

void *mem_calloc(size_t count, size_t size)
{
    return is_fault_due() ? NULL : calloc(count, size);
}

void *mem_realloc(void *ptr, size_t size)
{
    return is_fault_due() ? NULL : realloc(ptr, size);
}

char *mem_strdup(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = mem_alloc(size);
    return copy ? memcpy(copy, text, size) : NULL;
}

void mem_free(void *ptr)
{
    free(ptr);
}
