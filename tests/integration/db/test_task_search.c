/* search_tasks: words by prefix, title over description, typing errors, pages. */
#include "fixture.h"

static int64_t add_text(struct fixture *f, const char *title, const char *description)
{
    const struct db_task_new task = {.title = slice_from_cstr(title),
                                     .description = slice_from_cstr(description)};
    return add_task(f, &task).task.id;
}

static void a_prefix_of_each_word_finds_the_task(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_text(f, "Quarterly report for finance", "send to bob@example.com");
    add_text(f, "unrelated", NULL);
    static const char *const queries[] = {
        "quarterly",   "Quart fin",       "REPORT",           "exam",     "bob",
        "example com", "bob@example.com", "quarterly-report", "rep quart"};
    for (size_t i = 0; i < sizeof(queries) / sizeof(*queries); i++) {
        struct list_answer a = search_tasks(f, f->user, queries[i], 10, NULL);
        if (a.reply.count != 1)
            fail_msg("%s: %d found", queries[i], a.reply.count);
        assert_int_equal(a.reply.tasks[0].id, id);
        assert_false(a.reply.is_fuzzy);
        assert_true(a.reply.rank[0] > 0);
    }
}

static void all_words_are_wanted(void **state)
{
    struct fixture *f = *state;
    add_text(f, "red apple", NULL);
    int64_t both = add_text(f, "red pear", NULL);
    struct list_answer a = search_tasks(f, f->user, "red pear", 10, NULL);
    assert_int_equal(a.reply.count, 1);
    assert_int_equal(a.reply.tasks[0].id, both);
}

static void the_title_weighs_over_the_description(void **state)
{
    struct fixture *f = *state;
    int64_t in_title = add_text(f, "invoice", "something else");
    int64_t in_text = add_text(f, "something", "with invoice inside");
    struct list_answer a = search_tasks(f, f->user, "invoice", 10, NULL);
    assert_int_equal(a.reply.count, 2);
    assert_int_equal(a.reply.tasks[0].id, in_title);
    assert_int_equal(a.reply.tasks[1].id, in_text);
    assert_true(a.reply.rank[0] > a.reply.rank[1]);
    assert_slice(a.reply.title_highlight[0], "**invoice**");
    assert_int_equal(a.reply.description_highlight[0].len, 0);
    assert_slice(a.reply.description_highlight[1], "with **invoice** inside");
}

static void a_typing_error_is_answered_by_similarity(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_text(f, "Receive the parcel", NULL);
    add_text(f, "something else", NULL);
    static const char *const queries[] = {"recieve", "receive parsel", "eceive"};
    for (size_t i = 0; i < sizeof(queries) / sizeof(*queries); i++) {
        struct list_answer a = search_tasks(f, f->user, queries[i], 10, NULL);
        if (a.reply.count != 1)
            fail_msg("%s: %d found", queries[i], a.reply.count);
        assert_int_equal(a.reply.tasks[0].id, id);
        assert_true(a.reply.is_fuzzy);
    }
    assert_int_equal(search_tasks(f, f->user, "zzzzqqqq", 10, NULL).reply.count, 0);
}

static void a_search_sees_only_the_users_tasks(void **state)
{
    struct fixture *f = *state;
    add_text(f, "secret plan", NULL);
    assert_int_equal(search_tasks(f, f->other, "secret", 10, NULL).reply.count, 0);
    assert_int_equal(search_tasks(f, f->other, "sekret", 10, NULL).reply.count, 0); /* similar */
    assert_int_equal(search_tasks(f, f->user, "secret", 10, NULL).reply.count, 1);
}

