/* The report of a value that does not fit, written for an agent that will try again: which field,
 * what came, what was expected, and the likely slip. */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "mcp/schema_int.h"

#define NAME_BYTES 64 /* of names that are compared */
#define NAME_CHARS 64

/* ---- the nearest known name ---- */

static char fold(char c)
{
    if (c == '-' || c == ' ')
        return '_';
    return (char)tolower((unsigned char)c);
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* The edits (insert, remove, replace, swap of neighbours) from a to b, case left out. */
static size_t edit_distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    size_t rows[3][NAME_BYTES + 1] = {{0}};
    for (size_t j = 0; j <= b_len; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        size_t *row = rows[i % 3];
        const size_t *above = rows[(i + 2) % 3];
        const size_t *above_that = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            char x = fold(a[i - 1]);
            char y = fold(b[j - 1]);
            row[j] = least(least(above[j], row[j - 1]) + 1, above[j - 1] + (x != y));
            if (i > 1 && j > 1 && x == fold(b[j - 2]) && fold(a[i - 2]) == y)
                row[j] = least(row[j], above_that[j - 2] + 1);
        }
    }
    return rows[a_len % 3][b_len];
}

struct nearest {
    const char *wanted;
    const char *name; /* NULL: none is near */
    size_t distance;
};

static struct nearest nearest_to(const char *wanted)
{
    size_t len = strlen(wanted);
    return (struct nearest){wanted, NULL, len <= 3 ? 2 : len / 3 + 2};
}

static void nearest_try(struct nearest *n, const char *name)
{
    size_t wanted_len = strlen(n->wanted);
    size_t len = strlen(name);
    if (wanted_len > NAME_BYTES || len > NAME_BYTES)
        return;
    size_t distance = edit_distance(n->wanted, wanted_len, name, len);
    if (distance < n->distance && distance < len) {
        n->name = name;
        n->distance = distance;
    }
}

/* ---- parts of a report ---- */

static void put_field(struct mcp_schema_fault *fault, const struct schema_place *place)
{
    struct words w;
    words_init(&w, fault->field, sizeof(fault->field));
    words_place(&w, place);
    words_end(&w);
}

static void put_expected(struct mcp_schema_fault *fault, const struct schema_node *node)
{
    struct words w;
    words_init(&w, fault->expected, sizeof(fault->expected));
    schema_describe(&w, node);
    words_end(&w);
}

/* "priority must be one of …, not " */
static void begin_mismatch(struct words *w, struct mcp_schema_fault *fault,
                           const struct schema_node *node, const struct schema_place *place)
{
    put_field(fault, place);
    put_expected(fault, node);
    words_init(w, fault->message, sizeof(fault->message));
    words_put(w, "%s must be %s, not ", *fault->field ? fault->field : "the value",
              fault->expected);
}

static bool is_number_text(const char *text)
{
    char *end;
    (void)strtod(text, &end);
    return end != text && *end == '\0';
}

static void put_string_hint(struct words *w, const struct schema_node *node, const cJSON *value)
{
    const char *text = value->valuestring;
    unsigned types = node->types;
    bool is_true = strcmp(text, "true") == 0;
    if (types & cJSON_String)
        return;
    if ((types & (SCHEMA_INTEGER | (unsigned)cJSON_Number)) && is_number_text(text))
        words_put(w, "; send the number without quotes");
    else if ((types & SCHEMA_BOOLEAN) && (is_true || strcmp(text, "false") == 0))
        words_put(w, "; send %s without quotes", is_true ? "true" : "false");
    else if ((types & cJSON_NULL) && strcmp(text, "null") == 0)
        words_put(w, "; send null without quotes");
    else if ((types & cJSON_Array && *text == '[') || (types & cJSON_Object && *text == '{'))
        words_put(w, "; send the JSON itself, not a string that holds it");
}

