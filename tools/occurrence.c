/* tools/occurrence.c: RFC 5545 section 3.3.10.
 *   the start's day, week, month or year -> the days in it that each BY part lets through
 *   -> BYSETPOS picks -> not before the bound, not left out -> else the next period, INTERVAL on
 *
 * Section 3.3.10 has a table that says where a BY part adds days and where it limits them. Here all
 * limit: a period is all its days to begin with, and where no BY part names a weekday or a day, the
 * start's own limits them. That comes to the same, since only days are added. */
#include "tools/occurrence.h"

#include <string.h>

#include "base/civil.h"
#include "base/zone.h"

#define DAY_US       (INT64_C(86400) * 1000000)
#define PERIOD_MAX   366
#define YEAR_MAX     9999
#define LAST_TIME_US INT64_C(253402300799999999) /* 9999-12-31T23:59:59.999999Z */

static int64_t floor_div(int64_t value, int64_t by)
{
    return value / by - (value % by < 0);
}

/* A day as the BY parts see it. */
struct day {
    int64_t at;
    struct civil date;
    int month_length, weekday;
};

struct walk {
    const struct recurrence_rule *rule;
    uint32_t months, month_days, weekdays; /* the rule's, or what the start gives; 0: any */
    bool is_place_of_month;                /* 2TU is of the month, not of the year */
    int64_t start;
    struct civil start_date;
    int64_t period;  /* its number, the start's is 0 */
    int days_looked; /* of OCCURRENCE_DAYS_MAX */
    int64_t found[PERIOD_MAX];
    int count, next;
};

/* ---- one day -------------------------------------------------------------------------------- */

static bool has_bit(uint32_t bits, int bit)
{
    return bits >> bit & 1;
}

/* The n-th of its weekday from the start of the month or year, and from the end. */
static void find_places(const struct walk *w, const struct day *d, int *place, int *place_back)
{
    int64_t before = d->date.day - 1;
    int64_t after = d->month_length - d->date.day;
    if (!w->is_place_of_month) {
        before = d->at - civil_to_days((struct civil){d->date.year, 1, 1});
        after = (civil_is_leap(d->date.year) ? 365 : 364) - before;
    }
    *place = (int)(before / 7) + 1;
    *place_back = -(int)(after / 7) - 1;
}

static bool is_weekday_let_through(const struct walk *w, const struct day *d)
{
    if (w->rule->day_count == 0)
        return w->weekdays == 0 || has_bit(w->weekdays, d->weekday);
    for (int i = 0; i < w->rule->day_count; i++) {
        const struct recurrence_day *wanted = &w->rule->days[i];
        int place, place_back;
        if (wanted->weekday != d->weekday)
            continue;
        if (wanted->place == 0)
            return true;
        find_places(w, d, &place, &place_back);
        if (wanted->place == place || wanted->place == place_back)
            return true;
    }
    return false;
}

static bool is_let_through(const struct walk *w, const struct day *d)
{
    if (w->months && !has_bit(w->months, d->date.month))
        return false;
    bool has_days = w->month_days || w->rule->month_days_back;
    if (has_days && !has_bit(w->month_days, d->date.day) &&
        !has_bit(w->rule->month_days_back, d->month_length - d->date.day + 1))
        return false;
    return is_weekday_let_through(w, d);
}

/* ---- one period ----------------------------------------------------------------------------- */

static struct day first_day(int64_t at)
{
    struct civil date = civil_from_days(at);
    return (struct day){at, date, civil_month_length(date.year, date.month), civil_weekday(at)};
}

static void go_to_next_day(struct day *d)
{
    d->at++;
    d->weekday = d->weekday == 6 ? 0 : d->weekday + 1;
    if (d->date.day++ < d->month_length)
        return;
    d->date.day = 1;
    d->date.year += d->date.month == 12;
    d->date.month = d->date.month == 12 ? 1 : d->date.month + 1;
    d->month_length = civil_month_length(d->date.year, d->date.month);
}

/* The days of the period: its first, and how many. */
static int64_t find_period(const struct walk *w, int *length)
{
    int64_t step = w->period * w->rule->interval;
    int64_t month = 0;
    switch (w->rule->freq) {
    case RECURRENCE_WEEKLY:
        *length = 7;
        return w->start - (civil_weekday(w->start) - w->rule->week_start + 7) % 7 + step * 7;
    case RECURRENCE_MONTHLY:
        month = w->start_date.year * 12 + w->start_date.month - 1 + step;
        *length = civil_month_length(month / 12, (int)(month % 12) + 1);
        return civil_to_days((struct civil){month / 12, (int)(month % 12) + 1, 1});
    case RECURRENCE_YEARLY:
        *length = civil_is_leap(w->start_date.year + step) ? 366 : 365;
        return civil_to_days((struct civil){w->start_date.year + step, 1, 1});
    case RECURRENCE_DAILY:
    case RECURRENCE_FREQS:
        break;
    }
    *length = 1;
    return w->start + step;
}

