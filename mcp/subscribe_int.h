#pragma once
/* mcp/subscribe: who is told of changes. A subscriber is a subscriptions/listen stream
 * (2026-07-28, listen.c) or a whole peer of the handshake revisions; it hears changes of lists, and
 * of the resources and tasks that it named. */
#include "mcp/server_int.h"

#define SUBSCRIBE_TOOLS     0x1u
#define SUBSCRIBE_PROMPTS   0x2u
#define SUBSCRIBE_RESOURCES 0x4u

/* A subscriber's named subscriptions, and the bytes of their names; one more is refused. */
#define SUBSCRIPTIONS_MAX        1000
#define SUBSCRIPTION_NAMES_BYTES (128 << 10)

enum subscription_kind { SUBSCRIPTION_RESOURCE, SUBSCRIPTION_TASK };

/* ---- subscribe.c ---- */

void subscriber_join(struct mcp_subscriber *subscriber, struct mcp_server *s, int64_t user_id);
/* After initialize: it hears changes of all lists. */
void subscriber_join_peer(struct mcp_peer *peer);
/* Drops its subscriptions too. Idempotent. */
void subscriber_leave(struct mcp_subscriber *subscriber);
/* 0 (also when it is there already), BASE_ELIMIT or BASE_ENOMEM. */
int subscriber_add(struct mcp_subscriber *subscriber, enum subscription_kind kind, const char *key);
void subscriber_remove(struct mcp_subscriber *subscriber, enum subscription_kind kind,
                       const char *key);
/* Tells subscribers of the user (0: all) that a list has changed. */
void subscribers_notify_list(struct mcp_server *s, uint32_t list, int64_t user_id);
/* notifications/tasks: `task` is the JSON text of its members, without the braces. */
void subscribers_notify_task(struct mcp_server *s, const char *task_id, struct slice members);
void subscription_table_deinit(struct subscription_table *t);

/* ---- listen.c ---- */

/* The client gave up: ends the stream without an answer. */
void listen_cancel(struct mcp_subscriber *subscriber);
void listen_cancel_by_id(struct mcp_peer *peer, const cJSON *id);
/* Ends the streams of callers whose credentials have ended. */
void listen_expire(struct mcp_server *s, int64_t now_us);
/* The server stops: ends all streams with their results. */
void listen_end_all(struct mcp_server *s);
/* The JSON text of the stream's id. */
struct slice listen_id(const struct mcp_subscriber *subscriber);
