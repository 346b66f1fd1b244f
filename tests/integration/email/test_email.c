/* The handler by a real consumer, a real PostgreSQL and a mailbox: each allocation of a whole
 * delivery fails once, and what was given back is handled when it comes again. */
#include "fixture.h"

#include <glob.h>

#include "base/mem.h"
#include "email/email.h"
#include "email/mail.h"
#include "email/maildir.h"
#include "events/consumer.h"
#include "shared/state_store.h"
#include "support/mem_loop.h"

struct stage {
    struct fixture *f;
    struct state_store *state;
    struct maildir maildir;
    struct mail_sender sender;
    struct email *email;
    struct consumer_route route;
    struct consumer *consumer;
    uv_timer_t tick; /* so that uv_run(ONCE) returns after what came from a timer */
    int answers, acks;
    char id[64];
    char dir[64];
};

/* ---- life ---- */

static void on_tick(uv_timer_t *timer)
{
    (void)timer;
}

static int setup(void **state)
{
    assert_int_equal(fixture_setup(state), 0);
    struct stage *s = test_calloc(1, sizeof(*s));
    s->f = *state;
    *state = s;
    uv_timer_init(&s->f->loop, &s->tick);
    uv_timer_start(&s->tick, on_tick, 5, 5);
    assert_true(make_directory(s->dir, sizeof(s->dir), "todo-mail-XXXXXX"));
    assert_int_equal(maildir_open(&s->maildir, &s->f->loop, s->dir, NULL), 0);
    assert_int_equal(mail_sender_parse("todo@example.com", &s->sender, NULL), 0);
    assert_int_equal(state_store_db_new(&s->f->loop, s->f->pool, &s->state), 0);
    return 0;
}

static void on_state_closed(void *ctx)
{
    ((struct stage *)ctx)->state = NULL;
}

static int teardown(void **state)
{
    struct stage *s = *state;
    state_close(s->state, on_state_closed, s);
    uv_close((uv_handle_t *)&s->tick, NULL);
    while (s->state)
        uv_run(&s->f->loop, UV_RUN_ONCE);
    uv_run(&s->f->loop, UV_RUN_NOWAIT);
    remove_tree(s->dir);
    *state = s->f;
    test_free(s);
    return fixture_teardown(state);
}

/* ---- the worker ---- */

static void on_email_closed(void *ctx)
{
    ((struct stage *)ctx)->email = NULL;
}

static void on_consumer_closed(void *ctx)
{
    ((struct stage *)ctx)->consumer = NULL;
}

static int open_worker(struct stage *s)
{
    const struct email_options options = {.consumer = "test-email",
                                          .maildir = &s->maildir,
                                          .state = s->state,
                                          .sender = &s->sender,
                                          .retry_min_ms = 1};
    struct error err;
    int status = email_new(&s->f->loop, s->f->pool, NULL, &options, &s->email, &err);
    if (status)
        return status;
    s->route = (struct consumer_route){EVENT_REMINDER_SENT, "/events/reminder-sent", email_handle,
                                       s->email};
    const struct consumer_options c = {.name = "test-email", .routes = &s->route, .route_count = 1};
    return consumer_new(&s->f->loop, &c, s->f->pool, NULL, &s->consumer, &err);
}

static void close_worker(struct stage *s)
{
    if (s->consumer)
        consumer_close(s->consumer, on_consumer_closed, s);
    while (s->consumer)
        uv_run(&s->f->loop, UV_RUN_ONCE);
    if (s->email)
        email_close(s->email, on_email_closed, s);
    while (s->email)
        uv_run(&s->f->loop, UV_RUN_ONCE);
}

static void on_answer(void *ctx, enum consumer_answer answer)
{
    struct stage *s = ctx;
    s->answers++;
    s->acks += answer == CONSUMER_ACK;
}

/* Whether it was taken for good. */
static bool deliver(struct stage *s)
{
    char body[1024];
    int acks = s->acks;
    int len = snprintf(
        body, sizeof(body),
        "{\"specversion\":\"1.0\",\"id\":\"%s\",\"source\":\"/todo/mcp-server\","
        "\"type\":\"ReminderSentEvent\",\"time\":\"2026-01-02T03:04:05Z\","
        "\"datacontenttype\":\"application/json\",\"partitionkey\":\"7\",\"data\":{"
        "\"event_id\":\"%s\",\"event_type\":\"reminder.sent\",\"timestamp\":\"2026-01-02T03:04:"
        "05Z\","
        "\"user_id\":%lld,\"schema_version\":\"1.0\",\"task_id\":7,\"title\":\"t\","
        "\"reminder_time\":\"2026-01-02T03:04:05Z\",\"due_date\":null,\"priority\":\"low\"}}",
        s->id, s->id, (long long)s->f->user);
    const struct consumer_delivery delivery = {.topic = "task-reminders",
                                               .content_type =
                                                   SLICE_LIT("application/cloudevents+json"),
                                               .body = {body, (size_t)len}};
    int before = s->answers;
    if (consumer_deliver(s->consumer, &delivery, on_answer, s))
        return false;
    while (s->answers == before)
        uv_run(&s->f->loop, UV_RUN_ONCE);
    assert_int_equal(s->answers, before + 1);
    return s->acks > acks;
}

static void new_event(struct stage *s)
{
    snprintf(s->id, sizeof(s->id), "%s", postgres_text(s->f->pg, "select gen_random_uuid()"));
}

static size_t mails(const struct stage *s)
{
    char pattern[96];
    glob_t found;
    snprintf(pattern, sizeof(pattern), "%s/new/*", s->dir);
    size_t count = glob(pattern, 0, NULL, &found) == 0 ? found.gl_pathc : 0;
    globfree(&found);
    return count;
}

static int64_t handled(struct stage *s)
{
    return postgres_int(s->f->pg, "select count(*) from todo.inbox where event_id = '%s'", s->id);
}

/* ---- tests ---- */

static void an_event_is_one_mail(void **state)
{
    struct stage *s = *state;
    assert_int_equal(open_worker(s), 0);
    new_event(s);
    assert_true(deliver(s));
    assert_true(deliver(s));
    assert_int_equal(mails(s), 1);
    assert_int_equal(handled(s), 1);
    close_worker(s);
}

static void running_out_of_memory_loses_and_repeats_nothing(void **state)
{
    struct stage *s = *state;
    struct mem_loop loop = {0};
    size_t rounds = 0;
    while (mem_loop_next(&loop)) {
        new_event(s);
        bool is_open = open_worker(s) == 0;
        bool is_taken = is_open && deliver(s);
        assert_true(mem_loop_has_failed(&loop) || is_taken);
        for (int i = 0; i < 100 && is_open && !is_taken; i++)
            is_taken = deliver(s);
        assert_true(is_taken || !is_open);
        close_worker(s);
        if (!is_open)
            continue;
        rounds++;
        assert_int_equal(mails(s), rounds);
        assert_int_equal(handled(s), 1);
    }
    assert_true(rounds > 20);
    assert_int_equal(postgres_int(s->f->pg, "select count(*) from todo.dead_letters"), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(an_event_is_one_mail),
        TEST(running_out_of_memory_loses_and_repeats_nothing),
    };
    mem_loop_hook_cjson();
    return cmocka_run_group_tests(tests, postgres_setup, postgres_teardown);
}
