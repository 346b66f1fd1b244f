/* smtp_send -> queue -> on_work -> an idle connection, or a new one (smtp_conn.c) -> smtp_op_end
 *                               -> waited too long -> smtp_op_end */
#include "base/smtp.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/smtp_int.h"
#include "base/utf8.h"

#define CONNECTIONS_MAX 4
#define QUEUE_MAX       1024
#define TIMEOUT_MS      30000
#define IDLE_MS         30000
#define ADDRESS_MAX     254 /* RFC 5321 section 4.5.3.1.3, less the brackets */
#define LOCAL_PART_MAX  64
#define TEXT_LINE_MAX   998 /* RFC 5322 section 2.1.1 */

const char *smtp_phase_word(enum smtp_phase phase)
{
    switch (phase) {
#define X(name, word)                                                                              \
    case name:                                                                                     \
        return word;
        SMTP_PHASES(X)
#undef X
    }
    return "";
}

const char *smtp_outcome_word(enum smtp_outcome outcome)
{
    switch (outcome) {
    case SMTP_SENT:
        return "sent";
    case SMTP_TEMPORARY:
        return "temporary";
    case SMTP_PERMANENT:
        return "permanent";
    case SMTP_UNKNOWN:
        return "unknown";
    }
    return "";
}

/* ---- addresses ---- */

/* RFC 5322 section 3.2.3, and RFC 6532: what is beyond ASCII. */
static bool is_atom_char(unsigned char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           c >= 0x80 || (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c));
}

static bool is_dot_atom(struct slice s)
{
    bool is_after_dot = true;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == '.' ? is_after_dot : !is_atom_char((unsigned char)s.ptr[i]))
            return false;
        is_after_dot = s.ptr[i] == '.';
    }
    return !is_after_dot;
}

/* [192.0.2.1], [IPv6:2001:db8::1] */
static bool is_literal(struct slice s)
{
    if (s.len < 3 || s.ptr[0] != '[' || s.ptr[s.len - 1] != ']')
        return false;
    for (size_t i = 1; i + 1 < s.len; i++) {
        if (!strchr("0123456789abcdefABCDEFIPv:.", s.ptr[i]) || !s.ptr[i])
            return false;
    }
    return true;
}

static bool is_host(struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (c > 0 && c != '.' && c != '-' && !(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'z') &&
            !(c >= 'A' && c <= 'Z'))
            return false;
    }
    return is_dot_atom(s);
}

static bool is_utf8(struct slice s)
{
    for (size_t i = 0; i < s.len;) {
        size_t len = utf8_length_at(s.ptr + i, s.len - i);
        if (len == 0)
            return false;
        i += len;
    }
    return true;
}

bool smtp_is_address(struct slice text)
{
    const char *at = text.len >= 3 ? memchr(text.ptr, '@', text.len) : NULL;
    if (!at || text.len > ADDRESS_MAX || !is_utf8(text))
        return false;
    struct slice local = {text.ptr, (size_t)(at - text.ptr)};
    struct slice host = {at + 1, text.len - local.len - 1};
    return local.len <= LOCAL_PART_MAX && is_dot_atom(local) && (is_host(host) || is_literal(host));
}

static bool is_ascii(struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        if ((unsigned char)s.ptr[i] >= 0x80)
            return false;
    }
    return true;
}

/* ---- a mail in hand ---- */

/* Whole lines, each ended by CRLF; *dots of them begin with a dot. */
static bool is_text(struct slice text, size_t *dots)
{
    size_t line = 0; /* where it begins */
    *dots = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        bool is_end = c == '\r' && i + 1 < text.len && text.ptr[i + 1] == '\n';
        if (c == '\0' || (!is_end && (c == '\r' || c == '\n')))
            return false;
        if (!is_end)
            continue;
        if (i - line > TEXT_LINE_MAX)
            return false;
        *dots += text.ptr[line] == '.';
        line = ++i + 1;
    }
    return text.len > 0 && line == text.len;
}

static void append(char **at, struct slice bytes)
{
    memcpy(*at, bytes.ptr, bytes.len);
    *at += bytes.len;
}

/* RFC 5321 section 4.5.2: a leading dot is doubled; a dot alone ends the data. */
static void append_data(char **at, struct slice text)
{
    for (size_t line = 0; line < text.len;) {
        const char *end = memchr(text.ptr + line, '\n', text.len - line);
        struct slice bytes = {text.ptr + line, (size_t)(end - (text.ptr + line)) + 1};
        if (*bytes.ptr == '.')
            append(at, SLICE_LIT("."));
        append(at, bytes);
        line += bytes.len;
    }
    append(at, SLICE_LIT(".\r\n"));
}

