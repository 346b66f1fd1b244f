/* db/listen.c: one connection, one statement at a time:
 *   DOWN -> CONNECTING -> STARTING (listen is sent) -> READY -> DOWN …
 * An idle connection is asked for a sign of life, since a network that is cut says nothing. */
#include "db/listen.h"

#include <assert.h>
#include <libpq-fe.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/secret.h"

#define TICK_MS      100
#define CONNECT_MS   5000 /* the longest time to connect and to begin listening */
#define STATEMENT_MS 10000
#define SILENCE_MS   15000
#define OPTIONS      "-c synchronous_commit=off -c statement_timeout=10000"

enum listen_state { LISTEN_DOWN, LISTEN_CONNECTING, LISTEN_STARTING, LISTEN_READY };

struct message {
    struct message *next;
    size_t len;
    char text[]; /* NUL-terminated */
};

struct db_listen {
    uv_loop_t *loop;
    const struct log *log;
    struct db_listen_options options;
    uint32_t version; /* of the conninfo that the connection was made with */
    enum listen_state state;
    PGconn *pg;
    uv_poll_t *poll; /* owned; freed in its close callback */
    uv_timer_t timer;
    int open_handles;
    uint64_t since_ms; /* of the state, or the last word to or from the server */
    uint64_t retry_ms;
    uint32_t backoff_ms;
    bool is_busy;    /* a statement is under way: `listen`, the first message, or a sign of life */
    bool is_sending; /* it is the message */
    bool has_failed; /* it */
    struct message *head, *tail;
    size_t queued_bytes;
    bool is_closing, is_torn_down;
    uint64_t close_by_ms;
    db_listen_closed_fn closed;
    void *closed_ctx;
};

static void on_poll(uv_poll_t *handle, int status, int events);

/* ---- handles -------------------------------------------------------------------------------- */

static void free_listen(struct db_listen *l)
{
    while (l->head) {
        struct message *next = l->head->next;
        mem_free(l->head);
        l->head = next;
    }
    mem_free(l);
}

static void handle_closed(struct db_listen *l)
{
    if (--l->open_handles > 0 || !l->is_torn_down)
        return;
    db_listen_closed_fn closed = l->closed;
    void *ctx = l->closed_ctx;
    free_listen(l);
    closed(ctx);
}

static void on_poll_closed(uv_handle_t *handle)
{
    struct db_listen *l = handle->data;
    mem_free(handle);
    handle_closed(l);
}

static void on_timer_closed(uv_handle_t *handle)
{
    handle_closed(handle->data);
}

static void close_poll(struct db_listen *l)
{
    if (!l->poll)
        return;
    uv_poll_stop(l->poll);
    uv_close((uv_handle_t *)l->poll, on_poll_closed);
    l->poll = NULL;
}

/* libpq may change its socket between steps of connecting, so each step may need a new handle. */
static int open_poll(struct db_listen *l)
{
    close_poll(l);
    uv_poll_t *poll = mem_alloc(sizeof(*poll));
    if (!poll)
        return DB_ENOMEM;
    int status = uv_poll_init(l->loop, poll, PQsocket(l->pg));
    if (status) {
        mem_free(poll);
        return status;
    }
    poll->data = l;
    l->poll = poll;
    l->open_handles++;
    return 0;
}

static void watch(struct db_listen *l, int events)
{
    if (l->poll)
        uv_poll_start(l->poll, events, on_poll);
}

/* ---- breaks --------------------------------------------------------------------------------- */

static void end_connection(struct db_listen *l)
{
    close_poll(l);
    PQfinish(l->pg);
    l->pg = NULL;
    l->is_busy = false;
    l->is_sending = false;
    l->state = LISTEN_DOWN;
}

static void fail(struct db_listen *l, const char *why)
{
    if (l->state == LISTEN_READY && !l->is_closing)
        log_warn(l->log, "listening connection lost", log_str("reason", why));
    else
        log_debug(l->log, "listening connection ended", log_str("reason", why));
    end_connection(l);
    l->retry_ms = uv_now(l->loop) + l->backoff_ms;
    l->backoff_ms *= 2;
    if (l->backoff_ms > l->options.reconnect_max_ms)
        l->backoff_ms = l->options.reconnect_max_ms;
}

/* What is missed meanwhile on_gap makes up for. */
static void replace(struct db_listen *l)
{
    end_connection(l);
    l->retry_ms = uv_now(l->loop);
}

