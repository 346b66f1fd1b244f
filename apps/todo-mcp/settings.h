#pragma once
/* apps/todo-mcp/settings: flags and environment -> what the program runs with. */
#include <stdbool.h>
#include <stdint.h>

#include "base/http_server.h"
#include "base/log.h"
#include "tools/view.h"

struct buf;
struct error;

#define SETTINGS_LIST_MAX 32

struct settings {
    bool is_stdio;
    const char *http_host;
    uint16_t http_port;
    const char *database_url; /* NULL: the embedded cluster in data_dir */
    char data_dir[4096];
    uint32_t pool_size;
    uint32_t statement_ms;
    char user[256];    /* the subject of every caller while there is no authentication */
    char timezone[65]; /* IANA name */
    const char *allowed_origins[SETTINGS_LIST_MAX + 1]; /* NULL-terminated */
    const char *allowed_hosts[SETTINGS_LIST_MAX + 1];
    struct http_limits limits;
    struct tool_view view; /* what a request may narrow, and nobody widens */
    uint32_t drain_ms;
    enum log_level log_level;
    enum log_format log_format;
    char lists[4096]; /* the text behind the two lists */
};

enum settings_action { SETTINGS_RUN, SETTINGS_HELP, SETTINGS_VERSION };

/* Fills *s, whose strings are borrowed from argv and the environment. 0, or BASE_EINVAL with the
 * setting at fault in err->field. */
__attribute__((warn_unused_result)) int settings_load(struct settings *s,
                                                      enum settings_action *action, int argc,
                                                      char **argv, struct error *err);
void settings_help(struct buf *out);
