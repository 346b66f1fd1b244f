/* The queues and their rules:
 *   submit -> reads | writes -> (prepare/check of the loop's turn, or early) dispatch -> conn_send
 *   unit done -> callbacks; of a failed group the writes, and the reads that had no answer yet, go
 *   back to run alone
 *   unit lost (connection broke) -> reads once more, writes end with DB_EUNKNOWN */
#include "db/pool.h"

#include <assert.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/secret.h"
#include "db/pool_int.h"

#define JANITOR_MS        20
#define CONFLICTS_MAX     3
#define READS_DEEP        16 /* units in flight a connection before reads wait in the queue */
#define READ_LANES_A_CORE 3
#define SHARE_LEAST       4 /* statements that are worth a lane of their own */
#define READ_WAIT_MS      2 /* after which they get one more */
#define CONNECT_MAX_MS    5000

const struct db_pool_options db_pool_options_default = {
    .size = 8,
    .queue_max = 4096,
    .group_max = 64,
    .lane_ms = 5,
    .statement_ms = 10000,
    .reconnect_min_ms = 50,
    .reconnect_max_ms = 2000,
};

/* ---- ends of operations ---- */

static void fail_op(struct db_op *op, int code, const char *text)
{
    struct error err;
    error_set(&err, code, NULL, "%s", text);
    op_finish(op, code, &err);
}

static void requeue_alone(struct db_pool *p, struct db_op *op)
{
    PQclear(op->res);
    op->res = NULL;
    op->is_alone = true;
    p->stats.group_retries++;
    op_list_push(op->stmt->is_write ? &p->writes : &p->reads, op);
}

static bool has_result(const struct db_op *op)
{
    if (!op->res)
        return false;
    ExecStatusType status = PQresultStatus(op->res);
    return status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK;
}

static void end_single(struct db_pool *p, struct db_op *op, bool was_committed)
{
    if (was_committed && has_result(op)) {
        op_finish(op, 0, NULL);
        return;
    }
    bool may_retry = op->res && (op_is_conflict(op->res) || op_is_statement_lost(op->res));
    if (may_retry && op->tries++ < CONFLICTS_MAX) {
        requeue_alone(p, op);
        return;
    }
    struct error err;
    int code = op->res ? op_error_of(op->res, &err)
                       : error_set(&err, DB_EINTERNAL, NULL, "the database refused the statement");
    op_finish(op, code, &err);
}

/* A read's answer stands whatever comes after it; that of a write only with the commit. */
static bool must_run_again(const struct db_unit *u, const struct db_op *op)
{
    if (u->is_write)
        return true;
    return !op->res || PQresultStatus(op->res) == PGRES_PIPELINE_ABORTED;
}

void pool_unit_done(struct db_pool *p, struct db_unit *u)
{
    struct db_op *op = u->ops;
    bool is_group = op && op->next;
    while (op) {
        struct db_op *next = op->next;
        if (is_group && u->has_failed && must_run_again(u, op))
            requeue_alone(p, op);
        else
            end_single(p, op, !u->has_failed || !u->is_write);
        op = next;
    }
    mem_free(u);
}

/* Once more, and again only from connections that were there at the first break: when the server
 * goes they are all broken, but found out one by one. A read that breaks a fresh one ends. */
static bool may_requeue(const struct db_pool *p, const struct db_op *op, uint64_t connection)
{
    return !p->is_torn_down && (!op->was_requeued || connection <= op->requeued_at);
}

static void requeue_read(struct db_pool *p, struct db_op *op)
{
    if (!op->was_requeued)
        op->requeued_at = p->stats.reconnects;
    op->was_requeued = true;
    op_list_push_front(&p->reads, op);
}

void pool_unit_lost(struct db_pool *p, struct db_unit *u, uint64_t connection)
{
    struct db_op *op = u->ops;
    while (op) {
        struct db_op *next = op->next;
        PQclear(op->res);
        op->res = NULL;
        if (u->is_write)
            fail_op(op, DB_EUNKNOWN,
                    "the database connection broke; the change may or may not be stored");
        else if (may_requeue(p, op, connection))
            requeue_read(p, op);
        else
            fail_op(op, DB_EUNAVAILABLE, "the database cannot be reached; nothing was changed");
        op = next;
    }
    mem_free(u);
}

/* ---- dispatch ---- */

