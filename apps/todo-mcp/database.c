#include "database.h"

#include "db/embedded.h"
#include "db/migrate.h"
#include "db/pool.h"
#include "settings.h"

int database_open(const struct settings *s, uv_loop_t *loop, const struct log *log,
                  struct db_embedded **embedded, struct db_pool **pool, struct error *err)
{
    const char *conninfo = s->database_url;
    int status = 0;
    if (!conninfo) {
        status = db_embedded_open(s->data_dir, log, embedded, err);
        conninfo = status ? NULL : db_embedded_conninfo(*embedded);
    }
    if (status)
        return status;
    struct db_pool_options options = db_pool_options_default;
    options.conninfo = conninfo;
    options.size = s->pool_size;
    options.statement_ms = s->statement_ms;
    /* Before the migrations, so that its first connection is made while they are looked at; they
     * may take long, and the clock that its statements are timed with must not be from before. */
    status = db_pool_new(loop, &options, log, pool, err);
    if (!status)
        status = db_migrate(conninfo, log, err);
    uv_update_time(loop);
    return status;
}
