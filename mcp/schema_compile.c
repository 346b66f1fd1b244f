/* The keywords of JSON Schema 2020-12 (and what draft-07 writes otherwise), a table: each has the
 * function that checks its value and the member of struct schema_node that takes it. A keyword that
 * is not in the table is an annotation or unknown: both are ignored. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "mcp/schema_int.h"

int schema_refuse(struct error *err, int code, const struct schema_place *place, const char *format,
                  ...)
{
    char pointer[64];
    char text[256];
    struct words w;
    words_init(&w, pointer, sizeof(pointer));
    words_pointer(&w, place);
    words_end(&w);
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return error_set(err, code, pointer, "%s", text);
}

struct compiler {
    struct mcp_schema *schema;
    struct schema_node *node;
    const struct schema_place *place; /* of the keyword */
    struct error *err;
};

__attribute__((format(printf, 2, 3))) static int refuse(const struct compiler *c,
                                                        const char *format, ...)
{
    char text[200];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return schema_refuse(c->err, BASE_EINVAL, c->place, "%s", text);
}

static int fail_no_memory(const struct compiler *c)
{
    return schema_refuse(c->err, BASE_ENOMEM, c->place, "out of memory");
}

/* ---- values of keywords ---- */

static int read_number(const struct compiler *c, const cJSON *value, void *member)
{
    double *out = member;
    if (!cJSON_IsNumber(value))
        return refuse(c, "%s must be a number", c->place->key);
    *out = value->valuedouble;
    return 0;
}

static int read_multiple(const struct compiler *c, const cJSON *value, void *member)
{
    if (!cJSON_IsNumber(value) || !(value->valuedouble > 0))
        return refuse(c, "%s must be a number > 0", c->place->key);
    return read_number(c, value, member);
}

static int read_count(const struct compiler *c, const cJSON *value, void *member)
{
    size_t *out = member;
    int64_t count;
    if (!json_as_int(value, &count) || count < 0)
        return refuse(c, "%s must be an integer >= 0", c->place->key);
    *out = (size_t)count;
    return 0;
}

static int read_bool(const struct compiler *c, const cJSON *value, void *member)
{
    bool *out = member;
    if (!cJSON_IsBool(value))
        return refuse(c, "%s must be true or false", c->place->key);
    *out = cJSON_IsTrue(value);
    return 0;
}

static int read_any(const struct compiler *c, const cJSON *value, void *member)
{
    const cJSON **out = member;
    (void)c;
    *out = value;
    return 0;
}

static int read_values(const struct compiler *c, const cJSON *value, void *member)
{
    if (!cJSON_IsArray(value) || !value->child)
        return refuse(c, "%s must be an array of at least one value", c->place->key);
    return read_any(c, value, member);
}

static bool is_list_of_strings(const cJSON *value)
{
    if (!cJSON_IsArray(value))
        return false;
    const cJSON *item = value->child;
    while (item && cJSON_IsString(item))
        item = item->next;
    return !item;
}

static int read_strings(const struct compiler *c, const cJSON *value, void *member)
{
    if (!is_list_of_strings(value))
        return refuse(c, "%s must be an array of strings", c->place->key);
    return read_any(c, value, member);
}

static int read_string_lists(const struct compiler *c, const cJSON *value, void *member)
{
    const cJSON *list = cJSON_IsObject(value) ? value->child : NULL;
    while (list && is_list_of_strings(list))
        list = list->next;
    if (!cJSON_IsObject(value) || list)
        return refuse(c, "%s must be an object of arrays of strings", c->place->key);
    return read_any(c, value, member);
}

static int read_text(const struct compiler *c, const cJSON *value, void *member)
{
    const char **out = member;
    if (!cJSON_IsString(value))
        return refuse(c, "%s must be a string", c->place->key);
    *out = value->valuestring;
    return 0;
}

