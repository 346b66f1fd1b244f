/* The strict door: one pass over the text that checks the grammar of RFC 8259, UTF-8, surrogate
 * pairs, NUL and depth; then json_tree.c makes the tree; then duplicate keys are looked for. */
#include <math.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/json.h"
#include "base/json_int.h"
#include "base/mem.h"
#include "base/utf8.h"

#define PAIRS_MAX_KEYS 16

struct reader {
    const char *start;
    const char *at;
    const char *end;
    struct error *err;
};

static int fail(const struct reader *r, int code, const char *what)
{
    return error_set(r->err, code, NULL, "%s at byte %zu", what, (size_t)(r->at - r->start));
}

static int peek(const struct reader *r)
{
    return r->at < r->end ? (unsigned char)*r->at : -1;
}

static void skip_space(struct reader *r)
{
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\t' || *r->at == '\n' || *r->at == '\r'))
        r->at++;
}

static bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

static int hex_value(int c)
{
    if (is_digit(c))
        return c - '0';
    int lower = c | 0x20;
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* Four hex digits after \u; -1 when they are not there. */
static int read_hex4(struct reader *r)
{
    if (r->end - r->at < 4)
        return -1;
    int value = 0;
    for (int i = 0; i < 4; i++) {
        int digit = hex_value((unsigned char)r->at[i]);
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    r->at += 4;
    return value;
}

static int check_unicode_escape(struct reader *r)
{
    int unit = read_hex4(r);
    if (unit < 0)
        return fail(r, BASE_ESYNTAX, "malformed \\u escape");
    if (unit == 0)
        return fail(r, BASE_EINVAL, "the character U+0000 is not allowed in a string");
    if (unit < 0xD800 || unit > 0xDFFF)
        return 0;
    if (unit > 0xDBFF || r->end - r->at < 6 || r->at[0] != '\\' || r->at[1] != 'u')
        return fail(r, BASE_ESYNTAX, "lone surrogate escape");
    r->at += 2;
    int low = read_hex4(r);
    if (low < 0xDC00 || low > 0xDFFF)
        return fail(r, BASE_ESYNTAX, "lone surrogate escape");
    return 0;
}

static int check_escape(struct reader *r)
{
    r->at++;
    int c = peek(r);
    if (c == 'u') {
        r->at++;
        return check_unicode_escape(r);
    }
    if (c <= 0 || !strchr("\"\\/bfnrt", c)) /* it would find NUL too */
        return fail(r, BASE_ESYNTAX, "malformed escape");
    r->at++;
    return 0;
}

/* One step past a run of plain bytes: an escape or a sequence of UTF-8. */
static int check_special(struct reader *r)
{
    unsigned char c = (unsigned char)*r->at;
    if (c == '\\')
        return check_escape(r);
    if (c < 0x20)
        return fail(r, BASE_ESYNTAX, "control character in a string");
    size_t len = utf8_length_at(r->at, (size_t)(r->end - r->at));
    if (len == 0)
        return fail(r, BASE_ESYNTAX, "invalid UTF-8");
    r->at += len;
    return 0;
}

static int check_string(struct reader *r)
{
    r->at++;
    for (;;) {
        r->at = json_skip_plain(r->at, r->end);
        if (r->at == r->end)
            return fail(r, BASE_ESYNTAX, "unterminated string");
        if (*r->at == '"')
            break;
        int status = check_special(r);
        if (status)
            return status;
    }
    r->at++;
    return 0;
}

static int skip_digits(struct reader *r)
{
    if (!is_digit(peek(r)))
        return fail(r, BASE_ESYNTAX, "malformed number");
    while (is_digit(peek(r)))
        r->at++;
    return 0;
}

static int check_integer_part(struct reader *r)
{
    if (peek(r) == '-')
        r->at++;
    if (peek(r) != '0')
        return skip_digits(r);
    r->at++;
    return is_digit(peek(r)) ? fail(r, BASE_ESYNTAX, "malformed number") : 0;
}

static int check_exponent(struct reader *r)
{
    r->at++;
    if (peek(r) == '+' || peek(r) == '-')
        r->at++;
    return skip_digits(r);
}

/* Longer than any number that means something; and a double has no 1e999. */
static int check_number_range(struct reader *r, const char *number, bool has_exponent)
{
    char copy[JSON_NUMBER_MAX_CHARS + 1];
    size_t len = (size_t)(r->at - number);
    if (len > JSON_NUMBER_MAX_CHARS)
        return fail(r, BASE_EINVAL, "number longer than 63 characters");
    if (!has_exponent)
        return 0;
    memcpy(copy, number, len);
    copy[len] = '\0';
    return isfinite(strtod(copy, NULL)) ? 0 : fail(r, BASE_EINVAL, "number out of range");
}

static int check_number(struct reader *r)
{
    const char *number = r->at;
    int status = check_integer_part(r);
    if (!status && peek(r) == '.') {
        r->at++;
        status = skip_digits(r);
    }
    bool has_exponent = peek(r) == 'e' || peek(r) == 'E';
    if (!status && has_exponent)
        status = check_exponent(r);
    return status ? status : check_number_range(r, number, has_exponent);
}

static int check_word(struct reader *r, const char *word)
{
    size_t len = strlen(word);
    if ((size_t)(r->end - r->at) < len || memcmp(r->at, word, len) != 0)
        return fail(r, BASE_ESYNTAX, "unexpected character");
    r->at += len;
    return 0;
}

static int check_scalar(struct reader *r)
{
    switch (peek(r)) {
    case '"':
        return check_string(r);
    case 't':
        return check_word(r, "true");
    case 'f':
        return check_word(r, "false");
    case 'n':
        return check_word(r, "null");
    case -1:
        return fail(r, BASE_ESYNTAX, "unexpected end");
    default:
        return peek(r) == '-' || is_digit(peek(r)) ? check_number(r)
                                                   : fail(r, BASE_ESYNTAX, "unexpected character");
    }
}

static int check_key(struct reader *r)
{
    skip_space(r);
    if (peek(r) != '"')
        return fail(r, BASE_ESYNTAX, "expected a member name");
    int status = check_string(r);
    if (status)
        return status;
    skip_space(r);
    if (peek(r) != ':')
        return fail(r, BASE_ESYNTAX, "expected ':'");
    r->at++;
    return 0;
}

/* The open brackets; a stack in place of recursion, so that depth costs no C stack. */
struct levels {
    char close[JSON_DEPTH_MAX];
    unsigned depth;
};

/* Opens an array or object. *is_value_next: its first value follows. */
static int open_level(struct reader *r, struct levels *levels, bool *is_value_next)
{
    if (levels->depth == JSON_DEPTH_MAX)
        return fail(r, BASE_ELIMIT, "nested deeper than 64 levels");
    char close = *r->at == '{' ? '}' : ']';
    levels->close[levels->depth++] = close;
    r->at++;
    skip_space(r);
    *is_value_next = peek(r) != close;
    return *is_value_next && close == '}' ? check_key(r) : 0;
}

/* After a value: closes what ends here, or moves to the next value. */
static int end_value(struct reader *r, struct levels *levels, bool *is_value_next)
{
    *is_value_next = false;
    while (levels->depth > 0) {
        skip_space(r);
        char close = levels->close[levels->depth - 1];
        if (peek(r) == ',') {
            r->at++;
            *is_value_next = true;
            return close == '}' ? check_key(r) : 0;
        }
        if (peek(r) != close)
            return fail(r, BASE_ESYNTAX,
                        close == '}' ? "expected ',' or '}'" : "expected ',' or ']'");
        r->at++;
        levels->depth--;
    }
    return 0;
}

int json_check(struct slice text, struct error *err)
{
    if (text.len == 0)
        return error_set(err, BASE_ESYNTAX, NULL, "unexpected end at byte 0");
    struct reader r = {text.ptr, text.ptr, text.ptr + text.len, err};
    struct levels levels = {.depth = 0};
    bool is_value_next = true;
    int status = 0;
    while (!status && is_value_next) {
        skip_space(&r);
        if (peek(&r) == '{' || peek(&r) == '[')
            status = open_level(&r, &levels, &is_value_next);
        else {
            status = check_scalar(&r);
            is_value_next = false;
        }
        if (!status && !is_value_next)
            status = end_value(&r, &levels, &is_value_next);
    }
    skip_space(&r);
    if (!status && r.at != r.end)
        status = fail(&r, BASE_ESYNTAX, "unexpected text after the value");
    return status;
}

static int fail_duplicate(const char *key, struct error *err)
{
    return error_set(err, BASE_EINVAL, key, "the member \"%.64s\" comes twice", key);
}

static int compare_keys(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sorted, so that an object with a million keys is no attack. */
static int check_unique_sorted(const cJSON *object, size_t count, struct error *err)
{
    const char **keys = mem_alloc(count * sizeof(*keys));
    if (!keys)
        return error_set(err, BASE_ENOMEM, NULL, "out of memory");
    size_t n = 0;
    for (const cJSON *child = object->child; child; child = child->next)
        keys[n++] = child->string;
    qsort(keys, n, sizeof(*keys), compare_keys);
    int status = 0;
    for (size_t i = 1; i < n && !status; i++) {
        if (strcmp(keys[i - 1], keys[i]) == 0)
            status = fail_duplicate(keys[i], err);
    }
    mem_free(keys);
    return status;
}

/* For the usual few keys comparing each pair is faster, and allocates nothing. */
static int check_unique_pairs(const cJSON *object, struct error *err)
{
    for (const cJSON *child = object->child; child; child = child->next) {
        for (const cJSON *other = child->next; other; other = other->next) {
            if (strcmp(child->string, other->string) == 0)
                return fail_duplicate(child->string, err);
        }
    }
    return 0;
}

static int check_unique_keys(const cJSON *object, struct error *err)
{
    size_t count = 0;
    for (const cJSON *child = object->child; child; child = child->next)
        count++;
    return count <= PAIRS_MAX_KEYS ? check_unique_pairs(object, err)
                                   : check_unique_sorted(object, count, err);
}

/* NOLINTNEXTLINE(misc-no-recursion): json_check has bounded the depth */
static int check_tree(const cJSON *tree, struct error *err)
{
    int status = cJSON_IsObject(tree) ? check_unique_keys(tree, err) : 0;
    const cJSON *child;
    for (child = tree->child; child && !status; child = child->next)
        status = check_tree(child, err);
    return status;
}

cJSON *json_parse(struct slice text, struct error *err)
{
    if (json_check(text, err))
        return NULL;
    cJSON *tree = json_build(text);
    if (!tree) {
        error_set(err, BASE_ENOMEM, NULL, "out of memory");
        return NULL;
    }
    if (check_tree(tree, err)) {
        cJSON_Delete(tree);
        return NULL;
    }
    return tree;
}

const cJSON *json_get(const cJSON *object, const char *key)
{
    return cJSON_IsObject(object) ? cJSON_GetObjectItemCaseSensitive(object, key) : NULL;
}

const char *json_get_string(const cJSON *object, const char *key)
{
    const cJSON *item = json_get(object, key);
    return cJSON_IsString(item) ? item->valuestring : NULL;
}

bool json_as_int(const cJSON *item, int64_t *out)
{
    if (!cJSON_IsNumber(item))
        return false;
    double value = item->valuedouble;
    if (!(fabs(value) <= (double)JSON_INTEGER_MAX) || value != trunc(value))
        return false;
    *out = (int64_t)value;
    return true;
}
