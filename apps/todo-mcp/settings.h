#pragma once
/* apps/todo-mcp/settings: flags and environment -> what the program runs with. */
#include <stdbool.h>
#include <stdint.h>

#include "base/http_server.h"
#include "shared/settings.h"
#include "tools/view.h"

struct buf;
struct error;

#define SETTINGS_LIST_MAX 32

struct settings {
    bool is_stdio;
    const char *http_host;
    uint16_t http_port;
    struct shared_settings shared;
    char user[256];    /* the subject of every caller while there is no authentication */
    char timezone[65]; /* IANA name */
    const char *email; /* of `user`; NULL: none */
    const char *allowed_origins[SETTINGS_LIST_MAX + 1]; /* NULL-terminated */
    const char *allowed_hosts[SETTINGS_LIST_MAX + 1];
    struct http_limits limits;
    uint32_t shutdown_delay_ms;
    struct tool_view view; /* what a request may narrow, and nobody widens */
    /* Callers over HTTP. None of the first two: no authentication. */
    bool api_keys;
    const char *oauth_issuer;   /* NULL: no OAuth */
    const char *oauth_audience; /* NULL: the endpoint's URL */
    const char *oauth_jwks_url; /* NULL: found by the issuer's metadata */
    const char *public_url;     /* of the endpoint; NULL: by http_host and the port */
    uint32_t rate_per_minute;   /* of a user; 0: no limit */
    uint32_t rate_burst;
    uint32_t failures_per_minute; /* of an address; 0: no limit */
    uint32_t trusted_proxies;
    /* Events. */
    bool has_relay;                /* this process may publish them */
    const char *event_subscribers; /* of the direct transport: topic=url, ... */
    const char *broker_id;         /* NULL: the transport says */
    uint32_t attempts_max, outbox_hours, inbox_days, replay_hours;
    char lists[4096]; /* the text behind the two lists */
};

/* Whether callers have to say who they are. */
bool settings_has_auth(const struct settings *s);

/* Fills *s, whose strings are borrowed from argv and the environment. 0, or BASE_EINVAL with the
 * setting at fault in err->field. */
__attribute__((warn_unused_result)) int settings_load(struct settings *s, int argc, char **argv,
                                                      struct error *err);
void settings_help(struct buf *out);
/* Of todo-mcp relay. */
void settings_relay_help(struct buf *out);

/* todo-mcp key COMMAND [ID] [FLAGS]: what the flags say. */
struct key_settings {
    struct settings base; /* the database, the default user and the log */
    const char *name;     /* NULL: not given */
    const char *scopes;   /* NULL: all */
    int64_t expires_days; /* 0: never */
};
/* As settings_load; argv[0] is not looked at. */
__attribute__((warn_unused_result)) int settings_load_key(struct key_settings *k, int argc,
                                                          char **argv, struct error *err);
void settings_key_help(struct buf *out);
