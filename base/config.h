#pragma once
/* base/config: settings from one table. A flag (--kebab-case) wins over the environment
 * (UPPER_CASE) wins over the default. Unknown flags and malformed values stop the start with a
 * message that names them; an unknown environment variable is not ours to judge.
 * Use:  config_load(table, n, argc, argv, getenv, values, err), then read values[i]. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct error;

enum config_type {
    CONFIG_STRING,
    CONFIG_INT,    /* min..max */
    CONFIG_BOOL,   /* true|false|1|0|yes|no|on|off; --use-dapr alone is true, else --use-dapr=no */
    CONFIG_ENUM,   /* one of `choices`, separated by | */
    CONFIG_SECRET, /* a string that is never shown */
};

struct config_setting {
    const char *name; /* UPPER_CASE; the flag is --kebab-case of it */
    enum config_type type;
    const char *default_value; /* NULL: none */
    const char *choices;       /* CONFIG_ENUM */
    int64_t min, max;          /* CONFIG_INT, in `unit` */
    const char *unit;          /* "ms", "bytes", "" … for help */
    const char *help;          /* one line */
};

struct config_value {
    const char *text; /* NULL when unset; borrowed from argv, environ or the table */
    int64_t num;      /* CONFIG_INT, or the index of the choice for CONFIG_ENUM */
    bool flag;        /* CONFIG_BOOL */
    bool is_set;      /* given by flag or environment */
};

typedef const char *(*config_getenv_fn)(const char *name);

/* Fills values[count]. Flags are --http-port 8000 or --http-port=8000, the last one of a kind wins,
 * "--" ends them. `*rest` (may be NULL) is the index of the first argument that is no flag, or
 * argc. An empty environment variable counts as unset, and one that a flag overrides is not read.
 * 0, or BASE_EINVAL with err->field the setting. */
int config_load(const struct config_setting *table, size_t count, int argc, char **argv,
                config_getenv_fn env, struct config_value *values, int *rest, struct error *err);
/* Appends the help table: flag, environment name, default, help, and the range with its unit. A
 * secret's default is never shown. */
void config_help(const struct config_setting *table, size_t count, struct buf *out);
