/* API keys against a real PostgreSQL. */
#include "fixture.h"

#include "db/api_key.h"

struct key_answer {
    struct fixture *f;
    bool is_done;
    int status;
    struct error err;
    int count;
    struct db_api_key keys[16]; /* copied */
};

static struct slice keep(struct fixture *f, struct slice text)
{
    return text.ptr ? (struct slice){arena_copy(&f->arena, text), text.len} : text;
}

static void on_keys(void *ctx, int status, const struct db_api_key_reply *reply,
                    const struct error *err)
{
    struct key_answer *a = ctx;
    a->is_done = true;
    a->status = status;
    if (status) {
        a->err = *err;
        return;
    }
    a->count = reply->count;
    for (int i = 0; i < reply->count && i < 16; i++) {
        a->keys[i] = reply->keys[i];
        a->keys[i].name = keep(a->f, reply->keys[i].name);
        a->keys[i].subject = keep(a->f, reply->keys[i].subject);
        a->keys[i].scopes = keep(a->f, reply->keys[i].scopes);
        a->keys[i].key_hash = keep(a->f, reply->keys[i].key_hash);
    }
}

/* `submitted` is what the call returned. */
static void finish(struct key_answer *a, int submitted)
{
    assert_int_equal(submitted, 0);
    fixture_wait(a->f, &a->is_done);
}

static void fill_hash(unsigned char hash[DB_API_KEY_HASH_SIZE], const struct fixture *f, int which)
{
    memset(hash, which, DB_API_KEY_HASH_SIZE);
    memcpy(hash, &f->user, sizeof(f->user));
}

static struct key_answer create(struct fixture *f, const char *name, int which, int64_t expires_at)
{
    unsigned char hash[DB_API_KEY_HASH_SIZE];
    struct key_answer a = {.f = f};
    fill_hash(hash, f, which);
    const struct db_api_key_new key = {.user_id = f->user,
                                       .name = slice_from_cstr(name),
                                       .scopes = SLICE_LIT("tasks:read tasks:write"),
                                       .key_hash = hash,
                                       .expires_at = expires_at};
    finish(&a, db_api_key_create(f->pool, &key, on_keys, &a, NULL, NULL));
    return a;
}

static struct key_answer find(struct fixture *f, int which)
{
    unsigned char hash[DB_API_KEY_HASH_SIZE];
    struct key_answer a = {.f = f};
    fill_hash(hash, f, which);
    finish(&a, db_api_key_find(f->pool, hash, on_keys, &a, NULL, NULL));
    assert_int_equal(a.status, 0);
    return a;
}

static struct key_answer revoke_key(struct fixture *f, int64_t id)
{
    struct key_answer a = {.f = f};
    finish(&a, db_api_key_revoke(f->pool, id, on_keys, &a, NULL, NULL));
    assert_int_equal(a.status, 0);
    return a;
}

static void touch(struct fixture *f, int64_t id)
{
    struct key_answer a = {.f = f};
    finish(&a, db_api_key_touch(f->pool, f->user, id, on_keys, &a, NULL, NULL));
    assert_int_equal(a.status, 0);
    assert_int_equal(a.count, 0);
}

static void a_created_key_is_found_by_its_hash_alone(void **state)
{
    struct fixture *f = *state;
    int64_t expires_at = INT64_C(1900000000123456);
    struct key_answer a = create(f, "laptop", 1, expires_at);
    assert_int_equal(a.status, 0);
    assert_int_equal(a.count, 1);
    struct key_answer found = find(f, 1);
    assert_int_equal(found.count, 1);
    const struct db_api_key *k = &found.keys[0];
    assert_int_equal(k->id, a.keys[0].id);
    assert_int_equal(k->user_id, f->user);
    assert_slice(k->name, "laptop");
    assert_slice(k->scopes, "tasks:read tasks:write");
    assert_int_equal(k->expires_at, expires_at);
    assert_true(k->created_at > 0);
    assert_int_equal(k->revoked_at, 0);
    assert_int_equal(k->last_used_at, 0);
    unsigned char hash[DB_API_KEY_HASH_SIZE];
    fill_hash(hash, f, 1);
    assert_int_equal(k->key_hash.len, sizeof(hash));
    assert_memory_equal(k->key_hash.ptr, hash, sizeof(hash));
    assert_int_equal(find(f, 2).count, 0);
}

static void a_key_may_last_for_ever(void **state)
{
    struct fixture *f = *state;
    create(f, "x", 1, 0);
    assert_int_equal(find(f, 1).keys[0].expires_at, 0);
}

static void the_same_hash_twice_is_refused(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(create(f, "x", 1, 0).status, 0);
    assert_int_equal(create(f, "y", 1, 0).status, DB_EUNIQUE);
}

static void a_name_without_a_character_is_refused(void **state)
{
    struct fixture *f = *state;
    assert_int_not_equal(create(f, "", 1, 0).status, 0);
}

static void a_revoked_key_keeps_the_time_of_its_first_revocation(void **state)
{
    struct fixture *f = *state;
    int64_t id = create(f, "x", 1, 0).keys[0].id;
    int64_t at = revoke_key(f, id).keys[0].revoked_at;
    assert_true(at > 0);
    assert_int_equal(revoke_key(f, id).keys[0].revoked_at, at);
    assert_int_equal(find(f, 1).keys[0].revoked_at, at);
    assert_int_equal(revoke_key(f, id + 1000000).count, 0);
}

static void its_use_is_noted_at_most_once_a_minute(void **state)
{
    struct fixture *f = *state;
    int64_t id = create(f, "x", 1, 0).keys[0].id;
    touch(f, id);
    int64_t at = find(f, 1).keys[0].last_used_at;
    assert_true(at > 0);
    touch(f, id);
    assert_int_equal(find(f, 1).keys[0].last_used_at, at);
    postgres_run(f->pg, "update todo.api_keys set last_used_at = last_used_at - interval '61 s'");
    touch(f, id);
    assert_true(find(f, 1).keys[0].last_used_at > at);
}

static void a_list_has_each_users_keys_the_oldest_first(void **state)
{
    struct fixture *f = *state;
    struct key_answer a = {.f = f};
    postgres_run(f->pg, "delete from todo.api_keys");
    create(f, "first", 1, 0);
    create(f, "second", 2, 0);
    finish(&a, db_api_key_list(f->pool, on_keys, &a, NULL, NULL));
    assert_int_equal(a.count, 2);
    assert_slice(a.keys[0].name, "first");
    assert_slice(a.keys[1].name, "second");
    assert_true(a.keys[0].subject.len > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        db_test(a_created_key_is_found_by_its_hash_alone),
        db_test(a_key_may_last_for_ever),
        db_test(the_same_hash_twice_is_refused),
        db_test(a_name_without_a_character_is_refused),
        db_test(a_revoked_key_keeps_the_time_of_its_first_revocation),
        db_test(its_use_is_noted_at_most_once_a_minute),
        db_test(a_list_has_each_users_keys_the_oldest_first),
    };
    return cmocka_run_group_tests(tests, postgres_setup, postgres_teardown);
}
