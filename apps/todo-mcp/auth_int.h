#pragma once
/* apps/todo-mcp/auth_int: what auth.c (life, tokens, users), auth_key.c (API keys) and
 * auth_answer.c (what callers are told) share. */
#include "address.h"
#include "auth.h"
#include "base/digest.h"
#include "mcp/auth.h"

/* One request whose caller is being found out; lives in its arena. */
struct attempt {
    struct auth *auth;
    struct mcp_http_admission *admission;
    struct http_request *req;
    struct address address;
    struct mcp_identity identity;
    const char *email;                 /* the token's, verified; NULL: none */
    unsigned char digest[DIGEST_SIZE]; /* of an API key */
    char kid[MCP_AUTH_KID_SIZE];       /* of a token, for the log */
};

/* What a caller of ours can be refused for, beside mcp/auth's reasons: word for the log, text. */
struct refusal {
    const char *word, *text;
};

/* auth.c */
/* The identity has the subject, the scopes and perhaps the user's id: finds that, counts the call
 * and admits it. */
void attempt_admit(struct attempt *t);

/* auth_key.c */
void attempt_key(struct attempt *t, struct slice key);
int auth_keys_open(struct auth *a);

/* auth_answer.c: each ends the attempt. */
/* 401, or 429 when the address has had too many. */
void attempt_refuse(struct attempt *t, enum mcp_auth_reason reason, const struct refusal *why);
/* 429 when the address has had too many; else false. */
bool attempt_is_flood(struct attempt *t);
void attempt_wait(struct attempt *t, uint32_t wait_ms, const char *limit);
void attempt_unavailable(struct attempt *t, const char *word, const char *text);
