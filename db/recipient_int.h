#pragma once
/* db/recipient_int: the statement of recipient.c, for the tests that look at its plan. */
#include "db/pool.h"

extern const struct db_stmt recipient_stmt;
