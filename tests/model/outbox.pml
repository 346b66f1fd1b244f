/* The protocol of outbox, relay and inbox: from a change's commit to its effect in a consumer, while
 * any process is killed, stopped or cut off at any step. docs/model.md says what is left out.
 *
 * An `atomic` is what nobody can see half of: one statement of PostgreSQL, one callback of a loop,
 * one record in a broker. Between two of them everything else may happen, so a process that is
 * stopped and goes on is nothing special here. The comment of each names the function it stands for.
 *
 * Settings come from the environment when the checker starts (model_test.py), so that one build does
 * for all: FAULTS (how many things go wrong, in any order and at any time), CONSUMERS (replicas),
 * BROKER (0: Kafka, 1: Redis), SWAP (1: all go from one broker to another meanwhile), WITHOUT (the
 * safeguard that is taken away), MAY (which faults there are). All runs end, since faults do: what
 * must come true at last has to be true where nothing can move any more (`judge`). */

c_decl {
\#include <stdlib.h>
    enum { FAULTS, CONSUMERS, BROKER, SWAP, WITHOUT, MAY, UNORDERED, SETTINGS };
    static int model_setting[SETTINGS];
}
c_code {
    static void read_settings(void)
    {
        static const char *const names[SETTINGS] = {
            "FAULTS", "CONSUMERS", "BROKER", "SWAP", "WITHOUT", "MAY", "UNORDERED"};
        for (int i = 0; i < SETTINGS; i++)
            model_setting[i] = getenv(names[i]) ? atoi(getenv(names[i])) : 0;
    }
}
#define setting(name)    c_expr { model_setting[name] }
#define is_redis         (setting(BROKER) == 1)
#define is_swap          (setting(SWAP) > 0)
#define has(safeguard)   (c_expr { model_setting[WITHOUT] } != safeguard)

/* Safeguards, by the number that takes each away. */
#define ONE_TRANSACTION   1  /* change and outbox row commit together */
#define ROW_LOCK          2  /* the row's seq is taken after the task's lock */
#define ONE_OF_A_KEY      3  /* a key's next event waits for the answer to the one before */
#define MARK_AFTER_ANSWER 4  /* a row is marked once the broker has answered */
#define TERM_IN_MARK      5  /* the mark looks whether its session has the term */
#define FRESH_TERM        6  /* each lock taken has a term of its own */
#define REPLAY            7  /* another broker: what the one before took goes out once more */
#define NAME_LAST         8  /* the new broker's name is written after that */
#define FORGET            9  /* what was in memory is fetched anew when that begins */
#define ASK_FIRST         10 /* nothing goes out while the broker is unknown */
#define INBOX             11 /* an event that is in the inbox changes nothing */
#define INBOX_WITH_EFFECT 12 /* inbox row and effect commit together; without: the row first */
#define EFFECT_WITH_INBOX 13 /* the same; without: the effect first */
#define EFFECT_BEFORE_ACK 14 /* the consumer answers the broker after the effect */
#define LETTER_BEFORE_ACK 15 /* … and after the dead letter is stored */
#define LETTER_IS_MARKED  16 /* a letter is replayed only once its row is marked */
#define KEY_IN_HAND       17 /* a consumer holds a key's next event until the first is done */
#define MARK_FIRST        18 /* … and REPLAY waits for a mark that is under way */

/* Faults, as bits of MAY. */
#define MAY_KILL_RELAY    1
#define MAY_END_SESSION   2  /* a cut, a restart of PostgreSQL, an eviction */
#define MAY_LOSE_ANSWER   4  /* a publish whose outcome is unknown */
#define MAY_REFUSE        8  /* the broker refuses an event: it is parked */
#define MAY_KILL_CONSUMER 16
#define MAY_REBALANCE     32 /* Kafka's partition moves, Redis hands out again, both at work */
#define MAY_FAIL          64 /* a handler fails for good: a dead letter */
#define has_fault(fault) ((c_expr { model_setting[MAY] } & fault) != 0)
#define may(fault)       (faults > 0 && has_fault(fault))

#define N 2 /* events, all of one task and topic */
#define R 2 /* relays */
#define C 2 /* replicas of the consumer at most */
#define B 3 /* brokers: 1 the first, 2 the next; 0 is none */

