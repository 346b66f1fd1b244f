/* put -> (pool) tmp/NAME written and synced -> renamed to new/NAME, the folder synced -> done */
#include "email/maildir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"

#define NAME_MAX_LEN 64
#define PATH_SIZE    (4096 + NAME_MAX_LEN + 32)

struct put {
    uv_work_t work;
    const struct maildir *m;
    maildir_fn fn;
    void *ctx;
    int status;
    char name[NAME_MAX_LEN + 1];
    size_t len;
    char mail[];
};

/* ---- in the pool ---- */

static int write_all(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t got = write(fd, bytes, len);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        bytes += got;
        len -= (size_t)got;
    }
    return 0;
}

static int write_file(const char *path, const struct put *p)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    int status = write_all(fd, p->mail, p->len);
    if (!status && fsync(fd))
        status = -errno;
    if (close(fd) && !status)
        status = -errno;
    return status;
}

static int sync_folder(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int status = fd < 0 || fsync(fd) ? -errno : 0;
    if (fd >= 0)
        close(fd);
    return status;
}

/* Two workers may write one mail at once: each has a file of its own, and the names meet in `new`,
 * where either is the whole mail. */
static void on_work(uv_work_t *work)
{
    struct put *p = work->data;
    char from[PATH_SIZE];
    char to[PATH_SIZE];
    char folder[PATH_SIZE];
    snprintf(from, sizeof(from), "%s/tmp/%s.%ld", p->m->path, p->name, (long)getpid());
    snprintf(to, sizeof(to), "%s/new/%s", p->m->path, p->name);
    snprintf(folder, sizeof(folder), "%s/new", p->m->path);
    p->status = write_file(from, p);
    if (!p->status && rename(from, to))
        p->status = -errno;
    if (p->status)
        unlink(from);
    else
        p->status = sync_folder(folder);
}

/* ---- on the loop ---- */

static void on_done(uv_work_t *work, int status)
{
    struct put *p = work->data;
    p->fn(p->ctx, status ? status : p->status);
    mem_free(p);
}

static bool is_name(struct slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') &&
            c != '-')
            return false;
    }
    return name.len > 0 && name.len <= NAME_MAX_LEN;
}

int maildir_put(struct maildir *m, struct slice name, struct slice mail, maildir_fn fn, void *ctx)
{
    if (!is_name(name))
        return BASE_EINVAL;
    struct put *p = mem_calloc(1, sizeof(*p) + mail.len);
    if (!p)
        return BASE_ENOMEM;
    p->work.data = p;
    p->m = m;
    p->fn = fn;
    p->ctx = ctx;
    memcpy(p->name, name.ptr, name.len);
    memcpy(p->mail, mail.ptr, mail.len);
    p->len = mail.len;
    int status = uv_queue_work(m->loop, &p->work, on_work, on_done);
    if (status)
        mem_free(p);
    return status;
}

static int make_folder(const char *path, struct error *err)
{
    if (mkdir(path, 0700) && errno != EEXIST)
        return error_set(err, -errno, NULL, "cannot make the folder %.150s: %s", path,
                         strerror(errno));
    return 0;
}

/* With its parents. */
static int make_path(const char *path, struct error *err)
{
    char part[sizeof(((struct maildir *)0)->path)];
    int status = 0;
    for (const char *end = strchr(path + 1, '/'); end && !status; end = strchr(end + 1, '/')) {
        snprintf(part, sizeof(part), "%.*s", (int)(end - path), path);
        status = make_folder(part, err);
    }
    return status ? status : make_folder(path, err);
}

int maildir_open(struct maildir *m, uv_loop_t *loop, const char *path, struct error *err)
{
    static const char *const parts[] = {"tmp", "new", "cur"};
    char part[PATH_SIZE];
    m->loop = loop;
    if (strlen(path) == 0 || strlen(path) >= sizeof(m->path))
        return error_set(err, BASE_EINVAL, "MAILDIR", "MAILDIR is no path");
    snprintf(m->path, sizeof(m->path), "%s", path);
    int status = make_path(path, err);
    for (size_t i = 0; i < 3 && !status; i++) {
        snprintf(part, sizeof(part), "%s/%s", path, parts[i]);
        status = make_folder(part, err);
    }
    return status;
}
