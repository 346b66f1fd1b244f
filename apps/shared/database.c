#include "shared/database.h"

#include "base/secret.h"
#include "db/embedded.h"
#include "db/migrate.h"
#include "db/pool.h"
#include "shared/settings.h"

const struct secret *database_conninfo(const struct shared_settings *s,
                                       const struct db_embedded *embedded)
{
    return embedded ? db_embedded_secret(embedded) : &s->database_url;
}

int database_connect(const struct shared_settings *s, uv_loop_t *loop, const struct log *log,
                     struct db_embedded **embedded, struct db_pool **pool, struct error *err)
{
    if (!secret_text(&s->database_url)) {
        int status = db_embedded_open(s->data_dir, log, embedded, err);
        if (status)
            return status;
    }
    struct db_pool_options options = db_pool_options_default;
    options.conninfo = database_conninfo(s, *embedded);
    options.size = s->pool_size;
    options.statement_ms = s->statement_ms;
    return db_pool_new(loop, &options, log, pool, err);
}

/* The pool comes before the migrations, so that its first connection is made while they are looked
 * at; they may take long, and the clock that its statements are timed with must not be from before.
 */
int database_open(const struct shared_settings *s, uv_loop_t *loop, const struct log *log,
                  struct db_embedded **embedded, struct db_pool **pool, struct error *err)
{
    int status = database_connect(s, loop, log, embedded, pool, err);
    if (!status)
        status = db_migrate(secret_text(database_conninfo(s, *embedded)), log, err);
    uv_update_time(loop);
    return status;
}