byte faults;

/* ---- PostgreSQL ------------------------------------------------------------------------------ */

#define NO_ROW      0
#define UNPUBLISHED 1
#define PUBLISHED   2
#define PARKED      3
byte row[N];        /* todo.outbox, by seq */
byte remembered;    /* todo.relay */
bit inbox[N];       /* todo.inbox */
bit letter[N];      /* todo.dead_letters, not replayed yet */
byte applied[N];    /* times that the effect was committed */
byte lock;          /* the advisory lock: relay + 1 */
bit session[R];     /* the server's side of a relay's session … */
bit has_term[R];    /* … has the setting todo.relay that the relay says in its statements */

/* ---- what is asserted about ------------------------------------------------------------------ */

bit changed[N];   /* the change is committed */
byte stamp[N];    /* when, among the changes */
byte stamps;
byte newest;      /* the stamp of the newest change whose effect is there */
bit accepted[N];  /* by a broker, once at least */
bit is_excused[N]; /* parked or a dead letter: comes late */

/* ---- brokers --------------------------------------------------------------------------------- */

chan first = [4] of { byte };  /* a partition, or a stream, of broker 1 */
chan second = [4] of { byte }; /* … of broker 2 */
byte copies[6];                /* [broker * N + event]: in it */
bit late[6];                   /* [broker * N + event]: sent once, still on its way */
bit back[N];                   /* Redis: pending of somebody who is gone, to be claimed */
byte reads = 1;                /* the broker that the consumers are at */
byte owner;                    /* Kafka: the consumer that has the partition */
bit given_up[C];               /* … what this one has in hand is another's meanwhile */

/* ---- relays ---------------------------------------------------------------------------------- */

#define DEAD      0 /* no process */
#define FOLLOWER  1
#define STARTING  2
#define REPLAYING 3
#define LEADING   4
byte state[R];
bit must_identify[R];
byte known[R];    /* the remembered name as this term knows it; 0: none, or not read yet */
byte found[R];    /* the broker's own name */
byte via[R];      /* the broker behind its way out; 0: the way is down */
bit asked[R];     /* … and the relay has seen that */

/* An event in a relay's memory: [relay * N + event]. */
#define READY   1 /* or waiting behind another of its key */
#define SENT    2
#define ACKED   3 /* to be marked */
#define COUNTED 4 /* refused, being parked */
byte memory[N * R];
#define mem(r, e) memory[(r) * N + (e)]

/* Statements that are under way: submitted, not executed yet. `is_old`: they say a term that the
 * relay had before; `is_orphan`: the relay has forgotten what they are about. */
bit mark[R], mark_event[R], mark_parks[R], mark_is_orphan[R], mark_is_old[R];
byte upkeep[R]; /* 0: none; SET: the broker's name; RUN + event: its row becomes unpublished */
bit upkeep_is_old[R];
#define SET 1
#define RUN 2

/* ==== the change ============================================================================== */

inline commit_change(e) { changed[e] = 1; stamps++; stamp[e] = stamps }

/* db/task_add.c task_add_stmt, db/task_update.c: the change and its row in one statement, the
 * answer to the agent after its commit. */
proctype writer()
{
    byte e = 0;
    atomic {
        if
        :: !has(ROW_LOCK) -> /* two at once: the one with the later seq commits first */
            commit_change(1); row[1] = UNPUBLISHED; e = 2
        :: has(ROW_LOCK)
        fi
    }
    if
    :: e == 2 -> atomic { commit_change(0); row[0] = UNPUBLISHED }
    :: else
    fi;
    do
    :: atomic { is_swap && e == 0 -> /* what is published when is all that matters then */
        commit_change(0); row[0] = UNPUBLISHED; commit_change(1); row[1] = UNPUBLISHED; e = N }
    :: atomic { e < N && has(ONE_TRANSACTION) && !is_swap -> commit_change(e); row[e] = UNPUBLISHED; e++ }
    :: atomic { e < N && !has(ONE_TRANSACTION) -> commit_change(e) }
        if
        :: atomic { row[e] = UNPUBLISHED; e++ }
        :: atomic { may(MAY_KILL_RELAY) -> faults--; e++ }
        fi
    :: e == N -> break
    od
}

