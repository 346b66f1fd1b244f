/* list:   rows, page after page
 * replay: of each letter the row -> the event in its bytes -> back into the outbox */
#include "dlq.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/mem.h"
#include "command.h"
#include "db/dead_letter.h"
#include "events/cloudevent.h"
#include "events/event.h"

#define PAGE      20 /* letters have up to 1 MiB each */
#define TEXT_MAX  ((size_t)256 << 20)
#define DATA_MAX  ((size_t)16 << 20)
#define SOURCE    "/todo/"
#define SERVER    "mcp-server"
#define ID_LENGTH 36

static const char usage[] =
    "usage: todo-mcp dlq list [--all] [--limit N] [--json]\n"
    "       todo-mcp dlq replay ID… | --all [--json]\n\n"
    "Dead letters: deliveries that a consumer could not use, with its reason. list shows those\n"
    "that were not replayed, with --all the others too. replay publishes the event again, for all\n"
    "consumers: those that had it drop it. What is no event cannot be replayed.\n\n";

enum flag { FLAG_JSON, FLAG_ALL, FLAG_LIMIT, FLAGS };

/* clang-format off: one flag a row */
static const struct config_setting flags[FLAGS] = {
    [FLAG_JSON] = {"JSON", CONFIG_BOOL, "false", NULL, 0, 0, "", "print one JSON object"},
    [FLAG_ALL] = {"ALL", CONFIG_BOOL, "false", NULL, 0, 0, "",
                  "list: replayed ones too; replay: each that was not replayed"},
    [FLAG_LIMIT] = {"LIMIT", CONFIG_INT, "100", NULL, 1, 100000, "",
                    "list at most so many; default: 100"},
};
/* clang-format on */
static const char *const shown[FLAGS] = {"--json", "--all", "--limit N"};

struct dlq_command {
    struct command base;
    struct config_value flags[FLAGS];
    char **ids; /* replay */
    int id_count;
    struct buf out;
    struct json_writer json;
    bool is_json;
    int64_t after, replayed, failed;
    int64_t left;
    int rows;
    /* replay: a page of ids and events, copied */
    char id[PAGE][ID_LENGTH + 1];
    char *event[PAGE];
    size_t event_len[PAGE];
    char event_id[PAGE][ID_LENGTH + 1]; /* of the row; "" where it is none */
};

/* ---- list ----------------------------------------------------------------------------------- */

static void append_printable(struct buf *out, struct slice text)
{
    for (size_t i = 0; i < text.len; i++)
        buf_append_char(out, (unsigned char)text.ptr[i] < 0x20 ? ' ' : text.ptr[i]);
}

static void print_letter(struct buf *out, const struct db_dead_letter *d)
{
    const struct slice texts[] = {d->consumer, d->topic, d->event_id, d->reason};
    buf_append_slice(out, d->id);
    buf_append_char(out, '\t');
    command_append_time(out, d->created_at);
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        buf_append_char(out, '\t');
        append_printable(out, texts[i].len > 0 ? texts[i] : SLICE_LIT("-"));
    }
    buf_printf(out, "\t%" PRId64 "\t", d->attempts);
    command_append_time(out, d->published_at);
    buf_append_char(out, '\t');
    command_append_time(out, d->replayed_at);
    buf_append_char(out, '\n');
}

static void key_slice(struct json_writer *w, const char *key, struct slice text)
{
    json_key(w, key);
    if (text.len > 0)
        json_slice(w, text);
    else
        json_null(w);
}

/* JSON as it is, other bytes in base64url. */
static void write_event(struct json_writer *w, struct slice event)
{
    struct error ignored;
    if (event.len > 0 && !json_check(event, &ignored)) {
        json_key(w, "event");
        json_raw(w, event);
        return;
    }
    struct buf text;
    buf_init(&text, TEXT_MAX);
    base64url_append(&text, event);
    json_key(w, "event_base64");
    json_slice(w, buf_slice(&text));
    buf_deinit(&text);
}

