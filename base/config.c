#include "base/config.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/error.h"

#define FLAG_MAX 64

/* HTTP_PORT -> --http-port */
static void flag_of(const char *name, char *out)
{
    size_t at = 0;
    out[at++] = '-';
    out[at++] = '-';
    for (; *name && at < FLAG_MAX - 1; name++)
        out[at++] = *name == '_' ? '-' : (char)tolower((unsigned char)*name);
    out[at] = '\0';
}

static int refuse(const struct config_setting *s, const char *text, const char *expected,
                  struct error *err)
{
    if (s->type == CONFIG_SECRET)
        text = "…";
    return error_set(err, BASE_EINVAL, s->name, "%s is \"%.60s\"; expected %.150s", s->name, text,
                     expected);
}

static int parse_int(const struct config_setting *s, const char *text, struct config_value *out,
                     struct error *err)
{
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (errno || end == text || *end || number < s->min || number > s->max) {
        char expected[96];
        snprintf(expected, sizeof(expected), "a whole number from %lld to %lld%s%s",
                 (long long)s->min, (long long)s->max, s->unit && *s->unit ? " " : "",
                 s->unit ? s->unit : "");
        return refuse(s, text, expected, err);
    }
    out->num = number;
    return 0;
}

static int parse_bool(const struct config_setting *s, const char *text, struct config_value *out,
                      struct error *err)
{
    static const char *const words[] = {"false", "true", "0", "1", "no", "yes", "off", "on"};
    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
        if (strcasecmp(text, words[i]) == 0) {
            out->flag = i % 2 == 1;
            return 0;
        }
    }
    return refuse(s, text, "true or false", err);
}

static int parse_enum(const struct config_setting *s, const char *text, struct config_value *out,
                      struct error *err)
{
    int64_t index = 0;
    for (const char *at = s->choices; *at; index++) {
        size_t len = strcspn(at, "|");
        if (strlen(text) == len && strncmp(at, text, len) == 0) {
            out->num = index;
            return 0;
        }
        at += len + (at[len] == '|');
    }
    return refuse(s, text, s->choices, err);
}

static int parse_value(const struct config_setting *s, const char *text, struct config_value *out,
                       struct error *err)
{
    out->text = text;
    switch (s->type) {
    case CONFIG_STRING:
    case CONFIG_SECRET:
        return 0;
    case CONFIG_INT:
        return parse_int(s, text, out, err);
    case CONFIG_BOOL:
        return parse_bool(s, text, out, err);
    case CONFIG_ENUM:
        return parse_enum(s, text, out, err);
    }
    return 0;
}

/* The setting that `arg` ("--http-port" or "--http-port=8000") names, or NULL; *value is the text
 * after '=', or NULL. */
static const struct config_setting *find_flag(const struct config_setting *table, size_t count,
                                              const char *arg, const char **value)
{
    size_t len = strcspn(arg, "=");
    *value = arg[len] == '=' ? arg + len + 1 : NULL;
    for (size_t i = 0; i < count; i++) {
        char flag[FLAG_MAX];
        flag_of(table[i].name, flag);
        if (strlen(flag) == len && strncmp(flag, arg, len) == 0)
            return &table[i];
    }
    return NULL;
}

static int load_flag(const struct config_setting *table, size_t count, int argc, char **argv,
                     int *at, struct config_value *values, struct error *err)
{
    const char *text;
    const struct config_setting *s = find_flag(table, count, argv[*at], &text);
    if (!s)
        return error_set(err, BASE_EINVAL, argv[*at],
                         "unknown setting \"%.80s\"; --help lists them all", argv[*at]);
    if (!text && s->type == CONFIG_BOOL)
        text = "true";
    if (!text) {
        if (*at + 1 >= argc)
            return error_set(err, BASE_EINVAL, s->name, "%s needs a value", argv[*at]);
        text = argv[++*at];
    }
    struct config_value *value = &values[s - table];
    value->is_set = true;
    return parse_value(s, text, value, err);
}

static int load_environment(const struct config_setting *s, config_getenv_fn env,
                            struct config_value *value, struct error *err)
{
    const char *text = env ? env(s->name) : NULL;
    value->is_set = text && *text;
    if (!value->is_set)
        text = s->default_value;
    return text ? parse_value(s, text, value, err) : 0;
}

int config_load(const struct config_setting *table, size_t count, int argc, char **argv,
                config_getenv_fn env, struct config_value *values, int *rest, struct error *err)
{
    memset(values, 0, count * sizeof(*values));
    for (size_t i = 0; i < count; i++) {
        int status = load_environment(&table[i], env, &values[i], err);
        if (status)
            return status;
    }
    int at = 1;
    for (; at < argc && strncmp(argv[at], "--", 2) == 0; at++) {
        if (strcmp(argv[at], "--") == 0) {
            at++;
            break;
        }
        int status = load_flag(table, count, argc, argv, &at, values, err);
        if (status)
            return status;
    }
    if (rest)
        *rest = at;
    return 0;
}

static void help_line(const struct config_setting *s, struct buf *out)
{
    char flag[FLAG_MAX];
    flag_of(s->name, flag);
    buf_printf(out, "  %-26s %-24s %s", flag, s->name, s->help);
    if (s->type == CONFIG_ENUM)
        buf_printf(out, " (%s)", s->choices);
    if (s->unit && *s->unit)
        buf_printf(out, ", in %s", s->unit);
    if (s->default_value && s->type != CONFIG_SECRET)
        buf_printf(out, " [%s]", s->default_value);
    buf_append_char(out, '\n');
}

void config_help(const struct config_setting *table, size_t count, struct buf *out)
{
    for (size_t i = 0; i < count; i++)
        help_line(&table[i], out);
}
