#pragma once
/* base/secret: a secret of the settings, which may change while the program runs.
 *
 * Its value is fixed (a flag, the environment), or it is the file DIR/NAME, which is looked at each
 * second: what it says then holds from the next use on. A file's lines are values that are good at
 * the same time: the first is the one to use, and the others are accepted as well. Blank lines do
 * not count; a file that is missing or blank is no value, or leaves the last one as it was.
 *
 * Use:     secret_init; secret_watch_open -> secret_watch_add … -> secret_watch_close.
 * Owns:    the text of its file. Borrows name, fixed value and folder.
 * Thread:  loop thread only. A text that is handed out holds until the loop's next turn.
 * Limits:  SECRET_BYTES_MAX a file. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <uv.h>

#include "base/slice.h"

struct error;
struct log;

#define SECRET_BYTES_MAX 2048

struct secret {
    const char *name;  /* of the setting, and of the file */
    const char *fixed; /* NULL: the file's */
    const char *dir;   /* NULL: there is no file */
    uint32_t version;  /* another number is another value */
    size_t len;
    struct stat seen; /* the file, when it was last read */
    bool is_missed;   /* it was said that the file cannot be read */
    struct secret *next;
    char lines[SECRET_BYTES_MAX + 1]; /* `len` bytes, each line with its NUL */
};

/* One that never changes. */
#define SECRET_FIXED(text) (&(const struct secret){.fixed = (text)})

/* `fixed` wins over the file; each may be NULL. 0, or BASE_EINVAL where there is a file that cannot
 * be read or be a secret. */
__attribute__((warn_unused_result)) int secret_init(struct secret *s, const char *name,
                                                    const char *fixed, const char *dir,
                                                    struct error *err);
/* The value to use; NULL: none. Of NULL too. */
const char *secret_text(const struct secret *s);
/* 0 for NULL. */
uint32_t secret_version(const struct secret *s);
/* Whether `given` is one of the values; the time that it takes tells nothing of them. */
bool secret_accepts(const struct secret *s, struct slice given);

/* Embedded in its user. */
struct secret_watch {
    uv_timer_t timer;
    const struct log *log;
    struct secret *first;
    bool is_open;
};
void secret_watch_open(struct secret_watch *w, uv_loop_t *loop, const struct log *log);
/* From now on the secret follows its file. It has to live until the watch is closed. */
void secret_watch_add(struct secret_watch *w, struct secret *s);
/* Idempotent; also of one of zero bytes that was never opened. */
void secret_watch_close(struct secret_watch *w);