/* ==== a broker ================================================================================ */

/* One that nobody reads any more keeps what it took for itself. A third copy of an event tells a
 * consumer nothing that the second does not. */
inline append(b, e)
{
    accepted[e] = 1;
    if
    :: b >= reads && copies[b * N + e] < 2 ->
        copies[b * N + e]++;
        if
        :: b == 1 -> first!e
        :: b == 2 -> second!e
        fi
    :: else
    fi
}

/* ==== a relay ================================================================================= */

/* What was sent and has no answer any more was taken, is lost, or comes to the broker later. */
inline leave_behind(r, e)
{
    if
    :: append(via[r], e)
    :: has_fault(MAY_LOSE_ANSWER) -> late[via[r] * N + e] = 1
    :: true
    fi
}

inline forget_one(r, e)
{
    if
    :: mem(r, e) == SENT -> leave_behind(r, e)
    :: else
    fi;
    mem(r, e) = 0
}

/* events/relay.c relay_forget: rows_forget, lanes_forget */
inline forget(r) { forget_one(r, 0); forget_one(r, 1); mark_is_orphan[r] = mark[r] }

inline step_down(r)
{
    state[r] = FOLLOWER; forget(r); must_identify[r] = 0; known[r] = 0; found[r] = 0; asked[r] = 0
}

/* relay.c lead, relay_broker.c broker_start: nothing goes out before the broker is known. */
inline lead(r)
{
    forget(r); state[r] = STARTING; must_identify[r] = 1; known[r] = 0; found[r] = 0; asked[r] = 0
}

/* db/outbox.c OUTBOX_CLAIM and relay.c follow_standing: TAKEN. Statements of before, which the
 * pool kept, come after it on the same session. */
inline take_lock(r)
{
    lock = r + 1; has_term[r] = 1;
    if
    :: has(FRESH_TERM) -> mark_is_old[r] = mark[r]; upkeep_is_old[r] = (upkeep[r] != 0)
    :: else
    fi;
    lead(r)
}

/* An earlier one of its key: while it is in memory and not acked, the later is not its head. */
#define is_not_acked(m)       ((m) != 0 && (m) != ACKED)
#define may_publish(r)        (state[r] == LEADING && !must_identify[r])
#define is_to_be_marked(r, e) (mem(r, e) == ACKED || !has(MARK_AFTER_ANSWER) && mem(r, e) == SENT)
#define is_to_be_fetched(r, e) (row[e] == UNPUBLISHED && mem(r, e) == 0)

/* db/outbox.c OUTBOX_FETCH, relay_rows.c on_rows, relay_lane.c lane_add */
inline fetch_one(r, e)
{
    if
    :: is_to_be_fetched(r, e) -> mem(r, e) = READY
    :: else
    fi
}

/* relay_lane.c lane_down: nothing goes out before the broker is known again. */
inline lane_down(r) { must_identify[r] = 1 }

/* relay_lane.c publish */
inline publish(r, e)
{
    if
    :: via[r] != 0 -> mem(r, e) = SENT
    :: via[r] == 0 -> lane_down(r)
    fi
}

/* relay_lane.c settle: TRANSPORT_UNAVAILABLE, sent again later */
inline lose_answer(r, e) { leave_behind(r, e); mem(r, e) = READY; lane_down(r) }

/* relay_rows.c mark; rows_refused, count_refusal */
inline submit_mark(r, e, parks)
{
    mark[r] = 1; mark_event[r] = e; mark_parks[r] = parks; mark_is_orphan[r] = 0;
    mark_is_old[r] = 0
}

inline end_mark(r)
{
    mark[r] = 0; mark_event[r] = 0; mark_parks[r] = 0; mark_is_orphan[r] = 0; mark_is_old[r] = 0
}

inline change_row(e, parks)
{
    if
    :: row[e] == UNPUBLISHED && parks -> row[e] = PARKED; is_excused[e] = 1
    :: row[e] == UNPUBLISHED && !parks ->
        assert(accepted[e]); /* no row is marked that no broker took */
        row[e] = PUBLISHED
    :: else
    fi
}

