/* A default page of tasks with long titles and descriptions costs an agent at most 5,000 tokens,
 * at four bytes a token (the client pays for both structured content and text). */
#include "support/unit.h"

#include "base/mem.h"
#include "fake.h"

#define BUDGET_BYTES 20000
#define PAGE         25

struct page {
    struct db_task tasks[PAGE];
    double rank[PAGE];
    struct slice title_highlight[PAGE], description_highlight[PAGE];
    char title[PAGE][201], description[PAGE][201];
    char marked_title[PAGE][208], marked_description[PAGE][208];
};

static void fill(char *out, size_t len, const char *words)
{
    for (size_t i = 0; i < len; i++)
        out[i] = words[i % strlen(words)];
    out[len] = '\0';
}

/* Pending tasks as the database returns them to a list: a description cut at 200 characters. */
static void fill_page(struct page *p)
{
    for (int i = 0; i < PAGE; i++) {
        struct db_task *t = &p->tasks[i];
        *t = fake_bare_task();
        fill(p->title[i], 200, "Prepare the quarterly report for the board ");
        fill(p->description[i], 200, "Numbers from finance, charts from design, text by Friday. ");
        t->id = 100000 + i;
        t->title = slice_from_cstr(p->title[i]);
        t->description = slice_from_cstr(p->description[i]);
        t->description_truncated = true;
        t->timezone = SLICE_LIT("Europe/Berlin");
        t->priority = DB_PRIORITY_URGENT;
        t->has_due_date = true;
        t->due_date = INT64_C(1796083200000000);
        t->category =
            (struct db_label){.id = 7, .name = SLICE_LIT("Work"), .color = SLICE_LIT("#FF8800")};
        p->rank[i] = 0.6079271 - i * 0.001;
        memcpy(p->marked_title[i], "**", 2);
        memcpy(p->marked_title[i] + 2, p->title[i], sizeof(p->title[i]));
        memcpy(p->marked_description[i], "**", 2);
        memcpy(p->marked_description[i] + 2, p->description[i], sizeof(p->description[i]));
        p->title_highlight[i] = slice_from_cstr(p->marked_title[i]);
        p->description_highlight[i] = slice_from_cstr(p->marked_description[i]);
    }
}

static void assert_within_budget(const struct mcp_call *call)
{
    assert_int_equal(call->end, FAKE_RESULT);
    size_t structured = strlen(call->structured), text = strlen(call->text);
    print_message("%zu + %zu bytes, about %zu tokens\n", structured, text, (structured + text) / 4);
    assert_in_range(structured + text, PAGE * 400, BUDGET_BYTES);
}

static void a_default_page_of_list_tasks_is_within_its_budget(void **state)
{
    struct fake *f = *state;
    struct page *p = mem_calloc(1, sizeof(*p));
    fill_page(p);
    fake_call(f, "list_tasks", "{}");
    fake_reply_list(f, &(struct db_task_list_reply){
                           .tasks = p->tasks, .count = PAGE, .has_more = true, .total = -1});
    assert_within_budget(&f->call);
    mem_free(p);
}

static void a_default_page_of_search_tasks_is_within_its_budget(void **state)
{
    struct fake *f = *state;
    struct page *p = mem_calloc(1, sizeof(*p));
    fill_page(p);
    fake_call(f, "search_tasks", "{\"query\":\"report\"}");
    fake_reply_list(
        f, &(struct db_task_list_reply){.tasks = p->tasks,
                                        .count = PAGE,
                                        .has_more = true,
                                        .total = -1,
                                        .rank = p->rank,
                                        .title_highlight = p->title_highlight,
                                        .description_highlight = p->description_highlight});
    assert_within_budget(&f->call);
    mem_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_default_page_of_list_tasks_is_within_its_budget,
                                        fake_setup, fake_teardown),
        cmocka_unit_test_setup_teardown(a_default_page_of_search_tasks_is_within_its_budget,
                                        fake_setup, fake_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
