/* The state store over the table todo.state. */
#include "fixture.h"

#include "base/mem.h"
#include "base/secret.h"
#include "db/state.h"
#include "shared/state_store.h"
#include "support/mem_loop.h"

struct stage {
    struct fixture *f;
    struct state_store *store; /* NULL once closed */
};

struct answer {
    int count;
    int status;
    bool is_found;
    char value[256], etag[64], text[256];
};

/* ---- life ---- */

static void on_closed(void *ctx)
{
    ((struct stage *)ctx)->store = NULL;
}

static int setup(void **state)
{
    assert_int_equal(fixture_setup(state), 0);
    struct stage *s = test_calloc(1, sizeof(*s));
    s->f = *state;
    assert_int_equal(state_store_db_new(&s->f->loop, s->f->pool, &s->store), 0);
    *state = s;
    return 0;
}

static void close_store(struct stage *s)
{
    state_close(s->store, on_closed, s);
    while (s->store)
        uv_run(&s->f->loop, UV_RUN_ONCE);
}

static int teardown(void **state)
{
    struct stage *s = *state;
    if (s->store)
        close_store(s);
    postgres_run(s->f->pg, "delete from todo.state");
    *state = s->f;
    test_free(s);
    return fixture_teardown(state);
}

/* ---- calls ---- */

static void keep(char *out, size_t size, struct slice text)
{
    snprintf(out, size, "%.*s", (int)text.len, text.len ? text.ptr : "");
}

static void on_get(void *ctx, int status, const struct state_entry *entry, const struct error *err)
{
    struct answer *a = ctx;
    a->count++;
    a->status = status;
    assert_true((status == 0) == (entry != NULL) && (status == 0) == (err == NULL));
    if (err)
        snprintf(a->text, sizeof(a->text), "%s", err->text);
    if (!entry)
        return;
    a->is_found = entry->is_found;
    keep(a->value, sizeof(a->value), entry->value);
    keep(a->etag, sizeof(a->etag), entry->etag);
}

static void on_done(void *ctx, int status, const struct error *err)
{
    struct answer *a = ctx;
    a->count++;
    a->status = status;
    assert_true((status == 0) == (err == NULL));
}

static void wait_for(struct stage *s, const struct answer *a)
{
    while (a->count == 0)
        assert_true(uv_run(&s->f->loop, UV_RUN_ONCE) || a->count > 0);
}

static struct answer get(struct stage *s, const char *key)
{
    struct answer a = {0};
    assert_int_equal(state_get(s->store, slice_from_cstr(key), on_get, &a, NULL), 0);
    assert_int_equal(a.count, 0);
    wait_for(s, &a);
    return a;
}

static struct state_save save_of(const char *key, const char *value, enum state_when when)
{
    return (struct state_save){
        .key = slice_from_cstr(key), .value = slice_from_cstr(value), .when = when};
}

static int save(struct stage *s, const struct state_save *save)
{
    struct answer a = {0};
    assert_int_equal(state_save(s->store, save, on_done, &a, NULL), 0);
    assert_int_equal(a.count, 0);
    wait_for(s, &a);
    return a.status;
}

static void expire(struct stage *s, const char *key)
{
    postgres_run(s->f->pg, "update todo.state set expires_at = now() where key = '%s'", key);
}

/* ---- tests ---- */

static void what_is_saved_is_got(void **state)
{
    struct stage *s = *state;
    struct state_save first = save_of("a", "{\"n\": 1}", STATE_ALWAYS);
    struct state_save second = save_of("a", "[2]", STATE_ALWAYS);
    assert_string_equal(state_store_name(s->store), "database");
    assert_int_equal(save(s, &first), 0);
    struct answer one = get(s, "a");
    assert_string_equal(one.value, "{\"n\": 1}");
    assert_int_equal(save(s, &second), 0);
    struct answer two = get(s, "a");
    assert_string_equal(two.value, "[2]");
    assert_true(one.etag[0] && two.etag[0]);
    assert_string_not_equal(one.etag, two.etag);
}

static void what_is_absent_is_not_found(void **state)
{
    struct stage *s = *state;
    struct answer a = get(s, "nothing");
    assert_int_equal(a.status, 0);
    assert_false(a.is_found);
}

static void a_value_is_gone_after_its_time(void **state)
{
    struct stage *s = *state;
    struct state_save item = save_of("short", "1", STATE_ALWAYS);
    item.ttl_s = 1;
    assert_int_equal(save(s, &item), 0);
    assert_true(get(s, "short").is_found);
    while (get(s, "short").is_found)
        uv_run(&s->f->loop, UV_RUN_NOWAIT);
    assert_true(postgres_int(s->f->pg, "select (now() - expires_at >= '0')::int from todo.state"));
}

