/* tools/recurrence.c: one pass over the parts, then the rules between them.
 *   trim, upper-case -> word? -> split at ";" -> read each part by the table -> check together
 *   -> write the canonical text */
#include "tools/recurrence.h"

#include <stdbool.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/error.h"
#include "tools/utf8_int.h"

#define LIST_MAX      64
#define DAY_US        (INT64_C(86400) * 1000000)
#define HOUR_US       (INT64_C(3600) * 1000000)
#define WESTERNMOST_H 12 /* UTC-12 is the last place where a day ends */

enum part { FREQ, INTERVAL, COUNT, UNTIL, BYMONTH, BYMONTHDAY, BYDAY, BYSETPOS, WKST, PART_COUNT };
enum freq { DAILY, WEEKLY, MONTHLY, YEARLY, FREQ_COUNT };

static const char *const freq_names[FREQ_COUNT] = {"DAILY", "WEEKLY", "MONTHLY", "YEARLY"};
static const char weekdays[] = "MOTUWETHFRSASU";

struct rule {
    struct slice parts[PART_COUNT]; /* the value as it came, upper-case; ptr NULL: not there */
    enum part order[PART_COUNT];
    int part_count;
    enum freq freq;
    int64_t until_us;
    int months[LIST_MAX], month_count;
    int month_days[LIST_MAX], month_day_count;
    int places[LIST_MAX], day_count; /* BYDAY's numbers; 0: every such day */
    struct error *err;
};

#define refuse(r, part, ...) error_set((r)->err, BASE_EINVAL, part, __VA_ARGS__)

static bool has(const struct rule *r, enum part part)
{
    return r->parts[part].ptr != NULL;
}

/* Cuts `text` at the first `separator`; the head is returned. */
static struct slice cut(struct slice *text, char separator)
{
    struct slice head = *text;
    const char *at = text->len ? memchr(text->ptr, separator, text->len) : NULL;
    if (!at) {
        *text = SLICE_EMPTY;
        return head;
    }
    head.len = (size_t)(at - head.ptr);
    text->ptr = at + 1;
    text->len -= head.len + 1;
    return head;
}

/* An optional sign and digits, all of `text`. */
static bool parse_int(struct slice text, int *out)
{
    bool is_negative = text.len > 0 && text.ptr[0] == '-';
    size_t i = text.len > 0 && (text.ptr[0] == '-' || text.ptr[0] == '+');
    if (i == text.len || text.len - i > 9)
        return false;
    int value = 0;
    for (; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
        value = value * 10 + (text.ptr[i] - '0');
    }
    *out = is_negative ? -value : value;
    return true;
}

static bool is_weekday(struct slice text)
{
    if (text.len != 2)
        return false;
    for (size_t i = 0; i + 1 < sizeof(weekdays) - 1; i += 2) {
        if (memcmp(weekdays + i, text.ptr, 2) == 0)
            return true;
    }
    return false;
}

/* ---- the parts, each by its own reader ------------------------------------------------------ */

static int read_freq(struct rule *r, struct slice value)
{
    for (int i = 0; i < FREQ_COUNT; i++) {
        if (slice_is_equal(value, slice_from_cstr(freq_names[i]))) {
            r->freq = (enum freq)i;
            return 0;
        }
    }
    if (slice_is_equal(value, SLICE_LIT("HOURLY")) ||
        slice_is_equal(value, SLICE_LIT("MINUTELY")) ||
        slice_is_equal(value, SLICE_LIT("SECONDLY")))
        return refuse(r, "FREQ",
                      "a task repeats at most once a day: FREQ must be DAILY, WEEKLY, "
                      "MONTHLY or YEARLY");
    return refuse(r, "FREQ", "FREQ must be DAILY, WEEKLY, MONTHLY or YEARLY, not \"%.*s\"",
                  (int)(value.len > 20 ? 20 : value.len), value.ptr);
}

static int read_interval(struct rule *r, struct slice value)
{
    int n;
    if (!parse_int(value, &n) || n < 1 || n > RECURRENCE_INTERVAL_MAX)
        return refuse(r, "INTERVAL", "INTERVAL must be a whole number from 1 to %d",
                      RECURRENCE_INTERVAL_MAX);
    return 0;
}