/* The ready connection with the least in flight; a writer is spared for reads where possible. */
static struct db_conn *pick_conn(struct db_pool *p, bool for_write)
{
    struct db_conn *best = NULL;
    for (uint32_t i = 0; i < p->options.size; i++) {
        struct db_conn *c = &p->conns[i];
        if (c->state != CONN_READY || c->is_broken || c->is_leaving || c->has_write ||
            (!for_write && c->in_flight >= READS_DEEP))
            continue;
        if (!best || c->in_flight < best->in_flight)
            best = c;
    }
    return best;
}

/* An even share of a queue for each free lane, but no lane for a few. */
static uint32_t share_of_lane(const struct db_pool *p, uint32_t queued, uint32_t lanes)
{
    uint32_t share = lanes > 0 ? (queued + lanes - 1) / lanes : queued;
    if (share < SHARE_LEAST)
        share = SHARE_LEAST;
    return share < p->options.group_max ? share : p->options.group_max;
}

/* How many more connections may take quick reads. */
static uint32_t free_read_lanes(const struct db_pool *p)
{
    uint32_t lanes = p->options.read_lanes;
    for (uint32_t i = 0; i < p->options.size && lanes > 0; i++)
        lanes -= p->conns[i].quick_count > 0;
    return lanes;
}

static void dispatch_reads(struct db_pool *p)
{
    uint64_t now = uv_now(p->loop);
    while (p->reads.head) {
        const struct db_op *head = p->reads.head;
        uint32_t lanes = op_goes_alone(head) ? 0 : free_read_lanes(p);
        if (!op_goes_alone(head) && lanes == 0 && now - head->queued_ms < READ_WAIT_MS)
            return;
        const struct db_group group = {&p->reads, share_of_lane(p, p->reads.count, lanes), false};
        struct db_conn *c = pick_conn(p, false);
        if (!c || !conn_send(c, &group))
            return;
    }
}

/* How many more groups may start now, the next one being of writes that are `lock_free`. Only what
 * is in flight for less than lane_ms counts: one that takes longer may wait for a row. */
static uint32_t free_write_lanes(const struct db_pool *p, bool lock_free)
{
    uint64_t now = uv_now(p->loop);
    uint32_t lanes = lock_free ? p->options.write_lanes : 1;
    for (uint32_t i = 0; i < p->options.size && lanes > 0; i++) {
        const struct db_unit *u = p->conns[i].has_write ? p->conns[i].head : NULL;
        while (u && !u->is_write)
            u = u->next;
        if (u && now - u->sent_ms < p->options.lane_ms)
            lanes = lock_free && u->is_lock_free ? lanes - 1 : 0;
    }
    return lanes;
}

static void dispatch_writes(struct db_pool *p)
{
    while (p->writes.head) {
        const struct db_op *head = p->writes.head;
        bool lock_free = head->stmt->is_lock_free;
        uint32_t lanes = free_write_lanes(p, lock_free);
        if (lanes == 0 && !head->is_alone)
            return;
        const struct db_group group = {&p->writes, share_of_lane(p, p->writes.count, lanes),
                                       lock_free};
        struct db_conn *c = pick_conn(p, true);
        if (!c || !conn_send(c, &group))
            return;
        p->stats.groups++;
    }
}

static void on_alarm(uv_timer_t *handle);

static void flush_all(struct db_pool *p)
{
    for (uint32_t i = 0; i < p->options.size; i++)
        conn_flush(&p->conns[i]);
}

void pool_dispatch(struct db_pool *p)
{
    if (!p->reads.head && !p->writes.head && !p->is_sent_early)
        return;
    p->is_sent_early = false;
    dispatch_writes(p);
    dispatch_reads(p);
    flush_all(p);
    for (uint32_t i = 0; i < p->options.size; i++)
        conn_end_broken(&p->conns[i]);
    if ((p->reads.head || p->writes.head) && !uv_is_active((uv_handle_t *)&p->alarm))
        uv_timer_start(&p->alarm, on_alarm, READ_WAIT_MS, 0);
}

static void on_alarm(uv_timer_t *handle)
{
    pool_dispatch(handle->data);
}

static void on_prepare(uv_prepare_t *handle)
{
    pool_dispatch(handle->data);
}

static void on_check(uv_check_t *handle)
{
    pool_dispatch(handle->data);
}

/* ---- time ---- */

