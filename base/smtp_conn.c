/* One connection. curl makes it ready for a mail; then, a line out and a reply in at a time:
 *
 *   connect -> MAIL -> RCPT -> DATA -> content -> reply -> idle -> MAIL …        (sent)
 *                 4xx, 5xx -> RSET -> idle                                       (refused)
 *   broken, too slow, 421 or no SMTP -> closed
 *
 * A kept connection that the server has closed meanwhile is no failure of the mail: it goes once
 * more, over a new one. */
#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/smtp_int.h"

#define CODE_CLOSING 421

static void write_out(struct smtp_conn *conn);
static void watch(struct smtp_conn *conn);
static void on_deadline(uv_timer_t *timer);

/* ---- replies ---- */

/* The words of a reply, its lines with a blank between; no control characters. */
static void add_words(struct smtp_conn *conn, const char *text, size_t len)
{
    size_t room = sizeof(conn->words) - 1;
    if (conn->words_len > 0 && conn->words_len < room)
        conn->words[conn->words_len++] = ' ';
    for (size_t i = 0; i < len && conn->words_len < room; i++) {
        unsigned char c = (unsigned char)text[i];
        conn->words[conn->words_len++] = (char)(c < 0x20 || c == 0x7f ? ' ' : c);
    }
    conn->words[conn->words_len] = '\0';
}