static int read_count(struct rule *r, struct slice value)
{
    int n;
    if (!parse_int(value, &n) || n < 1 || n > RECURRENCE_COUNT_MAX)
        return refuse(r, "COUNT", "COUNT must be a whole number from 1 to %d",
                      RECURRENCE_COUNT_MAX);
    return 0;
}

/* Digits in the places of "99999999T999999Z". */
static bool is_compact_time(struct slice value)
{
    static const char form[] = "00000000T000000Z";
    if (value.len != 8 && value.len != sizeof(form) - 1)
        return false;
    for (size_t i = 0; i < value.len; i++) {
        bool is_digit = value.ptr[i] >= '0' && value.ptr[i] <= '9';
        if (form[i] == '0' ? !is_digit : value.ptr[i] != form[i])
            return false;
    }
    return true;
}

static int read_until(struct rule *r, struct slice value)
{
    if (value.len == 15 && value.ptr[8] == 'T')
        return refuse(r, "UNTIL",
                      "UNTIL with a time must be in UTC and end in Z, such as "
                      "20261231T235959Z");
    if (!is_compact_time(value))
        return refuse(r, "UNTIL", "UNTIL must look like 20261231T235959Z or 20261231");
    const char *v = value.ptr;
    bool is_date = value.len == 8;
    char text[CLOCK_RFC3339_SIZE];
    int len = snprintf(text, sizeof(text), "%.4s-%.2s-%.2sT%.2s:%.2s:%.2sZ", v, v + 4, v + 6,
                       is_date ? "00" : v + 9, is_date ? "00" : v + 11, is_date ? "00" : v + 13);
    if (clock_parse_rfc3339((struct slice){text, (size_t)len}, &r->until_us, NULL) < 0)
        return refuse(r, "UNTIL", "UNTIL names a day or time that does not exist");
    if (is_date)
        r->until_us += DAY_US + WESTERNMOST_H * HOUR_US;
    return 0;
}

/* A list of numbers, none 0, each at most `max`, and negative ones where `is_signed`. */
static int read_numbers(struct rule *r, const char *part, struct slice value, int max,
                        bool is_signed, int *out, int *count)
{
    *count = 0;
    do {
        struct slice item = cut(&value, ',');
        int n;
        if (!parse_int(item, &n) || n == 0 || n > max || n < (is_signed ? -max : 1))
            return refuse(r, part,
                          is_signed ? "%s must list whole numbers from 1 to %d, or from -1 to -%d "
                                      "counted from the end"
                                    : "%s must list whole numbers from 1 to %d",
                          part, max, max);
        if (*count == LIST_MAX)
            return refuse(r, part, "%s lists more than %d numbers", part, LIST_MAX);
        out[(*count)++] = n;
    } while (value.ptr);
    return 0;
}

static int read_bymonth(struct rule *r, struct slice value)
{
    return read_numbers(r, "BYMONTH", value, 12, false, r->months, &r->month_count);
}

static int read_bymonthday(struct rule *r, struct slice value)
{
    return read_numbers(r, "BYMONTHDAY", value, 31, true, r->month_days, &r->month_day_count);
}

static int read_bysetpos(struct rule *r, struct slice value)
{
    int places[LIST_MAX], count;
    return read_numbers(r, "BYSETPOS", value, 366, true, places, &count);
}

static int read_byday(struct rule *r, struct slice value)
{
    do {
        struct slice item = cut(&value, ',');
        struct slice day = item, place = item;
        if (item.len >= 2) {
            day.ptr = item.ptr + item.len - 2;
            day.len = 2;
            place.len = item.len - 2;
        }
        int n = 0;
        if (!is_weekday(day) || (place.len > 0 && (!parse_int(place, &n) || n == 0)))
            return refuse(r, "BYDAY",
                          "BYDAY must list MO, TU, WE, TH, FR, SA or SU, with a place "
                          "before it where it is the n-th of a month or year: 2TU, -1FR");
        if (r->day_count == LIST_MAX)
            return refuse(r, "BYDAY", "BYDAY lists more than %d days", LIST_MAX);
        r->places[r->day_count++] = n;
    } while (value.ptr);
    return 0;
}

static int read_wkst(struct rule *r, struct slice value)
{
    if (!is_weekday(value))
        return refuse(r, "WKST", "WKST must be MO, TU, WE, TH, FR, SA or SU");
    return 0;
}

