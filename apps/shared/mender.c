#include "shared/mender.h"

#include "base/log.h"
#include "db/embedded.h"
#include "db/pool.h"

#define LOOK_MS     250
#define TICKS_FIRST 2  /* one look may meet a pool that is just connecting */
#define TICKS_AGAIN 20 /* after a failure: five seconds */

static void do_work(uv_work_t *work)
{
    struct mender *m = work->data;
    m->status = db_embedded_mend(m->embedded, &m->err);
}

static void after_work(uv_work_t *work, int status)
{
    struct mender *m = work->data;
    (void)status;
    m->is_working = false;
    m->ticks_down = m->status ? TICKS_FIRST - TICKS_AGAIN : 0;
    if (m->status)
        log_error(m->log, "database not mended", log_str("reason", m->err.text));
    else
        log_info(m->log, "database mended");
}

static void on_look(uv_timer_t *timer)
{
    struct mender *m = timer->data;
    if (m->is_working)
        return;
    m->ticks_down = db_pool_is_ready(m->pool) ? 0 : m->ticks_down + 1;
    if (m->ticks_down < TICKS_FIRST)
        return;
    m->is_working = uv_queue_work(timer->loop, &m->work, do_work, after_work) == 0;
    if (m->is_working)
        log_warn(m->log, "database down");
}

void mender_start(struct mender *m, uv_loop_t *loop, struct db_embedded *embedded,
                  const struct db_pool *pool, const struct log *log)
{
    *m = (struct mender){.embedded = embedded, .pool = pool, .log = log};
    m->work.data = m;
    uv_timer_init(loop, &m->timer);
    m->timer.data = m;
    uv_timer_start(&m->timer, on_look, LOOK_MS, LOOK_MS);
}

void mender_stop(struct mender *m)
{
    uv_close((uv_handle_t *)&m->timer, NULL);
}
