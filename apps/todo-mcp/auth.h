#pragma once
/* apps/todo-mcp/auth: who calls over HTTP: an OAuth access token or an API key -> a user.
 *
 *   auth_open -> (auth_authenticate, auth_challenge by mcp/http) … -> auth_close -> closed
 *             -> the loop ends -> auth_deinit
 *
 *   auth_authenticate: Authorization -> token: mcp/auth -> the subject's row (remembered 60 s)
 *                                    -> API key: its row (remembered 5 s, so that a revoked one
 *                                                counts no longer than that)
 *                      -> the user's bucket -> admitted
 *   refused: 401 with a challenge, from the address's bucket; 429 once that is empty; 503 while
 *   nobody can tell. Good credentials never wait for an address's bucket, which bad ones behind the
 *   same proxy may have emptied.
 * Borrows the pool, the settings, the loop and the log. */
#include <stdbool.h>
#include <uv.h>

#include "mcp/http.h"

struct buf;
struct db_pool;
struct error;
struct http_client;
struct log;
struct lru;
struct mcp_auth;
struct rate_limit;
struct settings;

typedef void (*auth_closed_fn)(void *ctx);

struct auth {
    uv_loop_t *loop;
    struct db_pool *pool;
    const struct settings *settings;
    const struct log *log;
    struct http_client *client;                       /* of the issuer; NULL without OAuth */
    struct mcp_auth *oauth;                           /* NULL without OAuth, and once closed */
    struct rate_limit *users, *addresses, *log_lines; /* NULL: no limit */
    struct lru *subjects;                             /* subject -> struct known_user */
    struct lru *keys;                                 /* hash -> struct known_key */
    auth_closed_fn closed;
    void *closed_ctx;
};

/* `port` is the one listened on. 0, or the reason in `err`; auth_close is due in both cases. */
__attribute__((warn_unused_result)) int auth_open(struct auth *a, uv_loop_t *loop,
                                                  struct db_pool *pool,
                                                  const struct settings *settings, uint16_t port,
                                                  const struct log *log, struct error *err);
/* Who waits for the issuer is refused; then `closed`, perhaps at once. */
void auth_close(struct auth *a, auth_closed_fn closed, void *ctx);
/* Once nothing is in flight. Also fine on a struct of zero bytes. */
void auth_deinit(struct auth *a);

/* For mcp_http_options; ctx is the struct auth. */
void auth_authenticate(void *ctx, struct mcp_http_admission *admission, struct http_request *req);
struct slice auth_challenge(void *ctx, uint32_t scopes, struct arena *arena);
/* The document of RFC 9728. False: there is none, since OAuth is not set up. */
bool auth_metadata(const struct auth *a, struct buf *out);
