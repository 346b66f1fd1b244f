#pragma once
/* events/relay_int: what the relay_*.c files share.
 *
 *   relay.c         life, the clock's tick, who leads
 *   relay_rows.c    database -> memory: fetch; memory -> database: marks, refusals
 *   relay_lane.c    memory -> transport: the order of keys, publishes and their results, backoff
 *   relay_broker.c  which broker it is, and what is published again when it was swapped
 *   relay_upkeep.c  the purge, the depth
 *
 *   FOLLOWER -> (lock taken) STARTING -> (broker known) LEADING <-> (broker swapped) REPLAYING
 *   any -> (term lost) FOLLOWER
 *
 * An event:  fetched -> WAITING (behind another of its key) -> READY -> FLYING -> ACKED -> marked,
 *            or FLYING -> REFUSED (being counted) -> HELD (until its next try), or parked.
 * When the term is lost, or the broker was swapped, all events in memory are forgotten: those that
 * a publish or a mark still holds become orphans, which nobody but that operation knows. */
#include <uv.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/trace.h"
#include "db/outbox.h"
#include "events/relay.h"
#include "events/transport.h"

#define RELAY_LANES       4
#define RELAY_LETTERS     3 /* the lane of the dead letters */
#define RELAY_KEY_BUCKETS 512

enum relay_state { RELAY_FOLLOWER, RELAY_STARTING, RELAY_REPLAYING, RELAY_LEADING };

enum relay_event_state {
    EVENT_WAITING,
    EVENT_READY,
    EVENT_FLYING,
    EVENT_REFUSED,
    EVENT_HELD,
    EVENT_ACKED
};

struct relay_lane;

struct relay_event {
    struct relay_event *next;     /* of the list that its state says */
    struct relay_event *key_next; /* the next of its key */
    struct relay_event *all_next, *all_prev;
    struct relay_lane *lane;
    struct relay_key *key; /* NULL once acked */
    enum relay_event_state state;
    bool is_orphan; /* forgotten: freed by the operation that holds it */
    int64_t seq, created_us, attempts;
    uint64_t hold_until_ms;
    struct transport_death death;
    struct trace_span span; /* from the fetch to the acknowledgement; its context goes out */
    struct slice id, key_text, body; /* in bytes[] */
    char bytes[];
};

struct relay_event_list {
    struct relay_event *head, *tail;
};

struct relay_key {
    struct relay_key *next; /* of its bucket */
    uint32_t bucket;
    struct relay_event *head, *tail; /* by key_next; the head is the one that may go */
    struct slice text;               /* follows */
};

struct relay_lane {
    struct relay *relay;
    const char *topic;
    struct relay_event_list ready;
    struct relay_event *held; /* by next */
    struct relay_event *all;  /* by all_next: in memory */
    struct relay_key *keys[RELAY_KEY_BUCKETS];
    uint32_t count;       /* in memory */
    uint32_t ready_count; /* of which may go */
    uint32_t in_flight;   /* publishes */
    bool has_more;        /* the last fetch stopped at its limit */
    uint32_t backoff_ms;  /* 0: the way is open */
    uint64_t down_until_ms;
    uint64_t down_since_ms;
    int64_t cursor;         /* the greatest seq seen */
    int64_t floor;          /* rows up to here are known to be settled or in memory */
    int64_t floor_next;     /* where it goes once all transactions before floor_xmax have ended */
    int64_t floor_xmax;     /* 0: not known yet */
    uint64_t floor_next_ms; /* when floor_next was seen */
};

struct relay_publish {
    struct relay *relay; /* NULL: forgotten */
    struct relay_lane *lane;
    struct relay_publish *next, *prev;
    int64_t sent_us;
    size_t count;
    struct transport_entry *entries; /* follow the events */
    struct relay_event *events[];
};

/* A mark under way, or none. One for events, one for dead letters. */
struct relay_mark {
    struct relay *relay;
    bool is_letters, is_busy;
    struct relay_event_list acked; /* to be marked */
    struct relay_event *marking;   /* by next */
};

struct relay_identify {
    struct relay *relay; /* NULL: nobody waits any more */
};

