/* A key set as an issuer may send it; a key that is taken must be fit for verifying with. */
#include <stdlib.h>

#include "base/error.h"
#include "mcp/auth_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ES256 and RS256 without a key id: each key that fits is tried. */
static const char *const tokens[] = {
    "eyJhbGciOiJFUzI1NiJ9.e30."
    "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSA"
    "pmWQxfKTUJqPP3-Kg6NU1Q",
    "eyJhbGciOiJSUzI1NiJ9.e30.AAAA",
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err;
    struct auth_keys *keys = auth_keys_parse((struct slice){(const char *)data, size}, &err);
    for (size_t i = 0; keys && i < sizeof(tokens) / sizeof(*tokens); i++) {
        struct auth_token t;
        struct slice text = slice_from_cstr(tokens[i]);
        if (auth_token_parse(&t, text) != MCP_AUTH_OK ||
            auth_keys_verify(keys, &t, text) == MCP_AUTH_OK)
            abort();
        auth_token_deinit(&t);
    }
    if (keys && (keys->count < 1 || keys->count > AUTH_KEYS_MAX))
        abort();
    auth_keys_free(keys);
    return 0;
}
