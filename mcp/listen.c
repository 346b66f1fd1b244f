/* subscriptions/listen: a request whose answer is a stream of notifications, until the client
 * closes it or the server stops. Spec: basic/patterns/subscriptions of 2026-07-28. */
#include "base/error.h"
#include "base/mem.h"
#include "mcp/call_int.h"
#include "mcp/subscribe_int.h"
#include "mcp/task_int.h"

struct listener {
    struct mcp_subscriber base;    /* first: the subscribers' list gives it back */
    const struct mcp_peer *origin; /* on stdio, whose client cancels by id; only compared */
    int64_t until_us;              /* when the caller's credential ends; 0: never */
    cJSON *id;                     /* owned */
    size_t id_len;
    char id_text[];
};

struct slice listen_id(const struct mcp_subscriber *subscriber)
{
    const struct listener *l = (const struct listener *)subscriber;
    return (struct slice){l->id_text, l->id_len};
}

static void listener_free(struct listener *l)
{
    subscriber_leave(&l->base);
    cJSON_Delete(l->id);
    mem_free(l);
}

/* ---- the filter ---- */

static bool is_wanted(const cJSON *filter, const char *member)
{
    return cJSON_IsTrue(json_get(filter, member));
}

/* NULL when the filter is well-formed, else what is wrong with it. */
static const char *check_filter(const cJSON *filter)
{
    static const char *const flags[] = {"toolsListChanged", "promptsListChanged",
                                        "resourcesListChanged"};
    static const char *const names[] = {"resourceSubscriptions", "taskIds"};
    if (!cJSON_IsObject(filter))
        return "params.notifications must be an object";
    for (size_t i = 0; i < 3; i++) {
        const cJSON *flag = json_get(filter, flags[i]);
        if (flag && !cJSON_IsBool(flag))
            return "a list's flag in params.notifications must be true or false";
    }
    for (size_t i = 0; i < 2; i++) {
        const cJSON *list = json_get(filter, names[i]);
        const cJSON *item;
        if (list && (!cJSON_IsArray(list) || cJSON_GetArraySize(list) > SUBSCRIPTIONS_MAX / 2))
            return "a list of names in params.notifications must be an array of at most 500";
        cJSON_ArrayForEach(item, list)
        {
            if (!cJSON_IsString(item))
                return "the names in params.notifications must be strings";
        }
    }
    return NULL;
}

/* What this server can tell of; the rest of the filter is left out of the acknowledgement. */
static uint32_t lists_of(const struct mcp_server *s, const cJSON *filter)
{
    uint32_t lists = 0;
    if (is_wanted(filter, "toolsListChanged") && s->tools.last_ordinal > 0)
        lists |= SUBSCRIBE_TOOLS;
    if (is_wanted(filter, "promptsListChanged") && s->prompts.last_ordinal > 0)
        lists |= SUBSCRIBE_PROMPTS;
    if (is_wanted(filter, "resourcesListChanged") &&
        s->resources.last_ordinal + s->templates.last_ordinal > 0)
        lists |= SUBSCRIBE_RESOURCES;
    return lists;
}

/* Subscribes to the names that may be, and writes those. */
static int add_names(struct listener *l, const struct exchange *x, const cJSON *filter,
                     enum subscription_kind kind, struct json_writer *w)
{
    const char *member = kind == SUBSCRIPTION_RESOURCE ? "resourceSubscriptions" : "taskIds";
    const cJSON *list = json_get(filter, member);
    const cJSON *item;
    if (!list)
        return 0;
    json_key(w, member);
    json_begin_array(w);
    cJSON_ArrayForEach(item, list)
    {
        bool is_known = kind == SUBSCRIPTION_RESOURCE ? is_resource_known(x->rx, item->valuestring)
                                                      : task_is_known(x->rx, item->valuestring);
        if (!is_known)
            continue;
        int status = subscriber_add(&l->base, kind, item->valuestring);
        if (status)
            return status;
        json_string(w, item->valuestring);
    }
    json_end_array(w);
    return 0;
}

static int write_acknowledgement(struct listener *l, const struct exchange *x, const cJSON *filter,
                                 struct json_writer *w)
{
    json_begin_object(w);
    json_key_string(w, "jsonrpc", "2.0");
    json_key_string(w, "method", "notifications/subscriptions/acknowledged");
    json_key(w, "params");
    json_begin_object(w);
    json_key(w, "_meta");
    json_begin_object(w);
    json_key(w, META_SUBSCRIPTION);
    json_raw(w, listen_id(&l->base));
    json_end_object(w);
    json_key(w, "notifications");
    json_begin_object(w);
    if (l->base.lists & SUBSCRIBE_TOOLS)
        json_key_bool(w, "toolsListChanged", true);
    if (l->base.lists & SUBSCRIBE_PROMPTS)
        json_key_bool(w, "promptsListChanged", true);
    if (l->base.lists & SUBSCRIBE_RESOURCES)
        json_key_bool(w, "resourcesListChanged", true);
    int status = add_names(l, x, filter, SUBSCRIPTION_RESOURCE, w);
    if (!status)
        status = add_names(l, x, filter, SUBSCRIPTION_TASK, w);
    if (status)
        return status;
    json_end_object(w);
    json_end_object(w);
    json_end_object(w);
    return buf_status(w->out);
}

/* ---- the stream ---- */

