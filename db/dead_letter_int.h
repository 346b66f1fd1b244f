#pragma once
/* db/dead_letter_int: the statements of dead_letter.c, for the tests that look at their plans. */
#include "db/dead_letter.h"

enum { DEAD_LETTER_ADD, DEAD_LETTER_LIST, DEAD_LETTER_GET, DEAD_LETTER_REPLAY, DEAD_LETTER_STMTS };
extern const struct db_stmt dead_letter_stmts[DEAD_LETTER_STMTS];
