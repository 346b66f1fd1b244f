#include "base/http_host.h"

#include <string.h>
#include <uv.h>

struct slice http_host_name(struct slice authority)
{
    bool is_v6 = authority.len > 0 && authority.ptr[0] == '[';
    const char *end =
        authority.len > 0 ? memchr(authority.ptr, is_v6 ? ']' : ':', authority.len) : NULL;
    if (!end)
        return authority;
    return (struct slice){authority.ptr, (size_t)(end - authority.ptr) + (is_v6 ? 1 : 0)};
}

bool http_host_is_loopback(struct slice authority)
{
    static const struct slice names[] = {{"localhost", 9}, {"127.0.0.1", 9}, {"[::1]", 5}};
    struct slice host = http_host_name(authority);
    if (host.len < authority.len && authority.ptr[host.len] != ':')
        return false;
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        if (slice_is_equal_nocase(host, names[i]))
            return true;
    }
    return false;
}

bool http_host_is_fixed(struct slice authority)
{
    char text[64] = "";
    unsigned char address[16];
    struct slice host = http_host_name(authority);
    bool is_v6 = host.len > 1 && host.ptr[0] == '[';
    if (is_v6)
        host = (struct slice){host.ptr + 1, host.len - 2};
    if (host.len >= sizeof(text))
        return false;
    memcpy(text, host.ptr, host.len);
    return http_host_is_loopback(authority) ||
           uv_inet_pton(is_v6 ? AF_INET6 : AF_INET, text, address) == 0;
}
