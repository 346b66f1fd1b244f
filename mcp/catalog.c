#include "mcp/catalog_int.h"

#include <assert.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"

#define ENTRY_BYTES_MAX (1u << 20)

int catalog_entry_init(struct catalog_entry *entry, const char *key, uint32_t scopes,
                       catalog_free_fn free_fn)
{
    *entry = (struct catalog_entry){.key = mem_strdup(key), .scopes = scopes, .free = free_fn};
    for (int i = 0; i < MCP_REVISIONS; i++)
        buf_init(&entry->json[i], ENTRY_BYTES_MAX);
    return entry->key ? 0 : BASE_ENOMEM;
}

void catalog_entry_deinit(struct catalog_entry *entry)
{
    mem_free(entry->key);
    for (int i = 0; i < MCP_REVISIONS; i++)
        buf_deinit(&entry->json[i]);
}

/* Where `key` stands in by_key, or where it would. */
static size_t place_of(const struct catalog *c, const char *key, bool *is_there)
{
    size_t low = 0;
    size_t high = c->count;
    *is_there = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(c->by_key[middle]->key, key);
        if (order == 0) {
            *is_there = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int grow_one(struct catalog_entry ***list, size_t cap)
{
    struct catalog_entry **grown = mem_realloc(*list, cap * sizeof(*grown));
    if (!grown)
        return BASE_ENOMEM;
    *list = grown;
    return 0;
}

static int grow(struct catalog *c)
{
    size_t cap = c->cap ? c->cap * 2 : 16;
    if (c->count < c->cap)
        return 0;
    if (grow_one(&c->entries, cap) || grow_one(&c->by_key, cap))
        return BASE_ENOMEM;
    c->cap = cap;
    return 0;
}

static bool is_rendered(const struct catalog_entry *entry)
{
    for (int i = 0; i < MCP_REVISIONS; i++) {
        if (buf_status(&entry->json[i]))
            return false;
    }
    return true;
}

int catalog_add(struct catalog *c, struct catalog_entry *take_entry, struct error *err)
{
    bool is_there;
    size_t at = place_of(c, take_entry->key, &is_there);
    if (is_there)
        return error_set(err, BASE_EINVAL, take_entry->key, "there is a \"%.100s\" already",
                         take_entry->key);
    if (!is_rendered(take_entry) || grow(c))
        return error_set(err, BASE_ENOMEM, take_entry->key, "out of memory");
    memmove(c->by_key + at + 1, c->by_key + at, (c->count - at) * sizeof(*c->by_key));
    c->by_key[at] = take_entry;
    c->entries[c->count++] = take_entry;
    take_entry->ordinal = ++c->last_ordinal;
    c->has_scopes = c->has_scopes || take_entry->scopes;
    return 0;
}

struct catalog_entry *catalog_find(const struct catalog *c, const char *key)
{
    bool is_there;
    size_t at = place_of(c, key, &is_there);
    return is_there ? c->by_key[at] : NULL;
}

static void take_out(struct catalog_entry **list, size_t at, size_t count)
{
    memmove(list + at, list + at + 1, (count - at - 1) * sizeof(*list));
}

bool catalog_remove(struct catalog *c, const char *key)
{
    bool is_there;
    size_t at = place_of(c, key, &is_there);
    if (!is_there)
        return false;
    struct catalog_entry *entry = c->by_key[at];
    size_t in_order = 0;
    while (c->entries[in_order] != entry)
        in_order++;
    take_out(c->by_key, at, c->count);
    take_out(c->entries, in_order, c->count);
    c->count--;
    entry->is_removed = true;
    if (entry->users == 0)
        entry->free(entry);
    return true;
}

void catalog_entry_release(struct catalog_entry *entry)
{
    assert(entry->users > 0);
    if (--entry->users == 0 && entry->is_removed)
        entry->free(entry);
}

void catalog_deinit(struct catalog *c)
{
    for (size_t i = 0; i < c->count; i++)
        c->entries[i]->free(c->entries[i]);
    mem_free(c->entries);
    mem_free(c->by_key);
    *c = (struct catalog){0};
}
