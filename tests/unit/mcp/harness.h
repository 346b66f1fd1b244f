#pragma once
/* A server that is driven message by message, without a transport: text in, text out. */
#include <stdbool.h>

#include "mcp/content.h"
#include "mcp/peer.h"
#include "mcp/prompt.h"
#include "mcp/resource.h"
#include "mcp/tool.h"

#define HARNESS_SENT_MAX 32
#define HARNESS_TEXTS    16384

/* Where texts are kept: not on the heap, which fails in some tests. */
struct texts {
    char bytes[HARNESS_TEXTS];
    size_t used;
};

/* One request and what came of it. */
struct request {
    struct mcp_out out; /* first */
    bool is_finished;
    int http_status;
    const char *answer; /* "" when there is none */
    const char *sent[HARNESS_SENT_MAX];
    int sent_count;
    uint32_t missing_scopes;
    struct texts texts;
};

struct harness {
    struct mcp_server *server;
    struct mcp_identity identity;
    struct mcp_peer peer;                   /* of the handshake revisions */
    const char *notified[HARNESS_SENT_MAX]; /* what the peer was told outside of requests */
    int notified_count;
    struct texts texts;
};

void harness_init(struct harness *h, const struct mcp_server_info *info);
void harness_deinit(struct harness *h);
/* initialize on the peer, with these client capabilities (JSON). */
void harness_initialize(struct harness *h, const char *version, const char *capabilities);

/* Sends text on the peer. What came of it is in *r until the next one. */
void harness_send(struct harness *h, struct request *r, const char *text);
/* A request of 2026-07-28 by `identity`. `params` are members of params ("\"name\":\"x\"") or "".
 */
void harness_call(struct harness *h, struct request *r, const struct mcp_identity *identity, int id,
                  const char *method, const char *params, const char *capabilities);
/* Fails the test when the request was not answered. */
void request_deinit(struct request *r);

/* The answer's tree; the caller deletes it. Fails the test when there is none. */
cJSON *request_answer(const struct request *r);
int request_error_code(const struct request *r);
/* Fails the test when the text does not hold the other. */
void assert_has(const char *text, const char *part);
void assert_has_not(const char *text, const char *part);
