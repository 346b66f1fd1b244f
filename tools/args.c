/* tools/args.c
 * The input schema has refused wrong types before a tool runs. They are refused here as well: the
 * readers are safe on any JSON, which the fuzzer holds them to. */
#include "tools/args_int.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
#include "tools/cursor_int.h"
#include "tools/error_int.h"
#include "tools/utf8_int.h"
#include "tools/zones_int.h"

void args_refuse(struct args *a, const char *field, const char *expected, const char *format, ...)
{
    if (a->is_refused)
        return;
    a->is_refused = true;
    char message[sizeof(a->error->message)];
    va_list list;
    va_start(list, format);
    vsnprintf(message, sizeof(message), format, list);
    va_end(list);
    tool_error_set(a->error, TOOL_VALIDATION_ERROR, field, expected, "%s", message);
}

int args_status(const struct args *a)
{
    return a->is_refused ? BASE_EINVAL : 0;
}

bool args_has(const struct args *a, const char *name)
{
    return json_get(a->object, name) != NULL;
}

bool args_is_null(const struct args *a, const char *name)
{
    return cJSON_IsNull(json_get(a->object, name));
}

bool args_has_value(const struct args *a, const char *name)
{
    const cJSON *item = json_get(a->object, name);
    return item && !cJSON_IsNull(item) && !(cJSON_IsString(item) && !item->valuestring[0]);
}

void args_require(struct args *a, const char *name)
{
    if (!args_has(a, name) || args_is_null(a, name))
        args_refuse(a, name, NULL, "%s is missing", name);
}

/* The argument where there is one to read, else NULL: absent, null, or something was refused. */
static const cJSON *given(const struct args *a, const char *name)
{
    const cJSON *item = a->is_refused ? NULL : json_get(a->object, name);
    return cJSON_IsNull(item) ? NULL : item;
}

static bool given_text(struct args *a, const char *name, struct slice *out)
{
    const cJSON *item = given(a, name);
    if (!item)
        return false;
    if (!cJSON_IsString(item)) {
        args_refuse(a, name, "a string", "%s must be a string", name);
        return false;
    }
    *out = slice_from_cstr(item->valuestring);
    return true;
}

static bool given_value(struct args *a, const char *name, struct slice *out)
{
    return given_text(a, name, out) && out->len > 0;
}

/* ---- numbers, flags, words ------------------------------------------------------------------ */

void args_int(struct args *a, const char *name, int64_t min, int64_t max, int64_t *out)
{
    const cJSON *item = given(a, name);
    if (!item)
        return;
    int64_t value;
    if (json_as_int(item, &value) && value >= min && value <= max) {
        *out = value;
        return;
    }
    args_refuse(a, name, NULL, "%s must be a whole number from %" PRId64 " to %" PRId64, name, min,
                max);
}

void args_id(struct args *a, const char *name, int64_t *out)
{
    args_int(a, name, 1, JSON_INTEGER_MAX, out);
}

static bool is_among(int64_t id, const int64_t *ids, int count)
{
    for (int i = 0; i < count; i++) {
        if (ids[i] == id)
            return true;
    }
    return false;
}

void args_ids(struct args *a, const char *name, int64_t *out, int *count)
{
    const cJSON *array = given(a, name), *item;
    if (!array)
        return;
    if (!cJSON_IsArray(array)) {
        args_refuse(a, name, "an array of ids", "%s must be an array of ids", name);
        return;
    }
    int n = 0;
    cJSON_ArrayForEach(item, array)
    {
        int64_t id;
        if (n == DB_TASK_TAGS_MAX) {
            args_refuse(a, name, NULL, "%s takes at most %d ids", name, DB_TASK_TAGS_MAX);
            return;
        }
        if (!json_as_int(item, &id) || id < 1) {
            args_refuse(a, name, NULL, "%s[%d] must be a whole number from 1 to %" PRId64, name, n,
                        JSON_INTEGER_MAX);
            return;
        }
        if (is_among(id, out, n)) {
            args_refuse(a, name, NULL, "%s has %" PRId64 " twice", name, id);
            return;
        }
        out[n++] = id;
    }
    *count = n;
}

void args_bool(struct args *a, const char *name, bool *out)
{
    const cJSON *item = given(a, name);
    if (!item)
        return;
    if (cJSON_IsBool(item))
        *out = cJSON_IsTrue(item);
    else
        args_refuse(a, name, "true or false", "%s must be true or false", name);
}