static void write_letter(struct json_writer *w, const struct db_dead_letter *d)
{
    json_begin_object(w);
    key_slice(w, "id", d->id);
    key_slice(w, "consumer", d->consumer);
    key_slice(w, "topic", d->topic);
    key_slice(w, "event_id", d->event_id);
    key_slice(w, "key", d->key);
    key_slice(w, "reason", d->reason);
    json_key_int(w, "attempts", d->attempts);
    command_key_time(w, "created_at", d->created_at);
    command_key_time(w, "published_at", d->published_at);
    command_key_time(w, "replayed_at", d->replayed_at);
    write_event(w, d->event);
    json_end_object(w);
}

static void on_list(void *ctx, int status, const struct db_dead_letter_reply *reply,
                    const struct error *err)
{
    struct dlq_command *c = ctx;
    c->rows = status ? 0 : reply->count;
    for (int i = 0; i < c->rows; i++) {
        if (c->is_json)
            write_letter(&c->json, &reply->letters[i]);
        else
            print_letter(&c->out, &reply->letters[i]);
        c->after = reply->letters[i].seq;
    }
    command_done(&c->base, status, err);
}

static int run_list(struct dlq_command *c)
{
    int status = 0;
    c->left = c->flags[FLAG_LIMIT].num;
    if (c->is_json) {
        json_begin_object(&c->json);
        json_key(&c->json, "dead_letters");
        json_begin_array(&c->json);
    } else {
        buf_append_cstr(&c->out, "id\tcreated\tconsumer\ttopic\tevent\treason\tattempts"
                                 "\tpublished\treplayed\n");
    }
    do {
        int limit = c->left < PAGE ? (int)c->left : PAGE;
        status = command_wait(&c->base,
                              db_dead_letter_list(c->base.pool, c->after, c->flags[FLAG_ALL].flag,
                                                  limit, on_list, c, NULL, &c->base.err));
        c->left -= c->rows;
    } while (!status && c->left > 0 && c->rows == PAGE);
    if (c->is_json) {
        json_end_array(&c->json);
        json_end_object(&c->json);
    }
    return status;
}

/* ---- replay --------------------------------------------------------------------------------- */

static void copy_id(char out[ID_LENGTH + 1], struct slice id)
{
    size_t len = id.len == ID_LENGTH ? ID_LENGTH : 0;
    if (len > 0)
        memcpy(out, id.ptr, len);
    out[len] = '\0';
}

static void on_page(void *ctx, int status, const struct db_dead_letter_reply *reply,
                    const struct error *err)
{
    struct dlq_command *c = ctx;
    c->rows = 0;
    for (int i = 0; !status && i < reply->count && i < PAGE; i++) {
        const struct db_dead_letter *d = &reply->letters[i];
        char *copy = mem_alloc(d->event.len + 1);
        if (!copy) {
            command_done(&c->base, error_set(&c->base.err, BASE_ENOMEM, NULL, "out of memory"),
                         NULL);
            return;
        }
        if (d->event.len > 0)
            memcpy(copy, d->event.ptr, d->event.len);
        c->event[i] = copy;
        c->event_len[i] = d->event.len;
        copy_id(c->id[i], d->id);
        copy_id(c->event_id[i], d->event_id);
        c->after = d->seq;
        c->rows = i + 1;
    }
    command_done(&c->base, status, err);
}

struct replay {
    struct dlq_command *command;
    enum db_replay outcome;
};

static void on_replay(void *ctx, int status, enum db_replay outcome, const struct error *err)
{
    struct replay *r = ctx;
    r->outcome = outcome;
    command_done(&r->command->base, status, err);
}

static struct slice source_of(const char *source)
{
    struct slice name = slice_from_cstr(source);
    if (strncmp(source, SOURCE, sizeof(SOURCE) - 1) != 0)
        return name;
    name = slice_from_cstr(source + sizeof(SOURCE) - 1);
    return slice_is_equal(name, SLICE_LIT(SERVER)) ? SLICE_EMPTY : name;
}

