/* tools/recurrence.c: one pass over the parts, then the rules between them.
 *   trim, upper-case -> word? -> split at ";" -> read each part by the table -> check together
 *   -> EXDATE lines -> write the canonical text */
#include "tools/recurrence.h"

#include <stdbool.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/error.h"
#include "tools/utf8_int.h"

#define DAY_US        (INT64_C(86400) * 1000000)
#define HOUR_US       (INT64_C(3600) * 1000000)
#define WESTERNMOST_H 12 /* UTC-12 is the last place where a day ends */

enum part { FREQ, INTERVAL, COUNT, UNTIL, BYMONTH, BYMONTHDAY, BYDAY, BYSETPOS, WKST, PART_COUNT };

static const char *const freq_names[RECURRENCE_FREQS] = {"DAILY", "WEEKLY", "MONTHLY", "YEARLY"};
static const char weekdays[] = "MOTUWETHFRSASU";

/* A rule while it is read. */
struct rule {
    struct slice parts[PART_COUNT]; /* the value as it came, upper-case; ptr NULL: not there */
    enum part order[PART_COUNT];
    int part_count;
    struct recurrence_rule *says;
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

/* 0 for Monday; -1 when it is none. */
static int find_weekday(struct slice text)
{
    if (text.len != 2)
        return -1;
    for (int i = 0; i < 7; i++) {
        if (memcmp(weekdays + (size_t)2 * (size_t)i, text.ptr, 2) == 0)
            return i;
    }
    return -1;
}

/* Digits in the places of "99999999T999999Z", or of a part of it. */
static enum recurrence_form find_form(struct slice value)
{
    static const char form[] = "00000000T000000Z";
    if (value.len != 8 && value.len != 15 && value.len != 16)
        return RECURRENCE_NO_TIME;
    for (size_t i = 0; i < value.len; i++) {
        bool is_digit = value.ptr[i] >= '0' && value.ptr[i] <= '9';
        if (form[i] == '0' ? !is_digit : value.ptr[i] != form[i])
            return RECURRENCE_NO_TIME;
    }
    if (value.len == 8)
        return RECURRENCE_DAY;
    return value.len == 15 ? RECURRENCE_WALL : RECURRENCE_UTC;
}

/* False where the form is right, but there is no such day or time. */
static bool read_time(struct slice value, struct recurrence_time *out)
{
    out->form = find_form(value);
    if (out->form == RECURRENCE_NO_TIME)
        return true;
    const char *v = value.ptr;
    bool is_day = out->form == RECURRENCE_DAY;
    char text[CLOCK_RFC3339_SIZE];
    int len = snprintf(text, sizeof(text), "%.4s-%.2s-%.2sT%.2s:%.2s:%.2sZ", v, v + 4, v + 6,
                       is_day ? "00" : v + 9, is_day ? "00" : v + 11, is_day ? "00" : v + 13);
    return clock_parse_rfc3339((struct slice){text, (size_t)len}, &out->us, NULL) == 0;
}

/* ---- the parts, each by its own reader ------------------------------------------------------ */

static int read_freq(struct rule *r, struct slice value)
{
    for (int i = 0; i < RECURRENCE_FREQS; i++) {
        if (slice_is_equal(value, slice_from_cstr(freq_names[i]))) {
            r->says->freq = (enum recurrence_freq)i;
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
    int *n = &r->says->interval;
    if (!parse_int(value, n) || *n < 1 || *n > RECURRENCE_INTERVAL_MAX)
        return refuse(r, "INTERVAL", "INTERVAL must be a whole number from 1 to %d",
                      RECURRENCE_INTERVAL_MAX);
    return 0;
}

static int read_count(struct rule *r, struct slice value)
{
    int *n = &r->says->count;
    if (!parse_int(value, n) || *n < 1 || *n > RECURRENCE_COUNT_MAX)
        return refuse(r, "COUNT", "COUNT must be a whole number from 1 to %d",
                      RECURRENCE_COUNT_MAX);
    return 0;
}

static int read_until(struct rule *r, struct slice value)
{
    struct recurrence_time *until = &r->says->until;
    if (!read_time(value, until))
        return refuse(r, "UNTIL", "UNTIL names a day or time that does not exist");
    if (until->form == RECURRENCE_WALL)
        return refuse(r, "UNTIL",
                      "UNTIL with a time must be in UTC and end in Z, such as "
                      "20261231T235959Z");
    if (until->form == RECURRENCE_NO_TIME)
        return refuse(r, "UNTIL", "UNTIL must look like 20261231T235959Z or 20261231");
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
        if (*count == RECURRENCE_LIST_MAX)
            return refuse(r, part, "%s lists more than %d numbers", part, RECURRENCE_LIST_MAX);
        out[(*count)++] = n;
    } while (value.ptr);
    return 0;
}

static int read_bymonth(struct rule *r, struct slice value)
{
    int months[RECURRENCE_LIST_MAX], count;
    if (read_numbers(r, "BYMONTH", value, 12, false, months, &count) < 0)
        return BASE_EINVAL;
    for (int i = 0; i < count; i++)
        r->says->months |= UINT32_C(1) << months[i];
    return 0;
}

static int read_bymonthday(struct rule *r, struct slice value)
{
    int days[RECURRENCE_LIST_MAX], count;
    if (read_numbers(r, "BYMONTHDAY", value, 31, true, days, &count) < 0)
        return BASE_EINVAL;
    for (int i = 0; i < count; i++) {
        if (days[i] > 0)
            r->says->month_days |= UINT32_C(1) << days[i];
        else
            r->says->month_days_back |= UINT32_C(1) << -days[i];
    }
    return 0;
}

static int read_bysetpos(struct rule *r, struct slice value)
{
    return read_numbers(r, "BYSETPOS", value, 366, true, r->says->places, &r->says->place_count);
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
        struct recurrence_day found = {find_weekday(day), 0};
        if (found.weekday < 0 ||
            (place.len > 0 && (!parse_int(place, &found.place) || found.place == 0)))
            return refuse(r, "BYDAY",
                          "BYDAY must list MO, TU, WE, TH, FR, SA or SU, with a place "
                          "before it where it is the n-th of a month or year: 2TU, -1FR");
        if (r->says->day_count == RECURRENCE_LIST_MAX)
            return refuse(r, "BYDAY", "BYDAY lists more than %d days", RECURRENCE_LIST_MAX);
        r->says->days[r->says->day_count++] = found;
    } while (value.ptr);
    return 0;
}

static int read_wkst(struct rule *r, struct slice value)
{
    r->says->week_start = find_weekday(value);
    if (r->says->week_start < 0)
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
    {"EXDATE", "EXDATE is a line of its own, after the rule"},
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
    enum recurrence_freq freq = r->says->freq;
    int max = freq == RECURRENCE_YEARLY && !has(r, BYMONTH) ? 53 : 5;
    for (int i = 0; i < r->says->day_count; i++) {
        int place = r->says->days[i].place;
        if (place != 0 && freq != RECURRENCE_MONTHLY && freq != RECURRENCE_YEARLY)
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
    uint32_t days = r->says->month_days | r->says->month_days_back;
    for (int month = 1; month <= 12; month++) {
        uint32_t there = (UINT32_C(1) << lengths[month]) - 1;
        if ((r->says->months & UINT32_C(1) << month) && (days >> 1 & there))
            return true;
    }
    return !has(r, BYMONTH) || !has(r, BYMONTHDAY);
}

static int check_together(const struct rule *r)
{
    if (!has(r, FREQ))
        return refuse(r, "FREQ", "the rule needs FREQ, such as FREQ=WEEKLY");
    if (has(r, COUNT) && has(r, UNTIL))
        return refuse(r, "UNTIL", "a rule has COUNT or UNTIL, not both");
    if (has(r, BYMONTHDAY) && r->says->freq == RECURRENCE_WEEKLY)
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
        if (c == ' ' || c == '\t' || c == '\r')
            return error_set(err, BASE_EINVAL, NULL, "a rule has no white space");
        out[i] = (char)(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
    }
    return 0;
}

static bool is_word(struct slice text, struct recurrence_rule *out)
{
    for (int i = 0; i < RECURRENCE_FREQS; i++) {
        if (slice_is_equal(text, slice_from_cstr(freq_names[i]))) {
            out->freq = (enum recurrence_freq)i;
            return true;
        }
    }
    return false;
}

/* ---- EXDATE --------------------------------------------------------------------------------- */

static int read_exdates(struct rule *r, struct slice values)
{
    struct recurrence_rule *says = r->says;
    do {
        struct recurrence_time time;
        if (!read_time(cut(&values, ','), &time))
            return refuse(r, "EXDATE", "EXDATE names a day or time that does not exist");
        if (time.form == RECURRENCE_NO_TIME)
            return refuse(r, "EXDATE",
                          "EXDATE must list times such as 20261224T080000Z, 20261224T090000 in "
                          "the task's time zone, or days such as 20261224");
        if (says->exdate_count == RECURRENCE_LIST_MAX)
            return refuse(r, "EXDATE", "EXDATE lists more than %d times", RECURRENCE_LIST_MAX);
        says->exdates[says->exdate_count++] = time;
    } while (values.ptr);
    return 0;
}

static int read_exdate_line(struct rule *r, struct slice line)
{
    struct slice values = line;
    struct slice name = cut(&values, ':');
    if (line.len < 6 || memcmp(line.ptr, "EXDATE", 6) != 0)
        return refuse(r, NULL, "only lines of EXDATE may follow the rule");
    if (name.len > 12 && memcmp(name.ptr, "EXDATE;TZID=", 12) == 0)
        return refuse(r, "EXDATE",
                      "EXDATE takes no TZID: a time without Z is in the task's time zone");
    if (!values.ptr || !(slice_is_equal(name, SLICE_LIT("EXDATE")) ||
                         slice_is_equal(name, SLICE_LIT("EXDATE;VALUE=DATE")) ||
                         slice_is_equal(name, SLICE_LIT("EXDATE;VALUE=DATE-TIME"))))
        return refuse(r, "EXDATE", "a line of EXDATE looks like EXDATE:20261224,20261231");
    return read_exdates(r, values);
}

/* ---- all of it ------------------------------------------------------------------------------ */

static int read_rule(struct rule *r, struct slice text, struct recurrence *out)
{
    if (text.len > RECURRENCE_RULE_MAX)
        return refuse(r, NULL, "the rule is longer than %d bytes", RECURRENCE_RULE_MAX);
    if (is_word(text, r->says)) {
        snprintf(out->text, sizeof(out->text), "FREQ=%s", freq_names[r->says->freq]);
        return 0;
    }
    if (text.len > 6 && memcmp(text.ptr, "RRULE:", 6) == 0)
        cut(&text, ':');
    do {
        if (read_part(r, cut(&text, ';')) < 0)
            return BASE_EINVAL;
    } while (text.ptr);
    if (check_together(r) < 0)
        return BASE_EINVAL;
    write_canonical(r, out->text);
    return 0;
}

/* The end of a line of a text that has CRLF. */
static struct slice cut_line(struct slice *text)
{
    struct slice line = cut(text, '\n');
    if (line.len > 0 && line.ptr[line.len - 1] == '\r')
        line.len--;
    return line;
}

static int read_lines(struct rule *r, struct slice text, struct recurrence *out)
{
    char upper[RECURRENCE_TEXT_MAX];
    struct slice line = cut_line(&text);
    if (copy_upper(line, upper, r->err) < 0 ||
        read_rule(r, (struct slice){upper, line.len}, out) < 0)
        return BASE_EINVAL;
    size_t len = strlen(out->text);
    while (text.ptr) {
        line = cut_line(&text);
        if (len + 1 + line.len > RECURRENCE_TEXT_MAX)
            return refuse(r, NULL, "the rule is longer than %d bytes", RECURRENCE_TEXT_MAX);
        out->text[len++] = '\n';
        if (copy_upper(line, out->text + len, r->err) < 0 ||
            read_exdate_line(r, (struct slice){out->text + len, line.len}) < 0)
            return BASE_EINVAL;
        len += line.len;
        out->text[len] = '\0';
    }
    return 0;
}

static int64_t last_moment(struct recurrence_time until)
{
    if (until.form == RECURRENCE_NO_TIME)
        return INT64_MAX;
    return until.form == RECURRENCE_UTC ? until.us : until.us + DAY_US + WESTERNMOST_H * HOUR_US;
}

int recurrence_parse(struct slice text, struct recurrence *out, struct recurrence_rule *rule,
                     struct error *err)
{
    struct recurrence_rule says = {.interval = 1};
    struct rule r = {.says = &says, .err = err};
    *out = (struct recurrence){.last_us = INT64_MAX};
    text = utf8_trim(text);
    if (text.len == 0)
        return refuse(&r, NULL, "the rule is empty");
    if (text.len > RECURRENCE_TEXT_MAX)
        return refuse(&r, NULL, "the rule is longer than %d bytes", RECURRENCE_TEXT_MAX);
    if (read_lines(&r, text, out) < 0)
        return BASE_EINVAL;
    out->last_us = last_moment(says.until);
    if (rule)
        *rule = says;
    return 0;
}
