#pragma once
/* A server of base/http_server and its clients on one loop of one thread. The clients are plain
 * sockets that do not block; whatever a test waits for, the loop turns until it is there.
 * What the handler does is in the path:
 *   /now     answers "now"                       /echo    answers the body
 *   /later   is kept in `kept` for the test      /stream  starts a stream, then is kept */
#include "support/unit.h"

#include <uv.h>

#include "base/buf.h"
#include "base/http_server.h"

#define KEPT_MAX 128

struct fixture {
    uv_loop_t loop;
    struct http_server *server; /* NULL once it has closed */
    uint16_t port;
    struct http_limits limits;
    struct http_request *kept[KEPT_MAX];
    int kept_count;
    int request_count; /* handed to the handler */
    int gone_count;
    struct http_request *gone; /* the last one */
};

/* One client's connection. */
struct client {
    struct fixture *f;
    int fd;
    struct buf in; /* what came and was not yet taken */
    bool is_ended; /* the server closed or reset it */
    bool is_reset;
};

/* An answer, taken from what came. */
struct answer {
    int status;
    char head[2048]; /* the header lines, each with its CR LF */
    char *body;      /* NUL-terminated */
    size_t body_len;
};

/* cmocka's set-up and tear-down; the latter closes the server if the test has not, and asserts
 * that nothing is left on the loop. Limits are those of the server but for what a test sets. */
int fixture_setup(void **state);
int fixture_teardown(void **state);
#define with_fixture(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

/* Starts the server with f->limits on a free port; the status, or the test fails. */
int fixture_try_start(struct fixture *f);
void fixture_start(struct fixture *f);
/* The server's end: begun, waited for, or both. */
void fixture_begin_close(struct fixture *f, uint32_t drain_ms);
void fixture_finish(struct fixture *f);
void fixture_close(struct fixture *f, uint32_t drain_ms);

/* One turn of the loop, which waits a moment at most; fails the test when called on for too long
 * since *since_ns, which is 0 at the start of a wait. */
void fixture_turn(struct fixture *f, uint64_t *since_ns);
#define fixture_wait(f, condition)                                                                 \
    do {                                                                                           \
        uint64_t since_ns_ = 0;                                                                    \
        while (!(condition))                                                                       \
            fixture_turn((f), &since_ns_);                                                         \
    } while (0)
/* Waits until the handler has been called `count` times in all. */
void fixture_wait_requests(struct fixture *f, int count);

void client_open(struct client *c, struct fixture *f);
/* False when nobody listens. */
bool client_try_open(struct client *c, struct fixture *f);
void client_close(struct client *c);
/* All of it, while the loop turns; returns how much went before the peer closed. */
size_t client_send(struct client *c, struct slice bytes);
void client_send_text(struct client *c, const char *text);
/* Takes what has come; true when there was something, or the end. */
bool client_receive(struct client *c);
/* The next answer to a GET or POST (a HEAD's answer has no body). Free with answer_free. */
struct answer client_answer(struct client *c);
struct answer client_answer_to_head(struct client *c);
void answer_free(struct answer *a);
/* The next answer has this status and this body (NULL: any). */
void client_expect(struct client *c, int status, const char *body);
/* The next bytes are these. */
void client_expect_text(struct client *c, const char *text);
/* Nothing more comes, and the server closes. */
void client_expect_end(struct client *c);
/* What the server did so far has sent this client nothing, and left it open. */
void client_expect_nothing(struct client *c);

/* The value of the header in the answer's head, "" when it is missing. `room` has 128 bytes. */
const char *answer_header(const struct answer *a, const char *name, char *room);
/* Answers a kept request with 200 and this text. */
void answer_kept(struct fixture *f, int index, const char *text);