struct relay {
    uv_loop_t *loop;
    const struct log *log;
    struct relay_options options;
    char *broker_id; /* owned copy */
    struct transport *transport;
    struct db_pool *pool;   /* one session: it holds the lock */
    struct db_pool *upkeep; /* one more, from when it first leads */
    struct db_listen *listen;
    uv_timer_t tick, soon;
    int open_parts;
    char name[40];      /* unique to this relay; its terms are numbered */
    char term[64];      /* in what it submits now */
    char next_term[64]; /* in the claim under way: its own if that takes the lock */
    uint64_t term_count;
    enum relay_state state;
    uint64_t generation; /* of what is in memory */
    uint64_t random;

    /* who leads */
    bool is_claiming, is_evicting, is_ringing, wants_ring;
    uint64_t claim_due_ms, claim_sent_ms, evict_due_ms, ring_due_ms;
    uint64_t heard_ms; /* when the claim that was answered last was sent */

    /* rows */
    struct relay_lane lanes[RELAY_LANES];
    uint32_t window, entries_max;
    uint32_t in_flight;
    struct relay_publish *publishes;
    struct relay_mark marks[2];
    uint32_t counting; /* refusals under way */
    struct buf ids, known;
    bool is_fetching, wants_fetch, wants_full;
    bool is_fetching_letters, wants_letters;
    uint64_t fetched_ms, full_due_ms, marks_due_ms;

    /* the broker */
    struct relay_identify *identify; /* under way */
    bool is_broker_loaded;           /* `broker` is what the database says */
    bool must_identify;              /* nothing goes out before the broker is known again */
    bool is_broker_busy;             /* a statement about it is under way */
    char broker[320], found[320];
    uint64_t identify_due_ms;
    char replay_after[DB_OUTBOX_ID_SIZE], replay_until[DB_OUTBOX_ID_SIZE];

    /* upkeep */
    int upkeep_step; /* 0: none */
    bool is_upkeep_busy, is_looking;
    uint64_t upkeep_due_ms, look_due_ms;
    char purge_after[DB_OUTBOX_ID_SIZE];
    int64_t dead_rows;     /* deleted since the last vacuum */
    int64_t rows_estimate; /* of the outbox; -1: unknown */

    struct relay_stats stats;
    bool is_closing, is_torn_down;
    uint64_t close_by_ms;
    relay_closed_fn closed;
    void *closed_ctx;
};

static inline struct slice relay_term(const struct relay *r)
{
    return slice_from_cstr(r->term);
}
static inline bool relay_leads(const struct relay *r)
{
    return r->state == RELAY_LEADING && !r->is_closing;
}

/* relay.c */
void relay_step_down(struct relay *r, const char *why);
/* Drops everything in memory. */
void relay_forget(struct relay *r);
void relay_claim_soon(struct relay *r);
/* Somewhere from 0 to `below`. */
uint64_t relay_random(struct relay *r, uint64_t below);
/* Whether the database was heard of lately enough to publish. */
bool relay_has_lease(const struct relay *r);
/* relay_pump in so many ms. */
void relay_soon(struct relay *r, uint64_t ms);
/* After anything that may have been the last thing under way. */
void relay_try_end(struct relay *r);
/* Fetches, publishes and marks whatever can be. */
void relay_pump(struct relay *r);

/* relay_rows.c */
void rows_pump(struct relay *r);
void rows_want(struct relay *r, bool is_full);
void rows_acked(struct relay *r, struct relay_event *e);
void rows_refused(struct relay *r, struct relay_event *e, const char *reason);
void rows_advance_floors(struct relay *r, int64_t xmin, int64_t xmax);
bool rows_are_idle(const struct relay *r);
void rows_forget(struct relay *r);
/* The event is with the broker. */
void rows_trace_acked(struct relay *r, const struct relay_event *e);

/* relay_lane.c */
void lanes_pump(struct relay *r);
void lane_tick(struct relay_lane *lane);
/* Takes the event over, at the end of its key's queue. 0 or BASE_ENOMEM. */
__attribute__((warn_unused_result)) int lane_add(struct relay_lane *lane, struct relay_event *e);
/* The head of its key is done with: the next one may go. */
void lane_release_key(struct relay_event *e);
void lane_free_event(struct relay_event *e);
void lane_hold(struct relay_event *e, uint32_t ms);
void lanes_forget(struct relay *r);

/* relay_broker.c */
void broker_tick(struct relay *r);
void broker_start(struct relay *r);

/* relay_upkeep.c */
void upkeep_tick(struct relay *r);
