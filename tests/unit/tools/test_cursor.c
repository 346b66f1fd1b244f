/* A cursor comes back as it went, or is refused. */
#include "support/unit.h"

#include "tools/cursor_int.h"

#define SCOPE 0xC0FFEE42u

static const struct db_cursor list_cursor = {
    .is_set = true, .key = INT64_C(1795802645123456), .id = INT64_C(9007199254740991)};

static void a_list_cursor_comes_back_as_it_went(void **state)
{
    (void)state;
    char text[CURSOR_TEXT_SIZE];
    struct db_cursor back;
    cursor_encode(&list_cursor, SCOPE, text);
    assert_int_equal(strlen(text), CURSOR_TEXT_SIZE - 1);
    assert_int_equal(cursor_decode(slice_from_cstr(text), SCOPE, &back), CURSOR_OK);
    assert_true(back.is_set);
    assert_false(back.key_is_null);
    assert_int_equal(back.key, list_cursor.key);
    assert_int_equal(back.id, list_cursor.id);
}

static void negative_keys_and_the_null_key_come_back(void **state)
{
    (void)state;
    const struct db_cursor cursors[] = {{.is_set = true, .key = -1, .id = 1},
                                        {.is_set = true, .key = INT64_MIN, .id = 2},
                                        {.is_set = true, .key_is_null = true, .id = 3}};
    for (size_t i = 0; i < 3; i++) {
        char text[CURSOR_TEXT_SIZE];
        struct db_cursor back;
        cursor_encode(&cursors[i], SCOPE, text);
        assert_int_equal(cursor_decode(slice_from_cstr(text), SCOPE, &back), CURSOR_OK);
        assert_memory_equal(&back, &cursors[i], sizeof(back));
    }
}

static void a_search_cursor_keeps_its_rank_to_the_last_bit(void **state)
{
    (void)state;
    const double ranks[] = {0.0, 0.1, 1e-300, 0.6079271, 1.0};
    for (size_t i = 0; i < sizeof(ranks) / sizeof(ranks[0]); i++) {
        struct db_cursor c = {.is_set = true, .rank = ranks[i], .is_fuzzy = i % 2, .id = 5}, back;
        char text[CURSOR_TEXT_SIZE];
        cursor_encode(&c, SCOPE, text);
        assert_int_equal(cursor_decode(slice_from_cstr(text), SCOPE, &back), CURSOR_OK);
        assert_memory_equal(&back.rank, &c.rank, sizeof(c.rank));
        assert_int_equal(back.is_fuzzy, c.is_fuzzy);
        assert_int_equal(back.key, 0);
    }
}

static void a_cursor_with_any_one_character_changed_is_refused(void **state)
{
    (void)state;
    char text[CURSOR_TEXT_SIZE];
    struct db_cursor back;
    cursor_encode(&list_cursor, SCOPE, text);
    for (size_t i = 0; i < CURSOR_TEXT_SIZE - 1; i++) {
        char was = text[i];
        for (int c = 0; c < 256; c++) {
            text[i] = (char)c;
            if (text[i] == was)
                continue;
            assert_int_not_equal(
                cursor_decode((struct slice){text, CURSOR_TEXT_SIZE - 1}, SCOPE, &back), CURSOR_OK);
            assert_false(back.is_set);
        }
        text[i] = was;
    }
}

static void a_cursor_of_another_length_is_refused(void **state)
{
    (void)state;
    char text[CURSOR_TEXT_SIZE + 4];
    struct db_cursor back;
    cursor_encode(&list_cursor, SCOPE, text);
    for (size_t len = 0; len < CURSOR_TEXT_SIZE - 1; len++)
        assert_int_equal(cursor_decode((struct slice){text, len}, SCOPE, &back), CURSOR_DAMAGED);
    memcpy(text + CURSOR_TEXT_SIZE - 1, "AAAA", 5);
    assert_int_equal(cursor_decode(slice_from_cstr(text), SCOPE, &back), CURSOR_DAMAGED);
}

static void a_cursor_of_another_query_is_told_apart_from_a_damaged_one(void **state)
{
    (void)state;
    char text[CURSOR_TEXT_SIZE];
    struct db_cursor back;
    cursor_encode(&list_cursor, SCOPE, text);
    assert_int_equal(cursor_decode(slice_from_cstr(text), SCOPE + 1, &back), CURSOR_OTHER_QUERY);
    assert_false(back.is_set);
}

