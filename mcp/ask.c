/* Questions to the client. A handler asks for what it needs by key; what it cannot get is put to
 * the client when it waits, in the way of the call's revision:
 *
 *   2026-07-28   an input_required result; good answers travel along in the sealed requestState,
 *                so that the handler finds them all when the client repeats the request
 *   handshake    a request on the call's stream for each question; its response comes through
 *                mcp_dispatch (ask_answered)
 *   a task       the task says input_required; answers come by tasks/update (ask_update)
 *
 * The state is bound to the caller, the method, its target and its arguments, and goes out of date.
 * Spec: basic/patterns/mrtr of 2026-07-28; client/elicitation, client/sampling, client/roots. */
#include <stdio.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/seal.h"
#include "mcp/call_int.h"
#include "mcp/task_int.h"

#define STATE_BYTES_MAX (4u << 20)

static uint32_t capability_of(const char *method, const cJSON *params)
{
    const char *mode = json_get_string(params, "mode");
    if (strcmp(method, "sampling/createMessage") == 0)
        return MCP_CAN_SAMPLE;
    if (strcmp(method, "roots/list") == 0)
        return MCP_CAN_LIST_ROOTS;
    return mode && strcmp(mode, "url") == 0 ? MCP_CAN_ELICIT_URL : MCP_CAN_ELICIT;
}

static uint32_t missing_capabilities(const struct mcp_call *call)
{
    uint32_t needed = 0;
    for (const struct mcp_ask *ask = call->questions; ask; ask = ask->next) {
        cJSON *params = json_parse(ask->params, NULL);
        needed |= capability_of(ask->method, params);
        cJSON_Delete(params);
    }
    return needed & ~call->client_capabilities;
}

/* ---- answers ---- */

static const char *check_form(const cJSON *params, const cJSON *answer, char *text, size_t size)
{
    const cJSON *wanted = json_get(params, "requestedSchema");
    const cJSON *content = json_get(answer, "content");
    struct mcp_schema *schema;
    struct mcp_schema_fault fault;
    if (!wanted)
        return NULL;
    if (!cJSON_IsObject(content))
        return "an accepted form has its content, an object";
    if (mcp_schema_compile(wanted, &schema, NULL))
        return "the question's own schema is not one that can be checked";
    int status = mcp_schema_check(schema, content, &fault);
    mcp_schema_free(schema);
    if (!status)
        return NULL;
    snprintf(text, size, "content: %s", fault.message);
    return text;
}

static const char *check_elicited(const cJSON *params, const cJSON *answer, char *text, size_t size)
{
    const char *action = json_get_string(answer, "action");
    if (action && strcmp(action, "accept") == 0)
        return check_form(params, answer, text, size);
    bool is_known = action && (strcmp(action, "decline") == 0 || strcmp(action, "cancel") == 0);
    return is_known ? NULL : "action must be accept, decline or cancel";
}

/* NULL when the answer is one to this question, else what is wrong with it. */
static const char *check_answer(const char *method, struct slice params_text, const cJSON *answer,
                                char *text, size_t size)
{
    const char *fault = NULL;
    if (!cJSON_IsObject(answer))
        return "must be an object";
    if (strcmp(method, "sampling/createMessage") == 0) {
        const cJSON *content = json_get(answer, "content");
        if (!json_get_string(answer, "role") || !(content && content->child))
            fault = "needs role and content";
    } else if (strcmp(method, "roots/list") == 0) {
        fault = cJSON_IsArray(json_get(answer, "roots")) ? NULL : "needs roots, an array";
    } else {
        cJSON *params = json_parse(params_text, NULL);
        fault = params ? check_elicited(params, answer, text, size) : "cannot be checked";
        cJSON_Delete(params);
    }
    return fault;
}

static bool is_good(struct mcp_call *call, const char *key, const char *method, struct slice params,
                    const cJSON *answer)
{
    char text[600];
    const char *fault = check_answer(method, params, answer, text, sizeof(text));
    if (!fault)
        return true;
    const char *words =
        arena_printf(&call->arena, "the answer to \"%.64s\" does not fit: %s", key, fault);
    call->answer_fault = words ? words : "an answer does not fit its question";
    return false;
}

