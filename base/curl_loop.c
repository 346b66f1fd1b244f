/* curl says through two callbacks what it waits for, and we tell it what came:
 *
 *   curl_loop_start -> curl_multi_add_handle -> on_curl_timer, on_curl_socket -> uv
 *   uv -> on_timer, on_poll -> curl_multi_socket_action -> reap -> deliver -> done
 *   curl_loop_cancel -> out of curl, end_transfer -> on_deferred -> deliver -> done
 *
 * curl must not be called from inside its callbacks: those only move uv's handles. */
#include <assert.h>

#include "base/curl_loop_int.h"
#include "base/error.h"
#include "base/mem.h"

struct watched_socket {
    uv_poll_t handle;
    struct curl_loop *loop;
    curl_socket_t fd;
};

/* ---- the lists ---- */

static void list_append(struct curl_transfer_list *list, struct curl_transfer *t)
{
    t->prev = list->last;
    t->next = NULL;
    if (list->last)
        list->last->next = t;
    else
        list->first = t;
    list->last = t;
}

static void list_remove(struct curl_transfer_list *list, struct curl_transfer *t)
{
    if (t->prev)
        t->prev->next = t->next;
    else
        list->first = t->next;
    if (t->next)
        t->next->prev = t->prev;
    else
        list->last = t->prev;
}

/* ---- the end of a transfer ---- */

static void take_out(struct curl_transfer *t)
{
    if (t->is_in_curl)
        curl_multi_remove_handle(t->loop->multi, t->easy);
    t->is_in_curl = false;
}

/* Out of curl, into the list of what is to be told. */
static void end_transfer(struct curl_transfer *t)
{
    struct curl_loop *c = t->loop;
    if (!t->stays || t->is_cancelled || t->code != CURLE_OK)
        take_out(t);
    list_remove(&c->active, t);
    list_append(&c->ended, t);
    t->has_ended = true;
}

static void reap(struct curl_loop *c)
{
    int left = 0;
    for (CURLMsg *msg = curl_multi_info_read(c->multi, &left); msg;
         msg = curl_multi_info_read(c->multi, &left)) {
        struct curl_transfer *t = NULL;
        if (msg->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, (char **)&t);
        t->code = msg->data.result; /* `msg` dies with the removal */
        end_transfer(t);
    }
}

static void finish_close(struct curl_loop *c);

static void deliver(struct curl_loop *c)
{
    if (c->is_delivering)
        return;
    c->is_delivering = true;
    while (c->ended.first) {
        struct curl_transfer *t = c->ended.first;
        list_remove(&c->ended, t);
        c->done(t);
        c->count--;
    }
    c->is_delivering = false;
    if (c->is_closing)
        finish_close(c);
}

/* Those whose socket cannot be watched: nothing would ever happen to them. */
static void end_starved(struct curl_loop *c)
{
    struct curl_transfer *next;
    for (struct curl_transfer *t = c->active.first; t; t = next) {
        next = t->next;
        if (!t->is_starved)
            continue;
        t->code = CURLE_OUT_OF_MEMORY;
        end_transfer(t);
    }
}

static void on_deferred(uv_timer_t *timer)
{
    struct curl_loop *c = timer->data;
    end_starved(c);
    deliver(c);
}

static void cancel(struct curl_transfer *t)
{
    if (t->has_ended)
        return;
    t->is_cancelled = true;
    end_transfer(t);
}

void curl_loop_cancel(struct curl_transfer *t)
{
    cancel(t);
    uv_timer_start(&t->loop->deferred, on_deferred, 0, 0);
}

/* ---- uv -> curl ---- */

static void drive(struct curl_loop *c, curl_socket_t fd, int flags)
{
    int running = 0;
    curl_multi_socket_action(c->multi, fd, flags, &running);
    reap(c);
    deliver(c);
}

static void on_timer(uv_timer_t *timer)
{
    drive(timer->data, CURL_SOCKET_TIMEOUT, 0);
}

static void on_poll(uv_poll_t *handle, int status, int events)
{
    struct watched_socket *s = handle->data;
    int flags = status < 0 ? CURL_CSELECT_ERR : 0;
    if (events & UV_READABLE)
        flags |= CURL_CSELECT_IN;
    if (events & UV_WRITABLE)
        flags |= CURL_CSELECT_OUT;
    drive(s->loop, s->fd, flags);
}

/* ---- curl -> uv ---- */

static int on_curl_timer(CURLM *multi, long timeout_ms, void *ctx)
{
    struct curl_loop *c = ctx;
    (void)multi;
    if (timeout_ms < 0)
        uv_timer_stop(&c->timer);
    else
        uv_timer_start(&c->timer, on_timer, (uint64_t)timeout_ms, 0);
    return 0;
}

static void try_end(struct curl_loop *c)
{
    if (!c->is_multi_gone || c->handles > 0)
        return;
    curl_global_cleanup();
    c->gone(c->owner);
}

