/* Between the database and memory:
 *   fetch -> an event each, at the end of its lane and key
 *   acked -> mark (so many at once as were acked during the last mark) -> freed
 *   refused -> counted -> held for a while, or parked */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
#include "base/mem.h"
#include "events/cloudevent.h"
#include "events/event.h"
#include "events/relay_int.h"

#define FETCH_MAX       512
#define FETCH_GAP_MS    2 /* a busy outbox is looked at so often, an idle one at once */
#define LETTERS_MAX     16
#define MARK_RETRY_MS   200
#define HOLD_MIN_MS     100
#define HOLD_MAX_MS     30000
#define FLOOR_MS        1000
#define FETCH_ARENA     (32u << 20)
#define EVENT_BYTES_MAX (64u << 20)

/* ---- making events -------------------------------------------------------------------------- */

/* What one fetch makes its events with. */
struct maker {
    struct arena arena; /* NUL-terminated copies, until the fetch's end */
    struct buf text;    /* the CloudEvent, one after the other */
};

static char *copy_bytes(char **at, struct slice from, struct slice *out)
{
    char *start = *at;
    if (from.len > 0)
        memcpy(start, from.ptr, from.len);
    *out = (struct slice){start, from.len};
    *at += from.len;
    return start;
}

static struct relay_event *new_event(struct slice id, struct slice key, struct slice body,
                                     size_t extra, char **rest)
{
    struct relay_event *e = mem_alloc(sizeof(*e) + id.len + key.len + body.len + extra);
    if (!e)
        return NULL;
    *e = (struct relay_event){0};
    char *at = e->bytes;
    copy_bytes(&at, id, &e->id);
    copy_bytes(&at, key, &e->key_text);
    copy_bytes(&at, body, &e->body);
    *rest = at;
    return e;
}

static const char *schema_of(const char *type)
{
    enum event_kind kind;
    return event_kind_of_type(type, &kind) ? event_schema_uri(kind) : NULL;
}

/* The event's own span, below the call that made it; text[] is what goes out. */
static void start_span(struct relay *r, struct slice call, struct trace_span *span, char *text)
{
    struct trace_context parent;
    bool has_parent = trace_context_parse(call, &parent);
    trace_span_start(r->options.tracer, has_parent ? &parent : NULL, span);
    text[0] = '\0';
    if (r->options.tracer)
        trace_context_format(&span->context, text);
    else if (call.len < TRACE_PARENT_SIZE)
        snprintf(text, TRACE_PARENT_SIZE, "%.*s", (int)call.len, call.len ? call.ptr : "");
}

void rows_trace_acked(struct relay *r, const struct relay_event *e)
{
    char name[64];
    char id[DB_OUTBOX_ID_SIZE];
    const struct trace_attribute attributes[] = {
        trace_text("messaging.system", r->transport->name),
        trace_text("messaging.operation.name", "publish"),
        trace_text("messaging.destination.name", e->lane->topic),
        trace_text("cloudevents.event_id", id),
    };
    const struct trace_end end = {.name = name,
                                  .kind = TRACE_PRODUCER,
                                  .attributes = attributes,
                                  .attribute_count = sizeof(attributes) / sizeof(*attributes)};
    if (!e->span.is_recorded)
        return;
    snprintf(id, sizeof(id), "%.*s", (int)e->id.len, e->id.ptr);
    snprintf(name, sizeof(name), "publish %s", e->lane->topic);
    trace_span_end(r->options.tracer, &e->span, &end);
}

/* The bytes that go out, in maker->text. */
static int write_event(struct maker *maker, const struct db_outbox_row *row,
                       const char *traceparent)
{
    struct arena *a = &maker->arena;
    char time[CLOCK_RFC3339_SIZE];
    clock_format_rfc3339(row->created_at, time);
    const struct cloudevent event = {
        .id = arena_copy(a, row->id),
        .source = row->source.len > 0 ? arena_join(a, SLICE_LIT("/todo/"), row->source)
                                      : "/todo/mcp-server",
        .type = arena_copy(a, row->type),
        .subject = arena_join(a, SLICE_LIT("task/"), row->key),
        .time = time,
        .traceparent = *traceparent ? traceparent : NULL,
        .partitionkey = arena_copy(a, row->key),
    };
    if (!event.id || !event.source || !event.type || !event.subject || !event.partitionkey)
        return BASE_ENOMEM;
    struct cloudevent with_schema = event;
    with_schema.dataschema = schema_of(event.type);
    struct json_writer w;
    buf_reset(&maker->text);
    json_writer_init(&w, &maker->text);
    cloudevent_write(&w, &with_schema, row->data);
    return buf_status(&maker->text);
}

