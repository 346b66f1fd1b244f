#pragma once
/* db/user_int: the statement of user.c, for the tests that look at its plan. */
#include "db/pool.h"

extern const struct db_stmt user_ensure_stmt;
