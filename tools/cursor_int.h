#pragma once
/* tools/cursor: a db_cursor as opaque text for clients, and back.
 *
 * The text is base64url of 27 bytes: version, flags, a 32-bit hash of the query that the cursor
 * belongs to (user, tool, filters, order), the key and id of the last row, a 40-bit checksum. It
 * is no secret and grants nothing (every statement carries the user); the checksum and the hash
 * turn a damaged or misplaced cursor into a clear refusal instead of a wrong page. */
#include <stdint.h>

#include "base/slice.h"
#include "db/task.h"

#define CURSOR_TEXT_SIZE 37 /* 36 characters and a NUL */

/* The query that a cursor is good for; limit, fields and include_total may change between pages. */
uint32_t cursor_scope_list(int64_t user_id, const struct db_task_filter *filter);
uint32_t cursor_scope_search(int64_t user_id, struct slice query, int status);

/* The place after `last`, the last row of a list page. */
struct db_cursor cursor_after(const struct db_task *last, enum db_sort sort);

void cursor_encode(const struct db_cursor *cursor, uint32_t scope, char out[CURSOR_TEXT_SIZE]);
enum cursor_status { CURSOR_OK, CURSOR_DAMAGED, CURSOR_OTHER_QUERY };
enum cursor_status cursor_decode(struct slice text, uint32_t scope, struct db_cursor *out);