/* BYSETPOS: leaves the days at the places named. */
static void pick_places(struct walk *w)
{
    const struct recurrence_rule *rule = w->rule;
    int kept = 0;
    for (int i = 0; rule->place_count > 0 && i < w->count; i++) {
        bool is_named = false;
        for (int j = 0; j < rule->place_count && !is_named; j++)
            is_named = rule->places[j] == i + 1 || rule->places[j] == i - w->count;
        if (is_named)
            w->found[kept++] = w->found[i];
    }
    if (rule->place_count > 0)
        w->count = kept;
}

static void look_at_period(struct walk *w, int64_t first, int length)
{
    struct day d = first_day(first);
    w->count = 0;
    w->next = 0;
    w->days_looked += length;
    for (int i = 0; i < length; i++) {
        if (is_let_through(w, &d))
            w->found[w->count++] = d.at;
        go_to_next_day(&d);
    }
    pick_places(w);
}

/* ---- the walk ------------------------------------------------------------------------------- */

/* What the rule does not say is the start's. */
static void walk_init(struct walk *w, const struct recurrence_rule *rule, int64_t start)
{
    enum recurrence_freq freq = rule->freq;
    bool has_days = rule->day_count > 0 || rule->month_days || rule->month_days_back;
    memset(w, 0, sizeof(*w));
    w->rule = rule;
    w->start = start;
    w->start_date = civil_from_days(start);
    w->months = rule->months;
    w->month_days = rule->month_days;
    w->is_place_of_month = freq != RECURRENCE_YEARLY || rule->months;
    if (!has_days && freq == RECURRENCE_WEEKLY)
        w->weekdays = UINT32_C(1) << civil_weekday(start);
    if (!has_days && (freq == RECURRENCE_MONTHLY || freq == RECURRENCE_YEARLY))
        w->month_days = UINT32_C(1) << w->start_date.day;
    if (!has_days && freq == RECURRENCE_YEARLY && !rule->months)
        w->months = UINT32_C(1) << w->start_date.month;
}

/* Days in their order, from the start's period on, those before the start too. */
static enum occurrence_outcome walk_next(struct walk *w, int64_t *day)
{
    while (w->next == w->count) {
        int length;
        int64_t first = find_period(w, &length);
        if (civil_from_days(first).year > YEAR_MAX)
            return OCCURRENCE_ENDED;
        if (w->days_looked + length > OCCURRENCE_DAYS_MAX)
            return OCCURRENCE_TOO_RARE;
        look_at_period(w, first, length);
        w->period++;
    }
    *day = w->found[w->next++];
    return OCCURRENCE_FOUND;
}

/* ---- occurrences ---------------------------------------------------------------------------- */

static bool is_at(const struct occurrence *o, const struct recurrence_time *time)
{
    switch (time->form) {
    case RECURRENCE_UTC:
        return floor_div(o->due_us, 1000000) == floor_div(time->us, 1000000);
    case RECURRENCE_WALL:
        return floor_div(o->wall_us, 1000000) == floor_div(time->us, 1000000);
    case RECURRENCE_DAY:
        return floor_div(o->wall_us, DAY_US) == floor_div(time->us, DAY_US);
    case RECURRENCE_NO_TIME:
        break;
    }
    return false;
}

static bool is_left_out(const struct recurrence_rule *rule, const struct occurrence *o)
{
    for (int i = 0; i < rule->exdate_count; i++) {
        if (is_at(o, &rule->exdates[i]))
            return true;
    }
    return false;
}

static bool is_over(const struct recurrence_rule *rule, const struct occurrence *o)
{
    if ((rule->count > 0 && o->number > rule->count) || o->due_us > LAST_TIME_US)
        return true;
    if (rule->until.form == RECURRENCE_UTC)
        return o->due_us > rule->until.us;
    return rule->until.form == RECURRENCE_DAY &&
           floor_div(o->wall_us, DAY_US) > floor_div(rule->until.us, DAY_US);
}

enum occurrence_outcome occurrence_next(const struct recurrence_rule *rule, const struct zone *zone,
                                        const struct occurrence *from, struct occurrence *out)
{
    bool is_as_given = from->has_wall && zone_from_wall(zone, from->wall_us) == from->due_us;
    int64_t start = is_as_given ? from->wall_us : zone_to_wall(zone, from->due_us);
    int64_t start_day = floor_div(start, DAY_US);
    int64_t own_day = from->has_wall ? floor_div(from->wall_us, DAY_US) : start_day;
    int64_t last_day = own_day > start_day ? own_day : start_day; /* a day has one at most */
    struct occurrence o = {.has_wall = true, .number = from->number};
    enum occurrence_outcome outcome;
    struct walk walk;
    int64_t day;
    walk_init(&walk, rule, start_day);
    while ((outcome = walk_next(&walk, &day)) == OCCURRENCE_FOUND) {
        if (day <= last_day)
            continue;
        o.wall_us = start + (day - start_day) * DAY_US;
        o.number++;
        o.due_us = zone_from_wall(zone, o.wall_us);
        if (is_over(rule, &o))
            return OCCURRENCE_ENDED;
        if (is_left_out(rule, &o))
            continue;
        *out = o;
        return OCCURRENCE_FOUND;
    }
    return outcome;
}