static void set_answer(struct mcp_call *call, const char *key, cJSON *take_answer)
{
    if (!call->answers)
        call->answers = cJSON_CreateObject();
    if (!cJSON_AddItemToObject(call->answers, key, take_answer))
        cJSON_Delete(take_answer);
}

static struct mcp_ask *find_question(const struct mcp_call *call, const char *key)
{
    struct mcp_ask *ask = call->questions;
    while (ask && strcmp(ask->key, key) != 0)
        ask = ask->next;
    return ask;
}

/* Questions keep the order in which they were asked. */
static void add_question(struct mcp_call *call, const char *key, const char *method,
                         struct slice params)
{
    struct mcp_ask **at = &call->questions;
    struct mcp_ask *ask = arena_calloc(&call->arena, 1, sizeof(*ask));
    if (!ask || find_question(call, key))
        return;
    while (*at)
        at = &(*at)->next;
    ask->call = call;
    ask->key = arena_strdup(&call->arena, key);
    ask->method = arena_strdup(&call->arena, method);
    ask->params = (struct slice){arena_copy(&call->arena, params), params.len};
    if (ask->key && ask->method && ask->params.ptr)
        *at = ask;
}

const cJSON *mcp_call_ask(struct mcp_call *call, const char *key, const char *method,
                          struct slice params)
{
    const cJSON *known = json_get(call->answers, key);
    if (known)
        return known;
    const cJSON *given = json_get(json_get(call->message.params, "inputResponses"), key);
    if (given && !call->task && call->revision >= MCP_2026_07_28 &&
        is_good(call, key, method, params, given)) {
        set_answer(call, key, cJSON_Duplicate(given, true));
        return json_get(call->answers, key);
    }
    add_question(call, key, method, params);
    return NULL;
}

/* ---- the sealed state ---- */

/* What the state belongs to. */
static void write_context(const struct mcp_call *call, struct buf *b)
{
    struct json_writer w;
    json_writer_init(&w, b);
    json_begin_array(&w);
    json_string(&w, call->identity.subject);
    json_int(&w, call->identity.user_id);
    json_string(&w, call->message.method);
    json_string(&w, mcp_call_name(call));
    json_tree(&w, call->arguments);
    json_end_array(&w);
}

static void write_state(const struct mcp_call *call, struct buf *b)
{
    struct json_writer w;
    json_writer_init(&w, b);
    json_begin_object(&w);
    json_key_int(&w, "until", clock_now_us() / 1000 + call->server->info.ask_ms);
    json_key(&w, "answers");
    if (call->answers) {
        json_tree(&w, call->answers);
    } else {
        json_begin_object(&w);
        json_end_object(&w);
    }
    json_end_object(&w);
}

static void seal_state(const struct mcp_call *call, struct buf *out)
{
    struct buf context;
    struct buf plain;
    buf_init(&context, STATE_BYTES_MAX);
    buf_init(&plain, STATE_BYTES_MAX);
    write_context(call, &context);
    write_state(call, &plain);
    if (buf_status(&context) || buf_status(&plain) ||
        seal_close(call->server->seal_key, buf_slice(&plain), buf_slice(&context), out))
        out->status = BASE_ENOMEM;
    buf_deinit(&plain);
    buf_deinit(&context);
}

/* The state's object, or NULL when it is not ours, not for this request, or out of date. */
static cJSON *open_state(const struct mcp_call *call, const char *sealed)
{
    struct buf context;
    struct buf plain;
    int64_t until = 0;
    cJSON *state = NULL;
    buf_init(&context, STATE_BYTES_MAX);
    buf_init(&plain, STATE_BYTES_MAX);
    write_context(call, &context);
    if (!buf_status(&context) && seal_open(call->server->seal_key, slice_from_cstr(sealed),
                                           buf_slice(&context), &plain) == 0)
        state = json_parse(buf_slice(&plain), NULL);
    if (state &&
        (!json_as_int(json_get(state, "until"), &until) || until < clock_now_us() / 1000)) {
        cJSON_Delete(state);
        state = NULL;
    }
    buf_deinit(&plain);
    buf_deinit(&context);
    return state;
}

