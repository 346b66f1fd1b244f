/* Server-sent events.
 *
 * A stateless request's stream is its response and nothing more. A stream of a session is a row of
 * numbered events that outlives its connection:
 *
 *      GET ---> LISTENING --- its connection broke long ago ----------------> forgotten
 *     POST ---> ANSWERING --- answered ---> FINISHED --- replay_ms passed --> forgotten
 *
 * In each state it has a connection or none; without one, events gather in its log, from which a
 * GET with Last-Event-ID goes on. An event's id is `s` (of a GET) or `r` (of a POST), the stream's
 * number, `-`, the event's number.
 *
 * What a log has dropped (replay_bytes) is left out of a replay: of what a client waits for, the
 * answer is the newest and stays. A stream that is forgotten is answered with 410, since 404 would
 * tell the client that its whole session is gone; but for a GET's, in whose place a new one opens.
 * Spec: basic/transports of 2025-11-25 (#sending-messages-to-the-server,
 * #resumability-and-redelivery). */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "mcp/http_int.h"

#define EVENT_ID_MAX        64
#define KEEPALIVES_PER_TICK 500 /* so that many quiet streams do not hold up the loop */

/* ---- wires: open responses ---- */

static void link_wire(struct mcp_http *t, struct http_wire *wire)
{
    wire->written_ms = uv_now(t->loop);
    wire->next = NULL;
    wire->prev = t->last_wire;
    *(t->last_wire ? &t->last_wire->next : &t->wires) = wire;
    t->last_wire = wire;
}

static void unlink_wire(struct mcp_http *t, struct http_wire *wire)
{
    *(wire->prev ? &wire->prev->next : &t->wires) = wire->next;
    *(wire->next ? &wire->next->prev : &t->last_wire) = wire->prev;
}

void http_wire_open(struct mcp_http *t, struct http_wire *wire, struct http_request *req)
{
    wire->req = req;
    link_wire(t, wire);
    http_start_events(req);
}

static void touch_wire(struct mcp_http *t, struct http_wire *wire)
{
    unlink_wire(t, wire);
    link_wire(t, wire);
}

void http_wire_write(struct mcp_http *t, struct http_wire *wire, struct slice bytes)
{
    touch_wire(t, wire);
    (void)http_stream_write(wire->req, bytes);
}

void http_wire_close(struct mcp_http *t, struct http_wire *wire)
{
    struct http_request *req = wire->req;
    unlink_wire(t, wire);
    wire->req = NULL;
    http_stream_end(req);
}

void http_wires_tick(struct mcp_http *t)
{
    uint64_t now_ms = uv_now(t->loop);
    for (int i = 0; i < KEEPALIVES_PER_TICK; i++) {
        struct http_wire *wire = t->wires;
        if (!wire || wire->written_ms + t->options.keepalive_ms > now_ms)
            return;
        http_wire_write(t, wire, SLICE_LIT(": keep-alive\n\n"));
    }
}

/* ---- events ---- */

static char kind_of(const struct http_stream *stream)
{
    return stream->state == STREAM_LISTENING ? 's' : 'r';
}

#define EVENT_HEAD "event: message\ndata: "
#define EVENT_TAIL "\n\n"

/* JSON text may have line breaks between its parts, which would end the field. */
static bool has_breaks(struct slice json)
{
    return memchr(json.ptr, '\n', json.len) || memchr(json.ptr, '\r', json.len);
}

static void flatten(char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '\n' || text[i] == '\r')
            text[i] = ' ';
    }
}

/* The next event of a stream, not sent or counted yet. */
static struct http_event *event_new(const struct http_stream *stream, struct slice json)
{
    size_t room = EVENT_ID_MAX + sizeof(EVENT_HEAD EVENT_TAIL) + json.len;
    struct http_event *event = mem_alloc(sizeof(*event) + room);
    if (!event)
        return NULL;
    *event = (struct http_event){.size = sizeof(*event) + room, .number = stream->last_number + 1};
    struct buf frame;
    buf_init_fixed(&frame, event->frame, room);
    buf_printf(&frame, "id: %c%u-%llu\n" EVENT_HEAD, kind_of(stream), stream->id,
               (unsigned long long)event->number);
    buf_append_slice(&frame, json);
    flatten(frame.ptr + frame.len - json.len, json.len);
    buf_append_cstr(&frame, EVENT_TAIL);
    event->frame_len = frame.len;
    return event;
}

