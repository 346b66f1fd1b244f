#include "items.h"

const struct db_stmt items_echo = {.name = "echo", .sql = "select $1::text", .param_count = 1};
const struct db_stmt items_begun = {.name = "begun",
                                    .sql =
                                        "select transaction_timestamp()::text || left($1::text, 0)",
                                    .param_count = 1};
const struct db_stmt items_divide = {
    .name = "divide", .sql = "select (1 / $1::integer)::text", .param_count = 1};
const struct db_stmt items_sleep = {
    .name = "sleep", .sql = "select pg_sleep($1::float8) is null", .param_count = 1};
const struct db_stmt items_insert = {
    .name = "insert",
    .sql = "insert into public.items (id, value) values ($1::integer, $2::text) returning id",
    .param_count = 2,
    .is_write = true};
const struct db_stmt items_add = {
    .name = "add",
    .sql = "insert into public.items (id, value) values ($1::integer, $2::text) returning id",
    .param_count = 2,
    .is_write = true,
    .is_lock_free = true};
const struct db_stmt items_update = {
    .name = "update",
    .sql = "update public.items set value = $2::text where id = $1::integer returning id",
    .param_count = 2,
    .is_write = true};
const struct db_stmt items_read = {
    .name = "read", .sql = "select * from public.items where id = $1::integer", .param_count = 1};

static void on_answer(void *ctx, int status, const struct db_result *res, const struct error *err)
{
    struct answer *a = ctx;
    assert_false(a->is_done);
    a->is_done = true;
    a->status = status;
    if (!status != !err || !status != (res != NULL))
        fail_msg("status %d with%s a result", status, res ? "" : "out");
    if (err)
        a->err = *err;
}

void items_on_text(void *ctx, int status, const struct db_result *res, const struct error *err)
{
    struct answer *a = ctx;
    on_answer(ctx, status, res, err);
    if (status)
        return;
    struct slice text = db_result_text(res, 0, 0);
    snprintf(a->text, sizeof(a->text), "%.*s", (int)text.len, text.ptr);
}

int items_submit(struct fixture *f, const struct db_stmt *stmt, struct answer *a, db_op_id *id,
                 const char *first, const char *second)
{
    const db_param params[2] = {slice_from_cstr(first), slice_from_cstr(second)};
    bool is_text = stmt == &items_echo || stmt == &items_begun || stmt == &items_divide;
    return db_pool_submit(f->pool, stmt, params, is_text ? items_on_text : on_answer, a, id, NULL);
}

int items_submit_id(struct fixture *f, const struct db_stmt *stmt, struct answer *a, int item)
{
    char id[16];
    snprintf(id, sizeof(id), "%d", item);
    return items_submit(f, stmt, a, NULL, id, "v");
}

void items_reopen(struct fixture *f, const struct db_pool_options *options)
{
    fixture_close_pool(f, 1000);
    postgres_run(f->pg, "drop table if exists public.items; create table public.items"
                        " (id integer constraint items_key primary key, value text not null)");
    fixture_open_pool(f, options);
    while (!db_pool_is_ready(f->pool))
        uv_run(&f->loop, UV_RUN_ONCE);
}

struct db_pool_options items_options(uint32_t size)
{
    struct db_pool_options o = db_pool_options_default;
    o.size = size;
    return o;
}

void items_wait(struct fixture *f, const struct answer *answers, int count)
{
    for (int i = 0; i < count; i++)
        fixture_wait(f, &answers[i].is_done);
}

struct db_pool_stats items_stats(const struct fixture *f)
{
    struct db_pool_stats stats;
    db_pool_stats(f->pool, &stats);
    return stats;
}

void items_wait_up(struct fixture *f, uint32_t connections)
{
    while (items_stats(f).connections_up < connections)
        uv_run(&f->loop, UV_RUN_ONCE);
}