/* A lexeme starts with its user's number: 1 must not see 11's. */
static void a_user_whose_number_begins_with_ours_is_another(void **state)
{
    struct fixture *f = *state;
    int64_t long_id = f->user * 10 + 1;
    postgres_run(f->pg,
                 "insert into todo.users (id, subject) overriding system value values (%lld, "
                 "'begins with %lld'); insert into todo.tasks (user_id, title, timezone)"
                 " values (%lld, '1 secret', 'UTC'), (%lld, 'secret', 'UTC')",
                 (long long)long_id, (long long)f->user, (long long)long_id, (long long)long_id);
    assert_int_equal(search_tasks(f, f->user, "secret", 10, NULL).reply.count, 0);
    assert_int_equal(search_tasks(f, long_id, "secret", 10, NULL).reply.count, 2);
}

static void no_query_is_a_syntax_error(void **state)
{
    struct fixture *f = *state;
    add_text(f, "it's a 'test' \\ of & | ! ( ) : * <-> \"quotes\"", NULL);
    static const char *const queries[] = {"'",
                                          "''",
                                          "\\",
                                          "&",
                                          "|",
                                          "!",
                                          "(",
                                          ")",
                                          ":*",
                                          "a & b",
                                          "it's",
                                          "'test' \\",
                                          "<->",
                                          "a:b",
                                          "test:*",
                                          "\"quotes\"",
                                          "%",
                                          "_",
                                          "\xe2\x82\xac",
                                          "\xf0\x9f\x98\x80",
                                          "-",
                                          "--",
                                          "a\tb\nc",
                                          "\\'",
                                          "test\\",
                                          "'''':*"};
    for (size_t i = 0; i < sizeof(queries) / sizeof(*queries); i++)
        search_tasks(f, f->user, queries[i], 10, NULL); /* fails the test when it fails */
    assert_int_equal(search_tasks(f, f->user, "it's", 10, NULL).reply.count, 1);
    assert_int_equal(search_tasks(f, f->user, "'test' \\", 10, NULL).reply.count, 1);
}

static void a_query_of_500_characters_of_any_kind_is_answered(void **state)
{
    struct fixture *f = *state;
    char query[2001];
    memset(query, 'a', 500);
    query[500] = '\0';
    search_tasks(f, f->user, query, 10, NULL);
    for (size_t i = 0; i < 250; i++) {
        query[2 * i] = (char)('a' + (char)(i % 26));
        query[2 * i + 1] = ' ';
    }
    search_tasks(f, f->user, query, 10, NULL);
    for (int i = 0; i < 500; i++)
        memcpy(query + 4 * (size_t)i, "\xf0\x9d\x92\xb3", 4);
    query[2000] = '\0';
    search_tasks(f, f->user, query, 10, NULL);
}

#define TASKS 45

static void pages_come_by_rank_without_gap_or_repeat(void **state)
{
    struct fixture *f = *state;
    bool seen[TASKS] = {false};
    struct db_cursor cursor = {0};
    double last_rank = 1e9;
    int64_t last_id = INT64_MAX, first_id = 0;
    int count = 0;
    for (int i = 0; i < TASKS; i++) { /* three ranks, many equal */
        int64_t id = add_text(f, i % 3 ? "weekly review" : "other", i % 2 ? "review notes" : NULL);
        if (i == 0)
            first_id = id;
    }
    for (;;) {
        struct list_answer a = search_tasks(f, f->user, "review", 7, &cursor);
        for (int i = 0; i < a.reply.count; i++, count++) {
            int64_t id = a.reply.tasks[i].id;
            assert_in_range(id - first_id, 0, TASKS - 1);
            assert_false(seen[id - first_id]);
            seen[id - first_id] = true;
            assert_true(a.reply.rank[i] < last_rank ||
                        (a.reply.rank[i] == last_rank && id < last_id));
            last_rank = a.reply.rank[i];
            last_id = id;
        }
        if (!a.reply.has_more)
            break;
        cursor = (struct db_cursor){
            .is_set = true, .rank = last_rank, .id = last_id, .is_fuzzy = a.reply.is_fuzzy};
    }
    /* All but those with neither: title "other" (i % 3 == 0) without a description (i % 2 == 0). */
    assert_int_equal(count, TASKS - 8);
}

