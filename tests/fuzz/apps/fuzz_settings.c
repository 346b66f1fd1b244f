/* Lines as the configuration of a program, after a byte that says which ('e': todo-email, else
 * todo-mcp): "NAME=value" of the environment, "@NAME=content" a file of SECRETS_DIR ('|' ends a
 * line of it), any other an argument. What is refused names a reason without any secret. What is
 * taken is within the limits that --help promises, and says the same by flags as by the
 * environment. */
#include <assert.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/mem.h"
#include "email/part.h"
#include "settings.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LINES_MAX      24
#define NAME_MAX_BYTES 40
#define ROWS_MAX       64
/* Each secret starts so. */
#define SECRET "hush-hush-"

static struct {
    char dir[64];
    struct buf help; /* of todo-mcp */
} made;

struct input {
    char program[8];
    char *text;             /* a copy, cut into lines */
    char *names[LINES_MAX]; /* of the environment; owned by text */
    char *flags[LINES_MAX]; /* the same as flags; owned */
    char *files[LINES_MAX]; /* paths; owned */
    char *argv[LINES_MAX + 2];
    size_t name_count, file_count;
    int argc;
    bool is_marked; /* a text that is no secret looks like one */
    bool is_known;  /* the environment has settings of ours alone, none of them empty or twice */
};

static void remove_directory(void)
{
    rmdir(made.dir);
}

/* NOLINTNEXTLINE(readability-non-const-parameter): libFuzzer's signature */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    snprintf(made.dir, sizeof(made.dir), "%s", "/tmp/todo-fuzz-settings-XXXXXX");
    buf_init(&made.help, 1u << 20);
    settings_help(&made.help);
    return !mkdtemp(made.dir) || atexit(remove_directory) || buf_status(&made.help);
}

/* ---- the lines ---- */

static bool is_name(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] != '_' && (text[i] < 'A' || text[i] > 'Z'))
            return false;
    }
    return len > 0 && len < NAME_MAX_BYTES;
}

static bool is_secret(const char *name)
{
    static const char *const secrets[] = {
        "DATABASE_URL",  "DAPR_API_TOKEN",      "APP_API_TOKEN", "KAFKA_SASL_USERNAME",
        "SMTP_USERNAME", "KAFKA_SASL_PASSWORD", "SMTP_PASSWORD"};
    for (size_t i = 0; i < sizeof(secrets) / sizeof(*secrets); i++) {
        if (strcmp(name, secrets[i]) == 0)
            return true;
    }
    return false;
}

/* The caller frees it. */
__attribute__((format(printf, 1, 2))) static char *print(const char *format, ...)
{
    char *text;
    va_list args;
    va_list again;
    va_start(args, format);
    va_copy(again, args);
    size_t size = (size_t)vsnprintf(NULL, 0, format, args) + 1;
    text = mem_alloc(size);
    assert(text);
    vsnprintf(text, size, format, again);
    va_end(again);
    va_end(args);
    return text;
}

/* Columns of the help are two blanks apart. */
static bool is_setting(const char *name)
{
    char column[NAME_MAX_BYTES + 5];
    snprintf(column, sizeof(column), "  %s  ", name);
    return memmem(made.help.ptr, made.help.len, column, strlen(column));
}

static void add_variable(struct input *in, char *name, const char *value)
{
    const char *head = is_secret(name) && *value ? SECRET : "";
    char *flag = print("--%s=%s%s", name, head, value);
    for (char *at = flag; *at != '='; at++)
        *at = (char)(*at == '_' ? '-' : tolower((unsigned char)*at));
    in->is_known = in->is_known && is_setting(name) && *value && !getenv(name);
    setenv(name, strchr(flag, '=') + 1, 1);
    in->flags[in->name_count] = flag;
    in->names[in->name_count++] = name;
}

static void add_file(struct input *in, const char *name, char *content)
{
    char *path = print("%s/%s", made.dir, name);
    FILE *file = fopen(path, "we");
    assert(file);
    for (char *at = content; *at; at++) {
        if (*at == '|')
            *at = '\n';
    }
    fprintf(file, "%s%s", is_secret(name) ? SECRET : "", content);
    fclose(file);
    in->files[in->file_count++] = path;
}

static void add_line(struct input *in, char *line)
{
    bool is_file = line[0] == '@';
    size_t len = strcspn(line + is_file, "=");
    char *equals = line + is_file + len;
    if (*equals != '=' || !is_name(line + is_file, len)) {
        in->argv[in->argc++] = line;
        return;
    }
    *equals = '\0';
    if (is_file)
        add_file(in, line + 1, equals + 1);
    else
        add_variable(in, line, equals + 1);
}

static void open_input(struct input *in, const uint8_t *data, size_t size)
{
    char *rest;
    *in = (struct input){.program = "todo", .argc = 1, .is_known = true};
    in->argv[0] = in->program;
    in->is_marked = memmem(data, size, SECRET, strlen(SECRET));
    in->text = print("%.*s", (int)size, (const char *)data);
    size_t count = 0;
    for (char *line = strtok_r(in->text, "\n", &rest); line && count < LINES_MAX; count++) {
        add_line(in, line);
        line = strtok_r(NULL, "\n", &rest);
    }
    if (in->file_count > 0)
        setenv("SECRETS_DIR", made.dir, 1);
}

