#pragma once
/* apps/todo-mcp/address: who is at the other end of a request, for limits and logs. */
#include <stdint.h>

#include "base/slice.h"

struct http_request;

#define ADDRESS_TEXT_SIZE 64

struct address {
    char text[ADDRESS_TEXT_SIZE]; /* for logs */
    char key[ADDRESS_TEXT_SIZE];  /* what a limit counts by: an IPv4 address, an IPv6 /64 */
    uint8_t key_len;
};

/* The peer, or with `proxies` > 0 the entry of X-Forwarded-For that the outermost of so many
 * proxies of ours has written: the last but proxies - 1. */
void address_of(const struct http_request *req, uint32_t proxies, struct address *out);
struct slice address_key(const struct address *a);
