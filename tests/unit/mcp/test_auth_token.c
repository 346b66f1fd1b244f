/* Tokens and key sets, without a network: parse -> issuer -> signature -> claims. */
#include "support/mem_loop.h"
#include "support/unit.h"

#include "base/base64.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "jose.h"
#include "mcp/auth_int.h"

#define ISSUER   "https://issuer.example"
#define RESOURCE "https://todo.example/mcp"
#define READ     1u
#define WRITE    2u
#define NOW_S    INT64_C(1790000000)

static const struct mcp_auth_scope scopes[] = {{"tasks:read", READ}, {"tasks:write", WRITE}};
static const struct mcp_auth_options options = {
    .resource = RESOURCE, .issuer = ISSUER, .scopes = scopes, .scope_count = 2, .clock_skew_s = 60};

/* Made once: RSA keys take their time. */
struct fixture {
    EVP_PKEY *rsa, *other_rsa, *small_rsa, *ec, *p384, *ed;
    struct auth_keys *keys; /* rsa as "r", ec as "e" */
};

static int setup(void **state)
{
    struct fixture *f = test_calloc(1, sizeof(*f));
    struct buf set;
    struct error err = {0};
    *state = f;
    f->rsa = jose_rsa(2048);
    f->other_rsa = jose_rsa(2048);
    f->small_rsa = jose_rsa(1024);
    f->ec = jose_ec("P-256");
    f->p384 = jose_ec("P-384");
    f->ed = jose_ed25519();
    buf_init(&set, 65536);
    buf_append_cstr(&set, "{\"keys\":[");
    jose_append_jwk(&set, f->rsa, ",\"kid\":\"r\",\"use\":\"sig\"");
    buf_append_char(&set, ',');
    jose_append_jwk(&set, f->ec, ",\"kid\":\"e\",\"alg\":\"ES256\",\"key_ops\":[\"verify\"]");
    buf_append_cstr(&set, "]}");
    f->keys = auth_keys_parse(buf_slice(&set), &err);
    buf_deinit(&set);
    assert_non_null(f->keys);
    assert_int_equal(f->keys->count, 2);
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    EVP_PKEY *all[] = {f->rsa, f->other_rsa, f->small_rsa, f->ec, f->p384, f->ed};
    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
        EVP_PKEY_free(all[i]);
    auth_keys_free(f->keys);
    test_free(f);
    return 0;
}

static enum mcp_auth_reason judge(const struct fixture *f, struct slice text,
                                  struct mcp_auth_result *out)
{
    struct auth_token t;
    *out = (struct mcp_auth_result){0};
    enum mcp_auth_reason reason = auth_token_parse(&t, text);
    if (!reason)
        reason = auth_token_check_issuer(&t, ISSUER);
    if (!reason)
        reason = auth_keys_verify(f->keys, &t, text);
    if (!reason)
        reason = auth_token_check_claims(&t, &options, NOW_S * 1000000, out);
    auth_token_show_kid(&t, out->kid);
    auth_token_deinit(&t);
    return reason;
}

#define CLAIMS_WITHOUT_SCOPE                                                                       \
    "\"iss\":\"" ISSUER "\",\"aud\":\"" RESOURCE "\",\"sub\":\"alice\",\"exp\":1790000100"
#define CLAIMS "{" CLAIMS_WITHOUT_SCOPE ",\"scope\":\"tasks:read other\"}"
#define RS     "{\"alg\":\"RS256\",\"kid\":\"r\",\"typ\":\"at+jwt\"}"

static enum mcp_auth_reason judge_signed(const struct fixture *f, enum jose_alg alg, EVP_PKEY *key,
                                         const char *header, const char *payload,
                                         struct mcp_auth_result *out)
{
    char *token = jose_sign(alg, key, SLICE_EMPTY, header, payload);
    enum mcp_auth_reason reason = judge(f, slice_from_cstr(token), out);
    mem_free(token);
    return reason;
}

#define assert_reason(reason, expected)                                                            \
    assert_string_equal(mcp_auth_reason_word(reason), mcp_auth_reason_word(expected))

