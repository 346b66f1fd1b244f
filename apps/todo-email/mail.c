#include "email/mail.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/base64.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/smtp.h"
#include "base/utf8.h"

#define LINE_MAX_QP   75 /* and the "=" of a soft break: RFC 2045 section 6.7 */
#define WORD_BYTES    45 /* in base64 60 characters; with "=?UTF-8?B?" and "?=" 72 of 75 */
#define SUBJECT_PLAIN 60
#define TASK_ID       "{task_id}"
#define TEXT_MAX      65536
#define LINK_MAX      1000

/* ---- the sender ---- */

static bool is_printable(const char *text)
{
    for (; *text; text++) {
        if (*text < 0x20 || *text > 0x7e)
            return false;
    }
    return true;
}

/* The name stands in quotes, without what would have to be escaped there. */
static bool is_name(const char *name)
{
    return is_printable(name) && !strpbrk(name, "\"\\<>");
}

static struct slice trim(struct slice s)
{
    while (s.len > 0 && (s.ptr[0] == ' ' || s.ptr[0] == '"')) {
        s.ptr++;
        s.len--;
    }
    while (s.len > 0 && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '"'))
        s.len--;
    return s;
}

int mail_sender_parse(const char *text, struct mail_sender *out, struct error *err)
{
    struct slice name = SLICE_EMPTY;
    struct slice address = slice_from_cstr(text);
    const char *open = strchr(text, '<');
    size_t len = strlen(text);
    *out = (struct mail_sender){0};
    if (open && text[len - 1] == '>') {
        name = trim((struct slice){text, (size_t)(open - text)});
        address = (struct slice){open + 1, len - (size_t)(open - text) - 2};
    }
    if (!smtp_is_address(address) || name.len >= sizeof(out->name))
        return error_set(err, BASE_EINVAL, NULL,
                         "expected an address such as todo@example.org or Todo "
                         "<todo@example.org>");
    snprintf(out->name, sizeof(out->name), "%.*s", (int)name.len, name.len ? name.ptr : "");
    snprintf(out->address, sizeof(out->address), "%.*s", (int)address.len, address.ptr);
    if (!is_name(out->name) || !is_printable(out->address))
        return error_set(err, BASE_EINVAL, NULL,
                         "the name and the address have ASCII characters only, no quotes");
    out->domain = slice_from_cstr(strchr(out->address, '@') + 1);
    return 0;
}

int mail_link_check(const char *link, struct error *err)
{
    bool is_web = strncasecmp(link, "https://", 8) == 0 || strncasecmp(link, "http://", 7) == 0;
    if (!is_web || strlen(link) > LINK_MAX || !strstr(link, TASK_ID) || !is_printable(link) ||
        strpbrk(link, " \"<>\\^`|"))
        return error_set(err, BASE_EINVAL, NULL,
                         "expected a URL of at most 1,000 characters such as "
                         "https://todo.example.org/tasks/{task_id}");
    return 0;
}

/* ---- text ---- */

/* What a line of text must not have: C0, DEL, C1, and Unicode's own line ends. */
static bool is_control(const char *at, size_t len)
{
    unsigned char c = (unsigned char)at[0];
    return (len == 1 && (c < 0x20 || c == 0x7f)) ||
           (len == 2 && c == 0xc2 && (unsigned char)at[1] < 0xa0) ||
           (len == 3 && (memcmp(at, "\xe2\x80\xa8", 3) == 0 || memcmp(at, "\xe2\x80\xa9", 3) == 0));
}

void mail_append_title(struct buf *out, struct slice title)
{
    size_t count = 0;
    for (size_t i = 0; i < title.len; count++) {
        size_t len = utf8_length_at(title.ptr + i, title.len - i);
        if (count == MAIL_TITLE_MAX) {
            buf_append_cstr(out, "\xe2\x80\xa6"); /* an ellipsis */
            return;
        }
        if (len == 0)
            buf_append_cstr(out, "?");
        else if (is_control(title.ptr + i, len))
            buf_append_char(out, ' ');
        else
            buf_append(out, title.ptr + i, len);
        i += len > 0 ? len : 1;
    }
}

static void append_html(struct buf *out, struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        switch (text.ptr[i]) {
        case '&':
            buf_append_cstr(out, "&amp;");
            break;
        case '<':
            buf_append_cstr(out, "&lt;");
            break;
        case '>':
            buf_append_cstr(out, "&gt;");
            break;
        case '"':
            buf_append_cstr(out, "&quot;");
            break;
        case '\'':
            buf_append_cstr(out, "&#39;");
            break;
        default:
            buf_append_char(out, text.ptr[i]);
        }
    }
}

