#include "email/desktop.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

#define RUNNING_MAX 8
#define TEXT_SIZE   1024

struct child {
    uv_process_t process;
    struct desktop *desktop;
};

static void log_once(struct desktop *d, const char *message, int code)
{
    if (!d->was_logged)
        log_warn(d->log, message, log_int("code", code));
    d->was_logged = true;
}

static void on_closed(uv_handle_t *handle)
{
    struct child *c = handle->data;
    struct desktop *d = c->desktop;
    mem_free(c);
    if (--d->running == 0 && d->closed)
        d->closed(d->ctx);
}

static void on_exit_of(uv_process_t *process, int64_t code, int number)
{
    struct child *c = process->data;
    if (code != 0 || number != 0)
        log_once(c->desktop, "notify-send failed", (int)code);
    uv_close((uv_handle_t *)process, on_closed);
}

/* Arguments, no shell; "--" ends the options, so that a title is never one. */
static int spawn(struct desktop *d, struct child *c, char *head, char *body)
{
    char program[] = "notify-send";
    char app[] = "--app-name=Todo";
    char icon[] = "--icon=alarm";
    char end[] = "--";
    char *args[] = {program, app, icon, end, head, body, NULL};
    uv_process_options_t options = {.exit_cb = on_exit_of, .file = args[0], .args = args};
    int status = uv_spawn(d->loop, &c->process, &options);
    if (status) {
        d->is_off = true;
        log_once(d, "notify-send cannot be started: no notifications on the desktop", status);
    }
    return status;
}

/* What the text may hold of the markup that some desktops understand is shown as it is. */
static void escape(char *out, size_t size, struct slice text)
{
    size_t len = 0;
    for (size_t i = 0; i < text.len && len + 8 < size; i++) {
        const char *as = text.ptr[i] == '&' ? "&amp;" : text.ptr[i] == '<' ? "&lt;" : NULL;
        len += (size_t)(as ? snprintf(out + len, size - len, "%s", as)
                           : snprintf(out + len, size - len, "%c", text.ptr[i]));
    }
    out[len] = '\0';
}

void desktop_notify(struct desktop *d, struct slice title, struct slice text)
{
    char head[TEXT_SIZE];
    char body[TEXT_SIZE];
    if (d->is_off || d->running >= RUNNING_MAX || d->closed)
        return;
    struct child *c = mem_calloc(1, sizeof(*c));
    if (!c)
        return;
    snprintf(head, sizeof(head), "%.*s", (int)title.len, title.len ? title.ptr : "");
    escape(body, sizeof(body), text);
    c->desktop = d;
    c->process.data = c;
    d->running++;
    if (spawn(d, c, head, body))
        uv_close((uv_handle_t *)&c->process, on_closed); /* uv_spawn has initialised it */
}

static bool has_session(void)
{
    char path[4096];
    const char *address = getenv("DBUS_SESSION_BUS_ADDRESS");
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    if (address && *address)
        return true;
    if (!runtime || !*runtime)
        return false;
    snprintf(path, sizeof(path), "%s/bus", runtime);
    return access(path, F_OK) == 0;
}

void desktop_init(struct desktop *d, uv_loop_t *loop, const struct log *log)
{
    *d = (struct desktop){.loop = loop, .log = log, .is_off = !has_session()};
}

void desktop_close(struct desktop *d, desktop_closed_fn closed, void *ctx)
{
    d->closed = closed;
    d->ctx = ctx;
    if (d->running == 0)
        closed(ctx);
}