/* OUTBOX_MARK, OUTBOX_REFUSE; relay_rows.c on_marked, on_counted */
inline run_mark(r)
{
    if
    :: has_term[r] && !mark_is_old[r] || !has(TERM_IN_MARK) ->
        change_row(mark_event[r], mark_parks[r]);
        if
        :: !mark_is_orphan[r] -> mem(r, mark_event[r]) = 0
        :: else
        fi
    :: else -> /* the term is over */
        if
        :: !mark_is_orphan[r] -> step_down(r)
        :: else
        fi
    fi;
    end_mark(r)
}

/* … where the connection broke: once more, later */
inline fail_mark(r)
{
    if
    :: !mark_is_orphan[r] && mark_parks[r] -> mem(r, mark_event[r]) = READY
    :: else
    fi;
    end_mark(r)
}

inline submit_upkeep(r, what) { upkeep[r] = what; upkeep_is_old[r] = 0 }

inline begin_leading(r) { state[r] = LEADING; must_identify[r] = 0 }

/* relay_broker.c begin_replay */
inline begin_replay(r)
{
    if
    :: has(FORGET) -> forget(r); state[r] = REPLAYING
    :: !has(FORGET) -> state[r] = REPLAYING
    fi;
    if
    :: has(REPLAY) && has(NAME_LAST) -> submit_upkeep(r, RUN)
    :: else -> submit_upkeep(r, SET)
    fi
}

/* relay_broker.c compare */
inline compare(r)
{
    if
    :: known[r] == 0 -> submit_upkeep(r, SET)
    :: known[r] != 0 && known[r] != found[r] -> begin_replay(r)
    :: known[r] != 0 && known[r] == found[r] -> begin_leading(r)
    fi
}

/* db/outbox_upkeep.c UPKEEP_REPLAY, which looks at no term; relay_broker.c on_batch */
inline run_replay(r, e)
{
    if
    :: row[e] == PUBLISHED -> row[e] = UNPUBLISHED
    :: else
    fi;
    upkeep[r] = 0; upkeep_is_old[r] = 0;
    if
    :: state[r] == REPLAYING && e + 1 < N -> submit_upkeep(r, RUN + e + 1)
    :: state[r] == REPLAYING && e + 1 == N && has(NAME_LAST) -> submit_upkeep(r, SET)
    :: state[r] == REPLAYING && e + 1 == N && !has(NAME_LAST) ->
        known[r] = found[r]; begin_leading(r)
    :: else
    fi
}

/* UPKEEP_SET_BROKER, on_set */
inline run_set(r)
{
    upkeep[r] = 0;
    if
    :: has_term[r] && !upkeep_is_old[r] && state[r] > FOLLOWER ->
        remembered = found[r];
        if
        :: state[r] == REPLAYING && !has(NAME_LAST) && has(REPLAY) -> submit_upkeep(r, RUN)
        :: else -> known[r] = found[r]; begin_leading(r)
        fi
    :: else
    fi;
    upkeep_is_old[r] = 0
}

inline drop_session(r)
{
    session[r] = 0; has_term[r] = 0;
    if
    :: lock == r + 1 -> lock = 0
    :: else
    fi
}

#define must_ask(r) (state[r] == STARTING && known[r] == 0 || state[r] == LEADING &&                      (must_identify[r] || via[r] != found[r]))

