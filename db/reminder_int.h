#pragma once
/* db/reminder_int: the statements of reminder.c, for the tests that look at their plans. */
#include "db/pool.h"

extern const struct db_stmt reminder_fire_stmt, reminder_next_stmt;
