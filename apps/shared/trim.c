#include "shared/trim.h"

#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Of smaps: a line of maps, "from-to permissions offset device inode path", then a line each of
 * what the mapping has, in KiB: "Anonymous: 0 kB", the pages that were written to, and later "Swap:
 * 0 kB", those of them that are out. */
struct mapping {
    uintptr_t from, to;
    bool is_file;      /* one that cannot be written to */
    bool is_unchanged; /* as far as it was read */
};

static bool read_head(const char *line, struct mapping *m)
{
    char *at;
    uintptr_t from = strtoull(line, &at, 16);
    if (at == line || *at != '-')
        return false;
    *m = (struct mapping){.from = from, .to = strtoull(at + 1, &at, 16)};
    m->is_file = strncmp(at, " r-", 3) == 0 && strchr(at, '/') && m->to > m->from;
    return true;
}

static bool is_none(const char *line, const char *key)
{
    size_t length = strlen(key);
    return strncmp(line, key, length) == 0 && strtoull(line + length, NULL, 10) == 0;
}

/* A page that was ever written to, as relocated data is, would come back as it was before: so only
 * mappings in which there is none. */
static void read_line(const char *line, struct mapping *m)
{
    if (read_head(line, m))
        return;
    if (is_none(line, "Anonymous:"))
        m->is_unchanged = true;
    else if (is_none(line, "Swap:") && m->is_file && m->is_unchanged)
        (void)madvise((void *)m->from, m->to - m->from, MADV_DONTNEED);
}

void trim_memory(void)
{
    char line[1024];
    struct mapping m = {0};
    FILE *maps = fopen("/proc/self/smaps", "re");
    while (maps && fgets(line, sizeof(line), maps))
        read_line(line, &m);
    if (maps)
        fclose(maps);
    malloc_trim(0);
}