static void append_link(struct buf *out, const struct mail_reminder *r)
{
    const char *place = strstr(r->link_template, TASK_ID);
    buf_append(out, r->link_template, (size_t)(place - r->link_template));
    buf_append_i64(out, r->task_id);
    buf_append_cstr(out, place + sizeof(TASK_ID) - 1);
}

/* ---- encodings ---- */

/* RFC 2045 section 6.7. `text` has "\n" for line ends. */
static void append_quoted_printable(struct buf *out, struct slice text)
{
    size_t column = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        bool is_last = i + 1 == text.len || text.ptr[i + 1] == '\n';
        bool is_plain = (c > 0x20 && c < 0x7f && c != '=') || (c == ' ' && !is_last);
        if (c == '\n') {
            buf_append_cstr(out, "\r\n");
            column = 0;
            continue;
        }
        if (column + (is_plain ? 1 : 3) > LINE_MAX_QP) {
            buf_append_cstr(out, "=\r\n");
            column = 0;
        }
        if (is_plain)
            buf_append_char(out, (char)c);
        else
            buf_printf(out, "=%02X", c);
        column += is_plain ? 1 : 3;
    }
}

/* As many whole characters as fit into one encoded word. */
static size_t word_length(struct slice text)
{
    size_t len = 0;
    while (len < text.len) {
        size_t next = utf8_length_at(text.ptr + len, text.len - len);
        if (next == 0 || len + next > WORD_BYTES)
            break;
        len += next;
    }
    return len;
}

/* RFC 2047: a short line of ASCII as it is, else words of base64, one a line. */
static void append_unstructured(struct buf *out, struct slice text)
{
    struct buf plain;
    char storage[SUBJECT_PLAIN + 1];
    if (text.len <= SUBJECT_PLAIN && !memmem(text.ptr, text.len, "=?", 2)) {
        buf_init_fixed(&plain, storage, sizeof(storage));
        buf_append_slice(&plain, text);
        if (is_printable(plain.ptr)) {
            buf_append_slice(out, text);
            return;
        }
    }
    for (bool is_first = true; text.len > 0; is_first = false) {
        size_t len = word_length(text);
        buf_append_cstr(out, is_first ? "=?UTF-8?B?" : "\r\n =?UTF-8?B?");
        base64_append(out, (struct slice){text.ptr, len});
        buf_append_cstr(out, "?=");
        text = (struct slice){text.ptr + len, text.len - len};
    }
}

/* ---- headers ---- */