static void assert_header(const struct fixture *f, const char *header,
                          enum mcp_auth_reason expected)
{
    struct mcp_auth_result out;
    assert_reason(judge_signed(f, JOSE_RS256, f->rsa, header, CLAIMS, &out), expected);
}

static void assert_claims(const struct fixture *f, const char *claims,
                          enum mcp_auth_reason expected)
{
    struct mcp_auth_result out;
    assert_reason(judge_signed(f, JOSE_RS256, f->rsa, RS, claims, &out), expected);
}

/* ---- good ones ---- */

static void a_good_token_gives_subject_scopes_and_expiry(void **state)
{
    const struct fixture *f = *state;
    struct mcp_auth_result out;
    assert_reason(judge_signed(f, JOSE_RS256, f->rsa, RS, CLAIMS, &out), MCP_AUTH_OK);
    assert_string_equal(out.subject, "alice");
    assert_string_equal(out.kid, "r");
    assert_int_equal(out.scopes, READ);
    assert_int_equal(out.expires_us, INT64_C(1790000100000000));
}

static void each_algorithm_of_ours_is_verified(void **state)
{
    const struct fixture *f = *state;
    struct mcp_auth_result out;
    assert_reason(
        judge_signed(f, JOSE_PS256, f->rsa, "{\"alg\":\"PS256\",\"kid\":\"r\"}", CLAIMS, &out),
        MCP_AUTH_OK);
    assert_reason(
        judge_signed(f, JOSE_ES256, f->ec, "{\"alg\":\"ES256\",\"kid\":\"e\"}", CLAIMS, &out),
        MCP_AUTH_OK);
}

static void a_token_without_a_key_id_is_tried_with_the_keys_that_fit(void **state)
{
    const struct fixture *f = *state;
    struct mcp_auth_result out;
    assert_reason(judge_signed(f, JOSE_ES256, f->ec, "{\"alg\":\"ES256\"}", CLAIMS, &out),
                  MCP_AUTH_OK);
    assert_header(f, "{\"alg\":\"RS256\",\"typ\":\"JWT\"}", MCP_AUTH_OK);
}

static void audience_and_scopes_may_be_lists(void **state)
{
    const struct fixture *f = *state;
    struct mcp_auth_result out;
    const char *claims = "{\"iss\":\"" ISSUER "\",\"aud\":[\"x\",\"" RESOURCE "\"],\"sub\":\"a\","
                         "\"exp\":1790000100.5,\"scp\":[\"tasks:read\",\"tasks:write\"]}";
    assert_reason(judge_signed(f, JOSE_RS256, f->rsa, RS, claims, &out), MCP_AUTH_OK);
    assert_int_equal(out.scopes, READ | WRITE);
    assert_int_equal(out.expires_us, INT64_C(1790000100500000));
}

static void scope_names_are_matched_whole(void **state)
{
    const struct fixture *f = *state;
    struct mcp_auth_result out;
    const char *claims =
        "{" CLAIMS_WITHOUT_SCOPE ",\"scope\":\" tasks:rea  tasks:read2 xtasks:read tasks:write \"}";
    assert_reason(judge_signed(f, JOSE_RS256, f->rsa, RS, claims, &out), MCP_AUTH_OK);
    assert_int_equal(out.scopes, WRITE);
}

static void clocks_may_differ_by_the_skew(void **state)
{
    const struct fixture *f = *state;
#define TIMES(text) "{\"iss\":\"" ISSUER "\",\"aud\":\"" RESOURCE "\",\"sub\":\"a\"," text "}"
    assert_claims(f, TIMES("\"exp\":1789999941"), MCP_AUTH_OK);
    assert_claims(f, TIMES("\"exp\":1789999940"), MCP_AUTH_EXPIRED);
    assert_claims(f, TIMES("\"exp\":1790000100,\"nbf\":1790000060"), MCP_AUTH_OK);
    assert_claims(f, TIMES("\"exp\":1790000100,\"nbf\":1790000061"), MCP_AUTH_NOT_YET_VALID);
    assert_claims(f, TIMES("\"exp\":1790000100,\"iat\":1790000060"), MCP_AUTH_OK);
    assert_claims(f, TIMES("\"exp\":1790000100,\"iat\":1790000061"), MCP_AUTH_ISSUED_LATER);
}

