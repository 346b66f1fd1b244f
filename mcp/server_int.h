#pragma once
/* mcp/server_int: the server's inside and an exchange, for the files of mcp/. */
#include "base/buf.h"
#include "base/json.h"
#include "mcp/catalog_int.h"
#include "mcp/peer.h"
#include "mcp/schema.h"
#include "mcp/server.h"

#define MCP_ANSWER_BYTES_MAX (16u << 20)
#define MCP_TASKS_EXTENSION  "io.modelcontextprotocol/tasks"
#define META_CAPABILITIES    "io.modelcontextprotocol/clientCapabilities"
#define META_LOG_LEVEL       "io.modelcontextprotocol/logLevel"
#define META_SERVER_INFO     "io.modelcontextprotocol/serverInfo"
#define META_SUBSCRIPTION    "io.modelcontextprotocol/subscriptionId"

#define SEAL_KEY_BYTES 32

struct mcp_subscription;
struct mcp_task;

struct subscription_table {
    struct mcp_subscription **buckets;
    size_t bucket_count; /* a power of two, or 0 */
    size_t count;
    struct mcp_subscription *next; /* while a bucket is walked: see subscribe.c */
};

struct mcp_server {
    struct mcp_server_info info; /* strings owned, defaults filled in; seal_key is NULL */
    const struct log *log;       /* borrowed */
    struct catalog tools, resources, templates, prompts;
    uint32_t completer_count; /* prompts and templates that complete */
    uint32_t tasking_count;   /* tools with task support */
    struct buf identity_json; /* serverInfo */
    unsigned char seal_key[SEAL_KEY_BYTES];
    struct mcp_subscriber *subscribers;
    struct mcp_subscriber *next_subscriber; /* while the list is walked */
    struct subscription_table subscriptions;
    struct mcp_call *waiting, *waiting_last; /* for a client's response, the longest first */
    void *tasks_by_id;                       /* a tsearch tree */
    struct mcp_task *oldest_task, *newest_task;
    struct mcp_server_stats stats;
    bool is_stopping;
};

/* One request on its way through the core. */
struct exchange {
    const struct mcp_request_context *rx;
    struct mcp_message *message;
    enum mcp_revision revision;
    uint32_t client_capabilities;
    struct mcp_out *out;
};

/* ---- answer.c: what goes out ---- */

void error_begin(struct json_writer *w, struct buf *b, const cJSON *id, bool with_null_id, int code,
                 const char *message);
void error_end(struct json_writer *w);
/* Starts an answer: {"jsonrpc":"2.0","id":…,"result":{ and for 2026-07-28 resultType and _meta. The
 * caller adds members and closes with result_end. `type` is "complete", "input_required", "task".
 */
void result_begin(struct json_writer *w, const struct mcp_server *s, const cJSON *id,
                  enum mcp_revision revision, const char *type);
void result_end(struct json_writer *w);
/* Sends what is in `b`, and ends it. */
void finish_with(struct buf *b, int http_status, struct mcp_out *out);
/* Ends `out` with an error. */
void finish_error(const struct mcp_request_context *rx, const cJSON *id, bool with_null_id,
                  int code, const char *message, int http_status, struct mcp_out *out);
/* The same for a request; HTTP 400 in the stateless revision when the request itself is at fault
 * there. */
void exchange_refuse(struct exchange *x, int code, const char *message);
/* -32002, in 2026-07-28 -32602, with the URI. */
void write_resource_not_found(struct buf *b, const cJSON *id, enum mcp_revision revision,
                              const char *uri);
/* -32021 with what the client lacks (MCP_CAN_*). */
void exchange_refuse_capability(struct exchange *x, uint32_t missing);
void error_data_capabilities(struct json_writer *w, uint32_t missing);
/* An empty result. */
void exchange_acknowledge(struct exchange *x);
void write_cache_hints(struct json_writer *w, const struct exchange *x, uint32_t ttl_ms,
                       bool is_public);

/* ---- the methods ---- */

void method_initialize(struct exchange *x); /* discover.c */
void method_discover(struct exchange *x);
void method_ping(struct exchange *x);
void method_set_level(struct exchange *x);
void method_tools_list(struct exchange *x); /* list.c */
void method_resources_list(struct exchange *x);
void method_templates_list(struct exchange *x);
void method_prompts_list(struct exchange *x);
void method_tools_call(struct exchange *x); /* tool.c */
void method_resources_read(struct exchange *x);
void method_prompts_get(struct exchange *x);
void method_complete(struct exchange *x);
void method_subscribe(struct exchange *x); /* subscribe.c */
void method_unsubscribe(struct exchange *x);
void method_listen(struct exchange *x);   /* listen.c */
void method_task_get(struct exchange *x); /* task.c */
void method_task_update(struct exchange *x);
void method_task_cancel(struct exchange *x);

/* discover.c */
uint32_t capabilities_parse(const cJSON *capabilities); /* MCP_CAN_* */
void write_supported_versions(struct json_writer *w, const char *key);
const char *log_level_name(enum mcp_log_level level);
/* False when `name` is NULL or no level. */
bool log_level_from_name(const char *name, enum mcp_log_level *out);

/* dispatch.c: any message but a batch, which the caller ends. */
void dispatch_one(struct exchange *x);
/* batch.c */
void dispatch_batch(struct exchange *x);

/* list.c: whether this caller may see an entry. */
bool is_entry_visible(const struct mcp_request_context *rx, const struct catalog_entry *entry);
bool is_tool_visible(const struct mcp_request_context *rx, const struct catalog_entry *entry);

/* resource.c: true when the caller may read that URI. */
bool is_resource_known(const struct mcp_request_context *rx, const char *uri);
/* server.c: copies a string that may be NULL; false when memory is out. */
bool text_copy(const char **text);
void text_free(const char *text);
void write_icons(struct json_writer *w, const struct mcp_icon *icon);
