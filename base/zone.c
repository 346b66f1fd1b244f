/* base/zone.c
 * The file lists transitions up to some year, and ends in a POSIX TZ text that goes on from there.
 *   header -> transitions, types -> (the same again with 64-bit times) -> "\nCET-1CEST,M3.5.0,…\n"
 * A file is data from outside: every length in it is checked against what is there. */
#include "base/zone.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/civil.h"
#include "base/error.h"
#include "base/mem.h"

#define US_PER_S           INT64_C(1000000)
#define DAY_S              INT64_C(86400)
#define NAME_MAX_BYTES     64
#define HEADER_SIZE        44
#define TRANSITIONS_MAX    4096
#define TYPES_MAX          256
#define OFFSET_MAX_S       (INT64_C(26) * 3600)
#define POSIX_OFFSET_MAX_S (INT64_C(25) * 3600 - 1)
#define RULE_TIME_MAX_H    167

/* When summer time begins or ends: a day of the year and a time of that day. */
struct rule {
    enum { DAY_JULIAN, DAY_COUNTED, DAY_OF_WEEK } kind;
    int month, week, day; /* DAY_OF_WEEK: 0 is Sunday; else `day` of the year */
    int64_t time_s;
};

struct footer {
    bool is_there, has_summer;
    int64_t standard_s, summer_s; /* east of UTC */
    struct rule start, end;
};

struct zone {
    int64_t first_s; /* the offset before all transitions */
    struct footer footer;
    size_t count;
    struct {
        int64_t at_s, offset_s;
    } transitions[];
};

static int64_t floor_div(int64_t value, int64_t by)
{
    return value / by - (value % by < 0);
}

/* ---- the text at the end -------------------------------------------------------------------- */

struct cursor {
    const char *at, *end;
};

static bool take(struct cursor *c, char wanted)
{
    if (c->at == c->end || *c->at != wanted)
        return false;
    c->at++;
    return true;
}

static bool take_int(struct cursor *c, int max, int *out)
{
    const char *first = c->at;
    *out = 0;
    while (c->at < c->end && *c->at >= '0' && *c->at <= '9' && *out <= max)
        *out = *out * 10 + (*c->at++ - '0');
    return c->at > first && *out <= max;
}

/* "CET", or "<+03>". */
static bool take_name(struct cursor *c)
{
    const char *first = c->at;
    if (take(c, '<')) {
        while (c->at < c->end && *c->at != '>')
            c->at++;
        return take(c, '>');
    }
    while (c->at < c->end && ((*c->at >= 'A' && *c->at <= 'Z') || (*c->at >= 'a' && *c->at <= 'z')))
        c->at++;
    return c->at - first >= 3;
}

/* [+-]hh[:mm[:ss]] */
static bool take_time(struct cursor *c, int64_t *out)
{
    int64_t sign = take(c, '-') ? -1 : 1;
    int hours, minutes = 0, seconds = 0;
    if (sign > 0)
        take(c, '+');
    if (!take_int(c, RULE_TIME_MAX_H, &hours))
        return false;
    if (take(c, ':') && !take_int(c, 59, &minutes))
        return false;
    if (take(c, ':') && !take_int(c, 59, &seconds))
        return false;
    *out = sign * (hours * INT64_C(3600) + minutes * INT64_C(60) + seconds);
    return true;
}

static bool take_rule_day(struct cursor *c, struct rule *out)
{
    if (take(c, 'M')) {
        out->kind = DAY_OF_WEEK;
        return take_int(c, 12, &out->month) && take(c, '.') && take_int(c, 5, &out->week) &&
               take(c, '.') && take_int(c, 6, &out->day) && out->month > 0 && out->week > 0;
    }
    out->kind = take(c, 'J') ? DAY_JULIAN : DAY_COUNTED;
    return take_int(c, 365, &out->day) && (out->kind == DAY_COUNTED || out->day > 0);
}

static bool take_rule(struct cursor *c, struct rule *out)
{
    out->time_s = INT64_C(2) * 3600;
    return take(c, ',') && take_rule_day(c, out) && (!take(c, '/') || take_time(c, &out->time_s));
}

/* What has to be added to UTC; POSIX counts offsets west of it. */
static bool take_offset(struct cursor *c, int64_t *out)
{
    int64_t west;
    if (!take_time(c, &west) || west > POSIX_OFFSET_MAX_S || west < -POSIX_OFFSET_MAX_S)
        return false;
    *out = -west;
    return true;
}

