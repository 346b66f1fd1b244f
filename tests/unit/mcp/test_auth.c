/* mcp/auth with an issuer on loopback: discovery, the key set's life, waiting, answers. */
#include "support/mem_loop.h"
#include "support/unit.h"

#include <inttypes.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/http_client.h"
#include "base/http_server.h"
#include "base/mem.h"
#include "jose.h"
#include "mcp/auth_int.h"

#define RESOURCE "https://todo.example/mcp"

static const struct mcp_auth_scope scopes[] = {{"tasks:read", 1}, {"tasks:write", 2}};

struct verdict {
    int count;
    struct mcp_auth_result result;
};

struct fixture {
    uv_loop_t loop;
    struct http_server *issuer_server;
    struct http_client *http;
    struct mcp_auth *auth;
    EVP_PKEY *keys[2];
    char issuer[128];
    /* What the issuer does. */
    const char *path;           /* of its metadata; NULL: it has none */
    const char *claimed_issuer; /* NULL: its own */
    int first_key, key_count;   /* what its set has */
    bool is_down;               /* answers 500 */
    int metadata_requests, keys_requests;
    int closed;
};

/* ---- the issuer ---- */

static void answer_metadata(struct fixture *f, struct http_request *req)
{
    char text[512];
    f->metadata_requests++;
    int len = snprintf(
        text, sizeof(text), "{\"issuer\":\"%s\",\"jwks_uri\":\"http://127.0.0.1:%u/keys\"}",
        f->claimed_issuer ? f->claimed_issuer : f->issuer, http_server_port(f->issuer_server));
    http_respond(req, 200, NULL, 0, (struct slice){text, (size_t)len});
}

static void answer_keys(struct fixture *f, struct http_request *req)
{
    struct buf set;
    char more[32];
    f->keys_requests++;
    buf_init(&set, 65536);
    buf_append_cstr(&set, "{\"keys\":[");
    for (int i = f->first_key; i < f->first_key + f->key_count; i++) {
        snprintf(more, sizeof(more), ",\"kid\":\"k%d\"", i);
        if (i > f->first_key)
            buf_append_char(&set, ',');
        jose_append_jwk(&set, f->keys[i], more);
    }
    buf_append_cstr(&set, "]}");
    http_respond(req, 200, NULL, 0, buf_slice(&set));
    buf_deinit(&set);
}

static void on_request(void *ctx, struct http_request *req)
{
    struct fixture *f = ctx;
    struct slice path = http_request_path(req);
    if (f->is_down)
        http_respond(req, 500, NULL, 0, SLICE_EMPTY);
    else if (f->path && slice_is_equal(path, slice_from_cstr(f->path)))
        answer_metadata(f, req);
    else if (slice_is_equal(path, SLICE_LIT("/keys")))
        answer_keys(f, req);
    else
        http_respond(req, 404, NULL, 0, SLICE_EMPTY);
}

/* ---- life ---- */

static int setup(void **state)
{
    struct fixture *f = test_calloc(1, sizeof(*f));
    *state = f;
    f->path = "/.well-known/oauth-authorization-server";
    f->key_count = 1;
    for (int i = 0; i < 2; i++)
        f->keys[i] = jose_ec("P-256");
    assert_int_equal(uv_loop_init(&f->loop), 0);
    assert_int_equal(
        http_server_new(&f->loop, &http_limits_default, NULL, on_request, f, &f->issuer_server), 0);
    assert_int_equal(http_server_listen(f->issuer_server, "127.0.0.1", 0, NULL), 0);
    assert_int_equal(http_client_new(&f->loop, &http_client_options_default, &f->http), 0);
    snprintf(f->issuer, sizeof(f->issuer), "http://127.0.0.1:%u",
             http_server_port(f->issuer_server));
    return 0;
}

static void on_closed(void *ctx)
{
    ((struct fixture *)ctx)->closed++;
}

