/* A command: flags -> database -> its statements, batch after batch -> what to print -> the end. */
#include "outbox.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "command.h"
#include "db/outbox.h"

#define COUNT_MAX   1000000 /* what is more is not counted */
#define BATCH       1000
#define TEXT_MAX    ((size_t)64 << 20)
#define HOUR_US     INT64_C(3600000000)
#define GREATEST_ID "ffffffff-ffff-ffff-ffff-ffffffffffff"
#define LEAST_ID    "00000000-0000-0000-0000-000000000000"

static const char usage[] =
    "usage: todo-mcp outbox status [--json]\n"
    "       todo-mcp outbox parked [--limit N] [--json]\n"
    "       todo-mcp outbox replay --since TIME | --parked | ID [--json]\n"
    "       todo-mcp outbox purge [--older-than HOURS] [--json]\n\n"
    "The events that the relay takes from the database to the broker. status says how many wait\n"
    "and how many are parked, since the broker refused them time and again; parked lists those.\n"
    "replay publishes again what was published since TIME, for a broker that lost it, or parked\n"
    "events: all, or the one with this ID. Consumers drop what they had already. purge deletes\n"
    "published events, which the relay does by itself after OUTBOX_RETENTION_HOURS.\n\n";

enum flag { FLAG_JSON, FLAG_SINCE, FLAG_PARKED, FLAG_OLDER_THAN, FLAG_LIMIT, FLAGS };

/* clang-format off: one flag a row */
static const struct config_setting flags[FLAGS] = {
    [FLAG_JSON] = {"JSON", CONFIG_BOOL, "false", NULL, 0, 0, "", "print one JSON object"},
    [FLAG_SINCE] = {"SINCE", CONFIG_STRING, NULL, NULL, 0, 0, "",
                    "RFC 3339, such as 2026-11-24T10:00:00Z"},
    [FLAG_PARKED] = {"PARKED", CONFIG_BOOL, "false", NULL, 0, 0, "", "all parked events"},
    [FLAG_OLDER_THAN] = {"OLDER_THAN", CONFIG_INT, "48", NULL, 0, 87600, "h",
                         "published longer ago; default: 48"},
    [FLAG_LIMIT] = {"LIMIT", CONFIG_INT, "100", NULL, 1, 100000, "",
                    "at most so many; "
                    "default: 100"},
};
/* clang-format on */
static const char *const shown[FLAGS] = {"--json", "--since TIME", "--parked", "--older-than HOURS",
                                         "--limit N"};

struct outbox_command {
    struct command base;
    struct config_value flags[FLAGS];
    const char *id; /* replay: of one parked event; NULL: none */
    struct buf out;
    struct json_writer json;
    bool is_json;
    int64_t count;
    int64_t last_seq;
    int rows;
    char after[DB_OUTBOX_ID_SIZE];
};

/* ---- status --------------------------------------------------------------------------------- */

static void print_status(struct outbox_command *c, const struct db_outbox_status *s)
{
    struct buf *out = &c->out;
    buf_printf(out, "%-18s%14s%10s  %s\n", "topic", "unpublished", "parked", "oldest");
    for (int i = 0; i < s->count; i++) {
        const struct db_outbox_topic *t = &s->topics[i];
        buf_printf(out, "%-18.*s%14" PRId64 "%10" PRId64 "  ", (int)t->topic.len, t->topic.ptr,
                   t->unpublished, t->parked);
        command_append_time(out, t->oldest_at);
        buf_append_char(out, '\n');
    }
    buf_printf(out, "a relay leads: %s; last broker: %.*s; the table has %" PRId64 " bytes",
               s->has_leader ? "yes" : "no", s->broker.len ? (int)s->broker.len : 4,
               s->broker.len ? s->broker.ptr : "none", s->outbox_bytes);
    if (s->rows_estimate >= 0)
        buf_printf(out, ", about %" PRId64 " rows", s->rows_estimate);
    buf_append_char(out, '\n');
}

static void write_status(struct json_writer *w, const struct db_outbox_status *s)
{
    json_begin_object(w);
    json_key(w, "topics");
    json_begin_array(w);
    for (int i = 0; i < s->count; i++) {
        json_begin_object(w);
        json_key(w, "topic");
        json_slice(w, s->topics[i].topic);
        json_key_int(w, "unpublished", s->topics[i].unpublished);
        json_key_int(w, "parked", s->topics[i].parked);
        command_key_time(w, "oldest", s->topics[i].oldest_at);
        json_end_object(w);
    }
    json_end_array(w);
    json_key_bool(w, "has_leader", s->has_leader);
    json_key(w, "broker");
    if (s->broker.len > 0)
        json_slice(w, s->broker);
    else
        json_null(w);
    json_key_int(w, "bytes", s->outbox_bytes);
    json_key_int(w, "rows_estimate", s->rows_estimate);
    json_end_object(w);
}