static bool parse_footer(struct slice text, struct footer *out)
{
    struct cursor c = {text.ptr, text.ptr + text.len};
    if (text.len == 0)
        return true;
    if (!take_name(&c) || !take_offset(&c, &out->standard_s))
        return false;
    out->is_there = true;
    if (c.at == c.end)
        return true;
    out->has_summer = true;
    out->summer_s = out->standard_s + 3600;
    if (!take_name(&c))
        return false;
    if (c.at < c.end && *c.at != ',' && !take_offset(&c, &out->summer_s))
        return false;
    return take_rule(&c, &out->start) && take_rule(&c, &out->end) && c.at == c.end;
}

/* ---- the file ------------------------------------------------------------------------------- */

static int64_t read_be(const unsigned char *at, size_t size)
{
    uint64_t value = at[0] & 0x80 ? UINT64_MAX : 0;
    for (size_t i = 0; i < size; i++)
        value = value << 8 | at[i];
    int64_t out;
    memcpy(&out, &value, sizeof(out));
    return out;
}

struct block {
    size_t times, types, chars, leaps, std_marks, ut_marks, size;
    size_t time_size;
    const unsigned char *data;
};

/* The block that starts with the header at `at`. */
static bool find_block(struct slice file, size_t at, size_t time_size, struct block *out)
{
    if (file.len < at + HEADER_SIZE || memcmp(file.ptr + at, "TZif", 4) != 0)
        return false;
    const unsigned char *head = (const unsigned char *)file.ptr + at;
    int64_t counts[6];
    for (size_t i = 0; i < 6; i++) {
        counts[i] = read_be(head + 20 + 4 * i, 4);
        if (counts[i] < 0 || counts[i] > ZONE_FILE_MAX)
            return false;
    }
    *out = (struct block){.ut_marks = (size_t)counts[0],
                          .std_marks = (size_t)counts[1],
                          .leaps = (size_t)counts[2],
                          .times = (size_t)counts[3],
                          .types = (size_t)counts[4],
                          .chars = (size_t)counts[5],
                          .time_size = time_size,
                          .data = head + HEADER_SIZE};
    out->size = out->times * (time_size + 1) + out->types * 6 + out->chars +
                out->leaps * (time_size + 4) + out->std_marks + out->ut_marks;
    return out->times <= TRANSITIONS_MAX && out->types >= 1 && out->types <= TYPES_MAX &&
           file.len - at - HEADER_SIZE >= out->size;
}

static bool read_block(const struct block *b, struct zone *z)
{
    const unsigned char *indexes = b->data + b->times * b->time_size;
    const unsigned char *types = indexes + b->times;
    z->count = b->times;
    z->first_s = read_be(types, 4);
    for (size_t i = 0; i < b->times; i++) {
        if (indexes[i] >= b->types)
            return false;
        z->transitions[i].at_s = read_be(b->data + i * b->time_size, b->time_size);
        z->transitions[i].offset_s = read_be(types + (size_t)6 * indexes[i], 4);
        if (i > 0 && z->transitions[i].at_s <= z->transitions[i - 1].at_s)
            return false;
        if (z->transitions[i].offset_s > OFFSET_MAX_S || z->transitions[i].offset_s < -OFFSET_MAX_S)
            return false;
    }
    return z->first_s <= OFFSET_MAX_S && z->first_s >= -OFFSET_MAX_S;
}

/* From the second line feed back to the first. */
static bool read_footer(struct slice file, size_t at, struct footer *out)
{
    if (file.len < at + 2 || file.ptr[at] != '\n')
        return false;
    const char *first = file.ptr + at + 1;
    const char *end = memchr(first, '\n', file.len - at - 1);
    return end && parse_footer((struct slice){first, (size_t)(end - first)}, out);
}

static bool find_blocks(struct slice file, struct block *out, size_t *footer_at)
{
    *footer_at = 0;
    if (!find_block(file, 0, 4, out))
        return false;
    if (file.ptr[4] == '\0')
        return true;
    size_t second = HEADER_SIZE + out->size;
    if (!find_block(file, second, 8, out))
        return false;
    *footer_at = second + HEADER_SIZE + out->size;
    return true;
}