static void a_list_scope_depends_on_each_filter_and_the_user(void **state)
{
    (void)state;
    const struct db_task_filter base = {.status = -1, .priority = -1, .limit = 25};
    const struct db_task_filter other[] = {
        {.status = 0, .priority = -1},
        {.status = -1, .priority = 2},
        {.status = -1, .priority = -1, .category_id = 1},
        {.status = -1, .priority = -1, .tag_count = 1, .tag_ids = {1}},
        {.status = -1, .priority = -1, .tag_count = 1, .tag_ids = {2}},
        {.status = -1, .priority = -1, .has_due_before = true, .due_before = 1},
        {.status = -1, .priority = -1, .has_due_after = true, .due_after = 1},
        {.status = -1, .priority = -1, .sort = DB_SORT_DUE_DATE},
        {.status = -1, .priority = -1, .descending = true},
    };
    uint32_t scope = cursor_scope_list(1, &base);
    assert_int_not_equal(scope, cursor_scope_list(2, &base));
    for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++) {
        assert_int_not_equal(scope, cursor_scope_list(1, &other[i]));
        for (size_t j = 0; j < i; j++)
            assert_int_not_equal(cursor_scope_list(1, &other[i]), cursor_scope_list(1, &other[j]));
    }
}

static void a_list_scope_does_not_depend_on_limit_and_total(void **state)
{
    (void)state;
    const struct db_task_filter a = {.status = -1, .limit = 25};
    const struct db_task_filter b = {.status = -1, .limit = 200, .with_total = true};
    assert_int_equal(cursor_scope_list(1, &a), cursor_scope_list(1, &b));
}

static void a_search_scope_depends_on_query_status_and_user(void **state)
{
    (void)state;
    uint32_t scope = cursor_scope_search(1, SLICE_LIT("milk"), -1);
    assert_int_not_equal(scope, cursor_scope_search(2, SLICE_LIT("milk"), -1));
    assert_int_not_equal(scope, cursor_scope_search(1, SLICE_LIT("silk"), -1));
    assert_int_not_equal(scope, cursor_scope_search(1, SLICE_LIT("milk"), 0));
    assert_int_not_equal(scope, cursor_scope_list(1, &(struct db_task_filter){.status = -1}));
}

static void the_place_after_a_row_is_its_sort_key_and_id(void **state)
{
    (void)state;
    struct db_task t = {.id = 9,
                        .created_at = 1,
                        .updated_at = 2,
                        .has_due_date = true,
                        .due_date = 3,
                        .priority = DB_PRIORITY_URGENT};
    assert_int_equal(cursor_after(&t, DB_SORT_CREATED_AT).key, 1);
    assert_int_equal(cursor_after(&t, DB_SORT_UPDATED_AT).key, 2);
    assert_int_equal(cursor_after(&t, DB_SORT_DUE_DATE).key, 3);
    assert_int_equal(cursor_after(&t, DB_SORT_PRIORITY).key, DB_PRIORITY_URGENT);
    assert_int_equal(cursor_after(&t, DB_SORT_PRIORITY).id, 9);
    t.has_due_date = false;
    assert_true(cursor_after(&t, DB_SORT_DUE_DATE).key_is_null);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_cursor_comes_back_as_it_went),
        cmocka_unit_test(negative_keys_and_the_null_key_come_back),
        cmocka_unit_test(a_search_cursor_keeps_its_rank_to_the_last_bit),
        cmocka_unit_test(a_cursor_with_any_one_character_changed_is_refused),
        cmocka_unit_test(a_cursor_of_another_length_is_refused),
        cmocka_unit_test(a_cursor_of_another_query_is_told_apart_from_a_damaged_one),
        cmocka_unit_test(a_list_scope_depends_on_each_filter_and_the_user),
        cmocka_unit_test(a_list_scope_does_not_depend_on_limit_and_total),
        cmocka_unit_test(a_search_scope_depends_on_query_status_and_user),
        cmocka_unit_test(the_place_after_a_row_is_its_sort_key_and_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
