/* What a node wants, as a noun phrase: "a string of at most 30 characters or null". */
#include <math.h>

#include "mcp/schema_int.h"

#define DEPTH_MAX  3
#define NAME_CHARS 64

static void describe(struct words *w, const struct schema_node *node, unsigned depth);

/* " of at least 1 item", " of 2 to 5 items" */
static void put_range(struct words *w, size_t min, size_t max, const char *kind, const char *one)
{
    size_t last = max == SCHEMA_NO_LIMIT ? min : max;
    const char *plural = last == 1 ? "" : strcmp(one, "property") == 0 ? "ies" : "s";
    int stem = (int)strlen(one) - (strcmp(plural, "ies") == 0);
    if (min == 0 && max == SCHEMA_NO_LIMIT)
        words_put(w, "%s", *kind ? " of" : "");
    else if (min == max)
        words_put(w, " of exactly %zu", min);
    else if (max == SCHEMA_NO_LIMIT)
        words_put(w, " of at least %zu", min);
    else if (min == 0)
        words_put(w, " of at most %zu", max);
    else
        words_put(w, " of %zu to %zu", min, max);
    if (min > 0 || max != SCHEMA_NO_LIMIT || *kind)
        words_put(w, " %s%.*s%s", kind, stem, one, plural);
}

static void describe_string(struct words *w, const struct schema_node *node)
{
    words_put(w, node->is_date_time
                     ? "an RFC 3339 date-time with a UTC offset, like 2026-01-31T09:00:00Z"
                     : "a string");
    put_range(w, node->min_length, node->max_length, "", "character");
    if (node->pattern)
        words_put(w, " that matches %s", node->pattern->text);
}

static void put_bound(struct words *w, const char *sign, double bound, const char **join)
{
    if (isinf(bound))
        return;
    words_put(w, "%s %s ", *join, sign);
    words_number(w, bound);
    *join = " and";
}

static void describe_number(struct words *w, const struct schema_node *node, const char *noun)
{
    const char *join = "";
    words_put(w, "%s", noun);
    if (!isinf(node->minimum) && !isinf(node->maximum)) {
        words_put(w, " from ");
        words_number(w, node->minimum);
        words_put(w, " to ");
        words_number(w, node->maximum);
        join = " and";
    } else {
        put_bound(w, ">=", node->minimum, &join);
        put_bound(w, "<=", node->maximum, &join);
    }
    put_bound(w, ">", node->above, &join);
    put_bound(w, "<", node->below, &join);
    if (node->multiple_of > 0) {
        words_put(w, " that is a multiple of ");
        words_number(w, node->multiple_of);
    }
}

/* NOLINTNEXTLINE(misc-no-recursion): bounded by DEPTH_MAX. */
static void describe_array(struct words *w, const struct schema_node *node, unsigned depth)
{
    words_put(w, "an array");
    put_range(w, node->min_items, node->max_items, node->is_unique ? "distinct " : "", "item");
    if (node->items && node->items->verdict == SCHEMA_RULES && depth < DEPTH_MAX) {
        words_put(w, ", each ");
        describe(w, node->items, depth + 1);
    }
    if (!node->contains || depth == DEPTH_MAX)
        return;
    if (node->max_contains == SCHEMA_NO_LIMIT)
        words_put(w, ", at least %zu of them ", node->min_contains);
    else
        words_put(w, ", %zu to %zu of them ", node->min_contains, node->max_contains);
    describe(w, node->contains, depth + 1);
}

static void describe_object(struct words *w, const struct schema_node *node)
{
    const char *join = " with ";
    words_put(w, "an object");
    put_range(w, node->min_properties, node->max_properties, "", "property");
    for (const cJSON *name = node->required ? node->required->child : NULL; name;
         name = name->next) {
        words_put(w, "%s", join);
        words_quote(w, name->valuestring, NAME_CHARS);
        join = name->next && name->next->next ? ", " : " and ";
    }
}

static void describe_values(struct words *w, const cJSON *values)
{
    const char *join = values->next ? "one of " : "";
    for (const cJSON *value = values; value; value = value->next) {
        words_put(w, "%s", join);
        words_value(w, value);
        join = ", ";
    }
}