int zone_read(struct slice file, struct zone **out, struct error *err)
{
    struct block block;
    size_t footer_at;
    *out = NULL;
    if (!find_blocks(file, &block, &footer_at))
        return error_set(err, BASE_EINVAL, NULL, "the time zone's file is no TZif file");
    struct zone *z = mem_calloc(1, sizeof(*z) + block.times * sizeof(z->transitions[0]));
    if (!z)
        return error_set(err, BASE_ENOMEM, NULL, "out of memory");
    if (!read_block(&block, z) || (footer_at && !read_footer(file, footer_at, &z->footer))) {
        mem_free(z);
        return error_set(err, BASE_EINVAL, NULL, "the time zone's file is damaged");
    }
    *out = z;
    return 0;
}

/* Names of the database have none of "." and "//", so that none leaves the directory. */
static bool is_name(struct slice name)
{
    if (name.len == 0 || name.len > NAME_MAX_BYTES || name.ptr[0] == '/')
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!is_letter && !(c >= '0' && c <= '9') && !(c && strchr("_+-/", c)))
            return false;
    }
    return true;
}

int zone_open(const char *directory, struct slice name, struct zone **out, struct error *err)
{
    char path[512];
    *out = NULL;
    if (!is_name(name))
        return error_set(err, BASE_EINVAL, NULL, "this is no name of a time zone");
    int len = snprintf(path, sizeof(path), "%s/%.*s", directory, (int)name.len, name.ptr);
    FILE *file = len < (int)sizeof(path) ? fopen(path, "rbe") : NULL;
    if (!file)
        return error_set(err, BASE_EINVAL, NULL, "this system does not know the time zone %.*s",
                         (int)name.len, name.ptr);
    int status = BASE_ENOMEM;
    char *bytes = mem_alloc(ZONE_FILE_MAX);
    if (bytes)
        status = zone_read((struct slice){bytes, fread(bytes, 1, ZONE_FILE_MAX, file)}, out, err);
    else
        error_set(err, BASE_ENOMEM, NULL, "out of memory");
    mem_free(bytes);
    fclose(file);
    return status;
}

void zone_free(struct zone *z)
{
    mem_free(z);
}

/* ---- offsets -------------------------------------------------------------------------------- */

/* The moment in seconds of wall-clock time when the rule comes true in `year`. */
static int64_t rule_wall(const struct rule *r, int64_t year)
{
    int64_t day = civil_to_days((struct civil){year, 1, 1});
    if (r->kind == DAY_COUNTED) {
        day += r->day;
    } else if (r->kind == DAY_JULIAN) { /* counts as if there were no 29 February */
        day += r->day - 1 + (civil_is_leap(year) && r->day > 59);
    } else {
        int64_t first = civil_to_days((struct civil){year, r->month, 1});
        int sunday_is_0 = (civil_weekday(first) + 1) % 7;
        day = first + (r->day - sunday_is_0 + 7) % 7 + (r->week - 1) * INT64_C(7);
        while (day >= first + civil_month_length(year, r->month))
            day -= 7;
    }
    return day * DAY_S + r->time_s;
}

static int64_t footer_offset(const struct footer *f, int64_t time_s)
{
    if (!f->has_summer)
        return f->standard_s;
    int64_t year = civil_from_days(floor_div(time_s + f->standard_s, DAY_S)).year;
    int64_t start = rule_wall(&f->start, year) - f->standard_s;
    int64_t end = rule_wall(&f->end, year) - f->summer_s;
    bool is_summer =
        start < end ? time_s >= start && time_s < end : time_s >= start || time_s < end;
    return is_summer ? f->summer_s : f->standard_s;
}

static int64_t offset_at(const struct zone *z, int64_t time_s)
{
    size_t low = 0, high = z->count; /* the first transition after time_s */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (z->transitions[middle].at_s <= time_s)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == z->count && z->footer.is_there)
        return footer_offset(&z->footer, time_s);
    return low == 0 ? z->first_s : z->transitions[low - 1].offset_s;
}

int64_t zone_to_wall(const struct zone *z, int64_t time_us)
{
    return time_us + offset_at(z, floor_div(time_us, US_PER_S)) * US_PER_S;
}

/* The offsets of a day before and a day after are those before and after any transition that could
 * matter. The earlier one wins where it gives the time, or where neither does. */
int64_t zone_from_wall(const struct zone *z, int64_t wall_us)
{
    int64_t wall_s = floor_div(wall_us, US_PER_S);
    int64_t before = offset_at(z, wall_s - DAY_S);
    int64_t after = offset_at(z, wall_s + DAY_S);
    bool is_before = before == after || offset_at(z, wall_s - before) == before;
    if (!is_before && offset_at(z, wall_s - after) == after)
        return wall_us - after * US_PER_S;
    return wall_us - before * US_PER_S;
}
