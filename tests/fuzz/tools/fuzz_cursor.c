/* Any bytes as a cursor, and with a checksum made good as one that only its meaning can refuse.
 * What is taken has one text; with one bit changed, or for another query, it is refused. */
#include <assert.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "tools/cursor_int.h"

#define SCOPE UINT32_C(0x89abcdef)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_same(const struct db_cursor *a, const struct db_cursor *b)
{
    bool is_same_rank = isnan(a->rank) ? isnan(b->rank) : a->rank == b->rank;
    return a->is_set == b->is_set && a->key_is_null == b->key_is_null && a->key == b->key &&
           is_same_rank && a->is_fuzzy == b->is_fuzzy && a->id == b->id;
}

static void check_text(struct slice text, uint32_t scope)
{
    struct db_cursor c;
    char again[CURSOR_TEXT_SIZE];
    if (cursor_decode(text, scope, &c) != CURSOR_OK) {
        assert(!c.is_set && c.id == 0);
        return;
    }
    cursor_encode(&c, scope, again);
    assert(c.is_set && slice_is_equal(text, slice_from_cstr(again)));
}

static void check_changed(const char text[CURSOR_TEXT_SIZE], uint8_t where, uint8_t bit)
{
    char other[CURSOR_TEXT_SIZE];
    struct db_cursor c;
    memcpy(other, text, CURSOR_TEXT_SIZE);
    other[where % (CURSOR_TEXT_SIZE - 1)] ^= (char)(1u << bit % 8);
    enum cursor_status status =
        cursor_decode((struct slice){other, CURSOR_TEXT_SIZE - 1}, SCOPE, &c);
    assert(status == CURSOR_DAMAGED && !c.is_set);
}

/* The bytes: which row, and what to spoil of its cursor. */
static void check_row(const uint8_t *data)
{
    struct db_cursor back, c = {.is_set = true, .is_fuzzy = data[0] & 1};
    char text[CURSOR_TEXT_SIZE];
    if (data[0] & 2)
        memcpy(&c.rank, data + 1, sizeof(c.rank));
    else
        memcpy(&c.key, data + 1, sizeof(c.key));
    c.key_is_null = data[0] & 4;
    memcpy(&c.id, data + 9, sizeof(c.id));
    if (c.rank == 0)
        c.rank = 0; /* there is no negative zero among ranks */
    cursor_encode(&c, SCOPE, text);
    assert(strlen(text) == CURSOR_TEXT_SIZE - 1);
    assert(cursor_decode(slice_from_cstr(text), SCOPE, &back) == CURSOR_OK && is_same(&c, &back));
    assert(cursor_decode(slice_from_cstr(text), SCOPE ^ 1, &back) == CURSOR_OTHER_QUERY);
    check_text(slice_from_cstr(text), SCOPE);
    check_changed(text, data[17], data[18]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_text((struct slice){(const char *)data, size}, SCOPE);
    if (size == 19)
        check_row(data);
    return 0;
}
