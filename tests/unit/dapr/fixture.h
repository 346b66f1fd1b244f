#pragma once
/* A sidecar's client on one loop with a server that answers as it is told, and an app on another
 * server: what both sides do with bytes that no sidecar would send. What daprd really sends is
 * tests/stack/dapr_test.py's. */
#include <uv.h>

#include "base/http_client.h"
#include "base/http_server.h"
#include "dapr/app.h"
#include "dapr/client.h"

struct canned {
    int status; /* 0: the request is not answered */
    const char *body;
    const char *etag; /* or NULL */
};

struct heard {
    int count;
    int status;
    char field[64], text[256];
    char value[512]; /* what the call's own answer holds, written out */
};

struct fixture {
    uv_loop_t loop;
    struct http_server *server; /* NULL once it is closed */
    struct dapr_client *client;
    struct canned answer; /* to all but the health */
    bool is_healthy;
    int health_count, request_count;
    char method[16], path[512], query[256], token[64], if_match[64], content_type[64];
    char body[4096]; /* of the last request */
    struct http_request *held[8];
    size_t held_count;
    struct heard heard;
    int change_count;
    bool is_up;
    int closed_count;
    unsigned fail_nth; /* the allocation that fails, counted from the answer on; 0: none */
};

#define FIXTURE_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int fixture_setup(void **state);
int fixture_teardown(void **state);
/* Runs the loop until the answer is heard; `status` of the start must be 0. */
void fixture_wait(struct fixture *f, int status);
void fixture_close_server(struct fixture *f);
void fixture_close_client(struct fixture *f);
/* Counts in closed_count. */
void fixture_closed(void *ctx);
/* A client with these options, instead of the present one. */
void fixture_reopen(struct fixture *f, const struct dapr_client_options *options);
void heard_done(void *ctx, int status, const struct error *err);
void heard_error(struct heard *h, int status, const struct error *err);
