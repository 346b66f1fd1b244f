/* list_tasks: filters, and pages in a total order without gap or repeat. */
#include "fixture.h"

#include "base/buf.h"

#define DAY   INT64_C(86400000000)
#define TASKS 60
#define START INT64_C(1795802645000000)

static const struct db_task_filter all = {.status = -1, .priority = -1, .limit = 200};

/* Tasks with many equal keys: every third has no due date, due dates and priorities repeat, and
 * times of creation and change come in runs of equal ones. */
static void make_tasks(struct fixture *f)
{
    postgres_run(
        f->pg,
        "insert into todo.tasks (user_id, title, priority, due_date, timezone, created_at,"
        " updated_at, completed, completed_at)"
        " select %lld, 'task ' || n, n %% 4, case when n %% 3 <> 0 then timestamptz '2026-11-27"
        " 18:04:05Z' + make_interval(days => n %% 7) end, 'UTC',"
        " timestamptz '2026-01-01 00:00Z' + make_interval(mins => n / 5),"
        " timestamptz '2026-02-01 00:00Z' + make_interval(mins => n %% 11),"
        " n %% 5 = 0, case when n %% 5 = 0 then now() end from generate_series(1, %d) n",
        (long long)f->user, TASKS);
    postgres_run(f->pg,
                 "insert into todo.tasks (user_id, title, timezone)"
                 " values (%lld, 'not ours', 'UTC')",
                 (long long)f->other);
}

static void cursor_after(const struct db_task_filter *filter, const struct db_task *last,
                         struct db_cursor *out)
{
    *out = (struct db_cursor){.is_set = true, .id = last->id};
    switch (filter->sort) {
    case DB_SORT_CREATED_AT:
        out->key = last->created_at;
        break;
    case DB_SORT_UPDATED_AT:
        out->key = last->updated_at;
        break;
    case DB_SORT_PRIORITY:
        out->key = last->priority;
        break;
    case DB_SORT_DUE_DATE:
        out->key_is_null = !last->has_due_date;
        out->key = last->due_date;
        break;
    }
}

/* Reads all pages; the ids, parted by blanks. */
static char *read_pages(struct fixture *f, struct db_task_filter filter, int limit)
{
    char *ids = arena_alloc(&f->arena, 4096);
    struct buf text;
    bool has_more = true;
    assert_non_null(ids);
    buf_init_fixed(&text, ids, 4096);
    filter.limit = limit;
    for (int pages = 0; has_more; pages++) {
        assert_true(pages <= TASKS);
        struct list_answer a = list_tasks(f, f->user, &filter);
        assert_true(a.reply.count > 0 || !a.reply.has_more);
        assert_true(a.reply.count <= limit);
        for (int i = 0; i < a.reply.count; i++)
            buf_printf(&text, "%s%lld", text.len ? " " : "", (long long)a.reply.tasks[i].id);
        has_more = a.reply.has_more;
        if (has_more)
            cursor_after(&filter, &a.reply.tasks[a.reply.count - 1], &filter.cursor);
    }
    return ids;
}

/* The same in plain SQL. */
static const char *expected(struct fixture *f, const char *where, const char *order)
{
    return postgres_text(f->pg,
                         "select coalesce(string_agg(id::text, ' ' order by %s), '')"
                         " from todo.tasks t where user_id = %lld and %s",
                         order, (long long)f->user, where);
}

static const char *const sort_columns[] = {"created_at", "due_date", "priority", "updated_at"};
static const char *const statuses[] = {"true", "not completed", "completed"};

static void pages_of_any_length_are_the_whole_in_order(void **state)
{
    struct fixture *f = *state;
    static const int limits[] = {1, 7, 59, 60, 61};
    make_tasks(f);
    for (int sort = 0; sort < 4; sort++) {
        for (int descending = 0; descending < 2; descending++) {
            char order[96];
            struct db_task_filter filter = all;
            filter.sort = (enum db_sort)sort;
            filter.descending = descending;
            snprintf(order, sizeof(order), "%s %s nulls last, id %s", sort_columns[sort],
                     descending ? "desc" : "asc", descending ? "desc" : "asc");
            char *want = arena_strdup(&f->arena, expected(f, "true", order));
            for (size_t i = 0; i < sizeof(limits) / sizeof(*limits); i++)
                assert_string_equal(read_pages(f, filter, limits[i]), want);
        }
    }
}

static void every_status_in_every_sort_is_what_plain_sql_says(void **state)
{
    struct fixture *f = *state;
    make_tasks(f);
    for (int status = -1; status <= 1; status++) {
        for (int sort = 0; sort < 4; sort++) {
            char order[96];
            struct db_task_filter filter = all;
            filter.status = status;
            filter.sort = (enum db_sort)sort;
            snprintf(order, sizeof(order), "%s nulls last, id", sort_columns[sort]);
            char *want = arena_strdup(&f->arena, expected(f, statuses[status + 1], order));
            assert_string_equal(read_pages(f, filter, 4), want);
        }
    }
}