static unsigned type_named(const cJSON *name)
{
    static const struct {
        const char *name;
        unsigned type;
    } types[] = {{"null", cJSON_NULL},    {"boolean", SCHEMA_BOOLEAN}, {"integer", SCHEMA_INTEGER},
                 {"array", cJSON_Array},  {"number", cJSON_Number},    {"object", cJSON_Object},
                 {"string", cJSON_String}};
    for (size_t i = 0; cJSON_IsString(name) && i < sizeof(types) / sizeof(types[0]); i++) {
        if (strcmp(types[i].name, name->valuestring) == 0)
            return types[i].type;
    }
    return 0;
}

static int read_type(const struct compiler *c, const cJSON *value, void *member)
{
    unsigned *out = member;
    const cJSON *first = cJSON_IsArray(value) ? value->child : value;
    if (!first)
        return refuse(c, "type must not be an empty array");
    for (const cJSON *name = first; name; name = name == value ? NULL : name->next) {
        unsigned type = type_named(name);
        if (!type)
            return refuse(c, "type must be null, boolean, integer, number, string, array or "
                             "object, or an array of these");
        *out |= type;
    }
    return 0;
}

static int read_format(const struct compiler *c, const cJSON *value, void *member)
{
    bool *is_date_time = member;
    if (!cJSON_IsString(value))
        return refuse(c, "format must be a string");
    *is_date_time = strcmp(value->valuestring, "date-time") == 0;
    return 0;
}

static int read_pattern(const struct compiler *c, const cJSON *value, void *member)
{
    if (!cJSON_IsString(value))
        return refuse(c, "pattern must be a string");
    return schema_pattern_new(c->schema, value->valuestring, c->place, member, c->err);
}

/* ---- subschemas ---- */

/* NOLINTNEXTLINE(misc-no-recursion): bounded by the document's depth. */
static int read_schema(const struct compiler *c, const cJSON *value, void *member)
{
    return schema_compile_node(c->schema, value, c->place, member, c->err);
}

static int read_list(const struct compiler *c, const cJSON *value, void *member)
{
    struct schema_list *out = member;
    if (!cJSON_IsArray(value) || !value->child)
        return refuse(c, "%s must be an array of at least one schema", c->place->key);
    size_t count = schema_count(value);
    out->at = arena_calloc(&c->schema->arena, count, sizeof(struct schema_node *));
    if (!out->at)
        return fail_no_memory(c);
    int status = 0;
    for (const cJSON *item = value->child; item && !status; item = item->next) {
        struct schema_place place = schema_place_index(c->place, out->count);
        status = schema_compile_node(c->schema, item, &place, &out->at[out->count++], c->err);
    }
    return status;
}

static int compare_names(const void *a, const void *b)
{
    const struct schema_named *x = a;
    const struct schema_named *y = b;
    return strcmp(x->name, y->name);
}

static int read_names(const struct compiler *c, const cJSON *value, void *member)
{
    struct schema_names *out = member;
    if (!cJSON_IsObject(value))
        return refuse(c, "%s must be an object of schemas", c->place->key);
    size_t count = schema_count(value);
    out->at = arena_calloc(&c->schema->arena, count ? count : 1, sizeof(*out->at));
    if (!out->at)
        return fail_no_memory(c);
    int status = 0;
    for (const cJSON *item = value->child; item && !status; item = item->next) {
        struct schema_place place = schema_place_key(c->place, item->string);
        struct schema_named *named = &out->at[out->count++];
        named->name = item->string;
        status = schema_compile_node(c->schema, item, &place, &named->node, c->err);
    }
    qsort(out->at, out->count, sizeof(*out->at), compare_names);
    return status;
}

/* $defs: compiled so that a fault in them shows though nobody refers to them. */
static int read_definitions(const struct compiler *c, const cJSON *value, void *member)
{
    struct schema_names unused = {0};
    (void)member;
    return read_names(c, value, &unused);
}

static int read_name_patterns(const struct compiler *c, const cJSON *value, void *member)
{
    struct schema_pattern **out = member;
    if (!cJSON_IsObject(value))
        return refuse(c, "patternProperties must be an object of schemas");
    int status = 0;
    for (const cJSON *item = value->child; item && !status; item = item->next) {
        struct schema_place place = schema_place_key(c->place, item->string);
        status = schema_pattern_new(c->schema, item->string, &place, out, c->err);
        if (!status)
            status = schema_compile_node(c->schema, item, &place, &(*out)->node, c->err);
        if (!status)
            out = &(*out)->next_of_node;
    }
    return status;
}

