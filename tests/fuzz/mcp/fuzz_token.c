/* An access token's way through mcp/auth: parse, issuer, key, signature, claims. The claims are
 * looked at whatever the signature: no search would find one that matches. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "mcp/auth_int.h"

#define NOW_US INT64_C(1790000000000000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char keys_json[] = "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"e\","
                                "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
                                "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}]}";

static const struct mcp_auth_scope scopes[] = {{"tasks:read", 1}, {"tasks:write", 2}};
static const struct mcp_auth_options options = {.resource = "https://todo.example/mcp",
                                                .issuer = "https://issuer.example",
                                                .scopes = scopes,
                                                .scope_count = 2,
                                                .clock_skew_s = 60};

static void check(bool holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct auth_token t;
    struct mcp_auth_result result = {0};
    struct slice text = {(const char *)data, size};
    struct error err;
    struct auth_keys *keys =
        auth_keys_parse((struct slice){keys_json, sizeof(keys_json) - 1}, &err);
    check(keys != NULL);
    if (auth_token_parse(&t, text) == MCP_AUTH_OK) {
        check(t.claims && t.signature.len > 0);
        (void)auth_token_check_issuer(&t, options.issuer);
        check(auth_keys_verify(keys, &t, text) != MCP_AUTH_OK);
        if (auth_token_check_claims(&t, &options, NOW_US, &result) == MCP_AUTH_OK)
            check(result.subject[0] && result.scopes <= 3 && result.expires_us > NOW_US - 60000000);
    }
    auth_token_show_kid(&t, result.kid);
    check(strcspn(result.kid, "\r\n\033\"") == strlen(result.kid));
    auth_token_deinit(&t);
    auth_keys_free(keys);
    return 0;
}
