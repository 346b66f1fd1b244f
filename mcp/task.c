/* States: WORKING <-> INPUT_REQUIRED -> COMPLETED | FAILED | CANCELLED. A cancelled or expired task
 * lets go of its call, which runs to its end by itself; what that answers is dropped. */
#include "mcp/task_int.h"

#include <search.h>
#include <stdio.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "mcp/subscribe_int.h"

#define TASK_ID_LEN 32

enum task_status { WORKING, INPUT_REQUIRED, COMPLETED, FAILED, CANCELLED };

struct mcp_task {
    char id[TASK_ID_LEN + 1];     /* the key of server->tasks_by_id */
    struct mcp_task *prev, *next; /* by creation */
    struct mcp_server *server;
    struct mcp_call *call; /* while it runs */
    char *subject;         /* whose it is; owned */
    int64_t user_id;
    enum task_status status;
    int64_t created_us, updated_us; /* wall clock, for the client */
    int64_t expires_us;             /* monotonic */
    uint32_t ttl_ms, poll_ms;
    struct buf outcome; /* the object of the result or error */
};

/* ---- by id ---- */

static int compare_ids(const void *a, const void *b)
{
    const struct mcp_task *x = a;
    const struct mcp_task *y = b;
    return memcmp(x->id, y->id, TASK_ID_LEN);
}

static struct mcp_task *find(const struct mcp_request_context *rx, const char *id)
{
    struct mcp_task key;
    if (!id || strlen(id) != TASK_ID_LEN)
        return NULL;
    memcpy(key.id, id, TASK_ID_LEN + 1);
    tasks_expire(rx->server, clock_monotonic_us());
    void *node = tfind(&key, &rx->server->tasks_by_id, compare_ids);
    struct mcp_task *task = node ? *(struct mcp_task **)node : NULL;
    bool is_own = task && task->user_id == rx->identity->user_id &&
                  strcmp(task->subject, rx->identity->subject) == 0;
    return is_own ? task : NULL;
}

bool task_is_known(const struct mcp_request_context *rx, const char *id)
{
    return find(rx, id) != NULL;
}

/* ---- life ---- */

static bool make_id(char *id)
{
    unsigned char random[TASK_ID_LEN / 2];
    if (getrandom(random, sizeof(random), 0) != sizeof(random))
        return false;
    for (size_t i = 0; i < sizeof(random); i++)
        snprintf(id + 2 * i, 3, "%02x", random[i]);
    return true;
}

static void link_newest(struct mcp_server *s, struct mcp_task *task)
{
    task->prev = s->newest_task;
    *(s->newest_task ? &s->newest_task->next : &s->oldest_task) = task;
    s->newest_task = task;
    s->stats.tasks++;
}

static struct mcp_task *task_new(struct mcp_call *call, uint32_t ttl_ms, uint32_t poll_ms)
{
    struct mcp_server *s = call->server;
    struct mcp_task *task = mem_calloc(1, sizeof(*task));
    if (!task)
        return NULL;
    task->server = s;
    task->call = call;
    task->subject = mem_strdup(call->identity.subject);
    task->user_id = call->identity.user_id;
    task->created_us = task->updated_us = clock_now_us();
    task->expires_us = clock_monotonic_us() + (int64_t)ttl_ms * 1000;
    task->ttl_ms = ttl_ms;
    task->poll_ms = poll_ms;
    buf_init(&task->outcome, MCP_ANSWER_BYTES_MAX);
    if (!task->subject || !make_id(task->id) || !tsearch(task, &s->tasks_by_id, compare_ids)) {
        mem_free(task->subject);
        mem_free(task);
        return NULL;
    }
    link_newest(s, task);
    return task;
}

/* The call goes on alone, cancelled. One that waits for answers ends at once. */
static void let_go(struct mcp_task *task)
{
    struct mcp_call *call = task->call;
    if (!call)
        return;
    task->call = NULL;
    call->task = NULL;
    call_cancel(call);
}

static void task_free(struct mcp_task *task)
{
    struct mcp_server *s = task->server;
    let_go(task);
    tdelete(task, &s->tasks_by_id, compare_ids);
    *(task->prev ? &task->prev->next : &s->oldest_task) = task->next;
    *(task->next ? &task->next->prev : &s->newest_task) = task->prev;
    s->stats.tasks--;
    buf_deinit(&task->outcome);
    mem_free(task->subject);
    mem_free(task);
}

void tasks_expire(struct mcp_server *s, int64_t now_us)
{
    for (struct mcp_task *task = s->oldest_task, *next; task; task = next) {
        next = task->next;
        if (task->expires_us <= now_us)
            task_free(task);
    }
}

void tasks_stop(struct mcp_server *s)
{
    for (struct mcp_task *task = s->oldest_task; task; task = task->next)
        let_go(task);
}

void tasks_free(struct mcp_server *s)
{
    while (s->oldest_task)
        task_free(s->oldest_task);
}

/* ---- what a client sees ---- */

static void write_time(struct json_writer *w, const char *key, int64_t time_us)
{
    char text[CLOCK_RFC3339_SIZE];
    size_t len = clock_format_rfc3339(time_us / 1000 * 1000, text);
    json_key(w, key);
    json_slice(w, (struct slice){text, len});
}

