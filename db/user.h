#pragma once
/* db/user: the users row behind an authenticated subject. */
#include "db/pool.h"

struct db_user_reply {
    int64_t id;
    struct slice subject, email, timezone;
};
typedef void (*db_user_fn)(void *ctx, int status, const struct db_user_reply *user,
                           const struct error *err);
struct db_user_ask {
    struct slice subject;
    struct slice zone;  /* where the user is new; empty: UTC */
    struct slice email; /* is stored where it differs; empty: it is not known, and stays as it is */
};
/* Finds the user with this subject or makes it. */
int db_user_ensure(struct db_pool *p, const struct db_user_ask *ask, db_user_fn fn, void *ctx,
                   db_op_id *id, struct error *err);
