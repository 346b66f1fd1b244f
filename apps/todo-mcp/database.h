#pragma once
/* apps/todo-mcp/database: the database that the settings name, ready for statements. */
#include <uv.h>

struct db_embedded;
struct db_pool;
struct error;
struct log;
struct settings;

/* Starts the private PostgreSQL where no DATABASE_URL is set, brings the schema up to date
 * (blocking), and opens a pool. 0, or the reason in `err`. Whatever is set in *embedded and *pool
 * is to be closed, also after a failure: first the pool, and the cluster when the loop has ended.
 */
__attribute__((warn_unused_result)) int database_open(const struct settings *s, uv_loop_t *loop,
                                                      const struct log *log,
                                                      struct db_embedded **embedded,
                                                      struct db_pool **pool, struct error *err);
