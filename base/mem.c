#include "base/mem.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Counts down to the injected fault: 0 is off. See the header for why this is process-wide. */
static uint64_t fail_countdown;
static bool fail_happened;

static bool is_fault_due(void)
{
    if (fail_countdown == 0 || --fail_countdown > 0)
        return false;
    fail_happened = true;
    return true;
}

void mem_fail_nth(uint64_t nth)
{
    fail_countdown = nth;
    fail_happened = false;
}

int mem_fail_happened(void)
{
    return fail_happened;
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