static int add_row(struct relay_lane *lane, struct maker *maker, const struct db_outbox_row *row)
{
    char *rest;
    struct trace_span span;
    char traceparent[TRACE_PARENT_SIZE];
    start_span(lane->relay, row->traceparent, &span, traceparent);
    int status = write_event(maker, row, traceparent);
    if (status)
        return status;
    struct relay_event *e = new_event(row->id, row->key, buf_slice(&maker->text), 0, &rest);
    if (!e)
        return BASE_ENOMEM;
    e->seq = row->seq;
    e->created_us = row->created_at;
    e->attempts = row->attempts;
    e->span = span;
    status = lane_add(lane, e);
    if (status)
        mem_free(e);
    else if (row->seq > lane->cursor)
        lane->cursor = row->seq;
    return status;
}

/* Dead letters need no order: each has a key of its own for the lane. */
static int add_letter(struct relay_lane *lane, const struct db_outbox_letter *letter)
{
    char *rest;
    size_t extra = letter->topic.len + letter->consumer.len + letter->reason.len;
    struct relay_event *e = new_event(letter->id, letter->key, letter->event, extra, &rest);
    if (!e)
        return BASE_ENOMEM;
    e->seq = letter->seq;
    e->created_us = letter->created_at;
    e->death.attempts = letter->attempts;
    copy_bytes(&rest, letter->topic, &e->death.topic);
    copy_bytes(&rest, letter->consumer, &e->death.consumer);
    copy_bytes(&rest, letter->reason, &e->death.reason);
    int status = lane_add(lane, e);
    if (status)
        mem_free(e);
    return status;
}

/* ---- fetch ---------------------------------------------------------------------------------- */

static void print_known(struct relay *r, const struct relay_lane *lane, int64_t floor)
{
    for (const struct relay_event *e = lane->all; e; e = e->all_next) {
        if (e->seq <= floor)
            continue;
        buf_append_char(&r->known, r->known.len > 0 ? ',' : '{');
        buf_append_i64(&r->known, e->seq);
    }
}

static int end_known(struct relay *r)
{
    if (r->known.len == 0)
        buf_append_char(&r->known, '{');
    buf_append_char(&r->known, '}');
    return buf_status(&r->known);
}

/* How many more events the lane can use; a quarter of the window at least, so that a busy lane is
 * not fetched row by row. */
static uint32_t room_of(const struct relay_lane *lane)
{
    uint32_t window = lane->relay->window;
    if (lane->count > window - window / 4)
        return 0;
    if (lane->backoff_ms > 0 && lane->ready_count > 0)
        return 0;
    uint32_t room = window - lane->count;
    return room < FETCH_MAX ? room : FETCH_MAX;
}

struct fetch {
    struct relay *relay;
    uint64_t generation, sent_ms;
    size_t count;
    struct relay_lane *lanes[RELAY_LANES];
    uint32_t room[RELAY_LANES], got[RELAY_LANES];
    bool has_failed[RELAY_LANES];
    int64_t last[RELAY_LANES]; /* seq of the last row */
    bool is_full;
};

/* A look at everything that ends at its limit, below the floor: rows of old were made unpublished,
 * and there may be more of them. So the floor goes down to where the look ended. */
static void lower_floor(const struct fetch *f, size_t i)
{
    struct relay_lane *lane = f->lanes[i];
    if (!f->is_full || !lane->has_more || f->last[i] >= lane->floor)
        return;
    lane->floor = f->last[i];
    lane->floor_next = 0;
}

/* Memory may run out half way: then nothing more of that lane is taken, since a later event of a
 * key must not pass an earlier one. */
