#pragma once
/* mail: what the mail of a reminder looks like: RFC 5322 with a text and an HTML part (RFC 2046),
 * headers in RFC 2047 and bodies in quoted-printable (RFC 2045), so that all of it is ASCII in
 * short lines (but for an address that is not ASCII). The same reminder gives the same bytes each
 * time, Message-ID and Date too: a mail that had to be sent again is recognized as the same.
 * Nothing of a task can become a header: its text stands in encoded words and bodies only, and what
 * is no text (control characters) is replaced. */
#include <stdint.h>

#include "base/slice.h"

struct buf;
struct error;

#define MAIL_TITLE_MAX 200 /* characters; longer ones are cut */

/* Where mails come from: SMTP_FROM, "todo@example.org" or "Todo <todo@example.org>". */
struct mail_sender {
    char name[128]; /* "" where none is given */
    char address[256];
    struct slice domain; /* of the address: a part of it */
};
/* 0, or BASE_EINVAL with the reason. */
__attribute__((warn_unused_result)) int mail_sender_parse(const char *text, struct mail_sender *out,
                                                          struct error *err);

/* A link to a task: http or https, with {task_id} at its place. 0, or BASE_EINVAL. */
__attribute__((warn_unused_result)) int mail_link_check(const char *link, struct error *err);

struct mail_reminder {
    struct slice event_id; /* a UUID */
    int64_t task_id;
    int64_t sent_us;           /* when the reminder was sent: the mail's date */
    struct slice title;        /* any UTF-8 */
    struct slice priority;     /* "low" … "urgent" */
    struct slice due;          /* in the reader's time zone, for people; empty: no due date */
    struct slice zone;         /* its name */
    struct slice to;           /* an address (smtp_is_address); empty: for the local mailbox only */
    const char *link_template; /* mail_link_check; NULL: no link */
    const struct mail_sender *from;
};

/* Appends the mail, whose lines end with CRLF. 0, or what buf_status says. */
__attribute__((warn_unused_result)) int mail_render(const struct mail_reminder *r, struct buf *out);

/* The title as a line of plain text, cut and cleaned: for the desktop. */
void mail_append_title(struct buf *out, struct slice title);