static const struct {
    const char *name;
    int (*read)(struct rule *r, struct slice value);
} parts[PART_COUNT] = {
    [FREQ] = {"FREQ", read_freq},          [INTERVAL] = {"INTERVAL", read_interval},
    [COUNT] = {"COUNT", read_count},       [UNTIL] = {"UNTIL", read_until},
    [BYMONTH] = {"BYMONTH", read_bymonth}, [BYMONTHDAY] = {"BYMONTHDAY", read_bymonthday},
    [BYDAY] = {"BYDAY", read_byday},       [BYSETPOS] = {"BYSETPOS", read_bysetpos},
    [WKST] = {"WKST", read_wkst},
};

/* Parts of RFC 5545 (and 7529) that a task's rule cannot have. */
static const struct {
    const char *name, *reason;
} refused_parts[] = {
    {"BYSECOND", "BYSECOND is not taken: the time of day comes from due_date"},
    {"BYMINUTE", "BYMINUTE is not taken: the time of day comes from due_date"},
    {"BYHOUR", "BYHOUR is not taken: the time of day comes from due_date"},
    {"BYYEARDAY", "BYYEARDAY is not taken: use BYMONTH with BYMONTHDAY"},
    {"BYWEEKNO", "BYWEEKNO is not taken: use BYMONTH with BYDAY"},
    {"DTSTART", "DTSTART is not taken: the first occurrence is due_date"},
    {"TZID", "TZID is not taken: give the time zone as timezone"},
    {"RSCALE", "RSCALE is not taken: rules are in the Gregorian calendar"},
    {"SKIP", "SKIP is not taken: a day that a month lacks is left out"},
};

static int refuse_part(struct rule *r, struct slice name)
{
    for (size_t i = 0; i < sizeof(refused_parts) / sizeof(refused_parts[0]); i++) {
        if (slice_is_equal(name, slice_from_cstr(refused_parts[i].name)))
            return refuse(r, refused_parts[i].name, "%s", refused_parts[i].reason);
    }
    return refuse(r, NULL,
                  "\"%.*s\" is no part of a rule; there are FREQ, INTERVAL, COUNT, UNTIL, "
                  "BYDAY, BYMONTHDAY, BYMONTH, BYSETPOS and WKST",
                  (int)(name.len > 20 ? 20 : name.len), name.ptr);
}

static int read_part(struct rule *r, struct slice text)
{
    struct slice value = text;
    struct slice name = cut(&value, '=');
    if (text.len == 0)
        return refuse(r, NULL, "the rule has an empty part: one \";\" too many");
    if (!value.ptr)
        return refuse(r, NULL,
                      "a part of the rule lacks its \"=\"; a rule looks like "
                      "FREQ=WEEKLY;BYDAY=MO,WE");
    for (int i = 0; i < PART_COUNT; i++) {
        if (!slice_is_equal(name, slice_from_cstr(parts[i].name)))
            continue;
        if (has(r, (enum part)i))
            return refuse(r, parts[i].name, "%s stands twice in the rule", parts[i].name);
        if (value.len == 0)
            return refuse(r, parts[i].name, "%s has no value", parts[i].name);
        r->parts[i] = value;
        r->order[r->part_count++] = (enum part)i;
        return parts[i].read(r, value);
    }
    return refuse_part(r, name);
}

/* ---- the rules between parts ---------------------------------------------------------------- */

static int check_places(const struct rule *r)
{
    int max = r->freq == YEARLY && !has(r, BYMONTH) ? 53 : 5;
    for (int i = 0; i < r->day_count; i++) {
        int place = r->places[i];
        if (place != 0 && r->freq != MONTHLY && r->freq != YEARLY)
            return refuse(r, "BYDAY",
                          "BYDAY takes a place before the day (2TU) only where FREQ is "
                          "MONTHLY or YEARLY");
        if (place > max || place < -max)
            return refuse(r, "BYDAY", "BYDAY: a %s has at most %d of one weekday",
                          max == 5 ? "month" : "year", max);
    }
    return 0;
}

