/* Sessions of the handshake revisions, and open SSE streams. Spec: basic/transports of 2025-11-25
 * (#session-management, #listening-for-messages-from-the-server). */
#include <search.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/log.h"
#include "base/mem.h"
#include "mcp/http_int.h"

/* ---- streams ---- */

void http_stream_link(struct http_stream *stream)
{
    struct mcp_http *t = stream->transport;
    stream->prev = NULL;
    stream->next = t->streams;
    if (t->streams)
        t->streams->prev = stream;
    t->streams = stream;
}

void http_stream_unlink(struct http_stream *stream)
{
    struct mcp_http *t = stream->transport;
    if (t->next_stream == stream)
        t->next_stream = stream->next;
    if (stream->prev)
        stream->prev->next = stream->next;
    else
        t->streams = stream->next;
    if (stream->next)
        stream->next->prev = stream->prev;
}

/* A session's stream ends: by the client, with its session or with the transport. */
static void end_listening(struct http_stream *stream)
{
    http_stream_unlink(stream);
    stream->session->streams--;
    http_stream_end(stream->req); /* the stream lives in its arena */
}

static void on_listener_gone(void *ctx, struct http_request *req)
{
    (void)req;
    end_listening(ctx);
}

void http_session_listen(struct mcp_http *t, struct http_session *s, struct http_request *req)
{
    struct http_stream *stream = arena_alloc(http_request_arena(req), sizeof(*stream));
    if (!stream) {
        http_refuse(t, req, 503, MCP_INTERNAL_ERROR, "out of memory");
        return;
    }
    *stream = (struct http_stream){.req = req, .session = s, .transport = t};
    s->streams++;
    http_stream_link(stream);
    http_request_on_gone(req, on_listener_gone, stream);
    /* The first bytes tell the client that the stream stands. */
    if (http_start_stream(t, req) == 0)
        (void)http_stream_write(req, SLICE_LIT(": listening\n\n"));
}

/* ---- sessions ---- */

static int compare_ids(const void *a, const void *b)
{
    const struct http_session *x = a;
    const struct http_session *y = b;
    return memcmp(x->id, y->id, SESSION_ID_LEN);
}

static void unlink_session(struct mcp_http *t, struct http_session *s)
{
    *(s->prev ? &s->prev->next : &t->oldest) = s->next;
    *(s->next ? &s->next->prev : &t->newest) = s->prev;
}

static void link_newest(struct mcp_http *t, struct http_session *s)
{
    s->used_ms = uv_now(t->loop);
    s->next = NULL;
    s->prev = t->newest;
    *(t->newest ? &t->newest->next : &t->oldest) = s;
    t->newest = s;
}

static bool make_id(char *id)
{
    unsigned char random[SESSION_ID_LEN / 2];
    if (getrandom(random, sizeof(random), 0) != sizeof(random))
        return false;
    for (size_t i = 0; i < sizeof(random); i++)
        snprintf(id + 2 * i, 3, "%02x", random[i]);
    return true;
}

struct http_session *http_session_new(struct mcp_http *t)
{
    if (t->session_count >= t->options.sessions_max) {
        log_warn(t->log, "too many sessions: the longest idle one ends",
                 log_int("sessions", t->session_count));
        http_session_end(t, t->oldest);
    }
    struct http_session *s = mem_calloc(1, sizeof(*s));
    if (!s || !make_id(s->id) || !tsearch(s, &t->sessions_by_id, compare_ids)) {
        mem_free(s);
        return NULL;
    }
    mcp_peer_init(&s->peer, t->server, t->options.identity);
    link_newest(t, s);
    t->session_count++;
    return s;
}

struct http_session *http_session_find(struct mcp_http *t, struct slice id)
{
    struct http_session key;
    if (id.len != SESSION_ID_LEN)
        return NULL;
    memcpy(key.id, id.ptr, SESSION_ID_LEN);
    void *node = tfind(&key, &t->sessions_by_id, compare_ids);
    if (!node)
        return NULL;
    struct http_session *s = *(struct http_session **)node;
    unlink_session(t, s);
    link_newest(t, s);
    return s;
}

void http_session_end(struct mcp_http *t, struct http_session *s)
{
    for (t->next_stream = t->streams; s->streams > 0 && t->next_stream;) {
        struct http_stream *stream = t->next_stream;
        t->next_stream = stream->next;
        if (stream->session == s)
            end_listening(stream);
    }
    t->next_stream = NULL;
    tdelete(s, &t->sessions_by_id, compare_ids);
    unlink_session(t, s);
    t->session_count--;
    mcp_peer_deinit(&s->peer);
    mem_free(s);
}

static void end_idle(struct mcp_http *t, uint64_t now_ms)
{
    while (t->oldest && t->oldest->used_ms + t->options.session_idle_ms <= now_ms) {
        struct http_session *s = t->oldest;
        if (s->streams > 0 || s->peer.calls) {
            unlink_session(t, s);
            link_newest(t, s);
        } else {
            http_session_end(t, s);
        }
    }
}

/* A write may cut a connection and so end other streams: the list says what comes next. */
static void write_keepalives(struct mcp_http *t)
{
    for (t->next_stream = t->streams; t->next_stream;) {
        struct http_stream *stream = t->next_stream;
        t->next_stream = stream->next;
        (void)http_stream_write(stream->req, SLICE_LIT(": keep-alive\n\n"));
    }
}

void http_session_tick(struct mcp_http *t)
{
    uint64_t now_ms = uv_now(t->loop);
    end_idle(t, now_ms);
    if (now_ms >= t->keepalive_at_ms) {
        t->keepalive_at_ms = now_ms + t->options.keepalive_ms;
        write_keepalives(t);
    }
}