/* ---- bad ones ---- */

static void assert_text(const struct fixture *f, struct slice text, enum mcp_auth_reason expected)
{
    struct mcp_auth_result out;
    assert_reason(judge(f, text, &out), expected);
}

static void text_that_is_no_jwt_is_refused(void **state)
{
    const struct fixture *f = *state;
    char large[MCP_AUTH_TOKEN_MAX + 1];
    memset(large, 'a', sizeof(large));
    assert_text(f, (struct slice){large, sizeof(large)}, MCP_AUTH_TOO_LONG);
    assert_text(f, SLICE_EMPTY, MCP_AUTH_MALFORMED);
    assert_text(f, SLICE_LIT("abc"), MCP_AUTH_MALFORMED);
    assert_text(f, SLICE_LIT("a.b"), MCP_AUTH_MALFORMED);
    assert_text(f, SLICE_LIT("a.b.c.d"), MCP_AUTH_MALFORMED);
    assert_text(f, SLICE_LIT("a.b.c.d.e"), MCP_AUTH_ENCRYPTED);
    assert_text(f, SLICE_LIT("a.b.c.d.e.f"), MCP_AUTH_MALFORMED);
    assert_text(f, SLICE_LIT(".."), MCP_AUTH_HEADER_JSON);
    assert_text(f, SLICE_LIT("e30=.e30.AA"), MCP_AUTH_HEADER_ENCODING);
    assert_text(f, SLICE_LIT("e31.e30.AA"), MCP_AUTH_HEADER_ENCODING); /* not canonical */
    assert_text(f, SLICE_LIT("W10.e30.AA"), MCP_AUTH_HEADER_JSON);
    assert_text(f, SLICE_LIT("e30.e30.AA"), MCP_AUTH_ALG_MISSING);
}

/* Replaces the text behind the last dot. */
static void with_signature(char *token, char *out, size_t size, const char *signature)
{
    snprintf(out, size, "%.*s%s", (int)(strrchr(token, '.') + 1 - token), token, signature);
}

static void a_changed_token_is_refused(void **state)
{
    const struct fixture *f = *state;
    char changed[2048];
    char *token = jose_sign(JOSE_RS256, f->rsa, SLICE_EMPTY, RS, CLAIMS);
    snprintf(changed, sizeof(changed), "%s.", token);
    assert_text(f, slice_from_cstr(changed), MCP_AUTH_MALFORMED);
    with_signature(token, changed, sizeof(changed), "");
    assert_text(f, slice_from_cstr(changed), MCP_AUTH_SIGNATURE_MISSING);
    with_signature(token, changed, sizeof(changed), "AA");
    assert_text(f, slice_from_cstr(changed), MCP_AUTH_SIGNATURE_WRONG);
    with_signature(token, changed, sizeof(changed), "A+/=");
    assert_text(f, slice_from_cstr(changed), MCP_AUTH_SIGNATURE_ENCODING);
    snprintf(changed, sizeof(changed), "%s", token);
    char *payload = strchr(changed, '.') + 1;
    payload[23] = payload[23] == 'A' ? 'B' : 'A'; /* inside the issuer's name */
    assert_text(f, slice_from_cstr(changed), MCP_AUTH_ISSUER_WRONG);
    payload[0] = '!';
    assert_text(f, slice_from_cstr(changed), MCP_AUTH_PAYLOAD_ENCODING);
    mem_free(token);
    /* The last two digits of a subject: everything else of the token is good. */
    token = jose_sign(JOSE_RS256, f->rsa, SLICE_EMPTY, RS,
                      "{\"sub\":\"alice\",\"iss\":\"" ISSUER "\",\"aud\":\"" RESOURCE
                      "\",\"exp\":1790000100}");
    payload = strchr(token, '.') + 1;
    memcpy(payload, "eyJzdWIiOiJib2JieSI", 19); /* {"sub":"bobby" */
    assert_text(f, slice_from_cstr(token), MCP_AUTH_SIGNATURE_WRONG);
    mem_free(token);
}