static void clear_environment(const struct input *in)
{
    for (size_t i = 0; i < in->name_count; i++)
        unsetenv(in->names[i]);
    unsetenv("SECRETS_DIR");
}

static void close_input(struct input *in)
{
    clear_environment(in);
    for (size_t i = 0; i < in->name_count; i++)
        mem_free(in->flags[i]);
    for (size_t i = 0; i < in->file_count; i++) {
        unlink(in->files[i]);
        mem_free(in->files[i]);
    }
    mem_free(in->text);
}

/* ---- the programs ---- */

static void check_refusal(const struct input *in, int status, const struct error *err)
{
    assert(status == BASE_EINVAL && err->code == BASE_EINVAL && err->text[0]);
    assert(in->is_marked || !strstr(err->text, SECRET));
}

static void check_list(const char *const *list)
{
    size_t count = 0;
    for (; list[count]; count++)
        assert(*list[count] && !strpbrk(list[count], ", "));
    assert(count <= SETTINGS_LIST_MAX);
}

static void check_server(const struct settings *s)
{
    assert(s->is_stdio || settings_has_auth(s) || strncmp(s->http_host, "127.", 4) == 0 ||
           strcmp(s->http_host, "::1") == 0);
    assert(s->shared.pool_size >= 1 && s->shared.pool_size <= 128);
    assert(s->shared.statement_ms >= 100 && s->shared.drain_ms <= 600000);
    assert(s->attempts_max >= 1 && s->inbox_days * 24 > s->outbox_hours);
    assert(*s->timezone && (secret_text(&s->shared.database_url) || *s->shared.data_dir));
    assert(s->shared.transport != SHARED_KAFKA || s->shared.kafka.brokers);
    check_list(s->allowed_origins);
    check_list(s->allowed_hosts);
}

static void assert_same_text(const char *a, const char *b)
{
    assert((!a && !b) || (a && b && strcmp(a, b) == 0));
}

static void check_same(const struct settings *a, const struct settings *b)
{
    assert(a->is_stdio == b->is_stdio && a->http_port == b->http_port);
    assert(memcmp(&a->limits, &b->limits, sizeof(a->limits)) == 0);
    assert(a->view.tools == b->view.tools && a->rate_per_minute == b->rate_per_minute);
    assert(a->shared.transport == b->shared.transport);
    assert(a->shared.log_level == b->shared.log_level && a->api_keys == b->api_keys);
    assert_same_text(a->user, b->user);
    assert_same_text(a->timezone, b->timezone);
    assert_same_text(a->oauth_issuer, b->oauth_issuer);
    assert_same_text(a->public_url, b->public_url);
    assert_same_text(a->event_subscribers, b->event_subscribers);
    assert_same_text(a->shared.kafka.brokers, b->shared.kafka.brokers);
    assert_same_text(a->shared.data_dir, b->shared.data_dir);
    assert_same_text(secret_text(&a->shared.database_url), secret_text(&b->shared.database_url));
}

/* The environment's settings as flags. */
static void check_as_flags(struct input *in, const struct settings *before)
{
    struct settings s;
    char *argv[LINES_MAX + 2] = {in->argv[0]};
    for (size_t i = 0; i < in->name_count; i++)
        argv[i + 1] = in->flags[i];
    clear_environment(in);
    int status = settings_load(&s, (int)in->name_count + 1, argv, NULL);
    assert(status == 0);
    check_same(before, &s);
}

static void check_mcp(struct input *in)
{
    struct settings s;
    struct key_settings key;
    struct error err = {0};
    int status = settings_load_key(&key, in->argc, in->argv, &err);
    if (status)
        check_refusal(in, status, &err);
    err = (struct error){0};
    status = settings_load(&s, in->argc, in->argv, &err);
    if (status) {
        check_refusal(in, status, &err);
        return;
    }
    check_server(&s);
    if (in->is_known && in->argc == 1 && in->file_count == 0)
        check_as_flags(in, &s);
}

static const char *env_of(const char *name)
{
    return getenv(name);
}

static void check_email(const struct input *in, char **argv)
{
    struct config_setting table[ROWS_MAX];
    struct config_value values[ROWS_MAX];
    struct shared_settings s;
    struct error err = {0};
    const size_t count = email_spec.row_count + SHARED_ROWS;
    assert(count <= ROWS_MAX);
    shared_table_make(email_spec.rows, email_spec.row_count, table);
    int status = config_load(table, count, in->argc, argv, env_of, values, NULL, &err);
    if (!status)
        status = shared_settings_fill(&s, values + email_spec.row_count, &err);
    if (!status)
        status = email_spec.check(&s, values, &err);
    if (status)
        check_refusal(in, status, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in;
    if (size == 0)
        return 0;
    open_input(&in, data + 1, size - 1);
    if (data[0] == 'e')
        check_email(&in, in.argv);
    else
        check_mcp(&in);
    close_input(&in);
    return 0;
}
