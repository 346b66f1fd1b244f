/* tools/change_set.c */
#include <stdlib.h>

#include "base/buf.h"
#include "base/mem.h"
#include "tools/changes.h"
#include "tools/changes_int.h"

#define VERSION    "1"
#define FIRST_ROOM 64
#define TOKEN_MAX  32 /* a letter, 19 digits, a blank; and the user before it */

/* ---- the set -------------------------------------------------------------------------------- */

void change_set_deinit(struct change_set *s)
{
    mem_free(s->items);
    *s = (struct change_set){0};
}

void change_set_clear(struct change_set *s)
{
    s->count = 0;
    s->is_everything = false;
}

bool change_set_is_empty(const struct change_set *s)
{
    return s->count == 0 && !s->is_everything;
}

static bool make_room(struct change_set *s)
{
    if (s->count == s->cap && s->cap == CHANGE_SET_MAX)
        change_set_settle(s);
    if (s->count < s->cap)
        return true;
    size_t cap = s->cap ? s->cap * 2 : FIRST_ROOM;
    struct change_item *items =
        cap <= CHANGE_SET_MAX ? mem_realloc(s->items, cap * sizeof(*items)) : NULL;
    if (!items)
        return false;
    s->items = items;
    s->cap = cap;
    return true;
}

static void add(struct change_set *s, int64_t user_id, enum change_kind kind, int64_t id)
{
    if (s->is_everything)
        return;
    if (make_room(s)) {
        s->items[s->count++] = (struct change_item){user_id, kind, id};
        return;
    }
    s->count = 0;
    s->is_everything = true;
}

void change_set_add(struct change_set *s, const struct change *change)
{
    if (change->is_all) {
        add(s, change->user_id, CHANGE_ALL, 0);
        return;
    }
    if (change->task_id) {
        add(s, change->user_id, CHANGE_LISTS, 0);
        add(s, change->user_id, CHANGE_TASK, change->task_id);
    }
    if (change->is_any_category)
        add(s, change->user_id, CHANGE_ANY_CATEGORY, 0);
    else if (change->category_id)
        add(s, change->user_id, CHANGE_CATEGORY, change->category_id);
}

static int compare_numbers(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

static int compare(const void *left, const void *right)
{
    const struct change_item *a = left;
    const struct change_item *b = right;
    if (a->user_id != b->user_id)
        return compare_numbers(a->user_id, b->user_id);
    if (a->kind != b->kind)
        return compare_numbers(a->kind, b->kind);
    return compare_numbers(a->id, b->id);
}

void change_set_settle(struct change_set *s)
{
    size_t kept = 0;
    int64_t all_of = -1, any_category_of = -1;
    if (s->count > 1)
        qsort(s->items, s->count, sizeof(*s->items), compare);
    for (size_t i = 0; i < s->count; i++) {
        struct change_item item = s->items[i];
        bool is_said = (kept > 0 && compare(&s->items[kept - 1], &item) == 0) ||
                       item.user_id == all_of ||
                       (item.kind == CHANGE_CATEGORY && item.user_id == any_category_of);
        if (is_said)
            continue;
        if (item.kind == CHANGE_ALL)
            all_of = item.user_id;
        if (item.kind == CHANGE_ANY_CATEGORY)
            any_category_of = item.user_id;
        s->items[kept++] = item;
    }
    s->count = kept;
}

/* ---- text ----------------------------------------------------------------------------------- */

static void write_item(struct buf *out, const struct change_item *item)
{
    switch (item->kind) {
    case CHANGE_ALL:
        buf_append_cstr(out, " *");
        break;
    case CHANGE_ANY_CATEGORY:
        buf_append_cstr(out, " C");
        break;
    case CHANGE_LISTS: /* goes with a task */
        break;
    case CHANGE_CATEGORY:
        buf_append_cstr(out, " c");
        buf_append_i64(out, item->id);
        break;
    case CHANGE_TASK:
        buf_append_cstr(out, " t");
        buf_append_i64(out, item->id);
        break;
    }
}

struct slice change_set_write(const struct change_set *s, size_t *at, struct buf *out, size_t max)
{
    size_t end = s->is_everything ? 1 : s->count;
    int64_t user_id = -1;
    buf_reset(out);
    if (*at >= end)
        return SLICE_EMPTY;
    buf_append_cstr(out, VERSION);
    if (s->is_everything) {
        buf_append_cstr(out, " u0 *");
        *at = end;
    }
    for (; *at < end && out->len + 2 * (size_t)TOKEN_MAX <= max; (*at)++) {
        const struct change_item *item = &s->items[*at];
        if (item->user_id != user_id) {
            user_id = item->user_id;
            buf_append_cstr(out, " u");
            buf_append_i64(out, user_id);
        }
        write_item(out, item);
    }
    return buf_slice(out);
}

/* Takes the next word; false at the end. */
static bool next_word(struct slice *rest, struct slice *word)
{
    const char *end = rest->len ? memchr(rest->ptr, ' ', rest->len) : NULL;
    if (rest->len == 0)
        return false;
    *word = (struct slice){rest->ptr, end ? (size_t)(end - rest->ptr) : rest->len};
    size_t taken = word->len + (end ? 1 : 0);
    *rest = (struct slice){rest->ptr + taken, rest->len - taken};
    return true;
}

static bool read_number(struct slice digits, int64_t *out)
{
    *out = 0;
    if (digits.len == 0 || digits.len > 18)
        return false;
    for (size_t i = 0; i < digits.len; i++) {
        if (digits.ptr[i] < '0' || digits.ptr[i] > '9')
            return false;
        *out = *out * 10 + (digits.ptr[i] - '0');
    }
    return true;
}

/* False when it is no word of ours. */
static bool read_word(struct change_set *s, struct slice word, int64_t *user_id)
{
    struct change change = {.user_id = *user_id};
    struct slice digits = {word.ptr + 1, word.len - 1};
    if (word.ptr[0] == 'u')
        return read_number(digits, user_id);
    if (*user_id < 0)
        return false;
    if (word.ptr[0] == '*' || word.ptr[0] == 'C') {
        change.is_all = word.ptr[0] == '*';
        change.is_any_category = !change.is_all;
        if (digits.len > 0)
            return false;
    } else if (!(word.ptr[0] == 't' && read_number(digits, &change.task_id)) &&
               !(word.ptr[0] == 'c' && read_number(digits, &change.category_id))) {
        return false;
    }
    change_set_add(s, &change);
    return true;
}

void change_set_read(struct change_set *s, struct slice message)
{
    struct slice word;
    int64_t user_id = -1;
    bool is_good = next_word(&message, &word) && slice_is_equal(word, SLICE_LIT(VERSION));
    while (is_good && next_word(&message, &word))
        is_good = word.len > 0 && read_word(s, word, &user_id);
    if (is_good)
        return;
    s->count = 0;
    s->is_everything = true;
}
