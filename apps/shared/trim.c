#include "shared/trim.h"

#include <inttypes.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

/* Code of a file, mapped as it is: no page of it was ever written to. Data, also what is read-only
 * since its relocation, is left alone: it would come back as it was before. */
static void drop_code(const char *line)
{
    uintptr_t from, to;
    char permissions[5];
    int path = 0;
    if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s %*s %*s %*s %n", &from, &to, permissions,
               &path) != 3 ||
        strcmp(permissions, "r-xp") != 0 || line[path] != '/')
        return;
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
