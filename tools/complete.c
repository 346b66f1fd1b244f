/* tools/complete.c: what begins as the typed text does, whatever the case of its letters. A failed
 * look-up suggests nothing: the person types on. */
#include "tools/complete_int.h"

#include <string.h>
#include <strings.h>

#include "db/label.h"
#include "tools/render_int.h"
#include "tools/tool_int.h"

#define WORDS_MAX 8
_Static_assert(DB_TAGS_MAX <= 100 && DB_CATEGORIES_MAX <= 100, "all fit into one answer");

struct complete_op {
    struct mcp_call *call;
    bool gives_ids;
};

static bool begins_as(const char *text, const char *typed)
{
    return strncasecmp(text, typed, strlen(typed)) == 0;
}

/* ---- words ---------------------------------------------------------------------------------- */

static void suggest_words(struct mcp_call *call, const char *const *words, size_t count)
{
    const char *values[WORDS_MAX];
    size_t found = 0;
    for (size_t i = 0; i < count && i < WORDS_MAX; i++) {
        if (begins_as(words[i], mcp_call_typed(call)))
            values[found++] = words[i];
    }
    mcp_call_values(call, values, found, (int64_t)found);
}

/* ---- labels --------------------------------------------------------------------------------- */

/* NULL when the label does not fit, or for want of memory. */
static const char *value_of(const struct complete_op *op, const struct db_label *label)
{
    struct arena *arena = mcp_call_arena(op->call);
    const char *typed = mcp_call_typed(op->call);
    const char *name = arena_copy(arena, label->name);
    if (!name || !op->gives_ids)
        return name && begins_as(name, typed) ? name : NULL;
    const char *id = arena_printf(arena, "%lld", (long long)label->id);
    return id && (begins_as(name, typed) || begins_as(id, typed)) ? id : NULL;
}

static void on_labels(void *ctx, int status, const struct db_label_reply *reply,
                      const struct error *err)
{
    const struct complete_op *op = ctx;
    const char *values[DB_TAGS_MAX];
    size_t found = 0;
    (void)err;
    for (int i = 0; !status && i < reply->count; i++) {
        const char *value = value_of(op, &reply->labels[i]);
        if (value)
            values[found++] = value;
    }
    mcp_call_values(op->call, values, found, (int64_t)found);
}

static void suggest_labels(struct tools *t, struct mcp_call *call, enum db_label_kind kind,
                           bool gives_ids)
{
    struct complete_op *op = arena_calloc(mcp_call_arena(call), 1, sizeof(*op));
    if (op) {
        *op = (struct complete_op){call, gives_ids};
        if (db_label_list(t->pool, kind, mcp_call_identity(call)->user_id, on_labels, op, NULL,
                          NULL) == 0)
            return;
    }
    mcp_call_values(call, NULL, 0, 0);
}

/* --------------------------------------------------------------------------------------------- */

void complete_category_id(void *ctx, struct mcp_call *call)
{
    suggest_labels(ctx, call, DB_CATEGORY, true);
}

void complete_argument(void *ctx, struct mcp_call *call)
{
    static const char *const statuses[] = {"all", "pending", "completed"};
    const char *name = mcp_call_completing(call);
    if (strcmp(name, "category") == 0)
        suggest_labels(ctx, call, DB_CATEGORY, false);
    else if (strcmp(name, "tag") == 0)
        suggest_labels(ctx, call, DB_TAG, false);
    else if (strcmp(name, "priority") == 0)
        suggest_words(call, render_priority_names, 4);
    else if (strcmp(name, "status") == 0)
        suggest_words(call, statuses, 3);
    else
        mcp_call_values(call, NULL, 0, 0);
}