static void headers_that_mean_something_else_are_refused(void **state)
{
    const struct fixture *f = *state;
    assert_header(f, "{\"alg\":\"RS256\",\"kid\":\"r\",\"typ\":\"dpop+jwt\"}", MCP_AUTH_TYPE);
    assert_header(f, "{\"alg\":\"RS256\",\"kid\":\"r\",\"typ\":7}", MCP_AUTH_TYPE);
    assert_header(f, "{\"alg\":\"RS256\",\"kid\":\"r\",\"crit\":[\"exp\"],\"exp\":1}",
                  MCP_AUTH_CRITICAL);
    assert_header(f, "{\"alg\":\"RS256\",\"kid\":\"r\",\"crit\":[\"b64\"],\"b64\":false}",
                  MCP_AUTH_UNENCODED);
    assert_header(f, "{\"alg\":\"RSA-OAEP\",\"enc\":\"A128GCM\",\"kid\":\"r\"}",
                  MCP_AUTH_ENCRYPTED);
    assert_header(f, "{\"alg\":\"RS256\",\"kid\":\"\"}", MCP_AUTH_KID_INVALID);
    assert_header(f, "{\"alg\":\"RS256\",\"kid\":[\"r\"]}", MCP_AUTH_KID_INVALID);
    assert_header(f, "{\"alg\":\"RS256\",\"alg\":\"none\",\"kid\":\"r\"}", MCP_AUTH_HEADER_JSON);
    assert_header(f, "{\"alg\":\"RS256\",\"kid\":\"r\\u0000\"}", MCP_AUTH_HEADER_JSON);
    assert_header(f, "{\"alg\":\"RS256\",\"kid\":\"unknown\"}", MCP_AUTH_KEY_UNKNOWN);
}

static void a_key_in_the_header_is_not_looked_at(void **state)
{
    const struct fixture *f = *state;
    struct mcp_auth_result out;
    struct buf header;
    buf_init(&header, 8192);
    buf_append_cstr(&header, "{\"alg\":\"RS256\",\"kid\":\"r\",\"jku\":\"https://evil.example/\","
                             "\"x5u\":\"https://evil.example/\",\"jwk\":");
    jose_append_jwk(&header, f->other_rsa, "");
    buf_append_char(&header, '}');
    assert_reason(judge_signed(f, JOSE_RS256, f->other_rsa, header.ptr, CLAIMS, &out),
                  MCP_AUTH_SIGNATURE_WRONG);
    buf_deinit(&header);
}

static void the_algorithm_must_be_one_of_ours_and_fit_the_key(void **state)
{
    const struct fixture *f = *state;
    struct mcp_auth_result out;
    assert_header(f, "{\"alg\":\"none\",\"kid\":\"r\"}", MCP_AUTH_ALG_NONE);
    assert_header(f, "{\"alg\":\"nOnE\",\"kid\":\"r\"}", MCP_AUTH_ALG_NONE);
    assert_header(f, "{\"alg\":\"RS512\",\"kid\":\"r\"}", MCP_AUTH_ALG_UNSUPPORTED);
    assert_header(f, "{\"alg\":\"rs256\",\"kid\":\"r\"}", MCP_AUTH_ALG_UNSUPPORTED);
    assert_header(f, "{\"alg\":\"ES256K\",\"kid\":\"r\"}", MCP_AUTH_ALG_UNSUPPORTED);
    assert_header(f, "{\"alg\":7,\"kid\":\"r\"}", MCP_AUTH_ALG_MISSING);
    assert_header(f, "{\"alg\":\"ES256\",\"kid\":\"r\"}", MCP_AUTH_KEY_MISMATCH);
    assert_header(f, "{\"alg\":\"RS256\",\"kid\":\"e\"}", MCP_AUTH_KEY_MISMATCH);
    assert_header(f, "{\"alg\":\"PS256\",\"kid\":\"r\"}", MCP_AUTH_SIGNATURE_WRONG);
    assert_reason(
        judge_signed(f, JOSE_EDDSA, f->ed, "{\"alg\":\"EdDSA\",\"kid\":\"d\"}", CLAIMS, &out),
        MCP_AUTH_ALG_EDDSA);
}

