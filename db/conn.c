/* One connection: connect -> ready -> units in flight -> broken -> wait -> connect …
 * libpq drives the connecting (PQconnectPoll); after that everything is pipeline mode. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/secret.h"
#include "db/pool_int.h"

#define NAME_SIZE 96 /* of a prepared statement; the server keeps 63 bytes */

static void on_poll(uv_poll_t *handle, int status, int events);

static void on_poll_closed(uv_handle_t *handle)
{
    struct db_pool *p = handle->data;
    mem_free(handle);
    pool_handle_closed(p);
}

static void close_poll(struct db_conn *c)
{
    if (!c->poll)
        return;
    uv_poll_stop(c->poll);
    c->poll->data = c->pool; /* the connection may be long gone when the callback comes */
    uv_close((uv_handle_t *)c->poll, on_poll_closed);
    c->poll = NULL;
    c->poll_events = 0;
}

/* libpq may change its socket between steps of connecting, so each step may need a new handle. */
static int open_poll(struct db_conn *c)
{
    close_poll(c);
    c->poll = mem_alloc(sizeof(*c->poll));
    if (!c->poll)
        return DB_ENOMEM;
    int status = uv_poll_init(c->pool->loop, c->poll, PQsocket(c->pg));
    if (status) {
        mem_free(c->poll);
        c->poll = NULL;
        return status;
    }
    c->poll->data = c;
    c->pool->open_handles++;
    return 0;
}

static void watch(struct db_conn *c, int events)
{
    if (c->poll && c->poll_events != events) {
        c->poll_events = events;
        uv_poll_start(c->poll, events, on_poll);
    }
}

/* Doubles, with jitter, so that many connections do not come back in step. */
static void schedule_retry(struct db_conn *c)
{
    const struct db_pool_options *o = &c->pool->options;
    uint64_t now = uv_now(c->pool->loop);
    uint32_t jitter = (uint32_t)((uintptr_t)c / 64 + now) % (c->backoff_ms / 2 + 1);
    c->retry_ms = now + c->backoff_ms / 2 + jitter;
    c->backoff_ms =
        c->backoff_ms * 2 > o->reconnect_max_ms ? o->reconnect_max_ms : c->backoff_ms * 2;
}

static void drop(struct db_conn *c)
{
    close_poll(c);
    PQfinish(c->pg);
    c->pg = NULL;
    c->prepared_count = 0;
    c->lost_count = 0;
    c->is_dirty = false;
    c->is_broken = false;
    c->is_leaving = false;
    if (c->state == CONN_READY)
        c->pool->stats.connections_up--;
    c->state = CONN_DOWN;
    schedule_retry(c);
}

void conn_fail(struct db_conn *c, const char *why)
{
    bool was_ready = c->state == CONN_READY;
    if (was_ready && !c->pool->is_closing)
        log_warn(c->pool->log, "database connection lost", log_str("reason", why));
    else
        log_debug(c->pool->log, "database connection ended", log_str("reason", why));
    drop(c);
    struct db_unit *lost = c->head;
    c->head = NULL;
    c->tail = NULL;
    c->in_flight = 0;
    c->quick_count = 0;
    c->has_write = false;
    while (lost) {
        struct db_unit *next = lost->next;
        pool_unit_lost(c->pool, lost, c->number);
        lost = next;
    }
}

void conn_close(struct db_conn *c)
{
    if (c->pg)
        conn_fail(c, "closing");
    c->state = CONN_CLOSED;
}

void conn_replace(struct db_conn *c)
{
    log_debug(c->pool->log, "database connection replaced");
    drop(c);
    c->retry_ms = uv_now(c->pool->loop);
}

/* ---- connecting ---- */

static PGconn *begin_connect(const struct db_pool *p)
{
    char options[512];
    snprintf(options, sizeof(options),
             DB_SESSION_OPTIONS
             " -c statement_timeout=%u -c idle_in_transaction_session_timeout=%u%s",
             p->options.statement_ms, p->options.statement_ms * 2,
             p->options.session_options ? p->options.session_options : "");
    const char *keys[] = {"dbname", "client_encoding", "application_name", "options", NULL};
    const char *name = p->options.name ? p->options.name : "todo-mcp";
    const char *values[] = {secret_text(p->options.conninfo), "UTF8", name, options, NULL};
    return PQconnectStartParams(keys, values, 1);
}

/* libpq would print it to stderr, which is the log's. */
static void drop_notice(void *ctx, const PGresult *res)
{
    (void)ctx;
    (void)res;
}