static struct listener *listener_new(const struct exchange *x, const cJSON *filter)
{
    struct buf id;
    struct json_writer w;
    buf_init(&id, MCP_ANSWER_BYTES_MAX);
    json_writer_init(&w, &id);
    json_tree(&w, x->message->id);
    struct listener *l = buf_status(&id) ? NULL : mem_calloc(1, sizeof(*l) + id.len + 1);
    if (l) {
        l->id = cJSON_Duplicate(x->message->id, false);
        l->id_len = id.len;
        memcpy(l->id_text, id.ptr, id.len);
        l->base.out = x->out;
        l->base.lists = lists_of(x->rx->server, filter);
        l->origin = x->rx->peer;
        l->until_us = x->rx->identity->until_us;
    }
    buf_deinit(&id);
    if (l && !l->id) {
        mem_free(l);
        l = NULL;
    }
    return l;
}

static const char *refusal(const struct exchange *x, const cJSON *filter, int *code)
{
    const struct mcp_server *s = x->rx->server;
    *code = MCP_INVALID_PARAMS;
    const char *fault = check_filter(filter);
    if (!fault && (s->is_stopping || s->stats.subscribers >= s->info.subscribers_max)) {
        *code = MCP_SERVER_BUSY;
        fault = s->is_stopping ? "the server is stopping" : "too many subscriptions are open";
    }
    return fault;
}

void method_listen(struct exchange *x)
{
    const cJSON *filter = json_get(x->message->params, "notifications");
    int code;
    const char *fault = refusal(x, filter, &code);
    if (fault) {
        exchange_refuse(x, code, fault);
        return;
    }
    if (json_get(filter, "taskIds") && !(x->client_capabilities & MCP_CAN_TASKS)) {
        exchange_refuse_capability(x, MCP_CAN_TASKS);
        return;
    }
    struct listener *l = listener_new(x, filter);
    if (!l) {
        exchange_refuse(x, MCP_INTERNAL_ERROR, "out of memory");
        return;
    }
    struct buf b;
    struct json_writer w;
    buf_init(&b, MCP_ANSWER_BYTES_MAX);
    json_writer_init(&w, &b);
    subscriber_join(&l->base, x->rx->server, x->rx->identity->user_id);
    int status = write_acknowledgement(l, x, filter, &w);
    if (status) {
        listener_free(l);
        exchange_refuse(x, status == BASE_ELIMIT ? MCP_INVALID_PARAMS : MCP_INTERNAL_ERROR,
                        status == BASE_ELIMIT ? "the names in params.notifications are too long"
                                              : "out of memory");
    } else {
        x->out->subscriber = &l->base;
        x->out->send(x->out, buf_slice(&b)); /* may end it at once: the client is gone */
    }
    buf_deinit(&b);
}

/* ---- its end ---- */

static void end(struct listener *l, struct slice answer)
{
    struct mcp_out *out = l->base.out;
    out->subscriber = NULL;
    subscriber_leave(&l->base);
    out->finish(out, answer, answer.len > 0 ? 200 : 202);
    listener_free(l);
}

void listen_cancel(struct mcp_subscriber *subscriber)
{
    subscriber->server->stats.cancelled++;
    end((struct listener *)subscriber, SLICE_EMPTY);
}

static void end_gracefully(struct listener *l)
{
    struct buf b;
    buf_init(&b, MCP_ANSWER_BYTES_MAX);
    buf_append_cstr(&b, "{\"jsonrpc\":\"2.0\",\"id\":");
    buf_append_slice(&b, listen_id(&l->base));
    buf_append_cstr(&b, ",\"result\":{\"resultType\":\"complete\",\"_meta\":{\"" META_SUBSCRIPTION
                        "\":");
    buf_append_slice(&b, listen_id(&l->base));
    buf_append_cstr(&b, "}}}");
    end(l, buf_status(&b) ? SLICE_EMPTY : buf_slice(&b));
    buf_deinit(&b);
}

static void end_until(struct mcp_server *s, int64_t now_us, bool is_end)
{
    for (s->next_subscriber = s->subscribers; s->next_subscriber;) {
        struct mcp_subscriber *subscriber = s->next_subscriber;
        struct listener *l = (struct listener *)subscriber;
        s->next_subscriber = subscriber->next;
        if (subscriber->out && (is_end || (l->until_us && l->until_us <= now_us)))
            end_gracefully(l);
    }
}

void listen_end_all(struct mcp_server *s)
{
    end_until(s, 0, true);
}

void listen_expire(struct mcp_server *s, int64_t now_us)
{
    end_until(s, now_us, false);
}

/* `id` NULL: all of the peer's. */
static void cancel_of_peer(struct mcp_peer *peer, const cJSON *id)
{
    struct mcp_server *s = peer->server;
    for (s->next_subscriber = s->subscribers; s->next_subscriber;) {
        struct mcp_subscriber *subscriber = s->next_subscriber;
        const struct listener *l = (const struct listener *)subscriber;
        s->next_subscriber = subscriber->next;
        if (subscriber->out && l->origin == peer && (!id || id_is_equal(l->id, id)))
            listen_cancel(subscriber);
    }
}

void listen_cancel_by_id(struct mcp_peer *peer, const cJSON *id)
{
    if (id)
        cancel_of_peer(peer, id);
}

void mcp_peer_hang_up(struct mcp_peer *peer)
{
    cancel_of_peer(peer, NULL);
    for (struct mcp_call *call = peer->calls, *next; call; call = next) {
        next = call->next;
        if (call->is_waiting)
            call_cancel(call);
    }
}