static void write_members(struct json_writer *w, const struct mcp_task *task)
{
    static const char *const names[] = {"working", "input_required", "completed", "failed",
                                        "cancelled"};
    json_key_string(w, "taskId", task->id);
    json_key_string(w, "status", names[task->status]);
    write_time(w, "createdAt", task->created_us);
    write_time(w, "lastUpdatedAt", task->updated_us);
    json_key_int(w, "ttlMs", task->ttl_ms);
    json_key_int(w, "pollIntervalMs", task->poll_ms);
}

static void write_detail(struct json_writer *w, const struct mcp_task *task)
{
    switch (task->status) {
    case INPUT_REQUIRED:
        json_key(w, "inputRequests");
        ask_write_requests(w, task->call);
        break;
    case COMPLETED:
        json_key(w, "result");
        json_raw(w, buf_slice(&task->outcome));
        break;
    case FAILED:
        json_key_string(w, "statusMessage", "the call ended with a protocol error");
        json_key(w, "error");
        json_raw(w, buf_slice(&task->outcome));
        break;
    case WORKING:
    case CANCELLED:
        break;
    }
}

static void set_status(struct mcp_task *task, enum task_status status)
{
    struct buf b;
    struct json_writer w;
    task->status = status;
    task->updated_us = clock_now_us();
    if (task->server->subscriptions.count == 0)
        return;
    buf_init(&b, MCP_ANSWER_BYTES_MAX);
    json_writer_init(&w, &b);
    write_members(&w, task);
    write_detail(&w, task);
    if (!buf_status(&b))
        subscribers_notify_task(task->server, task->id, buf_slice(&b));
    buf_deinit(&b);
}

/* ---- the call's side ---- */

bool mcp_call_start_task(struct mcp_call *call, uint32_t ttl_ms, uint32_t poll_ms)
{
    struct mcp_server *s = call->server;
    struct buf b;
    struct json_writer w;
    if (call->task)
        return true;
    if (!(call->client_capabilities & MCP_CAN_TASKS) || call->revision < MCP_2026_07_28 ||
        call->is_cancelled || s->is_stopping)
        return false;
    tasks_expire(s, clock_monotonic_us());
    struct mcp_task *task =
        s->stats.tasks < s->info.tasks_max ? task_new(call, ttl_ms, poll_ms) : NULL;
    if (!task)
        return false;
    struct mcp_out *out = call->out;
    buf_init(&b, MCP_ANSWER_BYTES_MAX);
    call_result_begin(call, &b, &w, "task");
    write_members(&w, task);
    result_end(&w);
    call_detach(call);
    call->task = task;
    call->out = NULL;
    out->call = NULL;
    finish_with(&b, 200, out);
    return true;
}

void task_wait(struct mcp_call *call)
{
    call->is_waiting = true;
    set_status(call->task, INPUT_REQUIRED);
}

void task_finish(struct mcp_task *task, struct buf *answer, bool is_error)
{
    static const char no_memory[] = "{\"code\":-32603,\"message\":\"the answer is too large\"}";
    struct buf empty = task->outcome;
    task->call->task = NULL;
    task->call = NULL;
    if (buf_status(answer)) {
        buf_append_cstr(&task->outcome, no_memory);
        is_error = true;
    } else {
        task->outcome = *answer;
        *answer = empty;
    }
    set_status(task, is_error ? FAILED : COMPLETED);
}

/* ---- the methods ---- */

/* The task that the request names; NULL when the request was refused. */
static struct mcp_task *named_task(struct exchange *x)
{
    if (!(x->client_capabilities & MCP_CAN_TASKS)) {
        exchange_refuse_capability(x, MCP_CAN_TASKS);
        return NULL;
    }
    struct mcp_task *task = find(x->rx, json_get_string(x->message->params, "taskId"));
    if (!task)
        exchange_refuse(x, MCP_INVALID_PARAMS,
                        "params.taskId names no task of this caller: it never was, or its time is "
                        "over");
    return task;
}

void method_task_get(struct exchange *x)
{
    const struct mcp_task *task = named_task(x);
    struct buf b;
    struct json_writer w;
    if (!task)
        return;
    buf_init(&b, MCP_ANSWER_BYTES_MAX);
    json_writer_init(&w, &b);
    result_begin(&w, x->rx->server, x->message->id, x->revision, "complete");
    write_members(&w, task);
    write_detail(&w, task);
    result_end(&w);
    finish_with(&b, 200, x->out);
}

void method_task_update(struct exchange *x)
{
    struct mcp_task *task = named_task(x);
    const cJSON *responses = json_get(x->message->params, "inputResponses");
    const char *fault = "params.inputResponses must be an object of answers by key";
    int open = -1;
    if (!task)
        return;
    if (cJSON_IsObject(responses))
        open = task->status == INPUT_REQUIRED ? ask_update(task->call, responses, &fault) : 1;
    if (open < 0) {
        exchange_refuse(x, MCP_INVALID_PARAMS, fault);
        return;
    }
    struct mcp_call *call = open == 0 ? task->call : NULL;
    exchange_acknowledge(x);
    if (!call)
        return;
    set_status(task, WORKING);
    call_run(call);
}

void method_task_cancel(struct exchange *x)
{
    struct mcp_task *task = named_task(x);
    if (!task)
        return;
    if (task->call) {
        let_go(task);
        set_status(task, CANCELLED);
    }
    exchange_acknowledge(x);
}