static void close_auth(struct fixture *f)
{
    int before = f->closed;
    mcp_auth_close(f->auth, on_closed, f);
    f->auth = NULL;
    while (f->closed == before)
        uv_run(&f->loop, UV_RUN_ONCE);
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    if (f->auth)
        close_auth(f);
    http_client_close(f->http, on_closed, f);
    http_server_close(f->issuer_server, 0, on_closed, f);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    for (int i = 0; i < 2; i++)
        EVP_PKEY_free(f->keys[i]);
    test_free(f);
    return 0;
}

static void open_auth(struct fixture *f, struct mcp_auth_options options)
{
    struct error err = {0};
    options.resource = RESOURCE;
    options.resource_name = "Todo";
    options.issuer = f->issuer;
    options.scopes = scopes;
    options.scope_count = 2;
    assert_int_equal(mcp_auth_new(&f->loop, &options, f->http, NULL, &f->auth, &err), 0);
}

static char *token_of(const struct fixture *f, int key, const char *subject)
{
    char header[64];
    char payload[512];
    snprintf(header, sizeof(header), "{\"alg\":\"ES256\",\"kid\":\"k%d\"}", key);
    snprintf(payload, sizeof(payload),
             "{\"iss\":\"%s\",\"aud\":\"" RESOURCE "\",\"sub\":\"%s\",\"exp\":%" PRId64 ","
             "\"scope\":\"tasks:read\"}",
             f->issuer, subject, clock_now_us() / 1000000 + 600);
    return jose_sign(JOSE_ES256, f->keys[key], SLICE_EMPTY, header, payload);
}

static void on_verdict(void *ctx, const struct mcp_auth_result *result)
{
    struct verdict *v = ctx;
    v->count++;
    v->result = *result;
}

/* Begins a check; a verdict at once counts too. */
static enum mcp_auth_reason begin(struct fixture *f, const char *token, struct verdict *v)
{
    *v = (struct verdict){0};
    enum mcp_auth_reason reason =
        mcp_auth_check(f->auth, slice_from_cstr(token), &v->result, on_verdict, v);
    assert_int_equal(v->count, 0);
    if (reason != MCP_AUTH_PENDING)
        v->count++;
    return reason;
}

static void wait_for(struct fixture *f, const struct verdict *v)
{
    while (v->count == 0)
        uv_run(&f->loop, UV_RUN_ONCE);
}

static void assert_verdict(struct fixture *f, const char *token, enum mcp_auth_reason expected)
{
    struct verdict v;
    (void)begin(f, token, &v);
    wait_for(f, &v);
    assert_string_equal(mcp_auth_reason_word(v.result.reason), mcp_auth_reason_word(expected));
}

/* ---- keys ---- */

static void a_token_waits_for_the_first_keys_and_then_counts_at_once(void **state)
{
    struct fixture *f = *state;
    struct verdict v;
    char *token = token_of(f, 0, "alice");
    open_auth(f, (struct mcp_auth_options){0});
    assert_int_equal(begin(f, token, &v), MCP_AUTH_PENDING);
    wait_for(f, &v);
    assert_int_equal(v.result.reason, MCP_AUTH_OK);
    assert_string_equal(v.result.subject, "alice");
    assert_int_equal(begin(f, token, &v), MCP_AUTH_OK);
    assert_int_equal(v.result.scopes, 1);
    assert_int_equal(f->keys_requests, 1);
    mem_free(token);
}

static void the_metadata_is_looked_for_in_each_of_its_places(void **state)
{
    struct fixture *f = *state;
    static const char *const places[] = {"/.well-known/oauth-authorization-server/tenant",
                                         "/.well-known/openid-configuration/tenant",
                                         "/tenant/.well-known/openid-configuration"};
    size_t len = strlen(f->issuer);
    snprintf(f->issuer + len, sizeof(f->issuer) - len, "/tenant");
    for (size_t i = 0; i < 3; i++) {
        char *token = token_of(f, 0, "alice");
        f->path = places[i];
        open_auth(f, (struct mcp_auth_options){0});
        assert_verdict(f, token, MCP_AUTH_OK);
        close_auth(f);
        mem_free(token);
    }
    assert_int_equal(f->metadata_requests, 3);
}