static void take_rows(struct fetch *f, const struct db_outbox_row *rows, int count)
{
    struct maker maker;
    arena_init(&maker.arena, FETCH_ARENA);
    buf_init(&maker.text, EVENT_BYTES_MAX);
    for (int i = 0; i < count; i++) {
        size_t at = (size_t)rows[i].lane;
        f->got[at]++;
        f->last[at] = rows[i].seq;
        f->has_failed[at] = f->has_failed[at] || add_row(f->lanes[at], &maker, &rows[i]);
    }
    for (size_t i = 0; i < f->count; i++) {
        f->lanes[i]->has_more = f->got[i] == f->room[i] && !f->has_failed[i];
        lower_floor(f, i);
    }
    buf_deinit(&maker.text);
    arena_deinit(&maker.arena);
}

/* A look at everything takes its time where much is dead in the table: not too often then. */
static void schedule_full(struct relay *r, uint64_t took_ms)
{
    uint64_t due = uv_now(r->loop) + 10 * took_ms;
    if (due > r->full_due_ms)
        r->full_due_ms = due;
}

static void on_rows(void *ctx, int status, const struct db_outbox_row *rows, int count,
                    const struct error *err)
{
    struct fetch *f = ctx;
    struct relay *r = f->relay;
    bool is_mine = f->generation == r->generation && !r->is_closing;
    r->is_fetching = false;
    if (f->is_full)
        schedule_full(r, uv_now(r->loop) - f->sent_ms);
    for (size_t i = 0; i < f->count; i++)
        f->lanes[i]->has_more = false;
    if (status)
        log_warn(r->log, "relay cannot read the outbox", log_str("reason", err->text));
    else if (is_mine)
        take_rows(f, rows, count);
    mem_free(f);
    if (is_mine)
        relay_pump(r);
    relay_try_end(r);
}

static void fetch(struct relay *r)
{
    struct db_outbox_lane lanes[RELAY_LANES];
    struct fetch *f = mem_calloc(1, sizeof(*f));
    if (!f)
        return;
    f->relay = r;
    f->generation = r->generation;
    f->sent_ms = uv_now(r->loop);
    f->is_full = r->wants_full;
    buf_reset(&r->known);
    for (size_t i = 0; i < RELAY_LETTERS; i++) {
        struct relay_lane *lane = &r->lanes[i];
        uint32_t room = room_of(lane);
        int64_t floor = f->is_full ? 0 : lane->floor;
        lane->has_more = true; /* or nobody knows */
        if (room == 0)
            continue;
        print_known(r, lane, floor);
        lanes[f->count] = (struct db_outbox_lane){
            .topic = slice_from_cstr(lane->topic), .floor = floor, .room = (int32_t)room};
        f->lanes[f->count] = lane;
        f->room[f->count++] = room;
    }
    if (f->count == 0 || end_known(r) ||
        db_outbox_fetch(r->pool, relay_term(r), lanes, f->count, buf_slice(&r->known), on_rows, f,
                        NULL)) {
        mem_free(f);
        return;
    }
    r->is_fetching = true;
    r->wants_fetch = false;
    r->wants_full = false;
    r->fetched_ms = uv_now(r->loop);
}

void rows_want(struct relay *r, bool is_full)
{
    r->wants_fetch = true;
    if (is_full) {
        r->wants_letters = true;
        r->wants_full = true;
    }
}

/* ---- fetch of dead letters ------------------------------------------------------------------ */

static void on_letters(void *ctx, int status, const struct db_outbox_letter *letters, int count,
                       const struct error *err)
{
    struct fetch *f = ctx;
    struct relay *r = f->relay;
    struct relay_lane *lane = &r->lanes[RELAY_LETTERS];
    bool is_mine = f->generation == r->generation && !r->is_closing;
    r->is_fetching_letters = false;
    if (status)
        log_warn(r->log, "relay cannot read the dead letters", log_str("reason", err->text));
    int failed = 0;
    for (int i = 0; i < count && is_mine && !failed; i++)
        failed = add_letter(lane, &letters[i]);
    r->wants_letters |= is_mine && !failed && count == LETTERS_MAX;
    mem_free(f);
    if (is_mine)
        relay_pump(r);
    relay_try_end(r);
}

