#pragma once
/* A consumer on a loop and a real PostgreSQL. Its one handler does what the test says, run by run,
 * and notes when. */
#include "support/unit.h"

#include <uv.h>

#include "base/error.h"
#include "base/metrics.h"
#include "db/pool.h"
#include "events/consumer.h"
#include "support/postgres.h"

#define EVENT_ID  "01900000-0000-7000-8000-0000000000aa"
#define RUNS_MAX  16
#define CONSUMERS "events-test"

struct fixture {
    struct postgres *pg; /* borrowed from the group */
    uv_loop_t loop;
    struct db_pool *pool; /* NULL once closed */
    struct metrics *metrics;
    struct consumer *consumer; /* NULL once closed */
    bool is_inside;            /* consumer_deliver is on the stack */
    /* What the handler's runs say: an enum consumer_verdict, KEEP (the test ends it) or EFFECT. */
    int verdicts[RUNS_MAX];
    int runs;
    uint64_t run_ms[RUNS_MAX];
    struct consumer_turn *kept;
    struct consumer_event seen; /* its slices are borrowed */
    int64_t seen_task;
    int answers, acks;
    struct consumer_route route;
    char text[2048]; /* event_text */
};
#define KEEP   (-1)
#define EFFECT (-2) /* a row of public.effects and one of the inbox, in one statement */

int fixture_setup(void **state);
int fixture_teardown(void **state);
#define consumer_test(f) cmocka_unit_test_setup_teardown(f, fixture_setup, fixture_teardown)

void fixture_open_consumer(struct fixture *f, uint32_t in_flight_max);
void fixture_begin_close(struct fixture *f);
void fixture_close_pool(struct fixture *f);
/* Turns the loop until so many answers have come. */
void fixture_wait_answers(struct fixture *f, int count);
#define fixture_wait(f, condition)                                                                 \
    do {                                                                                           \
        while (!(condition))                                                                       \
            assert_true(uv_run(&(f)->loop, UV_RUN_ONCE) || (condition));                           \
    } while (0)

/* A TaskDeletedEvent of task 7, in structured mode; members of data and attributes as changed by
 * replacing the text `from` by `to` (NULL: as it is). */
const char *event_text(struct fixture *f, const char *from, const char *to);
/* Delivers it; the status of consumer_deliver. */
int deliver(struct fixture *f, const char *text);
int deliver_as(struct fixture *f, struct slice content_type, struct slice body,
               const struct cloudevent_attribute *attributes, size_t count);
int64_t dead_letters(struct fixture *f);