static void metadata_of_another_issuer_is_not_used(void **state)
{
    struct fixture *f = *state;
    char *token = token_of(f, 0, "alice");
    f->claimed_issuer = "https://honest.example";
    open_auth(f, (struct mcp_auth_options){0});
    assert_verdict(f, token, MCP_AUTH_KEYS_UNAVAILABLE);
    assert_int_equal(f->metadata_requests, 1);
    assert_int_equal(f->keys_requests, 0);
    mem_free(token);
}

static void a_set_key_url_needs_no_metadata(void **state)
{
    struct fixture *f = *state;
    char url[160];
    char *token = token_of(f, 0, "alice");
    snprintf(url, sizeof(url), "%s/keys", f->issuer);
    open_auth(f, (struct mcp_auth_options){.jwks_url = url});
    assert_verdict(f, token, MCP_AUTH_OK);
    assert_int_equal(f->metadata_requests, 0);
    mem_free(token);
}

static void a_new_key_is_fetched_when_a_token_names_it(void **state)
{
    struct fixture *f = *state;
    char *old_token = token_of(f, 0, "alice");
    char *new_token = token_of(f, 1, "alice");
    open_auth(f, (struct mcp_auth_options){0});
    assert_verdict(f, old_token, MCP_AUTH_OK);
    f->key_count = 2;
    assert_verdict(f, new_token, MCP_AUTH_OK);
    assert_verdict(f, old_token, MCP_AUTH_OK);
    assert_int_equal(f->keys_requests, 2);
    mem_free(old_token);
    mem_free(new_token);
}

static void a_key_that_the_issuer_dropped_counts_no_more(void **state)
{
    struct fixture *f = *state;
    char *old_token = token_of(f, 0, "alice");
    char *new_token = token_of(f, 1, "alice");
    open_auth(f, (struct mcp_auth_options){0});
    assert_verdict(f, old_token, MCP_AUTH_OK);
    f->first_key = 1;
    assert_verdict(f, new_token, MCP_AUTH_OK);
    assert_verdict(f, old_token, MCP_AUTH_KEY_UNKNOWN); /* although it was remembered */
    mem_free(old_token);
    mem_free(new_token);
}

static void keys_are_fetched_again_after_a_while(void **state)
{
    struct fixture *f = *state;
    char *token = token_of(f, 0, "alice");
    open_auth(f, (struct mcp_auth_options){.refresh_ms = 20});
    assert_verdict(f, token, MCP_AUTH_OK);
    while (f->keys_requests < 4)
        uv_run(&f->loop, UV_RUN_ONCE);
    assert_int_equal(f->metadata_requests, 1);
    mem_free(token);
}

static void names_of_keys_that_nobody_has_cause_few_fetches(void **state)
{
    struct fixture *f = *state;
    char *token = token_of(f, 0, "alice");
    char *unknown = token_of(f, 1, "alice");
    open_auth(f, (struct mcp_auth_options){0});
    assert_verdict(f, token, MCP_AUTH_OK);
    for (int i = 0; i < 20; i++)
        assert_verdict(f, unknown, MCP_AUTH_KEY_UNKNOWN);
    assert_int_equal(f->keys_requests, 4); /* the first, and three more */
    mem_free(token);
    mem_free(unknown);
}

static void an_issuer_that_is_down_takes_nothing_away(void **state)
{
    struct fixture *f = *state;
    char *token = token_of(f, 0, "alice");
    char *unknown = token_of(f, 1, "alice");
    open_auth(f, (struct mcp_auth_options){0});
    assert_verdict(f, token, MCP_AUTH_OK);
    f->is_down = true;
    assert_verdict(f, unknown, MCP_AUTH_KEY_UNKNOWN);
    assert_verdict(f, token, MCP_AUTH_OK);
    mem_free(token);
    token = token_of(f, 0, "bob"); /* one that is not remembered */
    assert_verdict(f, token, MCP_AUTH_OK);
    mem_free(token);
    mem_free(unknown);
}

