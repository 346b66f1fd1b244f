/* tools/cursor.c: [0] version [1] flags [2..5] scope [6..13] key [14..21] id [22..26] checksum,
 * numbers little-endian. 27 bytes are 36 characters of base64url without padding or spare bits, so
 * one cursor has one text. */
#include "tools/cursor_int.h"

#define CURSOR_VERSION 1
#define CURSOR_BYTES   27
#define CHECKED_BYTES  22
#define FLAG_KEY_NULL  1u
#define FLAG_FUZZY     2u
#define FLAG_RANK      4u /* the key is a search's rank: the bits of a double */

#define FNV_BASIS UINT64_C(14695981039346656037)
#define FNV_PRIME UINT64_C(1099511628211)

static uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t len)
{
    const unsigned char *b = bytes;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ b[i]) * FNV_PRIME;
    return hash;
}

static uint64_t hash_int(uint64_t hash, int64_t value)
{
    unsigned char bytes[8];
    for (int i = 0; i < 8; i++)
        bytes[i] = (unsigned char)((uint64_t)value >> (8 * i));
    return hash_bytes(hash, bytes, sizeof(bytes));
}

/* FNV leaves its high bits weak for short input; this spreads them (Stafford's mix 13). */
static uint64_t hash_end(uint64_t hash)
{
    hash = (hash ^ (hash >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    hash = (hash ^ (hash >> 27)) * UINT64_C(0x94D049BB133111EB);
    return hash ^ (hash >> 31);
}

uint32_t cursor_scope_list(int64_t user_id, const struct db_task_filter *f)
{
    uint64_t hash = hash_bytes(FNV_BASIS, "list", 4);
    const int64_t parts[] = {user_id,           f->status,
                             f->priority,       f->category_id,
                             f->has_due_before, f->has_due_before ? f->due_before : 0,
                             f->has_due_after,  f->has_due_after ? f->due_after : 0,
                             f->sort,           f->descending,
                             f->tag_count};
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        hash = hash_int(hash, parts[i]);
    for (int i = 0; i < f->tag_count; i++)
        hash = hash_int(hash, f->tag_ids[i]);
    return (uint32_t)hash_end(hash);
}

uint32_t cursor_scope_search(int64_t user_id, struct slice query, int status)
{
    uint64_t hash = hash_bytes(FNV_BASIS, "search", 6);
    hash = hash_int(hash_int(hash, user_id), status);
    hash = hash_bytes(hash, query.ptr, query.len);
    return (uint32_t)hash_end(hash);
}

struct db_cursor cursor_after(const struct db_task *last, enum db_sort sort)
{
    struct db_cursor cursor = {.is_set = true, .id = last->id};
    switch (sort) {
    case DB_SORT_CREATED_AT:
        cursor.key = last->created_at;
        break;
    case DB_SORT_DUE_DATE:
        cursor.key = last->has_due_date ? last->due_date : 0;
        cursor.key_is_null = !last->has_due_date;
        break;
    case DB_SORT_PRIORITY:
        cursor.key = last->priority;
        break;
    case DB_SORT_UPDATED_AT:
        cursor.key = last->updated_at;
        break;
    }
    return cursor;
}

static void put(unsigned char *out, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        out[i] = (unsigned char)(value >> (8 * i));
}

static uint64_t take(const unsigned char *in, int bytes)
{
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++)
        value |= (uint64_t)in[i] << (8 * i);
    return value;
}

static uint64_t checksum(const unsigned char *bytes)
{
    return hash_end(hash_bytes(FNV_BASIS, bytes, CHECKED_BYTES)) >> 24;
}

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static void to_base64url(const unsigned char *in, char *out)
{
    for (int i = 0; i < CURSOR_BYTES; i += 3, out += 4) {
        uint32_t group = (uint32_t)in[i] << 16 | (uint32_t)in[i + 1] << 8 | in[i + 2];
        for (int j = 0; j < 4; j++)
            out[j] = alphabet[group >> (18 - 6 * j) & 63];
    }
    *out = '\0';
}

static bool from_base64url(const char *in, unsigned char *out)
{
    for (int i = 0; i < CURSOR_BYTES; i += 3, in += 4) {
        uint32_t group = 0;
        for (int j = 0; j < 4; j++) {
            const char *at = in[j] ? strchr(alphabet, in[j]) : NULL;
            if (!at)
                return false;
            group = group << 6 | (uint32_t)(at - alphabet);
        }
        out[i] = (unsigned char)(group >> 16);
        out[i + 1] = (unsigned char)(group >> 8);
        out[i + 2] = (unsigned char)group;
    }
    return true;
}

void cursor_encode(const struct db_cursor *cursor, uint32_t scope, char out[CURSOR_TEXT_SIZE])
{
    unsigned char bytes[CURSOR_BYTES] = {CURSOR_VERSION};
    bool has_rank = cursor->rank != 0;
    bytes[1] = (unsigned char)((cursor->key_is_null ? FLAG_KEY_NULL : 0) |
                               (cursor->is_fuzzy ? FLAG_FUZZY : 0) | (has_rank ? FLAG_RANK : 0));
    uint64_t key = (uint64_t)cursor->key;
    if (has_rank)
        memcpy(&key, &cursor->rank, sizeof(key));
    put(bytes + 2, scope, 4);
    put(bytes + 6, key, 8);
    put(bytes + 14, (uint64_t)cursor->id, 8);
    put(bytes + CHECKED_BYTES, checksum(bytes), 5);
    to_base64url(bytes, out);
}

enum cursor_status cursor_decode(struct slice text, uint32_t scope, struct db_cursor *out)
{
    unsigned char bytes[CURSOR_BYTES];
    *out = (struct db_cursor){0};
    if (text.len != CURSOR_TEXT_SIZE - 1 || !from_base64url(text.ptr, bytes) ||
        take(bytes + CHECKED_BYTES, 5) != checksum(bytes) || bytes[0] != CURSOR_VERSION)
        return CURSOR_DAMAGED;
    if (take(bytes + 2, 4) != scope)
        return CURSOR_OTHER_QUERY;
    uint64_t key = take(bytes + 6, 8);
    out->is_set = true;
    out->key_is_null = bytes[1] & FLAG_KEY_NULL;
    out->is_fuzzy = bytes[1] & FLAG_FUZZY;
    if (bytes[1] & FLAG_RANK)
        memcpy(&out->rank, &key, sizeof(key));
    else
        out->key = (int64_t)key;
    out->id = (int64_t)take(bytes + 14, 8);
    return CURSOR_OK;
}