static void fetch_letters(struct relay *r)
{
    const struct relay_lane *lane = &r->lanes[RELAY_LETTERS];
    struct fetch *f = lane->count < 4 * LETTERS_MAX ? mem_calloc(1, sizeof(*f)) : NULL;
    if (!f)
        return;
    f->relay = r;
    f->generation = r->generation;
    buf_reset(&r->known);
    print_known(r, lane, 0);
    if (end_known(r) || db_outbox_letters(r->pool, relay_term(r), buf_slice(&r->known), LETTERS_MAX,
                                          on_letters, f, NULL)) {
        mem_free(f);
        return;
    }
    r->is_fetching_letters = true;
    r->wants_letters = false;
}

/* ---- marks ---------------------------------------------------------------------------------- */

static void push_acked(struct relay_mark *m, struct relay_event *e)
{
    e->next = NULL;
    *(m->acked.tail ? &m->acked.tail->next : &m->acked.head) = e;
    m->acked.tail = e;
}

void rows_acked(struct relay *r, struct relay_event *e)
{
    e->state = EVENT_ACKED;
    lane_release_key(e);
    push_acked(&r->marks[e->lane == &r->lanes[RELAY_LETTERS]], e);
}

/* What was not marked goes back to be marked. */
static void end_marking(struct relay_mark *m, bool is_marked)
{
    struct relay_event *e = m->marking;
    m->marking = NULL;
    while (e) {
        struct relay_event *next = e->next;
        if (is_marked || e->is_orphan)
            lane_free_event(e);
        else
            push_acked(m, e);
        e = next;
    }
}

static void on_marked(void *ctx, int status, bool is_held, int64_t count, const struct error *err)
{
    struct relay_mark *m = ctx;
    struct relay *r = m->relay;
    bool is_lost = !status && !is_held && m->marking && !m->marking->is_orphan;
    (void)count; /* fewer where a row was replayed or deleted meanwhile */
    m->is_busy = false;
    end_marking(m, !status && is_held);
    if (status) {
        log_warn(r->log, "relay cannot mark what it published", log_str("reason", err->text));
        r->marks_due_ms = uv_now(r->loop) + MARK_RETRY_MS;
        relay_claim_soon(r);
    }
    if (is_lost)
        relay_step_down(r, "the term is over");
    rows_pump(r);
    relay_try_end(r);
}

static void mark(struct relay *r, struct relay_mark *m)
{
    int count = 0;
    if (m->is_busy || !m->acked.head || uv_now(r->loop) < r->marks_due_ms)
        return;
    buf_reset(&r->ids);
    for (const struct relay_event *e = m->acked.head; e && count < DB_OUTBOX_MARK_MAX;
         e = e->next, count++) {
        buf_append_char(&r->ids, count ? ',' : '{');
        buf_append_slice(&r->ids, e->id);
    }
    buf_append_char(&r->ids, '}');
    if (buf_status(&r->ids))
        return; /* memory is out: at the next tick */
    int (*send)(struct db_pool *, struct slice, struct slice, db_outbox_done_fn, void *,
                struct error *) = m->is_letters ? db_outbox_mark_letters : db_outbox_mark;
    if (send(r->pool, relay_term(r), buf_slice(&r->ids), on_marked, m, NULL))
        return;
    m->is_busy = true;
    m->marking = m->acked.head;
    struct relay_event *last = m->marking;
    while (--count > 0)
        last = last->next;
    m->acked.head = last->next;
    if (!m->acked.head)
        m->acked.tail = NULL;
    last->next = NULL;
}

/* ---- refusals ------------------------------------------------------------------------------- */

static void on_counted(void *ctx, int status, bool is_held, int64_t count, const struct error *err)
{
    struct relay_event *e = ctx;
    struct relay_lane *lane = e->lane;
    struct relay *r = lane->relay;
    bool is_parked = !status && is_held && count > 0;
    (void)err;
    r->counting--;
    if (e->is_orphan) {
        lane_free_event(e);
    } else if (is_parked) {
        log_error(r->log, "event parked", log_str("topic", lane->topic), log_int("seq", e->seq),
                  log_int("attempts", e->attempts));
        r->stats.parked++;
        lane_release_key(e);
        lane_free_event(e);
    } else {
        uint64_t hold = (uint64_t)HOLD_MIN_MS << (e->attempts < 10 ? e->attempts : 10);
        lane_hold(e, (uint32_t)(hold < HOLD_MAX_MS ? hold : HOLD_MAX_MS));
    }
    relay_pump(r);
    relay_try_end(r);
}