void http_wire_send(struct mcp_http *t, struct http_wire *wire, struct slice json)
{
    struct slice parts[] = {SLICE_LIT(EVENT_HEAD), json, SLICE_LIT(EVENT_TAIL)};
    char *copy = NULL;
    if (has_breaks(json)) {
        copy = mem_alloc(json.len);
        if (!copy) {
            log_warn(t->log, "no memory for a message");
            return;
        }
        memcpy(copy, json.ptr, json.len);
        flatten(copy, json.len);
        parts[1].ptr = copy;
    }
    touch_wire(t, wire);
    (void)http_stream_write_parts(wire->req, parts, 3);
    mem_free(copy);
}

static void drop_oldest(struct http_stream *stream)
{
    struct http_event *event = stream->first_event;
    stream->first_event = event->next;
    if (!event->next)
        stream->last_event = NULL;
    stream->log_bytes -= event->size;
    stream->session->transport->log_bytes -= event->size;
    mem_free(event);
}

/* The newest event is kept whatever its size, since it may be the answer, but where the log of all
 * streams is full. */
static void keep_event(struct http_stream *stream, struct http_event *take_event)
{
    struct mcp_http *t = stream->session->transport;
    while (stream->first_event && stream->log_bytes + take_event->size > t->options.replay_bytes)
        drop_oldest(stream);
    if (t->log_bytes + take_event->size > HTTP_REPLAY_TOTAL_BYTES) {
        mem_free(take_event);
        return;
    }
    *(stream->last_event ? &stream->last_event->next : &stream->first_event) = take_event;
    stream->last_event = take_event;
    stream->log_bytes += take_event->size;
    t->log_bytes += take_event->size;
}

void http_stream_send(struct http_stream *stream, struct slice json)
{
    struct mcp_http *t = stream->session->transport;
    struct http_event *event = event_new(stream, json);
    if (!event) {
        log_warn(t->log, "no memory for a message");
        return;
    }
    stream->last_number++;
    if (stream->wire.req)
        http_wire_write(t, &stream->wire, (struct slice){event->frame, event->frame_len});
    keep_event(stream, event);
}

static bool has_priming(const struct http_session *s)
{
    return s->peer.is_initialized && s->peer.revision >= MCP_2025_11_25;
}

/* An id for a client to come back with before there is any event. Older clients may take its empty
 * data for a message. */
static void send_priming(struct http_stream *stream)
{
    char text[EVENT_ID_MAX];
    struct mcp_http *t = stream->session->transport;
    if (!has_priming(stream->session))
        return;
    int len =
        snprintf(text, sizeof(text), "id: %c%u-0\nretry: %u\ndata: \n\n",
                 stream->state == STREAM_LISTENING ? 's' : 'r', stream->id, t->options.retry_ms);
    http_wire_write(t, &stream->wire, (struct slice){text, (size_t)len});
}

/* ---- streams: life ---- */

static void unlink_stream(struct http_stream *stream)
{
    struct http_stream_list *list = &stream->session->streams[stream->state];
    *(stream->prev ? &stream->prev->next : &list->first) = stream->next;
    *(stream->next ? &stream->next->prev : &list->last) = stream->prev;
    stream->prev = NULL;
    stream->next = NULL;
}

static void link_first(struct http_stream *stream)
{
    struct http_stream_list *list = &stream->session->streams[stream->state];
    stream->next = list->first;
    *(list->first ? &list->first->prev : &list->last) = stream;
    list->first = stream;
}

static void link_last(struct http_stream *stream)
{
    struct http_stream_list *list = &stream->session->streams[stream->state];
    stream->prev = list->last;
    *(list->last ? &list->last->next : &list->first) = stream;
    list->last = stream;
}

static struct http_stream *stream_new(struct http_session *s, enum http_stream_state state)
{
    struct http_stream *stream = mem_calloc(1, sizeof(*stream));
    if (!stream)
        return NULL;
    stream->session = s;
    stream->state = state;
    stream->id = ++s->last_stream_id;
    link_first(stream);
    return stream;
}

/* The connection ends; the stream stays. */
static void disconnect(struct http_stream *stream)
{
    struct http_session *s = stream->session;
    if (!stream->wire.req)
        return;
    if (stream->state == STREAM_LISTENING) {
        s->connected--;
        stream->forget_ms = uv_now(s->transport->loop) + s->transport->options.replay_ms;
    }
    http_wire_close(s->transport, &stream->wire);
}

