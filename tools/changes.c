/* tools/changes.c: two sets wait for the next round: what to tell here, and what to tell others. */
#include "tools/changes.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "db/listen.h"
#include "mcp/server.h"
#include "tools/changes_int.h"
#include "tools/resources.h"

#define DRAIN_MS 1000

struct changes {
    uv_loop_t *loop;
    struct mcp_server *server; /* borrowed; may be NULL */
    const struct log *log;
    struct db_listen *listen;
    uv_timer_t timer; /* runs while a round is due */
    uint64_t last_round_ms;
    bool had_round;
    struct change_set here, others;
    void (*on_heard)(void *ctx); /* may be NULL */
    void *heard_ctx;
    int open_parts;
    bool is_closing;
    changes_closed_fn closed;
    void *closed_ctx;
};

/* ---- telling here --------------------------------------------------------------------------- */

static void tell_uri(struct changes *c, int64_t user_id, const char *start, int64_t id)
{
    char uri[64];
    snprintf(uri, sizeof(uri), "%s%" PRId64, start, id);
    mcp_server_resource_updated(c->server, user_id, uri);
}

static void tell_item(struct changes *c, const struct change_item *item)
{
    switch (item->kind) {
    case CHANGE_ALL:
        mcp_server_resources_updated(c->server, item->user_id, "");
        break;
    case CHANGE_ANY_CATEGORY:
        mcp_server_resources_updated(c->server, item->user_id, RESOURCE_CATEGORY);
        break;
    case CHANGE_LISTS:
        mcp_server_resource_updated(c->server, item->user_id, RESOURCE_TODAY);
        mcp_server_resource_updated(c->server, item->user_id, RESOURCE_OVERDUE);
        mcp_server_resource_updated(c->server, item->user_id, RESOURCE_UPCOMING);
        break;
    case CHANGE_CATEGORY:
        tell_uri(c, item->user_id, RESOURCE_CATEGORY, item->id);
        break;
    case CHANGE_TASK:
        tell_uri(c, item->user_id, RESOURCE_TASK, item->id);
        break;
    }
}

static void tell_here(struct changes *c)
{
    struct change_set *s = &c->here;
    change_set_settle(s);
    bool is_everything = s->is_everything || (s->count > 0 && s->items[0].user_id == 0);
    if (is_everything)
        mcp_server_resources_updated(c->server, 0, "");
    for (size_t i = 0; !is_everything && i < s->count; i++)
        tell_item(c, &s->items[i]);
    change_set_clear(s);
}

/* ---- telling others ------------------------------------------------------------------------- */

/* What cannot be sent is not forgotten: the next round says that everything has changed. */
static void tell_others(struct changes *c)
{
    struct buf text;
    size_t at = 0;
    int status = 0;
    change_set_settle(&c->others);
    buf_init(&text, DB_LISTEN_MESSAGE_MAX);
    while (!status) {
        struct slice message = change_set_write(&c->others, &at, &text, DB_LISTEN_MESSAGE_MAX);
        if (message.len == 0)
            break;
        status = buf_status(&text) ? buf_status(&text) : db_listen_notify(c->listen, message);
    }
    if (!status)
        status = buf_status(&text);
    buf_deinit(&text);
    change_set_clear(&c->others);
    c->others.is_everything = status != 0;
}

/* ---- rounds --------------------------------------------------------------------------------- */

static void on_round(uv_timer_t *timer);

/* At once where the last round is long past, else when it is. */
static void schedule(struct changes *c)
{
    uint64_t passed = uv_now(c->loop) - c->last_round_ms;
    bool is_early = c->had_round && passed < CHANGES_ROUND_MS;
    if (!c->is_closing && !uv_is_active((uv_handle_t *)&c->timer))
        uv_timer_start(&c->timer, on_round, is_early ? CHANGES_ROUND_MS - passed : 0, 0);
}

static void on_round(uv_timer_t *timer)
{
    struct changes *c = timer->data;
    c->last_round_ms = uv_now(c->loop);
    c->had_round = true;
    if (!change_set_is_empty(&c->others))
        tell_others(c);
    if (c->server && !change_set_is_empty(&c->here))
        tell_here(c);
    if (!change_set_is_empty(&c->others))
        schedule(c);
}

void changes_add(struct changes *c, const struct change *change)
{
    assert(!c->is_closing);
    change_set_add(&c->others, change);
    if (c->server)
        change_set_add(&c->here, change);
    schedule(c);
}

void changes_hear(struct changes *c, void (*fn)(void *ctx), void *ctx)
{
    c->on_heard = fn;
    c->heard_ctx = ctx;
}

static void on_message(void *ctx, struct slice message)
{
    struct changes *c = ctx;
    if (c->on_heard)
        c->on_heard(c->heard_ctx);
    if (!c->server)
        return;
    change_set_read(&c->here, message);
    schedule(c);
}

static void on_gap(void *ctx)
{
    struct changes *c = ctx;
    if (c->on_heard)
        c->on_heard(c->heard_ctx);
    change_set_clear(&c->here);
    c->here.is_everything = true;
    schedule(c);
}

/* ---- life ----------------------------------------------------------------------------------- */

int changes_open(uv_loop_t *loop, struct mcp_server *server, const struct secret *conninfo,
                 const struct log *log, struct changes **out, struct error *err)
{
    struct changes *c = mem_calloc(1, sizeof(*c));
    if (!c)
        return error_set(err, DB_ENOMEM, NULL, "out of memory");
    *c = (struct changes){.loop = loop, .server = server, .log = log, .open_parts = 2};
    const struct db_listen_options options = {.conninfo = conninfo,
                                              .channel = CHANGES_CHANNEL,
                                              .on_message = on_message,
                                              .on_gap = on_gap,
                                              .ctx = c};
    int status = db_listen_new(loop, &options, log, &c->listen, err);
    if (status) {
        mem_free(c);
        return status;
    }
    uv_timer_init(loop, &c->timer);
    c->timer.data = c;
    *out = c;
    return 0;
}

static void part_closed(struct changes *c)
{
    if (--c->open_parts > 0)
        return;
    changes_closed_fn closed = c->closed;
    void *ctx = c->closed_ctx;
    change_set_deinit(&c->here);
    change_set_deinit(&c->others);
    mem_free(c);
    closed(ctx);
}

static void on_timer_closed(uv_handle_t *handle)
{
    part_closed(handle->data);
}

static void on_listen_closed(void *ctx)
{
    part_closed(ctx);
}

void changes_close(struct changes *c, changes_closed_fn closed, void *ctx)
{
    assert(!c->is_closing);
    c->is_closing = true;
    c->closed = closed;
    c->closed_ctx = ctx;
    tell_others(c);
    uv_close((uv_handle_t *)&c->timer, on_timer_closed);
    db_listen_close(c->listen, DRAIN_MS, on_listen_closed, c);
}
