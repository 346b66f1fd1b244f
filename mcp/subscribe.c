/* Subscribers, their subscriptions by name, and the notifications they get.
 *
 * Sending may break a connection, which ends other subscribers at once. So whoever walks a list
 * keeps its next element in the server (next_subscriber, subscriptions.next), and what leaves a
 * list moves that mark on. */
#include "mcp/subscribe_int.h"

#include <stdio.h>

#include "base/error.h"
#include "base/mem.h"
#include "mcp/resource_int.h"

#define BUCKETS_MIN 64

struct mcp_subscription {
    struct mcp_subscription *next;          /* in its bucket */
    struct mcp_subscription *next_of_owner; /* of one subscriber */
    struct mcp_subscriber *owner;
    uint64_t hash;
    enum subscription_kind kind;
    char key[];
};

/* ---- the table ---- */

/* FNV-1a, 64 bits. */
static uint64_t hash_of(enum subscription_kind kind, const char *key)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325) ^ (uint64_t)kind;
    for (; *key; key++)
        hash = (hash ^ (unsigned char)*key) * UINT64_C(0x100000001b3);
    return hash;
}

static struct mcp_subscription **bucket_of(const struct subscription_table *t, uint64_t hash)
{
    return &t->buckets[hash & (t->bucket_count - 1)];
}

static void link_in(struct subscription_table *t, struct mcp_subscription *sub)
{
    struct mcp_subscription **bucket = bucket_of(t, sub->hash);
    sub->next = *bucket;
    *bucket = sub;
}

static int grow(struct subscription_table *t)
{
    struct subscription_table grown = *t;
    if (t->count < t->bucket_count)
        return 0;
    grown.bucket_count = t->bucket_count ? t->bucket_count * 2 : BUCKETS_MIN;
    grown.buckets = mem_calloc(grown.bucket_count, sizeof(*grown.buckets));
    if (!grown.buckets)
        return BASE_ENOMEM;
    for (size_t i = 0; i < t->bucket_count; i++) {
        for (struct mcp_subscription *sub = t->buckets[i], *next; sub; sub = next) {
            next = sub->next;
            link_in(&grown, sub);
        }
    }
    mem_free(t->buckets);
    *t = grown;
    return 0;
}

static void unlink_from(struct subscription_table *t, struct mcp_subscription *sub)
{
    struct mcp_subscription **at = bucket_of(t, sub->hash);
    while (*at != sub)
        at = &(*at)->next;
    *at = sub->next;
    if (t->next == sub)
        t->next = sub->next;
    t->count--;
}

void subscription_table_deinit(struct subscription_table *t)
{
    mem_free(t->buckets);
    *t = (struct subscription_table){0};
}

static bool is_for(const struct mcp_subscription *sub, uint64_t hash, enum subscription_kind kind,
                   const char *key)
{
    return sub->hash == hash && sub->kind == kind && strcmp(sub->key, key) == 0;
}

/* ---- subscribers ---- */

void subscriber_join(struct mcp_subscriber *subscriber, struct mcp_server *s, int64_t user_id)
{
    subscriber->server = s;
    subscriber->user_id = user_id;
    subscriber->prev = NULL;
    subscriber->next = s->subscribers;
    if (s->subscribers)
        s->subscribers->prev = subscriber;
    s->subscribers = subscriber;
    s->stats.subscribers++;
}

void subscriber_join_peer(struct mcp_peer *peer)
{
    peer->subscriber = (struct mcp_subscriber){
        .peer = peer, .lists = SUBSCRIBE_TOOLS | SUBSCRIBE_PROMPTS | SUBSCRIBE_RESOURCES};
    subscriber_join(&peer->subscriber, peer->server, peer->identity.user_id);
}

void subscriber_leave(struct mcp_subscriber *subscriber)
{
    struct mcp_server *s = subscriber->server;
    if (!s)
        return;
    while (subscriber->resources) {
        struct mcp_subscription *sub = subscriber->resources;
        subscriber->resources = sub->next_of_owner;
        subscriber->names_bytes -= strlen(sub->key) + 1;
        unlink_from(&s->subscriptions, sub);
        mem_free(sub);
    }
    if (s->next_subscriber == subscriber)
        s->next_subscriber = subscriber->next;
    *(subscriber->prev ? &subscriber->prev->next : &s->subscribers) = subscriber->next;
    if (subscriber->next)
        subscriber->next->prev = subscriber->prev;
    subscriber->server = NULL;
    s->stats.subscribers--;
}

