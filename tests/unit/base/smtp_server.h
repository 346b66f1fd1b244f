#pragma once
/* An SMTP server and client on one loop: the server says what each test wants to hear. */
#include "support/unit.h"

#include <uv.h>

#include "base/buf.h"
#include "base/secret.h"
#include "base/smtp.h"

#define SILENCE NULL
#define DROP    ""

/* What is said; SILENCE: nothing; DROP: the connection is closed. */
struct script {
    const char *greeting, *ehlo, *auth, *mail, *rcpt, *data, *end, *rset;
};

extern const struct script willing;

struct peer {
    uv_tcp_t handle;
    struct peer *next;
    struct fixture *f; /* NULL: free */
    struct buf in;
    bool is_in_auth, is_in_data;
};

struct answer {
    int count;
    struct smtp_result result;
};

struct fixture {
    uv_loop_t loop;
    uv_tcp_t listener;
    uv_timer_t tick; /* so that uv_run(ONCE) returns after a callback that came from a timer */
    struct script script;
    struct peer pool[64];
    struct peer *peers; /* those that are there */
    char chunk[65536];
    int accepted;       /* connections */
    struct buf heard;   /* commands of all connections, a line each */
    struct buf content; /* of the last mail, dots not undoubled */
    int mails;
    bool closes_after_mail;
    struct smtp_client *client; /* NULL once closed */
    char url[256];
    struct secret secrets[3]; /* of the client: URL, user, password */
    struct answer answers[32];
};

/* Set-up and tear-down of a test; the latter asserts that the loop closes with 0. */
int smtp_setup(void **state);
int smtp_teardown(void **state);
#define smtp_test(f) cmocka_unit_test_setup_teardown(f, smtp_setup, smtp_teardown)

/* The server says it; `text` as in a script. */
void say(struct peer *p, const char *text);
/* Whether it has heard this. */
bool has_heard(struct fixture *f, const char *lines);
/* From now on the client's secrets; `url` NULL: the server's. */
void use_login(struct fixture *f, const char *url, const char *username, const char *password);
/* Another client, for other options; its secrets are f->secrets. */
void use(struct fixture *f, struct smtp_options options);
void close_client(struct fixture *f);
void on_client_closed(void *ctx);

extern const struct smtp_mail plain;
void on_sent(void *ctx, const struct smtp_result *result);
/* Sends, without waiting. */
void start(struct fixture *f, const struct smtp_mail *mail, struct answer *a);
void wait_for(struct fixture *f, const struct answer *a);
/* Sends and waits; the result is there until the next mail. */
const struct smtp_result *mail_it(struct fixture *f, const struct smtp_mail *mail);
void assert_result(const struct smtp_result *r, enum smtp_outcome outcome, enum smtp_phase phase,
                   int code);
