#pragma once
/* base/smtp: sends mails to one SMTP server (RFC 5321), on a libuv loop.
 *
 * libcurl connects: names, TCP, TLS, EHLO, STARTTLS, AUTH. The mail itself goes over that
 * connection by this module, because libcurl would stop the whole loop until the server has
 * answered the end of the data, and tells of a refusal only its number.
 *
 * Use:     smtp_client_new -> smtp_send … -> the callback … -> smtp_client_close -> closed.
 * Owns:    its connections, kept for the next mail while they are idle for less than idle_ms, and
 *          the mails in hand. Borrows the loop. SIGPIPE is to be ignored.
 * Thread:  loop thread only; libcurl resolves names in threads of its own.
 * Limits:  queue_max mails in hand, connections_max connections, timeout_ms a mail, from smtp_send
 *          to its end.
 * TLS:     smtps:// from the start; smtp:// by STARTTLS, as options.starttls says. Certificates are
 *          verified, against the system's authorities or `ca_file`. No proxy is used.
 * Secrets: user name and password are never part of a text that this module makes. Where they or
 *          the URL change, the next connection is made with the new ones. */
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/slice.h"

struct error;
struct secret;
struct smtp_client;

enum smtp_starttls {
    SMTP_STARTTLS_AUTO,     /* required, but for a loopback host, where it is not asked for */
    SMTP_STARTTLS_REQUIRED, /* a server that does not offer it gets nothing */
    SMTP_STARTTLS_NEVER,
};

struct smtp_options {
    /* Borrowed until the client is closed. */
    const struct secret *url;      /* smtp[s]://[user:password@]host[:port][/name to say in EHLO] */
    const struct secret *username; /* NULL or without a value: the URL's, if any */
    const struct secret *password;
    const char *ca_file; /* PEM; NULL: the system's */
    enum smtp_starttls starttls;
    uint32_t connections_max; /* 0: 4 */
    uint32_t queue_max;       /* 0: 1,024 */
    uint32_t timeout_ms;      /* 0: 30 s */
    uint32_t idle_ms;         /* 0: 30 s */
};

/* Where a mail was when it ended. X(name, word for logs) */
#define SMTP_PHASES(X)                                                                             \
    X(SMTP_WAITING, "waiting")       /* for a free connection */                                   \
    X(SMTP_CONNECTING, "connecting") /* up to the server's readiness for a mail: TLS, AUTH too */  \
    X(SMTP_SENDER, "sender")         /* MAIL */                                                    \
    X(SMTP_RECIPIENT, "recipient")   /* RCPT */                                                    \
    X(SMTP_DATA, "data")             /* DATA */                                                    \
    X(SMTP_CONTENT, "content")       /* some of it was not sent yet */                             \
    X(SMTP_END, "end")               /* all was sent; the server answers for it */
enum smtp_phase {
#define X(name, word) name,
    SMTP_PHASES(X)
#undef X
};
const char *smtp_phase_word(enum smtp_phase phase);

enum smtp_outcome {
    SMTP_SENT,      /* the server has it */
    SMTP_TEMPORARY, /* the server does not have it, and may take it later: an answer 4xx, no
                       connection, no TLS, a login that failed, too slow. An answer 5xx before MAIL
                       is one too, and 530, 534, 535, 538 (login), 421: they are not about the mail
                     */
    SMTP_PERMANENT, /* the server will not take this mail: 5xx */
    SMTP_UNKNOWN,   /* all was sent, but no answer came: the server may have it */
};

const char *smtp_outcome_word(enum smtp_outcome outcome);

struct smtp_result {
    enum smtp_outcome outcome;
    enum smtp_phase phase;
    int code;         /* of the server's reply; 0: none */
    char text[256];   /* the server's words, or what else happened; one line of UTF-8 */
    uint64_t took_us; /* since smtp_send */
};

/* Comes exactly once for each mail that was taken, never from inside smtp_send. */
typedef void (*smtp_fn)(void *ctx, const struct smtp_result *result);
typedef void (*smtp_closed_fn)(void *ctx);

struct smtp_mail {
    struct slice from, to; /* of the envelope: smtp_is_address */
    /* RFC 5322: lines of at most 998 bytes, each with its CRLF; 7-bit, unless an address is not. */
    struct slice text;
};

/* Whether `text` is one address that can stand in an envelope and a header as it is: a local part
 * of atoms, a host name or an IP literal, 3 to 254 bytes, UTF-8. No quoted local parts. */
bool smtp_is_address(struct slice text);

/* Whether smtp_client_new would take them. */
__attribute__((warn_unused_result)) int smtp_options_check(const struct smtp_options *options,
                                                           struct error *err);
/* Does not connect yet. 0 and *out; BASE_EINVAL with "url" in err->field, BASE_ENOMEM. */
__attribute__((warn_unused_result)) int smtp_client_new(uv_loop_t *loop,
                                                        const struct smtp_options *options,
                                                        struct smtp_client **out,
                                                        struct error *err);
/* Copies the mail. 0; BASE_EINVAL (an address or the text is none), BASE_ELIMIT (queue_max),
 * BASE_ECLOSED, BASE_ENOMEM: then `fn` is not called. */
__attribute__((warn_unused_result)) int smtp_send(struct smtp_client *c,
                                                  const struct smtp_mail *mail, smtp_fn fn,
                                                  void *ctx, struct error *err);
/* The server's, of the URL; borrowed until the loop's next turn. A port that the URL leaves out is
 * the scheme's. */
const char *smtp_host(const struct smtp_client *c);
int64_t smtp_port(const struct smtp_client *c);
/* Connections opened so far, for tests and metrics. */
uint64_t smtp_connections(const struct smtp_client *c);
/* Mails in hand end at once (SMTP_TEMPORARY or SMTP_UNKNOWN); then `closed` is called once and `c`
 * is freed. */
void smtp_client_close(struct smtp_client *c, smtp_closed_fn closed, void *ctx);
