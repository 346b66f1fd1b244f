/* settings -> run -> the exit code. */
#include "shared/worker.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "shared/state_store.h"
#include "shared/worker_int.h"

#define EXIT_USAGE     2
#define HELP_BYTES_MAX 65536
#define OWN_ROWS_MAX   32

enum { HTTP_HOST, HTTP_PORT, PROGRAM_ROWS };
#define ROWS_MAX (OWN_ROWS_MAX + PROGRAM_ROWS + SHARED_ROWS)

/* The part's own rows, then these, then those of all programs. */
static size_t make_table(const struct worker_spec *spec, struct config_setting out[ROWS_MAX])
{
    assert(spec->row_count <= OWN_ROWS_MAX);
    struct config_setting *at = out;
    if (spec->row_count > 0)
        memcpy(at, spec->rows, spec->row_count * sizeof(*at));
    at += spec->row_count;
    const struct config_setting rows[PROGRAM_ROWS] = {
        [HTTP_HOST] = {"HTTP_HOST", CONFIG_STRING, "127.0.0.1", NULL, 0, 0, "",
                       "numeric address to listen on"},
        [HTTP_PORT] = {"HTTP_PORT", CONFIG_INT, spec->port, NULL, 0, 65535, "",
                       "port of /healthz, /readyz, /metrics and of deliveries; 0 picks a free one"},
    };
    shared_table_make(rows, PROGRAM_ROWS, at);
    return spec->row_count + PROGRAM_ROWS + SHARED_ROWS;
}

static const char *env_of(const char *name)
{
    return getenv(name);
}

/* `values` is to live as long as the run. */
static int load(const struct worker_spec *spec, int argc, char **argv, struct config_value *values,
                struct run *r, struct error *err)
{
    struct config_setting table[ROWS_MAX];
    int rest = argc;
    size_t count = make_table(spec, table);
    int status = config_load(table, count, argc, argv, env_of, values, &rest, err);
    if (!status && rest < argc)
        status = error_set(err, BASE_EINVAL, "", "unknown command \"%.60s\"", argv[rest]);
    if (status)
        return status;
    const struct config_value *program = values + spec->row_count;
    r->http.host = program[HTTP_HOST].text;
    r->http.port = (uint16_t)program[HTTP_PORT].num;
    status = shared_settings_fill(&r->settings, program + PROGRAM_ROWS, err);
    if (!status && spec->check)
        status = spec->check(&r->settings, values, err);
    return status;
}

static int print_help(const struct worker_spec *spec)
{
    struct config_setting table[ROWS_MAX];
    size_t count = make_table(spec, table);
    struct buf text;
    buf_init(&text, HELP_BYTES_MAX);
    buf_printf(&text, "usage: %s [SETTINGS]\n\n%s\n\n  --help, --version\n\n", spec->program,
               spec->about);
    config_help(table, count, &text);
    bool is_printed = !buf_status(&text) && fputs(text.ptr, stdout) >= 0 && fflush(stdout) == 0;
    buf_deinit(&text);
    return is_printed ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* Large, so not on the stack. */
static int run(const struct worker_spec *spec, int argc, char **argv)
{
    struct config_value values[ROWS_MAX];
    struct error err = {0};
    int code = EXIT_SUCCESS;
    struct run *r = mem_calloc(1, sizeof(*r));
    if (!r) {
        fprintf(stderr, "%s: out of memory\n", spec->program);
        return EXIT_FAILURE;
    }
    r->worker.spec = spec;
    r->worker.own = values;
    r->worker.settings = &r->settings;
    if (load(spec, argc, argv, values, r, &err)) {
        fprintf(stderr, "%s: %s\nTry %s --help.\n", spec->program, err.text, spec->program);
        code = EXIT_USAGE;
    } else if (run_worker(r, &err)) {
        fprintf(stderr, "%s: %s\n", spec->program, err.text);
        code = EXIT_FAILURE;
    }
    mem_free(r);
    return code;
}

int worker_main(const struct worker_spec *spec, int argc, char **argv)
{
    switch (shared_action_of(argc, argv)) {
    case SHARED_HELP:
        return print_help(spec);
    case SHARED_VERSION:
        return printf("%s %s\n", spec->program, TODO_VERSION) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
    case SHARED_RUN:
        break;
    }
    return run(spec, argc, argv);
}

int worker_open_state(const struct worker *w, struct state_store **out)
{
    if (w->dapr)
        return state_store_dapr_new(w->loop, w->dapr, w->settings->state_store_name, out);
    return state_store_db_new(w->loop, w->pool, out);
}
