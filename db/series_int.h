#pragma once
/* db/series_int: the statements of series.c, for the tests that look at their plans. */
#include "db/pool.h"

extern const struct db_stmt series_get_stmt, series_continue_stmt;
