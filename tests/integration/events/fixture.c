#include "fixture.h"

#include "db/inbox.h"

static const struct db_stmt effect_stmt = {
    .name = "test_effect",
    .sql = "with " INBOX_CLAIM(
        "$1::text", "$2::uuid") ", effect as (insert into public.effects"
                                " select $2 from claim) select exists (select from claim)",
    .param_count = 2,
    .is_write = true,
};

static void on_effect(void *ctx, int status, const struct db_result *res, const struct error *err)
{
    struct consumer_turn *turn = ctx;
    if (status)
        consumer_turn_end(turn, consumer_verdict_of(status), err);
    else
        consumer_turn_end(turn, db_result_bool(res, 0, 0) ? CONSUMER_DONE : CONSUMER_REPEATED,
                          NULL);
}

static void have_effect(struct fixture *f, const struct consumer_event *event,
                        struct consumer_turn *turn)
{
    const db_param params[2] = {SLICE_LIT(CONSUMERS), event->id};
    struct error err = {0};
    int status = db_pool_submit(f->pool, &effect_stmt, params, on_effect, turn, NULL, &err);
    if (status)
        consumer_turn_end(turn, consumer_verdict_of(status), &err);
}

static void on_event(void *ctx, const struct consumer_event *event, struct consumer_turn *turn)
{
    struct fixture *f = ctx;
    struct error err;
    assert_false(f->is_inside);
    assert_true(f->runs < RUNS_MAX);
    int verdict = f->verdicts[f->runs];
    f->run_ms[f->runs++] = uv_now(&f->loop);
    f->seen = *event;
    f->seen_task = event->task_id;
    if (verdict == KEEP)
        f->kept = turn;
    else if (verdict == EFFECT)
        have_effect(f, event, turn);
    else if (verdict == CONSUMER_DONE)
        consumer_turn_end(turn, CONSUMER_DONE, NULL);
    else {
        error_set(&err, BASE_EINVAL, NULL, "run %d said no", f->runs);
        consumer_turn_end(turn, (enum consumer_verdict)verdict, &err);
    }
}

static void on_answer(void *ctx, enum consumer_answer answer)
{
    struct fixture *f = ctx;
    assert_false(f->is_inside);
    f->answers++;
    f->acks += answer == CONSUMER_ACK;
}

/* ---- life ---- */

void fixture_open_consumer(struct fixture *f, uint32_t in_flight_max)
{
    struct error err;
    f->route = (struct consumer_route){EVENT_TASK_DELETED, "/events", on_event, f};
    const struct consumer_options options = {.name = CONSUMERS,
                                             .routes = &f->route,
                                             .route_count = 1,
                                             .in_flight_max = in_flight_max,
                                             .metrics = f->metrics};
    if (consumer_new(&f->loop, &options, f->pool, NULL, &f->consumer, &err))
        fail_msg("no consumer: %s", err.text);
}

int fixture_setup(void **state)
{
    struct postgres *pg = *state;
    struct fixture *f = test_calloc(1, sizeof(*f));
    struct db_pool_options options = db_pool_options_default;
    f->pg = pg;
    options.size = 2;
    options.conninfo = &pg->secret;
    assert_int_equal(uv_loop_init(&f->loop), 0);
    assert_int_equal(db_pool_new(&f->loop, &options, NULL, &f->pool, NULL), 0);
    assert_int_equal(metrics_new(&f->metrics), 0);
    fixture_open_consumer(f, 0);
    postgres_run(pg, "create table if not exists public.effects (id uuid)");
    postgres_run(pg, "truncate todo.inbox, todo.dead_letters, public.effects");
    *state = f;
    return 0;
}

static void on_consumer_closed(void *ctx)
{
    ((struct fixture *)ctx)->consumer = NULL;
}

static void on_pool_closed(void *ctx)
{
    ((struct fixture *)ctx)->pool = NULL;
}

void fixture_begin_close(struct fixture *f)
{
    consumer_close(f->consumer, on_consumer_closed, f);
}

void fixture_close_pool(struct fixture *f)
{
    db_pool_close(f->pool, 1000, on_pool_closed, f);
    fixture_wait(f, !f->pool);
}

int fixture_teardown(void **state)
{
    struct fixture *f = *state;
    struct postgres *pg = f->pg;
    if (f->consumer)
        fixture_begin_close(f);
    fixture_wait(f, !f->consumer);
    if (f->pool)
        fixture_close_pool(f);
    assert_false(uv_run(&f->loop, UV_RUN_NOWAIT));
    assert_int_equal(uv_loop_close(&f->loop), 0);
    metrics_free(f->metrics);
    test_free(f);
    *state = pg;
    return 0;
}

void fixture_wait_answers(struct fixture *f, int count)
{
    fixture_wait(f, f->answers >= count);
    assert_int_equal(f->answers, count);
}

/* ---- deliveries ---- */

static const char event[] =
    "{\"specversion\":\"1.0\",\"id\":\"" EVENT_ID "\",\"source\":\"/todo/mcp-server\","
    "\"type\":\"TaskDeletedEvent\",\"subject\":\"task/7\",\"time\":\"2026-01-02T03:04:05Z\","
    "\"datacontenttype\":\"application/json\",\"partitionkey\":\"7\",\"data\":{"
    "\"event_id\":\"" EVENT_ID "\",\"event_type\":\"task.deleted\","
    "\"timestamp\":\"2026-01-02T03:04:05Z\",\"user_id\":1,\"schema_version\":\"1.0\","
    "\"task_id\":7}}";

const char *event_text(struct fixture *f, const char *from, const char *to)
{
    const char *at = from ? strstr(event, from) : NULL;
    if (!from)
        return event;
    assert_non_null(at);
    snprintf(f->text, sizeof(f->text), "%.*s%s%s", (int)(at - event), event, to, at + strlen(from));
    return f->text;
}

int deliver_as(struct fixture *f, struct slice content_type, struct slice body,
               const struct cloudevent_attribute *attributes, size_t count)
{
    const struct consumer_delivery delivery = {.topic = "task-events",
                                               .content_type = content_type,
                                               .body = body,
                                               .attributes = attributes,
                                               .attribute_count = count};
    f->is_inside = true;
    int status = consumer_deliver(f->consumer, &delivery, on_answer, f);
    f->is_inside = false;
    return status;
}

int deliver(struct fixture *f, const char *text)
{
    return deliver_as(f, SLICE_LIT(CLOUDEVENT_MIME), slice_from_cstr(text), NULL, 0);
}

int64_t dead_letters(struct fixture *f)
{
    return postgres_int(f->pg, "select count(*) from todo.dead_letters");
}
