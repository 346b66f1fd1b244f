#pragma once
/* db/inbox_int: the statements of inbox.c, for the tests that look at their plans. */
#include "db/pool.h"

extern const struct db_stmt inbox_add_stmt, inbox_look_stmt;