/* A dead letter has no count in its row: it lives with the event in memory. */
static int count_refusal(struct relay *r, struct relay_event *e, struct slice reason)
{
    if (e->lane != &r->lanes[RELAY_LETTERS])
        return db_outbox_refuse(r->pool, relay_term(r), e->id, reason, r->options.attempts_max,
                                on_counted, e, NULL);
    if (e->attempts < r->options.attempts_max)
        return BASE_ELIMIT;
    return db_outbox_give_up_letter(r->pool, relay_term(r), e->id, reason, on_counted, e, NULL);
}

void rows_refused(struct relay *r, struct relay_event *e, const char *reason)
{
    e->state = EVENT_REFUSED;
    e->attempts++;
    r->stats.refused++;
    log_warn(r->log, "event refused", log_str("topic", e->lane->topic), log_int("seq", e->seq),
             log_int("attempts", e->attempts), log_str("reason", reason));
    if (count_refusal(r, e, slice_from_cstr(reason)))
        lane_hold(e, (uint32_t)HOLD_MIN_MS << (e->attempts < 5 ? e->attempts : 5));
    else
        r->counting++;
}

/* ---- the floor ------------------------------------------------------------------------------ */

/* Rows that were published are dead entries at the start of the index until a vacuum comes, and
 * each fetch would step over them. It may begin at a seq once no row below can appear any more: a
 * transaction that took a lower number must have ended. It has its xid by the time that it takes
 * the number, or a moment later (FLOOR_MS is ample); so when all transactions have ended that had
 * an xid FLOOR_MS after the number was seen, no such row is left. */
void rows_advance_floors(struct relay *r, int64_t xmin, int64_t xmax)
{
    uint64_t now = uv_now(r->loop);
    for (size_t i = 0; i < RELAY_LETTERS; i++) {
        struct relay_lane *lane = &r->lanes[i];
        if (lane->floor_next <= lane->floor) {
            lane->floor_next = lane->cursor;
            lane->floor_next_ms = now;
            lane->floor_xmax = 0;
        } else if (!lane->floor_xmax && now - lane->floor_next_ms >= FLOOR_MS) {
            lane->floor_xmax = xmax;
        } else if (lane->floor_xmax && xmin >= lane->floor_xmax) {
            lane->floor = lane->floor_next;
        }
    }
}

/* ---- all of it ------------------------------------------------------------------------------ */

static bool wants_rows(const struct relay *r)
{
    bool is_wanted = r->wants_fetch;
    for (size_t i = 0; i < RELAY_LETTERS && !is_wanted; i++)
        is_wanted = r->lanes[i].has_more && room_of(&r->lanes[i]) > 0;
    return is_wanted && !r->is_fetching;
}

void rows_pump(struct relay *r)
{
    uint64_t now = uv_now(r->loop);
    for (size_t i = 0; i < 2; i++)
        mark(r, &r->marks[i]);
    if (!relay_leads(r))
        return;
    if (r->wants_letters && !r->is_fetching_letters)
        fetch_letters(r);
    if (!wants_rows(r))
        return;
    if (now - r->fetched_ms >= FETCH_GAP_MS)
        fetch(r);
    else
        relay_soon(r, FETCH_GAP_MS);
}

bool rows_are_idle(const struct relay *r)
{
    for (size_t i = 0; i < 2; i++) {
        if (r->marks[i].is_busy || r->marks[i].acked.head)
            return false;
    }
    return r->counting == 0;
}

/* What waits to be marked is freed with its lane; what is being marked, by the mark. */
void rows_forget(struct relay *r)
{
    for (size_t i = 0; i < 2; i++) {
        r->marks[i].acked = (struct relay_event_list){NULL, NULL};
        for (struct relay_event *e = r->marks[i].marking; e; e = e->next)
            e->is_orphan = true;
    }
}