/* Some month of the rule has some day of the rule; February with 29. */
static bool can_match(const struct rule *r)
{
    static const int lengths[] = {0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (!has(r, BYMONTH) || !has(r, BYMONTHDAY))
        return true;
    for (int i = 0; i < r->month_count; i++) {
        for (int j = 0; j < r->month_day_count; j++) {
            int day = r->month_days[j];
            if ((day < 0 ? -day : day) <= lengths[r->months[i]])
                return true;
        }
    }
    return false;
}

static int check_together(const struct rule *r)
{
    if (!has(r, FREQ))
        return refuse(r, "FREQ", "the rule needs FREQ, such as FREQ=WEEKLY");
    if (has(r, COUNT) && has(r, UNTIL))
        return refuse(r, "UNTIL", "a rule has COUNT or UNTIL, not both");
    if (has(r, BYMONTHDAY) && r->freq == WEEKLY)
        return refuse(r, "BYMONTHDAY",
                      "BYMONTHDAY does not go with FREQ=WEEKLY; use BYDAY, or "
                      "FREQ=MONTHLY");
    if (has(r, BYSETPOS) && !has(r, BYDAY) && !has(r, BYMONTHDAY) && !has(r, BYMONTH))
        return refuse(r, "BYSETPOS",
                      "BYSETPOS picks from a set: it needs BYDAY, BYMONTHDAY or "
                      "BYMONTH too");
    if (!can_match(r))
        return refuse(r, "BYMONTHDAY", "the rule never happens: none of its months has such a day");
    return check_places(r);
}

/* ---- text in, text out ---------------------------------------------------------------------- */

/* Items as they came, but a number without "+" and leading zeros; an UNTIL keeps its digits. */
static size_t write_value(char *out, enum part part, struct slice value)
{
    size_t len = 0;
    bool is_number_start = part != UNTIL;
    for (size_t i = 0; i < value.len; i++) {
        char c = value.ptr[i];
        bool next_is_digit =
            i + 1 < value.len && value.ptr[i + 1] >= '0' && value.ptr[i + 1] <= '9';
        if (is_number_start && (c == '+' || (c == '0' && next_is_digit)))
            continue;
        out[len++] = c;
        is_number_start = part != UNTIL && (c == ',' || c == '-');
    }
    return len;
}

static size_t write_part(char *out, const struct rule *r, enum part part)
{
    size_t len = strlen(parts[part].name);
    memcpy(out, parts[part].name, len);
    out[len++] = '=';
    return len + write_value(out + len, part, r->parts[part]);
}

/* Never longer than what came: names and values are the same, numbers at most as long. */
static void write_canonical(const struct rule *r, char *out)
{
    size_t len = write_part(out, r, FREQ);
    for (int i = 0; i < r->part_count; i++) {
        if (r->order[i] == FREQ)
            continue;
        out[len++] = ';';
        len += write_part(out + len, r, r->order[i]);
    }
    out[len] = '\0';
}

static int copy_upper(struct slice text, char *out, struct error *err)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == ' ' || c == '\t' || c == '\r' || c == '\n')
            return error_set(err, BASE_EINVAL, NULL, "a rule has no white space");
        out[i] = (char)(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
    }
    return 0;
}

static bool is_word(struct slice text, struct recurrence *out)
{
    for (int i = 0; i < FREQ_COUNT; i++) {
        if (slice_is_equal(text, slice_from_cstr(freq_names[i]))) {
            snprintf(out->text, sizeof(out->text), "FREQ=%s", freq_names[i]);
            return true;
        }
    }
    return false;
}

int recurrence_parse(struct slice text, struct recurrence *out, struct error *err)
{
    char upper[RECURRENCE_TEXT_MAX];
    struct rule r = {.until_us = INT64_MAX, .err = err};
    *out = (struct recurrence){.last_us = INT64_MAX};
    text = utf8_trim(text);
    if (text.len == 0)
        return refuse(&r, NULL, "the rule is empty");
    if (text.len > sizeof(upper))
        return refuse(&r, NULL, "the rule is longer than %d bytes", RECURRENCE_TEXT_MAX);
    if (copy_upper(text, upper, err) < 0)
        return BASE_EINVAL;
    struct slice rest = {upper, text.len};
    if (is_word(rest, out))
        return 0;
    if (rest.len > 6 && memcmp(rest.ptr, "RRULE:", 6) == 0)
        cut(&rest, ':');
    do {
        if (read_part(&r, cut(&rest, ';')) < 0)
            return BASE_EINVAL;
    } while (rest.ptr);
    if (check_together(&r) < 0)
        return BASE_EINVAL;
    write_canonical(&r, out->text);
    out->last_us = r.until_us;
    return 0;
}