/* The row that the event had: false where it is none of ours. `text` keeps its data. */
static bool make_row(const struct cloudevent *event, struct buf *text, struct db_event_row *out)
{
    enum event_kind kind;
    struct error ignored;
    struct json_writer w;
    if (!event_kind_of_type(event->type, &kind) || !event->partitionkey ||
        event_check(kind, event->data, &ignored))
        return false;
    json_writer_init(&w, text);
    json_tree(&w, event->data);
    *out = (struct db_event_row){.id = slice_from_cstr(event->id),
                                 .key = slice_from_cstr(event->partitionkey),
                                 .topic = slice_from_cstr(event_def(kind)->topic),
                                 .type = slice_from_cstr(event->type),
                                 .source = source_of(event->source),
                                 .traceparent = slice_from_cstr(event->traceparent),
                                 .time = slice_from_cstr(event->time),
                                 .data = buf_slice(text)};
    return buf_status(text) == 0;
}

static const char *const replay_words[] = {
    [DB_REPLAY_NOT_FOUND] = "there is no such dead letter",
    [DB_REPLAY_DONE_BEFORE] = "was replayed before",
    [DB_REPLAY_NO_EVENT] = "cannot be replayed: its bytes are no event of ours",
    [DB_REPLAY_DONE] = "is published again",
    [DB_REPLAY_UNDER_WAY] = "is on its way still: try again in a moment",
};
static const char *const replay_codes[] = {
    [DB_REPLAY_NOT_FOUND] = "not_found", [DB_REPLAY_DONE_BEFORE] = "replayed_before",
    [DB_REPLAY_NO_EVENT] = "no_event",   [DB_REPLAY_DONE] = "replayed",
    [DB_REPLAY_UNDER_WAY] = "under_way",
};

static void print_replay(struct dlq_command *c, const char *id, enum db_replay outcome)
{
    c->replayed += outcome == DB_REPLAY_DONE;
    c->failed += outcome == DB_REPLAY_NOT_FOUND || outcome == DB_REPLAY_NO_EVENT ||
                 outcome == DB_REPLAY_UNDER_WAY;
    if (!c->is_json) {
        buf_printf(&c->out, "%s\t%s\n", id, replay_words[outcome]);
        return;
    }
    json_begin_object(&c->json);
    json_key_string(&c->json, "id", id);
    json_key_string(&c->json, "outcome", replay_codes[outcome]);
    json_end_object(&c->json);
}

static int replay_one(struct dlq_command *c, const char *id, const char *event_id,
                      struct slice bytes)
{
    struct buf text;
    struct cloudevent event = {0};
    struct db_event_row row = {0};
    struct replay r = {.command = c};
    struct error ignored;
    buf_init(&text, DATA_MAX);
    bool is_event = !cloudevent_parse(bytes, &event, &ignored);
    bool is_ours = is_event && make_row(&event, &text, &row);
    struct slice known = is_ours ? row.id : slice_from_cstr(event_id);
    int status = command_wait(&c->base, db_dead_letter_replay(c->base.pool, slice_from_cstr(id),
                                                              known, is_ours ? &row : NULL,
                                                              on_replay, &r, NULL, &c->base.err));
    if (!status)
        print_replay(c, id, r.outcome);
    if (is_event)
        cloudevent_deinit(&event);
    buf_deinit(&text);
    return status;
}

/* Of the page that was read; frees it. */
static int replay_page(struct dlq_command *c)
{
    int status = 0;
    for (int i = 0; i < c->rows; i++) {
        if (!status)
            status = replay_one(c, c->id[i], c->event_id[i],
                                (struct slice){c->event[i], c->event_len[i]});
        mem_free(c->event[i]);
    }
    return status;
}

static int replay_all(struct dlq_command *c)
{
    int status = 0;
    do {
        status = command_wait(&c->base, db_dead_letter_list(c->base.pool, c->after, false, PAGE,
                                                            on_page, c, NULL, &c->base.err));
        int page = replay_page(c);
        status = status ? status : page;
    } while (!status && c->rows == PAGE);
    return status;
}