/* ---- what draft-07 writes otherwise ---- */

static int read_items(const struct compiler *c, const cJSON *value, void *member)
{
    struct schema_node **items = member;
    if (!cJSON_IsArray(value))
        return read_schema(c, value, member);
    if (!c->schema->is_draft_07)
        return refuse(c, "items must be a schema; a list of schemas is prefixItems");
    const cJSON *rest = json_get(c->node->source, "additionalItems");
    int status = value->child ? read_list(c, value, &c->node->prefix) : 0;
    if (!status && rest) {
        struct schema_place place = schema_place_key(c->place->parent, "additionalItems");
        status = schema_compile_node(c->schema, rest, &place, items, c->err);
    }
    return status;
}

/* draft-07's mix of dependentRequired and dependentSchemas; either all arrays or all schemas. */
static int read_dependencies(const struct compiler *c, const cJSON *value, void *member)
{
    (void)member;
    if (cJSON_IsObject(value) && cJSON_IsArray(value->child))
        return read_string_lists(c, value, &c->node->dependent_required);
    return read_names(c, value, &c->node->dependent_schemas);
}

/* ---- identity ---- */

static int read_dialect(const struct compiler *c, const cJSON *value, void *member)
{
    (void)member;
    const char *name = cJSON_IsString(value) ? value->valuestring : "";
    bool is_draft_07 = strcmp(name, "http://json-schema.org/draft-07/schema#") == 0 ||
                       strcmp(name, "http://json-schema.org/draft-07/schema") == 0;
    bool is_2020_12 = strcmp(name, "https://json-schema.org/draft/2020-12/schema") == 0 ||
                      strcmp(name, "https://json-schema.org/draft/2020-12/schema#") == 0;
    if (!is_draft_07 && !is_2020_12)
        return refuse(c, "the dialect \"%.80s\" is not supported: 2020-12 and draft-07 are", name);
    return 0;
}

/* An $id within would give the references below it another base. */
static int read_id(const struct compiler *c, const cJSON *value, void *member)
{
    bool is_anchor = cJSON_IsString(value) && value->valuestring[0] == '#';
    (void)member;
    if (!cJSON_IsString(value))
        return refuse(c, "$id must be a string");
    if (c->place->depth > 1 && !is_anchor)
        return refuse(c, "an $id within the schema is not supported");
    return 0;
}

/* To ignore these would let pass what they forbid. */
static int read_unsupported(const struct compiler *c, const cJSON *value, void *member)
{
    (void)value;
    (void)member;
    return refuse(c, "%s is not supported", c->place->key);
}

/* ---- the table ---- */

struct keyword {
    const char *name;
    int (*read)(const struct compiler *c, const cJSON *value, void *member);
    size_t offset;
};

#define AT(member) offsetof(struct schema_node, member)

static const struct keyword keywords[] = {
    {"$defs", read_definitions, 0},
    {"$dynamicRef", read_unsupported, 0},
    {"$id", read_id, 0},
    {"$ref", read_text, AT(ref_text)},
    {"$schema", read_dialect, 0},
    {"additionalProperties", read_schema, AT(additional)},
    {"allOf", read_list, AT(all_of)},
    {"anyOf", read_list, AT(any_of)},
    {"const", read_any, AT(constant)},
    {"contains", read_schema, AT(contains)},
    {"definitions", read_definitions, 0},
    {"dependencies", read_dependencies, 0},
    {"dependentRequired", read_string_lists, AT(dependent_required)},
    {"dependentSchemas", read_names, AT(dependent_schemas)},
    {"else", read_schema, AT(alternative)},
    {"enum", read_values, AT(values)},
    {"exclusiveMaximum", read_number, AT(below)},
    {"exclusiveMinimum", read_number, AT(above)},
    {"format", read_format, AT(is_date_time)},
    {"if", read_schema, AT(condition)},
    {"items", read_items, AT(items)},
    {"maxContains", read_count, AT(max_contains)},
    {"maxItems", read_count, AT(max_items)},
    {"maxLength", read_count, AT(max_length)},
    {"maxProperties", read_count, AT(max_properties)},
    {"maximum", read_number, AT(maximum)},
    {"minContains", read_count, AT(min_contains)},
    {"minItems", read_count, AT(min_items)},
    {"minLength", read_count, AT(min_length)},
    {"minProperties", read_count, AT(min_properties)},
    {"minimum", read_number, AT(minimum)},
    {"multipleOf", read_multiple, AT(multiple_of)},
    {"not", read_schema, AT(negated)},
    {"oneOf", read_list, AT(one_of)},
    {"pattern", read_pattern, AT(pattern)},
    {"patternProperties", read_name_patterns, AT(name_patterns)},
    {"prefixItems", read_list, AT(prefix)},
    {"properties", read_names, AT(properties)},
    {"propertyNames", read_schema, AT(property_names)},
    {"required", read_strings, AT(required)},
    {"then", read_schema, AT(consequence)},
    {"type", read_type, AT(types)},
    {"unevaluatedItems", read_unsupported, 0},
    {"unevaluatedProperties", read_unsupported, 0},
    {"uniqueItems", read_bool, AT(is_unique)},
};