static void a_value_without_a_time_stays(void **state)
{
    struct stage *s = *state;
    struct state_save item = save_of("long", "1", STATE_ALWAYS);
    assert_int_equal(save(s, &item), 0);
    assert_int_equal(postgres_int(s->f->pg, "select count(*) from todo.state where key = 'long'"
                                            " and expires_at is null"),
                     1);
}

static void the_first_write_wins(void **state)
{
    struct stage *s = *state;
    struct state_save first = save_of("c", "1", STATE_IF_ABSENT);
    struct state_save second = save_of("c", "2", STATE_IF_ABSENT);
    assert_int_equal(save(s, &first), 0);
    assert_int_equal(save(s, &second), STATE_ECONFLICT);
    assert_string_equal(get(s, "c").value, "1");
    expire(s, "c");
    assert_int_equal(save(s, &second), 0);
    assert_string_equal(get(s, "c").value, "2");
}

static void of_many_that_claim_at_once_one_wins(void **state)
{
    struct stage *s = *state;
    struct state_save item = save_of("claim", "1", STATE_IF_ABSENT);
    struct answer answers[24] = {0};
    int won = 0;
    for (size_t i = 0; i < 24; i++)
        assert_int_equal(state_save(s->store, &item, on_done, &answers[i], NULL), 0);
    for (size_t i = 0; i < 24; i++) {
        wait_for(s, &answers[i]);
        won += answers[i].status == 0;
        assert_true(answers[i].status == 0 || answers[i].status == STATE_ECONFLICT);
    }
    assert_int_equal(won, 1);
}

static void a_write_that_rests_on_an_old_value_changes_nothing(void **state)
{
    struct stage *s = *state;
    struct state_save item = save_of("u", "1", STATE_ALWAYS);
    assert_int_equal(save(s, &item), 0);
    struct answer read = get(s, "u");
    struct state_save next = save_of("u", "2", STATE_IF_UNCHANGED);
    next.etag = slice_from_cstr(read.etag);
    assert_int_equal(save(s, &next), 0);
    next.value = SLICE_LIT("3");
    assert_int_equal(save(s, &next), STATE_ECONFLICT);
    next.etag = SLICE_LIT("no such tag");
    assert_int_equal(save(s, &next), STATE_ECONFLICT);
    assert_string_equal(get(s, "u").value, "2");
}

static void what_is_absent_or_expired_has_no_old_value(void **state)
{
    struct stage *s = *state;
    struct state_save item = save_of("e", "1", STATE_ALWAYS);
    assert_int_equal(save(s, &item), 0);
    struct answer read = get(s, "e");
    struct state_save next = save_of("e", "2", STATE_IF_UNCHANGED);
    next.etag = slice_from_cstr(read.etag);
    expire(s, "e");
    assert_int_equal(save(s, &next), STATE_ECONFLICT);
    next.key = SLICE_LIT("other");
    assert_int_equal(save(s, &next), STATE_ECONFLICT);
    assert_false(get(s, "other").is_found);
}

static void a_deleted_key_is_absent(void **state)
{
    struct stage *s = *state;
    struct state_save item = save_of("d", "1", STATE_ALWAYS);
    assert_int_equal(save(s, &item), 0);
    for (int i = 0; i < 2; i++) { /* again is no error */
        struct answer a = {0};
        assert_int_equal(state_delete(s->store, SLICE_LIT("d"), on_done, &a, NULL), 0);
        wait_for(s, &a);
        assert_int_equal(a.status, 0);
    }
    assert_false(get(s, "d").is_found);
}

static void refuses(struct stage *s, struct slice key, struct slice value, int expected)
{
    struct answer a = {0};
    struct error err = {0};
    struct state_save item = {.key = key, .value = value};
    assert_int_equal(state_save(s->store, &item, on_done, &a, &err), expected);
    assert_true(err.text[0]);
    assert_int_equal(a.count, 0);
}

