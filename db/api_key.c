#include "db/api_key.h"

#include <stdio.h>

#include "base/error.h"
#include "base/mem.h"
#include "db/api_key_int.h"
#include "db/call_int.h"

enum {
    COL_OUTCOME,
    COL_ID,
    COL_USER_ID,
    COL_NAME,
    COL_SUBJECT,
    COL_SCOPES,
    COL_KEY_HASH,
    COL_CREATED_AT,
    COL_EXPIRES_AT,
    COL_REVOKED_AT,
    COL_LAST_USED_AT
};

#define COLUMNS                                                                                    \
    "0, k.id, k.user_id, k.name, u.subject, array_to_string(k.scopes, ' '), k.key_hash,"           \
    " k.created_at, k.expires_at, k.revoked_at, k.last_used_at"
#define USER " join todo.users u on u.id = k.user_id"

const struct db_stmt api_key_stmts[API_KEY_STMTS] = {
    [API_KEY_CREATE] = {.name = "api_key_create",
                        .sql = "with k as (insert into todo.api_keys"
                               " (user_id, name, scopes, key_hash, expires_at)"
                               " values ($1::bigint, $2::text, string_to_array($3::text, ' '),"
                               " $4::bytea, $5::timestamptz) returning *)"
                               " select " COLUMNS " from k" USER,
                        .param_count = 5,
                        .is_write = true},
    [API_KEY_LIST] = {.name = "api_key_list",
                      .sql = "select " COLUMNS " from todo.api_keys k" USER
                             " order by k.id limit 10000"},
    [API_KEY_REVOKE] = {.name = "api_key_revoke",
                        .sql = "with k as (update todo.api_keys"
                               " set revoked_at = coalesce(revoked_at, clock_timestamp())"
                               " where id = $1::bigint returning *)"
                               " select " COLUMNS " from k" USER,
                        .param_count = 1,
                        .is_write = true},
    [API_KEY_FIND] = {.name = "api_key_find",
                      .sql = "select " COLUMNS " from todo.api_keys k" USER
                             " where k.key_hash = $1::bytea",
                      .param_count = 1},
    [API_KEY_TOUCH] = {.name = "api_key_touch",
                       .sql = "update todo.api_keys set last_used_at = clock_timestamp()"
                              " where user_id = $1::bigint and id = $2::bigint and"
                              " (last_used_at is null or"
                              " last_used_at < clock_timestamp() - interval '1 minute')",
                       .param_count = 2,
                       .is_write = true},
};

/* ---- answers ---- */

static void decode_key(const struct db_result *res, int row, struct db_api_key *out)
{
    *out = (struct db_api_key){
        .id = db_result_int(res, row, COL_ID),
        .user_id = db_result_int(res, row, COL_USER_ID),
        .name = db_result_text(res, row, COL_NAME),
        .subject = db_result_text(res, row, COL_SUBJECT),
        .scopes = db_result_text(res, row, COL_SCOPES),
        .key_hash = db_result_text(res, row, COL_KEY_HASH),
        .created_at = db_result_time(res, row, COL_CREATED_AT),
        .expires_at = db_result_time(res, row, COL_EXPIRES_AT),
        .revoked_at = db_result_time(res, row, COL_REVOKED_AT),
        .last_used_at = db_result_time(res, row, COL_LAST_USED_AT),
    };
}

static void keys_done(struct db_call *call, int status, const struct db_result *res,
                      const struct error *err)
{
    struct error own;
    if (status) {
        call->fn.api_key(call->ctx, status, NULL, err);
        return;
    }
    int rows = db_result_rows(res);
    struct db_api_key *keys = mem_calloc((size_t)rows + 1, sizeof(*keys));
    if (!keys) {
        error_set(&own, DB_ENOMEM, NULL, "out of memory");
        call->fn.api_key(call->ctx, DB_ENOMEM, NULL, &own);
        return;
    }
    for (int row = 0; row < rows; row++)
        decode_key(res, row, &keys[row]);
    struct db_api_key_reply reply = {.keys = keys, .count = rows};
    call->fn.api_key(call->ctx, 0, &reply, NULL);
    mem_free(keys);
}

/* ---- operations ---- */

static int submit(struct db_pool *p, int which, const struct db_args *args, db_api_key_fn fn,
                  void *ctx, db_op_id *id, struct error *err)
{
    struct db_call call = {
        .pool = p, .stmt = &api_key_stmts[which], .done = keys_done, .fn.api_key = fn, .ctx = ctx};
    return call_submit(&call, args, id, err);
}

/* PostgreSQL's text for bytea: "\x" and hexadecimal digits. */
#define HASH_TEXT_SIZE (2 + 2 * DB_API_KEY_HASH_SIZE + 1)

static void params_hash(struct db_args *args, const unsigned char *hash, char text[HASH_TEXT_SIZE])
{
    text[0] = '\\';
    text[1] = 'x';
    for (size_t i = 0; i < DB_API_KEY_HASH_SIZE; i++)
        snprintf(text + 2 + 2 * i, 3, "%02x", hash[i]);
    params_text(args, (struct slice){text, HASH_TEXT_SIZE - 1});
}

int db_api_key_create(struct db_pool *p, const struct db_api_key_new *key, db_api_key_fn fn,
                      void *ctx, db_op_id *id, struct error *err)
{
    char hash[HASH_TEXT_SIZE];
    struct db_args args = {0};
    params_int(&args, key->user_id);
    params_text(&args, key->name);
    params_text(&args, key->scopes);
    params_hash(&args, key->key_hash, hash);
    if (key->expires_at)
        params_time(&args, key->expires_at);
    else
        params_null(&args);
    return submit(p, API_KEY_CREATE, &args, fn, ctx, id, err);
}

int db_api_key_list(struct db_pool *p, db_api_key_fn fn, void *ctx, db_op_id *id, struct error *err)
{
    struct db_args args = {0};
    return submit(p, API_KEY_LIST, &args, fn, ctx, id, err);
}

int db_api_key_revoke(struct db_pool *p, int64_t key_id, db_api_key_fn fn, void *ctx, db_op_id *id,
                      struct error *err)
{
    struct db_args args = {0};
    params_int(&args, key_id);
    return submit(p, API_KEY_REVOKE, &args, fn, ctx, id, err);
}

int db_api_key_find(struct db_pool *p, const unsigned char key_hash[DB_API_KEY_HASH_SIZE],
                    db_api_key_fn fn, void *ctx, db_op_id *id, struct error *err)
{
    char hash[HASH_TEXT_SIZE];
    struct db_args args = {0};
    params_hash(&args, key_hash, hash);
    return submit(p, API_KEY_FIND, &args, fn, ctx, id, err);
}

int db_api_key_touch(struct db_pool *p, int64_t user_id, int64_t key_id, db_api_key_fn fn,
                     void *ctx, db_op_id *id, struct error *err)
{
    struct db_args args = {0};
    params_int(&args, user_id);
    params_int(&args, key_id);
    return submit(p, API_KEY_TOUCH, &args, fn, ctx, id, err);
}
