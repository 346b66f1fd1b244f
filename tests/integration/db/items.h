#pragma once
/* The statements that the tests of the pool run, on a table public.items (id, value) that each test
 * begins with anew. */
#include "fixture.h"

extern const struct db_stmt items_echo, items_begun, items_divide; /* of one value, answer a text */
extern const struct db_stmt items_sleep, items_read;               /* of one value */
extern const struct db_stmt items_insert, items_add, items_update; /* of an id and a value */

struct answer {
    bool is_done;
    int status;
    struct error err;
    char text[64]; /* column 0 as text where it is one */
};

/* A db_result_fn whose `ctx` is a struct answer. */
void items_on_text(void *ctx, int status, const struct db_result *res, const struct error *err);
int items_submit(struct fixture *f, const struct db_stmt *stmt, struct answer *a, db_op_id *id,
                 const char *first, const char *second);
int items_submit_id(struct fixture *f, const struct db_stmt *stmt, struct answer *a, int item);
/* The pool of the fixture anew, with these options and an empty table. */
void items_reopen(struct fixture *f, const struct db_pool_options *options);
struct db_pool_options items_options(uint32_t size);
void items_wait(struct fixture *f, const struct answer *answers, int count);
/* Until so many of the pool's connections are up. */
void items_wait_up(struct fixture *f, uint32_t connections);
struct db_pool_stats items_stats(const struct fixture *f);
