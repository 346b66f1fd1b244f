/* One command: settings -> database -> (the user ->) one statement -> what to print -> the end. */
#include "keys.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api_key.h"
#include "base/buf.h"
#include "base/clock.h"
#include "command.h"
#include "db/api_key.h"
#include "db/user.h"
#include "scopes.h"
#include "settings.h"

#define DAY_US        INT64_C(86400000000)
#define CHARACTER_MAX 4 /* bytes of UTF-8 */

struct key_command {
    struct command base;
    struct key_settings settings;
    char key[API_KEY_SIZE]; /* create */
    uint32_t scopes;        /* create */
    int64_t user_id;        /* create */
    int64_t key_id;         /* revoke */
    void (*print)(const struct key_command *c, const struct db_api_key_reply *reply);
};

/* ---- printing ---- */

static void print_time(int64_t time_us)
{
    char text[CLOCK_RFC3339_SIZE];
    clock_format_rfc3339(time_us / 1000000 * 1000000, text);
    printf("\t%s", time_us ? text : "-");
}

static void print_row(const struct db_api_key *k)
{
    printf("%" PRId64 "\t%.*s\t%.*s\t%.*s", k->id, (int)k->name.len, k->name.ptr,
           (int)k->subject.len, k->subject.ptr, (int)k->scopes.len,
           k->scopes.len ? k->scopes.ptr : "");
    print_time(k->created_at);
    print_time(k->expires_at);
    print_time(k->last_used_at);
    print_time(k->revoked_at);
    printf("\n");
}

static void print_list(const struct key_command *c, const struct db_api_key_reply *reply)
{
    (void)c;
    printf("id\tname\tuser\tscopes\tcreated\texpires\tlast used\trevoked\n");
    for (int i = 0; i < reply->count; i++)
        print_row(&reply->keys[i]);
}

/* The key alone goes to stdout, so that a script can take it. */
static void print_created(const struct key_command *c, const struct db_api_key_reply *reply)
{
    const struct db_api_key *k = &reply->keys[0];
    fprintf(stderr, "key %" PRId64 " of user %.*s, for %.*s; it is shown this once:\n", k->id,
            (int)k->subject.len, k->subject.ptr, (int)k->scopes.len, k->scopes.ptr);
    printf("%s\n", c->key);
}

static void print_revoked(const struct key_command *c, const struct db_api_key_reply *reply)
{
    (void)c;
    fprintf(stderr, "key %" PRId64 " (%.*s) is revoked; servers that run notice within 5 s\n",
            reply->keys[0].id, (int)reply->keys[0].name.len, reply->keys[0].name.ptr);
}

/* ---- the statement ---- */

static void on_keys(void *ctx, int status, const struct db_api_key_reply *reply,
                    const struct error *err)
{
    struct key_command *c = ctx;
    if (!status && reply->count == 0 && c->key_id)
        status = error_set(&c->base.err, BASE_EINVAL, "ID", "there is no key %" PRId64, c->key_id);
    else if (!status)
        c->print(c, reply);
    command_done(&c->base, status, err);
}

static int submit_create(struct key_command *c)
{
    unsigned char hash[DIGEST_SIZE];
    char names[SCOPES_TEXT_SIZE];
    int64_t days = c->settings.expires_days;
    int status = api_key_make(c->key);
    if (!status)
        status = api_key_hash(slice_from_cstr(c->key), hash);
    if (status)
        return error_set(&c->base.err, status, NULL, "no key could be made");
    const struct db_api_key_new key = {.user_id = c->user_id,
                                       .name = slice_from_cstr(c->settings.name),
                                       .scopes = slice_from_cstr(scopes_format(c->scopes, names)),
                                       .key_hash = hash,
                                       .expires_at = days ? clock_now_us() + days * DAY_US : 0};
    return db_api_key_create(c->base.pool, &key, on_keys, c, NULL, &c->base.err);
}

static void on_user(void *ctx, int status, const struct db_user_reply *user,
                    const struct error *err)
{
    struct key_command *c = ctx;
    if (!status)
        c->user_id = user->id;
    command_done(&c->base, status, err);
}

