#pragma once
/* email_int: email.c has the course of an event, email_claim.c the claim, email_send.c the mail. */
#include "base/error.h"
#include "base/trace.h"
#include "base/uuid.h"
#include "email/email.h"
#include "email/email_metrics.h"

#define EMAIL_KEY_SIZE (sizeof(EMAIL_KEY_PREFIX) + UUID_TEXT_SIZE)

/* When something is tried again. */
struct email_retry {
    uint32_t failures;
    uint64_t next_ms; /* uv_now */
};

/* One delivery. */
struct email_op {
    struct email_op *next; /* in email.waiting */
    struct email *email;
    const struct consumer_event *event; /* borrowed until the turn ends */
    struct consumer_turn *turn;
    uv_timer_t timer;
    void (*on_time)(struct email_op *op);
    bool has_slot;
    bool is_in_utc;   /* the user's time zone is unknown */
    bool is_in_inbox; /* marked there */
    bool is_in_state; /* marked there */
    int claim_tries, mark_tries;
    enum consumer_verdict verdict; /* for when the claim is released … */
    uint64_t hold_ms;              /* … and how long CONSUMER_UNAVAILABLE waits then */
    void (*on_marked)(struct email_op *op, bool is_done);
    uv_timer_t renewal; /* of the claim */
    bool is_renewing;   /* a call is in flight */
    void (*on_claim_closed)(struct email_op *op);
    struct error err;
    struct trace_span span; /* of the SMTP transaction */
    char key[EMAIL_KEY_SIZE];
    char to[256];
    char due[128];
    char zone[65];
};

struct email {
    uv_loop_t *loop;
    struct db_pool *pool;
    const struct log *log;
    struct email_options options;
    struct email_metrics metrics;
    char owner[UUID_TEXT_SIZE];                    /* this process, in claims */
    struct email_retry server;                     /* of all mails */
    struct lru *retries;                           /* event id -> struct email_retry */
    struct email_op *waiting_first, *waiting_last; /* for a slot */
    uint32_t slots_used;
    struct email_op **in_hand; /* by slot: whose claim is ours */
    uint32_t op_count;
    email_closed_fn closed; /* NULL: open */
    void *closed_ctx;
};

/* ---- email.c ---- */
void email_op_end(struct email_op *op, enum consumer_verdict verdict);
/* As email_op_end with CONSUMER_UNAVAILABLE, but only after `ms` (EMAIL_HOLD_MS at most). */
void email_op_give_back(struct email_op *op, uint64_t ms);
void email_op_wait(struct email_op *op, uint64_t ms, void (*fn)(struct email_op *op));
/* It is sent, or nothing is to be sent: marked, then done. */
void email_op_mark(struct email_op *op);
/* Counts a failure of this event, or of the server as well. The time until the next try. */
uint64_t email_op_failed(struct email_op *op, bool is_of_server);
void email_op_went_well(struct email_op *op);

/* ---- email_claim.c ---- */
void email_claim_init(struct email_op *op);
/* No more renewals; `fn` comes once, later, when none is in flight. */
void email_claim_close(struct email_op *op, void (*fn)(struct email_op *op));
/* -> email_send, or the end. */
void email_claim(struct email_op *op);
/* Gives the claim up, then ends with op->verdict. */
void email_claim_release(struct email_op *op);
/* "sent" into the key; `fn` comes once. */
void email_claim_mark(struct email_op *op, void (*fn)(struct email_op *op, bool is_done));

/* The delivery's, for log lines. */
struct trace_ids email_op_trace(const struct email_op *op);

/* ---- email_send.c ---- */
void email_send(struct email_op *op);