static void stream_free(struct http_stream *stream)
{
    disconnect(stream);
    if (stream->exchange) {
        stream->exchange->stream = NULL;
        stream->exchange->is_cut = true;
    }
    if (stream->state == STREAM_FINISHED)
        stream->session->finished_bytes -= stream->log_bytes;
    while (stream->first_event)
        drop_oldest(stream);
    unlink_stream(stream);
    mem_free(stream);
}

/* The client went away, or the HTTP server closes: then what has an answer to come may still get
 * it. */
static void on_stream_gone(void *ctx, struct http_request *req)
{
    struct http_stream *stream = ctx;
    struct mcp_http *t = stream->session->transport;
    if (stream->state == STREAM_ANSWERING && !http_request_is_gone(req))
        return;
    disconnect(stream);
    if (t->is_closing)
        http_hurry(t);
}

static void connect_stream(struct http_stream *stream, struct http_request *req)
{
    struct http_session *s = stream->session;
    if (stream->state == STREAM_LISTENING)
        s->connected++;
    http_request_on_gone(req, on_stream_gone, stream);
    http_wire_open(s->transport, &stream->wire, req);
}

void http_streams_end(struct http_session *s, enum http_stream_state state)
{
    while (s->streams[state].first)
        stream_free(s->streams[state].first);
}

void http_streams_tick(struct http_session *s)
{
    uint64_t now_ms = uv_now(s->transport->loop);
    struct http_stream *next;
    int64_t now_us = clock_now_us();
    for (struct http_stream *i = s->streams[STREAM_LISTENING].first; i; i = next) {
        next = i->next;
        if (i->wire.req && i->until_us && i->until_us <= now_us)
            disconnect(i); /* who comes back for it is asked again who they are */
        if (!i->wire.req && i->forget_ms <= now_ms)
            stream_free(i);
    }
    struct http_stream_list *finished = &s->streams[STREAM_FINISHED];
    while (finished->first && finished->first->forget_ms <= now_ms)
        stream_free(finished->first);
}

/* ---- the stream of a POST ---- */

struct http_stream *http_stream_open(struct http_session *s, struct http_exchange *x)
{
    struct http_stream *stream = stream_new(s, STREAM_ANSWERING);
    if (!stream)
        return NULL;
    stream->exchange = x;
    connect_stream(stream, x->req);
    send_priming(stream);
    return stream;
}

/* Also all finished streams of a session together keep no more than replay_bytes. */
static void keep_finished(struct http_stream *stream)
{
    struct http_session *s = stream->session;
    const struct http_stream_list *finished = &s->streams[STREAM_FINISHED];
    unlink_stream(stream);
    stream->state = STREAM_FINISHED;
    stream->forget_ms = uv_now(s->transport->loop) + s->transport->options.replay_ms;
    link_last(stream);
    s->finished_bytes += stream->log_bytes;
    while (s->finished_bytes > s->transport->options.replay_bytes &&
           finished->first != finished->last)
        stream_free(finished->first);
}

void http_stream_finish(struct http_stream *stream, struct slice json)
{
    stream->exchange->stream = NULL;
    stream->exchange = NULL;
    if (json.len == 0) {
        stream_free(stream);
        return;
    }
    http_stream_send(stream, json);
    disconnect(stream);
    keep_finished(stream);
}

void http_stream_release(struct http_stream *stream, uint32_t retry_ms)
{
    char text[32];
    if (!stream->wire.req)
        return;
    int len = snprintf(text, sizeof(text), "retry: %u\n\n", retry_ms);
    http_wire_write(stream->session->transport, &stream->wire, (struct slice){text, (size_t)len});
    disconnect(stream);
}

/* ---- GET ---- */

/* Whoever opens a new stream does not come back for an earlier one. */
static void forget_broken(struct http_session *s)
{
    struct http_stream *next;
    for (struct http_stream *i = s->streams[STREAM_LISTENING].first; i; i = next) {
        next = i->next;
        if (!i->wire.req)
            stream_free(i);
    }
}

void http_session_listen(struct http_session *s, struct http_request *req,
                         const struct mcp_identity *identity)
{
    struct mcp_http *t = s->transport;
    forget_broken(s);
    struct http_stream *stream = stream_new(s, STREAM_LISTENING);
    if (!stream) {
        http_refuse(t, req, 503, MCP_INTERNAL_ERROR, "out of memory");
        return;
    }
    stream->until_us = identity->until_us;
    connect_stream(stream, req);
    if (has_priming(s))
        send_priming(stream);
    else /* the first bytes tell the client that the stream stands */
        http_wire_write(t, &stream->wire, SLICE_LIT(": listening\n\n"));
}