/* RFC 5322 section 3.3, whatever the locale. */
static void append_date(struct buf *out, int64_t time_us)
{
    static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t seconds = (time_t)(time_us / 1000000);
    struct tm tm = {0};
    gmtime_r(&seconds, &tm);
    buf_printf(out, "Date: %s, %02d %s %04d %02d:%02d:%02d +0000\r\n", days[tm.tm_wday], tm.tm_mday,
               months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

static void append_from(struct buf *out, const struct mail_sender *from)
{
    if (from->name[0])
        buf_printf(out, "From: \"%s\" <%s>\r\n", from->name, from->address);
    else
        buf_printf(out, "From: %s\r\n", from->address);
}

static void append_subject(struct buf *out, struct slice title)
{
    char storage[MAIL_TITLE_MAX * 4 + 64];
    struct buf subject;
    buf_init_fixed(&subject, storage, sizeof(storage));
    buf_append_cstr(&subject, "Reminder: ");
    buf_append_slice(&subject, title);
    buf_append_cstr(out, "Subject: ");
    append_unstructured(out, buf_slice(&subject));
    buf_append_cstr(out, "\r\n");
}

static void append_headers(struct buf *out, const struct mail_reminder *r, struct slice title)
{
    struct slice domain = r->from->domain;
    append_date(out, r->sent_us);
    append_from(out, r->from);
    if (r->to.len > 0)
        buf_printf(out, "To: %.*s\r\n", (int)r->to.len, r->to.ptr);
    else
        buf_append_cstr(out, "To: undisclosed-recipients:;\r\n");
    append_subject(out, title);
    buf_printf(out, "Message-ID: <%.*s@%.*s>\r\n", (int)r->event_id.len, r->event_id.ptr,
               (int)domain.len, domain.ptr);
    buf_printf(out, "List-Id: Todo reminders <reminders.%.*s>\r\n", (int)domain.len, domain.ptr);
    buf_append_cstr(out, "Auto-Submitted: auto-generated\r\n");
    if (slice_is_equal(r->priority, SLICE_LIT("urgent")))
        buf_append_cstr(out, "Importance: high\r\n");
    buf_append_cstr(out, "MIME-Version: 1.0\r\n");
}

/* ---- bodies ---- */

static void append_text(struct buf *out, const struct mail_reminder *r, struct slice title)
{
    buf_append_slice(out, title);
    buf_append_cstr(out, "\n\n");
    if (r->due.len > 0)
        buf_printf(out, "Due: %.*s (%.*s)\n", (int)r->due.len, r->due.ptr, (int)r->zone.len,
                   r->zone.ptr);
    buf_printf(out, "Priority: %.*s\n", (int)r->priority.len, r->priority.ptr);
    if (r->link_template) {
        buf_append_cstr(out, "\n");
        append_link(out, r);
        buf_append_cstr(out, "\n");
    }
    buf_append_cstr(out, "\n-- \nThis is the reminder of one of your tasks.\n");
}

static void append_row(struct buf *out, const char *name, struct slice value)
{
    buf_printf(out, "<tr><td style=\"color:#666;padding-right:1em\">%s</td><td>", name);
    append_html(out, value);
    buf_append_cstr(out, "</td></tr>\n");
}

static void append_html_body(struct buf *out, const struct mail_reminder *r, struct slice title)
{
    buf_append_cstr(out,
                    "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"></head>\n"
                    "<body style=\"font-family:sans-serif\">\n<p style=\"font-size:1.25em\">");
    append_html(out, title);
    buf_append_cstr(out, "</p>\n<table>\n");
    if (r->due.len > 0) {
        char storage[256];
        struct buf due;
        buf_init_fixed(&due, storage, sizeof(storage));
        buf_printf(&due, "%.*s (%.*s)", (int)r->due.len, r->due.ptr, (int)r->zone.len, r->zone.ptr);
        append_row(out, "Due", buf_slice(&due));
    }
    append_row(out, "Priority", r->priority);
    buf_append_cstr(out, "</table>\n");
    if (r->link_template) {
        char storage[2048];
        struct buf link;
        buf_init_fixed(&link, storage, sizeof(storage));
        append_link(&link, r);
        buf_append_cstr(out, "<p><a href=\"");
        append_html(out, buf_slice(&link));
        buf_append_cstr(out, "\">Open the task</a></p>\n");
    }
    buf_append_cstr(out, "<p style=\"color:#666;font-size:0.85em\">"
                         "This is the reminder of one of your tasks.</p>\n</body></html>\n");
}

typedef void (*body_fn)(struct buf *out, const struct mail_reminder *r, struct slice title);

/* Quoted-printable never has "=_", so the boundary is in no body. */
static int append_part(struct buf *out, const struct mail_reminder *r, struct slice title,
                       const char *type, body_fn body)
{
    struct buf text;
    buf_init(&text, TEXT_MAX);
    body(&text, r, title);
    buf_printf(out,
               "--=_%.*s\r\nContent-Type: %s; charset=utf-8\r\n"
               "Content-Transfer-Encoding: quoted-printable\r\n\r\n",
               (int)r->event_id.len, r->event_id.ptr, type);
    append_quoted_printable(out, buf_slice(&text));
    buf_append_cstr(out, "\r\n");
    int status = buf_status(&text);
    buf_deinit(&text);
    return status;
}

int mail_render(const struct mail_reminder *r, struct buf *out)
{
    char storage[MAIL_TITLE_MAX * 4 + 8];
    struct buf title;
    buf_init_fixed(&title, storage, sizeof(storage));
    mail_append_title(&title, r->title);
    append_headers(out, r, buf_slice(&title));
    buf_printf(out, "Content-Type: multipart/alternative; boundary=\"=_%.*s\"\r\n\r\n",
               (int)r->event_id.len, r->event_id.ptr);
    int status = append_part(out, r, buf_slice(&title), "text/plain", append_text);
    if (!status)
        status = append_part(out, r, buf_slice(&title), "text/html", append_html_body);
    buf_printf(out, "--=_%.*s--\r\n", (int)r->event_id.len, r->event_id.ptr);
    return status ? status : buf_status(out);
}