bool ask_restore(struct mcp_call *call, const char **fault)
{
    const cJSON *responses = json_get(call->message.params, "inputResponses");
    const cJSON *sealed = json_get(call->message.params, "requestState");
    if (call->revision < MCP_2026_07_28 || call->kind == CALL_COMPLETION)
        return true;
    if (responses && !cJSON_IsObject(responses)) {
        *fault = "params.inputResponses must be an object of answers by key";
        return false;
    }
    if (!sealed)
        return true;
    cJSON *state = cJSON_IsString(sealed) ? open_state(call, sealed->valuestring) : NULL;
    if (!state) {
        *fault = "params.requestState is not one that this server gave to this caller for this "
                 "request, or it is out of date: send the request without it";
        return false;
    }
    call->answers = cJSON_DetachItemFromObjectCaseSensitive(state, "answers");
    cJSON_Delete(state);
    return true;
}

/* ---- waiting: a multi-round-trip result ---- */

void ask_write_requests(struct json_writer *w, const struct mcp_call *call)
{
    json_begin_object(w);
    for (const struct mcp_ask *ask = call->questions; ask; ask = ask->next) {
        if (ask->is_answered)
            continue;
        json_key(w, ask->key);
        json_begin_object(w);
        json_key_string(w, "method", ask->method);
        json_key(w, "params");
        json_raw(w, ask->params);
        json_end_object(w);
    }
    json_end_object(w);
}

static void answer_input_required(struct mcp_call *call)
{
    struct buf b;
    struct buf state;
    struct json_writer w;
    buf_init(&b, MCP_ANSWER_BYTES_MAX);
    buf_init(&state, STATE_BYTES_MAX);
    seal_state(call, &state);
    call_result_begin(call, &b, &w, "input_required");
    json_key(&w, "inputRequests");
    ask_write_requests(&w, call);
    json_key(&w, "requestState");
    json_slice(&w, buf_slice(&state));
    if (buf_status(&state))
        b.status = buf_status(&state);
    buf_deinit(&state);
    call_result_end(call, &b, &w);
}

/* ---- waiting: requests to the client ---- */

static void wait_in_line(struct mcp_call *call)
{
    struct mcp_server *s = call->server;
    call->wait_until_us = clock_monotonic_us() + (int64_t)s->info.ask_ms * 1000;
    call->waiting_next = NULL;
    call->waiting_prev = s->waiting_last;
    *(s->waiting_last ? &s->waiting_last->waiting_next : &s->waiting) = call;
    s->waiting_last = call;
}

static void leave_line(struct mcp_call *call)
{
    struct mcp_server *s = call->server;
    *(call->waiting_prev ? &call->waiting_prev->waiting_next : &s->waiting) = call->waiting_next;
    *(call->waiting_next ? &call->waiting_next->waiting_prev : &s->waiting_last) =
        call->waiting_prev;
    call->waiting_prev = call->waiting_next = NULL;
}

static void send_request(struct mcp_ask *ask)
{
    struct mcp_call *call = ask->call;
    struct mcp_peer *peer = call->peer;
    struct buf b;
    struct json_writer w;
    ask->id = ++peer->last_ask_id;
    ask->peer_next = peer->asks;
    peer->asks = ask;
    buf_init(&b, MCP_ANSWER_BYTES_MAX);
    json_writer_init(&w, &b);
    json_begin_object(&w);
    json_key_string(&w, "jsonrpc", "2.0");
    json_key_int(&w, "id", (int64_t)ask->id);
    json_key_string(&w, "method", ask->method);
    json_key(&w, "params");
    json_raw(&w, ask->params);
    json_end_object(&w);
    if (!buf_status(&b))
        call->out->send(call->out, buf_slice(&b));
    buf_deinit(&b);
}

static void send_withdrawal(const struct mcp_ask *ask)
{
    char text[160];
    int len = snprintf(text, sizeof(text),
                       "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":"
                       "{\"requestId\":%llu}}",
                       (unsigned long long)ask->id);
    ask->call->out->send(ask->call->out, (struct slice){text, (size_t)len});
}

