/* NOTIFY heard and sent over a connection of its own, through breaks. */
#include "fixture.h"

#include "base/secret.h"
#include "db/listen.h"

#define CHANNEL "test_channel"

struct ear {
    struct fixture *f;
    struct db_listen *listen; /* NULL once closed */
    int gaps, messages;
    char firsts[64]; /* of each message its first character */
    char last[DB_LISTEN_MESSAGE_MAX + 1];
};

static void on_message(void *ctx, struct slice message)
{
    struct ear *e = ctx;
    if (e->messages < (int)sizeof(e->firsts) - 1)
        e->firsts[e->messages] = message.len ? message.ptr[0] : ' ';
    e->messages++;
    snprintf(e->last, sizeof(e->last), "%.*s", (int)message.len, message.len ? message.ptr : "");
}

static void on_gap(void *ctx)
{
    struct ear *e = ctx;
    e->gaps++;
}

static void on_closed(void *ctx)
{
    struct ear *e = ctx;
    e->listen = NULL;
}

static void open_ear(struct ear *e, struct fixture *f)
{
    const struct db_listen_options options = {.conninfo = &f->pg->secret,
                                              .channel = CHANNEL,
                                              .reconnect_min_ms = 10,
                                              .on_message = on_message,
                                              .on_gap = on_gap,
                                              .ctx = e};
    *e = (struct ear){.f = f};
    assert_int_equal(db_listen_new(&f->loop, &options, NULL, &e->listen, NULL), 0);
}

/* Turns the loop until *count is `wanted`. */
static void wait_for(struct ear *e, const int *count, int wanted)
{
    while (*count < wanted)
        assert_true(uv_run(&e->f->loop, UV_RUN_ONCE));
    assert_int_equal(*count, wanted);
}

static void close_ear(struct ear *e, uint32_t drain_ms)
{
    db_listen_close(e->listen, drain_ms, on_closed, e);
    while (e->listen)
        uv_run(&e->f->loop, UV_RUN_ONCE);
}

static void break_connections(struct ear *e)
{
    postgres_run(e->f->pg, "select pg_terminate_backend(pid) from pg_stat_activity"
                           " where application_name = 'todo-mcp-listen'");
}

static void one_hears_the_other_and_not_itself(void **state)
{
    struct fixture *f = *state;
    struct ear a;
    struct ear b;
    open_ear(&a, f);
    open_ear(&b, f);
    wait_for(&a, &a.gaps, 1);
    wait_for(&b, &b.gaps, 1);
    assert_int_equal(db_listen_notify(a.listen, SLICE_LIT("from a, with a 'quote'")), 0);
    wait_for(&b, &b.messages, 1);
    assert_string_equal(b.last, "from a, with a 'quote'");
    assert_int_equal(db_listen_notify(b.listen, SLICE_EMPTY), 0);
    wait_for(&a, &a.messages, 1); /* the first that it hears: its own came before */
    assert_string_equal(a.last, "");
    close_ear(&a, 0);
    close_ear(&b, 0);
}

static void messages_come_in_order_and_of_any_length(void **state)
{
    struct fixture *f = *state;
    struct ear a;
    struct ear b;
    char text[DB_LISTEN_MESSAGE_MAX + 1];
    open_ear(&b, f);
    wait_for(&b, &b.gaps, 1);
    open_ear(&a, f);
    for (size_t i = 1; i <= 20; i++) { /* before it is connected */
        memset(text, (int)('a' + i), sizeof(text));
        size_t len = i == 20 ? DB_LISTEN_MESSAGE_MAX : i;
        assert_int_equal(db_listen_notify(a.listen, (struct slice){text, len}), 0);
    }
    wait_for(&b, &b.messages, 20);
    assert_string_equal(b.firsts, "bcdefghijklmnopqrstu");
    assert_int_equal(strlen(b.last), DB_LISTEN_MESSAGE_MAX);
    close_ear(&a, 0);
    close_ear(&b, 0);
}

static void after_a_break_it_says_so_and_hears_again(void **state)
{
    struct fixture *f = *state;
    struct ear a;
    open_ear(&a, f);
    for (int i = 1; i <= 3; i++) {
        wait_for(&a, &a.gaps, i);
        postgres_run(f->pg, "notify " CHANNEL ", 'number %d'", i);
        wait_for(&a, &a.messages, i);
        break_connections(&a);
    }
    wait_for(&a, &a.gaps, 4);
    close_ear(&a, 0);
}

static void what_waits_is_sent_after_a_break(void **state)
{
    struct fixture *f = *state;
    struct ear a;
    struct ear b;
    open_ear(&a, f);
    wait_for(&a, &a.gaps, 1);
    break_connections(&a);
    assert_int_equal(db_listen_notify(a.listen, SLICE_LIT("kept")), 0);
    open_ear(&b, f);
    postgres_restart(f->pg);
    wait_for(&b, &b.gaps, 1);
    while (b.messages == 0)
        assert_true(uv_run(&f->loop, UV_RUN_ONCE));
    assert_string_equal(b.last, "kept");
    close_ear(&a, 0);
    close_ear(&b, 0);
}

static void closing_sends_what_waits(void **state)
{
    struct fixture *f = *state;
    struct ear a;
    struct ear b;
    open_ear(&b, f);
    wait_for(&b, &b.gaps, 1);
    open_ear(&a, f);
    assert_int_equal(db_listen_notify(a.listen, SLICE_LIT("last words")), 0);
    close_ear(&a, 10000);
    wait_for(&b, &b.messages, 1);
    assert_string_equal(b.last, "last words");
    close_ear(&b, 0);
}

static void too_much_that_waits_is_refused(void **state)
{
    struct fixture *f = *state;
    struct ear a;
    char text[DB_LISTEN_MESSAGE_MAX];
    int kept = 0;
    memset(text, 'x', sizeof(text));
    open_ear(&a, f);
    while (db_listen_notify(a.listen, (struct slice){text, sizeof(text)}) == 0)
        kept++;
    assert_int_equal(kept, DB_LISTEN_QUEUE_BYTES / DB_LISTEN_MESSAGE_MAX);
    close_ear(&a, 0);
}

static void without_a_server_it_waits_and_closes(void **state)
{
    struct fixture *f = *state;
    struct ear a = {.f = f};
    const struct db_listen_options options = {.conninfo = SECRET_FIXED("host=/nowhere"),
                                              .channel = CHANNEL,
                                              .on_message = on_message,
                                              .on_gap = on_gap,
                                              .ctx = &a};
    assert_int_equal(db_listen_new(&f->loop, &options, NULL, &a.listen, NULL), 0);
    assert_int_equal(db_listen_notify(a.listen, SLICE_LIT("lost")), 0);
    close_ear(&a, 250);
    assert_int_equal(a.gaps, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        db_test(one_hears_the_other_and_not_itself),
        db_test(messages_come_in_order_and_of_any_length),
        db_test(after_a_break_it_says_so_and_hears_again),
        db_test(what_waits_is_sent_after_a_break),
        db_test(closing_sends_what_waits),
        db_test(too_much_that_waits_is_refused),
        db_test(without_a_server_it_waits_and_closes),
    };
    return cmocka_run_group_tests(tests, postgres_setup, postgres_teardown);
}
