#pragma once
/* mcp/catalog: what a server offers of one kind (tools, resources, templates, prompts): found by
 * key, listed in the order of adding, each entry's JSON rendered once for each revision.
 * Owns:  its entries. One that is removed while calls use it is freed by the last of them. */
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "mcp/server.h"

#define MCP_REVISIONS 4

struct error;

struct catalog_entry;
/* Frees what is around the entry, and itself. */
typedef void (*catalog_free_fn)(struct catalog_entry *entry);

struct catalog_entry {
    char *key;        /* owned */
    uint64_t ordinal; /* grows with each entry added: what a cursor names */
    uint32_t scopes;  /* that a caller needs to see it */
    uint32_t users;   /* calls in flight */
    bool is_removed;
    struct buf json[MCP_REVISIONS];
    catalog_free_fn free;
};

struct catalog {
    struct catalog_entry **entries; /* in the order of adding */
    struct catalog_entry **by_key;  /* sorted */
    size_t count, cap;
    uint64_t last_ordinal;
    bool has_scopes; /* some entry needs a scope: what is listed depends on the caller */
};

/* Makes an empty entry ready to be rendered into; BASE_ENOMEM leaves it to catalog_entry_deinit. */
int catalog_entry_init(struct catalog_entry *entry, const char *key, uint32_t scopes,
                       catalog_free_fn free_fn);
void catalog_entry_deinit(struct catalog_entry *entry);
/* Takes the entry over when it succeeds. BASE_EINVAL when the key is taken, BASE_ENOMEM. */
int catalog_add(struct catalog *c, struct catalog_entry *take_entry, struct error *err);
struct catalog_entry *catalog_find(const struct catalog *c, const char *key);
/* False when there is none. */
bool catalog_remove(struct catalog *c, const char *key);
/* A call has ended that counted itself in entry->users. */
void catalog_entry_release(struct catalog_entry *entry);
void catalog_deinit(struct catalog *c);
