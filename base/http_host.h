#pragma once
/* base/http_host: what the Host header's value and an Origin's authority name.
 * A page that makes its own name resolve to this machine (DNS rebinding) still says that name. */
#include <stdbool.h>

#include "base/slice.h"

/* host, host:port, [v6]:port -> the host alone, as it is written. */
struct slice http_host_name(struct slice authority);
/* localhost, 127.0.0.1 or [::1], with any port or none. */
bool http_host_is_loopback(struct slice authority);
/* What no page can make resolve to another machine: as above, or a numeric address. */
bool http_host_is_fixed(struct slice authority);
