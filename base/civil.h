#pragma once
/* base/civil: days of the proleptic Gregorian calendar, counted from 1970-01-01. Pure. */
#include <stdbool.h>
#include <stdint.h>

struct civil {
    int64_t year;
    int month, day; /* from 1 */
};

int64_t civil_to_days(struct civil c);
struct civil civil_from_days(int64_t days);
/* 0 is Monday. */
int civil_weekday(int64_t days);
bool civil_is_leap(int64_t year);
int civil_month_length(int64_t year, int month);
