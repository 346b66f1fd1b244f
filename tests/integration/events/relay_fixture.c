#include "relay_fixture.h"

#include <unistd.h>

#include "base/error.h"
#include "base/json.h"

struct way_publish {
    struct way_publish *next;
    const char *topic;
    const struct transport_entry *entries;
    size_t count;
    transport_done_fn done;
    void *ctx;
    uint64_t due_ms;
};

static int64_t key_of(const struct transport_entry *entry)
{
    char text[24];
    snprintf(text, sizeof(text), "%.*s", (int)entry->key.len, entry->key.ptr ? entry->key.ptr : "");
    return strtoll(text, NULL, 10);
}

/* Keys of different topics have nothing to do with each other. */
static bool *flag_of(struct way *way, const char *topic, const struct transport_entry *entry)
{
    return &way->keys_in_flight[strlen(topic) % 8][key_of(entry) % 4096];
}

static int64_t number_of(struct slice event)
{
    struct error err;
    cJSON *root = json_parse(event, &err);
    int64_t n = -1;
    if (!root) /* the one allocation that fails may have been meant for the relay */
        root = json_parse(event, &err);
    if (root)
        json_as_int(json_get(json_get(root, "data"), "n"), &n);
    cJSON_Delete(root);
    return n;
}

static void keep(struct way *way, const char *topic, const struct transport_entry *entry)
{
    assert_true(way->got_count < GOT_MAX);
    struct got *g = &way->got[way->got_count++];
    g->key = key_of(entry);
    g->number = number_of(entry->event);
    snprintf(g->topic, sizeof(g->topic), "%s", topic);
    snprintf(way->last_event, sizeof(way->last_event), "%.*s", (int)entry->event.len,
             entry->event.ptr);
}

static void answer(struct way *way, struct way_publish *p)
{
    struct transport_result *results = test_calloc(p->count, sizeof(*results));
    for (size_t i = 0; i < p->count; i++) {
        const struct transport_entry *entry = &p->entries[i];
        results[i].outcome = way->judge ? way->judge(way, p->topic, entry) : TRANSPORT_ACKED;
        snprintf(results[i].reason, sizeof(results[i].reason), "as the test wants");
        *flag_of(way, p->topic, entry) = false;
        if (results[i].outcome == TRANSPORT_ACKED)
            keep(way, p->topic, entry);
    }
    way->in_flight--;
    p->done(p->ctx, results, p->count);
    test_free(results);
    test_free(p);
}

static void on_way_timer(uv_timer_t *timer)
{
    struct way *way = timer->data;
    uint64_t now = uv_now(way->loop);
    if (way->identity_fn) {
        transport_identity_fn fn = way->identity_fn;
        way->identity_fn = NULL;
        way->identities++;
        fn(way->identity_ctx, slice_from_cstr(way->identity));
    }
    while (way->head && way->head->due_ms <= now) {
        struct way_publish *p = way->head;
        way->head = p->next;
        if (!way->head)
            way->tail = NULL;
        answer(way, p);
    }
    if (way->head || way->identity_fn)
        uv_timer_start(&way->timer, on_way_timer, way->delay_ms, 0);
}

static int way_publish(struct transport *t, const char *topic,
                       const struct transport_entry *entries, size_t count, transport_done_fn done,
                       void *ctx)
{
    struct way *way = (struct way *)t;
    assert_true(count >= 1 && count <= t->entries_max);
    if (way->in_flight >= t->publish_max)
        return BASE_ELIMIT;
    for (size_t i = 0; i < count && strcmp(topic, "task-events-dlq") != 0; i++) {
        bool *is_flying = flag_of(way, topic, &entries[i]);
        assert_false(*is_flying);
        *is_flying = true;
    }
    struct way_publish *p = test_calloc(1, sizeof(*p));
    *p = (struct way_publish){.topic = topic,
                              .entries = entries,
                              .count = count,
                              .done = done,
                              .ctx = ctx,
                              .due_ms = uv_now(way->loop) + way->delay_ms};
    *(way->tail ? &way->tail->next : &way->head) = p;
    way->tail = p;
    way->publishes++;
    way->entries += count;
    if (++way->in_flight > way->in_flight_max)
        way->in_flight_max = way->in_flight;
    if (!uv_is_active((uv_handle_t *)&way->timer))
        uv_timer_start(&way->timer, on_way_timer, way->delay_ms, 0);
    return 0;
}

