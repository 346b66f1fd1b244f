#pragma once
/* base/json: cJSON behind a strict door, and a writer that makes JSON text without a tree.
 *
 * cJSON alone cuts a string at an escaped NUL, keeps duplicate keys, takes invalid UTF-8 and lone
 * surrogates and nests 1,000 deep. json_parse checks the text first (RFC 8259 grammar, UTF-8,
 * surrogate pairs, no U+0000, depth, nothing after the value) and the tree afterwards (duplicate
 * keys), so what it returns is what was sent. */
#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

struct buf;
struct error;

#define JSON_DEPTH_MAX 64
/* Integers beyond this lose digits in cJSON's doubles (2^53 - 1). */
#define JSON_INTEGER_MAX INT64_C(9007199254740991)

/* Parses one JSON value. The caller owns the tree and ends it with cJSON_Delete. NULL on failure:
 * err->code is BASE_ESYNTAX (malformed; text says what and at which byte), BASE_ELIMIT (too deep),
 * BASE_EINVAL (duplicate key, NUL in a string, a number out of a double's range or longer than 63
 * characters) or BASE_ENOMEM. */
cJSON *json_parse(struct slice text, struct error *err);
/* The check alone, without making a tree: all of the above but duplicate keys. 0 or the code. */
int json_check(struct slice text, struct error *err);

/* Case-sensitive member look-up; NULL when absent or `object` is no object. Borrowed. */
const cJSON *json_get(const cJSON *object, const char *key);
/* The string at `key`, or NULL when absent or of another type. Borrowed. */
const char *json_get_string(const cJSON *object, const char *key);
/* True when `item` is a number with an integer value within ±JSON_INTEGER_MAX; sets *out. */
bool json_as_int(const cJSON *item, int64_t *out);

/* The writer: appends to a buf, places commas itself. The result is one line.
 *   json_begin_object(&w); json_key(&w, "id"); json_int(&w, 7); json_end_object(&w);
 * Errors stick in the buf (buf_status). */
struct json_writer {
    struct buf *out; /* borrowed for the life of the writer */
    unsigned depth;
    bool is_first; /* nothing written at this level yet; a level that ends was written above it */
    bool is_after_key;
};

void json_writer_init(struct json_writer *w, struct buf *out);
void json_begin_object(struct json_writer *w);
void json_end_object(struct json_writer *w);
void json_begin_array(struct json_writer *w);
void json_end_array(struct json_writer *w);
void json_key(struct json_writer *w, const char *key);
/* The same, quoted and with its colon already, as a constant has it: "\"id\":". */
void json_key_raw(struct json_writer *w, struct slice key);
/* NULL writes null. Invalid UTF-8 is written as U+FFFD, control characters as escapes. */
void json_string(struct json_writer *w, const char *text);
void json_slice(struct json_writer *w, struct slice text);
void json_int(struct json_writer *w, int64_t value);
/* The shortest text that reads back as `value`; infinity and NaN, which JSON lacks, as null. */
void json_double(struct json_writer *w, double value);
void json_bool(struct json_writer *w, bool value);
void json_null(struct json_writer *w);
/* Text that is JSON already. */
void json_raw(struct json_writer *w, struct slice json);
/* A cJSON tree. */
void json_tree(struct json_writer *w, const cJSON *tree);
/* key and value in one call. */
void json_key_string(struct json_writer *w, const char *key, const char *text);
void json_key_int(struct json_writer *w, const char *key, int64_t value);
void json_key_bool(struct json_writer *w, const char *key, bool value);