static void on_socket_closed(uv_handle_t *handle)
{
    struct watched_socket *s = handle->data;
    struct curl_loop *c = s->loop;
    mem_free(s);
    c->handles--;
    try_end(c);
}

static struct watched_socket *watch(struct curl_loop *c, curl_socket_t fd)
{
    struct watched_socket *s = mem_calloc(1, sizeof(*s));
    if (!s || uv_poll_init_socket(c->loop, &s->handle, fd)) {
        mem_free(s);
        return NULL;
    }
    s->handle.data = s;
    s->loop = c;
    s->fd = fd;
    c->handles++;
    curl_multi_assign(c->multi, fd, s);
    return s;
}

static void starve(struct curl_loop *c, CURL *easy)
{
    struct curl_transfer *t = NULL;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&t);
    if (!t)
        return;
    t->is_starved = true;
    uv_timer_start(&c->deferred, on_deferred, 0, 0);
}

/* An error told to curl from here would end all transfers for ever. A socket that cannot be watched
 * for want of memory is left alone instead, and its transfer ends once curl has returned. */
static int on_curl_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *socket_ctx)
{
    struct curl_loop *c = ctx;
    struct watched_socket *s = socket_ctx;
    if (what == CURL_POLL_REMOVE) {
        if (s)
            uv_close((uv_handle_t *)&s->handle, on_socket_closed);
        return 0;
    }
    int events = (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
    if (!s)
        s = watch(c, fd);
    if (s)
        uv_poll_start(&s->handle, events, on_poll);
    else
        starve(c, easy);
    return 0;
}

/* ---- the start of a transfer ---- */

bool curl_loop_take(struct curl_loop *c, struct curl_transfer *t)
{
    t->loop = c;
    t->easy = c->spare_count > 0 ? c->spare[--c->spare_count] : curl_easy_init();
    return t->easy != NULL;
}

void curl_loop_keep(struct curl_transfer *t)
{
    struct curl_loop *c = t->loop;
    take_out(t);
    if (t->easy && c->spare_count < CURL_LOOP_SPARE_MAX) {
        curl_easy_reset(t->easy);
        c->spare[c->spare_count++] = t->easy;
    } else if (t->easy) {
        curl_easy_cleanup(t->easy);
    }
    t->easy = NULL;
}

bool curl_loop_set(struct curl_transfer *t, uint32_t timeout_ms)
{
    return curl_easy_setopt(t->easy, CURLOPT_PRIVATE, t) == CURLE_OK &&
           curl_easy_setopt(t->easy, CURLOPT_ERRORBUFFER, t->text) == CURLE_OK &&
           curl_easy_setopt(t->easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl_easy_setopt(t->easy, CURLOPT_TIMEOUT_MS, (long)timeout_ms) == CURLE_OK;
}

int curl_loop_start(struct curl_transfer *t)
{
    struct curl_loop *c = t->loop;
    if (curl_multi_add_handle(c->multi, t->easy))
        return BASE_ENOMEM;
    t->is_in_curl = true;
    list_append(&c->active, t);
    c->count++;
    return 0;
}

/* ---- life ---- */

static bool multi_init(struct curl_loop *c, uint32_t connections_per_host)
{
    c->multi = curl_multi_init();
    return c->multi && !curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, on_curl_socket) &&
           !curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c) &&
           !curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, on_curl_timer) &&
           !curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c) &&
           !curl_multi_setopt(c->multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long)connections_per_host);
}

int curl_loop_init(struct curl_loop *c, uv_loop_t *loop, uint32_t connections_per_host,
                   curl_transfer_fn done, curl_loop_gone_fn gone, void *owner)
{
    c->loop = loop;
    c->done = done;
    c->gone = gone;
    c->owner = owner;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return BASE_ENOMEM;
    if (!multi_init(c, connections_per_host)) {
        curl_multi_cleanup(c->multi);
        curl_global_cleanup();
        return BASE_ENOMEM;
    }
    uv_timer_init(loop, &c->timer);
    uv_timer_init(loop, &c->deferred);
    c->timer.data = c;
    c->deferred.data = c;
    c->handles = 2;
    return 0;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct curl_loop *c = handle->data;
    c->handles--;
    try_end(c);
}

/* All transfers were told. Cleaning up curl closes its idle connections and may move our handles.
 */
static void finish_close(struct curl_loop *c)
{
    assert(c->count == 0 && !c->is_multi_gone);
    while (c->spare_count > 0)
        curl_easy_cleanup(c->spare[--c->spare_count]);
    curl_multi_cleanup(c->multi);
    c->is_multi_gone = true;
    uv_close((uv_handle_t *)&c->timer, on_timer_closed);
    uv_close((uv_handle_t *)&c->deferred, on_timer_closed);
}

void curl_loop_close(struct curl_loop *c)
{
    c->is_closing = true;
    while (c->active.first)
        cancel(c->active.first);
    uv_timer_start(&c->deferred, on_deferred, 0, 0);
}