/* The slip that agents make most with this kind of value. */
static void put_hint(struct words *w, const struct schema_node *node, const cJSON *value)
{
    while (node->ref && !node->types)
        node = node->ref;
    unsigned types = node->types;
    int64_t integer;
    bool is_integer = json_as_int(value, &integer);
    if (cJSON_IsString(value))
        put_string_hint(w, node, value);
    else if (cJSON_IsNumber(value) && types == (unsigned)cJSON_String)
        words_put(w, "; send it in quotes");
    else if (cJSON_IsNumber(value) && types & SCHEMA_INTEGER && !is_integer &&
             (value->valuedouble > (double)JSON_INTEGER_MAX ||
              value->valuedouble < -(double)JSON_INTEGER_MAX))
        words_put(w, "; integers beyond 9007199254740991 lose digits");
    if (types == (unsigned)cJSON_Array && node->items && SCHEMA_TYPE(value) != cJSON_Object &&
        SCHEMA_TYPE(value) != cJSON_Array && schema_takes_type(node->items, value))
        words_put(w, "; put it in an array");
}

static void put_near_value(struct words *w, const cJSON *values, const cJSON *value)
{
    if (!values || !cJSON_IsString(value))
        return;
    struct nearest n = nearest_to(value->valuestring);
    for (const cJSON *one = values->child; one; one = one->next) {
        if (cJSON_IsString(one))
            nearest_try(&n, one->valuestring);
    }
    if (!n.name)
        return;
    words_put(w, "; did you mean ");
    words_quote(w, n.name, NAME_CHARS);
    words_put(w, "?");
}

/* ---- the reports ---- */

bool schema_fault_value(struct schema_check *c, const struct schema_node *node, const cJSON *value,
                        const struct schema_place *place)
{
    struct words w;
    if (!c->fault)
        return false;
    begin_mismatch(&w, c->fault, node, place);
    bool is_string_among_others =
        cJSON_IsString(value) && node->types && !(node->types & cJSON_String);
    if (is_string_among_others)
        words_put(&w, "the string ");
    words_value(&w, value);
    put_hint(&w, node, value);
    put_near_value(&w, node->values, value);
    words_end(&w);
    return false;
}

bool schema_fault_but(struct schema_check *c, const struct schema_node *node,
                      const struct schema_place *place, const char *format, ...)
{
    struct words w;
    char came[80];
    va_list args;
    if (!c->fault)
        return false;
    begin_mismatch(&w, c->fault, node, place);
    va_start(args, format);
    vsnprintf(came, sizeof(came), format, args);
    va_end(args);
    words_put(&w, "%s", came);
    words_end(&w);
    return false;
}

/* "title, description, priority": in the order of the schema. */
static void put_known(struct words *w, const struct schema_node *node)
{
    const cJSON *known = json_get(node->source, "properties");
    const char *join = "";
    for (const cJSON *one = known ? known->child : NULL; one; one = one->next) {
        words_put(w, "%s%s", join, one->string);
        join = ", ";
    }
}

static void put_unknown_expected(struct mcp_schema_fault *fault, const struct schema_node *node)
{
    struct words w;
    words_init(&w, fault->expected, sizeof(fault->expected));
    if (node->properties.count) {
        words_put(&w, "one of the properties ");
        put_known(&w, node);
    } else {
        words_put(&w, "no properties");
    }
    words_end(&w);
}

bool schema_fault_unknown(struct schema_check *c, const struct schema_node *node,
                          const struct schema_place *place)
{
    struct mcp_schema_fault *fault = c->fault;
    struct words w;
    if (!fault)
        return false;
    put_field(fault, place);
    put_unknown_expected(fault, node);
    struct nearest n = nearest_to(place->key);
    for (size_t i = 0; i < node->properties.count; i++)
        nearest_try(&n, node->properties.at[i].name);
    words_init(&w, fault->message, sizeof(fault->message));
    words_put(&w, "unknown property ");
    words_quote(&w, place->key, NAME_CHARS);
    if (place->parent && place->parent->parent) {
        char at[128];
        struct words in;
        words_init(&in, at, sizeof(at));
        words_place(&in, place->parent);
        words_end(&in);
        words_put(&w, " in %s", at);
    }
    if (n.name) {
        words_put(&w, "; did you mean ");
        words_quote(&w, n.name, NAME_CHARS);
        words_put(&w, "?");
    } else if (node->properties.count) {
        words_put(&w, "; the known ones are ");
        put_known(&w, node);
    } else {
        words_put(&w, "; none is taken here");
    }
    words_end(&w);
    return false;
}

