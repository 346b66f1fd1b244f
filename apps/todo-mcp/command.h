#pragma once
/* apps/todo-mcp/command: what todo-mcp outbox, dlq and key share: flags, database, one
 * statement after the other, and the end.
 *
 * Use: command_open -> a call that ends with command_done -> command_wait … -> command_close. */
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/json.h"
#include "base/log.h"
#include "shared/settings.h"

struct db_embedded;
struct db_pool;

#define COMMAND_USAGE 2 /* the exit code */

struct command {
    struct shared_settings settings;
    struct log log;
    uv_loop_t loop;
    struct db_embedded *embedded;
    struct db_pool *pool;
    bool is_open;
    bool is_done;
    int status;
    struct error err;
};

/* Reads the command's flags, which no environment sets, and of the shared settings those about the
 * database and the log. 0, or BASE_EINVAL in c->err. */
__attribute__((warn_unused_result)) int command_load(struct command *c,
                                                     const struct config_setting *flags,
                                                     size_t flag_count, int argc, char **argv,
                                                     struct config_value *values, int *rest);
void command_help(const struct config_setting *flags, const char *const *shown, size_t flag_count,
                  const char *usage, struct buf *out);
/* Opens the database. 0, or the reason in c->err; command_close comes either way. */
__attribute__((warn_unused_result)) int command_open(struct command *c);
/* From a call's callback: it has ended. */
void command_done(struct command *c, int status, const struct error *err);
/* Runs the loop until then. `submitted`: what the call returned. The status, also in c->err. */
int command_wait(struct command *c, int submitted);
/* Rings for the relay: there are rows. */
void command_ring(struct command *c);
void command_close(struct command *c);
bool command_wants_help(int argc, char **argv);
/* Prints the text and says how: 0 or EXIT_FAILURE. Ends `text`. */
int command_print(struct buf *text);
/* RFC 3339 to the second, or "-" for 0. */
void command_append_time(struct buf *out, int64_t time_us);
/* A member that is a time, or null for 0. */
void command_key_time(struct json_writer *w, const char *key, int64_t time_us);
