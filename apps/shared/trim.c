#include "shared/trim.h"

#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* A line of maps: "from-to permissions offset device inode path". Code of a file, mapped as it is:
 * no page of it was ever written to. Data, also what is read-only since its relocation, is left
 * alone: it would come back as it was before. */
static void drop_code(const char *line)
{
    char *at;
    uintptr_t from = strtoull(line, &at, 16);
    uintptr_t to = *at == '-' ? strtoull(at + 1, &at, 16) : from;
    if (strncmp(at, " r-xp ", 6) == 0 && strchr(at, '/') && to > from)
        (void)madvise((void *)from, to - from, MADV_DONTNEED);
}

void trim_memory(void)
{
    char line[1024];
    FILE *maps = fopen("/proc/self/maps", "re");
    while (maps && fgets(line, sizeof(line), maps))
        drop_code(line);
    if (maps)
        fclose(maps);
    malloc_trim(0);
}
