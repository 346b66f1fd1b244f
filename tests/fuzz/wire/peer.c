#include "wire/peer.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

static void check(int status, const char *what)
{
    if (status == 0)
        return;
    perror(what);
    abort();
}

/* The fuzzer's own alarm may break in: the connection is then made all the same. */
static int finish_connect(int fd)
{
    struct pollfd wait = {.fd = fd, .events = POLLOUT};
    int error = 0;
    socklen_t size = sizeof(error);
    while (poll(&wait, 1, -1) < 0 && errno == EINTR)
        continue;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size))
        return -1;
    errno = error;
    return error ? -1 : 0;
}

int peer_connect(uint16_t port)
{
    const struct linger at_once = {.l_onoff = 1};
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const void *raw = &address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    check(fd < 0, "socket");
    int status = connect(fd, raw, sizeof(address));
    if (status && errno == EINTR)
        status = finish_connect(fd);
    check(status, "connect");
    check(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), "SO_LINGER");
    return fd;
}
