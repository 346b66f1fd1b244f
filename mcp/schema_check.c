/* A value against the nodes of a schema. Nothing is allocated; a trial (anyOf, not, if …) runs with
 * no report. Each function is true when the value fits. */
#include <float.h>
#include <math.h>

#include "base/clock.h"
#include "base/error.h"
#include "mcp/schema_int.h"

size_t schema_count(const cJSON *container)
{
    size_t count = 0;
    for (const cJSON *item = container->child; item; item = item->next)
        count++;
    return count;
}

size_t schema_text_length(const char *text)
{
    size_t length = 0;
    for (; *text; text++)
        length += ((unsigned char)*text & 0xC0) != 0x80;
    return length;
}

struct schema_node *schema_names_find(const struct schema_names *names, const char *name)
{
    size_t low = 0;
    size_t high = names->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = strcmp(name, names->at[middle].name);
        if (order == 0)
            return names->at[middle].node;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

/* A schema like {"allOf": [a, a]}, where a holds two of the next, doubles the work at each step,
 * and uniqueItems takes the square of the items: what takes too long is refused. */
static bool spend(struct schema_check *c, size_t steps)
{
    if (steps > SCHEMA_STEPS_MAX - c->steps)
        c->is_exhausted = true;
    else
        c->steps += (unsigned)steps;
    return !c->is_exhausted;
}

/* NOLINTNEXTLINE(misc-no-recursion): bounded by SCHEMA_FRAMES_MAX. */
static bool try_node(struct schema_check *c, const struct schema_node *node, const cJSON *value,
                     const struct schema_place *place)
{
    struct mcp_schema_fault *fault = c->fault;
    c->fault = NULL;
    bool is_fit = schema_check_node(c, node, value, place);
    c->fault = fault;
    return is_fit;
}

/* ---- equality ---- */

static bool is_equal(struct schema_check *c, const cJSON *a, const cJSON *b);

/* NOLINTNEXTLINE(misc-no-recursion): bounded by the values' depth. */
static bool is_equal_object(struct schema_check *c, const cJSON *a, const cJSON *b)
{
    size_t count = schema_count(a);
    if (count != schema_count(b))
        return false;
    for (const cJSON *x = a->child; x; x = x->next) {
        const cJSON *y = json_get(b, x->string);
        if (!spend(c, count) || !y || !is_equal(c, x, y))
            return false;
    }
    return true;
}

/* NOLINTNEXTLINE(misc-no-recursion): bounded by the values' depth. */
static bool is_equal_array(struct schema_check *c, const cJSON *a, const cJSON *b)
{
    const cJSON *x = a->child;
    const cJSON *y = b->child;
    while (x && y && is_equal(c, x, y)) {
        x = x->next;
        y = y->next;
    }
    return !x && !y;
}

/* cJSON_Compare takes near numbers for equal. NOLINTNEXTLINE(misc-no-recursion) */
static bool is_equal(struct schema_check *c, const cJSON *a, const cJSON *b)
{
    if (SCHEMA_TYPE(a) != SCHEMA_TYPE(b) || !spend(c, 1))
        return false;
    switch (SCHEMA_TYPE(a)) {
    case cJSON_Number:
        return !(a->valuedouble < b->valuedouble) && !(a->valuedouble > b->valuedouble);
    case cJSON_String:
        return strcmp(a->valuestring, b->valuestring) == 0;
    case cJSON_Array:
        return is_equal_array(c, a, b);
    case cJSON_Object:
        return is_equal_object(c, a, b);
    default:
        return true;
    }
}

/* ---- scalars ---- */

static bool is_of_type(unsigned types, const cJSON *value)
{
    int64_t integer;
    return types == 0 || (types & SCHEMA_TYPE(value)) ||
           ((types & SCHEMA_INTEGER) && json_as_int(value, &integer));
}

bool schema_takes_type(const struct schema_node *node, const cJSON *value)
{
    while (node->ref)
        node = node->ref;
    bool is_constant = !node->constant || SCHEMA_TYPE(node->constant) == SCHEMA_TYPE(value);
    return node->verdict != SCHEMA_NEVER && is_constant && is_of_type(node->types, value);
}

static bool is_one_of(struct schema_check *c, const cJSON *values, const cJSON *value)
{
    const cJSON *one = values->child;
    while (one && !is_equal(c, one, value))
        one = one->next;
    return one != NULL;
}

/* Decimal fractions are no doubles: 0.3 counts as a multiple of 0.1. */
static bool is_multiple(double value, double of)
{
    if (fpclassify(fmod(value, of)) == FP_ZERO)
        return true;
    double times = value / of;
    return isfinite(times) && fabs(times) >= 0.5 &&
           fabs(times - round(times)) <= fabs(times) * 4 * DBL_EPSILON;
}

static bool check_number(struct schema_check *c, const struct schema_node *node, const cJSON *value,
                         const struct schema_place *place)
{
    double number = value->valuedouble;
    bool is_fit = number >= node->minimum && number <= node->maximum &&
                  (number > node->above || node->above == -INFINITY) &&
                  (number < node->below || node->below == INFINITY) &&
                  (node->multiple_of <= 0 || is_multiple(number, node->multiple_of));
    return is_fit || schema_fault_value(c, node, value, place);
}

static bool check_string(struct schema_check *c, const struct schema_node *node, const cJSON *value,
                         const struct schema_place *place)
{
    const char *text = value->valuestring;
    if (node->min_length > 0 || node->max_length != SCHEMA_NO_LIMIT) {
        size_t length = schema_text_length(text);
        if (length < node->min_length || length > node->max_length)
            return schema_fault_but(c, node, place,
                                    length == 1 ? "%zu character" : "%zu characters", length);
    }
    if (node->pattern && !schema_pattern_matches(node->pattern, text))
        return schema_fault_value(c, node, value, place);
    struct error why;
    int64_t time_us;
    if (node->is_date_time && clock_parse_rfc3339(slice_from_cstr(text), &time_us, &why))
        return schema_fault_date_time(c, node, value, place, why.text);
    return true;
}

/* ---- arrays ---- */

static bool check_unique(struct schema_check *c, const struct schema_node *node, const cJSON *array,
                         const struct schema_place *place)
{
    size_t index = 0;
    for (const cJSON *item = array->child; item; item = item->next, index++) {
        size_t other_index = 0;
        for (const cJSON *other = array->child; other != item; other = other->next, other_index++) {
            if (is_equal(c, other, item))
                return schema_fault_but(c, node, place, "items [%zu] and [%zu] that are equal",
                                        other_index, index);
            if (c->is_exhausted)
                return false;
        }
    }
    return true;
}

/* NOLINTNEXTLINE(misc-no-recursion): bounded by the value's depth. */
static bool check_contains(struct schema_check *c, const struct schema_node *node,
                           const cJSON *array, const struct schema_place *place)
{
    size_t count = 0;
    size_t index = 0;
    for (const cJSON *item = array->child; item; item = item->next, index++) {
        struct schema_place here = schema_place_index(place, index);
        count += try_node(c, node->contains, item, &here);
    }
    if (count >= node->min_contains && count <= node->max_contains)
        return true;
    return schema_fault_but(c, node, place, "an array with %zu of these", count);
}

/* NOLINTNEXTLINE(misc-no-recursion): bounded by the value's depth. */
static bool check_array(struct schema_check *c, const struct schema_node *node, const cJSON *value,
                        const struct schema_place *place)
{
    size_t index = 0;
    if (node->min_items > 0 || node->max_items != SCHEMA_NO_LIMIT) {
        size_t count = schema_count(value);
        if (count < node->min_items || count > node->max_items)
            return schema_fault_value(c, node, value, place);
    }
    for (const cJSON *item = value->child; item; item = item->next, index++) {
        const struct schema_node *of =
            index < node->prefix.count ? node->prefix.at[index] : node->items;
        struct schema_place here = schema_place_index(place, index);
        if (of && !schema_check_node(c, of, item, &here))
            return false;
    }
    return (!node->is_unique || check_unique(c, node, value, place)) &&
           (!node->contains || check_contains(c, node, value, place));
}

/* ---- objects ---- */

/* NOLINTNEXTLINE(misc-no-recursion): bounded by SCHEMA_FRAMES_MAX. */
static bool check_member(struct schema_check *c, const struct schema_node *node,
                         const cJSON *member, const struct schema_place *place)
{
    struct schema_place here = schema_place_key(place, member->string);
    const struct schema_node *known = schema_names_find(&node->properties, member->string);
    bool is_known = known != NULL;
    if (known && !schema_check_node(c, known, member, &here))
        return false;
    for (const struct schema_pattern *p = node->name_patterns; p; p = p->next_of_node) {
        if (!schema_pattern_matches(p, member->string))
            continue;
        is_known = true;
        if (!schema_check_node(c, p->node, member, &here))
            return false;
    }
    if (is_known || !node->additional)
        return true;
    if (node->additional->verdict == SCHEMA_NEVER)
        return schema_fault_unknown(c, node, &here);
    return schema_check_node(c, node->additional, member, &here);
}

/* NOLINTNEXTLINE(misc-no-recursion): bounded by SCHEMA_FRAMES_MAX. */
static bool check_name(struct schema_check *c, const struct schema_node *names, const cJSON *member,
                       const struct schema_place *place)
{
    struct schema_place here = schema_place_key(place, member->string);
    const cJSON name = {.type = cJSON_String, .valuestring = member->string};
    return try_node(c, names, &name, &here) || schema_fault_name(c, names, member->string, &here);
}

static bool check_required(struct schema_check *c, const struct schema_node *node,
                           const cJSON *value, const cJSON *names, const char *needed_by,
                           const struct schema_place *place)
{
    for (const cJSON *name = names->child; name; name = name->next) {
        if (!json_get(value, name->valuestring))
            return schema_fault_missing(c, node, name->valuestring, needed_by, place);
    }
    return true;
}

/* NOLINTNEXTLINE(misc-no-recursion): bounded by SCHEMA_FRAMES_MAX. */
static bool check_dependents(struct schema_check *c, const struct schema_node *node,
                             const cJSON *value, const struct schema_place *place)
{
    const cJSON *list = node->dependent_required ? node->dependent_required->child : NULL;
    for (; list; list = list->next) {
        if (json_get(value, list->string) &&
            !check_required(c, node, value, list, list->string, place))
            return false;
    }
    for (size_t i = 0; i < node->dependent_schemas.count; i++) {
        const struct schema_named *named = &node->dependent_schemas.at[i];
        if (json_get(value, named->name) && !schema_check_node(c, named->node, value, place))
            return false;
    }
    return true;
}

/* NOLINTNEXTLINE(misc-no-recursion): bounded by the value's depth. */
static bool check_object(struct schema_check *c, const struct schema_node *node, const cJSON *value,
                         const struct schema_place *place)
{
    size_t count = 0;
    bool has_member_rules = node->properties.count || node->name_patterns || node->additional;
    for (const cJSON *member = value->child; member; member = member->next, count++) {
        if (has_member_rules && !check_member(c, node, member, place))
            return false;
        if (node->property_names && !check_name(c, node->property_names, member, place))
            return false;
    }
    if (!spend(c, count))
        return false;
    if (node->required && !check_required(c, node, value, node->required, NULL, place))
        return false;
    if (count < node->min_properties || count > node->max_properties)
        return schema_fault_value(c, node, value, place);
    return check_dependents(c, node, value, place);
}

/* ---- composition ---- */

/* The branch that the value was meant for, when its type leaves just one. */
static const struct schema_node *meant_branch(const struct schema_list *list, const cJSON *value)
{
    const struct schema_node *meant = NULL;
    for (size_t i = 0; i < list->count; i++) {
        if (!schema_takes_type(list->at[i], value))
            continue;
        if (meant)
            return NULL;
        meant = list->at[i];
    }
    return meant;
}

/* NOLINTNEXTLINE(misc-no-recursion): bounded by SCHEMA_FRAMES_MAX. */
static bool check_branches(struct schema_check *c, const struct schema_node *node,
                           const struct schema_list *list, const cJSON *value,
                           const struct schema_place *place)
{
    bool is_exclusive = list == &node->one_of;
    size_t count = 0;
    for (size_t i = 0; i < list->count && (is_exclusive || count == 0); i++)
        count += try_node(c, list->at[i], value, place);
    if (count == 1)
        return true;
    if (!c->fault || c->is_exhausted)
        return false;
    if (count > 1)
        return schema_fault_but(c, node, place, "a value that fits %zu of these at once", count);
    const struct schema_node *meant = meant_branch(list, value);
    return meant ? schema_check_node(c, meant, value, place)
                 : schema_fault_value(c, node, value, place);
}

/* NOLINTNEXTLINE(misc-no-recursion): bounded by SCHEMA_FRAMES_MAX. */
static bool check_condition(struct schema_check *c, const struct schema_node *node,
                            const cJSON *value, const struct schema_place *place)
{
    const struct schema_node *next =
        try_node(c, node->condition, value, place) ? node->consequence : node->alternative;
    return !next || schema_check_node(c, next, value, place);
}

/* NOLINTNEXTLINE(misc-no-recursion): bounded by SCHEMA_FRAMES_MAX. */
static bool check_composition(struct schema_check *c, const struct schema_node *node,
                              const cJSON *value, const struct schema_place *place)
{
    if (node->ref && !schema_check_node(c, node->ref, value, place))
        return false;
    for (size_t i = 0; i < node->all_of.count; i++) {
        if (!schema_check_node(c, node->all_of.at[i], value, place))
            return false;
    }
    if (node->any_of.count && !check_branches(c, node, &node->any_of, value, place))
        return false;
    if (node->one_of.count && !check_branches(c, node, &node->one_of, value, place))
        return false;
    if (node->negated && try_node(c, node->negated, value, place))
        return schema_fault_negated(c, node->negated, value, place);
    return !node->condition || check_condition(c, node, value, place);
}

/* ---- a node ---- */

/* NOLINTNEXTLINE(misc-no-recursion): bounded by SCHEMA_FRAMES_MAX. */
static bool check_rules(struct schema_check *c, const struct schema_node *node, const cJSON *value,
                        const struct schema_place *place)
{
    bool is_listed = (!node->values || is_one_of(c, node->values, value)) &&
                     (!node->constant || is_equal(c, node->constant, value));
    if (!is_listed || !is_of_type(node->types, value))
        return schema_fault_value(c, node, value, place);
    bool is_fit = true;
    switch (SCHEMA_TYPE(value)) {
    case cJSON_Number:
        is_fit = check_number(c, node, value, place);
        break;
    case cJSON_String:
        is_fit = check_string(c, node, value, place);
        break;
    case cJSON_Array:
        is_fit = check_array(c, node, value, place);
        break;
    case cJSON_Object:
        is_fit = check_object(c, node, value, place);
        break;
    default:
        break;
    }
    return is_fit && check_composition(c, node, value, place);
}

/* NOLINTNEXTLINE(misc-no-recursion): bounded by SCHEMA_FRAMES_MAX. */
bool schema_check_node(struct schema_check *c, const struct schema_node *node, const cJSON *value,
                       const struct schema_place *place)
{
    if (node->verdict == SCHEMA_ALWAYS)
        return true;
    if (node->verdict == SCHEMA_NEVER)
        return schema_fault_forbidden(c, place);
    if (c->frames == SCHEMA_FRAMES_MAX || place->depth > JSON_DEPTH_MAX)
        c->is_exhausted = true;
    if (!spend(c, 1))
        return false;
    c->frames++;
    bool is_fit = check_rules(c, node, value, place);
    c->frames--;
    return is_fit;
}
