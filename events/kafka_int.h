#pragma once
/* events/kafka_int: librdkafka on the loop: one producer or consumer of it, whose events come by a
 * file descriptor.
 *
 *   librdkafka's threads -> a queue -> eventfd -> uv_poll -> on_event for each, then on_served
 *
 * Use:     kafka_conf_new -> kafka_client_new -> … -> kafka_client_end (async) -> ended.
 * Owns:    the rd_kafka_t and its queue. Borrows the loop and the log, to which librdkafka's own
 *          lines go.
 * Thread:  loop thread only; the end of an rd_kafka_t, which waits for its threads, is left to
 *          uv's pool. */
#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct error;
struct kafka_client;
struct kafka_config;
struct log;

struct kafka_property {
    const char *name, *value;
};

/* librdkafka's configuration of `config`, with what producer or consumer adds. 0 and *out, for
 * kafka_client_new; BASE_EINVAL or BASE_ENOMEM. */
__attribute__((warn_unused_result)) int kafka_conf_new(const struct kafka_config *config,
                                                       const struct kafka_property *own,
                                                       size_t count, rd_kafka_conf_t **out,
                                                       struct error *err);

struct kafka_client_options {
    const struct kafka_config *config; /* borrowed until the end */
    rd_kafka_type_t type;
    /* What librdkafka has to say; takes the event over. */
    void (*on_event)(void *ctx, rd_kafka_event_t *take_event);
    void (*on_served)(void *ctx); /* after a run of them, or a wake; NULL: none */
    void *ctx;
};

typedef void (*kafka_client_ended_fn)(void *ctx);

struct kafka_client {
    uv_loop_t *loop;
    const struct log *log;
    struct kafka_client_options options;
    rd_kafka_t *rk;
    rd_kafka_queue_t *queue;
    int fd; /* eventfd */
    bool is_woken;
    bool is_ending;
    int destroy_flags;
    uv_poll_t poll;
    uv_work_t work;
    kafka_client_ended_fn ended;
    void *ended_ctx;
    uint32_t login_version; /* of the secrets that librdkafka has */
    uint64_t refused_ms;    /* when a refusal was last told; those since then are counted */
    uint32_t refused_count;
    char trouble[160]; /* the last thing that went wrong with a broker; "" for none */
};

/* 0 and *out, or BASE_EINVAL, BASE_ENOMEM or a UV_E*. Takes the configuration over, also where it
 * fails. */
__attribute__((warn_unused_result)) int
kafka_client_new(uv_loop_t *loop, const struct kafka_client_options *options,
                 rd_kafka_conf_t *take_conf, const struct log *log, struct kafka_client **out,
                 struct error *err);
/* on_served comes in the loop's next turn. */
void kafka_client_wake(struct kafka_client *c);
/* Has events of one more queue wake the loop. */
void kafka_client_watch(struct kafka_client *c, rd_kafka_queue_t *queue);
/* From now on the events are taken from this queue. */
void kafka_client_use_queue(struct kafka_client *c, rd_kafka_queue_t *take_queue);
/* No event comes after this call; all that came have to be destroyed. `flags` of
 * rd_kafka_destroy_flags. Then `ended`, and `c` is freed. */
void kafka_client_end(struct kafka_client *c, int flags, kafka_client_ended_fn ended, void *ctx);
