#include "base/clock.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/civil.h"
#include "base/error.h"

#define US_PER_S   INT64_C(1000000)
#define US_PER_DAY (86400 * US_PER_S)

static int64_t read_clock_us(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return now.tv_sec * US_PER_S + now.tv_nsec / 1000;
}

int64_t clock_now_us(void)
{
    return read_clock_us(CLOCK_REALTIME);
}

int64_t clock_monotonic_us(void)
{
    return read_clock_us(CLOCK_MONOTONIC);
}

/* `value` below 100. */
static char *put_two(char *out, unsigned value)
{
    static const char pairs[] = "00010203040506070809101112131415161718192021222324"
                                "25262728293031323334353637383940414243444546474849"
                                "50515253545556575859606162636465666768697071727374"
                                "75767778798081828384858687888990919293949596979899";
    memcpy(out, pairs + (size_t)2 * value, 2);
    return out + 2;
}

/* Without the zeros at the end. */
static char *put_fraction(char *out, unsigned us)
{
    *out++ = '.';
    out = put_two(out, us / 10000);
    out = put_two(out, us / 100 % 100);
    out = put_two(out, us % 100);
    while (out[-1] == '0')
        out--;
    return out;
}

static int64_t floor_div(int64_t value, int64_t by)
{
    return value / by - (value % by < 0);
}

static struct civil date_of(int64_t time_us)
{
    return civil_from_days(floor_div(time_us, US_PER_DAY));
}

static char *put_date(char *out, struct civil date)
{
    out = put_two(out, (unsigned)date.year / 100 % 100);
    out = put_two(out, (unsigned)date.year % 100);
    *out++ = '-';
    out = put_two(out, (unsigned)date.month);
    *out++ = '-';
    return put_two(out, (unsigned)date.day);
}

size_t clock_format_date(int64_t time_us, char *out)
{
    char *end = put_date(out, date_of(time_us));
    *end = '\0';
    return (size_t)(end - out);
}

size_t clock_format_rfc3339(int64_t time_us, char *out)
{
    int64_t days = floor_div(time_us, US_PER_DAY);
    int64_t us_of_day = time_us - days * US_PER_DAY;
    unsigned second = (unsigned)(us_of_day / US_PER_S);
    unsigned us = (unsigned)(us_of_day % US_PER_S);
    char *at = put_date(out, civil_from_days(days));
    *at++ = 'T';
    at = put_two(at, second / 3600);
    *at++ = ':';
    at = put_two(at, second / 60 % 60);
    *at++ = ':';
    at = put_two(at, second % 60);
    if (us > 0)
        at = put_fraction(at, us);
    *at++ = 'Z';
    *at = '\0';
    return (size_t)(at - out);
}

struct cursor {
    const char *at;
    const char *end;
};

static bool take_digits(struct cursor *c, int width, int *out)
{
    if (c->end - c->at < width)
        return false;
    *out = 0;
    for (int i = 0; i < width; i++) {
        if (c->at[i] < '0' || c->at[i] > '9')
            return false;
        *out = *out * 10 + (c->at[i] - '0');
    }
    c->at += width;
    return true;
}

static bool take_char(struct cursor *c, const char *any_of)
{
    if (c->at == c->end || *c->at == '\0' || !strchr(any_of, *c->at))
        return false;
    c->at++;
    return true;
}

static bool is_date_real(struct civil date)
{
    return date.year >= 1 && date.month >= 1 && date.month <= 12 && date.day >= 1 &&
           date.day <= civil_month_length(date.year, date.month);
}

static bool take_date(struct cursor *c, struct civil *date)
{
    int year;
    if (!take_digits(c, 4, &year) || !take_char(c, "-") || !take_digits(c, 2, &date->month) ||
        !take_char(c, "-") || !take_digits(c, 2, &date->day))
        return false;
    date->year = year;
    return true;
}

/* Digits past the microsecond are dropped. */
static bool take_fraction(struct cursor *c, int64_t *us)
{
    *us = 0;
    if (!take_char(c, "."))
        return true;
    int64_t scale = US_PER_S;
    const char *first = c->at;
    while (c->at < c->end && *c->at >= '0' && *c->at <= '9') {
        scale /= 10;
        *us += (*c->at++ - '0') * scale;
    }
    return c->at > first;
}

struct time_of_day {
    int hour, minute, second;
    int64_t fraction_us;
};

static bool take_time(struct cursor *c, struct time_of_day *t)
{
    return take_digits(c, 2, &t->hour) && take_char(c, ":") && take_digits(c, 2, &t->minute) &&
           take_char(c, ":") && take_digits(c, 2, &t->second) && take_fraction(c, &t->fraction_us);
}

static bool is_time_real(struct time_of_day t)
{
    return t.hour <= 23 && t.minute <= 59 && t.second <= 60;
}

/* A leap second becomes the last microsecond before it. */
static int64_t time_of_day_us(struct time_of_day t)
{
    int64_t minutes = t.hour * INT64_C(60) + t.minute;
    if (t.second == 60)
        return (minutes + 1) * 60 * US_PER_S - 1;
    return (minutes * 60 + t.second) * US_PER_S + t.fraction_us;
}

static bool take_offset(struct cursor *c, int64_t *offset_us)
{
    *offset_us = 0;
    if (take_char(c, "Zz"))
        return true;
    int sign = c->at < c->end && *c->at == '-' ? -1 : 1;
    int hour;
    int minute;
    if (!take_char(c, "+-") || !take_digits(c, 2, &hour) || !take_char(c, ":") ||
        !take_digits(c, 2, &minute) || hour > 23 || minute > 59)
        return false;
    *offset_us = sign * (hour * INT64_C(60) + minute) * 60 * US_PER_S;
    return true;
}

int clock_parse_rfc3339(struct slice text, int64_t *out_us, struct error *err)
{
    static const char shape[] = "is not an RFC 3339 time such as 2026-11-23T18:04:05Z";
    struct cursor c = {text.ptr, text.ptr ? text.ptr + text.len : NULL};
    struct civil date;
    struct time_of_day time;
    int64_t offset_us;
    if (!take_date(&c, &date) || !take_char(&c, "Tt") || !take_time(&c, &time))
        return error_set(err, BASE_EINVAL, NULL, "%s", shape);
    if (!is_date_real(date))
        return error_set(err, BASE_EINVAL, NULL, "names a date that does not exist");
    if (!is_time_real(time))
        return error_set(err, BASE_EINVAL, NULL, "names a time of day that does not exist");
    if (c.at == c.end)
        return error_set(err, BASE_EINVAL, NULL, "needs a UTC offset such as Z or +02:00");
    if (!take_offset(&c, &offset_us) || c.at != c.end)
        return error_set(err, BASE_EINVAL, NULL, "%s", shape);
    int64_t time_us = civil_to_days(date) * US_PER_DAY + time_of_day_us(time) - offset_us;
    int64_t utc_year = date_of(time_us).year;
    if (utc_year < 1 || utc_year > 9999)
        return error_set(err, BASE_EINVAL, NULL, "lies outside the years 0001 to 9999");
    *out_us = time_us;
    return 0;
}
