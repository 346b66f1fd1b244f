#pragma once
/* maildir: mails into a local Maildir (tmp, new, cur), for a machine without SMTP settings. A mail
 * is written whole before it shows up in `new`, and its name is made from the event's id: the same
 * mail again takes the place of the one that nobody has read yet.
 * Use:    maildir_open (blocking: makes the folders) -> maildir_put … -> its callback.
 * Thread: loop thread; files are written in libuv's pool. Memory is the caller's, and may go when
 *         no put is under way. */
#include <uv.h>

#include "base/slice.h"

struct error;

struct maildir {
    uv_loop_t *loop; /* borrowed */
    char path[4096];
};

/* 0, or UV_E* with the folder in err->text. */
__attribute__((warn_unused_result)) int maildir_open(struct maildir *m, uv_loop_t *loop,
                                                     const char *path, struct error *err);

/* status: 0 or UV_E*; never from inside maildir_put. */
typedef void (*maildir_fn)(void *ctx, int status);
/* `name`: of letters, digits and "-" (BASE_EINVAL). Copies. 0, or BASE_EINVAL, BASE_ENOMEM, UV_E*:
 * then `fn` does not come. */
__attribute__((warn_unused_result)) int maildir_put(struct maildir *m, struct slice name,
                                                    struct slice mail, maildir_fn fn, void *ctx);
