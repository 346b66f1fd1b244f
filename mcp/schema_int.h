#pragma once
/* mcp/schema_int: a compiled schema, for the files of mcp/schema:
 *   schema.c           the public functions, $ref and what it leads to
 *   schema_compile.c   the keywords: JSON -> struct schema_node
 *   schema_pattern.c   regular expressions
 *   schema_check.c     value against nodes
 *   schema_fault.c     the report of a value that does not fit
 *   schema_describe.c  what a node wants, in words
 *   schema_words.c     text in buffers of fixed size
 * All nodes live in the schema's arena and point into its copy of the document. */
#include <regex.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/json.h"
#include "mcp/schema.h"

#define SCHEMA_NODES_MAX   1000
#define SCHEMA_PATTERN_MAX 512 /* bytes */
#define SCHEMA_ARENA_BYTES (4u << 20)
/* Of one check: nested calls, and visits of a node or comparisons. What is past them is refused. */
#define SCHEMA_FRAMES_MAX (8 * JSON_DEPTH_MAX)
#define SCHEMA_STEPS_MAX  4000000u

#define SCHEMA_NO_LIMIT SIZE_MAX

/* `types` holds cJSON's bits and this one. */
#define SCHEMA_INTEGER    0x100u
#define SCHEMA_BOOLEAN    ((unsigned)cJSON_True | (unsigned)cJSON_False)
#define SCHEMA_TYPE(item) ((unsigned)(item)->type & 0xFFu)

struct schema_node;

struct schema_list {
    struct schema_node **at;
    size_t count;
};

struct schema_named {
    const char *name;
    struct schema_node *node;
};
/* Sorted by name. */
struct schema_names {
    struct schema_named *at;
    size_t count;
};

struct schema_pattern {
    regex_t regex;
    const char *text;
    struct schema_node *node; /* of patternProperties */
    struct schema_pattern *next_of_node;
    struct schema_pattern *next; /* in schema->patterns */
};

enum schema_verdict { SCHEMA_RULES, SCHEMA_ALWAYS, SCHEMA_NEVER };
enum schema_visit { SCHEMA_UNSEEN, SCHEMA_OPEN, SCHEMA_DONE };

struct schema_node {
    enum schema_verdict verdict;
    enum schema_visit visit; /* of the search for loops */
    const cJSON *source;
    struct schema_node *next; /* in schema->nodes */

    const char *ref_text; /* NULL when there is none */
    struct schema_node *ref;

    unsigned types; /* 0: any */
    const cJSON *values, *constant;
    double minimum, maximum, above, below, multiple_of; /* infinite, and 0, where there is none */
    size_t min_length, max_length;
    struct schema_pattern *pattern;
    bool is_date_time;

    size_t min_items, max_items, min_contains, max_contains;
    bool is_unique;
    struct schema_list prefix;
    struct schema_node *items, *contains;

    size_t min_properties, max_properties;
    struct schema_names properties, dependent_schemas;
    struct schema_pattern *name_patterns;
    struct schema_node *additional, *property_names;
    const cJSON *required, *dependent_required;

    struct schema_list all_of, any_of, one_of;
    struct schema_node *negated, *condition, *consequence, *alternative;
};

struct mcp_schema {
    struct arena arena;
    cJSON *document; /* the copy */
    struct schema_node *root, *nodes;
    struct schema_pattern *patterns;
    size_t node_count;
    bool is_draft_07;
};

/* Where we are, in a value or in a schema: a list on the stack, from here up to the whole. */
struct schema_place {
    const struct schema_place *parent; /* NULL: the whole */
    const char *key;                   /* NULL: the place is an item of an array */
    size_t index;
    unsigned depth;
};

static inline struct schema_place schema_place_key(const struct schema_place *parent,
                                                   const char *key)
{
    return (struct schema_place){parent, key, 0, parent->depth + 1};
}

static inline struct schema_place schema_place_index(const struct schema_place *parent,
                                                     size_t index)
{
    return (struct schema_place){parent, NULL, index, parent->depth + 1};
}

/* ---- compile ---- */

/* One (sub)schema and all below it. */
int schema_compile_node(struct mcp_schema *s, const cJSON *source, const struct schema_place *place,
                        struct schema_node **out, struct error *err);
/* Refuses with the place as a JSON pointer in err->field. */
__attribute__((format(printf, 4, 5))) int schema_refuse(struct error *err, int code,
                                                        const struct schema_place *place,
                                                        const char *format, ...);
int schema_pattern_new(struct mcp_schema *s, const char *text, const struct schema_place *place,
                       struct schema_pattern **out, struct error *err);
bool schema_pattern_matches(const struct schema_pattern *p, const char *text);

/* ---- check ---- */

struct schema_check {
    struct mcp_schema_fault *fault; /* NULL: nobody asks why */
    unsigned frames;
    unsigned steps;
    bool is_exhausted;
};

bool schema_check_node(struct schema_check *c, const struct schema_node *node, const cJSON *value,
                       const struct schema_place *place);
struct schema_node *schema_names_find(const struct schema_names *names, const char *name);
size_t schema_text_length(const char *text); /* in code points */
size_t schema_count(const cJSON *container);
/* Whether `type` (with ref followed, composition left out) takes the value. */
bool schema_takes_type(const struct schema_node *node, const cJSON *value);

/* ---- reports: each fills c->fault, when there is one, and returns false ---- */

bool schema_fault_value(struct schema_check *c, const struct schema_node *node, const cJSON *value,
                        const struct schema_place *place);
/* The same with what came told in words of the caller's. */
__attribute__((format(printf, 4, 5))) bool schema_fault_but(struct schema_check *c,
                                                            const struct schema_node *node,
                                                            const struct schema_place *place,
                                                            const char *format, ...);
bool schema_fault_unknown(struct schema_check *c, const struct schema_node *node,
                          const struct schema_place *place);
/* `needed_by`: the property that asks for it, or NULL. */
bool schema_fault_missing(struct schema_check *c, const struct schema_node *node, const char *name,
                          const char *needed_by, const struct schema_place *place);
bool schema_fault_forbidden(struct schema_check *c, const struct schema_place *place);
bool schema_fault_negated(struct schema_check *c, const struct schema_node *negated,
                          const cJSON *value, const struct schema_place *place);
bool schema_fault_date_time(struct schema_check *c, const struct schema_node *node,
                            const cJSON *value, const struct schema_place *place,
                            const char *reason);
bool schema_fault_name(struct schema_check *c, const struct schema_node *node, const char *name,
                       const struct schema_place *place);
void schema_fault_exhausted(struct mcp_schema_fault *fault);

/* ---- words ---- */

/* Text that is cut, with "...", where its buffer ends. */
struct words {
    char *out;
    size_t size, len;
    bool is_cut;
};

void words_init(struct words *w, char *out, size_t size);
__attribute__((format(printf, 2, 3))) void words_put(struct words *w, const char *format, ...);
/* In quotes, control characters escaped, at most `max` characters of it. */
void words_quote(struct words *w, const char *text, size_t max);
void words_number(struct words *w, double value);
/* A value as JSON where it is short, else what it is. */
void words_value(struct words *w, const cJSON *value);
/* "a.b[3]" */
void words_place(struct words *w, const struct schema_place *place);
/* "/a/b/3" */
void words_pointer(struct words *w, const struct schema_place *place);
/* Ends the text: valid UTF-8, whatever came. */
void words_end(struct words *w);

/* What the node wants, as a noun phrase: "an integer >= 1". */
void schema_describe(struct words *w, const struct schema_node *node);