/* ---- sending -------------------------------------------------------------------------------- */

static void flush(struct db_listen *l)
{
    int rest = PQflush(l->pg);
    if (rest < 0)
        fail(l, "cannot write");
    else
        watch(l, UV_READABLE | (rest > 0 ? UV_WRITABLE : 0));
}

static void send_statement(struct db_listen *l, const char *sql, int count, const char *const *text)
{
    l->is_busy = true;
    l->has_failed = false;
    l->since_ms = uv_now(l->loop);
    if (PQsendQueryParams(l->pg, sql, count, NULL, text, NULL, NULL, 0))
        flush(l);
    else
        fail(l, "cannot send");
}

static void send_next(struct db_listen *l)
{
    if (l->state != LISTEN_READY || l->is_busy || !l->head)
        return;
    const char *const values[] = {l->options.channel, l->head->text};
    l->is_sending = true;
    send_statement(l, "select pg_notify($1::text, $2::text)", 2, values);
}

/* A refused message would be refused again, so it goes either way. */
static void drop_first(struct db_listen *l)
{
    struct message *first = l->head;
    l->head = first->next;
    if (!l->head)
        l->tail = NULL;
    l->queued_bytes -= first->len;
    mem_free(first);
}

int db_listen_notify(struct db_listen *l, struct slice message)
{
    assert(message.len <= DB_LISTEN_MESSAGE_MAX && !l->is_closing);
    if (l->queued_bytes + message.len > DB_LISTEN_QUEUE_BYTES)
        return DB_EBUSY;
    struct message *copy = mem_alloc(sizeof(*copy) + message.len + 1);
    if (!copy)
        return DB_ENOMEM;
    *copy = (struct message){.len = message.len};
    if (message.len > 0)
        memcpy(copy->text, message.ptr, message.len);
    copy->text[message.len] = '\0';
    *(l->tail ? &l->tail->next : &l->head) = copy;
    l->tail = copy;
    l->queued_bytes += message.len;
    send_next(l);
    return 0;
}

/* ---- connecting ----------------------------------------------------------------------------- */

/* libpq would print it to stderr, which is the log's. */
static void drop_notice(void *ctx, const PGresult *res)
{
    (void)ctx;
    (void)res;
}

static void connect_now(struct db_listen *l)
{
    const char *keys[] = {"dbname", "client_encoding", "application_name", "options", NULL};
    const char *values[] = {secret_text(l->options.conninfo), "UTF8", "todo-mcp-listen", OPTIONS,
                            NULL};
    l->version = secret_version(l->options.conninfo);
    l->pg = PQconnectStartParams(keys, values, 1);
    l->state = LISTEN_CONNECTING;
    l->since_ms = uv_now(l->loop);
    if (!l->pg || PQstatus(l->pg) == CONNECTION_BAD) {
        fail(l, "cannot connect");
        return;
    }
    PQsetNoticeReceiver(l->pg, drop_notice, NULL);
    if (open_poll(l))
        fail(l, "no poll handle");
    else
        watch(l, UV_WRITABLE);
}

static void begin_listening(struct db_listen *l)
{
    char sql[96];
    snprintf(sql, sizeof(sql), "listen %s", l->options.channel);
    l->state = LISTEN_STARTING;
    if (PQsetnonblocking(l->pg, 1))
        fail(l, "cannot be non-blocking");
    else
        send_statement(l, sql, 0, NULL);
}

static void continue_connect(struct db_listen *l)
{
    int before = PQsocket(l->pg);
    PostgresPollingStatusType step = PQconnectPoll(l->pg);
    if (step == PGRES_POLLING_FAILED)
        fail(l, "cannot connect");
    else if (PQsocket(l->pg) != before && open_poll(l))
        fail(l, "no poll handle");
    else if (step == PGRES_POLLING_OK)
        begin_listening(l);
    else
        watch(l, step == PGRES_POLLING_READING ? UV_READABLE : UV_WRITABLE);
}

/* ---- receiving ------------------------------------------------------------------------------ */

static void end_statement(struct db_listen *l)
{
    l->is_busy = false;
    if (l->state == LISTEN_STARTING) {
        if (l->has_failed) {
            fail(l, "cannot listen");
            return;
        }
        l->state = LISTEN_READY;
        l->backoff_ms = l->options.reconnect_min_ms;
        if (!l->is_closing)
            l->options.on_gap(l->options.ctx);
    } else if (l->is_sending) {
        l->is_sending = false;
        if (l->has_failed)
            log_warn(l->log, "a notification was refused");
        drop_first(l);
    }
    send_next(l);
}