void conn_start(struct db_conn *c)
{
    c->version = secret_version(c->pool->options.conninfo);
    c->pg = begin_connect(c->pool);
    PQsetNoticeReceiver(c->pg, drop_notice, NULL);
    c->state = CONN_CONNECTING;
    c->started_ms = uv_now(c->pool->loop);
    if (!c->pg || PQstatus(c->pg) == CONNECTION_BAD)
        conn_fail(c, "cannot connect");
    else if (open_poll(c))
        conn_fail(c, "no poll handle");
    else
        watch(c, UV_WRITABLE);
}

static void become_ready(struct db_conn *c)
{
    if (PQsetnonblocking(c->pg, 1) || !PQenterPipelineMode(c->pg)) {
        conn_fail(c, "no pipeline mode");
        return;
    }
    c->state = CONN_READY;
    c->backoff_ms = c->pool->options.reconnect_min_ms;
    c->pool->stats.connections_up++;
    c->number = ++c->pool->stats.reconnects;
    watch(c, UV_READABLE);
    pool_dispatch(c->pool);
}

static void continue_connect(struct db_conn *c)
{
    int before = PQsocket(c->pg);
    PostgresPollingStatusType step = PQconnectPoll(c->pg);
    if (step == PGRES_POLLING_FAILED) {
        conn_fail(c, "cannot connect");
        return;
    }
    if (PQsocket(c->pg) != before && open_poll(c)) {
        conn_fail(c, "no poll handle");
        return;
    }
    if (step == PGRES_POLLING_OK)
        become_ready(c);
    else
        watch(c, step == PGRES_POLLING_READING ? UV_READABLE : UV_WRITABLE);
}

/* ---- sending ---- */

static void append_unit(struct db_conn *c, struct db_unit *u)
{
    u->sent_ms = uv_now(c->pool->loop);
    if (c->tail)
        c->tail->next = u;
    else
        c->head = u;
    c->tail = u;
    c->in_flight++;
    c->quick_count += u->is_quick;
    c->has_write |= u->is_write;
}

static bool are_lock_free(const struct db_op *ops)
{
    while (ops && ops->stmt->is_lock_free)
        ops = ops->next;
    return !ops;
}

static const struct db_prepared *find_prepared(const struct db_conn *c, const struct db_stmt *stmt)
{
    for (int i = 0; i < c->prepared_count; i++) {
        if (c->prepared[i].stmt == stmt)
            return &c->prepared[i];
    }
    return NULL;
}

static const char *name_of(const struct db_prepared *prepared, char out[NAME_SIZE])
{
    if (prepared->serial == 0)
        return prepared->stmt->name;
    snprintf(out, NAME_SIZE, "%s~%u", prepared->stmt->name, prepared->serial);
    return out;
}

static void forget_statement(struct db_conn *c, const struct db_stmt *stmt)
{
    for (int i = 0; i < c->prepared_count; i++) {
        if (c->prepared[i].stmt == stmt) {
            c->prepared[i] = c->prepared[--c->prepared_count];
            c->lost_count++;
        }
    }
}

/* A Parse with a Sync of its own, so that the abort of a group never takes it along. */
static bool prepare(struct db_conn *c, const struct db_stmt *stmt)
{
    char name[NAME_SIZE];
    if (find_prepared(c, stmt))
        return true;
    bool has_place = c->prepared_count < CONN_STATEMENTS_MAX;
    struct db_unit *u = has_place ? mem_calloc(1, sizeof(*u)) : NULL;
    if (!u)
        return false;
    u->prepare = stmt;
    const struct db_prepared prepared = {stmt, c->lost_count};
    if (!PQsendPrepare(c->pg, name_of(&prepared, name), stmt->sql, stmt->param_count, NULL) ||
        !PQpipelineSync(c->pg)) {
        mem_free(u);
        return false;
    }
    append_unit(c, u);
    c->prepared[c->prepared_count++] = prepared;
    return true;
}

static bool send_op(struct db_conn *c, const struct db_op *op)
{
    char name[NAME_SIZE];
    const struct db_prepared *prepared = find_prepared(c, op->stmt);
    c->pool->stats.statements++;
    return prepared && PQsendQueryPrepared(c->pg, name_of(prepared, name), op->stmt->param_count,
                                           op->values, NULL, NULL, 1);
}

static bool send_ops(struct db_conn *c, const struct db_op *ops)
{
    for (const struct db_op *op = ops; op; op = op->next) {
        if (!prepare(c, op->stmt))
            return false;
    }
    for (const struct db_op *op = ops; op; op = op->next) {
        if (!send_op(c, op))
            return false;
    }
    return PQpipelineSync(c->pg);
}

