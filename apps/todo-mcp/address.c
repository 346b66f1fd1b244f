#include "address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/http_server.h"

#define IPV4_BYTES         4
#define IPV6_NETWORK_BYTES 8

/* The entries before the last `proxies` were written by whoever sent the request. */
static struct slice forwarded_for(const struct http_request *req, uint32_t proxies)
{
    struct slice list = http_request_header(req, "X-Forwarded-For");
    struct slice entry = {NULL, 0};
    if (http_request_header_count(req, "X-Forwarded-For") != 1)
        return entry;
    while (proxies-- > 0 && list.len > 0) {
        size_t start = list.len;
        while (start > 0 && list.ptr[start - 1] != ',')
            start--;
        entry = (struct slice){list.ptr + start, list.len - start};
        list.len = start > 0 ? start - 1 : 0;
    }
    while (entry.len > 0 && *entry.ptr == ' ')
        entry = (struct slice){entry.ptr + 1, entry.len - 1};
    while (entry.len > 0 && entry.ptr[entry.len - 1] == ' ')
        entry.len--;
    return entry;
}

/* One subscriber has at least a /64 of IPv6 addresses: they share a bucket. ::ffff:192.0.2.1, as
 * sockets of IPv6 have it, is an address of IPv4. */
static void make_key(struct address *out)
{
    struct in6_addr address;
    const unsigned char *bytes = address.s6_addr;
    if (inet_pton(AF_INET, out->text, &address) == 1) {
        out->key_len = IPV4_BYTES;
    } else if (inet_pton(AF_INET6, out->text, &address) == 1) {
        bool is_v4 = IN6_IS_ADDR_V4MAPPED(&address);
        bytes += is_v4 ? sizeof(address) - IPV4_BYTES : 0;
        out->key_len = is_v4 ? IPV4_BYTES : IPV6_NETWORK_BYTES;
    }
    if (out->key_len > 0) {
        memcpy(out->key, bytes, out->key_len);
        return;
    }
    out->key_len = (uint8_t)strlen(out->text);
    memcpy(out->key, out->text, out->key_len);
}

void address_of(const struct http_request *req, uint32_t proxies, struct address *out)
{
    *out = (struct address){0};
    struct slice entry = proxies > 0 ? forwarded_for(req, proxies) : SLICE_EMPTY;
    if (entry.len > 0)
        snprintf(out->text, sizeof(out->text), "%.*s", (int)entry.len, entry.ptr);
    else
        snprintf(out->text, sizeof(out->text), "%s", http_request_peer(req));
    make_key(out);
}

struct slice address_key(const struct address *a)
{
    return (struct slice){a->key, a->key_len};
}
