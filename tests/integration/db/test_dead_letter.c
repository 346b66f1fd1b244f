/* The inbox and the dead letters against a real PostgreSQL. */
#include "fixture.h"

#include "db/dead_letter.h"
#include "db/inbox.h"

#define EVENT_A "01900000-0000-7000-8000-00000000000a"

struct answer {
    struct fixture *f;
    bool is_done, is_fresh;
    int status;
    struct error err;
    enum db_replay replay;
    int count;
    struct db_dead_letter letters[8]; /* copied */
};

static void on_fresh(void *ctx, int status, bool is_fresh, const struct error *err)
{
    struct answer *a = ctx;
    assert_false(a->is_done);
    a->is_done = true;
    a->status = status;
    a->is_fresh = is_fresh;
    if (status)
        a->err = *err;
}

static void on_replay(void *ctx, int status, enum db_replay outcome, const struct error *err)
{
    struct answer *a = ctx;
    on_fresh(ctx, status, false, err);
    a->replay = outcome;
}

static struct slice keep(struct fixture *f, struct slice text)
{
    return text.ptr ? (struct slice){arena_copy(&f->arena, text), text.len} : text;
}

static void on_letters(void *ctx, int status, const struct db_dead_letter_reply *reply,
                       const struct error *err)
{
    struct answer *a = ctx;
    on_fresh(ctx, status, false, err);
    a->count = status ? 0 : reply->count;
    for (int i = 0; i < a->count && i < 8; i++) {
        a->letters[i] = reply->letters[i];
        a->letters[i].id = keep(a->f, reply->letters[i].id);
        a->letters[i].reason = keep(a->f, reply->letters[i].reason);
        a->letters[i].event = keep(a->f, reply->letters[i].event);
    }
}

#define WAIT_FOR(call)                                                                             \
    struct answer a = {.f = f};                                                                    \
    assert_int_equal(call, 0);                                                                     \
    fixture_wait(f, &a.is_done);                                                                   \
    return a

static struct answer inbox_add(struct fixture *f, const char *consumer, const char *event)
{
    WAIT_FOR(db_inbox_add(f->pool, slice_from_cstr(consumer), slice_from_cstr(event), on_fresh, &a,
                          NULL, NULL));
}

static struct answer inbox_look(struct fixture *f, const char *consumer, const char *event)
{
    WAIT_FOR(db_inbox_look(f->pool, slice_from_cstr(consumer), slice_from_cstr(event), on_fresh, &a,
                           NULL, NULL));
}

static struct answer add(struct fixture *f, const struct db_dead_letter_new *letter)
{
    WAIT_FOR(db_dead_letter_add(f->pool, letter, on_fresh, &a, NULL, NULL));
}

static struct answer list(struct fixture *f, bool with_replayed)
{
    WAIT_FOR(db_dead_letter_list(f->pool, 0, with_replayed, 8, on_letters, &a, NULL, NULL));
}

static struct answer get(struct fixture *f, struct slice id)
{
    WAIT_FOR(db_dead_letter_get(f->pool, id, on_letters, &a, NULL, NULL));
}

static struct answer replay(struct fixture *f, struct slice id, const struct db_event_row *made)
{
    WAIT_FOR(
        db_dead_letter_replay(f->pool, id, SLICE_LIT(EVENT_A), made, on_replay, &a, NULL, NULL));
}

static struct db_dead_letter_new letter_of(const char *event_id, struct slice event)
{
    return (struct db_dead_letter_new){.consumer = SLICE_LIT("email"),
                                       .event_id = slice_from_cstr(event_id),
                                       .key = SLICE_LIT("7"),
                                       .topic = SLICE_LIT("task-reminders"),
                                       .reason = SLICE_LIT("no such user"),
                                       .attempts = 4,
                                       .event = event};
}

