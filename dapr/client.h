#pragma once
/* dapr/client: one Dapr sidecar, by its HTTP API; tested against daprd 1.18.
 *
 * Use:     dapr_client_new -> dapr_publish, dapr_state_…, dapr_job_… -> dapr_client_close (async)
 *          -> closed callback.
 * Health:  asks GET /v1.0/healthz/outbound (Dapr API reference, "Health API"): until it says yes
 *          with backoff from 50 ms to 1 s, then each 5 s and as soon as a call finds no sidecar.
 *          Calls are sent whether the sidecar is known to be up or not; who wants to wait for it
 *          first uses dapr_client_wait.
 * Retries: a call that found no connection (so that nothing was sent), and a read whose connection
 *          broke, is tried again after 50, 100, 200 ms … within its timeout, 3 times at most. No
 *          answer of the sidecar is ever tried again by this module, nor a publish: whoever sends
 *          events has an order to keep, and has to hear first that the sidecar went away, since
 *          another broker may stand behind it when it is back.
 * Owns:    its connections, kept alive, and the calls in flight. Borrows the loop and the log.
 * Thread:  loop thread only.
 * Limits:  calls_max calls in flight; an answer has at most answer_max_bytes. */
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "dapr/error.h"

struct dapr_client;
struct error;
struct log;

struct dapr_client_options {
    const char *host;          /* copied; NULL: 127.0.0.1 */
    uint16_t port;             /* DAPR_HTTP_PORT; 0: 3500 */
    const char *api_token;     /* DAPR_API_TOKEN, sent as `dapr-api-token`; NULL or "": none */
    uint32_t timeout_ms;       /* of a call; 0: 10 s */
    uint32_t calls_max;        /* 0: 256 */
    uint32_t connections_max;  /* 0: 16; further calls wait, which counts in their timeout */
    uint32_t answer_max_bytes; /* 0: 4 MiB */
    /* The sidecar came up or went down, later than dapr_client_new. May be NULL. */
    void (*on_change)(void *ctx, bool is_up);
    void *ctx;
};

/* Comes exactly once for each call that was started, never from inside it: 0, or a code of
 * dapr/error.h or base/error.h with `err` (borrowed until the return; NULL with 0). */
typedef void (*dapr_done_fn)(void *ctx, int status, const struct error *err);
typedef void (*dapr_closed_fn)(void *ctx);

/* Starts to look for the sidecar. 0 and *out; BASE_ENOMEM, BASE_EINVAL (host, token). */
__attribute__((warn_unused_result)) int
dapr_client_new(uv_loop_t *loop, const struct dapr_client_options *options, const struct log *log,
                struct dapr_client **out, struct error *err);
/* As far as is known now. */
bool dapr_client_is_up(const struct dapr_client *c);
/* `fn` comes with 0 once the sidecar is up (soon, where it is), or with DAPR_EUNAVAILABLE after
 * `timeout_ms`. 0, BASE_ECLOSED or BASE_ENOMEM. */
__attribute__((warn_unused_result)) int dapr_client_wait(struct dapr_client *c, uint32_t timeout_ms,
                                                         dapr_done_fn fn, void *ctx);
/* Calls in flight end with BASE_ECLOSED; then `closed` is called once and `c` is freed. */
void dapr_client_close(struct dapr_client *c, dapr_closed_fn closed, void *ctx);
