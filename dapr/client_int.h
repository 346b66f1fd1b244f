#pragma once
/* dapr/client_int: how a call is made of the sidecar:
 *   call_new -> call_path, call_segment, call_metadata, the body -> call_start -> reply, once */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/slice.h"
#include "dapr/client.h"
#include "dapr/jobs.h"
#include "dapr/metadata.h"
#include "dapr/pubsub.h"
#include "dapr/state.h"

struct dapr_call;

/* An HTTP answer; borrowed until the return. */
struct dapr_reply {
    int http_status;
    struct slice body;
    struct slice etag;
};
/* status 0: a 2xx. `reply` is NULL where no answer came. */
typedef void (*dapr_reply_fn)(struct dapr_call *call, int status, const struct dapr_reply *reply,
                              const struct error *err);

struct dapr_call {
    struct dapr_call *prev, *next; /* in client.waiting */
    struct dapr_client *client;
    const char *method;
    const char *content_type; /* NULL: application/json */
    struct buf url, body, if_match;
    bool has_query;
    bool is_read; /* may be sent twice */
    bool is_once; /* is never tried again here */
    unsigned tries;
    uint64_t deadline_ms, due_ms;
    dapr_reply_fn reply;
    union {
        dapr_done_fn done;
        dapr_bulk_fn bulk;
        dapr_state_get_fn state_get;
        dapr_state_get_bulk_fn state_get_bulk;
        dapr_job_get_fn job_get;
        dapr_component_fn component;
    } fn; /* the caller's */
    void *ctx;
    struct buf names; /* of what the answer names: each text and a NUL */
    size_t name_count;
};

/* NULL: out of memory. */
struct dapr_call *call_new(struct dapr_client *c, const char *method, dapr_reply_fn reply);
void call_free(struct dapr_call *call);
void call_path(struct dapr_call *call, const char *path);
/* "/" and the text, percent-encoded. */
void call_segment(struct dapr_call *call, struct slice text);
/* A parameter of the query: "metadata.ttlInSeconds". */
void call_query(struct dapr_call *call, const char *name, struct slice value);
void call_query_int(struct dapr_call *call, const char *name, uint32_t value);
void call_name(struct dapr_call *call, struct slice name);
/* The name at `at`, which then goes on to the next. */
struct slice call_next_name(const struct dapr_call *call, size_t *at);
/* Takes the call over: 0, or the error, and then the call is freed. */
__attribute__((warn_unused_result)) int call_start(struct dapr_call *call, struct error *err);
/* A reply for calls whose caller only wants to know the end. */
void call_reply_done(struct dapr_call *call, int status, const struct dapr_reply *reply,
                     const struct error *err);

/* dapr/answer.c: what an answer of daprd means. Fills `err` where it is no 2xx. */
int answer_status(const struct dapr_reply *reply, struct error *err);
/* Of one event of a bulk that failed for `reason` (may be NULL). */
int answer_entry_status(const char *reason);
/* What base/http_client says, as one of ours. */
int answer_failure(int status, const struct error *why, struct error *err);
/* True where the text has the words, in any case. */
bool answer_says(struct slice text, const char *words);

/* Not empty, without control characters; or BASE_EINVAL for `field`. */
int check_name(const char *field, struct slice name, struct error *err);
