#include "base/config.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/error.h"

#define FLAG_MAX    64
#define USAGE_BYTES 128
#define FLAG_TITLE  "Flag"
#define NAME_TITLE  "Environment"
#define VALUE_TITLE "Default"

/* HTTP_PORT -> --http-port */
static void flag_of(const char *name, char *out)
{
    size_t at = 0;
    out[at++] = '-';
    out[at++] = '-';
    for (; *name && at < FLAG_MAX - 1; name++)
        out[at++] = (char)(*name == '_' ? '-' : tolower((unsigned char)*name));
    out[at] = '\0';
}

static int refuse(const struct config_setting *s, const char *text, const char *expected,
                  struct error *err)
{
    return error_set(err, BASE_EINVAL, s->name, "%s is \"%.60s\"; expected %.120s", s->name, text,
                     expected);
}

static bool has_unit(const struct config_setting *s)
{
    return s->unit && *s->unit;
}

static int parse_int(const struct config_setting *s, const char *text, struct config_value *out,
                     struct error *err)
{
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    bool is_number = *text == '-' || isdigit((unsigned char)*text); /* no space, no '+' */
    if (is_number && !errno && !*end && number >= s->min && number <= s->max) {
        out->num = number;
        return 0;
    }
    char expected[96];
    snprintf(expected, sizeof(expected), "a whole number from %" PRId64 " to %" PRId64 "%s%s",
             s->min, s->max, has_unit(s) ? " " : "", has_unit(s) ? s->unit : "");
    return refuse(s, text, expected, err);
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
    char expected[120];
    snprintf(expected, sizeof(expected), "one of %s", s->choices);
    return refuse(s, text, expected, err);
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

/* Without what follows '=', which may be a secret. */
static int refuse_flag(const char *arg, struct error *err)
{
    char flag[FLAG_MAX];
    snprintf(flag, sizeof(flag), "%.*s", (int)strcspn(arg, "="), arg);
    return error_set(err, BASE_EINVAL, flag, "unknown setting \"%s\"; --help lists the settings",
                     flag);
}

/* Reads the flag at argv[*at], and its value from the next argument when it needs one. */
static int load_flag(const struct config_setting *table, size_t count, int argc, char **argv,
                     int *at, struct config_value *values, struct error *err)
{
    const char *text;
    const struct config_setting *s = find_flag(table, count, argv[*at], &text);
    if (!s)
        return refuse_flag(argv[*at], err);
    if (!text && s->type == CONFIG_BOOL)
        text = "true";
    if (!text && *at + 1 < argc && strncmp(argv[*at + 1], "--", 2) != 0)
        text = argv[++*at];
    if (!text)
        return error_set(err, BASE_EINVAL, s->name, "%s needs a value", argv[*at]);
    struct config_value *value = &values[s - table];
    value->is_set = true;
    return parse_value(s, text, value, err);
}

static int load_flags(const struct config_setting *table, size_t count, int argc, char **argv,
                      struct config_value *values, int *rest, struct error *err)
{
    int at = 1;
    int status = 0;
    while (!status && at < argc && strncmp(argv[at], "--", 2) == 0) {
        bool is_end = argv[at][2] == '\0';
        if (!is_end)
            status = load_flag(table, count, argc, argv, &at, values, err);
        at++;
        if (is_end)
            break;
    }
    *rest = at < argc ? at : argc;
    return status;
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
    int ignored;
    memset(values, 0, count * sizeof(*values));
    int status = load_flags(table, count, argc, argv, values, rest ? rest : &ignored, err);
    for (size_t i = 0; i < count && !status; i++) {
        if (!values[i].is_set)
            status = load_environment(&table[i], env, &values[i], err);
    }
    return status;
}

/* "--http-port <ms>", "--log-level <debug|info>", "--use-dapr" */
static void flag_usage(const struct config_setting *s, struct buf *out)
{
    char flag[FLAG_MAX];
    flag_of(s->name, flag);
    buf_append_cstr(out, flag);
    if (s->type == CONFIG_INT)
        buf_printf(out, " <%s>", has_unit(s) ? s->unit : "number");
    else if (s->type == CONFIG_ENUM)
        buf_printf(out, " <%s>", s->choices);
    else if (s->type != CONFIG_BOOL)
        buf_append_cstr(out, " <text>");
}

static const char *shown_default(const struct config_setting *s)
{
    if (!s->default_value || !*s->default_value)
        return "-";
    return s->type == CONFIG_SECRET ? "(secret)" : s->default_value;
}

static size_t flag_usage_width(const struct config_setting *s)
{
    char storage[USAGE_BYTES];
    struct buf usage;
    buf_init_fixed(&usage, storage, sizeof(storage));
    flag_usage(s, &usage);
    return usage.len;
}

struct widths {
    size_t flag, name, value;
};

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static struct widths measure(const struct config_setting *table, size_t count)
{
    struct widths w = {strlen(FLAG_TITLE), strlen(NAME_TITLE), strlen(VALUE_TITLE)};
    for (size_t i = 0; i < count; i++) {
        w.flag = larger(w.flag, flag_usage_width(&table[i]));
        w.name = larger(w.name, strlen(table[i].name));
        w.value = larger(w.value, strlen(shown_default(&table[i])));
    }
    return w;
}

static void help_row(const struct widths *w, const char *flag, const char *name, const char *value,
                     const char *help, struct buf *out)
{
    buf_printf(out, "  %-*s  %-*s  %-*s  %s", (int)w->flag, flag, (int)w->name, name, (int)w->value,
               value, help);
}

static void help_setting(const struct widths *w, const struct config_setting *s, struct buf *out)
{
    char storage[USAGE_BYTES];
    struct buf usage;
    buf_init_fixed(&usage, storage, sizeof(storage));
    flag_usage(s, &usage);
    help_row(w, storage, s->name, shown_default(s), s->help, out);
    if (s->type == CONFIG_INT)
        buf_printf(out, " (%" PRId64 " to %" PRId64 "%s%s)", s->min, s->max, has_unit(s) ? " " : "",
                   has_unit(s) ? s->unit : "");
    buf_append_char(out, '\n');
}

void config_help(const struct config_setting *table, size_t count, struct buf *out)
{
    struct widths w = measure(table, count);
    help_row(&w, FLAG_TITLE, NAME_TITLE, VALUE_TITLE, "Meaning\n", out);
    for (size_t i = 0; i < count; i++)
        help_setting(&w, &table[i], out);
}
