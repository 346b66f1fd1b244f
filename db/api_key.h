#pragma once
/* db/api_key: the rows of API keys. The key itself never comes here, only its SHA-256: a key is 256
 * random bits, so that a plain hash of it tells nothing and a slow one would only cost time. */
#include "db/pool.h"

#define DB_API_KEY_HASH_SIZE 32
#define DB_API_KEY_NAME_MAX  100 /* characters */

struct db_api_key {
    int64_t id, user_id;
    struct slice name, subject;
    struct slice scopes;                                      /* names, parted by spaces */
    struct slice key_hash;                                    /* DB_API_KEY_HASH_SIZE bytes */
    int64_t created_at, expires_at, revoked_at, last_used_at; /* 0: never */
};

struct db_api_key_reply {
    const struct db_api_key *keys; /* borrowed until the callback returns */
    int count;
};
typedef void (*db_api_key_fn)(void *ctx, int status, const struct db_api_key_reply *reply,
                              const struct error *err);

struct db_api_key_new {
    int64_t user_id;
    struct slice name;   /* 1–100 characters */
    struct slice scopes; /* names, parted by single spaces */
    const unsigned char *key_hash;
    int64_t expires_at; /* 0: never */
};
/* All return as db_pool_submit. */
int db_api_key_create(struct db_pool *p, const struct db_api_key_new *key, db_api_key_fn fn,
                      void *ctx, db_op_id *id, struct error *err);
/* Those of all users, the oldest first; at most 10,000. */
int db_api_key_list(struct db_pool *p, db_api_key_fn fn, void *ctx, db_op_id *id,
                    struct error *err);
/* The key with its time of revocation, which is the first one's where it is repeated; count 0:
 * there is none with this id. */
int db_api_key_revoke(struct db_pool *p, int64_t key_id, db_api_key_fn fn, void *ctx, db_op_id *id,
                      struct error *err);
/* Also one that is expired or revoked; count 0: none. */
int db_api_key_find(struct db_pool *p, const unsigned char key_hash[DB_API_KEY_HASH_SIZE],
                    db_api_key_fn fn, void *ctx, db_op_id *id, struct error *err);
/* Notes that it was used, unless that was noted within the last minute; count is 0. */
int db_api_key_touch(struct db_pool *p, int64_t user_id, int64_t key_id, db_api_key_fn fn,
                     void *ctx, db_op_id *id, struct error *err);
