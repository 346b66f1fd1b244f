#pragma once
/* base/smtp_int: smtp.c has the queue and the life, smtp_conn.c one connection. */
#include "base/buf.h"
#include "base/curl_loop_int.h"
#include "base/smtp.h"

#define SMTP_COMMAND_MAX 600
#define SMTP_LINE_MAX    2048

/* One mail in hand: in the client's queue, or a connection's. */
struct smtp_op {
    struct smtp_op *next;
    smtp_fn fn;
    void *ctx;
    uint64_t started_us;  /* clock_monotonic_us */
    uint64_t deadline_ms; /* uv_now */
    bool was_tried;       /* on a kept connection that the server had closed */
    bool is_utf8;         /* an address is not ASCII */
    char *from, *to;
    struct slice data; /* dots doubled, the final one at its end */
    char bytes[];
};

struct smtp_conn {
    struct curl_transfer transfer; /* the first member */
    struct smtp_client *client;
    struct smtp_conn *prev, *next; /* in client.conns */
    struct smtp_op *op;            /* NULL: idle, or resetting */
    enum smtp_phase phase;         /* of the op */
    bool is_resetting;             /* RSET was sent */
    bool is_reused;                /* the op is not its first */
    bool has_utf8;                 /* the server takes SMTPUTF8 */
    bool is_connecting;            /* smtp_conn_on_transfer did not come yet */
    bool is_closing;
    uv_timer_t timer; /* the op's deadline, or the idle time */
    uv_poll_t poll;   /* once connected */
    uint32_t handles; /* uv's, not closed yet */
    bool has_poll;
    const char *out; /* what is still to be written */
    size_t out_len;
    int code;         /* of the last reply */
    char words[256];  /* of the last reply */
    size_t words_len; /* of `words` */
    bool is_continued;
    char in[SMTP_LINE_MAX];
    size_t in_len;
    char command[SMTP_COMMAND_MAX];
};

/* Where and as whom to connect. */
struct smtp_way {
    uint32_t version;            /* of the secrets that it was made from */
    enum smtp_starttls starttls; /* AUTO is resolved */
    char *url, *host, *username, *password;
    int64_t port;
};

struct smtp_client {
    struct curl_loop curl;
    struct smtp_options options; /* without its ca_file */
    struct smtp_way way;
    struct smtp_op *queue_first, *queue_last;
    uint32_t op_count; /* in hand */
    struct smtp_conn *conns;
    uint32_t conn_count;
    uint64_t opened;
    uv_timer_t work; /* gives mails to connections, and ends those that waited too long */
    bool is_closing;
    bool is_work_closed;
    smtp_closed_fn closed;
    void *closed_ctx;
    char *ca_file;
};

/* Tells the caller and frees it. */
void smtp_op_end(struct smtp_client *c, struct smtp_op *op, const struct smtp_result *result);
/* Puts it first in the queue again. */
void smtp_op_requeue(struct smtp_client *c, struct smtp_op *op);
/* Soon: looks whether a mail can go. */
void smtp_wake(struct smtp_client *c);
/* It is closed and freed: out of the list already. */
void smtp_conn_gone(struct smtp_client *c);

/* The secrets as they are now; where they have become of no use, the last good ones. */
const struct smtp_way *smtp_way_now(struct smtp_client *c);
/* Connects for `op`. 0, or BASE_ENOMEM: nothing was begun. */
__attribute__((warn_unused_result)) int smtp_conn_open(struct smtp_client *c, struct smtp_op *op);
bool smtp_conn_is_idle(const struct smtp_conn *conn);
/* Of an idle connection. */
void smtp_conn_begin(struct smtp_conn *conn, struct smtp_op *op);
/* Ends its mail. Of one that is closing already: nothing. */
void smtp_conn_close(struct smtp_conn *conn, const char *why);
/* For curl_loop. */
void smtp_conn_on_transfer(struct curl_transfer *t);