static void on_status(void *ctx, int status, const struct db_outbox_status *s,
                      const struct error *err)
{
    struct outbox_command *c = ctx;
    if (!status && c->is_json)
        write_status(&c->json, s);
    else if (!status)
        print_status(c, s);
    command_done(&c->base, status, err);
}

static int run_status(struct outbox_command *c)
{
    return command_wait(&c->base,
                        db_outbox_status(c->base.pool, COUNT_MAX, on_status, c, &c->base.err));
}

/* ---- parked --------------------------------------------------------------------------------- */

static void print_parked(struct outbox_command *c, const struct db_outbox_parked *p)
{
    struct buf *out = &c->out;
    buf_append_slice(out, p->id);
    buf_append_char(out, '\t');
    command_append_time(out, p->created_at);
    buf_printf(out, "\t%.*s\t%.*s\t%.*s\t%" PRId64 "\t%.*s\n", (int)p->topic.len, p->topic.ptr,
               (int)p->type.len, p->type.ptr, (int)p->key.len, p->key.ptr, p->attempts,
               (int)p->reason.len, p->reason.len ? p->reason.ptr : "");
}

static void key_slice(struct json_writer *w, const char *key, struct slice text)
{
    json_key(w, key);
    json_slice(w, text);
}

static void write_parked(struct json_writer *w, const struct db_outbox_parked *p)
{
    json_begin_object(w);
    key_slice(w, "id", p->id);
    key_slice(w, "topic", p->topic);
    key_slice(w, "type", p->type);
    key_slice(w, "key", p->key);
    key_slice(w, "reason", p->reason);
    json_key_int(w, "attempts", p->attempts);
    command_key_time(w, "created_at", p->created_at);
    json_end_object(w);
}

static void on_parked(void *ctx, int status, const struct db_outbox_parked *rows, int count,
                      const struct error *err)
{
    struct outbox_command *c = ctx;
    c->rows = count;
    for (int i = 0; i < count; i++) {
        if (c->is_json)
            write_parked(&c->json, &rows[i]);
        else
            print_parked(c, &rows[i]);
        c->last_seq = rows[i].seq;
    }
    command_done(&c->base, status, err);
}

static int run_parked(struct outbox_command *c)
{
    int64_t left = c->flags[FLAG_LIMIT].num;
    int status = 0;
    if (c->is_json) {
        json_begin_object(&c->json);
        json_key(&c->json, "parked");
        json_begin_array(&c->json);
    } else {
        buf_append_cstr(&c->out, "id\tcreated\ttopic\ttype\tkey\tattempts\treason\n");
    }
    do {
        int limit = left < BATCH ? (int)left : BATCH;
        status = command_wait(&c->base, db_outbox_list_parked(c->base.pool, c->last_seq, limit,
                                                              on_parked, c, &c->base.err));
        left -= c->rows;
    } while (!status && left > 0 && c->rows == BATCH);
    if (c->is_json) {
        json_end_array(&c->json);
        json_end_object(&c->json);
    }
    return status;
}

/* ---- replay, purge -------------------------------------------------------------------------- */

static void print_count(struct outbox_command *c, const char *key, const char *words)
{
    if (c->is_json) {
        json_begin_object(&c->json);
        json_key_int(&c->json, key, c->count);
        json_end_object(&c->json);
    } else {
        buf_printf(&c->out, "%" PRId64 " %s\n", c->count, words);
    }
}

static void on_batch(void *ctx, int status, int64_t count, struct slice last,
                     const struct error *err)
{
    struct outbox_command *c = ctx;
    c->count += count;
    snprintf(c->after, sizeof(c->after), "%.*s", (int)last.len, last.len ? last.ptr : "");
    command_done(&c->base, status, err);
}

/* Batches, until one is empty. */
static int run_range(struct outbox_command *c, struct db_outbox_range *range,
                     int (*step)(struct db_pool *, const struct db_outbox_range *,
                                 db_outbox_batch_fn, void *, struct error *))
{
    char after[DB_OUTBOX_ID_SIZE];
    int status = 0;
    do {
        memcpy(after, c->after, sizeof(after));
        range->after = slice_from_cstr(after);
        range->limit = BATCH;
        status = command_wait(&c->base, step(c->base.pool, range, on_batch, c, &c->base.err));
    } while (!status && c->after[0]);
    return status;
}

