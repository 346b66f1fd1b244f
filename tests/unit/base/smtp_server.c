#include "smtp_server.h"

#include <netinet/in.h>
#include <strings.h>

#include "base/error.h"

const struct script willing = {.greeting = "220 here\r\n",
                               .ehlo = "250-here\r\n250 SMTPUTF8\r\n",
                               .auth = "235 come in\r\n",
                               .mail = "250 ok\r\n",
                               .rcpt = "250 ok\r\n",
                               .data = "354 go on\r\n",
                               .end = "250 2.0.0 kept\r\n",
                               .rset = "250 ok\r\n"};

static void on_peer_closed(uv_handle_t *handle)
{
    struct peer *p = handle->data;
    struct peer **link = &p->f->peers;
    while (*link != p)
        link = &(*link)->next;
    *link = p->next;
    buf_deinit(&p->in);
    *p = (struct peer){0};
}

static void close_peer(struct peer *p)
{
    if (!uv_is_closing((uv_handle_t *)&p->handle))
        uv_close((uv_handle_t *)&p->handle, on_peer_closed);
}

void say(struct peer *p, const char *text)
{
    if (!text)
        return;
    if (!*text) {
        close_peer(p);
        return;
    }
    uv_buf_t bytes = uv_buf_init((char *)(uintptr_t)text, (unsigned)strlen(text));
    assert_int_equal(uv_try_write((uv_stream_t *)&p->handle, &bytes, 1), strlen(text));
}

static bool is_command(const char *line, const char *name)
{
    return strncasecmp(line, name, strlen(name)) == 0;
}

static void hear(struct peer *p, const char *line)
{
    const struct script *s = &p->f->script;
    buf_append_cstr(&p->f->heard, line);
    buf_append_char(&p->f->heard, '\n');
    if (p->is_in_auth || is_command(line, "EHLO")) {
        say(p, p->is_in_auth ? s->auth : s->ehlo);
        p->is_in_auth = false;
    } else if (is_command(line, "AUTH")) {
        p->is_in_auth = true;
        say(p, "334 \r\n");
    } else if (is_command(line, "MAIL"))
        say(p, s->mail);
    else if (is_command(line, "RCPT"))
        say(p, s->rcpt);
    else if (is_command(line, "RSET"))
        say(p, s->rset);
    else if (is_command(line, "DATA")) {
        p->is_in_data = s->data && s->data[0] == '3';
        buf_reset(&p->f->content);
        say(p, s->data);
    } else if (is_command(line, "QUIT"))
        close_peer(p);
    else
        say(p, "500 what?\r\n");
}

static void hear_content(struct peer *p, const char *line)
{
    struct fixture *f = p->f;
    if (strcmp(line, ".") != 0) {
        buf_append_cstr(&f->content, line);
        buf_append_char(&f->content, '\n');
        return;
    }
    p->is_in_data = false;
    f->mails++;
    say(p, f->script.end);
    if (f->closes_after_mail)
        close_peer(p);
}

static void on_alloc(uv_handle_t *handle, size_t wanted, uv_buf_t *out)
{
    struct peer *p = handle->data;
    (void)wanted;
    *out = uv_buf_init(p->f->chunk, sizeof(p->f->chunk));
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *bytes)
{
    struct peer *p = stream->data;
    char *end;
    if (got < 0) {
        close_peer(p);
        return;
    }
    buf_append(&p->in, bytes->base, (size_t)got);
    while (p->in.len > 0 && (end = memchr(p->in.ptr, '\n', p->in.len))) {
        size_t len = (size_t)(end - p->in.ptr) + 1;
        assert_true(len >= 2 && end[-1] == '\r');
        end[-1] = '\0';
        if (p->is_in_data)
            hear_content(p, p->in.ptr);
        else
            hear(p, p->in.ptr);
        buf_consume(&p->in, len);
    }
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct fixture *f = listener->data;
    struct peer *p = f->pool;
    while (p->f)
        p++;
    assert_int_equal(status, 0);
    assert_int_equal(uv_tcp_init(&f->loop, &p->handle), 0);
    p->handle.data = p;
    p->f = f;
    p->next = f->peers;
    f->peers = p;
    f->accepted++;
    buf_init(&p->in, 4u << 20);
    assert_int_equal(uv_accept(listener, (uv_stream_t *)&p->handle), 0);
    assert_int_equal(uv_read_start((uv_stream_t *)&p->handle, on_alloc, on_read), 0);
    say(p, f->script.greeting);
}

