#include "shared/signals.h"

#include <signal.h>

#include "base/error.h"

static const int numbers[2] = {SIGTERM, SIGINT};

static void on_signal(uv_signal_t *handle, int number)
{
    struct signals *s = handle->data;
    s->fn(s->ctx, number);
}

int signals_open(struct signals *s, uv_loop_t *loop, signals_fn fn, void *ctx, struct error *err)
{
    int status = 0;
    s->fn = fn;
    s->ctx = ctx;
    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < 2; i++) {
        uv_signal_init(loop, &s->handles[i]);
        s->handles[i].data = s;
        if (!status)
            status = uv_signal_start(&s->handles[i], on_signal, numbers[i]);
    }
    return status ? error_set(err, status, NULL, "no signals: %s", uv_strerror(status)) : 0;
}

/* libuv gives a signal its default back when the handle closes, so none may come in between. */
void signals_close(struct signals *s)
{
    sigset_t both;
    sigset_t before;
    sigemptyset(&both);
    for (size_t i = 0; i < 2; i++)
        sigaddset(&both, numbers[i]);
    pthread_sigmask(SIG_BLOCK, &both, &before);
    for (size_t i = 0; i < 2; i++) {
        uv_close((uv_handle_t *)&s->handles[i], NULL);
        signal(numbers[i], SIG_IGN);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}