static void a_priority_filter_leaves_the_others_out(void **state)
{
    struct fixture *f = *state;
    make_tasks(f);
    for (int priority = 0; priority < 4; priority++) {
        char where[32];
        struct db_task_filter filter = all;
        filter.priority = priority;
        snprintf(where, sizeof(where), "priority = %d", priority);
        char *want = arena_strdup(&f->arena, expected(f, where, "created_at, id"));
        assert_string_equal(read_pages(f, filter, 4), want);
    }
}

static void due_bounds_are_exclusive_and_leave_out_tasks_without_a_date(void **state)
{
    struct fixture *f = *state;
    make_tasks(f);
    for (int sort = 0; sort < 4; sort++) {
        char order[96];
        struct db_task_filter filter = all;
        snprintf(order, sizeof(order), "%s nulls last, id", sort_columns[sort]);
        filter.sort = (enum db_sort)sort;
        filter.has_due_after = true;
        filter.due_after = START + DAY; /* some are due at exactly this time */
        char *want =
            arena_strdup(&f->arena, expected(f, "due_date > '2026-11-28 18:04:05Z'", order));
        assert_true(*want);
        assert_string_equal(read_pages(f, filter, 3), want);
        filter.has_due_before = true;
        filter.due_before = START + 4 * DAY;
        want = arena_strdup(&f->arena, expected(f,
                                                "due_date > '2026-11-28 18:04:05Z' and"
                                                " due_date < '2026-12-01 18:04:05Z'",
                                                order));
        assert_true(*want);
        assert_string_equal(read_pages(f, filter, 3), want);
        filter.has_due_after = false;
        want = arena_strdup(&f->arena, expected(f, "due_date < '2026-12-01 18:04:05Z'", order));
        assert_string_equal(read_pages(f, filter, 3), want);
    }
}

/* Categories and tags, alone and together, in each sort and direction: all 32 statements. */
static void labels_filter_in_every_sort(void **state)
{
    struct fixture *f = *state;
    int64_t category = add_label(f, DB_CATEGORY, "c");
    int64_t red = add_label(f, DB_TAG, "red");
    int64_t blue = add_label(f, DB_TAG, "blue");
    char in_tags[160], in_category[64], in_both[256];
    make_tasks(f);
    postgres_run(f->pg,
                 "update todo.tasks set category_id = %lld where user_id = %lld and id %% 2"
                 " = 0; insert into todo.task_tags select user_id, id, %lld from todo.tasks"
                 " where user_id = %lld and id %% 3 = 0; insert into todo.task_tags select"
                 " user_id, id, %lld from todo.tasks where user_id = %lld and id %% 9 = 0",
                 (long long)category, (long long)f->user, (long long)red, (long long)f->user,
                 (long long)blue, (long long)f->user);
    snprintf(in_category, sizeof(in_category), "category_id = %lld", (long long)category);
    snprintf(in_tags, sizeof(in_tags),
             "id in (select task_id from todo.task_tags x where x.tag_id in (%lld, %lld))",
             (long long)red, (long long)blue);
    snprintf(in_both, sizeof(in_both), "%s and %s", in_category, in_tags);
    for (int sort = 0; sort < 8; sort++) {
        char order[96];
        struct db_task_filter filter = all;
        filter.sort = (enum db_sort)(sort / 2);
        filter.descending = sort % 2;
        snprintf(order, sizeof(order), "%s %s nulls last, id %s", sort_columns[sort / 2],
                 sort % 2 ? "desc" : "asc", sort % 2 ? "desc" : "asc");
        filter.category_id = category;
        char *want = arena_strdup(&f->arena, expected(f, in_category, order));
        assert_string_equal(read_pages(f, filter, 7), want);
        filter.tag_ids[0] = red;
        filter.tag_ids[1] = blue;
        filter.tag_count = 2;
        want = arena_strdup(&f->arena, expected(f, in_both, order));
        assert_string_equal(read_pages(f, filter, 7), want);
        filter.category_id = 0;
        want = arena_strdup(&f->arena, expected(f, in_tags, order));
        assert_string_equal(read_pages(f, filter, 7), want);
    }
}

static void another_users_labels_find_nothing(void **state)
{
    struct fixture *f = *state;
    struct db_task_filter filter = all;
    make_tasks(f);
    filter.category_id = create_label(f, DB_CATEGORY, f->other, "c", NULL).reply.labels[0].id;
    assert_int_equal(list_tasks(f, f->user, &filter).reply.count, 0);
}