static struct smtp_op *op_new(const struct smtp_mail *mail, size_t dots)
{
    size_t data_len = mail->text.len + dots + 3;
    struct smtp_op *op = mem_calloc(1, sizeof(*op) + mail->from.len + mail->to.len + 2 + data_len);
    if (!op)
        return NULL;
    char *at = op->bytes;
    op->from = at;
    append(&at, mail->from);
    op->to = ++at;
    append(&at, mail->to);
    op->data = (struct slice){++at, data_len};
    append_data(&at, mail->text);
    op->is_utf8 = !is_ascii(mail->from) || !is_ascii(mail->to);
    op->started_us = (uint64_t)clock_monotonic_us();
    return op;
}

void smtp_op_end(struct smtp_client *c, struct smtp_op *op, const struct smtp_result *result)
{
    struct smtp_result told = *result;
    told.took_us = (uint64_t)clock_monotonic_us() - op->started_us;
    c->op_count--;
    op->fn(op->ctx, &told);
    mem_free(op);
}

/* ---- the queue ---- */

static void queue_push(struct smtp_client *c, struct smtp_op *op)
{
    op->next = NULL;
    if (c->queue_last)
        c->queue_last->next = op;
    else
        c->queue_first = op;
    c->queue_last = op;
}

static struct smtp_op *queue_pop(struct smtp_client *c)
{
    struct smtp_op *op = c->queue_first;
    c->queue_first = op->next;
    if (!c->queue_first)
        c->queue_last = NULL;
    return op;
}

void smtp_op_requeue(struct smtp_client *c, struct smtp_op *op)
{
    op->next = c->queue_first;
    c->queue_first = op;
    if (!c->queue_last)
        c->queue_last = op;
    smtp_wake(c);
}

static void end_waiting(struct smtp_client *c, const char *why)
{
    struct smtp_result result = {.outcome = SMTP_TEMPORARY, .phase = SMTP_WAITING};
    struct error text = {0};
    error_set(&text, 0, NULL, "%s", why);
    memcpy(result.text, text.text, sizeof(result.text));
    smtp_op_end(c, queue_pop(c), &result);
}

static struct smtp_conn *idle_connection(const struct smtp_client *c)
{
    struct smtp_conn *conn = c->conns;
    while (conn && !smtp_conn_is_idle(conn))
        conn = conn->next;
    return conn;
}

/* False: the first of the queue has to wait. */
static bool try_first(struct smtp_client *c)
{
    struct smtp_conn *conn = idle_connection(c);
    if (c->queue_first->deadline_ms <= uv_now(c->curl.loop)) {
        end_waiting(c, "no connection to the server came free in time");
    } else if (conn) {
        smtp_conn_begin(conn, queue_pop(c));
    } else if (c->conn_count < c->options.connections_max) {
        struct smtp_op *op = queue_pop(c);
        if (smtp_conn_open(c, op)) {
            smtp_op_requeue(c, op);
            end_waiting(c, "out of memory");
        }
    } else {
        return false;
    }
    return true;
}

static void end_all(struct smtp_client *c);

static void on_work(uv_timer_t *timer)
{
    struct smtp_client *c = timer->data;
    if (c->is_closing) {
        end_all(c);
        return;
    }
    while (c->queue_first && try_first(c))
        ;
    if (c->queue_first && !c->is_closing)
        uv_timer_start(&c->work, on_work, c->queue_first->deadline_ms - uv_now(c->curl.loop), 0);
}

void smtp_wake(struct smtp_client *c)
{
    if (!uv_is_closing((uv_handle_t *)&c->work))
        uv_timer_start(&c->work, on_work, 0, 0);
}

