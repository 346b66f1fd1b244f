#pragma once
/* db/api_key_int: the statements of api_key.c, for the tests that look at their plans. */
#include "db/pool.h"

enum { API_KEY_CREATE, API_KEY_LIST, API_KEY_REVOKE, API_KEY_FIND, API_KEY_TOUCH, API_KEY_STMTS };
extern const struct db_stmt api_key_stmts[API_KEY_STMTS];