bool schema_fault_missing(struct schema_check *c, const struct schema_node *node, const char *name,
                          const char *needed_by, const struct schema_place *place)
{
    struct mcp_schema_fault *fault = c->fault;
    struct schema_place here = schema_place_key(place, name);
    const struct schema_node *wanted = schema_names_find(&node->properties, name);
    struct words w;
    if (!fault)
        return false;
    put_field(fault, &here);
    fault->expected[0] = '\0';
    if (wanted)
        put_expected(fault, wanted);
    else
        snprintf(fault->expected, sizeof(fault->expected), "a value");
    words_init(&w, fault->message, sizeof(fault->message));
    words_put(&w, "%s is missing", fault->field);
    if (needed_by) {
        words_put(&w, ", which ");
        words_quote(&w, needed_by, NAME_CHARS);
        words_put(&w, " needs");
    }
    if (wanted)
        words_put(&w, "; it must be %s", fault->expected);
    words_end(&w);
    return false;
}

static void put_plain(struct mcp_schema_fault *fault, const struct schema_place *place,
                      const char *expected, const char *what)
{
    struct words w;
    put_field(fault, place);
    snprintf(fault->expected, sizeof(fault->expected), "%s", expected);
    words_init(&w, fault->message, sizeof(fault->message));
    words_put(&w, "%s %s", *fault->field ? fault->field : "the value", what);
    words_end(&w);
}

bool schema_fault_forbidden(struct schema_check *c, const struct schema_place *place)
{
    if (c->fault)
        put_plain(c->fault, place, "nothing", "is not allowed here");
    return false;
}

bool schema_fault_negated(struct schema_check *c, const struct schema_node *negated,
                          const cJSON *value, const struct schema_place *place)
{
    struct mcp_schema_fault *fault = c->fault;
    char not_wanted[200];
    struct words w;
    if (!fault)
        return false;
    words_init(&w, not_wanted, sizeof(not_wanted));
    schema_describe(&w, negated);
    words_end(&w);
    put_field(fault, place);
    words_init(&w, fault->expected, sizeof(fault->expected));
    words_put(&w, "anything but %s", not_wanted);
    words_end(&w);
    words_init(&w, fault->message, sizeof(fault->message));
    words_put(&w, "%s must not be %s, and is ", *fault->field ? fault->field : "the value",
              not_wanted);
    words_value(&w, value);
    words_end(&w);
    return false;
}

bool schema_fault_date_time(struct schema_check *c, const struct schema_node *node,
                            const cJSON *value, const struct schema_place *place,
                            const char *reason)
{
    struct words w;
    if (!c->fault)
        return false;
    begin_mismatch(&w, c->fault, node, place);
    words_value(&w, value);
    words_put(&w, ": %s", reason);
    words_end(&w);
    return false;
}

bool schema_fault_name(struct schema_check *c, const struct schema_node *node, const char *name,
                       const struct schema_place *place)
{
    struct words w;
    if (!c->fault)
        return false;
    put_field(c->fault, place);
    put_expected(c->fault, node);
    words_init(&w, c->fault->message, sizeof(c->fault->message));
    words_put(&w, "the property name ");
    words_quote(&w, name, NAME_CHARS);
    words_put(&w, " must be %s", c->fault->expected);
    words_end(&w);
    return false;
}

void schema_fault_exhausted(struct mcp_schema_fault *fault)
{
    const struct schema_place whole = {0};
    put_plain(fault, &whole, "a smaller value", "is nested too deep or takes too long to check");
}
