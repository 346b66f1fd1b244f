#pragma once
/* The steps of the tests of reminders: what is sent now, and how a task comes to be due. */
#include "fixture.h"

#include "db/reminder.h"

#define MINUTE INT64_C(60000000)
#define HOUR   (60 * MINUTE)

extern const struct db_reminder_rules reminder_rules; /* an hour before; given up after a day */
extern const struct db_reminder_rules reminder_rules_no_default;

struct fired {
    bool is_done;
    int sent, given_up;
    bool has_more;
    int64_t user_id, task_id, late_ms; /* of the last */
};
struct fired fire_with(struct fixture *f, const struct db_reminder_rules *with, int limit);
struct fired fire(struct fixture *f);

struct next {
    bool is_done, has_next;
    int64_t ms;
};
struct next next_one(struct fixture *f, const struct db_reminder_rules *with);

/* Due so much after now (or before). */
int64_t add_due_in(struct fixture *f, int64_t after_us);
void move_due_to(struct fixture *f, int64_t id, int64_t after_us);
void reopen(struct fixture *f, int64_t id);
void remind_before(struct fixture *f, int64_t id, int64_t minutes);
void remind_in(struct fixture *f, int64_t id, int64_t after_us);
void clear_reminder(struct fixture *f, int64_t id);
/* As if so much time had passed, for this task, in which nobody touched it. */
void pass_time(struct fixture *f, int64_t id, int64_t us);

/* It is this one that is sent now, and once. */
void assert_sent(struct fixture *f, int64_t id);
void assert_silent(struct fixture *f);

/* Tests share a database: none leaves anything to be sent to the next. */
int reminder_teardown(void **state);
#define reminder_test(f) cmocka_unit_test_setup_teardown(f, fixture_setup, reminder_teardown)
