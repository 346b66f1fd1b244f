#pragma once
/* What the relay's tests stand on: a real PostgreSQL, and a way out whose outcomes the test gives.
 * It keeps what came, in order, and answers later, as a broker does. */
#include "support/unit.h"

#include <uv.h>

#include "base/log.h"
#include "events/relay.h"
#include "events/transport.h"
#include "support/postgres.h"

#define GOT_MAX 300000

struct got {
    int64_t key, number; /* data.n */
    char topic[24];
};

struct way;
/* What becomes of an entry. */
typedef enum transport_outcome (*way_judge_fn)(struct way *way, const char *topic,
                                               const struct transport_entry *entry);

struct way {
    struct transport transport;
    uv_loop_t *loop;
    uv_timer_t timer;
    uint32_t delay_ms;
    way_judge_fn judge; /* NULL: all is acked */
    struct way_publish *head, *tail;
    uint32_t in_flight, in_flight_max;
    uint64_t publishes, entries;
    struct got *got; /* acked, in order */
    size_t got_count;
    uint64_t random;
    char identity[64];   /* "": cannot be known */
    uint32_t identities; /* times that it was told */
    transport_identity_fn identity_fn;
    void *identity_ctx;
    char last_event[8192]; /* the bytes of the last entry that was acked */
    struct slice last_reason;
    bool keys_in_flight[8][4096]; /* by key: fails the test where a second one of a key goes out */
};

struct relay_fixture {
    struct postgres *pg;
    uv_loop_t loop;
    struct log log;
    struct way way;
    struct relay *relay;
    bool is_way_open, is_closed;
};

int relay_setup(void **state);
int relay_teardown(void **state);
#define relay_test(f) cmocka_unit_test_setup_teardown(f, relay_setup, relay_teardown)

/* Opens it with these options (NULL: the defaults); conninfo is filled in. */
void relay_open(struct relay_fixture *f, const struct relay_options *options);
void relay_end(struct relay_fixture *f);
/* Turns the loop until the condition holds; fails the test after 30 s. */
#define relay_until(f, condition)                                                                  \
    do {                                                                                           \
        uint64_t until_by = uv_hrtime() + 30000000000u;                                            \
        while (!(condition)) {                                                                     \
            assert_true(uv_hrtime() < until_by);                                                   \
            uv_run(&(f)->loop, UV_RUN_ONCE);                                                       \
        }                                                                                          \
    } while (0)

/* `count` rows of the topic, whose keys are 1 … `keys` in turn and data {"n": 1 …}. */
void relay_insert(struct relay_fixture *f, const char *topic, int count, int keys);
/* Asserts that each key's first deliveries came in the order of their numbers. */
void relay_check_order(const struct relay_fixture *f, const char *topic);
/* Rows that are not published. */
int64_t relay_unpublished(struct relay_fixture *f);
