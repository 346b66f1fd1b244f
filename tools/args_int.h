#pragma once
/* tools/args: a tool call's arguments read into C values, each checked beyond what the input
 * schema says: trimming, lengths, dates, zones, rules, cursors.
 * The first fault sticks and later reads do nothing (as in base/buf), so that a run of reads needs
 * one check at its end. An argument that is absent or null leaves `out` as it was. Text is borrowed
 * from the call's arguments. */
#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "db/task.h"
#include "tools/recurrence.h"

struct tool_error;
struct zones;

struct args {
    const cJSON *object;       /* borrowed */
    const struct zones *zones; /* borrowed */
    int64_t user_id;
    int64_t now_us;
    struct tool_error *error; /* filled by the first fault; borrowed */
    bool is_refused;
};

/* Refuses the arguments in a family's own words. `expected` may be NULL. */
__attribute__((format(printf, 4, 5))) void
args_refuse(struct args *a, const char *field, const char *expected, const char *format, ...);
/* 0, or BASE_EINVAL when something was refused. */
__attribute__((warn_unused_result)) int args_status(const struct args *a);

/* Given at all, even as null. */
bool args_has(const struct args *a, const char *name);
/* Given as null. */
bool args_is_null(const struct args *a, const char *name);
/* Given, neither null nor "". */
bool args_has_value(const struct args *a, const char *name);

/* Refuses an absent or null argument. */
void args_require(struct args *a, const char *name);
/* An id: 1 to JSON_INTEGER_MAX. */
void args_id(struct args *a, const char *name, int64_t *out);
/* At most DB_TASK_TAGS_MAX distinct ids. */
void args_ids(struct args *a, const char *name, int64_t *out, int *count);
void args_int(struct args *a, const char *name, int64_t min, int64_t max, int64_t *out);
void args_bool(struct args *a, const char *name, bool *out);
/* The place of the word in `words`. */
void args_word(struct args *a, const char *name, const char *const *words, int count, int *out);
/* Trimmed, then 1 to `max` characters. */
void args_line(struct args *a, const char *name, size_t max, struct slice *out);
/* As args_line, and without control characters: a name is one word or several, on one line. */
void args_name(struct args *a, const char *name, size_t max, struct slice *out);
/* As it is, 0 to `max` characters. */
void args_text(struct args *a, const char *name, size_t max, struct slice *out);
/* RFC 3339 with an offset. "" is as null. */
void args_time(struct args *a, const char *name, bool *has, int64_t *out_us);
/* A known zone in the database's spelling. "" is as null. */
void args_zone(struct args *a, const char *name, struct slice *out);
/* #RRGGBB. "" is as null. */
void args_color(struct args *a, const char *name, struct slice *out);
/* A recurrence rule. "" is as null: out->text stays empty. */
void args_rule(struct args *a, const char *name, struct recurrence *out);
/* Decoded by the caller, who knows its query: SLICE_EMPTY when absent. */
void args_cursor(struct args *a, uint32_t scope, struct db_cursor *out);
