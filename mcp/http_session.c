/* Sessions of the handshake revisions. Each belongs to the principal that opened it; to all others
 * it does not exist. Spec: basic/transports of 2025-11-25 (#session-management). */
#include <search.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/log.h"
#include "base/mem.h"
#include "mcp/http_int.h"

static int compare_ids(const void *a, const void *b)
{
    const struct http_session *x = a;
    const struct http_session *y = b;
    return memcmp(x->id, y->id, HTTP_SESSION_ID_LEN);
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
    unsigned char random[HTTP_SESSION_ID_LEN / 2];
    if (getrandom(random, sizeof(random), 0) != sizeof(random))
        return false;
    for (size_t i = 0; i < sizeof(random); i++)
        snprintf(id + 2 * i, 3, "%02x", random[i]);
    return true;
}

/* The session outlives the request that opened it. The view does not, unless all callers share one
 * identity. */
static bool adopt_identity(struct http_session *s, struct mcp_identity *identity)
{
    if (s->transport->options.authenticate)
        identity->view = NULL;
    if (!identity->subject)
        return true;
    s->subject = mem_strdup(identity->subject);
    identity->subject = s->subject;
    return s->subject != NULL;
}

static bool is_same_principal(const struct mcp_identity *a, const struct mcp_identity *b)
{
    const char *x = a->subject ? a->subject : "";
    const char *y = b->subject ? b->subject : "";
    return a->user_id == b->user_id && strcmp(x, y) == 0;
}

/* The caller's own longest idle session, so that nobody crowds out others; else the longest idle
 * one of all. */
static struct http_session *to_make_room(struct mcp_http *t, const struct mcp_identity *identity)
{
    struct http_session *s = t->oldest;
    while (s && !is_same_principal(&s->peer.identity, identity))
        s = s->next;
    return s ? s : t->oldest;
}

struct http_session *http_session_new(struct mcp_http *t, const struct mcp_identity *identity)
{
    struct mcp_identity own = *identity;
    if (t->session_count >= t->options.sessions_max) {
        log_warn(t->log, "too many sessions: a long idle one ends",
                 log_int("sessions", t->session_count));
        http_session_end(t, to_make_room(t, identity));
    }
    struct http_session *s = mem_calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    s->transport = t;
    if (!adopt_identity(s, &own) || !make_id(s->id) ||
        !tsearch(s, &t->sessions_by_id, compare_ids)) {
        mem_free(s->subject);
        mem_free(s);
        return NULL;
    }
    mcp_peer_init(&s->peer, t->server, &own);
    s->peer.notify = http_session_notify;
    link_newest(t, s);
    t->session_count++;
    return s;
}

struct http_session *http_session_find(struct mcp_http *t, struct slice id,
                                       const struct mcp_identity *identity)
{
    struct http_session key;
    if (id.len != HTTP_SESSION_ID_LEN)
        return NULL;
    memcpy(key.id, id.ptr, HTTP_SESSION_ID_LEN);
    void *node = tfind(&key, &t->sessions_by_id, compare_ids);
    struct http_session *s = node ? *(struct http_session **)node : NULL;
    if (!s || !is_same_principal(&s->peer.identity, identity))
        return NULL;
    unlink_session(t, s);
    link_newest(t, s);
    return s;
}

/* First nothing points here any more, then the calls are cancelled: they may end at once. */
void http_session_end(struct mcp_http *t, struct http_session *s)
{
    for (int state = 0; state < STREAM_STATES; state++)
        http_streams_end(s, (enum http_stream_state)state);
    while (s->exchanges)
        http_exchange_orphan(s->exchanges);
    tdelete(s, &t->sessions_by_id, compare_ids);
    unlink_session(t, s);
    t->session_count--;
    mcp_peer_deinit(&s->peer);
    mem_free(s->subject);
    mem_free(s);
}

/* ---- time ---- */

static void end_idle(struct mcp_http *t)
{
    uint64_t now_ms = uv_now(t->loop);
    while (t->oldest && t->oldest->used_ms + t->options.session_idle_ms <= now_ms) {
        struct http_session *s = t->oldest;
        if (s->connected > 0 || s->exchanges) {
            unlink_session(t, s);
            link_newest(t, s);
        } else {
            http_session_end(t, s);
        }
    }
}

/* What is answered goes out before its session ends. */
static void end_answered(struct mcp_http *t)
{
    struct http_session *next;
    for (struct http_session *s = t->oldest; s; s = next) {
        next = s->next;
        http_streams_end(s, STREAM_LISTENING);
        http_exchanges_cancel_lost(s);
        if (!s->exchanges)
            http_session_end(t, s);
    }
}

void http_sessions_tick(struct mcp_http *t)
{
    if (t->is_closing) {
        end_answered(t);
        return;
    }
    for (struct http_session *s = t->oldest; s; s = s->next)
        http_streams_tick(s);
    end_idle(t);
}