static void on_unparked(void *ctx, int status, bool is_held, int64_t count, const struct error *err)
{
    struct outbox_command *c = ctx;
    (void)is_held;
    c->count += count;
    command_done(&c->base, status, err);
}

static int run_replay(struct outbox_command *c)
{
    const char *since = c->flags[FLAG_SINCE].text;
    int64_t since_us = 0;
    int status = since ? clock_parse_rfc3339(slice_from_cstr(since), &since_us, &c->base.err) : 0;
    if (status)
        return status;
    if (since) {
        struct db_outbox_range range = {.until = SLICE_LIT(GREATEST_ID)};
        db_outbox_bound(since_us, c->after);
        status = run_range(c, &range, db_outbox_replay);
    } else {
        status = command_wait(&c->base, db_outbox_unpark(c->base.pool, slice_from_cstr(c->id),
                                                         on_unparked, c, &c->base.err));
    }
    if (!status && c->id && c->count == 0)
        status =
            error_set(&c->base.err, BASE_EINVAL, "ID", "there is no parked event %.40s", c->id);
    if (status)
        return status;
    command_ring(&c->base);
    print_count(c, "replayed", "events are published again");
    return 0;
}

static int run_purge(struct outbox_command *c)
{
    char until[DB_OUTBOX_ID_SIZE];
    int64_t before = clock_now_us() - c->flags[FLAG_OLDER_THAN].num * HOUR_US;
    struct db_outbox_range range = {.before_us = before};
    db_outbox_bound(before, until);
    range.until = slice_from_cstr(until);
    memcpy(c->after, LEAST_ID, sizeof(LEAST_ID));
    int status = run_range(c, &range, db_outbox_purge);
    if (!status)
        print_count(c, "purged", "published events were deleted");
    return status;
}

/* ---- the command ---------------------------------------------------------------------------- */

static int check_replay(struct outbox_command *c)
{
    int ways = (c->flags[FLAG_SINCE].text != NULL) + c->flags[FLAG_PARKED].flag + (c->id != NULL);
    if (ways != 1)
        return error_set(&c->base.err, BASE_EINVAL, "SINCE",
                         "outbox replay needs one of --since TIME, --parked and an ID");
    return 0;
}

typedef int (*run_fn)(struct outbox_command *c);

static run_fn find(const char *word)
{
    static const struct {
        const char *word;
        run_fn run;
    } table[] = {{"status", run_status},
                 {"parked", run_parked},
                 {"replay", run_replay},
                 {"purge", run_purge}};
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        if (strcmp(table[i].word, word) == 0)
            return table[i].run;
    }
    return NULL;
}

static int read_command(struct outbox_command *c, int argc, char **argv, run_fn *run)
{
    int rest = argc;
    int used = 1;
    *run = find(argv[1]);
    if (!*run)
        return error_set(&c->base.err, BASE_EINVAL, "",
                         "the commands are outbox status, parked, replay and purge");
    if (argc > 2 && argv[2][0] != '-' && *run == run_replay) {
        c->id = argv[2];
        used = 2;
    }
    int status = command_load(&c->base, flags, FLAGS, argc - used, argv + used, c->flags, &rest);
    if (!status && rest < argc - used)
        status = error_set(&c->base.err, BASE_EINVAL, "", "what is \"%.60s\"?", argv[used + rest]);
    c->is_json = !status && c->flags[FLAG_JSON].flag;
    return !status && *run == run_replay ? check_replay(c) : status;
}

static int print_help(void)
{
    struct buf text;
    buf_init(&text, TEXT_MAX);
    command_help(flags, shown, FLAGS, usage, &text);
    return command_print(&text);
}

static int fail(const struct outbox_command *c, int code)
{
    fprintf(stderr, "todo-mcp: %s\n%s", c->base.err.text,
            code == COMMAND_USAGE ? "Try todo-mcp outbox --help.\n" : "");
    return code;
}

int outbox_main(int argc, char **argv)
{
    struct outbox_command c = {0};
    run_fn run;
    if (command_wants_help(argc, argv))
        return print_help();
    if (read_command(&c, argc, argv, &run))
        return fail(&c, COMMAND_USAGE);
    buf_init(&c.out, TEXT_MAX);
    json_writer_init(&c.json, &c.out);
    int status = command_open(&c.base);
    if (!status)
        status = run(&c);
    command_close(&c.base);
    if (status) {
        buf_deinit(&c.out);
        return fail(&c, status == BASE_EINVAL ? COMMAND_USAGE : EXIT_FAILURE);
    }
    if (c.is_json)
        buf_append_char(&c.out, '\n');
    return command_print(&c.out);
}
