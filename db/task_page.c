/* A page of rows -> struct db_task_list_reply. */
#include <assert.h>

#include "base/error.h"
#include "base/mem.h"
#include "db/task_int.h"

/* What a search has beside its tasks; one block, as long as the page. */
struct page {
    struct db_task *tasks;
    double *ranks;
    struct slice *titles, *descriptions;
};

static void page_free(struct page *page)
{
    mem_free(page->tasks);
    mem_free(page->ranks);
    mem_free(page->titles);
    mem_free(page->descriptions);
}

static bool page_alloc(struct page *page, size_t count, bool is_search)
{
    page->tasks = mem_alloc(count * sizeof(*page->tasks)); /* task_decode fills them */
    if (!is_search)
        return page->tasks;
    page->ranks = mem_calloc(count, sizeof(*page->ranks));
    page->titles = mem_calloc(count, sizeof(*page->titles));
    page->descriptions = mem_calloc(count, sizeof(*page->descriptions));
    return page->tasks && page->ranks && page->titles && page->descriptions;
}

static void decode_found(const struct db_result *res, int row, struct page *page)
{
    assert(db_result_columns(res) == SEARCH_IS_FUZZY + 1);
    page->ranks[row] = db_result_double(res, row, SEARCH_RANK);
    page->titles[row] = db_result_text(res, row, SEARCH_TITLE);
    page->descriptions[row] = db_result_text(res, row, SEARCH_DESCRIPTION);
}

static void decode_page(const struct db_call *call, const struct db_result *res, struct page *page,
                        struct db_task_list_reply *reply)
{
    for (int row = 0; row < reply->count; row++) {
        task_decode(res, row, LIST_TASK, &page->tasks[row]);
        if (call->is_search)
            decode_found(res, row, page);
    }
    reply->tasks = page->tasks;
    if (call->is_search && reply->count > 0) {
        reply->rank = page->ranks;
        reply->title_highlight = page->titles;
        reply->description_highlight = page->descriptions;
        reply->is_fuzzy = db_result_bool(res, 0, SEARCH_IS_FUZZY);
    }
}

void task_list_done(struct db_call *call, int status, const struct db_result *res,
                    const struct error *err)
{
    if (status) {
        call->fn.list(call->ctx, status, NULL, err);
        return;
    }
    int rows = db_result_rows(res);
    struct db_task_list_reply reply = {.total = rows ? db_result_int(res, 0, LIST_TOTAL) : -1};
    if (rows == 1 && db_result_is_null(res, 0, LIST_TASK))
        rows = 0; /* the total alone */
    reply.has_more = rows > call->limit;
    reply.count = reply.has_more ? call->limit : rows;

    struct page page = {0};
    if (reply.count > 0 && !page_alloc(&page, (size_t)reply.count, call->is_search)) {
        struct error oom;
        call->fn.list(call->ctx, error_set(&oom, DB_ENOMEM, NULL, "out of memory"), NULL, &oom);
    } else {
        decode_page(call, res, &page, &reply);
        call->fn.list(call->ctx, 0, &reply, NULL);
    }
    page_free(&page);
}