proctype relay(byte r)
{
end:
    do
    /* ---- relay.c claim and on_claim: every half second; here where it changes something ---- */
    :: atomic { session[r] && state[r] == FOLLOWER && lock == 0 -> take_lock(r) }
    :: atomic { session[r] && state[r] > FOLLOWER && !has_term[r] && lock == 0 -> take_lock(r) }
    :: atomic { session[r] && state[r] > FOLLOWER && !has_term[r] && lock != 0 -> step_down(r) }

    /* ---- relay_rows.c fetch ---- */
    :: atomic { has_term[r] && state[r] == LEADING &&
                (is_to_be_fetched(r, 0) || is_to_be_fetched(r, 1)) ->
        fetch_one(r, 0); fetch_one(r, 1) }

    /* ---- relay_lane.c lanes_pump ---- */
    :: atomic { may_publish(r) && mem(r, 0) == READY -> publish(r, 0) }
    :: atomic { may_publish(r) && mem(r, 1) == READY &&
                (!is_not_acked(mem(r, 0)) || !has(ONE_OF_A_KEY)) -> publish(r, 1) }

    /* ---- the broker takes it; relay_lane.c on_published, settle ---- */
    :: atomic { via[r] != 0 && mem(r, 0) == SENT -> append(via[r], 0); mem(r, 0) = ACKED }
    :: atomic { via[r] != 0 && mem(r, 1) == SENT -> append(via[r], 1); mem(r, 1) = ACKED }
    :: atomic { may(MAY_LOSE_ANSWER) && mem(r, 0) == SENT -> faults--; lose_answer(r, 0) }
    :: atomic { may(MAY_LOSE_ANSWER) && mem(r, 1) == SENT -> faults--; lose_answer(r, 1) }
    :: atomic { may(MAY_REFUSE) && !mark[r] && mem(r, 0) == SENT ->
        faults--; mem(r, 0) = COUNTED; submit_mark(r, 0, 1) }
    :: atomic { may(MAY_REFUSE) && !mark[r] && mem(r, 1) == SENT ->
        faults--; mem(r, 1) = COUNTED; submit_mark(r, 1, 1) }

    /* ---- relay_rows.c mark; a refusal that is still to be counted ---- */
    :: atomic { !mark[r] && is_to_be_marked(r, 0) -> submit_mark(r, 0, 0) }
    :: atomic { !mark[r] && is_to_be_marked(r, 1) -> submit_mark(r, 1, 0) }
    :: atomic { session[r] && mark[r] -> run_mark(r) }

    /* ---- relay_broker.c broker_tick: ask the way out, read the remembered name, compare ---- */
    :: atomic { !upkeep[r] && via[r] == 0 && state[r] != REPLAYING && state[r] > FOLLOWER &&
                !asked[r] ->
        asked[r] = 1; /* on_identity: nobody answers */
        if
        :: has(ASK_FIRST) -> must_identify[r] = 1
        :: else
        fi }
    :: atomic { !upkeep[r] && via[r] != 0 && has_term[r] && must_ask(r) &&
                (!mark[r] || !has(MARK_FIRST)) ->
        found[r] = via[r];
        if
        :: state[r] == STARTING -> known[r] = remembered
        :: else
        fi;
        compare(r) }
    :: atomic { session[r] && upkeep[r] == SET -> run_set(r) }
    :: atomic { session[r] && upkeep[r] == RUN -> run_replay(r, 0) }
    :: atomic { session[r] && upkeep[r] == RUN + 1 -> run_replay(r, 1) }
    /* go_on, after a step that failed; a claim comes before that has run in vain for long */
    :: atomic { !upkeep[r] && state[r] == REPLAYING && has_term[r] ->
        if
        :: has(REPLAY) -> submit_upkeep(r, RUN)
        :: else -> submit_upkeep(r, SET)
        fi }

    /* ---- the session ends: a cut, a restart, or another relay's OUTBOX_EVICT of one that is
       stopped. db/conn.c conn_fail: what was sent fails, what was still queued waits. ---- */
    :: atomic { may(MAY_END_SESSION) && state[r] != DEAD && session[r] ->
        faults--; drop_session(r);
        if
        :: mark[r] -> fail_mark(r)
        :: true
        fi;
        if
        :: upkeep[r] -> upkeep[r] = 0
        :: true
        fi }
    :: atomic { state[r] != DEAD && !session[r] -> session[r] = 1 }

    /* ---- kill -9: a statement that was sent may be executed still; the session stays until the
       server notices or another relay ends it ---- */
    :: atomic { may(MAY_KILL_RELAY) && state[r] != DEAD ->
        faults--;
        if
        :: mark[r] && session[r] -> run_mark(r)
        :: upkeep[r] == SET && session[r] -> run_set(r)
        :: true
        fi;
        step_down(r); state[r] = DEAD; end_mark(r); upkeep[r] = 0; upkeep_is_old[r] = 0 }
    :: atomic { state[r] == DEAD && session[r] -> drop_session(r) }
    :: atomic { state[r] == DEAD && !session[r] -> state[r] = FOLLOWER }

    /* ---- the broker is swapped: this relay's sidecar ends and comes back with another. It is
       away for longer than the time between two questions (ASK_MS). ---- */
    :: atomic { is_swap && via[r] == 1 ->
        if
        :: mem(r, 0) == SENT -> lose_answer(r, 0)
        :: else
        fi;
        if
        :: mem(r, 1) == SENT -> lose_answer(r, 1)
        :: else
        fi;
        via[r] = 0; asked[r] = 0 }
    :: atomic { is_swap && via[r] == 0 && (asked[r] || state[r] <= FOLLOWER) ->
        via[r] = 2; asked[r] = 0 }
    od
}