static void the_total_counts_what_matches_on_every_page(void **state)
{
    struct fixture *f = *state;
    struct db_task_filter filter = all;
    make_tasks(f);
    filter.with_total = true;
    filter.status = 0;
    filter.limit = 10;
    int64_t pending = postgres_int(
        f->pg, "select count(*) from todo.tasks where user_id = %lld and not completed",
        (long long)f->user);
    struct list_answer a = list_tasks(f, f->user, &filter);
    assert_int_equal(a.reply.total, pending);
    assert_true(a.reply.has_more);
    cursor_after(&filter, &a.reply.tasks[9], &filter.cursor);
    assert_int_equal(list_tasks(f, f->user, &filter).reply.total, pending);
    filter.cursor = (struct db_cursor){.is_set = true, .key = START * 2, .id = 1}; /* past all */
    a = list_tasks(f, f->user, &filter);
    assert_int_equal(a.reply.count, 0);
    assert_false(a.reply.has_more);
    assert_int_equal(a.reply.total, pending);
    filter.with_total = false;
    assert_int_equal(list_tasks(f, f->user, &filter).reply.total, -1);
}

static void the_total_is_right_with_every_filter(void **state)
{
    struct fixture *f = *state;
    make_tasks(f);
    for (int sort = 0; sort < 4; sort++) {
        struct db_task_filter filter = all;
        filter.sort = (enum db_sort)sort;
        filter.with_total = true;
        filter.limit = 1;
        filter.priority = DB_PRIORITY_HIGH;
        filter.has_due_after = true;
        filter.due_after = START;
        assert_int_equal(list_tasks(f, f->user, &filter).reply.total,
                         postgres_int(f->pg,
                                      "select count(*) from todo.tasks where user_id = %lld and"
                                      " priority = 2 and due_date > '2026-11-27 18:04:05Z'",
                                      (long long)f->user));
    }
}

/* Tasks that come, go and change between pages: what stayed as it was is seen once. */
static void changes_between_pages_neither_skip_nor_repeat_the_rest(void **state)
{
    struct fixture *f = *state;
    struct db_task_filter filter = all;
    struct list_answer a;
    int seen = 0;
    make_tasks(f);
    filter.limit = 10;
    char *before = arena_strdup(
        &f->arena, expected(f, "title <> 'task 3' and title <> 'task 58'", "created_at, id"));
    struct buf text;
    char ids[4096];
    buf_init_fixed(&text, ids, sizeof(ids));
    do {
        a = list_tasks(f, f->user, &filter);
        for (int i = 0; i < a.reply.count; i++, seen++) {
            if (slice_is_equal(a.reply.tasks[i].title, SLICE_LIT("task 3")) ||
                slice_is_equal(a.reply.tasks[i].title, SLICE_LIT("new")))
                continue;
            buf_printf(&text, "%s%lld", text.len ? " " : "", (long long)a.reply.tasks[i].id);
        }
        if (a.reply.has_more)
            cursor_after(&filter, &a.reply.tasks[a.reply.count - 1], &filter.cursor);
        if (seen == 10) {
            postgres_run(f->pg,
                         "delete from todo.tasks where user_id = %lld and title in"
                         " ('task 3', 'task 58')",
                         (long long)f->user);
            add_titled(f, "new");
        }
    } while (a.reply.has_more);
    assert_string_equal(ids, before);
}

static void a_list_cuts_descriptions_at_200_characters(void **state)
{
    struct fixture *f = *state;
    char text[203 * 3 + 1] = "";
    for (int i = 0; i < 201; i++)
        memcpy(text + 3 * (size_t)i, "\xe2\x82\xac", 4);
    struct db_task_new task = {.title = SLICE_LIT("x"), .description = slice_from_cstr(text)};
    add_task(f, &task);
    struct list_answer a = list_tasks(f, f->user, &all);
    assert_int_equal(a.reply.tasks[0].description.len, 600);
    assert_true(a.reply.tasks[0].description_truncated);
    text[600] = '\0';
    task.description = slice_from_cstr(text);
    int64_t id = add_task(f, &task).task.id;
    a = list_tasks(f, f->user, &all);
    assert_int_equal(a.reply.tasks[1].id, id);
    assert_false(a.reply.tasks[1].description_truncated);
}

static void an_empty_list_is_an_empty_page(void **state)
{
    struct fixture *f = *state;
    struct list_answer a = list_tasks(f, f->other, &all);
    assert_int_equal(a.reply.count, 0);
    assert_false(a.reply.has_more);
    struct db_task_filter filter = all;
    filter.with_total = true;
    a = list_tasks(f, f->other, &filter);
    assert_int_equal(a.reply.count, 0);
    assert_int_equal(a.reply.total, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        db_test(pages_of_any_length_are_the_whole_in_order),
        db_test(every_status_in_every_sort_is_what_plain_sql_says),
        db_test(a_priority_filter_leaves_the_others_out),
        db_test(due_bounds_are_exclusive_and_leave_out_tasks_without_a_date),
        db_test(labels_filter_in_every_sort),
        db_test(another_users_labels_find_nothing),
        db_test(the_total_counts_what_matches_on_every_page),
        db_test(the_total_is_right_with_every_filter),
        db_test(changes_between_pages_neither_skip_nor_repeat_the_rest),
        db_test(a_list_cuts_descriptions_at_200_characters),
        db_test(an_empty_list_is_an_empty_page),
    };
    return cmocka_run_group_tests(tests, postgres_setup, postgres_teardown);
}