static int replay_ids(struct dlq_command *c)
{
    int status = 0;
    for (int i = 0; i < c->id_count && !status; i++) {
        status = command_wait(&c->base, db_dead_letter_get(c->base.pool, slice_from_cstr(c->ids[i]),
                                                           on_page, c, NULL, &c->base.err));
        if (!status && c->rows == 0)
            print_replay(c, c->ids[i], DB_REPLAY_NOT_FOUND);
        int page = replay_page(c);
        status = status ? status : page;
    }
    return status;
}

static int run_replay(struct dlq_command *c)
{
    if (c->is_json) {
        json_begin_object(&c->json);
        json_key(&c->json, "dead_letters");
        json_begin_array(&c->json);
    }
    int status = c->flags[FLAG_ALL].flag ? replay_all(c) : replay_ids(c);
    if (c->replayed > 0)
        command_ring(&c->base);
    if (c->is_json) {
        json_end_array(&c->json);
        json_key_int(&c->json, "replayed", c->replayed);
        json_key_int(&c->json, "failed", c->failed);
        json_end_object(&c->json);
    } else {
        buf_printf(&c->out, "%" PRId64 " replayed, %" PRId64 " not\n", c->replayed, c->failed);
    }
    return status;
}

/* ---- the command ---------------------------------------------------------------------------- */

static bool is_uuid(const char *text)
{
    return strlen(text) == ID_LENGTH && strspn(text, "0123456789abcdefABCDEF-") == ID_LENGTH;
}

static int check_ids(struct dlq_command *c)
{
    if ((c->id_count > 0) == c->flags[FLAG_ALL].flag)
        return error_set(&c->base.err, BASE_EINVAL, "ID", "dlq replay needs IDs, or --all");
    for (int i = 0; i < c->id_count; i++) {
        if (!is_uuid(c->ids[i]))
            return error_set(&c->base.err, BASE_EINVAL, "ID",
                             "\"%.60s\" is no dead letter's id: see dlq list", c->ids[i]);
    }
    return 0;
}

static int read_command(struct dlq_command *c, int argc, char **argv, bool *is_replay)
{
    int used = 1;
    int rest = argc;
    *is_replay = strcmp(argv[1], "replay") == 0;
    if (!*is_replay && strcmp(argv[1], "list") != 0)
        return error_set(&c->base.err, BASE_EINVAL, "", "the commands are dlq list and dlq replay");
    c->ids = argv + 2;
    while (*is_replay && 2 + c->id_count < argc && argv[2 + c->id_count][0] != '-')
        c->id_count++;
    used += c->id_count;
    int status = command_load(&c->base, flags, FLAGS, argc - used, argv + used, c->flags, &rest);
    if (!status && rest < argc - used)
        status = error_set(&c->base.err, BASE_EINVAL, "", "what is \"%.60s\"?", argv[used + rest]);
    c->is_json = !status && c->flags[FLAG_JSON].flag;
    return !status && *is_replay ? check_ids(c) : status;
}

static int print_help(void)
{
    struct buf text;
    buf_init(&text, TEXT_MAX);
    command_help(flags, shown, FLAGS, usage, &text);
    return command_print(&text);
}

static int fail(const struct dlq_command *c, int code)
{
    fprintf(stderr, "todo-mcp: %s\n%s", c->base.err.text,
            code == COMMAND_USAGE ? "Try todo-mcp dlq --help.\n" : "");
    return code;
}

int dlq_main(int argc, char **argv)
{
    struct dlq_command c = {0};
    bool is_replay;
    if (command_wants_help(argc, argv))
        return print_help();
    if (read_command(&c, argc, argv, &is_replay))
        return fail(&c, COMMAND_USAGE);
    buf_init(&c.out, TEXT_MAX);
    json_writer_init(&c.json, &c.out);
    int status = command_open(&c.base);
    if (!status)
        status = is_replay ? run_replay(&c) : run_list(&c);
    command_close(&c.base);
    if (status) {
        buf_deinit(&c.out);
        return fail(&c, EXIT_FAILURE);
    }
    if (c.is_json)
        buf_append_char(&c.out, '\n');
    int printed = command_print(&c.out);
    return c.failed > 0 ? EXIT_FAILURE : printed;
}