static void expire(struct db_pool *p, struct db_op_list *list)
{
    uint64_t now = uv_now(p->loop);
    while (list->head && now - list->head->queued_ms > p->options.statement_ms) {
        struct db_op *op = op_list_pop(list);
        if (p->stats.connections_up == 0)
            fail_op(op, DB_EUNAVAILABLE, "the database cannot be reached; nothing was changed");
        else
            fail_op(op, DB_ETIMEOUT, "the database took too long; nothing was changed");
    }
}

/* A server that neither answers nor hangs up: the statement timeout should long have come. */
static bool is_stuck(const struct db_conn *c, uint64_t now)
{
    return c->head && now - c->head->sent_ms > 2 * (uint64_t)c->pool->options.statement_ms + 1000;
}

static void tend_conn(struct db_conn *c)
{
    uint64_t now = uv_now(c->pool->loop);
    switch (c->state) {
    case CONN_DOWN:
        if (now >= c->retry_ms)
            conn_start(c);
        break;
    case CONN_CONNECTING:
        if (now - c->started_ms > CONNECT_MAX_MS)
            conn_fail(c, "connecting took too long");
        break;
    case CONN_READY:
        if (is_stuck(c, now))
            conn_fail(c, "the database does not answer");
        else if (c->is_leaving && !c->head)
            conn_replace(c);
        break;
    case CONN_CLOSED:
        break;
    }
}

/* The first that an old conninfo made, once all are up: with a new one that is wrong, one
 * connection is missing and the others go on. */
static void replace_next(struct db_pool *p)
{
    struct db_conn *old = NULL;
    for (uint32_t i = 0; i < p->options.size; i++) {
        struct db_conn *c = &p->conns[i];
        if (c->state != CONN_READY || c->is_leaving)
            return;
        if (!old && c->version != secret_version(p->options.conninfo))
            old = c;
    }
    if (old)
        old->is_leaving = true;
}

static void tear_down(struct db_pool *p);

static bool is_idle(const struct db_pool *p)
{
    for (uint32_t i = 0; i < p->options.size; i++) {
        if (p->conns[i].head)
            return false;
    }
    return !p->reads.head && !p->writes.head;
}

static void on_janitor(uv_timer_t *handle)
{
    struct db_pool *p = handle->data;
    for (uint32_t i = 0; i < p->options.size; i++)
        tend_conn(&p->conns[i]);
    replace_next(p);
    expire(p, &p->reads);
    expire(p, &p->writes);
    if (p->is_closing && (is_idle(p) || uv_now(p->loop) >= p->close_by_ms))
        tear_down(p);
}

/* ---- life ---- */

static void start_handles(struct db_pool *p)
{
    uv_prepare_init(p->loop, &p->prepare);
    uv_check_init(p->loop, &p->check);
    uv_timer_init(p->loop, &p->janitor);
    uv_timer_init(p->loop, &p->alarm);
    p->prepare.data = p;
    p->check.data = p;
    p->janitor.data = p;
    p->alarm.data = p;
    p->open_handles = 4;
    uv_prepare_start(&p->prepare, on_prepare);
    uv_check_start(&p->check, on_check);
    uv_timer_start(&p->janitor, on_janitor, JANITOR_MS, JANITOR_MS);
}

static void free_pool(struct db_pool *p)
{
    mem_free(p->conns);
    mem_free(p);
}

/* The first at once, the others by the janitor one after the other: at a start they would only hold
 * up what the first is asked. */
static void start_conns(struct db_pool *p)
{
    for (uint32_t i = 0; i < p->options.size; i++) {
        struct db_conn *c = &p->conns[i];
        c->pool = p;
        c->backoff_ms = p->options.reconnect_min_ms;
        c->retry_ms = uv_now(p->loop) + (uint64_t)i * JANITOR_MS;
    }
    conn_start(&p->conns[0]);
}

int db_pool_new(uv_loop_t *loop, const struct db_pool_options *options, const struct log *log,
                struct db_pool **out, struct error *err)
{
    struct db_pool *p = mem_calloc(1, sizeof(*p));
    if (!p)
        return error_set(err, DB_ENOMEM, NULL, "out of memory");
    p->loop = loop;
    p->log = log;
    p->options = *options;
    if (p->options.read_lanes == 0)
        p->options.read_lanes = READ_LANES_A_CORE * uv_available_parallelism();
    if (p->options.write_lanes == 0)
        p->options.write_lanes = uv_available_parallelism();
    p->conns = mem_calloc(options->size, sizeof(*p->conns));
    if (!p->conns) {
        free_pool(p);
        return error_set(err, DB_ENOMEM, NULL, "out of memory");
    }
    uv_update_time(loop); /* what came before may have blocked longer than a statement may wait */
    start_handles(p);
    start_conns(p);
    *out = p;
    return 0;
}

