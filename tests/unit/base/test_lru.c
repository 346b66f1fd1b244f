#include "support/mem_loop.h"
#include "support/unit.h"

#include "base/error.h"
#include "base/lru.h"

static struct slice key_of(const int *number)
{
    return (struct slice){(const char *)number, sizeof(*number)};
}

static void put(struct lru *l, int key, int value)
{
    int *at = lru_put(l, key_of(&key));
    assert_non_null(at);
    *at = value;
}

static int get(struct lru *l, int key)
{
    const int *at = lru_get(l, key_of(&key));
    return at ? *at : -1;
}

static void a_value_is_found_by_its_key_alone(void **state)
{
    (void)state;
    struct lru *l = NULL;
    assert_int_equal(lru_new(sizeof(int), 1000, &l), 0);
    for (int i = 0; i < 1000; i++)
        put(l, i, i * 2);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(get(l, i), i * 2);
    assert_int_equal(get(l, 1000), -1);
    assert_int_equal(lru_count(l), 1000);
    lru_free(l);
}

static void keys_of_any_length_are_told_apart(void **state)
{
    (void)state;
    static const char text[] = "\0\0abcdefghijklmnopqrstuvwxyz";
    struct lru *l = NULL;
    assert_int_equal(lru_new(sizeof(size_t), 100, &l), 0);
    for (size_t len = 0; len < sizeof(text); len++) {
        size_t *at = lru_put(l, (struct slice){text, len});
        assert_non_null(at);
        assert_int_equal(*at, 0);
        *at = len + 1;
    }
    for (size_t len = 0; len < sizeof(text); len++)
        assert_int_equal(*(size_t *)lru_get(l, (struct slice){text, len}), len + 1);
    lru_free(l);
}

static void a_full_map_drops_what_was_unused_longest(void **state)
{
    (void)state;
    struct lru *l = NULL;
    assert_int_equal(lru_new(sizeof(int), 3, &l), 0);
    put(l, 1, 10);
    put(l, 2, 20);
    put(l, 3, 30);
    assert_int_equal(get(l, 1), 10); /* used: now 2 is the oldest */
    put(l, 4, 40);
    assert_int_equal(get(l, 2), -1);
    assert_int_equal(get(l, 1), 10);
    assert_int_equal(get(l, 3), 30);
    assert_int_equal(get(l, 4), 40);
    assert_int_equal(*(int *)lru_oldest(l), 10);
    lru_free(l);
}

static void removed_entries_are_gone_and_a_put_again_starts_at_zero(void **state)
{
    (void)state;
    struct lru *l = NULL;
    int one = 1;
    assert_int_equal(lru_new(sizeof(int), 3, &l), 0);
    put(l, 1, 10);
    put(l, 2, 20);
    lru_remove(l, key_of(&one));
    lru_remove(l, key_of(&one));
    assert_int_equal(get(l, 1), -1);
    assert_int_equal(*(int *)lru_put(l, key_of(&one)), 0);
    lru_remove_oldest(l);
    assert_int_equal(get(l, 2), -1);
    lru_clear(l);
    assert_int_equal(lru_count(l), 0);
    assert_null(lru_oldest(l));
    lru_remove_oldest(l);
    lru_free(l);
    lru_free(NULL);
}

static void running_out_of_memory_loses_nothing(void **state)
{
    (void)state;
    struct mem_loop loop = {0};
    while (mem_loop_next(&loop)) {
        struct lru *l = NULL;
        int status = lru_new(sizeof(int), 2, &l);
        int key = 7;
        int *at = status ? NULL : lru_put(l, key_of(&key));
        mem_loop_expect(&loop, at ? 0 : BASE_ENOMEM, BASE_ENOMEM);
        if (l)
            assert_int_equal(lru_count(l), at ? 1 : 0);
        lru_free(l);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_is_found_by_its_key_alone),
        cmocka_unit_test(keys_of_any_length_are_told_apart),
        cmocka_unit_test(a_full_map_drops_what_was_unused_longest),
        cmocka_unit_test(removed_entries_are_gone_and_a_put_again_starts_at_zero),
        cmocka_unit_test(running_out_of_memory_loses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
