#pragma once
/* email: the handler of reminder.sent: one mail for one event, however often it is delivered.
 *
 *   handled before? (todo.inbox) -> a free slot -> claim (state store) -> send -> mark -> done
 *
 * Once:    the claim is the key email:event:<id>, written only where it is absent, with a lease
 *          renewed while the mail is in hand; a worker that dies with it leaves the mail to the
 *          next, who takes the claim over by its ETag once the lease has run out. What was sent is
 *          marked in todo.inbox, which is the same whatever carries the events, and in the key. A
 *          worker that dies between sending and marking has the mail sent once more, with the same
 *          Message-ID and the same bytes. Leases are compared with each worker's own clock: clocks
 *          that differ by more than half a lease could let two send, and so could a worker that
 *          stands still, or cannot renew, for as long as a lease.
 * Failure: 4xx, no connection, an answer that is lost: tried again after 1, 2, 4 … 60 s, and
 *          never a dead letter: the delivery is held for HOLD_MS at most and then given back. While
 *          the server cannot be reached no mail is tried. 5xx: a dead letter with its words.
 * Way:     SMTP, or a Maildir and the desktop, as the options say.
 * Use:     email_new -> email_handle … -> email_close (async, no delivery under way) -> closed.
 * Thread:  loop thread only.   Limits: slots mails are claimed and sent at a time. */
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/slice.h"
#include "events/consumer.h"

struct db_pool;
struct desktop;
struct email;
struct error;
struct log;
struct mail_sender;
struct maildir;
struct metrics;
struct smtp_client;
struct state_store;
struct tracer;

#define EMAIL_HOLD_MS      2000
#define EMAIL_RETRY_MIN_MS 1000
#define EMAIL_RETRY_MAX_MS 60000
#define EMAIL_SENT_TTL_S   (7 * 86400)
#define EMAIL_KEY_PREFIX   "email:event:"

#define EMAIL_ERRORS(X)                                                                            \
    X(EMAIL_ETEMPORARY, -27001, "the mail could not be sent now")                                  \
    X(EMAIL_EPERMANENT, -27002, "the mail was refused")                                            \
    X(EMAIL_EUNKNOWN, -27003, "the mail may have been sent")                                       \
    X(EMAIL_ECLAIMED, -27004, "another worker is sending the mail")
enum email_error {
#define X(name, code, text) name = (code),
    EMAIL_ERRORS(X)
#undef X
};

struct email_options {
    const char *consumer;     /* the app id; borrowed for ever, as all of these */
    struct smtp_client *smtp; /* NULL: into `maildir` */
    struct maildir *maildir;
    struct desktop *desktop; /* NULL: none */
    struct state_store *state;
    const struct mail_sender *sender;
    const char *link_template; /* NULL: no links */
    struct metrics *metrics;   /* may be NULL */
    struct tracer *tracer;     /* NULL: no spans */
    uint32_t slots;            /* 0: 4 */
    uint32_t lease_ms;         /* of a claim, which is renewed while the mail is in hand; 0: 6 s */
    uint32_t retry_min_ms;     /* 0: EMAIL_RETRY_MIN_MS */
};

typedef void (*email_closed_fn)(void *ctx);

__attribute__((warn_unused_result)) int email_new(uv_loop_t *loop, struct db_pool *pool,
                                                  const struct log *log,
                                                  const struct email_options *options,
                                                  struct email **out, struct error *err);
/* A consumer_handler_fn; ctx is the struct email. */
void email_handle(void *ctx, const struct consumer_event *event, struct consumer_turn *turn);
void email_close(struct email *e, email_closed_fn closed, void *ctx);
