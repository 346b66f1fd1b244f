#pragma once
/* events/source_kafka_int: what the parts of the Kafka source share.
 *
 *   source_kafka.c        the member of the group: rebalances, commits, life
 *   source_kafka_taken.c  the events in hand: taken, delivered, held, done
 *
 * A record is an event in hand. Its state is the list that it is on:
 *
 *             taken
 *            /     \ an earlier one of its key is in hand
 *      READY <---- HELD
 *        |  ^
 *        v   \ its time has come
 *    UNDER_WAY -> WAITING      (CONSUMER_RETRY)
 *        |
 *        v
 *      DONE                    (CONSUMER_ACK; stays in its partition until all before it are done)
 */
#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/slice.h"
#include "events/kafka_int.h"
#include "events/source_kafka.h"

#define SOURCE_BUCKETS 512 /* a power of two */

enum record_state {
    RECORD_READY,
    RECORD_HELD,
    RECORD_UNDER_WAY,
    RECORD_WAITING,
    RECORD_DONE,
};

struct record {
    struct record *prev, *next;           /* in its partition, by offset */
    struct record *list_prev, *list_next; /* in s->ready or s->waiting */
    struct record *bucket_next;           /* the keys that hash alike; not done ones only */
    struct record *follower;              /* the next of its key: HELD until this one is done */
    struct partition *partition;          /* NULL: given up, and only waits for its answer */
    struct source_kafka *s;
    rd_kafka_event_t *event;           /* owned; NULL once it is done or given up */
    const rd_kafka_message_t *message; /* of `event` */
    enum record_state state;
    uint32_t hash;
    int64_t offset;
    uint32_t tries;
    uint64_t due_ms; /* WAITING */
};

struct record_list {
    struct record *first, *last;
};

/* What the broker has confirmed of a partition that is ours or was; kept until the end. */
struct mark {
    struct mark *next;
    int64_t committed; /* -1: nothing */
    int32_t id;
    char topic[];
};

struct partition {
    struct partition *next;
    struct source_kafka *s;
    const char *topic; /* of its mark */
    int32_t id;
    rd_kafka_queue_t *queue; /* what librdkafka has fetched of it */
    struct record *first, *last;
    uint32_t in_hand, under_way;
    int64_t done;   /* the offset to commit: all before it are done; -1: none */
    int64_t stored; /* what librdkafka knows of that */
    struct mark *mark;
    bool is_ending; /* nothing more is taken from it or delivered */
};

enum source_state {
    SOURCE_RUNNING,
    SOURCE_ENDING,  /* turns under way end */
    SOURCE_LEAVING, /* the group, after the last commit */
    SOURCE_GONE,    /* librdkafka's consumer ends */
};

struct source_kafka {
    uv_loop_t *loop;
    const struct log *log;
    struct source_kafka_options options;
    struct kafka_client *client; /* NULL once it is gone */
    enum source_state state;
    struct partition *partitions;
    struct mark *marks;
    struct record_list ready, waiting;
    struct record *spare; /* for the next event: memory comes first, so that none is lost for it */
    struct record *buckets[SOURCE_BUCKETS];
    uint32_t given_up; /* records whose answer is still to come, of partitions that are not ours */
    struct source_kafka_stats stats;

    rd_kafka_event_t *rebalance; /* the one under way; owned */
    bool is_revoke;
    uint64_t rebalance_by_ms;

    bool is_short; /* of memory for the next event */
    uv_timer_t timer;
    uint64_t state_by_ms; /* of ENDING and LEAVING */
    bool is_timer_closed;
    source_kafka_closed_fn closed;
    void *closed_ctx;
};

/* ---- source_kafka_taken.c ---- */

/* NULL when there is none. */
struct mark *source_mark_find(const struct source_kafka *s, const char *topic, int32_t id);
/* NULL when memory is out. */
struct partition *source_partition_new(struct source_kafka *s, const char *topic, int32_t id);
/* Nothing more is taken or delivered: what is neither under way nor done is dropped. */
void source_partition_stop(struct partition *p);
/* Gives up what is under way too. The partition is out of s->partitions already. */
void source_partition_free(struct partition *p);
/* Delivers what is ready and takes what there is room for. */
void source_take(struct source_kafka *s);
/* What waited for its time and is due becomes ready. */
void source_wake_waiting(struct source_kafka *s);
/* When the first of them is due, in ms from now; UINT64_MAX: none waits. */
uint64_t source_next_due_ms(const struct source_kafka *s);

/* ---- source_kafka.c ---- */

/* An event of the partition is done or given up: looks at what hangs on that. */
void source_on_progress(struct source_kafka *s);