static void an_issuer_that_was_down_at_the_start_is_asked_again(void **state)
{
    struct fixture *f = *state;
    struct verdict v;
    char *token = token_of(f, 0, "alice");
    f->is_down = true;
    open_auth(f, (struct mcp_auth_options){0});
    assert_verdict(f, token, MCP_AUTH_KEYS_UNAVAILABLE);
    assert_int_equal(begin(f, token, &v), MCP_AUTH_KEYS_UNAVAILABLE); /* does not wait */
    f->is_down = false;
    while (f->keys_requests == 0)
        uv_run(&f->loop, UV_RUN_ONCE);
    assert_verdict(f, token, MCP_AUTH_OK);
    mem_free(token);
}

static void a_bad_token_does_not_wait_for_keys(void **state)
{
    struct fixture *f = *state;
    struct verdict v;
    open_auth(f, (struct mcp_auth_options){0});
    assert_int_equal(begin(f, "a.b.c", &v), MCP_AUTH_HEADER_ENCODING);
    char *token = token_of(f, 0, "alice");
    snprintf(f->issuer, sizeof(f->issuer), "http://127.0.0.1:1");
    char *foreign = token_of(f, 0, "alice");
    assert_int_equal(begin(f, foreign, &v), MCP_AUTH_ISSUER_WRONG);
    mem_free(token);
    mem_free(foreign);
}

static void no_more_than_so_many_tokens_wait(void **state)
{
    struct fixture *f = *state;
    struct verdict v[3];
    char *token = token_of(f, 0, "alice");
    open_auth(f, (struct mcp_auth_options){.waiters_max = 2});
    assert_int_equal(begin(f, token, &v[0]), MCP_AUTH_PENDING);
    assert_int_equal(begin(f, token, &v[1]), MCP_AUTH_PENDING);
    assert_int_equal(begin(f, token, &v[2]), MCP_AUTH_BUSY);
    wait_for(f, &v[0]);
    wait_for(f, &v[1]);
    assert_int_equal(v[1].result.reason, MCP_AUTH_OK);
    mem_free(token);
}

static void closing_tells_those_who_wait(void **state)
{
    struct fixture *f = *state;
    struct verdict v;
    char *token = token_of(f, 0, "alice");
    open_auth(f, (struct mcp_auth_options){0});
    assert_int_equal(begin(f, token, &v), MCP_AUTH_PENDING);
    close_auth(f);
    assert_int_equal(v.count, 1);
    assert_int_equal(v.result.reason, MCP_AUTH_KEYS_UNAVAILABLE);
    mem_free(token);
}

/* ---- what clients are told ---- */

static void the_metadata_names_resource_issuer_and_scopes(void **state)
{
    struct fixture *f = *state;
    struct buf b;
    char expected[512];
    open_auth(f, (struct mcp_auth_options){0});
    buf_init(&b, 4096);
    mcp_auth_metadata(f->auth, &b);
    snprintf(expected, sizeof(expected),
             "{\"resource\":\"" RESOURCE "\",\"authorization_servers\":[\"%s\"],"
             "\"scopes_supported\":[\"tasks:read\",\"tasks:write\"],"
             "\"bearer_methods_supported\":[\"header\"],\"resource_name\":\"Todo\"}",
             f->issuer);
    assert_string_equal(b.ptr, expected);
    assert_string_equal(mcp_auth_metadata_url(f->auth),
                        "https://todo.example/.well-known/oauth-protected-resource/mcp");
    buf_deinit(&b);
}

static void assert_challenge(struct fixture *f, enum mcp_auth_reason reason, uint32_t bits,
                             const char *expected)
{
    struct buf b;
    buf_init(&b, 4096);
    mcp_auth_challenge(f->auth, reason, bits, &b);
    assert_string_equal(b.ptr, expected);
    buf_deinit(&b);
}

static void a_challenge_says_what_is_missing(void **state)
{
    struct fixture *f = *state;
    open_auth(f, (struct mcp_auth_options){0});
#define WHERE                                                                                      \
    "Bearer resource_metadata=\"https://todo.example/.well-known/oauth-protected-resource/mcp\""
    assert_challenge(f, MCP_AUTH_MISSING, 3, WHERE ", scope=\"tasks:read tasks:write\"");
    assert_challenge(f, MCP_AUTH_EXPIRED, 0,
                     WHERE ", error=\"invalid_token\", "
                           "error_description=\"the token has expired\"");
    assert_challenge(f, MCP_AUTH_SCOPE_MISSING, 2,
                     WHERE ", error=\"insufficient_scope\", error_description=\"the token lacks a "
                           "scope that this needs\", scope=\"tasks:write\"");
}