/* The classic: an RSA public key, which all know, taken for an HMAC secret. */
static void a_public_key_is_no_secret(void **state)
{
    const struct fixture *f = *state;
    struct buf jwk;
    buf_init(&jwk, 8192);
    jose_append_jwk(&jwk, f->rsa, "");
    char *token =
        jose_sign(JOSE_HS256, NULL, buf_slice(&jwk), "{\"alg\":\"HS256\",\"kid\":\"r\"}", CLAIMS);
    assert_text(f, slice_from_cstr(token), MCP_AUTH_ALG_SYMMETRIC);
    mem_free(token);
    token = jose_sign(JOSE_HS256, NULL, buf_slice(&jwk), RS, CLAIMS);
    assert_text(f, slice_from_cstr(token), MCP_AUTH_SIGNATURE_WRONG);
    mem_free(token);
    buf_deinit(&jwk);
}

static void another_key_of_the_same_kind_does_not_verify(void **state)
{
    const struct fixture *f = *state;
    struct mcp_auth_result out;
    assert_reason(judge_signed(f, JOSE_RS256, f->other_rsa, RS, CLAIMS, &out),
                  MCP_AUTH_SIGNATURE_WRONG);
    EVP_PKEY *other_ec = jose_ec("P-256");
    assert_reason(
        judge_signed(f, JOSE_ES256, other_ec, "{\"alg\":\"ES256\",\"kid\":\"e\"}", CLAIMS, &out),
        MCP_AUTH_SIGNATURE_WRONG);
    EVP_PKEY_free(other_ec);
}

/* The same two numbers with a zero before each: one signature must not have many spellings. */
static void an_es256_signature_has_64_bytes(void **state)
{
    const struct fixture *f = *state;
    char bytes[BASE64_DECODED_MAX(128)];
    char longer[66] = {0};
    size_t len;
    struct buf changed;
    char *token =
        jose_sign(JOSE_ES256, f->ec, SLICE_EMPTY, "{\"alg\":\"ES256\",\"kid\":\"e\"}", CLAIMS);
    const char *signature = strrchr(token, '.') + 1;
    assert_int_equal(base64url_decode(slice_from_cstr(signature), bytes, &len), 0);
    assert_int_equal(len, 64);
    memcpy(longer + 1, bytes, 32);
    memcpy(longer + 34, bytes + 32, 32);
    buf_init(&changed, 8192);
    buf_append(&changed, token, (size_t)(signature - token));
    base64url_append(&changed, (struct slice){longer, sizeof(longer)});
    assert_text(f, slice_from_cstr(token), MCP_AUTH_OK);
    assert_text(f, buf_slice(&changed), MCP_AUTH_SIGNATURE_WRONG);
    buf_deinit(&changed);
    mem_free(token);
}