static int listen_on_loopback(struct fixture *f)
{
    struct sockaddr_in address;
    int size = sizeof(address);
    assert_int_equal(uv_ip4_addr("127.0.0.1", 0, &address), 0);
    assert_int_equal(uv_tcp_init(&f->loop, &f->listener), 0);
    f->listener.data = f;
    assert_int_equal(uv_tcp_bind(&f->listener, (struct sockaddr *)&address, 0), 0);
    assert_int_equal(uv_listen((uv_stream_t *)&f->listener, 64, on_connection), 0);
    assert_int_equal(uv_tcp_getsockname(&f->listener, (struct sockaddr *)&address, &size), 0);
    return ntohs(address.sin_port);
}

/* ---- life ---- */

void on_client_closed(void *ctx)
{
    ((struct fixture *)ctx)->client = NULL;
}

void close_client(struct fixture *f)
{
    smtp_client_close(f->client, on_client_closed, f);
    while (f->client)
        uv_run(&f->loop, UV_RUN_ONCE);
}

/* Another client, for other options; `url` NULL: the server's. */
void use_login(struct fixture *f, const char *url, const char *username, const char *password)
{
    f->secrets[0].fixed = url ? url : f->url;
    f->secrets[1].fixed = username;
    f->secrets[2].fixed = password;
    for (int i = 0; i < 3; i++)
        f->secrets[i].version++;
}

void use(struct fixture *f, struct smtp_options options)
{
    if (f->client)
        close_client(f);
    options.url = &f->secrets[0];
    options.username = &f->secrets[1];
    options.password = &f->secrets[2];
    options.timeout_ms = options.timeout_ms ? options.timeout_ms : 20000;
    assert_int_equal(smtp_client_new(&f->loop, &options, &f->client, NULL), 0);
}

static void on_tick(uv_timer_t *timer)
{
    (void)timer;
}

int smtp_setup(void **state)
{
    struct fixture *f = test_calloc(1, sizeof(*f));
    *state = f;
    assert_int_equal(uv_loop_init(&f->loop), 0);
    uv_timer_init(&f->loop, &f->tick);
    uv_timer_start(&f->tick, on_tick, 5, 5);
    f->script = willing;
    buf_init(&f->heard, 1u << 20);
    buf_init(&f->content, 4u << 20);
    snprintf(f->url, sizeof(f->url), "smtp://127.0.0.1:%d", listen_on_loopback(f));
    use_login(f, NULL, NULL, NULL);
    use(f, (struct smtp_options){0});
    return 0;
}

int smtp_teardown(void **state)
{
    struct fixture *f = *state;
    if (f->client)
        close_client(f);
    for (struct peer *p = f->peers; p; p = p->next)
        close_peer(p);
    uv_close((uv_handle_t *)&f->listener, NULL);
    uv_close((uv_handle_t *)&f->tick, NULL);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    buf_deinit(&f->heard);
    buf_deinit(&f->content);
    test_free(f);
    return 0;
}

/* ---- mails ---- */

void on_sent(void *ctx, const struct smtp_result *result)
{
    struct answer *a = ctx;
    a->count++;
    a->result = *result;
}

const struct smtp_mail plain = {SLICE_LIT("todo@example.org"), SLICE_LIT("ann@example.org"),
                                SLICE_LIT("Subject: x\r\n\r\ntext\r\n")};

void start(struct fixture *f, const struct smtp_mail *mail, struct answer *a)
{
    struct error err = {0};
    *a = (struct answer){0};
    if (smtp_send(f->client, mail, on_sent, a, &err))
        fail_msg("%s", err.text);
    assert_int_equal(a->count, 0);
}

void wait_for(struct fixture *f, const struct answer *a)
{
    while (a->count == 0)
        uv_run(&f->loop, UV_RUN_ONCE);
    assert_int_equal(a->count, 1);
}

const struct smtp_result *mail_it(struct fixture *f, const struct smtp_mail *mail)
{
    struct answer *a = &f->answers[0];
    start(f, mail, a);
    wait_for(f, a);
    return &a->result;
}

void assert_result(const struct smtp_result *r, enum smtp_outcome outcome, enum smtp_phase phase,
                   int code)
{
    if (r->outcome != outcome || r->phase != phase || r->code != code)
        fail_msg("outcome %d at %s with %d: %s", r->outcome, smtp_phase_word(r->phase), r->code,
                 r->text);
}

bool has_heard(struct fixture *f, const char *line)
{
    return f->heard.len > 0 && strstr(f->heard.ptr, line);
}
