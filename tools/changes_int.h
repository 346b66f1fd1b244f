#pragma once
/* tools/changes_int: a set of what has changed, and its text for NOTIFY:
 *   "1 u7 t12 t13 c3 u8 *"   version; user; tasks; a category; a user; all of that user
 * `C` stands for any category of the user, user 0 for all users. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

struct buf;
struct change;

/* A full set becomes "everything has changed". */
#define CHANGE_SET_MAX 4096

enum change_kind { /* of one user, what stands for more before what it stands for */
                   CHANGE_ALL,
                   CHANGE_ANY_CATEGORY,
                   CHANGE_LISTS,
                   CHANGE_CATEGORY,
                   CHANGE_TASK,
};
struct change_item {
    int64_t user_id;
    enum change_kind kind;
    int64_t id;
};
struct change_set {
    struct change_item *items; /* owned */
    size_t count, cap;
    bool is_everything; /* the items could not be kept */
};

void change_set_deinit(struct change_set *s);
void change_set_add(struct change_set *s, const struct change *change);
bool change_set_is_empty(const struct change_set *s);
/* Sorts, and drops what another item says already. */
void change_set_settle(struct change_set *s);
void change_set_clear(struct change_set *s);

/* Of a settled set: the message from item *at on, as many as fit into `max` bytes; moves *at. Empty
 * at the end. */
struct slice change_set_write(const struct change_set *s, size_t *at, struct buf *out, size_t max);
/* Adds what the message says; one that is not understood means everything. */
void change_set_read(struct change_set *s, struct slice message);