static void assert_refused(struct fixture *f, struct mcp_auth_options options, const char *field)
{
    struct error err = {0};
    assert_int_equal(mcp_auth_new(&f->loop, &options, f->http, NULL, &f->auth, &err), BASE_EINVAL);
    assert_string_equal(err.field, field);
    f->auth = NULL;
}

static void addresses_must_be_safe(void **state)
{
    struct fixture *f = *state;
    struct mcp_auth_options good = {.resource = RESOURCE, .issuer = "https://i.example"};
    static const char *const bad[] = {"http://i.example",
                                      "ftp://i.example",
                                      "i.example",
                                      "",
                                      "https://",
                                      "https://user@i.example",
                                      "https://i.example#x",
                                      "https://i.example/\"",
                                      "http://127.0.0.1.evil.example/",
                                      "http://localhost.evil.example/"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct mcp_auth_options options = good;
        options.issuer = bad[i];
        assert_refused(f, options, "issuer");
        options = good;
        options.jwks_url = bad[i];
        assert_refused(f, options, "jwks_url");
        options = good;
        options.resource = bad[i];
        assert_refused(f, options, "resource");
    }
    good.issuer = "https://i.example/?x";
    assert_refused(f, good, "issuer");
}

static void keys_of_an_https_issuer_come_by_https(void **state)
{
    (void)state;
    static const struct {
        const char *issuer, *url;
        int status;
    } rows[] = {
        {"https://i.example", "https://keys.example/jwks", 0},
        {"https://i.example", "http://127.0.0.1:9/jwks", BASE_EINVAL},
        {"https://i.example", "http://keys.example/jwks", BASE_EINVAL},
        {"http://127.0.0.1:8", "http://127.0.0.1:9/jwks", 0},
        {"http://127.0.0.1:8", "https://keys.example/jwks", 0},
        {"http://127.0.0.1:8", "http://keys.example/jwks", BASE_EINVAL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct error err = {0};
        assert_int_equal(auth_check_keys_url(rows[i].issuer, rows[i].url, &err), rows[i].status);
        assert_string_equal(err.field, rows[i].status ? "jwks_uri" : "");
    }
}

static void running_out_of_memory_at_the_start_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    struct mem_loop loop = {0};
    while (mem_loop_next(&loop)) {
        struct error err = {0};
        struct mcp_auth_options options = {.resource = RESOURCE, .issuer = f->issuer};
        int status = mcp_auth_new(&f->loop, &options, f->http, NULL, &f->auth, &err);
        (void)mem_loop_has_failed(&loop);
        if (status)
            assert_int_equal(status, BASE_ENOMEM);
        else
            close_auth(f);
    }
    f->auth = NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(a_token_waits_for_the_first_keys_and_then_counts_at_once),
        TEST(the_metadata_is_looked_for_in_each_of_its_places),
        TEST(metadata_of_another_issuer_is_not_used),
        TEST(a_set_key_url_needs_no_metadata),
        TEST(a_new_key_is_fetched_when_a_token_names_it),
        TEST(a_key_that_the_issuer_dropped_counts_no_more),
        TEST(keys_are_fetched_again_after_a_while),
        TEST(names_of_keys_that_nobody_has_cause_few_fetches),
        TEST(an_issuer_that_is_down_takes_nothing_away),
        TEST(an_issuer_that_was_down_at_the_start_is_asked_again),
        TEST(a_bad_token_does_not_wait_for_keys),
        TEST(no_more_than_so_many_tokens_wait),
        TEST(closing_tells_those_who_wait),
        TEST(the_metadata_names_resource_issuer_and_scopes),
        TEST(a_challenge_says_what_is_missing),
        TEST(addresses_must_be_safe),
        TEST(keys_of_an_https_issuer_come_by_https),
        TEST(running_out_of_memory_at_the_start_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