static int way_identify(struct transport *t, transport_identity_fn fn, void *ctx)
{
    struct way *way = (struct way *)t;
    assert_null(way->identity_fn);
    way->identity_fn = fn;
    way->identity_ctx = ctx;
    if (!uv_is_active((uv_handle_t *)&way->timer))
        uv_timer_start(&way->timer, on_way_timer, way->delay_ms, 0);
    return 0;
}

static void way_open(struct way *way, uv_loop_t *loop)
{
    *way = (struct way){.loop = loop, .delay_ms = 1, .random = 88172645463325252u};
    way->transport = (struct transport){.name = "test",
                                        .entries_max = 50,
                                        .publish_max = 8,
                                        .publish = way_publish,
                                        .identify = way_identify};
    snprintf(way->identity, sizeof(way->identity), "one");
    way->got = test_calloc(GOT_MAX, sizeof(*way->got));
    uv_timer_init(loop, &way->timer);
    way->timer.data = way;
}

/* ---- life ----------------------------------------------------------------------------------- */

int relay_setup(void **state)
{
    struct postgres *pg = *state;
    struct relay_fixture *f = test_calloc(1, sizeof(*f));
    f->pg = pg;
    assert_int_equal(uv_loop_init(&f->loop), 0);
    log_init(&f->log, STDERR_FILENO, LOG_OFF, LOG_FORMAT_TEXT);
    way_open(&f->way, &f->loop);
    postgres_run(pg, "truncate todo.outbox, todo.dead_letters, todo.inbox, todo.relay");
    *state = f;
    return 0;
}

void relay_open(struct relay_fixture *f, const struct relay_options *options)
{
    struct error err;
    struct relay_options o = options ? *options : relay_options_default;
    o.conninfo = &f->pg->secret;
    if (relay_new(&f->loop, &o, &f->way.transport, &f->log, &f->relay, &err))
        fail_msg("no relay: %s", err.text);
}

static void on_relay_closed(void *ctx)
{
    struct relay_fixture *f = ctx;
    f->relay = NULL;
}

void relay_end(struct relay_fixture *f)
{
    relay_close(f->relay, 5000, on_relay_closed, f);
    relay_until(f, !f->relay);
}

int relay_teardown(void **state)
{
    struct relay_fixture *f = *state;
    struct postgres *pg = f->pg;
    if (f->relay)
        relay_end(f);
    while (f->way.in_flight || f->way.identity_fn)
        uv_run(&f->loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&f->way.timer, NULL);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    test_free(f->way.got);
    test_free(f);
    *state = pg;
    return 0;
}

/* ---- rows ----------------------------------------------------------------------------------- */

void relay_insert(struct relay_fixture *f, const char *topic, int count, int keys)
{
    const char *type = strcmp(topic, "task-reminders") == 0    ? "ReminderSentEvent"
                       : strcmp(topic, "task-recurrence") == 0 ? "TaskCompletedEvent"
                                                               : "TaskUpdatedEvent";
    postgres_run(f->pg,
                 "insert into todo.outbox (id, key, topic, type, data)"
                 " select todo.uuid_v7(), ((n - 1) %% %d + 1)::text, '%s', '%s',"
                 " jsonb_build_object('n', n) from generate_series(1, %d) n order by n",
                 keys, topic, type, count);
}

void relay_check_order(const struct relay_fixture *f, const char *topic)
{
    int64_t *last = test_calloc(4096, sizeof(*last));
    for (size_t i = 0; i < f->way.got_count; i++) {
        const struct got *g = &f->way.got[i];
        if (strcmp(g->topic, topic) != 0)
            continue;
        if (g->number <= last[g->key])
            fail_msg("key %lld: %lld came after %lld", (long long)g->key, (long long)g->number,
                     (long long)last[g->key]);
        last[g->key] = g->number;
    }
    test_free(last);
}

int64_t relay_unpublished(struct relay_fixture *f)
{
    return postgres_int(f->pg, "select count(*) from todo.outbox where published_at is null");
}
