#pragma once
/* mcp/call_int: a call's inside, for call.c (life, what a handler sees), ends.c (its answers),
 * ask.c (questions to the client) and task.c (calls that outlive their request).
 *
 *   mcp_call_start -> handler -> mcp_call_wait … handler again … -> an end -> answer -> freed
 *
 * A call owns the message that it came from, since its arguments point into it. Its `out` is
 * finished once: by the end, or earlier with a task's handle; then `out` is NULL and `task` keeps
 * the result. */
#include "base/trace.h"
#include "mcp/server_int.h"
#include "mcp/tool.h"

#define CALL_ARENA_BYTES (8u << 20)

enum call_kind { CALL_TOOL, CALL_RESOURCE, CALL_PROMPT, CALL_COMPLETION };

/* One open question. In the call's arena. */
struct mcp_ask {
    struct mcp_ask *next;      /* of the call */
    struct mcp_ask *peer_next; /* in peer->asks while a response is awaited */
    struct mcp_call *call;
    const char *key, *method;
    struct slice params;
    uint64_t id; /* of our request to the client */
    bool is_answered;
};

struct mcp_call {
    struct mcp_server *server;
    struct mcp_peer *peer; /* NULL: stateless over HTTP, a task, or detached */
    struct mcp_call *next; /* in peer->calls */
    struct mcp_out *out;
    struct mcp_task *task;
    struct mcp_message message; /* owned: arguments point into it */
    struct mcp_identity identity;
    enum mcp_revision revision;
    enum call_kind kind;
    uint32_t client_capabilities;
    struct catalog_entry *entry; /* counted in its users */
    mcp_call_fn fn;
    void *ctx;
    const cJSON *arguments;
    cJSON *empty; /* arguments of a call that has none */
    const cJSON *progress_token;
    double progress; /* the last one sent: progress only grows */
    int log_level;   /* the least severe that is sent; -1: none */
    struct slice traceparent;
    struct trace_span span; /* observe.c */
    int64_t started_us;     /* monotonic */
    bool is_error;
    struct arena arena;
    mcp_cancel_fn on_cancel;
    void *on_cancel_ctx;
    bool is_cancelled;

    /* ask.c */
    cJSON *answers;            /* owned: key -> good answer; NULL while there is none */
    struct mcp_ask *questions; /* asked by this run, without an answer */
    const char *answer_fault;  /* what is wrong with an answer that came; in the arena */
    bool is_waiting;           /* between mcp_call_wait and the handler's next run */
    int64_t wait_until_us;     /* in server->waiting while a response is awaited */
    struct mcp_call *waiting_prev, *waiting_next;
};

/* What a method gives to mcp_call_start. */
struct call_target {
    enum call_kind kind;
    struct catalog_entry *entry;
    mcp_call_fn fn;
    void *ctx;
};

/* ---- call.c ---- */

/* A call of this exchange, or NULL when the exchange was refused. It takes over the message when it
 * is not NULL; call_run or an end comes next. */
struct mcp_call *mcp_call_new(struct exchange *x, const struct call_target *target);
void call_run(struct mcp_call *call);
/* The whole way of a call whose arguments need no further check: new, scopes, run. */
void mcp_call_start(struct exchange *x, const struct call_target *target);
/* Takes it off its peer and off the waiting list. */
void call_detach(struct mcp_call *call);
void mcp_call_free(struct mcp_call *call);
void call_cancel(struct mcp_call *call);
void call_cancel_by_id(struct mcp_peer *peer, const cJSON *id);
bool id_is_equal(const cJSON *a, const cJSON *b);

/* ---- observe.c ---- */

/* The call's span begins, below what came with the request. `header` is HTTP's. */
void observe_start(struct mcp_call *call, struct slice header);
/* It ends, and who asked is told. */
void observe_end(const struct mcp_call *call);

/* ---- ends.c ---- */

/* Ends the call with a tool's error object, or outside tools with a JSON-RPC error. */
void call_fail_with(struct mcp_call *call, const char *code, const char *message, const char *field,
                    const char *expected);
/* Ends a call whose caller lacks these scopes. */
void call_forbid(struct mcp_call *call, uint32_t missing);
/* Ends a cancelled call whose handler does not run. */
void call_drop(struct mcp_call *call);
/* Begins a result: its envelope, or for a task just the object. */
void call_result_begin(struct mcp_call *call, struct buf *b, struct json_writer *w,
                       const char *type);
void call_result_end(struct mcp_call *call, struct buf *b, struct json_writer *w);
/* Ends the call with -32021. */
void call_refuse_capability(struct mcp_call *call, uint32_t missing);

/* ---- ask.c ---- */

/* Reads inputResponses and requestState. False when they are refused; then `fault` says why. */
bool ask_restore(struct mcp_call *call, const char **fault);
/* A response of the client to one of our requests. */
void ask_answered(struct mcp_peer *peer, struct mcp_message *m);
/* Takes a task's answers: -1 with `fault` when one is malformed, else the number of questions that
 * stay open; the handler runs again when none does. */
int ask_update(struct mcp_call *call, const cJSON *responses, const char **fault);
/* The open questions as an InputRequests object. */
void ask_write_requests(struct json_writer *w, const struct mcp_call *call);
/* Forgets the questions that wait for a response, and tells the client. */
void ask_withdraw(struct mcp_call *call);
/* Ends calls that waited too long. */
void calls_expire(struct mcp_server *s, int64_t now_us);
