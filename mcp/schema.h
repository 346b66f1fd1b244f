#pragma once
/* mcp/schema: checks a JSON value against a JSON Schema (2020-12). A schema is compiled once;
 * checking allocates nothing but its report.
 *
 * Keywords: type, enum, const, properties, patternProperties, required, additionalProperties,
 * propertyNames, min/maxProperties, items, prefixItems, contains, min/maxContains, min/maxItems,
 * uniqueItems, min/maxLength (in code points), pattern, minimum, maximum,
 * exclusiveMinimum/Maximum, multipleOf, allOf, anyOf, oneOf, not, if/then/else, dependentRequired,
 * dependentSchemas, $defs, $anchor and $ref, and what draft-07 has instead: definitions,
 * dependencies, items as a list, additionalItems. `format` date-time is checked. An integer is a
 * number with an integer value within JSON_INTEGER_MAX. Unknown keywords are ignored;
 * unevaluatedItems/Properties, $dynamicRef and an $id below the root are refused, since to ignore
 * them would take what they forbid.
 * A pattern is a POSIX extended expression on bytes; what ECMA 262 reads otherwise (\d, (?…), lazy
 * repetition, a backslash in brackets) is refused at compile time. So is a $ref that leaves the
 * document (the spec forbids fetching it) or comes back to itself with the same value, and a
 * $schema other than 2020-12 or draft-07.
 * Limits: JSON_DEPTH_MAX deep (schema and value), 1,000 subschemas, patterns of 512 bytes, and 4
 * million steps a check (uniqueItems takes the square of the items): a value past it is refused.
 * Spec: basic/index#json-schema-usage of revision 2026-07-28. */
#include <cjson/cJSON.h>

struct mcp_schema;
struct error;

/* 0 and *out, or BASE_EINVAL/BASE_ELIMIT/BASE_ENOMEM with the place in `err`. */
__attribute__((warn_unused_result)) int
mcp_schema_compile(const cJSON *schema, struct mcp_schema **out, struct error *err);
void mcp_schema_free(struct mcp_schema *s);

/* The first fault found, in the order of the document. For an agent to act on: `field` is the
 * place ("tag_ids[3]", "due_date", "" for the whole), `expected` what the schema wants there
 * ("an integer >= 1", "one of \"low\", \"medium\", \"high\", \"urgent\""), `message` one sentence
 * with the field, what came and what was expected, naming unknown properties' nearest known
 * neighbour ("unknown property \"prioritty\"; did you mean \"priority\"?"). */
struct mcp_schema_fault {
    char field[128];
    char expected[256];
    char message[512];
};
/* 0 when `value` fits, else BASE_EINVAL with *fault filled. */
__attribute__((warn_unused_result)) int
mcp_schema_check(const struct mcp_schema *s, const cJSON *value, struct mcp_schema_fault *fault);