static void a_key_or_value_that_is_none_is_refused(void **state)
{
    struct stage *s = *state;
    const size_t size = 65537;
    char *large = test_malloc(size);
    memset(large, '1', size);
    refuses(s, SLICE_EMPTY, SLICE_LIT("1"), BASE_EINVAL);
    refuses(s, SLICE_LIT("a||b"), SLICE_LIT("1"), BASE_EINVAL);
    refuses(s, SLICE_LIT("a\0b"), SLICE_LIT("1"), BASE_EINVAL);
    refuses(s, (struct slice){large, 513}, SLICE_LIT("1"), BASE_EINVAL);
    refuses(s, SLICE_LIT("a"), SLICE_LIT("{"), BASE_ESYNTAX);
    refuses(s, SLICE_LIT("a"), SLICE_EMPTY, BASE_ESYNTAX);
    refuses(s, SLICE_LIT("a"), (struct slice){large, size}, BASE_EINVAL);
    struct state_save item = save_of("a", "1", STATE_IF_UNCHANGED);
    assert_int_equal(state_save(s->store, &item, on_done, NULL, NULL), BASE_EINVAL);
    item = save_of("a", "\"a\"", STATE_ALWAYS);
    item.key = (struct slice){large, 512};
    assert_int_equal(save(s, &item), 0);
    test_free(large);
}

static void on_pruned(void *ctx, int status, const struct db_state_reply *reply,
                      const struct error *err)
{
    struct answer *a = ctx;
    (void)err;
    a->count++;
    a->status = status ? status : (int)reply->count;
}

static void what_has_expired_is_removed_in_parts(void **state)
{
    struct stage *s = *state;
    postgres_run(s->f->pg, "insert into todo.state (key, value, expires_at)"
                           " select 'k' || n, '1', case when n %% 2 = 0 then now() end"
                           " from generate_series(1, 10) n");
    for (int left = 5; left > 0; left -= 3) {
        struct answer a = {0};
        assert_int_equal(db_state_prune(s->f->pool, 3, on_pruned, &a, NULL, NULL), 0);
        wait_for(s, &a);
        assert_int_equal(a.status, left < 3 ? left : 3);
    }
    assert_int_equal(postgres_int(s->f->pg, "select count(*) from todo.state"), 5);
}

static void closing_waits_for_what_is_in_flight(void **state)
{
    struct stage *s = *state;
    struct answer a = {0};
    struct answer b = {0};
    struct state_save item = save_of("last", "1", STATE_ALWAYS);
    assert_int_equal(state_save(s->store, &item, on_done, &a, NULL), 0);
    state_close(s->store, on_closed, s);
    assert_int_equal(state_get(s->store, SLICE_LIT("last"), on_get, &b, NULL), BASE_ECLOSED);
    while (s->store)
        uv_run(&s->f->loop, UV_RUN_ONCE);
    assert_int_equal(a.count, 1);
    assert_int_equal(a.status, 0);
    assert_int_equal(b.count, 0);
}

static void a_database_that_is_away_is_told(void **state)
{
    struct stage *s = *state;
    struct db_pool_options options = db_pool_options_default;
    close_store(s);
    fixture_close_pool(s->f, 0);
    options.conninfo = SECRET_FIXED("host=/nonexistent");
    options.statement_ms = 100;
    fixture_open_pool(s->f, &options);
    assert_int_equal(state_store_db_new(&s->f->loop, s->f->pool, &s->store), 0);
    struct answer a = get(s, "a");
    assert_int_equal(a.status, STATE_EUNAVAILABLE);
    assert_true(a.text[0]);
    struct state_save item = save_of("a", "1", STATE_ALWAYS);
    assert_int_equal(save(s, &item), STATE_EUNAVAILABLE);
}

static void running_out_of_memory_is_told_at_the_start(void **state)
{
    struct stage *s = *state;
    struct mem_loop loop = {0};
    struct state_save item = save_of("m", "{}", STATE_ALWAYS);
    while (mem_loop_next(&loop)) {
        struct answer a = {0};
        int status = state_save(s->store, &item, on_done, &a, NULL);
        assert_true(mem_loop_has_failed(&loop) == (status != 0));
        if (!status)
            wait_for(s, &a);
        assert_int_equal(a.count, status ? 0 : 1);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_is_saved_is_got),
        TEST(what_is_absent_is_not_found),
        TEST(a_value_is_gone_after_its_time),
        TEST(a_value_without_a_time_stays),
        TEST(the_first_write_wins),
        TEST(of_many_that_claim_at_once_one_wins),
        TEST(a_write_that_rests_on_an_old_value_changes_nothing),
        TEST(what_is_absent_or_expired_has_no_old_value),
        TEST(a_deleted_key_is_absent),
        TEST(a_key_or_value_that_is_none_is_refused),
        TEST(what_has_expired_is_removed_in_parts),
        TEST(closing_waits_for_what_is_in_flight),
        TEST(a_database_that_is_away_is_told),
        TEST(running_out_of_memory_is_told_at_the_start),
    };
    return cmocka_run_group_tests(tests, postgres_setup, postgres_teardown);
}