int smtp_send(struct smtp_client *c, const struct smtp_mail *mail, smtp_fn fn, void *ctx,
              struct error *err)
{
    size_t dots;
    if (c->is_closing)
        return error_set(err, BASE_ECLOSED, NULL, "the SMTP client is closed");
    if (c->op_count >= c->options.queue_max)
        return error_set(err, BASE_ELIMIT, NULL, "too many mails are in hand");
    if (!smtp_is_address(mail->from) || !smtp_is_address(mail->to))
        return error_set(err, BASE_EINVAL, "address", "this is no e-mail address");
    bool has_8_bit = !is_ascii(mail->text) && is_ascii(mail->from) && is_ascii(mail->to);
    if (!is_text(mail->text, &dots) || has_8_bit)
        return error_set(err, BASE_EINVAL, "text", "the mail is no text of lines with CRLF");
    struct smtp_op *op = op_new(mail, dots);
    if (!op)
        return error_set(err, BASE_ENOMEM, NULL, "out of memory");
    op->fn = fn;
    op->ctx = ctx;
    op->deadline_ms = uv_now(c->curl.loop) + c->options.timeout_ms;
    c->op_count++;
    queue_push(c, op);
    smtp_wake(c);
    return 0;
}

uint64_t smtp_connections(const struct smtp_client *c)
{
    return c->opened;
}

/* ---- the options ---- */

/* *out stays NULL where there is none. False without memory. */
static bool take_part(CURLU *url, CURLUPart part, unsigned flags, char **out)
{
    char *text = NULL;
    CURLUcode code = curl_url_get(url, part, &text, flags);
    if (code == CURLUE_OK)
        *out = mem_strdup(text);
    curl_free(text);
    return *out || (code != CURLUE_OK && code != CURLUE_OUT_OF_MEMORY);
}

static bool take_text(const char *text, char **out)
{
    *out = text ? mem_strdup(text) : NULL;
    return *out || !text;
}

static bool is_loopback(const char *host)
{
    return strcasecmp(host, "localhost") == 0 || strncmp(host, "127.", 4) == 0 ||
           strcmp(host, "[::1]") == 0;
}

static bool starts_with(const char *text, const char *prefix)
{
    return strncasecmp(text, prefix, strlen(prefix)) == 0;
}

/* A password with a bare "/" would end up in the path, and with it in an EHLO. */
static bool has_stray_at(CURLU *url)
{
    char *path = NULL;
    bool has = curl_url_get(url, CURLUPART_PATH, &path, 0) == CURLUE_OK && strchr(path, '@');
    curl_free(path);
    return has;
}

static bool take_secret(const struct secret *secret, CURLU *url, CURLUPart part, char **out)
{
    const char *text = secret_text(secret);
    return text ? take_text(text, out) : take_part(url, part, CURLU_URLDECODE, out);
}

static bool take_login(struct smtp_way *w, CURLU *url, const struct smtp_options *o)
{
    return take_secret(o->username, url, CURLUPART_USER, &w->username) &&
           take_secret(o->password, url, CURLUPART_PASSWORD, &w->password) &&
           !curl_url_set(url, CURLUPART_USER, NULL, 0) &&
           !curl_url_set(url, CURLUPART_PASSWORD, NULL, 0);
}

static void choose_starttls(struct smtp_way *w, enum smtp_starttls wanted, const char *host)
{
    if (wanted != SMTP_STARTTLS_AUTO)
        w->starttls = wanted;
    else
        w->starttls = is_loopback(host) ? SMTP_STARTTLS_NEVER : SMTP_STARTTLS_REQUIRED;
}

/* Takes the URL apart; credentials are kept by themselves. 0, BASE_EINVAL or BASE_ENOMEM. */
static int split_url(struct smtp_way *w, CURLU *url, const struct smtp_options *o)
{
    char *port = NULL;
    const char *text = secret_text(o->url);
    if (!text || (!starts_with(text, "smtp://") && !starts_with(text, "smtps://")))
        return BASE_EINVAL;
    CURLUcode code = curl_url_set(url, CURLUPART_URL, text, 0);
    if (code)
        return code == CURLUE_OUT_OF_MEMORY ? BASE_ENOMEM : BASE_EINVAL;
    if (has_stray_at(url))
        return BASE_EINVAL;
    bool is_whole = take_part(url, CURLUPART_HOST, 0, &w->host) && w->host &&
                    take_part(url, CURLUPART_PORT, CURLU_DEFAULT_PORT, &port) && port &&
                    take_login(w, url, o) && take_part(url, CURLUPART_URL, 0, &w->url) && w->url;
    if (is_whole) {
        choose_starttls(w, o->starttls, w->host);
        w->port = strtol(port, NULL, 10);
    }
    mem_free(port);
    return is_whole ? 0 : BASE_ENOMEM;
}

static uint32_t version_of(const struct smtp_options *o)
{
    return secret_version(o->url) + secret_version(o->username) + secret_version(o->password);
}

static void way_deinit(struct smtp_way *w)
{
    mem_free(w->url);
    mem_free(w->host);
    mem_free(w->username);
    mem_free(w->password);
}