/* ==== the network =============================================================================== */

/* Copies of what a relay sent and no longer waits for. */
proctype network()
{
    byte x = 0;
end:
    do
    :: atomic { late[1 * N + 0] -> late[1 * N + 0] = 0; append(1, 0) }
    :: atomic { late[1 * N + 1] -> late[1 * N + 1] = 0; append(1, 1) }
    :: atomic { is_swap && late[2 * N + 0] -> late[2 * N + 0] = 0; append(2, 0) }
    :: atomic { is_swap && late[2 * N + 1] -> late[2 * N + 1] = 0; append(2, 1) }
    /* The consumers go to the other broker. What the old one has not delivered is left there. */
    :: atomic { is_swap && reads == 1 && (via[0] == 2 || via[1] == 2) ->
        reads = 2;
        do
        :: nempty(first) -> first?x; copies[1 * N + x] = 0
        :: empty(first) -> break
        od;
        x = 0; back[0] = 0; back[1] = 0; given_up[0] = 1; given_up[1] = 1 }
    od
}

/* ==== the consumer ============================================================================ */

#define is_kept_in_order(e) (!is_excused[e] && setting(UNORDERED) == 0)

/* db/inbox.h INBOX_CLAIM and the effect, one statement; as tools/… and db/series.c use it */
inline take_effect(e)
{
    applied[e]++;
    assert(applied[e] == 1);
    assert(changed[e]);
    assert(!is_kept_in_order(e) || stamp[e] > newest);
    if
    :: stamp[e] > newest -> newest = stamp[e]
    :: else
    fi
}

inline pop(e)
{
    if
    :: reads == 1 && first?[eval(e)] -> first?eval(e); copies[1 * N + e]--
    :: reads == 2 && second?[eval(e)] -> second?eval(e); copies[2 * N + e]--
    :: reads == 1 && !first?[eval(e)]
    :: reads == 2 && !second?[eval(e)]
    fi
}

/* What a record goes through in one replica. */
#define IDLE    0
#define IN_HAND 1
#define HALF    2 /* without INBOX_WITH_EFFECT or EFFECT_WITH_INBOX: between the two */
#define DONE    3 /* to be acknowledged */
#define FAILING 4 /* its dead letter is to be written */

