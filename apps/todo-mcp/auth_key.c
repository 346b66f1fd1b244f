/* API keys: hash -> remembered? -> its row -> compared in constant time -> admitted.
 *
 * The look-up goes by the hash of 256 random bits, whose prefix tells nothing of the key; the
 * comparison is there so that no part of this rests on how an index compares. */
#include <string.h>

#include "api_key.h"
#include "auth_int.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/http_server.h"
#include "base/lru.h"
#include "db/api_key.h"
#include "scopes.h"

#define KNOWN_KEYS_MAX 4096
#define FRESH_US       5000000  /* how long a revoked key may still count */
#define TOUCH_US       60000000 /* its use is noted this often */
#define STREAM_US      INT64_C(3600000000)

struct known_key {
    int64_t user_id, expires_at, fresh_until_us;
    uint32_t scopes;
    char subject[MCP_AUTH_SUBJECT_MAX + 1];
};

static const struct refusal unknown = {"api_key_unknown", "the API key is not valid"};
static const struct refusal revoked = {"api_key_revoked", "the API key is not valid"};
static const struct refusal expired = {"api_key_expired", "the API key is not valid"};

int auth_keys_open(struct auth *a)
{
    return lru_new(sizeof(struct known_key), KNOWN_KEYS_MAX, &a->keys);
}

static struct slice digest_of(const struct attempt *t)
{
    return (struct slice){(const char *)t->digest, sizeof(t->digest)};
}

/* A stream of notifications is not asked again whether its key is good: it ends now and then, so
 * that a revoked key's does. */
static int64_t stream_until(int64_t expires_at)
{
    int64_t until = clock_now_us() + STREAM_US;
    return expires_at > 0 && expires_at < until ? expires_at : until;
}

static bool is_expired(int64_t expires_at)
{
    return expires_at > 0 && expires_at <= clock_now_us();
}

static void admit_known(struct attempt *t, const struct known_key *known)
{
    char *subject = arena_strdup(http_request_arena(t->req), known->subject);
    if (!subject) {
        attempt_unavailable(t, "no_memory", "out of memory");
        return;
    }
    t->identity = (struct mcp_identity){.user_id = known->user_id,
                                        .subject = subject,
                                        .scopes = known->scopes,
                                        .until_us = stream_until(known->expires_at)};
    attempt_admit(t);
}

/* ---- the row ---- */

static void on_touched(void *ctx, int status, const struct db_api_key_reply *reply,
                       const struct error *err)
{
    (void)ctx;
    (void)status; /* a use that is not noted hurts nobody */
    (void)reply;
    (void)err;
}

static void note_use(struct auth *a, const struct db_api_key *row)
{
    if (row->last_used_at + TOUCH_US < clock_now_us())
        (void)db_api_key_touch(a->pool, row->user_id, row->id, on_touched, NULL, NULL, NULL);
}

static bool is_the_row(const struct attempt *t, const struct db_api_key_reply *reply)
{
    return reply->count == 1 && reply->keys[0].key_hash.len == DIGEST_SIZE &&
           digest_is_equal(t->digest, (const unsigned char *)reply->keys[0].key_hash.ptr);
}

static void admit_row(struct attempt *t, const struct db_api_key *row)
{
    struct known_key known = {.user_id = row->user_id,
                              .expires_at = row->expires_at,
                              .fresh_until_us = clock_monotonic_us() + FRESH_US};
    (void)scopes_parse(row->scopes, &known.scopes);
    size_t len =
        row->subject.len < sizeof(known.subject) ? row->subject.len : sizeof(known.subject) - 1;
    memcpy(known.subject, row->subject.ptr, len);
    struct known_key *slot = lru_put(t->auth->keys, digest_of(t));
    if (slot)
        *slot = known;
    note_use(t->auth, row);
    admit_known(t, &known);
}

static void on_row(void *ctx, int status, const struct db_api_key_reply *reply,
                   const struct error *err)
{
    struct attempt *t = ctx;
    (void)err;
    if (status) {
        attempt_unavailable(t, "database", "the database cannot be reached");
        return;
    }
    const struct refusal *why = NULL;
    if (!is_the_row(t, reply))
        why = &unknown;
    else if (reply->keys[0].revoked_at)
        why = &revoked;
    else if (is_expired(reply->keys[0].expires_at))
        why = &expired;
    if (!why) {
        admit_row(t, &reply->keys[0]);
        return;
    }
    lru_remove(t->auth->keys, digest_of(t));
    attempt_refuse(t, MCP_AUTH_REFUSED, why);
}

void attempt_key(struct attempt *t, struct slice key)
{
    struct auth *a = t->auth;
    if (api_key_hash(key, t->digest)) {
        attempt_unavailable(t, "no_memory", "out of memory");
        return;
    }
    const struct known_key *known = lru_get(a->keys, digest_of(t));
    if (known && known->fresh_until_us > clock_monotonic_us() && !is_expired(known->expires_at)) {
        admit_known(t, known);
        return;
    }
    /* Guesses must not keep the database busy; a key that was good a while ago is no guess. */
    if (!known && attempt_is_flood(t))
        return;
    if (db_api_key_find(a->pool, t->digest, on_row, t, NULL, NULL))
        attempt_unavailable(t, "database", "the database is busy");
}
