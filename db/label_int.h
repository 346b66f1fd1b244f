#pragma once
/* db/label_int: the statements of label.c, for the tests that look at their plans. */
#include "db/label.h"

enum { LABEL_CREATE, LABEL_LIST, LABEL_GET, LABEL_UPDATE, LABEL_DELETE, LABEL_STMTS };
extern const struct db_stmt label_stmts[2][LABEL_STMTS]; /* by kind */