static void claims_that_do_not_hold_are_refused(void **state)
{
    const struct fixture *f = *state;
#define ISS "\"iss\":\"" ISSUER "\","
#define AUD "\"aud\":\"" RESOURCE "\","
#define SUB "\"sub\":\"a\","
#define EXP "\"exp\":1790000100"
    assert_claims(f, "[]", MCP_AUTH_PAYLOAD_JSON);
    assert_claims(f, "{\"sub\":\"a\",\"sub\":\"b\"}", MCP_AUTH_PAYLOAD_JSON);
    assert_claims(f, "{" AUD SUB EXP "}", MCP_AUTH_ISSUER_MISSING);
    assert_claims(f, "{\"iss\":\"" ISSUER "/\"," AUD SUB EXP "}", MCP_AUTH_ISSUER_WRONG);
    assert_claims(f, "{\"iss\":[\"" ISSUER "\"]," AUD SUB EXP "}", MCP_AUTH_ISSUER_WRONG);
    assert_claims(f, "{" ISS SUB EXP "}", MCP_AUTH_AUDIENCE_MISSING);
    assert_claims(f, "{" ISS "\"aud\":\"" RESOURCE "/\"," SUB EXP "}", MCP_AUTH_AUDIENCE_WRONG);
    assert_claims(f, "{" ISS "\"aud\":[]," SUB EXP "}", MCP_AUTH_AUDIENCE_WRONG);
    assert_claims(f, "{" ISS "\"aud\":{\"" RESOURCE "\":1}," SUB EXP "}",
                  MCP_AUTH_AUDIENCE_INVALID);
    assert_claims(f, "{" ISS "\"aud\":[\"" RESOURCE "\",7]," SUB EXP "}",
                  MCP_AUTH_AUDIENCE_INVALID);
    assert_claims(f, "{" ISS AUD "\"sub\":\"a\"}", MCP_AUTH_EXPIRY_MISSING);
    assert_claims(f, "{" ISS AUD SUB "\"exp\":\"1790000100\"}", MCP_AUTH_EXPIRY_INVALID);
    assert_claims(f, "{" ISS AUD SUB "\"exp\":1e300}", MCP_AUTH_EXPIRY_INVALID);
    assert_claims(f, "{" ISS AUD SUB "\"exp\":-1}", MCP_AUTH_EXPIRED);
    assert_claims(f, "{" ISS AUD SUB "\"nbf\":\"0\"," EXP "}", MCP_AUTH_START_INVALID);
    assert_claims(f, "{" ISS AUD SUB "\"iat\":null," EXP "}", MCP_AUTH_ISSUED_INVALID);
    assert_claims(f, "{" ISS AUD EXP "}", MCP_AUTH_SUBJECT_MISSING);
    assert_claims(f, "{" ISS AUD "\"sub\":\"\"," EXP "}", MCP_AUTH_SUBJECT_INVALID);
    assert_claims(f, "{" ISS AUD "\"sub\":7," EXP "}", MCP_AUTH_SUBJECT_INVALID);
    assert_claims(f, "{" ISS AUD "\"sub\":\"a\\nb\"," EXP "}", MCP_AUTH_SUBJECT_INVALID);
    assert_claims(f, "{" ISS AUD SUB "\"scope\":7," EXP "}", MCP_AUTH_SCOPE_INVALID);
    assert_claims(f, "{" ISS AUD SUB "\"scp\":[7]," EXP "}", MCP_AUTH_SCOPE_INVALID);
    assert_claims(f, "{" ISS AUD SUB "\"cnf\":{\"jkt\":\"x\"}," EXP "}", MCP_AUTH_BOUND);
}

static void a_subject_has_at_most_255_bytes(void **state)
{
    const struct fixture *f = *state;
    char claims[1024];
    snprintf(claims, sizeof(claims), "{" ISS AUD EXP ",\"sub\":\"%0255d\"}", 0);
    assert_claims(f, claims, MCP_AUTH_OK);
    snprintf(claims, sizeof(claims), "{" ISS AUD EXP ",\"sub\":\"%0256d\"}", 0);
    assert_claims(f, claims, MCP_AUTH_SUBJECT_INVALID);
}

