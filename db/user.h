#pragma once
/* db/user: the users row behind an authenticated subject. */
#include "db/pool.h"

struct db_user_reply {
    int64_t id;
    struct slice subject, email, timezone;
};
typedef void (*db_user_fn)(void *ctx, int status, const struct db_user_reply *user,
                           const struct error *err);
/* Finds the user with this subject or makes it (`zone`: its time zone where it is new; empty: UTC).
 */
int db_user_ensure(struct db_pool *p, struct slice subject, struct slice zone, db_user_fn fn,
                   void *ctx, db_op_id *id, struct error *err);
