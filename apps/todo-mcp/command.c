#include "command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "db/embedded.h"
#include "db/outbox.h"
#include "db/pool.h"
#include "shared/database.h"

#define FLAGS_MAX 8
#define CLOSE_MS  1000

static const enum shared_row taken[] = {SHARED_SECRETS_DIR, SHARED_DATABASE_URL,
                                        SHARED_DATA_DIR,    SHARED_STATEMENT_TIMEOUT_MS,
                                        SHARED_LOG_LEVEL,   SHARED_LOG_FORMAT};
#define TAKEN_COUNT (sizeof(taken) / sizeof(*taken))

static size_t make_table(const struct config_setting *flags, size_t count,
                         struct config_setting *out)
{
    memcpy(out, flags, count * sizeof(*flags));
    for (size_t i = 0; i < TAKEN_COUNT; i++)
        out[count + i] = shared_rows[taken[i]];
    return count + TAKEN_COUNT;
}

/* SINCE or ALL of the environment mean other things. */
static const char *env_of(const char *name)
{
    for (size_t i = 0; i < TAKEN_COUNT; i++) {
        if (strcmp(name, shared_rows[taken[i]].name) == 0)
            return getenv(name);
    }
    return NULL;
}

int command_load(struct command *c, const struct config_setting *flags, size_t flag_count, int argc,
                 char **argv, struct config_value *values, int *rest)
{
    char *no_args[] = {NULL};
    struct config_setting table[FLAGS_MAX + TAKEN_COUNT];
    struct config_value all[FLAGS_MAX + TAKEN_COUNT];
    struct config_value shared[SHARED_ROWS];
    size_t count = make_table(flags, flag_count, table);
    int status = config_load(table, count, argc, argv, env_of, all, rest, &c->err);
    if (!status)
        status = config_load(shared_rows, SHARED_ROWS, 0, no_args, NULL, shared, NULL, &c->err);
    if (status)
        return status;
    memcpy(values, all, flag_count * sizeof(*values));
    for (size_t i = 0; i < TAKEN_COUNT; i++)
        shared[taken[i]] = all[flag_count + i];
    status = shared_settings_fill(&c->settings, shared, &c->err);
    c->settings.pool_size = 1;
    return status;
}

void command_help(const struct config_setting *flags, const char *const *shown, size_t flag_count,
                  const char *usage, struct buf *out)
{
    struct config_setting table[FLAGS_MAX + TAKEN_COUNT];
    make_table(flags, flag_count, table);
    buf_append_cstr(out, usage);
    for (size_t i = 0; i < flag_count; i++)
        buf_printf(out, "  %-22s %s\n", shown[i], flags[i].help);
    buf_append_char(out, '\n');
    config_help(table + flag_count, TAKEN_COUNT, out);
}

int command_open(struct command *c)
{
    const struct shared_settings *s = &c->settings;
    log_init(&c->log, STDERR_FILENO, s->log_level > LOG_WARN ? s->log_level : LOG_WARN,
             s->log_format);
    int status = uv_loop_init(&c->loop);
    if (status)
        return error_set(&c->err, status, NULL, "no event loop: %s", uv_strerror(status));
    c->is_open = true;
    return database_open(s, &c->loop, &c->log, &c->embedded, &c->pool, &c->err);
}

void command_done(struct command *c, int status, const struct error *err)
{
    c->is_done = true;
    c->status = status;
    if (status && err)
        c->err = *err;
}

int command_wait(struct command *c, int submitted)
{
    if (submitted)
        return submitted;
    while (!c->is_done)
        uv_run(&c->loop, UV_RUN_ONCE);
    c->is_done = false;
    return c->status;
}

static void on_rung(void *ctx, int status, bool is_held, int64_t count, const struct error *err)
{
    (void)is_held;
    (void)count;
    command_done(ctx, status, err);
}

/* Where it fails, the relay looks by itself within a second. */
void command_ring(struct command *c)
{
    struct error ignored;
    (void)command_wait(c, db_outbox_ring(c->pool, on_rung, c, &ignored));
}

static void on_pool_closed(void *ctx)
{
    struct command *c = ctx;
    c->pool = NULL;
}

void command_close(struct command *c)
{
    if (!c->is_open)
        return;
    if (c->pool)
        db_pool_close(c->pool, CLOSE_MS, on_pool_closed, c);
    uv_run(&c->loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&c->loop);
    if (c->embedded)
        db_embedded_close(c->embedded);
}

bool command_wants_help(int argc, char **argv)
{
    return argc < 2 || shared_action_of(argc, argv) == SHARED_HELP;
}

int command_print(struct buf *text)
{
    bool is_printed = !buf_status(text) && text->ptr &&
                      fwrite(text->ptr, 1, text->len, stdout) == text->len && fflush(stdout) == 0;
    buf_deinit(text);
    return is_printed ? EXIT_SUCCESS : EXIT_FAILURE;
}

static const char *format_time(int64_t time_us, char text[CLOCK_RFC3339_SIZE])
{
    clock_format_rfc3339(time_us / 1000000 * 1000000, text);
    return text;
}

void command_append_time(struct buf *out, int64_t time_us)
{
    char text[CLOCK_RFC3339_SIZE];
    buf_append_cstr(out, time_us ? format_time(time_us, text) : "-");
}

void command_key_time(struct json_writer *w, const char *key, int64_t time_us)
{
    char text[CLOCK_RFC3339_SIZE];
    json_key(w, key);
    json_string(w, time_us ? format_time(time_us, text) : NULL);
}