static bool forget_request(struct mcp_peer *peer, const struct mcp_ask *ask)
{
    struct mcp_ask **at = &peer->asks;
    while (*at && *at != ask)
        at = &(*at)->peer_next;
    if (!*at)
        return false;
    *at = ask->peer_next;
    return true;
}

/* The questions' list may be walked while sending breaks the connection: nothing frees it here,
 * since the call is waiting and only its cancellation would. */
static void ask_by_request(struct mcp_call *call)
{
    call->is_waiting = true;
    wait_in_line(call);
    struct mcp_ask *ask = call->questions;
    while (ask) {
        struct mcp_ask *next = ask->next;
        send_request(ask);
        ask = next;
    }
}

/* Called with the call still on its peer: a peer that ends detaches its calls first, and then there
 * is nobody to tell. */
void ask_withdraw(struct mcp_call *call)
{
    if (call->task)
        return;
    leave_line(call);
    for (struct mcp_ask *ask = call->questions; ask; ask = ask->next) {
        if (call->peer && !ask->is_answered && forget_request(call->peer, ask))
            send_withdrawal(ask);
    }
}

void mcp_call_wait(struct mcp_call *call)
{
    uint32_t missing = missing_capabilities(call);
    if (call->is_cancelled)
        call_drop(call);
    else if (call->answer_fault && !call->task)
        mcp_call_error(call, MCP_INVALID_PARAMS, call->answer_fault);
    else if (!call->questions) /* memory was out when it asked */
        mcp_call_error(call, MCP_INTERNAL_ERROR, "out of memory");
    else if (missing)
        call_refuse_capability(call, missing);
    else if (call->task)
        task_wait(call);
    else if (call->revision >= MCP_2026_07_28)
        answer_input_required(call);
    else
        ask_by_request(call);
}

/* ---- responses ---- */

static struct mcp_ask *take_request(struct mcp_peer *peer, const cJSON *id)
{
    int64_t number;
    if (!json_as_int(id, &number))
        return NULL;
    for (struct mcp_ask **at = &peer->asks; *at; at = &(*at)->peer_next) {
        struct mcp_ask *ask = *at;
        if (ask->id == (uint64_t)number) {
            *at = ask->peer_next;
            return ask;
        }
    }
    return NULL;
}

static bool is_all_answered(const struct mcp_call *call)
{
    for (const struct mcp_ask *ask = call->questions; ask; ask = ask->next) {
        if (!ask->is_answered)
            return false;
    }
    return true;
}

static void fail_unanswered(struct mcp_call *call, const char *why)
{
    ask_withdraw(call);
    call->is_waiting = false;
    call_fail_with(call, "unavailable", why, "", "");
}

/* An answer that nobody waits for any more is dropped. */
void ask_answered(struct mcp_peer *peer, struct mcp_message *m)
{
    struct mcp_ask *ask = take_request(peer, m->id);
    if (!ask)
        return;
    struct mcp_call *call = ask->call;
    const cJSON *result = json_get(m->root, "result");
    ask->is_answered = true;
    if (!result) {
        fail_unanswered(call, "the client refused to answer what this needs to know");
    } else if (!is_good(call, ask->key, ask->method, ask->params, result)) {
        fail_unanswered(call, call->answer_fault);
    } else {
        set_answer(call, ask->key, cJSON_DetachItemFromObjectCaseSensitive(m->root, "result"));
        if (is_all_answered(call)) {
            leave_line(call);
            call_run(call);
        }
    }
}

int ask_update(struct mcp_call *call, const cJSON *responses, const char **fault)
{
    int open = 0;
    call->answer_fault = NULL;
    for (struct mcp_ask *ask = call->questions; ask; ask = ask->next) {
        const cJSON *answer = ask->is_answered ? NULL : json_get(responses, ask->key);
        if (answer && is_good(call, ask->key, ask->method, ask->params, answer)) {
            ask->is_answered = true;
            set_answer(call, ask->key, cJSON_Duplicate(answer, true));
        }
        open += !ask->is_answered;
    }
    *fault = call->answer_fault;
    return call->answer_fault ? -1 : open;
}

void calls_expire(struct mcp_server *s, int64_t now_us)
{
    while (s->waiting && s->waiting->wait_until_us <= now_us)
        fail_unanswered(s->waiting, "the client did not answer in time");
}