bool conn_send(struct db_conn *c, const struct db_group *group)
{
    struct db_unit *u = mem_alloc(sizeof(*u));
    if (!u)
        return false;
    struct db_op *ops = op_list_take(group);
    bool is_write = ops->stmt->is_write;
    *u = (struct db_unit){.ops = ops,
                          .at = ops,
                          .is_write = is_write,
                          .is_lock_free = is_write && are_lock_free(ops),
                          .is_quick = !is_write && !ops->stmt->is_slow};
    c->is_broken |= !send_ops(c, ops);
    append_unit(c, u);
    c->is_dirty = true;
    return true;
}

void conn_flush(struct db_conn *c)
{
    if (!c->is_dirty || c->state != CONN_READY)
        return;
    int rest = PQflush(c->pg);
    c->is_broken |= rest < 0;
    c->is_dirty = rest > 0;
    watch(c, UV_READABLE | (rest > 0 ? UV_WRITABLE : 0));
}

void conn_end_broken(struct db_conn *c)
{
    if (c->is_broken)
        conn_fail(c, "cannot send");
}

/* ---- receiving ---- */

static bool is_failure(const PGresult *res)
{
    ExecStatusType status = PQresultStatus(res);
    return status == PGRES_FATAL_ERROR || status == PGRES_PIPELINE_ABORTED ||
           status == PGRES_BAD_RESPONSE;
}

static void log_failure(const struct db_conn *c, const struct db_unit *u, const PGresult *res)
{
    const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
    const char *name = u->prepare ? u->prepare->name : u->at ? u->at->stmt->name : "sync";
    const char *position = PQresultErrorField(res, PG_DIAG_STATEMENT_POSITION);
    if (PQresultStatus(res) == PGRES_FATAL_ERROR)
        log_warn(c->pool->log, "statement failed", log_str("statement", name),
                 log_str("sqlstate", state), log_str("position", position),
                 log_str("constraint", PQresultErrorField(res, PG_DIAG_CONSTRAINT_NAME)));
}

static void take_result(struct db_conn *c, struct db_unit *u, PGresult *res)
{
    if (is_failure(res)) {
        u->has_failed = true;
        log_failure(c, u, res);
        if (u->prepare)
            forget_statement(c, u->prepare);
        else if (u->at && op_is_statement_lost(res))
            forget_statement(c, u->at->stmt);
    }
    if (u->at && !u->at->res)
        u->at->res = res;
    else
        PQclear(res);
}

static void end_unit(struct db_conn *c)
{
    struct db_unit *u = c->head;
    c->head = u->next;
    if (!c->head)
        c->tail = NULL;
    c->in_flight--;
    c->quick_count -= u->is_quick;
    if (u->is_write)
        c->has_write = false;
    pool_unit_done(c->pool, u);
}

/* An answer that libpq could not take, as without memory, it replaces by an error of its own: what
 * became of the statement is not known then, and a write must not be taken for refused. */
static bool is_of_server(const PGresult *res)
{
    return PQresultStatus(res) != PGRES_FATAL_ERROR || PQresultErrorField(res, PG_DIAG_SQLSTATE);
}

/* False when libpq has no more for now. */
static bool step_result(struct db_conn *c)
{
    if (!c->head || PQisBusy(c->pg))
        return false;
    struct db_unit *u = c->head;
    PGresult *res = PQgetResult(c->pg);
    if (!res) {
        u->at = u->at ? u->at->next : NULL; /* the end of one statement's results */
    } else if (PQresultStatus(res) == PGRES_PIPELINE_SYNC) {
        PQclear(res);
        end_unit(c);
    } else if (!is_of_server(res)) {
        PQclear(res);
        conn_fail(c, "an answer could not be taken");
    } else {
        take_result(c, u, res);
    }
    return c->state == CONN_READY;
}

static void receive(struct db_conn *c)
{
    if (!PQconsumeInput(c->pg)) {
        conn_fail(c, "connection reset");
        return;
    }
    while (step_result(c))
        ;
    if (c->state == CONN_READY && PQstatus(c->pg) == CONNECTION_BAD)
        conn_fail(c, "connection closed");
}

static void on_poll(uv_poll_t *handle, int status, int events)
{
    struct db_conn *c = handle->data;
    if (c->state == CONN_CONNECTING) {
        continue_connect(c);
        return;
    }
    if (status < 0) {
        conn_fail(c, uv_strerror(status));
        return;
    }
    if (events & UV_READABLE)
        receive(c);
    if (c->state == CONN_READY && (events & UV_WRITABLE))
        conn_flush(c);
    conn_end_broken(c);
}
