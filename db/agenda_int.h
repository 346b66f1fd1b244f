#pragma once
/* db/agenda_int: the statements of agenda.c, for the tests that look at their plans. */
#include "db/agenda.h"

extern const struct db_stmt agenda_stmts[3]; /* by enum db_agenda */
extern const struct db_stmt agenda_category_stmt, day_stmt;
