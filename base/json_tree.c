/* Text that json_check has accepted -> a cJSON tree. cJSON's own parser would look at each byte
 * again, twice. Since the grammar holds, what parts the tokens (white space, commas, colons) may be
 * skipped without a look, and a string's end is where its quote is.
 *
 * The tree is what cJSON would have made: cJSON_Delete ends it. */
#include <limits.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/json_int.h"
#include "base/mem.h"

#define EXACT_DIGITS 15 /* of an integer that a double holds whatever its digits are */

struct builder {
    const char *at;
    const char *end;
    char *key; /* of the member whose value comes next; owned */
    cJSON *root;
    cJSON *open[JSON_DEPTH_MAX]; /* the arrays and objects around `at` */
    unsigned depth;
};

/* ---- strings ---- */

static unsigned hex_value(char c)
{
    return c <= '9' ? (unsigned)(c - '0') : (unsigned)((c | 0x20) - 'a') + 10;
}

static unsigned take_unit(const char **at)
{
    unsigned unit = 0;
    for (int i = 0; i < 4; i++)
        unit = unit << 4 | hex_value(*(*at)++);
    return unit;
}

static char *put_utf8(char *out, unsigned code)
{
    if (code < 0x80) {
        *out++ = (char)code;
        return out;
    }
    if (code < 0x800) {
        *out++ = (char)(0xC0 | code >> 6);
    } else {
        if (code < 0x10000) {
            *out++ = (char)(0xE0 | code >> 12);
        } else {
            *out++ = (char)(0xF0 | code >> 18);
            *out++ = (char)(0x80 | (code >> 12 & 0x3F));
        }
        *out++ = (char)(0x80 | (code >> 6 & 0x3F));
    }
    *out++ = (char)(0x80 | (code & 0x3F));
    return out;
}

/* *at stands behind "\u"; a high surrogate has its low one behind it. */
static char *put_unicode(char *out, const char **at)
{
    unsigned code = take_unit(at);
    if (code >= 0xD800 && code < 0xDC00) {
        *at += 2;
        code = 0x10000 + ((code - 0xD800) << 10) + (take_unit(at) - 0xDC00);
    }
    return put_utf8(out, code);
}

/* *at stands behind the backslash. */
static char *put_escape(char *out, const char **at)
{
    static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
    char c = *(*at)++;
    if (c == 'u')
        return put_unicode(out, at);
    const char *found = strchr(from, c);
    *out++ = found ? to[found - from] : c;
    return out;
}

/* The closing quote of the string whose text begins at `at`. */
static const char *find_quote(const char *at, const char *end, bool *has_escapes)
{
    *has_escapes = false;
    for (;;) {
        at = json_skip_plain(at, end);
        if (*at == '"')
            return at;
        *has_escapes |= *at == '\\';
        at += *at == '\\' ? 2 : 1;
    }
}

/* NULL: out of memory. */
static char *take_string(struct builder *b)
{
    bool has_escapes;
    const char *from = b->at + 1;
    const char *quote = find_quote(from, b->end, &has_escapes);
    char *text = mem_alloc((size_t)(quote - from) + 1); /* an escape is longer than its meaning */
    b->at = quote + 1;
    if (!text)
        return NULL;
    char *out = text;
    while (has_escapes && from < quote) {
        const char *escape = memchr(from, '\\', (size_t)(quote - from));
        size_t len = (size_t)((escape ? escape : quote) - from);
        memcpy(out, from, len);
        out += len;
        from += len;
        if (escape) {
            from++;
            out = put_escape(out, &from);
        }
    }
    memcpy(out, from, (size_t)(quote - from));
    out[quote - from] = '\0';
    return text;
}

/* ---- numbers ---- */

static bool is_in_number(char c)
{
    return (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E';
}

/* True for an integer of few digits, which most numbers are. */
static bool read_integer(struct slice number, double *out)
{
    bool is_negative = number.ptr[0] == '-';
    int64_t value = 0;
    if (number.len > EXACT_DIGITS)
        return false;
    for (size_t i = is_negative; i < number.len; i++) {
        if (number.ptr[i] < '0' || number.ptr[i] > '9')
            return false;
        value = value * 10 + (number.ptr[i] - '0');
    }
    if (is_negative && value == 0) /* -0 is a double of its own */
        return false;
    *out = (double)(is_negative ? -value : value);
    return true;
}

static void take_number(struct builder *b, cJSON *node)
{
    char copy[JSON_NUMBER_MAX_CHARS + 1];
    struct slice number = {b->at, 0};
    while (b->at < b->end && is_in_number(*b->at))
        b->at++;
    number.len = (size_t)(b->at - number.ptr);
    if (!read_integer(number, &node->valuedouble)) {
        memcpy(copy, number.ptr, number.len);
        copy[number.len] = '\0';
        node->valuedouble = strtod(copy, NULL);
    }
    node->type = cJSON_Number;
    node->valueint = node->valuedouble >= INT_MAX   ? INT_MAX
                     : node->valuedouble <= INT_MIN ? INT_MIN
                                                    : (int)node->valuedouble;
}

/* ---- the tree ---- */

static void take_word(struct builder *b, cJSON *node)
{
    node->type = *b->at == 't' ? cJSON_True : *b->at == 'f' ? cJSON_False : cJSON_NULL;
    node->valueint = node->type == cJSON_True;
    b->at += *b->at == 'f' ? 5 : 4;
}

/* The array or object that is open; NULL at the top. */
static cJSON *parent_of(const struct builder *b)
{
    return b->depth > 0 ? b->open[b->depth - 1] : NULL;
}

/* As cJSON links them: the first child's `prev` is the last. */
static void attach(struct builder *b, cJSON *node)
{
    cJSON *parent = parent_of(b);
    if (!parent) {
        b->root = node;
        return;
    }
    node->string = b->key;
    b->key = NULL;
    if (!parent->child) {
        parent->child = node;
        node->prev = node;
    } else {
        node->prev = parent->child->prev;
        node->prev->next = node;
        parent->child->prev = node;
    }
}

static bool take_value(struct builder *b)
{
    cJSON *node = mem_calloc(1, sizeof(*node));
    if (!node)
        return false;
    attach(b, node);
    switch (*b->at) {
    case '{':
    case '[':
        node->type = *b->at++ == '{' ? cJSON_Object : cJSON_Array;
        b->open[b->depth++] = node;
        return true;
    case '"':
        node->type = cJSON_String;
        node->valuestring = take_string(b);
        return node->valuestring != NULL;
    case 't':
    case 'f':
    case 'n':
        take_word(b, node);
        return true;
    default:
        take_number(b, node);
        return true;
    }
}

static bool is_key_due(const struct builder *b)
{
    const cJSON *parent = parent_of(b);
    return parent && parent->type == cJSON_Object && !b->key;
}

/* One token; false: out of memory. */
static bool take_token(struct builder *b)
{
    switch (*b->at) {
    case ' ':
    case '\t':
    case '\n':
    case '\r':
    case ',':
    case ':':
        b->at++;
        return true;
    case '}':
    case ']':
        b->depth--;
        b->at++;
        return true;
    case '"':
        if (is_key_due(b)) {
            b->key = take_string(b);
            return b->key != NULL;
        }
        return take_value(b);
    default:
        return take_value(b);
    }
}

cJSON *json_build(struct slice text)
{
    struct builder b = {.at = text.ptr, .end = text.ptr + text.len};
    while (b.at < b.end) {
        if (!take_token(&b)) {
            mem_free(b.key);
            cJSON_Delete(b.root);
            return NULL;
        }
    }
    return b.root;
}