/* On failure *w has to be ended too. */
static int way_init(struct smtp_way *w, const struct smtp_options *o, struct error *err)
{
    *w = (struct smtp_way){.version = version_of(o)};
    CURLU *url = curl_url();
    int status = url ? split_url(w, url, o) : BASE_ENOMEM;
    curl_url_cleanup(url);
    if (status == BASE_EINVAL)
        error_set(err, status, "url",
                  "the URL has not the form smtp://host:587 or smtps://host:465 (with "
                  "user:password@ before the host; their / : @ as %%2F %%3A %%40)");
    else if (status)
        error_set(err, status, NULL, "out of memory");
    return status;
}

const struct smtp_way *smtp_way_now(struct smtp_client *c)
{
    struct smtp_way fresh;
    if (version_of(&c->options) == c->way.version)
        return &c->way;
    bool is_good = !way_init(&fresh, &c->options, NULL);
    way_deinit(is_good ? &c->way : &fresh);
    if (is_good)
        c->way = fresh;
    return &c->way;
}

static int take_options(struct smtp_client *c, const struct smtp_options *o, struct error *err)
{
    c->options = *o;
    c->options.ca_file = NULL;
    c->options.connections_max = o->connections_max ? o->connections_max : CONNECTIONS_MAX;
    c->options.queue_max = o->queue_max ? o->queue_max : QUEUE_MAX;
    c->options.timeout_ms = o->timeout_ms ? o->timeout_ms : TIMEOUT_MS;
    c->options.idle_ms = o->idle_ms ? o->idle_ms : IDLE_MS;
    int status = way_init(&c->way, o, err);
    if (!status && !take_text(o->ca_file, &c->ca_file))
        status = error_set(err, BASE_ENOMEM, NULL, "out of memory");
    return status;
}

const char *smtp_host(const struct smtp_client *c)
{
    return c->way.host;
}

int64_t smtp_port(const struct smtp_client *c)
{
    return c->way.port;
}

/* ---- life ---- */

static void client_free(struct smtp_client *c)
{
    way_deinit(&c->way);
    mem_free(c->ca_file);
    mem_free(c);
}

int smtp_options_check(const struct smtp_options *options, struct error *err)
{
    struct smtp_client *c = mem_calloc(1, sizeof(*c));
    if (!c)
        return error_set(err, BASE_ENOMEM, NULL, "out of memory");
    int status = take_options(c, options, err);
    client_free(c);
    return status;
}

static void on_gone(void *owner)
{
    struct smtp_client *c = owner;
    smtp_closed_fn closed = c->closed;
    void *ctx = c->closed_ctx;
    client_free(c);
    closed(ctx);
}

int smtp_client_new(uv_loop_t *loop, const struct smtp_options *options, struct smtp_client **out,
                    struct error *err)
{
    struct smtp_client *c = mem_calloc(1, sizeof(*c));
    if (!c)
        return error_set(err, BASE_ENOMEM, NULL, "out of memory");
    int status = take_options(c, options, err);
    if (!status && curl_loop_init(&c->curl, loop, c->options.connections_max, smtp_conn_on_transfer,
                                  on_gone, c))
        status = error_set(err, BASE_ENOMEM, NULL, "out of memory");
    if (status) {
        client_free(c);
        return status;
    }
    uv_timer_init(loop, &c->work);
    c->work.data = c;
    *out = c;
    return 0;
}

static void try_end(struct smtp_client *c)
{
    if (c->is_work_closed && c->conn_count == 0)
        curl_loop_close(&c->curl);
}

static void on_work_closed(uv_handle_t *handle)
{
    struct smtp_client *c = handle->data;
    c->is_work_closed = true;
    try_end(c);
}

void smtp_conn_gone(struct smtp_client *c)
{
    c->conn_count--;
    if (c->is_closing)
        try_end(c);
    else
        smtp_wake(c);
}

static void end_all(struct smtp_client *c)
{
    while (c->queue_first)
        end_waiting(c, "the SMTP client was closed");
    while (c->conns)
        smtp_conn_close(c->conns, "the SMTP client was closed");
    uv_close((uv_handle_t *)&c->work, on_work_closed);
}

void smtp_client_close(struct smtp_client *c, smtp_closed_fn closed, void *ctx)
{
    c->is_closing = true;
    c->closed = closed;
    c->closed_ctx = ctx;
    smtp_wake(c);
}