static void refuse_word(struct args *a, const char *name, const char *const *words, int count)
{
    char list[128] = "";
    for (int i = 0, len = 0; i < count && len < (int)sizeof(list); i++)
        len += snprintf(list + len, sizeof(list) - (size_t)len, "%s%s", i ? ", " : "", words[i]);
    args_refuse(a, name, list, "%s must be one of: %s", name, list);
}

void args_word(struct args *a, const char *name, const char *const *words, int count, int *out)
{
    struct slice text;
    if (!given_text(a, name, &text))
        return;
    for (int i = 0; i < count; i++) {
        if (slice_is_equal(text, slice_from_cstr(words[i]))) {
            *out = i;
            return;
        }
    }
    refuse_word(a, name, words, count);
}

/* ---- text ----------------------------------------------------------------------------------- */

void args_line(struct args *a, const char *name, size_t max, struct slice *out)
{
    struct slice text;
    if (!given_text(a, name, &text))
        return;
    text = utf8_trim(text);
    size_t length = utf8_length(text);
    if (length == 0)
        args_refuse(a, name, NULL, "%s is empty; give 1 to %zu characters", name, max);
    else if (length > max)
        args_refuse(a, name, NULL, "%s has %zu characters; at most %zu fit", name, length, max);
    else
        *out = text;
}

static bool has_control(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c < 0x20 || c == 0x7F)
            return true;
    }
    return false;
}

void args_name(struct args *a, const char *name, size_t max, struct slice *out)
{
    struct slice text = SLICE_EMPTY;
    args_line(a, name, max, &text);
    if (has_control(text))
        args_refuse(a, name, NULL, "%s has a line break or another control character", name);
    else if (text.len > 0)
        *out = text;
}

void args_text(struct args *a, const char *name, size_t max, struct slice *out)
{
    struct slice text;
    if (!given_text(a, name, &text))
        return;
    size_t length = utf8_length(text);
    if (length > max)
        args_refuse(a, name, NULL, "%s has %zu characters; at most %zu fit", name, length, max);
    else
        *out = text;
}

void args_time(struct args *a, const char *name, bool *has, int64_t *out_us)
{
    struct slice text;
    struct error err = {0};
    if (!given_value(a, name, &text))
        return;
    if (clock_parse_rfc3339(text, out_us, &err) < 0)
        args_refuse(a, name, "RFC 3339 with an offset, such as 2026-12-31T17:00:00Z", "%s %s", name,
                    err.text);
    else
        *has = true;
}

void args_zone(struct args *a, const char *name, struct slice *out)
{
    struct slice text;
    if (!given_value(a, name, &text))
        return;
    struct slice zone = zones_find(a->zones, text);
    if (zone.len > 0)
        *out = zone;
    else
        args_refuse(a, name, "an IANA name, such as Europe/Berlin, or UTC",
                    "%s is no time zone that this server knows", name);
}

static bool is_color(struct slice text)
{
    if (text.len != 7 || text.ptr[0] != '#')
        return false;
    return strspn(text.ptr + 1, "0123456789abcdefABCDEF") == 6;
}

void args_color(struct args *a, const char *name, struct slice *out)
{
    struct slice text;
    if (!given_value(a, name, &text))
        return;
    if (is_color(text))
        *out = text;
    else
        args_refuse(a, name, "#RRGGBB, such as #1E90FF", "%s must be # and six hex digits", name);
}

void args_rule(struct args *a, const char *name, struct recurrence *out)
{
    struct slice text;
    struct error err = {0};
    if (!given_value(a, name, &text))
        return;
    if (recurrence_parse(text, out, NULL, &err) < 0)
        args_refuse(a, name,
                    "an RFC 5545 rule, such as FREQ=WEEKLY;BYDAY=MO,WE, or daily, weekly, "
                    "monthly, yearly",
                    "%s", err.text);
}

void args_cursor(struct args *a, uint32_t scope, struct db_cursor *out)
{
    struct slice text;
    if (!given_text(a, "cursor", &text))
        return;
    switch (cursor_decode(text, scope, out)) {
    case CURSOR_OK:
        break;
    case CURSOR_DAMAGED:
        args_refuse(a, "cursor", "the next_cursor of the page before",
                    "cursor is damaged; pass next_cursor as it came, or leave it out for the first "
                    "page");
        break;
    case CURSOR_OTHER_QUERY:
        args_refuse(a, "cursor", "the next_cursor of the page before",
                    "cursor belongs to another query; keep filters and order while paging, or "
                    "leave cursor out for the first page");
        break;
    }
}
