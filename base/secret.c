#include "base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/error.h"
#include "base/log.h"

#define LOOK_MS    1000
#define PATH_BYTES 4096

/* ---- the file ---- */

/* Drops blank lines and ends each other one with a NUL; the length of what is left. */
static size_t split_lines(char *text, size_t len)
{
    size_t kept = 0;
    for (size_t at = 0; at < len;) {
        size_t line = 0;
        while (at + line < len && text[at + line] != '\n')
            line++;
        size_t used = line > 0 && text[at + line - 1] == '\r' ? line - 1 : line;
        memmove(text + kept, text + at, used);
        kept += used;
        if (used > 0)
            text[kept++] = '\0';
        at += line + 1;
    }
    return kept;
}

static bool is_same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
           a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static bool open_file(const struct secret *s, int *fd)
{
    char path[PATH_BYTES];
    int len = snprintf(path, sizeof(path), "%s/%s", s->dir, s->name);
    errno = ENAMETOOLONG;
    *fd = len > 0 && (size_t)len < sizeof(path) ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    return *fd >= 0;
}

static size_t read_all(int fd, char *out, size_t size)
{
    size_t len = 0;
    ssize_t got = 1;
    while (len < size && got > 0) {
        got = read(fd, out + len, size - len);
        len += got > 0 ? (size_t)got : 0;
    }
    return got < 0 ? SIZE_MAX : len;
}

struct content {
    struct stat seen;
    size_t len;
    char lines[SECRET_BYTES_MAX + 2]; /* one more than may be, and the NUL of the last line */
};

/* NULL, or what is wrong with the file. */
static const char *read_content(int fd, struct content *c)
{
    if (fstat(fd, &c->seen) || !S_ISREG(c->seen.st_mode))
        return "it is no file";
    size_t len = read_all(fd, c->lines, SECRET_BYTES_MAX + 1);
    if (len == SIZE_MAX)
        return "it cannot be read";
    if (len > SECRET_BYTES_MAX)
        return "it is too long";
    if (memchr(c->lines, '\0', len))
        return "it has a NUL byte";
    c->len = split_lines(c->lines, len);
    return NULL;
}

static void take_content(struct secret *s, const struct content *c)
{
    s->seen = c->seen;
    s->len = c->len;
    memcpy(s->lines, c->lines, c->len);
}

/* ---- values ---- */

int secret_init(struct secret *s, const char *name, const char *fixed, const char *dir,
                struct error *err)
{
    int fd;
    struct content c;
    *s = (struct secret){.name = name, .fixed = fixed, .dir = fixed ? NULL : dir};
    if (!s->dir)
        return 0;
    if (!open_file(s, &fd))
        return errno == ENOENT
                   ? 0
                   : error_set(err, BASE_EINVAL, name, "%s: its file in SECRETS_DIR: %s", name,
                               strerror(errno));
    const char *why = read_content(fd, &c);
    close(fd);
    if (why)
        return error_set(err, BASE_EINVAL, name, "%s: its file in SECRETS_DIR: %s", name, why);
    take_content(s, &c);
    return 0;
}

const char *secret_text(const struct secret *s)
{
    if (!s)
        return NULL;
    return !s->fixed && s->len > 0 ? s->lines : s->fixed;
}

uint32_t secret_version(const struct secret *s)
{
    return s ? s->version : 0;
}

static bool is_value(const unsigned char given[DIGEST_SIZE], const char *value)
{
    unsigned char digest[DIGEST_SIZE];
    return digest_sha256(slice_from_cstr(value), digest) == 0 && digest_is_equal(digest, given);
}

/* Digests are compared, so that the time tells nothing of the lengths either. */
bool secret_accepts(const struct secret *s, struct slice given)
{
    unsigned char digest[DIGEST_SIZE];
    if (!s || digest_sha256(given, digest))
        return false;
    if (s->fixed)
        return is_value(digest, s->fixed);
    bool is_one = false;
    for (size_t at = 0; at < s->len; at += strlen(s->lines + at) + 1)
        is_one |= is_value(digest, s->lines + at);
    return is_one;
}

/* ---- the watch ---- */

static void miss(struct secret_watch *w, struct secret *s, const char *why)
{
    if (s->is_missed || s->len == 0)
        return;
    s->is_missed = true;
    log_warn(w->log, "a secret's file is of no use; the last value stays", log_str("name", s->name),
             log_str("reason", why));
}

static void change(struct secret_watch *w, struct secret *s, const struct content *c)
{
    bool is_new = s->len != c->len || memcmp(s->lines, c->lines, c->len) != 0;
    take_content(s, c);
    s->is_missed = false;
    if (!is_new)
        return;
    s->version++;
    log_info(w->log, "a secret has changed", log_str("name", s->name));
}

static void look(struct secret_watch *w, struct secret *s)
{
    int fd;
    struct content c;
    if (!open_file(s, &fd)) {
        miss(w, s, strerror(errno));
        return;
    }
    bool is_seen = fstat(fd, &c.seen) == 0 && is_same_file(&c.seen, &s->seen);
    const char *why = is_seen ? NULL : read_content(fd, &c);
    close(fd);
    if (why || (!is_seen && c.len == 0))
        miss(w, s, why ? why : "it is blank");
    else if (!is_seen)
        change(w, s, &c);
}

static void on_timer(uv_timer_t *timer)
{
    struct secret_watch *w = timer->data;
    for (struct secret *s = w->first; s; s = s->next)
        look(w, s);
}

void secret_watch_open(struct secret_watch *w, uv_loop_t *loop, const struct log *log)
{
    *w = (struct secret_watch){.log = log, .is_open = true};
    uv_timer_init(loop, &w->timer);
    w->timer.data = w;
    uv_unref((uv_handle_t *)&w->timer);
}

void secret_watch_add(struct secret_watch *w, struct secret *s)
{
    if (!s->dir)
        return;
    s->next = w->first;
    w->first = s;
    if (!uv_is_active((uv_handle_t *)&w->timer))
        uv_timer_start(&w->timer, on_timer, LOOK_MS, LOOK_MS);
}

void secret_watch_close(struct secret_watch *w)
{
    if (w->is_open)
        uv_close((uv_handle_t *)&w->timer, NULL);
    w->is_open = false;
}
