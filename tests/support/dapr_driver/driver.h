#pragma once
/* What the two files of tests/support/dapr_driver share. */
#include <uv.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/json.h"
#include "base/log.h"
#include "base/secret.h"
#include "dapr/app.h"
#include "dapr/client.h"
#include "dapr/jobs.h"
#include "dapr/metadata.h"
#include "dapr/pubsub.h"
#include "dapr/state.h"
#include "events/transport.h"

struct http_server;

#define LINE_MAX_BYTES ((size_t)16 << 20)
#define ITEMS_MAX      1000
#define TURNS_MAX      4096

struct driver {
    uv_loop_t loop;
    uv_pipe_t in;
    struct log log;
    struct buf line;
    struct dapr_client *client;
    struct transport *transport;
    struct dapr_app *app;
    char token[256]; /* of the app */
    struct secret secret;
    struct http_server *server;
    struct dapr_turn *turns[TURNS_MAX];
    size_t turn_count;
    char mode[16]; /* "ask", or the answer that each delivery gets */
    bool is_ending;
};

/* A call under way. */
struct op {
    struct driver *d;
    cJSON *line;
    void *memory; /* what the call borrows */
    size_t count;
};

struct out {
    struct buf b;
    struct json_writer w;
};

void out_begin(struct out *o);
void out_end(struct out *o);
void out_slice(struct out *o, const char *key, struct slice text);
void answer_begin(struct out *o, const struct op *op, int status, const struct error *err);
/* Ends the call too. */
void answer_end(struct out *o, struct op *op);

/* Each tells how a call ended; the context is its op. */
void on_done(void *ctx, int status, const struct error *err);
void on_bulk(void *ctx, int status, const struct dapr_event_result *results, size_t count,
             const struct error *err);
void on_state(void *ctx, int status, const struct dapr_state_value *value, const struct error *err);
void on_states(void *ctx, int status, const struct dapr_state_value *values, size_t count,
               const struct error *err);
void on_job(void *ctx, int status, bool is_found, const struct dapr_job *job,
            const struct error *err);
void on_component(void *ctx, int status, const struct dapr_component *c, const struct error *err);
void on_published(void *ctx, const struct transport_result *results, size_t count);
void on_identity(void *ctx, struct slice identity);
