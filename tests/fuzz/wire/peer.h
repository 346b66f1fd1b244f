#pragma once
/* wire/peer: the fuzz targets' end of a connection on loopback. What the system refuses ends the
 * run, and says why. */
#include <stddef.h>
#include <stdint.h>

/* A connected socket. Closing it resets the connection, so that thousands of them leave nothing
 * behind in the kernel. */
int peer_connect(uint16_t port);
