/* tools/zones.c
 * A zone is a file with a name of letters, digits, "_", "+", "-" whose parts begin with a capital.
 * That leaves out what else lies there (zone.tab, posix/, right/, posixrules, localtime), and no
 * such name can climb out of the directory. */
#include "tools/zones_int.h"

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/mem.h"

#define NAME_MAX_BYTES  64
#define LIST_MAX_BYTES  ((size_t)256 * 1024)
#define DIRECTORY_DEPTH 3

struct zones {
    struct buf text;    /* every name, each with a NUL */
    const char **names; /* into text, sorted without regard to case */
    int count;
};

static bool is_zone_part(const char *name)
{
    if (name[0] < 'A' || name[0] > 'Z' || strcmp(name, "Factory") == 0)
        return false;
    return name[strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                             "0123456789_+-")] == '\0';
}

static bool is_directory(const char *path, const struct dirent *entry)
{
    if (entry->d_type != DT_UNKNOWN)
        return entry->d_type == DT_DIR;
    struct stat st;
    return lstat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static void append_name(struct zones *z, const char *name)
{
    if (strlen(name) > NAME_MAX_BYTES)
        return;
    buf_append(&z->text, name, strlen(name) + 1);
    z->count++;
}

/* `prefix_len` bytes of `path` are the zone directory and its slash. */
/* NOLINTNEXTLINE(misc-no-recursion): DIRECTORY_DEPTH deep at most */
static void read_directory(struct zones *z, const char *path, size_t prefix_len, int depth)
{
    DIR *dir = opendir(path);
    if (!dir)
        return;
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
        char child[512];
        int len = snprintf(child, sizeof(child), "%s/%s", path, entry->d_name);
        if (len < 0 || (size_t)len >= sizeof(child) || !is_zone_part(entry->d_name))
            continue;
        if (!is_directory(child, entry))
            append_name(z, child + prefix_len);
        else if (depth < DIRECTORY_DEPTH)
            read_directory(z, child, prefix_len, depth + 1);
    }
    closedir(dir);
}

static int compare_names(const void *a, const void *b)
{
    return strcasecmp(*(const char *const *)a, *(const char *const *)b);
}

static int sort_names(struct zones *z)
{
    z->names = mem_calloc((size_t)z->count, sizeof(*z->names));
    if (!z->names)
        return BASE_ENOMEM;
    const char *name = z->text.ptr;
    for (int i = 0; i < z->count; i++) {
        z->names[i] = name;
        name += strlen(name) + 1;
    }
    qsort(z->names, (size_t)z->count, sizeof(*z->names), compare_names);
    return 0;
}

int zones_load(const char *directory, struct zones **out)
{
    *out = NULL;
    struct zones *z = mem_calloc(1, sizeof(*z));
    if (!z)
        return BASE_ENOMEM;
    buf_init(&z->text, LIST_MAX_BYTES);
    read_directory(z, directory, strlen(directory) + 1, 0);
    if (z->count == 0)
        append_name(z, "UTC");
    if (buf_status(&z->text) < 0 || sort_names(z) < 0) {
        zones_free(z);
        return BASE_ENOMEM;
    }
    *out = z;
    return 0;
}

void zones_free(struct zones *z)
{
    if (!z)
        return;
    mem_free(z->names);
    buf_deinit(&z->text);
    mem_free(z);
}

struct slice zones_find(const struct zones *z, struct slice name)
{
    char text[NAME_MAX_BYTES + 1];
    if (name.len == 0 || name.len > NAME_MAX_BYTES)
        return SLICE_EMPTY;
    memcpy(text, name.ptr, name.len);
    text[name.len] = '\0';
    const char *key = text;
    const char **found =
        bsearch(&key, z->names, (size_t)z->count, sizeof(*z->names), compare_names);
    return found ? slice_from_cstr(*found) : SLICE_EMPTY;
}

int zones_count(const struct zones *z)
{
    return z->count;
}