static int compare_keyword(const void *name, const void *keyword)
{
    return strcmp(name, ((const struct keyword *)keyword)->name);
}

/* NOLINTNEXTLINE(misc-no-recursion): bounded by the document's depth. */
static int read_keyword(struct mcp_schema *s, struct schema_node *node, const cJSON *value,
                        const struct schema_place *place, struct error *err)
{
    const struct keyword *k =
        bsearch(value->string, keywords, sizeof(keywords) / sizeof(keywords[0]),
                sizeof(keywords[0]), compare_keyword);
    struct schema_place here = schema_place_key(place, value->string);
    const struct compiler c = {s, node, &here, err};
    return k ? k->read(&c, value, (char *)node + k->offset) : 0;
}

static struct schema_node *node_new(struct mcp_schema *s, const cJSON *source)
{
    struct schema_node *node = arena_alloc(&s->arena, sizeof(*node));
    if (!node)
        return NULL;
    *node = (struct schema_node){.source = source,
                                 .verdict = cJSON_IsTrue(source)    ? SCHEMA_ALWAYS
                                            : cJSON_IsFalse(source) ? SCHEMA_NEVER
                                                                    : SCHEMA_RULES,
                                 .minimum = -INFINITY,
                                 .maximum = INFINITY,
                                 .above = -INFINITY,
                                 .below = INFINITY,
                                 .max_length = SCHEMA_NO_LIMIT,
                                 .max_items = SCHEMA_NO_LIMIT,
                                 .min_contains = 1,
                                 .max_contains = SCHEMA_NO_LIMIT,
                                 .max_properties = SCHEMA_NO_LIMIT};
    node->next = s->nodes;
    s->nodes = node;
    s->node_count++;
    return node;
}

/* NOLINTNEXTLINE(misc-no-recursion): bounded by the document's depth. */
int schema_compile_node(struct mcp_schema *s, const cJSON *source, const struct schema_place *place,
                        struct schema_node **out, struct error *err)
{
    if (!cJSON_IsObject(source) && !cJSON_IsBool(source))
        return schema_refuse(err, BASE_EINVAL, place, "a schema must be an object or a boolean");
    if (s->node_count == SCHEMA_NODES_MAX)
        return schema_refuse(err, BASE_ELIMIT, place, "more than %d subschemas", SCHEMA_NODES_MAX);
    struct schema_node *node = node_new(s, source);
    if (!node)
        return schema_refuse(err, BASE_ENOMEM, place, "out of memory");
    *out = node;
    bool is_ref_alone = s->is_draft_07 && json_get(source, "$ref");
    int status = 0;
    for (const cJSON *k = source->child; k && !status; k = k->next) {
        /* In draft-07 a $ref makes all beside it void, but for the definitions. */
        if (!is_ref_alone || strcmp(k->string, "$ref") == 0 ||
            strcmp(k->string, "definitions") == 0)
            status = read_keyword(s, node, k, place, err);
    }
    return status;
}