static struct mcp_subscription **find_own(struct mcp_subscriber *subscriber, uint64_t hash,
                                          enum subscription_kind kind, const char *key,
                                          size_t *count)
{
    struct mcp_subscription **at = &subscriber->resources;
    for (*count = 0; *at && !is_for(*at, hash, kind, key); (*count)++)
        at = &(*at)->next_of_owner;
    return at;
}

int subscriber_add(struct mcp_subscriber *subscriber, enum subscription_kind kind, const char *key)
{
    struct subscription_table *t = &subscriber->server->subscriptions;
    uint64_t hash = hash_of(kind, key);
    size_t count;
    if (*find_own(subscriber, hash, kind, key, &count))
        return 0;
    size_t size = strlen(key) + 1;
    if (count >= SUBSCRIPTIONS_MAX || size > SUBSCRIPTION_NAMES_BYTES - subscriber->names_bytes)
        return BASE_ELIMIT;
    struct mcp_subscription *sub = mem_alloc(sizeof(*sub) + size);
    if (!sub || grow(t)) {
        mem_free(sub);
        return BASE_ENOMEM;
    }
    *sub = (struct mcp_subscription){
        .owner = subscriber, .next_of_owner = subscriber->resources, .hash = hash, .kind = kind};
    memcpy(sub->key, key, size);
    subscriber->resources = sub;
    subscriber->names_bytes += size;
    link_in(t, sub);
    t->count++;
    return 0;
}

void subscriber_remove(struct mcp_subscriber *subscriber, enum subscription_kind kind,
                       const char *key)
{
    size_t count;
    struct mcp_subscription **at = find_own(subscriber, hash_of(kind, key), kind, key, &count);
    struct mcp_subscription *sub = *at;
    if (!sub)
        return;
    *at = sub->next_of_owner;
    subscriber->names_bytes -= strlen(sub->key) + 1;
    unlink_from(&subscriber->server->subscriptions, sub);
    mem_free(sub);
}

/* ---- notifications ---- */

/* `members` of params, without braces; may be empty. A listen stream's carry its id. */
static void notify(struct mcp_subscriber *subscriber, const char *method, struct slice members)
{
    struct buf b;
    buf_init(&b, MCP_ANSWER_BYTES_MAX);
    buf_printf(&b, "{\"jsonrpc\":\"2.0\",\"method\":\"%s\"", method);
    if (subscriber->out || members.len > 0)
        buf_append_cstr(&b, ",\"params\":{");
    if (subscriber->out) {
        buf_append_cstr(&b, "\"_meta\":{\"" META_SUBSCRIPTION "\":");
        buf_append_slice(&b, listen_id(subscriber));
        buf_append_cstr(&b, members.len > 0 ? "}," : "}");
    }
    buf_append_slice(&b, members);
    buf_append_cstr(&b, subscriber->out || members.len > 0 ? "}}" : "}");
    subscriber->server->stats.notifications++;
    if (buf_status(&b)) /* lost for want of memory */
        subscriber->server->stats.notifications--;
    else if (subscriber->out)
        subscriber->out->send(subscriber->out, buf_slice(&b));
    else if (subscriber->peer->notify)
        subscriber->peer->notify(subscriber->peer, buf_slice(&b));
    buf_deinit(&b);
}

static const char *list_method(uint32_t list)
{
    if (list == SUBSCRIBE_TOOLS)
        return "notifications/tools/list_changed";
    return list == SUBSCRIBE_PROMPTS ? "notifications/prompts/list_changed"
                                     : "notifications/resources/list_changed";
}

static bool is_of_user(const struct mcp_subscriber *subscriber, int64_t user_id)
{
    return user_id == 0 || subscriber->user_id == user_id;
}