static int clean_setup(void **state)
{
    int status = fixture_setup(state);
    const struct fixture *f = *state;
    postgres_run(f->pg, "truncate todo.inbox, todo.dead_letters, todo.outbox");
    return status;
}
#define letter_test(f) cmocka_unit_test_setup_teardown(f, clean_setup, fixture_teardown)

static const struct db_event_row made_event = {
    .id = {EVENT_A, sizeof(EVENT_A) - 1},
    .key = {"7", 1},
    .topic = {"task-reminders", 14},
    .type = {"ReminderSentEvent", 17},
    .source = {"notification-service", 20},
    .time = {"2026-11-24T10:00:00Z", 20},
    .data = {"{\"task_id\":7}", 13},
};

/* ---- tests ---------------------------------------------------------------------------------- */

static void an_event_is_fresh_once_for_each_consumer(void **state)
{
    struct fixture *f = *state;
    assert_true(inbox_look(f, "a", EVENT_A).is_fresh);
    assert_true(inbox_add(f, "a", EVENT_A).is_fresh);
    assert_false(inbox_add(f, "a", EVENT_A).is_fresh);
    assert_true(inbox_add(f, "b", EVENT_A).is_fresh);
    assert_false(inbox_look(f, "a", EVENT_A).is_fresh);
}

static void of_two_claims_at_once_one_is_fresh(void **state)
{
    struct fixture *f = *state;
    struct answer a[2] = {{.f = f}, {.f = f}};
    for (int i = 0; i < 2; i++)
        assert_int_equal(
            db_inbox_add(f->pool, SLICE_LIT("a"), SLICE_LIT(EVENT_A), on_fresh, &a[i], NULL, NULL),
            0);
    fixture_wait(f, &a[0].is_done);
    fixture_wait(f, &a[1].is_done);
    assert_int_equal(a[0].status | a[1].status, 0);
    assert_true(a[0].is_fresh != a[1].is_fresh);
}

static void an_id_that_is_no_uuid_is_refused(void **state)
{
    struct answer a = inbox_add(*state, "a", "seven");
    assert_int_equal(a.status, DB_ECONSTRAINT);
}

static void a_dead_letter_keeps_any_bytes(void **state)
{
    struct fixture *f = *state;
    static const char bytes[] = "\0\xff{\"a\\";
    const struct db_dead_letter_new letter =
        letter_of("no event", (struct slice){bytes, sizeof(bytes)});
    assert_true(add(f, &letter).is_fresh);
    struct answer a = list(f, false);
    assert_int_equal(a.count, 1);
    assert_memory_equal(a.letters[0].event.ptr, bytes, sizeof(bytes));
    assert_int_equal(a.letters[0].event.len, sizeof(bytes));
    assert_slice(a.letters[0].reason, "no such user");
    assert_int_equal(a.letters[0].attempts, 4);
    assert_int_equal(get(f, a.letters[0].id).count, 1);
}

static void an_event_is_dead_once_for_each_consumer(void **state)
{
    struct fixture *f = *state;
    struct db_dead_letter_new letter = letter_of(EVENT_A, SLICE_LIT("{}"));
    assert_true(add(f, &letter).is_fresh);
    assert_false(add(f, &letter).is_fresh);
    letter.consumer = SLICE_LIT("recurring");
    assert_true(add(f, &letter).is_fresh);
    assert_int_equal(list(f, true).count, 2);
}

static void letters_without_an_id_are_all_kept(void **state)
{
    struct fixture *f = *state;
    const struct db_dead_letter_new letter = letter_of(NULL, SLICE_LIT("{"));
    assert_true(add(f, &letter).is_fresh);
    assert_true(add(f, &letter).is_fresh);
}

static void a_long_reason_is_cut(void **state)
{
    struct fixture *f = *state;
    char reason[3000];
    struct db_dead_letter_new letter = letter_of(EVENT_A, SLICE_LIT("{}"));
    memset(reason, 'r', sizeof(reason));
    letter.reason = (struct slice){reason, sizeof(reason)};
    assert_true(add(f, &letter).is_fresh);
    assert_int_equal(list(f, false).letters[0].reason.len, DB_DEAD_LETTER_REASON_MAX);
}