static void pages_of_similar_tasks_come_without_gap_or_repeat(void **state)
{
    struct fixture *f = *state;
    struct db_cursor cursor = {0};
    int count = 0;
    int64_t last = INT64_MAX;
    double last_rank = 2;
    for (int i = 0; i < 20; i++)
        add_text(f, i % 2 ? "receive parcel" : "receive the letter", NULL);
    for (;;) {
        struct list_answer a = search_tasks(f, f->user, "recieve", 3, &cursor);
        assert_true(a.reply.is_fuzzy);
        for (int i = 0; i < a.reply.count; i++, count++) {
            assert_true(a.reply.rank[i] < last_rank ||
                        (a.reply.rank[i] == last_rank && a.reply.tasks[i].id < last));
            last_rank = a.reply.rank[i];
            last = a.reply.tasks[i].id;
        }
        if (!a.reply.has_more)
            break;
        cursor =
            (struct db_cursor){.is_set = true, .rank = last_rank, .id = last, .is_fuzzy = true};
    }
    assert_int_equal(count, 20);
}

static void a_status_leaves_the_others_out(void **state)
{
    struct fixture *f = *state;
    int64_t done = add_text(f, "laundry", NULL);
    add_text(f, "laundry", NULL);
    complete_task(f, f->user, done);
    static const int wanted[] = {2, 1, 1};
    for (int status = -1; status <= 1; status++) {
        struct list_answer a = {.f = f};
        assert_int_equal(db_task_search(f->pool, f->user, SLICE_LIT("laundry"), status, 10, NULL,
                                        on_list, &a, NULL, NULL),
                         0);
        fixture_wait(f, &a.is_done);
        assert_int_equal(a.status, 0);
        assert_int_equal(a.reply.count, wanted[status + 1]);
        if (status == 1)
            assert_int_equal(a.reply.tasks[0].id, done);
    }
}

static void an_update_is_found_by_its_new_words_only(void **state)
{
    struct fixture *f = *state;
    int64_t id = add_text(f, "before", NULL);
    const struct db_task_patch patch = {.set = DB_FIELD_TITLE, .title = SLICE_LIT("afterwards")};
    update_task(f, f->user, id, &patch);
    assert_int_equal(search_tasks(f, f->user, "afterw", 10, NULL).reply.count, 1);
    assert_int_equal(search_tasks(f, f->user, "before", 10, NULL).reply.count, 0);
}

static void a_long_description_is_stored_and_found_by_its_first_words(void **state)
{
    struct fixture *f = *state;
    char text[10001];
    memset(text, 'x', 10000); /* one run, longer than a lexeme may be */
    memcpy(text, "needle ", 7);
    text[10000] = '\0';
    int64_t id = add_text(f, "hay", text);
    struct list_answer a = search_tasks(f, f->user, "needle", 10, NULL);
    assert_int_equal(a.reply.count, 1);
    assert_int_equal(a.reply.tasks[0].id, id);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        db_test(a_prefix_of_each_word_finds_the_task),
        db_test(all_words_are_wanted),
        db_test(the_title_weighs_over_the_description),
        db_test(a_typing_error_is_answered_by_similarity),
        db_test(a_search_sees_only_the_users_tasks),
        db_test(a_user_whose_number_begins_with_ours_is_another),
        db_test(no_query_is_a_syntax_error),
        db_test(a_query_of_500_characters_of_any_kind_is_answered),
        db_test(pages_come_by_rank_without_gap_or_repeat),
        db_test(pages_of_similar_tasks_come_without_gap_or_repeat),
        db_test(a_status_leaves_the_others_out),
        db_test(an_update_is_found_by_its_new_words_only),
        db_test(a_long_description_is_stored_and_found_by_its_first_words),
    };
    return cmocka_run_group_tests(tests, postgres_setup, postgres_teardown);
}