static void an_email_address_counts_when_it_is_verified(void **state)
{
    const struct fixture *f = *state;
    static const struct {
        const char *claims, *email;
    } cases[] = {
        {"\"email\":\"a@b.org\",\"email_verified\":true", "a@b.org"},
        {"\"email\":\"a@b.org\",\"email_verified\":\"true\"", "a@b.org"},
        {"\"email\":\"a@b.org\",\"email_verified\":false", ""},
        {"\"email\":\"a@b.org\",\"email_verified\":\"yes\"", ""},
        {"\"email\":\"a@b.org\",\"email_verified\":1", ""},
        {"\"email\":\"a@b.org\"", ""},
        {"\"email\":7,\"email_verified\":true", ""},
        {"\"email_verified\":true", ""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct mcp_auth_result out;
        char claims[512];
        snprintf(claims, sizeof(claims), "{" CLAIMS_WITHOUT_SCOPE ",%s}", cases[i].claims);
        assert_reason(judge_signed(f, JOSE_RS256, f->rsa, RS, claims, &out), MCP_AUTH_OK);
        assert_string_equal(out.email, cases[i].email);
    }
    struct mcp_auth_result out;
    char claims[1024];
    snprintf(claims, sizeof(claims),
             "{" CLAIMS_WITHOUT_SCOPE ",\"email\":\"%0255d\",\"email_verified\":true}", 0);
    assert_reason(judge_signed(f, JOSE_RS256, f->rsa, RS, claims, &out), MCP_AUTH_OK);
    assert_string_equal(out.email, "");
}

static void a_key_id_is_shown_in_harmless_characters(void **state)
{
    const struct fixture *f = *state;
    struct mcp_auth_result out;
    char header[512];
    (void)judge_signed(f, JOSE_RS256, f->rsa,
                       "{\"alg\":\"RS256\",\"kid\":\"a\\u001b[31m\\n\\\"b\"}", CLAIMS, &out);
    assert_string_equal(out.kid, "a??31m??b");
    snprintf(header, sizeof(header), "{\"alg\":\"RS256\",\"kid\":\"%0200d\"}", 0);
    (void)judge_signed(f, JOSE_RS256, f->rsa, header, CLAIMS, &out);
    assert_int_equal(strlen(out.kid), MCP_AUTH_KID_SIZE - 1);
}

/* ---- key sets ---- */

static int count_keys(EVP_PKEY *key, const char *more)
{
    struct buf set;
    struct error err = {0};
    buf_init(&set, 65536);
    buf_append_cstr(&set, "{\"keys\":[");
    jose_append_jwk(&set, key, more);
    buf_append_cstr(&set, "]}");
    struct auth_keys *keys = auth_keys_parse(buf_slice(&set), &err);
    int count = keys ? keys->count : 0;
    if (!keys)
        assert_int_equal(err.code, BASE_EINVAL);
    auth_keys_free(keys);
    buf_deinit(&set);
    return count;
}

static void keys_that_are_not_for_our_algorithms_are_ignored(void **state)
{
    const struct fixture *f = *state;
    assert_int_equal(count_keys(f->rsa, ""), 1);
    assert_int_equal(count_keys(f->rsa, ",\"alg\":\"PS256\""), 1);
    assert_int_equal(count_keys(f->rsa, ",\"use\":\"enc\""), 0);
    assert_int_equal(count_keys(f->rsa, ",\"use\":7"), 0);
    assert_int_equal(count_keys(f->rsa, ",\"key_ops\":[\"encrypt\"]"), 0);
    assert_int_equal(count_keys(f->rsa, ",\"key_ops\":\"verify\""), 0);
    assert_int_equal(count_keys(f->rsa, ",\"alg\":\"ES256\""), 0);
    assert_int_equal(count_keys(f->rsa, ",\"alg\":\"RSA-OAEP\""), 0);
    assert_int_equal(count_keys(f->rsa, ",\"alg\":\"RS512\""), 0);
    assert_int_equal(count_keys(f->rsa, ",\"kid\":7"), 0);
    assert_int_equal(count_keys(f->ec, ",\"alg\":\"RS256\""), 0);
    assert_int_equal(count_keys(f->small_rsa, ""), 0);
    assert_int_equal(count_keys(f->p384, ""), 0);
    assert_int_equal(count_keys(f->ed, ",\"alg\":\"EdDSA\""), 0);
}

#define COORDINATE "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
static void sets_without_a_usable_key_are_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "[]",
        "{}",
        "{\"keys\":{}}",
        "{\"keys\":[]}",
        "{\"keys\":[7,null,{}]}",
        "{\"keys\":[{\"kty\":\"oct\",\"k\":\"AAAA\"}]}",
        "{\"keys\":[{\"kty\":\"RSA\",\"n\":\"AAAA\",\"e\":\"AQAB\"}]}",
        "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AA\",\"y\":\"AA\"}]}",
        /* not on the curve */
        "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" COORDINATE "\",\"y\":\"" COORDINATE
        "\"}]}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct error err = {0};
        assert_null(auth_keys_parse(slice_from_cstr(bad[i]), &err));
        assert_int_not_equal(err.code, 0);
    }
}

