#pragma once
/* apps/shared/database: the database that the settings name. */
#include <uv.h>

struct db_embedded;
struct db_pool;
struct error;
struct log;
struct shared_settings;

/* Starts the private PostgreSQL where no DATABASE_URL is set (blocking), and opens a pool, which
 * connects by itself sooner or later. 0, or the reason in `err`. Whatever is set in *embedded and
 * *pool is to be closed, also after a failure: first the pool, and the cluster when the loop has
 * ended. */
__attribute__((warn_unused_result)) int database_connect(const struct shared_settings *s,
                                                         uv_loop_t *loop, const struct log *log,
                                                         struct db_embedded **embedded,
                                                         struct db_pool **pool, struct error *err);
/* The same, and brings the schema up to date (blocking): ready for statements. */
__attribute__((warn_unused_result)) int database_open(const struct shared_settings *s,
                                                      uv_loop_t *loop, const struct log *log,
                                                      struct db_embedded **embedded,
                                                      struct db_pool **pool, struct error *err);
/* Its libpq connection string; borrowed from either. `embedded` may be NULL. */
const struct secret *database_conninfo(const struct shared_settings *s,
                                       const struct db_embedded *embedded);
