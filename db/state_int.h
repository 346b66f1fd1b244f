#pragma once
/* db/state_int: the statements of state.c, for the tests that look at their plans. */
#include "db/pool.h"

enum { STATE_GET, STATE_SAVE, STATE_SAVE_UNCHANGED, STATE_DELETE, STATE_PRUNE, STATE_STMTS };
extern const struct db_stmt state_stmts[STATE_STMTS];
