/* Regular expressions: POSIX extended, as regcomp has them, less what would mislead or harm:
 *   - escapes and groups that mean something else to ECMA 262 than to POSIX ("\d" is a "d" here)
 *     are refused when the schema is compiled, so that a pattern reads alike in both;
 *   - back references, and repetitions of repetitions ("a**{9}", which ECMA 262 lacks too), which
 *     take exponential time, and repetitions that multiply to more than REPEATS_MAX atoms, which
 *     take the memory. */
#include <stdlib.h>

#include "base/error.h"
#include "mcp/schema_int.h"

#define GROUPS_MAX  16
#define REPEATS_MAX 10000u

/* The atoms that the pattern comes to when its counted repetitions are written out. */
struct scan {
    const char *at;
    size_t sums[GROUPS_MAX + 1]; /* of the open groups */
    size_t depth;
    size_t last; /* the last atom's */
    bool is_repeated;
    const char *fault;
};

static void add_atom(struct scan *s, size_t size)
{
    s->sums[s->depth] += s->last;
    s->last = size;
}

static void scan_escape(struct scan *s)
{
    char c = s->at[1];
    bool is_word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (c == '\0')
        s->fault = "ends in a backslash";
    else if (c == 'd' || c == 'D')
        s->fault = "has \\d, which POSIX expressions lack: write [0-9]";
    else if ((is_word && !strchr("wWsSbB", c)) || strchr("<>`'", c))
        s->fault = "has an escape that POSIX expressions lack or that is not supported";
    add_atom(s, 1);
    s->at += c ? 2 : 1;
}

/* "[...]": a backslash is an escape to ECMA 262 and itself to POSIX, so only "\\" reads alike. */
static void scan_bracket(struct scan *s)
{
    s->at++;
    if (*s->at == '^')
        s->at++;
    const char *first = s->at;
    while (*s->at && (*s->at != ']' || s->at == first)) {
        if (*s->at == '[' && strchr(":.=", s->at[1]) && s->at[1]) {
            const char close[] = {s->at[1], ']', '\0'};
            const char *end = strstr(s->at + 2, close);
            s->at = end ? end + 1 : s->at;
        } else if (*s->at == '\\' && *++s->at != '\\') {
            s->fault = "has a backslash in brackets, which POSIX takes as itself";
            return;
        }
        s->at++;
    }
    if (*s->at)
        s->at++;
    add_atom(s, 1);
}

/* "{n}", "{n,}", "{n,m}" */
static void scan_repeat(struct scan *s)
{
    char *end;
    unsigned long low = strtoul(s->at + 1, &end, 10);
    unsigned long high = *end == ',' ? strtoul(end + 1, &end, 10) : low;
    size_t times = high > low ? high : low;
    if (times > REPEATS_MAX || s->last * (times + 1) > REPEATS_MAX)
        s->fault = "repeats too much";
    else
        s->last *= times + 1;
    s->at = *end == '}' ? end + 1 : s->at + 1;
}

static void scan_open(struct scan *s)
{
    if (s->at[1] == '?')
        s->fault = "has a group \"(?\", which POSIX expressions lack";
    else if (s->depth == GROUPS_MAX)
        s->fault = "nests its groups too deep";
    else {
        add_atom(s, 0);
        s->sums[++s->depth] = 0;
        s->at++;
    }
}

static void scan_close(struct scan *s)
{
    s->at++;
    if (s->depth == 0)
        return; /* regcomp's to judge */
    s->last += s->sums[s->depth--];
}

static void scan_rest(struct scan *s)
{
    bool is_repeat = *s->at == '*' || *s->at == '+' || *s->at == '?';
    if (is_repeat && (s->at[1] == '?' || s->at[1] == '+'))
        s->fault = "has a lazy or possessive repetition, which POSIX expressions lack";
    if (!is_repeat)
        add_atom(s, 1);
    else
        s->last *= 2;
    s->at++;
}

/* NULL, or what is wrong with the pattern. */
static const char *scan_pattern(const char *text)
{
    struct scan s = {.at = text};
    if (strlen(text) > SCHEMA_PATTERN_MAX)
        return "is too long";
    while (*s.at && !s.fault) {
        bool is_repeat = strchr("*+?{", *s.at) != NULL;
        if (is_repeat && s.is_repeated)
            return "repeats a repetition";
        s.is_repeated = is_repeat;
        if (*s.at == '\\')
            scan_escape(&s);
        else if (*s.at == '[')
            scan_bracket(&s);
        else if (*s.at == '{')
            scan_repeat(&s);
        else if (*s.at == '(')
            scan_open(&s);
        else if (*s.at == ')')
            scan_close(&s);
        else
            scan_rest(&s);
        if (!s.fault && s.last + s.sums[s.depth] > REPEATS_MAX)
            s.fault = "repeats too much";
    }
    return s.fault;
}

int schema_pattern_new(struct mcp_schema *s, const char *text, const struct schema_place *place,
                       struct schema_pattern **out, struct error *err)
{
    const char *fault = scan_pattern(text);
    if (fault)
        return schema_refuse(err, BASE_EINVAL, place, "the pattern %.100s %s", text, fault);
    struct schema_pattern *p = arena_calloc(&s->arena, 1, sizeof(*p));
    if (!p)
        return schema_refuse(err, BASE_ENOMEM, place, "out of memory");
    int status = regcomp(&p->regex, text, REG_EXTENDED | REG_NOSUB);
    if (status) {
        char why[64];
        regerror(status, &p->regex, why, sizeof(why));
        return schema_refuse(err, status == REG_ESPACE ? BASE_ENOMEM : BASE_EINVAL, place,
                             "the pattern %.100s is no POSIX extended expression: %s", text, why);
    }
    p->text = text;
    p->next = s->patterns;
    s->patterns = p;
    *out = p;
    return 0;
}

bool schema_pattern_matches(const struct schema_pattern *p, const char *text)
{
    return regexec(&p->regex, text, 0, NULL, 0) == 0;
}