/* So many reads are worth a lane: the server may begin while the loop's turn brings more. */
static void send_early(struct db_pool *p)
{
    dispatch_reads(p);
    flush_all(p);
    p->is_sent_early = true;
}

int db_pool_submit(struct db_pool *p, const struct db_stmt *stmt, const db_param *params,
                   db_result_fn fn, void *ctx, db_op_id *id, struct error *err)
{
    assert(stmt->param_count <= DB_PARAMS_MAX);
    if (p->is_closing)
        return error_set(err, DB_ECLOSED, NULL, "the pool is closed");
    if (p->reads.count + p->writes.count >= p->options.queue_max)
        return error_set(err, DB_EBUSY, NULL, "too many statements are waiting for the database");
    struct db_op *op = op_new(stmt, params, fn, ctx);
    if (!op)
        return error_set(err, DB_ENOMEM, NULL, "out of memory");
    op->id = ++p->next_id;
    op->queued_ms = uv_now(p->loop);
    op_list_push(stmt->is_write ? &p->writes : &p->reads, op);
    if (id)
        *id = op->id;
    if (p->reads.count >= SHARE_LEAST && free_read_lanes(p) > 0)
        send_early(p);
    return 0;
}

static struct db_op *remove_op(struct db_op_list *list, db_op_id id)
{
    struct db_op_list rest = {0};
    struct db_op *found = NULL;
    for (struct db_op *op = op_list_pop(list); op; op = op_list_pop(list)) {
        if (op->id == id)
            found = op;
        else
            op_list_push(&rest, op);
    }
    *list = rest;
    return found;
}

void db_pool_cancel(struct db_pool *p, db_op_id id)
{
    struct db_op *op = remove_op(&p->reads, id);
    if (!op)
        op = remove_op(&p->writes, id);
    if (op)
        fail_op(op, DB_ECANCELLED, "cancelled; nothing was changed");
}

void pool_handle_closed(struct db_pool *p)
{
    if (--p->open_handles > 0 || !p->is_torn_down)
        return;
    db_closed_fn closed = p->closed;
    void *ctx = p->closed_ctx;
    free_pool(p);
    closed(ctx);
}

static void on_handle_closed(uv_handle_t *handle)
{
    pool_handle_closed(handle->data);
}

static void tear_down(struct db_pool *p)
{
    p->is_torn_down = true;
    for (uint32_t i = 0; i < p->options.size; i++)
        conn_close(&p->conns[i]);
    for (struct db_op *op = op_list_pop(&p->reads); op; op = op_list_pop(&p->reads))
        fail_op(op, DB_ECLOSED, "the server is stopping; nothing was changed");
    for (struct db_op *op = op_list_pop(&p->writes); op; op = op_list_pop(&p->writes))
        fail_op(op, DB_ECLOSED, "the server is stopping; nothing was changed");
    uv_close((uv_handle_t *)&p->prepare, on_handle_closed);
    uv_close((uv_handle_t *)&p->check, on_handle_closed);
    uv_close((uv_handle_t *)&p->janitor, on_handle_closed);
    uv_close((uv_handle_t *)&p->alarm, on_handle_closed);
}

void db_pool_close(struct db_pool *p, uint32_t drain_ms, db_closed_fn closed, void *ctx)
{
    assert(!p->is_closing);
    p->is_closing = true;
    p->close_by_ms = uv_now(p->loop) + drain_ms;
    p->closed = closed;
    p->closed_ctx = ctx;
}

bool db_pool_is_ready(const struct db_pool *p)
{
    return p->stats.connections_up > 0;
}

void db_pool_stats(const struct db_pool *p, struct db_pool_stats *out)
{
    *out = p->stats;
    out->queued = p->reads.count + p->writes.count;
    out->connections_busy = 0;
    for (uint32_t i = 0; i < p->options.size; i++)
        out->connections_busy += p->conns[i].head != NULL;
}