static void a_curve_goes_by_its_name(void **state)
{
    const struct fixture *f = *state;
    struct error err = {0};
    struct buf set;
    buf_init(&set, 8192);
    buf_append_cstr(&set, "{\"keys\":[");
    jose_append_jwk(&set, f->ec, "");
    buf_append_cstr(&set, "]}");
    memcpy(strstr(set.ptr, "P-256"), "P-521", 5);
    assert_null(auth_keys_parse(buf_slice(&set), &err));
    buf_deinit(&set);
}

static void an_exponent_that_is_even_or_one_is_refused(void **state)
{
    const struct fixture *f = *state;
    static const char *const exponents[] = {"AQ", "AAAA", "AQAA", "AQABAQAB"};
    struct buf jwk;
    buf_init(&jwk, 8192);
    jose_append_jwk(&jwk, f->rsa, "");
    for (size_t i = 0; i < sizeof(exponents) / sizeof(*exponents); i++) {
        char set[8192];
        struct error err = {0};
        int head = (int)(strstr(jwk.ptr, "\"e\":\"") + 5 - jwk.ptr);
        snprintf(set, sizeof(set), "{\"keys\":[%.*s%s\"}]}", head, jwk.ptr, exponents[i]);
        assert_null(auth_keys_parse(slice_from_cstr(set), &err));
    }
    buf_deinit(&jwk);
}

static void running_out_of_memory_is_no_verdict(void **state)
{
    const struct fixture *f = *state;
    struct mem_loop loop = {0};
    struct mcp_auth_result out;
    char *token = jose_sign(JOSE_RS256, f->rsa, SLICE_EMPTY, RS, CLAIMS);
    while (mem_loop_next(&loop)) {
        enum mcp_auth_reason reason = judge(f, slice_from_cstr(token), &out);
        if (mem_loop_has_failed(&loop))
            assert_reason(reason, MCP_AUTH_NO_MEMORY);
        else
            assert_reason(reason, MCP_AUTH_OK);
    }
    mem_free(token);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_token_gives_subject_scopes_and_expiry),
        cmocka_unit_test(each_algorithm_of_ours_is_verified),
        cmocka_unit_test(a_token_without_a_key_id_is_tried_with_the_keys_that_fit),
        cmocka_unit_test(audience_and_scopes_may_be_lists),
        cmocka_unit_test(scope_names_are_matched_whole),
        cmocka_unit_test(clocks_may_differ_by_the_skew),
        cmocka_unit_test(text_that_is_no_jwt_is_refused),
        cmocka_unit_test(a_changed_token_is_refused),
        cmocka_unit_test(headers_that_mean_something_else_are_refused),
        cmocka_unit_test(a_key_in_the_header_is_not_looked_at),
        cmocka_unit_test(the_algorithm_must_be_one_of_ours_and_fit_the_key),
        cmocka_unit_test(a_public_key_is_no_secret),
        cmocka_unit_test(another_key_of_the_same_kind_does_not_verify),
        cmocka_unit_test(an_es256_signature_has_64_bytes),
        cmocka_unit_test(claims_that_do_not_hold_are_refused),
        cmocka_unit_test(a_subject_has_at_most_255_bytes),
        cmocka_unit_test(an_email_address_counts_when_it_is_verified),
        cmocka_unit_test(a_key_id_is_shown_in_harmless_characters),
        cmocka_unit_test(keys_that_are_not_for_our_algorithms_are_ignored),
        cmocka_unit_test(sets_without_a_usable_key_are_refused),
        cmocka_unit_test(a_curve_goes_by_its_name),
        cmocka_unit_test(an_exponent_that_is_even_or_one_is_refused),
        cmocka_unit_test(running_out_of_memory_is_no_verdict),
    };
    mem_loop_hook_cjson();
    return cmocka_run_group_tests(tests, setup, teardown);
}