static int create(struct key_command *c)
{
    struct command *base = &c->base;
    const struct settings *s = &c->settings.base;
    const struct db_user_ask user = {.subject = slice_from_cstr(s->user),
                                     .zone = slice_from_cstr(s->timezone)};
    int status =
        command_wait(base, db_user_ensure(base->pool, &user, on_user, c, NULL, &base->err));
    return status ? status : command_wait(base, submit_create(c));
}

static int run(struct key_command *c)
{
    struct command *base = &c->base;
    if (c->print == print_list)
        return command_wait(base, db_api_key_list(base->pool, on_keys, c, NULL, &base->err));
    if (c->print == print_revoked)
        return command_wait(base,
                            db_api_key_revoke(base->pool, c->key_id, on_keys, c, NULL, &base->err));
    return create(c);
}

/* ---- the command ---- */

static int check_create(struct key_command *c)
{
    const char *name = c->settings.name;
    if (!name || !*name || strlen(name) > (size_t)DB_API_KEY_NAME_MAX * CHARACTER_MAX)
        return error_set(&c->base.err, BASE_EINVAL, "NAME",
                         "--name says what the key is for, in 1 to %d "
                         "characters",
                         DB_API_KEY_NAME_MAX);
    for (const char *at = name; *at; at++) {
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            return error_set(&c->base.err, BASE_EINVAL, "NAME",
                             "--name must have no control characters");
    }
    if (!scopes_parse(slice_from_cstr(c->settings.scopes), &c->scopes) || !c->scopes)
        return error_set(&c->base.err, BASE_EINVAL, "SCOPES",
                         "--scopes is \"%.60s\"; expected tasks:read, tasks:write or both",
                         c->settings.scopes);
    return 0;
}

static int read_id(const char *text, struct key_command *c)
{
    char *end;
    errno = 0;
    c->key_id = strtoll(text, &end, 10);
    if (errno || *end || c->key_id <= 0)
        return error_set(&c->base.err, BASE_EINVAL, "ID", "\"%.40s\" is no key's id: see key list",
                         text);
    return 0;
}

/* The words of the command -> what to do; `*used` are those before the flags. */
static int read_command(struct key_command *c, int argc, char **argv, int *used)
{
    const char *word = argc > 1 ? argv[1] : "";
    *used = 2;
    if (strcmp(word, "create") == 0) {
        c->print = print_created;
    } else if (strcmp(word, "list") == 0) {
        c->print = print_list;
    } else if (strcmp(word, "revoke") == 0 && argc > 2) {
        c->print = print_revoked;
        *used = 3;
        return read_id(argv[2], c);
    } else {
        return error_set(&c->base.err, BASE_EINVAL, "",
                         "the commands are key create, key list and "
                         "key revoke ID");
    }
    return 0;
}

static bool wants_help(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return true;
    }
    return false;
}

static int print_help(void)
{
    struct buf text;
    buf_init(&text, 65536);
    settings_key_help(&text);
    return command_print(&text);
}

static int fail(const struct key_command *c, int code)
{
    fprintf(stderr, "todo-mcp: %s\n%s", c->base.err.text,
            code == COMMAND_USAGE ? "Try todo-mcp key --help.\n" : "");
    return code;
}

int keys_main(int argc, char **argv)
{
    int used;
    struct key_command c = {0};
    if (wants_help(argc, argv))
        return print_help();
    int status = read_command(&c, argc, argv, &used);
    if (!status)
        status = settings_load_key(&c.settings, argc - used + 1, argv + used - 1, &c.base.err);
    if (!status && c.print == print_created)
        status = check_create(&c);
    if (status)
        return fail(&c, COMMAND_USAGE);
    c.base.settings = c.settings.base.shared;
    status = command_open(&c.base);
    if (!status)
        status = run(&c);
    command_close(&c.base);
    if (status)
        return fail(&c, EXIT_FAILURE);
    return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