void subscribers_notify_list(struct mcp_server *s, uint32_t list, int64_t user_id)
{
    for (s->next_subscriber = s->subscribers; s->next_subscriber;) {
        struct mcp_subscriber *subscriber = s->next_subscriber;
        s->next_subscriber = subscriber->next;
        if ((subscriber->lists & list) && is_of_user(subscriber, user_id))
            notify(subscriber, list_method(list), SLICE_EMPTY);
    }
}

static void notify_named(struct mcp_server *s, enum subscription_kind kind, const char *key,
                         int64_t user_id, const char *method, struct slice members)
{
    struct subscription_table *t = &s->subscriptions;
    uint64_t hash = hash_of(kind, key);
    if (t->count == 0)
        return;
    for (t->next = *bucket_of(t, hash); t->next;) {
        struct mcp_subscription *sub = t->next;
        t->next = sub->next;
        if (is_for(sub, hash, kind, key) && is_of_user(sub->owner, user_id))
            notify(sub->owner, method, members);
    }
}

void subscribers_notify_task(struct mcp_server *s, const char *task_id, struct slice members)
{
    notify_named(s, SUBSCRIPTION_TASK, task_id, 0, "notifications/tasks", members);
}

static void write_uri(struct buf *b, const char *uri)
{
    struct json_writer w;
    json_writer_init(&w, b);
    json_key_string(&w, "uri", uri);
}

void mcp_server_resource_updated(struct mcp_server *s, int64_t user_id, const char *uri)
{
    struct buf b;
    if (s->subscriptions.count == 0)
        return;
    buf_init(&b, MCP_ANSWER_BYTES_MAX);
    write_uri(&b, uri);
    if (!buf_status(&b))
        notify_named(s, SUBSCRIPTION_RESOURCE, uri, user_id, "notifications/resources/updated",
                     buf_slice(&b));
    buf_deinit(&b);
}

static void notify_updated(const struct mcp_subscription *sub)
{
    struct buf b;
    buf_init(&b, MCP_ANSWER_BYTES_MAX);
    write_uri(&b, sub->key);
    if (!buf_status(&b))
        notify(sub->owner, "notifications/resources/updated", buf_slice(&b));
    buf_deinit(&b);
}

void mcp_server_resources_updated(struct mcp_server *s, int64_t user_id, const char *prefix)
{
    struct subscription_table *t = &s->subscriptions;
    size_t len = strlen(prefix);
    for (size_t i = 0; t->count > 0 && i < t->bucket_count; i++) {
        for (t->next = t->buckets[i]; t->next;) {
            const struct mcp_subscription *sub = t->next;
            t->next = sub->next;
            if (sub->kind == SUBSCRIPTION_RESOURCE && strncmp(sub->key, prefix, len) == 0 &&
                is_of_user(sub->owner, user_id))
                notify_updated(sub);
        }
    }
}

void mcp_server_resources_changed(struct mcp_server *s, int64_t user_id)
{
    subscribers_notify_list(s, SUBSCRIBE_RESOURCES, user_id);
}

/* ---- resources/subscribe and unsubscribe (handshake revisions) ---- */

void method_subscribe(struct exchange *x)
{
    const char *uri = json_get_string(x->message->params, "uri");
    if (!uri) {
        exchange_refuse(x, MCP_INVALID_PARAMS, "params.uri must be the URI of a resource");
    } else if (!is_resource_known(x->rx, uri)) {
        refuse_unknown_resource(x, uri);
    } else {
        int status = subscriber_add(&x->rx->peer->subscriber, SUBSCRIPTION_RESOURCE, uri);
        if (status == 0)
            exchange_acknowledge(x);
        else
            exchange_refuse(x, status == BASE_ELIMIT ? MCP_INVALID_PARAMS : MCP_INTERNAL_ERROR,
                            status == BASE_ELIMIT
                                ? "too many subscriptions, or too long names: end some first"
                                : "out of memory");
    }
}

void method_unsubscribe(struct exchange *x)
{
    const char *uri = json_get_string(x->message->params, "uri");
    if (!uri) {
        exchange_refuse(x, MCP_INVALID_PARAMS, "params.uri must be the URI of a resource");
        return;
    }
    subscriber_remove(&x->rx->peer->subscriber, SUBSCRIPTION_RESOURCE, uri);
    exchange_acknowledge(x);
}