/* "250-text", "250 text", "250". False: this is no reply. */
static bool read_line(struct smtp_conn *conn, const char *line, size_t len, bool *is_last)
{
    while (len > 0 && (line[len - 1] == '\r' || line[len - 1] == '\n'))
        len--;
    for (size_t i = 0; i < 3; i++) {
        if (i >= len || line[i] < '0' || line[i] > '9')
            return false;
    }
    if (!conn->is_continued)
        conn->words_len = 0;
    conn->code = (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0');
    *is_last = len == 3 || line[3] != '-';
    conn->is_continued = !*is_last;
    add_words(conn, line + (len > 3 ? 4 : 3), len > 3 ? len - 4 : 0);
    return true;
}

/* ---- the end of a mail ---- */

static void set_text(struct smtp_result *result, const char *text)
{
    struct error clean = {0}; /* cuts and cleans UTF-8 */
    error_set(&clean, 0, NULL, "%s", text);
    memcpy(result->text, clean.text, sizeof(result->text));
}

static void end_op(struct smtp_conn *conn, enum smtp_outcome outcome, int code, const char *text)
{
    struct smtp_op *op = conn->op;
    struct smtp_result result = {.outcome = outcome, .phase = conn->phase, .code = code};
    set_text(&result, text);
    conn->op = NULL;
    smtp_op_end(conn->client, op, &result);
}

/* Not about this mail: the login, or the server as a whole. */
static bool is_about_session(int code)
{
    return code == CODE_CLOSING || code == 530 || code == 534 || code == 535 || code == 538;
}

/* ---- the end of a connection ---- */

static void try_free(struct smtp_conn *conn)
{
    struct smtp_client *c = conn->client;
    if (conn->handles > 0 || conn->transfer.easy)
        return;
    mem_free(conn);
    smtp_conn_gone(c);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct smtp_conn *conn = handle->data;
    conn->handles--;
    try_free(conn);
}

static void list_remove(struct smtp_conn *conn)
{
    if (conn->prev)
        conn->prev->next = conn->next;
    else
        conn->client->conns = conn->next;
    if (conn->next)
        conn->next->prev = conn->prev;
}

/* The handles end first, since curl closes the socket that they watch. */
static void discard(struct smtp_conn *conn)
{
    conn->is_closing = true;
    list_remove(conn);
    uv_close((uv_handle_t *)&conn->timer, on_handle_closed);
    if (conn->has_poll)
        uv_close((uv_handle_t *)&conn->poll, on_handle_closed);
    if (conn->is_connecting)
        curl_loop_cancel(&conn->transfer); /* smtp_conn_on_transfer comes yet */
    else
        curl_loop_keep(&conn->transfer);
}

/* It is of no more use. A mail whose content went out whole may have arrived. */
void smtp_conn_close(struct smtp_conn *conn, const char *why)
{
    size_t sent;
    if (conn->is_closing)
        return;
    if (conn->has_poll && smtp_conn_is_idle(conn))
        (void)curl_easy_send(conn->transfer.easy, "QUIT\r\n", 6, &sent);
    discard(conn);
    if (conn->op)
        end_op(conn, conn->phase == SMTP_END ? SMTP_UNKNOWN : SMTP_TEMPORARY, 0, why);
}

/* It was a kept one, and the server has ended it before it heard of this mail: the mail is first in
 * the queue again. */
static bool gives_back(struct smtp_conn *conn)
{
    struct smtp_op *op = conn->op;
    if (!op || !conn->is_reused || conn->phase != SMTP_SENDER || op->was_tried)
        return false;
    op->was_tried = true;
    conn->op = NULL;
    smtp_op_requeue(conn->client, op);
    return true;
}

static void lose(struct smtp_conn *conn, const char *why)
{
    (void)gives_back(conn);
    smtp_conn_close(conn, why);
}

/* ---- a mail ---- */

bool smtp_conn_is_idle(const struct smtp_conn *conn)
{
    return !conn->is_closing && conn->has_poll && !conn->op && !conn->is_resetting;
}

static void on_idle_too_long(uv_timer_t *timer)
{
    smtp_conn_close(timer->data, "");
}

static void become_idle(struct smtp_conn *conn)
{
    uv_timer_start(&conn->timer, on_idle_too_long, conn->client->options.idle_ms, 0);
    smtp_wake(conn->client);
}

static void say(struct smtp_conn *conn, int len)
{
    assert(len > 0 && (size_t)len < sizeof(conn->command));
    conn->out = conn->command;
    conn->out_len = (size_t)len;
    write_out(conn);
}

static void start_deadline(struct smtp_conn *conn)
{
    uint64_t now = uv_now(conn->client->curl.loop);
    uint64_t end = conn->op->deadline_ms;
    uv_timer_start(&conn->timer, on_deadline, end > now ? end - now : 0, 0);
}

/* Of a connection that is ready for it. */
static void begin_mail(struct smtp_conn *conn)
{
    conn->phase = SMTP_SENDER;
    if (conn->op->is_utf8 && !conn->has_utf8) {
        end_op(conn, SMTP_PERMANENT, 0,
               "the server takes only addresses of ASCII characters (it offers no SMTPUTF8)");
        become_idle(conn);
        return;
    }
    say(conn, snprintf(conn->command, sizeof(conn->command), "MAIL FROM:<%s>%s\r\n", conn->op->from,
                       conn->op->is_utf8 ? " SMTPUTF8" : ""));
}

void smtp_conn_begin(struct smtp_conn *conn, struct smtp_op *op)
{
    conn->op = op;
    conn->is_reused = true;
    start_deadline(conn);
    begin_mail(conn);
}

static void go_on(struct smtp_conn *conn)
{
    switch (conn->phase) {
    case SMTP_SENDER:
        conn->phase = SMTP_RECIPIENT;
        say(conn, snprintf(conn->command, sizeof(conn->command), "RCPT TO:<%s>\r\n", conn->op->to));
        break;
    case SMTP_RECIPIENT:
        conn->phase = SMTP_DATA;
        say(conn, snprintf(conn->command, sizeof(conn->command), "DATA\r\n"));
        break;
    case SMTP_DATA:
        conn->phase = SMTP_CONTENT;
        conn->out = conn->op->data.ptr;
        conn->out_len = conn->op->data.len;
        write_out(conn);
        break;
    case SMTP_WAITING:
    case SMTP_CONNECTING:
    case SMTP_CONTENT:
    case SMTP_END:
        break;
    }
}

static void refuse(struct smtp_conn *conn)
{
    enum smtp_phase phase = conn->phase;
    bool is_permanent = conn->code >= 500 && !is_about_session(conn->code);
    if (conn->code == CODE_CLOSING && gives_back(conn)) {
        smtp_conn_close(conn, "");
        return;
    }
    bool is_usable = conn->code >= 400 && conn->code != CODE_CLOSING && phase != SMTP_CONTENT;
    int code = conn->code;
    if (!is_usable)
        discard(conn);
    end_op(conn, is_permanent ? SMTP_PERMANENT : SMTP_TEMPORARY, code, conn->words);
    if (!is_usable)
        return;
    if (phase == SMTP_END) {
        become_idle(conn);
    } else {
        conn->is_resetting = true;
        uv_timer_start(&conn->timer, on_idle_too_long, conn->client->options.idle_ms, 0);
        say(conn, snprintf(conn->command, sizeof(conn->command), "RSET\r\n"));
    }
}

static void on_reply(struct smtp_conn *conn)
{
    int kind = conn->code / 100;
    if (conn->is_resetting && kind == 2) {
        conn->is_resetting = false;
        become_idle(conn);
    } else if (!conn->op) {
        smtp_conn_close(conn, ""); /* "421 idle for too long" */
    } else if (conn->phase == SMTP_END && kind == 2) {
        end_op(conn, SMTP_SENT, conn->code, conn->words);
        become_idle(conn);
    } else if (conn->phase == SMTP_DATA ? conn->code == 354
                                        : kind == 2 && conn->phase != SMTP_CONTENT) {
        go_on(conn);
    } else {
        refuse(conn);
    }
}

/* ---- bytes ---- */

static void on_poll(uv_poll_t *handle, int status, int events);

static void watch(struct smtp_conn *conn)
{
    uv_poll_start(&conn->poll, UV_READABLE | (conn->out_len > 0 ? UV_WRITABLE : 0), on_poll);
}

static void write_out(struct smtp_conn *conn)
{
    while (conn->out_len > 0) {
        size_t sent = 0;
        CURLcode code = curl_easy_send(conn->transfer.easy, conn->out, conn->out_len, &sent);
        if (code == CURLE_AGAIN)
            break;
        if (code != CURLE_OK) { /* what the server said before it closed is to be read */
            conn->out_len = 0;
            watch(conn);
            return;
        }
        conn->out += sent;
        conn->out_len -= sent;
    }
    if (conn->out_len == 0 && conn->phase == SMTP_CONTENT)
        conn->phase = SMTP_END;
    watch(conn);
}

/* Whole lines of conn->in; false once the connection is at its end. */
static bool take_lines(struct smtp_conn *conn)
{
    size_t at = 0;
    const char *end;
    while ((end = memchr(conn->in + at, '\n', conn->in_len - at))) {
        bool is_last = false;
        size_t len = (size_t)(end - (conn->in + at)) + 1;
        if (!read_line(conn, conn->in + at, len, &is_last)) {
            smtp_conn_close(conn, "the server does not speak SMTP");
            return false;
        }
        at += len;
        if (is_last)
            on_reply(conn);
        if (conn->is_closing)
            return false;
    }
    conn->in_len -= at;
    memmove(conn->in, conn->in + at, conn->in_len);
    if (conn->in_len == sizeof(conn->in)) {
        smtp_conn_close(conn, "the server's reply has an endless line");
        return false;
    }
    return true;
}

static void read_in(struct smtp_conn *conn)
{
    CURLcode code = CURLE_OK;
    while (code == CURLE_OK) {
        size_t got = 0;
        code = curl_easy_recv(conn->transfer.easy, conn->in + conn->in_len,
                              sizeof(conn->in) - conn->in_len, &got);
        if (code == CURLE_AGAIN)
            return;
        conn->in_len += got;
        if (code != CURLE_OK || got == 0)
            break;
        if (!take_lines(conn))
            return;
    }
    lose(conn, "the server closed the connection");
}

static void on_poll(uv_poll_t *handle, int status, int events)
{
    struct smtp_conn *conn = handle->data;
    if (status < 0) {
        lose(conn, "the connection broke");
        return;
    }
    if (events & UV_WRITABLE)
        write_out(conn);
    if (events & UV_READABLE)
        read_in(conn);
}

static void on_deadline(uv_timer_t *timer)
{
    smtp_conn_close(timer->data, "the server took too long");
}

/* ---- connecting ---- */

/* Each line of what the server says until it is ready for a mail. */
static size_t on_greeting(char *bytes, size_t size, size_t count, void *ctx)
{
    struct smtp_conn *conn = ctx;
    size_t len = size * count;
    bool is_last;
    if (read_line(conn, bytes, len, &is_last) && len >= 12)
        conn->has_utf8 = conn->has_utf8 || strncasecmp(bytes + 4, "SMTPUTF8", 8) == 0;
    return len;
}

static void explain(struct smtp_conn *conn, struct smtp_result *result)
{
    CURLcode code = conn->transfer.code;
    const char *text = conn->transfer.text[0] ? conn->transfer.text : curl_easy_strerror(code);
    bool has_reply = conn->code >= 400;
    result->code = has_reply ? conn->code : 0;
    if (has_reply)
        text = conn->words;
    else if (code == CURLE_USE_SSL_FAILED)
        text = "the server offers no STARTTLS, without which nothing is sent";
    else if (code == CURLE_LOGIN_DENIED)
        text = "the server takes no login of the kinds that are known here";
    else if (code == CURLE_OPERATION_TIMEDOUT)
        text = "the server took too long";
    set_text(result, text);
}

static void fail_to_connect(struct smtp_conn *conn)
{
    struct smtp_result result = {.outcome = SMTP_TEMPORARY, .phase = SMTP_CONNECTING};
    struct smtp_op *op = conn->op;
    explain(conn, &result);
    conn->op = NULL;
    discard(conn);
    smtp_op_end(conn->client, op, &result);
}

static void take_over(struct smtp_conn *conn)
{
    curl_socket_t fd = CURL_SOCKET_BAD;
    if (curl_easy_getinfo(conn->transfer.easy, CURLINFO_ACTIVESOCKET, &fd) != CURLE_OK ||
        fd == CURL_SOCKET_BAD ||
        uv_poll_init_socket(conn->client->curl.loop, &conn->poll, fd) != 0) {
        smtp_conn_close(conn, "the connection cannot be watched");
        return;
    }
    conn->poll.data = conn;
    conn->has_poll = true;
    conn->handles++;
    begin_mail(conn);
}

void smtp_conn_on_transfer(struct curl_transfer *t)
{
    struct smtp_conn *conn = (struct smtp_conn *)t;
    conn->is_connecting = false;
    if (conn->is_closing) {
        curl_loop_keep(t);
        try_free(conn);
    } else if (t->code != CURLE_OK) {
        fail_to_connect(conn);
    } else {
        take_over(conn);
    }
}

static bool set_login(CURL *easy, const struct smtp_way *w)
{
    return (!w->username || curl_easy_setopt(easy, CURLOPT_USERNAME, w->username) == CURLE_OK) &&
           (!w->password || curl_easy_setopt(easy, CURLOPT_PASSWORD, w->password) == CURLE_OK);
}

static bool set_options(struct smtp_conn *conn, uint32_t timeout_ms)
{
    const struct smtp_client *c = conn->client;
    const struct smtp_way *way = smtp_way_now(conn->client);
    CURL *easy = conn->transfer.easy;
    long use_ssl = way->starttls == SMTP_STARTTLS_REQUIRED ? CURLUSESSL_ALL : CURLUSESSL_NONE;
    return curl_loop_set(&conn->transfer, timeout_ms) && set_login(easy, way) &&
           curl_easy_setopt(easy, CURLOPT_URL, way->url) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "smtp,smtps") == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_CONNECT_ONLY, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_NOPROXY, "*") == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_USE_SSL, use_ssl) == CURLE_OK &&
           (!c->ca_file || curl_easy_setopt(easy, CURLOPT_CAINFO, c->ca_file) == CURLE_OK) &&
           curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_greeting) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_HEADERDATA, conn) == CURLE_OK;
}

static void list_add(struct smtp_client *c, struct smtp_conn *conn)
{
    conn->next = c->conns;
    if (c->conns)
        c->conns->prev = conn;
    c->conns = conn;
    c->conn_count++;
    c->opened++;
}

int smtp_conn_open(struct smtp_client *c, struct smtp_op *op)
{
    struct smtp_conn *conn = mem_calloc(1, sizeof(*conn));
    uint64_t left_ms = op->deadline_ms - uv_now(c->curl.loop);
    if (!conn)
        return BASE_ENOMEM;
    conn->client = c;
    conn->transfer.stays = true;
    if (!curl_loop_take(&c->curl, &conn->transfer) || !set_options(conn, (uint32_t)left_ms) ||
        curl_loop_start(&conn->transfer)) {
        curl_loop_keep(&conn->transfer);
        mem_free(conn);
        return BASE_ENOMEM;
    }
    uv_timer_init(c->curl.loop, &conn->timer);
    conn->timer.data = conn;
    conn->handles = 1;
    conn->op = op;
    conn->phase = SMTP_CONNECTING;
    conn->is_connecting = true;
    list_add(c, conn);
    start_deadline(conn);
    return 0;
}