static void take_results(struct db_listen *l)
{
    while (l->is_busy && !PQisBusy(l->pg)) {
        PGresult *res = PQgetResult(l->pg);
        if (!res) {
            end_statement(l);
            continue;
        }
        ExecStatusType status = PQresultStatus(res);
        l->has_failed |= status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK;
        PQclear(res);
    }
}

/* The handler may send, and so break the connection. */
static void take_messages(struct db_listen *l)
{
    while (l->state == LISTEN_READY) {
        PGnotify *heard = PQnotifies(l->pg);
        if (!heard)
            return;
        if (heard->be_pid != PQbackendPID(l->pg) && !l->is_closing)
            l->options.on_message(l->options.ctx, slice_from_cstr(heard->extra));
        PQfreemem(heard);
    }
}

static void receive(struct db_listen *l)
{
    l->since_ms = uv_now(l->loop);
    if (!PQconsumeInput(l->pg)) {
        fail(l, "connection reset");
        return;
    }
    take_results(l);
    take_messages(l);
    if (l->pg && PQstatus(l->pg) == CONNECTION_BAD)
        fail(l, "connection closed");
}

static void on_poll(uv_poll_t *handle, int status, int events)
{
    struct db_listen *l = handle->data;
    if (l->state == LISTEN_CONNECTING)
        continue_connect(l);
    else if (status < 0)
        fail(l, uv_strerror(status));
    else if (events & UV_READABLE)
        receive(l);
    if (l->pg && l->state != LISTEN_CONNECTING && (events & UV_WRITABLE))
        flush(l);
}

/* ---- time, life ----------------------------------------------------------------------------- */

static void tear_down(struct db_listen *l)
{
    l->is_torn_down = true;
    if (l->pg)
        fail(l, "closing");
    uv_close((uv_handle_t *)&l->timer, on_timer_closed);
}

static void tend(struct db_listen *l, uint64_t now)
{
    uint64_t passed = now - l->since_ms;
    switch (l->state) {
    case LISTEN_DOWN:
        if (now >= l->retry_ms)
            connect_now(l);
        break;
    case LISTEN_CONNECTING:
    case LISTEN_STARTING:
        if (passed > CONNECT_MS)
            fail(l, "connecting took too long");
        break;
    case LISTEN_READY:
        if (l->is_busy && passed > STATEMENT_MS)
            fail(l, "the database does not answer");
        else if (!l->is_busy && l->version != secret_version(l->options.conninfo))
            replace(l);
        else if (!l->is_busy && passed > SILENCE_MS)
            send_statement(l, "select 1", 0, NULL);
        break;
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct db_listen *l = timer->data;
    uint64_t now = uv_now(l->loop);
    if (l->is_closing && (!l->head || now >= l->close_by_ms))
        tear_down(l);
    else
        tend(l, now);
}

int db_listen_new(uv_loop_t *loop, const struct db_listen_options *options, const struct log *log,
                  struct db_listen **out, struct error *err)
{
    struct db_listen *l = mem_calloc(1, sizeof(*l));
    if (!l)
        return error_set(err, DB_ENOMEM, NULL, "out of memory");
    *l = (struct db_listen){.loop = loop, .log = log, .options = *options};
    if (!l->options.reconnect_min_ms)
        l->options.reconnect_min_ms = 50;
    if (!l->options.reconnect_max_ms)
        l->options.reconnect_max_ms = 2000;
    l->backoff_ms = l->options.reconnect_min_ms;
    uv_timer_init(loop, &l->timer);
    l->timer.data = l;
    l->open_handles = 1;
    uv_timer_start(&l->timer, on_timer, TICK_MS, TICK_MS);
    connect_now(l);
    *out = l;
    return 0;
}

void db_listen_close(struct db_listen *l, uint32_t drain_ms, db_listen_closed_fn closed, void *ctx)
{
    assert(!l->is_closing);
    l->is_closing = true;
    l->close_by_ms = uv_now(l->loop) + drain_ms;
    l->closed = closed;
    l->closed_ctx = ctx;
    uv_timer_start(&l->timer, on_timer, 0, 10);
}