proctype consumer(byte c)
{
    byte e = 0, phase = IDLE;
    bit is_acked = 0; /* without …_BEFORE_ACK */
end:
    do
    /* events/source_kafka_taken.c take_one: the first that is not committed */
    :: atomic { phase == IDLE && !is_redis && owner == c && reads == 1 && first?[e] ->
        first?<e>; phase = IN_HAND; given_up[c] = 0 }
    :: atomic { phase == IDLE && !is_redis && owner == c && reads == 2 && second?[e] ->
        second?<e>; phase = IN_HAND; given_up[c] = 0 }
    :: atomic { phase == IDLE && !has(KEY_IN_HAND) && owner == c && reads == 1 && first??[1] ->
        e = 1; phase = IN_HAND; given_up[c] = 0 }
    /* Redis under Dapr: the next that nobody has, or one whose time with somebody is over */
    :: atomic { phase == IDLE && is_redis && reads == 1 && nempty(first) ->
        first?e; copies[1 * N + e]--; phase = IN_HAND }
    :: atomic { phase == IDLE && is_redis && reads == 2 && nempty(second) ->
        second?e; copies[2 * N + e]--; phase = IN_HAND }
    :: atomic { phase == IDLE && back[0] -> back[0] = 0; e = 0; phase = IN_HAND }
    :: atomic { phase == IDLE && back[1] -> back[1] = 0; e = 1; phase = IN_HAND }

    /* events/consumer.c run -> the handler's statement */
    :: atomic { phase == IN_HAND && !has(EFFECT_BEFORE_ACK) && !is_acked ->
        is_acked = 1; pop(e) }
    :: atomic { phase == IN_HAND && (has(EFFECT_BEFORE_ACK) || is_acked) ->
        if
        :: inbox[e] && has(INBOX) -> phase = DONE
        :: else ->
            if
            :: !has(INBOX_WITH_EFFECT) -> inbox[e] = 1; phase = HALF
            :: !has(EFFECT_WITH_INBOX) -> take_effect(e); phase = HALF
            :: else -> inbox[e] = 1; take_effect(e); phase = DONE
            fi
        fi }
    :: atomic { phase == HALF ->
        if
        :: !has(INBOX_WITH_EFFECT) -> take_effect(e)
        :: else -> inbox[e] = 1
        fi;
        phase = DONE }
    /* try_again … bury, consumer_turn.c turn_bury, db/dead_letter.c DEAD_LETTER_ADD */
    :: atomic { phase == IN_HAND && may(MAY_FAIL) && !inbox[e] ->
        faults--; is_excused[e] = 1; phase = FAILING;
        if
        :: !has(LETTER_BEFORE_ACK) -> is_acked = 1; pop(e)
        :: else
        fi }
    :: atomic { phase == FAILING -> letter[e] = 1; phase = DONE }
    /* answer -> CONSUMER_ACK: source_kafka_taken.c end_record and the commit; or daprd's. The
       commit of a replica that is no more in the group is refused. */
    :: atomic { phase == DONE ->
        if
        :: !is_redis && !given_up[c] && !is_acked -> pop(e)
        :: else
        fi;
        phase = IDLE; e = 0; is_acked = 0; given_up[c] = 0 }

    /* kill -9 */
    :: atomic { may(MAY_KILL_CONSUMER) && phase != IDLE ->
        faults--;
        if
        :: is_redis && !is_acked -> back[e] = 1
        :: else
        fi;
        phase = IDLE; e = 0; is_acked = 0; given_up[c] = 0 }
    /* It is taken for dead, and is not */
    :: atomic { may(MAY_REBALANCE) && !is_redis && owner == c && setting(CONSUMERS) > 1 ->
        faults--; owner = 1 - c; given_up[c] = 1 }
    :: atomic { may(MAY_REBALANCE) && is_redis && phase != IDLE -> faults--; back[e] = 1 }
    od
}

/* ==== the operator ============================================================================ */

/* todo-mcp outbox replay --parked: UPKEEP_UNPARK. todo-mcp dlq replay: DEAD_LETTER_REPLAY. */
proctype operator()
{
end:
    do
    :: atomic { row[0] == PARKED -> row[0] = UNPUBLISHED }
    :: atomic { row[1] == PARKED -> row[1] = UNPUBLISHED }
    :: atomic { letter[0] && (row[0] != UNPUBLISHED || !has(LETTER_IS_MARKED)) ->
        letter[0] = 0; row[0] = UNPUBLISHED }
    :: atomic { letter[1] && (row[1] != UNPUBLISHED || !has(LETTER_IS_MARKED)) ->
        letter[1] = 0; row[1] = UNPUBLISHED }
    od
}

/* ==== at the end ============================================================================== */

proctype judge()
{
    byte e = 0;
    timeout -> /* nothing else can move */
    do
    :: e < N ->
        assert(changed[e] && row[e] == PUBLISHED && applied[e] == 1 && inbox[e] && !letter[e]);
        e++
    :: e == N -> break
    od
}

init
{
    byte r = 0;
    atomic {
        c_code { read_settings(); now.faults = (uchar)model_setting[FAULTS]; };
        do
        :: r < R ->
            state[r] = FOLLOWER; session[r] = 1;
            via[r] = (c_expr { model_setting[SWAP] } == 2 && r == 1 -> 2 : 1);
            run relay(r); r++
        :: r == R -> break
        od;
        r = 0;
        run writer(); run network(); run operator(); run consumer(0);
        if
        :: setting(CONSUMERS) > 1 -> run consumer(1)
        :: else
        fi;
        run judge()
    }
}