/* The types that a node without `type` means, by its keywords. */
static unsigned meant_types(const struct schema_node *node)
{
    unsigned types = node->types;
    if (types)
        return types;
    if (!isinf(node->minimum) || !isinf(node->maximum) || !isinf(node->above) ||
        !isinf(node->below) || node->multiple_of > 0)
        types |= cJSON_Number;
    if (node->min_length || node->max_length != SCHEMA_NO_LIMIT || node->pattern ||
        node->is_date_time)
        types |= cJSON_String;
    if (node->min_items || node->max_items != SCHEMA_NO_LIMIT || node->is_unique || node->items ||
        node->contains)
        types |= cJSON_Array;
    if (node->min_properties || node->max_properties != SCHEMA_NO_LIMIT || node->required ||
        node->properties.count)
        types |= cJSON_Object;
    return types;
}

/* NOLINTNEXTLINE(misc-no-recursion): bounded by DEPTH_MAX. */
static void describe_type(struct words *w, const struct schema_node *node, unsigned type,
                          unsigned depth)
{
    switch (type) {
    case SCHEMA_INTEGER:
        describe_number(w, node, "an integer");
        break;
    case cJSON_Number:
        describe_number(w, node, "a number");
        break;
    case cJSON_String:
        describe_string(w, node);
        break;
    case cJSON_True:
        words_put(w, "true or false");
        break;
    case cJSON_Array:
        describe_array(w, node, depth);
        break;
    case cJSON_Object:
        describe_object(w, node);
        break;
    default:
        words_put(w, "null");
    }
}

/* NOLINTNEXTLINE(misc-no-recursion): bounded by DEPTH_MAX. */
static void describe_types(struct words *w, const struct schema_node *node, unsigned types,
                           unsigned depth)
{
    static const unsigned order[] = {SCHEMA_INTEGER, cJSON_Number, cJSON_String, cJSON_True,
                                     cJSON_Array,    cJSON_Object, cJSON_NULL};
    const char *join = "";
    for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
        if (!(types & order[i]))
            continue;
        words_put(w, "%s", join);
        describe_type(w, node, order[i], depth);
        join = " or ";
    }
}

/* NOLINTNEXTLINE(misc-no-recursion): bounded by DEPTH_MAX. */
static void describe_list(struct words *w, const struct schema_list *list, const char *join,
                          unsigned depth)
{
    for (size_t i = 0; i < list->count && depth < DEPTH_MAX; i++) {
        words_put(w, "%s", i > 0 ? join : "");
        describe(w, list->at[i], depth + 1);
    }
}

/* NOLINTNEXTLINE(misc-no-recursion): bounded by DEPTH_MAX. */
static void describe_composition(struct words *w, const struct schema_node *node, unsigned depth)
{
    if (node->any_of.count)
        describe_list(w, &node->any_of, " or ", depth);
    else if (node->one_of.count)
        describe_list(w, &node->one_of, " or else ", depth);
    else if (node->all_of.count)
        describe_list(w, &node->all_of, " that also is ", depth);
    else if (node->negated && depth < DEPTH_MAX) {
        words_put(w, "anything but ");
        describe(w, node->negated, depth + 1);
    }
}

/* NOLINTNEXTLINE(misc-no-recursion): bounded by DEPTH_MAX. */
static void describe(struct words *w, const struct schema_node *node, unsigned depth)
{
    while (node->ref && !node->types && !node->values)
        node = node->ref;
    size_t start = w->len;
    unsigned types = meant_types(node);
    if (node->verdict == SCHEMA_NEVER)
        words_put(w, "nothing");
    else if (node->constant)
        words_value(w, node->constant);
    else if (node->values)
        describe_values(w, node->values->child);
    else if (types)
        describe_types(w, node, types, depth);
    else
        describe_composition(w, node, depth);
    if (w->len == start)
        words_put(w, "a value");
}

void schema_describe(struct words *w, const struct schema_node *node)
{
    describe(w, node, 0);
}
