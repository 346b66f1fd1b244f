/* Any bytes as a task's title, a due date and a time zone: the mail has the headers that it always
 * has and no other, ends each line with CRLF and has nothing but printable ASCII in short lines.
 * Any bytes as an address: one that is taken can end neither a header nor an envelope. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "base/smtp.h"
#include "email/mail.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const headers[] = {
    "Date: ",    "From: ",           "To: ",           "Subject: ",     "Message-ID: ",
    "List-Id: ", "Auto-Submitted: ", "MIME-Version: ", "Content-Type: "};
#define HEADER_COUNT (sizeof(headers) / sizeof(*headers))

/* The line at `at`, without its CRLF. */
static struct slice line_at(struct slice mail, size_t at)
{
    const char *end = memchr(mail.ptr + at, '\n', mail.len - at);
    assert(end && end > mail.ptr + at && end[-1] == '\r');
    struct slice line = {mail.ptr + at, (size_t)(end - mail.ptr) - at - 1};
    assert(line.len <= 100);
    for (size_t i = 0; i < line.len; i++)
        assert(line.ptr[i] >= 0x20 && line.ptr[i] < 0x7f);
    return line;
}

static void check_mail(struct slice mail)
{
    size_t seen = 0;
    size_t parts = 0;
    bool is_header = true;
    for (size_t at = 0; at < mail.len;) {
        struct slice line = line_at(mail, at);
        at += line.len + 2;
        if (line.len == 0) {
            is_header = false;
        } else if (is_header && line.ptr[0] != ' ') {
            assert(seen < HEADER_COUNT);
            assert(strncmp(line.ptr, headers[seen], strlen(headers[seen])) == 0);
            seen++;
        }
        parts += line.len > 3 && memcmp(line.ptr, "--=_", 4) == 0;
    }
    assert(seen == HEADER_COUNT && parts == 3);
}

static void check_address(struct slice text)
{
    if (!smtp_is_address(text))
        return;
    assert(text.len >= 3 && text.len <= 254 && memchr(text.ptr, '@', text.len));
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        assert(c > 0x20 && c != 0x7f && !strchr("<>()\\\",;", c));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mail_sender from;
    struct buf mail;
    struct slice text = {(const char *)data, size};
    int status = mail_sender_parse("Todo <todo@example.com>", &from, NULL);
    const struct mail_reminder r = {
        .event_id = SLICE_LIT("019a0000-0000-7000-8000-000000000000"),
        .task_id = 7,
        .sent_us = INT64_C(1790000000000000),
        .title = text,
        .priority = SLICE_LIT("medium"),
        .due = {text.ptr, size < 100 ? size : 0},
        .zone = {text.ptr, size < 64 ? size : 0},
        .to = SLICE_LIT("ann@example.org"),
        .link_template = size % 2 ? "https://todo.example.com/{task_id}?a=b&c" : NULL,
        .from = &from,
    };
    assert(status == 0);
    buf_init(&mail, 1u << 20);
    status = mail_render(&r, &mail);
    assert(status == 0);
    check_mail(buf_slice(&mail));
    buf_deinit(&mail);
    check_address(text);
    return 0;
}