/* "s3-12": event 12 of stream 3. */
struct event_id {
    char kind;
    uint64_t stream, number;
};

static bool take_number(struct slice *rest, uint64_t *out)
{
    size_t count = 0;
    *out = 0;
    for (; count < rest->len && rest->ptr[count] >= '0' && rest->ptr[count] <= '9'; count++) {
        if (count == 18)
            return false;
        *out = *out * 10 + (uint64_t)(rest->ptr[count] - '0');
    }
    rest->ptr += count;
    rest->len -= count;
    return count > 0;
}

static bool parse_event_id(struct slice text, struct event_id *out)
{
    if (text.len == 0 || (text.ptr[0] != 's' && text.ptr[0] != 'r'))
        return false;
    out->kind = text.ptr[0];
    struct slice rest = {text.ptr + 1, text.len - 1};
    if (!take_number(&rest, &out->stream) || rest.len == 0 || rest.ptr[0] != '-')
        return false;
    rest = (struct slice){rest.ptr + 1, rest.len - 1};
    return take_number(&rest, &out->number) && rest.len == 0;
}

static struct http_stream *find_stream(struct http_session *s, const struct event_id *id)
{
    for (int state = 0; state < STREAM_STATES; state++) {
        bool is_kind = (state == STREAM_LISTENING) == (id->kind == 's');
        struct http_stream *i = is_kind ? s->streams[state].first : NULL;
        for (; i; i = i->next) {
            if (i->id == id->stream)
                return i;
        }
    }
    return NULL;
}

/* In one write, since many would be taken for a reader that does not read. */
static void replay(struct http_stream *stream, uint64_t after)
{
    struct mcp_http *t = stream->session->transport;
    struct buf b;
    buf_init(&b, HTTP_REPLAY_TOTAL_BYTES);
    (void)buf_reserve(&b, stream->log_bytes); /* a failure shows at the end */
    for (const struct http_event *i = stream->first_event; i; i = i->next) {
        if (i->number > after)
            buf_append(&b, i->frame, i->frame_len);
    }
    if (buf_status(&b))
        log_warn(t->log, "no memory for a replay");
    else if (b.len > 0)
        http_wire_write(t, &stream->wire, buf_slice(&b));
    buf_deinit(&b);
}

/* The connection that it had before, if any, is taken for dead. */
static void reconnect(struct http_stream *stream, struct http_request *req,
                      const struct mcp_identity *identity, uint64_t number)
{
    disconnect(stream);
    stream->until_us = identity->until_us;
    connect_stream(stream, req);
    replay(stream, number);
    if (stream->state == STREAM_FINISHED)
        disconnect(stream);
    if (stream->state == STREAM_LISTENING) {
        unlink_stream(stream);
        link_first(stream);
    }
}

void http_session_resume(struct http_session *s, struct http_request *req,
                         const struct mcp_identity *identity, struct slice event_id)
{
    struct mcp_http *t = s->transport;
    struct event_id id;
    bool is_id = parse_event_id(event_id, &id) && id.stream <= s->last_stream_id;
    struct http_stream *stream = is_id ? find_stream(s, &id) : NULL;
    if (!is_id || (stream && id.number > stream->last_number))
        http_refuse(t, req, 400, MCP_INVALID_REQUEST,
                    "Last-Event-ID is none that this session was given");
    else if (stream)
        reconnect(stream, req, identity, id.number);
    else if (id.kind == 's')
        http_session_listen(s, req, identity);
    else
        http_refuse(t, req, 410, MCP_INVALID_REQUEST,
                    "the stream of this Last-Event-ID is over: send the request again");
}

/* ---- messages that belong to no request ---- */

/* On the newest stream that is connected; else kept for the newest one that may come back. */
void http_session_notify(struct mcp_peer *peer, struct slice json)
{
    struct http_session *s = (struct http_session *)peer;
    struct http_stream *newest = s->streams[STREAM_LISTENING].first;
    struct http_stream *stream = newest;
    while (stream && !stream->wire.req)
        stream = stream->next;
    if (stream || newest)
        http_stream_send(stream ? stream : newest, json);
}