static void a_replay_takes_the_outbox_row_that_is_still_there(void **state)
{
    struct fixture *f = *state;
    postgres_run(f->pg,
                 "insert into todo.outbox (id, key, topic, type, data, published_at, attempts)"
                 " values ('" EVENT_A "', '7', 'task-reminders', 'ReminderSentEvent', '{\"n\":1}',"
                 " now(), 3)");
    const struct db_dead_letter_new letter = letter_of(EVENT_A, SLICE_LIT("{}"));
    add(f, &letter);
    struct slice id = list(f, false).letters[0].id;
    assert_int_equal(replay(f, id, &made_event).replay, DB_REPLAY_DONE);
    assert_int_equal(postgres_int(f->pg, "select count(*) from todo.outbox where published_at is"
                                         " null and attempts = 0 and data ->> 'n' = '1'"),
                     1);
    assert_int_equal(list(f, false).count, 0);
    assert_int_equal(list(f, true).count, 1);
    assert_int_equal(replay(f, id, &made_event).replay, DB_REPLAY_DONE_BEFORE);
    assert_true(add(f, &letter).is_fresh); /* it may die again */
}

/* The mark that is still to come would undo it. */
static void an_event_that_is_not_marked_yet_is_not_replayed(void **state)
{
    struct fixture *f = *state;
    postgres_run(f->pg, "insert into todo.outbox (id, key, topic, type, data) values ('" EVENT_A
                        "', '7', 'task-reminders', 'ReminderSentEvent', '{}')");
    const struct db_dead_letter_new letter = letter_of(EVENT_A, SLICE_LIT("{}"));
    add(f, &letter);
    struct slice id = list(f, false).letters[0].id;
    assert_int_equal(replay(f, id, &made_event).replay, DB_REPLAY_UNDER_WAY);
    assert_int_equal(list(f, false).count, 1);
    postgres_run(f->pg, "update todo.outbox set published_at = now()");
    assert_int_equal(replay(f, id, &made_event).replay, DB_REPLAY_DONE);
    assert_int_equal(
        postgres_int(f->pg, "select count(*) from todo.outbox where published_at is null"), 1);
}

static void a_replay_makes_the_outbox_row_again(void **state)
{
    struct fixture *f = *state;
    const struct db_dead_letter_new letter = letter_of(EVENT_A, SLICE_LIT("{}"));
    add(f, &letter);
    struct slice id = list(f, false).letters[0].id;
    assert_int_equal(replay(f, id, NULL).replay, DB_REPLAY_NO_EVENT);
    assert_int_equal(list(f, false).count, 1);
    assert_int_equal(replay(f, id, &made_event).replay, DB_REPLAY_DONE);
    assert_int_equal(postgres_int(f->pg, "select count(*) from todo.outbox where published_at is"
                                         " null and source = 'notification-service'"
                                         " and created_at = '2026-11-24T10:00:00Z'"),
                     1);
    assert_int_equal(replay(f, SLICE_LIT(EVENT_A), &made_event).replay, DB_REPLAY_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        letter_test(an_event_is_fresh_once_for_each_consumer),
        letter_test(of_two_claims_at_once_one_is_fresh),
        letter_test(an_id_that_is_no_uuid_is_refused),
        letter_test(a_dead_letter_keeps_any_bytes),
        letter_test(an_event_is_dead_once_for_each_consumer),
        letter_test(letters_without_an_id_are_all_kept),
        letter_test(a_long_reason_is_cut),
        letter_test(a_replay_takes_the_outbox_row_that_is_still_there),
        letter_test(an_event_that_is_not_marked_yet_is_not_replayed),
        letter_test(a_replay_makes_the_outbox_row_again),
    };
    return cmocka_run_group_tests(tests, postgres_setup, postgres_teardown);
}
