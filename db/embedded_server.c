/* PostgreSQL's programs and files: which version, how the cluster is made and the server called,
 * what postmaster.pid and the log say. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/log.h"
#include "db/embedded_int.h"
#include "db/error.h"

#define DB_ROLE       "todo"
#define LOG_TAIL_SIZE 4096
/* "/.s.PGSQL.5432" and the NUL must fit into sun_path beside it. */
#define SOCKET_DIR_MAX 92

/* ---- which programs ---- */

static bool has_programs(const char *dir)
{
    char path[EMBEDDED_PATH_SIZE + 16];
    snprintf(path, sizeof(path), "%s/initdb", dir);
    bool has_initdb = access(path, X_OK) == 0;
    snprintf(path, sizeof(path), "%s/postgres", dir);
    return has_initdb && access(path, X_OK) == 0;
}

/* PARENT/PREFIX<version>/bin with the highest version, or the `wanted` one where it is not 0. */
static void find_below(struct db_embedded *e, const char *parent, const char *prefix, long wanted)
{
    long best = 0;
    DIR *dir = opendir(parent);
    for (const struct dirent *entry = dir ? readdir(dir) : NULL; entry; entry = readdir(dir)) {
        char path[EMBEDDED_PATH_SIZE];
        char *end = NULL;
        if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0)
            continue;
        long version = strtol(entry->d_name + strlen(prefix), &end, 10);
        int len = snprintf(path, sizeof(path), "%s/%s/bin", parent, entry->d_name);
        if (*end || version <= best || (wanted && version != wanted) || !has_programs(path))
            continue;
        best = version;
        memcpy(e->bin, path, (size_t)len + 1);
    }
    if (dir)
        closedir(dir);
}

static void find_in_path(struct db_embedded *e)
{
    const char *path = getenv("PATH");
    while (path && *path && !*e->bin) {
        size_t len = strcspn(path, ":");
        char dir[EMBEDDED_PATH_SIZE];
        snprintf(dir, sizeof(dir), "%.*s", (int)len, path);
        if (*dir == '/' && has_programs(dir))
            memcpy(e->bin, dir, sizeof(dir));
        path += len + (path[len] == ':');
    }
}

/* 0 when there is no cluster yet. */
static long cluster_version(const struct db_embedded *e)
{
    char path[EMBEDDED_PATH_SIZE + 16];
    char line[16] = "";
    snprintf(path, sizeof(path), "%s/PG_VERSION", e->data);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    ssize_t len = fd < 0 ? 0 : read(fd, line, sizeof(line) - 1);
    if (fd >= 0)
        close(fd);
    return len > 0 ? strtol(line, NULL, 10) : 0;
}

int embedded_refuse_version(const struct db_embedded *e, struct error *err)
{
    long version = cluster_version(e);
    return error_set(err, DB_EUNAVAILABLE, "DATA_DIR",
                     "the tasks in %.120s were stored by PostgreSQL %ld: install it (package "
                     "postgresql-%ld)",
                     e->dir, version, version);
}

int embedded_find_programs(struct db_embedded *e, struct error *err)
{
    long wanted = cluster_version(e);
    e->bin[0] = '\0';
    find_below(e, "/usr/lib/postgresql", "", wanted);
    if (!*e->bin)
        find_below(e, "/usr", "pgsql-", wanted);
    if (!*e->bin)
        find_in_path(e);
    if (*e->bin)
        return 0;
    if (wanted)
        return embedded_refuse_version(e, err);
    return error_set(err, DB_EUNAVAILABLE, "DATABASE_URL",
                     "PostgreSQL's initdb and postgres were not found: install the package "
                     "postgresql, or set DATABASE_URL to a server that runs");
}

/* ---- the log ---- */

off_t embedded_log_size(const struct db_embedded *e)
{
    struct stat st;
    return stat(e->log_path, &st) ? 0 : st.st_size;
}

static size_t read_tail(const struct db_embedded *e, off_t from, char *tail, size_t size)
{
    int fd = open(e->log_path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return 0;
    off_t end = lseek(fd, 0, SEEK_END);
    if (from > end)
        from = 0; /* it was started anew */
    if (end - from > (off_t)size - 1)
        from = end - (off_t)size + 1;
    ssize_t len = pread(fd, tail, size - 1, from);
    close(fd);
    return len > 0 ? (size_t)len : 0;
}

static const char *after_mark(const char *line)
{
    static const char *const marks[] = {"PANIC:", "FATAL:", "error:"};
    for (size_t i = 0; i < sizeof(marks) / sizeof(*marks); i++) {
        const char *at = strstr(line, marks[i]);
        if (at)
            return at + strlen(marks[i]) + strspn(at + strlen(marks[i]), " ");
    }
    return NULL;
}

void embedded_complaint(const struct db_embedded *e, off_t from, char *out, size_t size)
{
    char tail[LOG_TAIL_SIZE];
    char *rest = tail;
    const char *last = "";
    const char *marked = NULL;
    tail[read_tail(e, from, tail, sizeof(tail))] = '\0';
    for (const char *line = strtok_r(rest, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        const char *words = after_mark(line);
        last = line;
        marked = words ? words : marked;
    }
    snprintf(out, size, "%s", marked ? marked : last);
}

/* ---- postmaster.pid ---- */

/* Its lines: pid, data folder, start, port, folder of the socket, address, memory key, status. */
struct pid_file {
    long pid;
    char socket_dir[EMBEDDED_PATH_SIZE];
    bool is_ready;
};

static bool read_pid_file(const struct db_embedded *e, struct pid_file *out)
{
    char path[EMBEDDED_PATH_SIZE + 16];
    char text[3 * EMBEDDED_PATH_SIZE];
    char *rest = text;
    memset(out, 0, sizeof(*out));
    snprintf(path, sizeof(path), "%s/postmaster.pid", e->data);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    if (fd >= 0)
        close(fd);
    text[len > 0 ? len : 0] = '\0';
    for (int number = 1; rest; number++) {
        const char *line = strsep(&rest, "\n");
        if (number == 1)
            out->pid = strtol(line, NULL, 10);
        else if (number == 5)
            snprintf(out->socket_dir, sizeof(out->socket_dir), "%s", line);
        else if (number == 8)
            out->is_ready = strncmp(line, "ready", 5) == 0;
    }
    return out->pid > 0;
}

/* A pid may have passed on to someone else, and a zombie has one too: only a process of the
 * server's user whose arguments name our data is it. Its arguments are all that is readable in
 * every container. */
bool embedded_is_alive(const struct db_embedded *e, pid_t pid)
{
    char path[64];
    char args[3 * EMBEDDED_PATH_SIZE];
    struct stat st;
    (void)waitpid(pid, NULL, WNOHANG); /* ours where we are a container's first process */
    snprintf(path, sizeof(path), "/proc/%ld/cmdline", (long)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t len = fstat(fd, &st) ? -1 : read(fd, args, sizeof(args));
    close(fd);
    size_t want = strlen(e->data) + 1;
    return len > 0 && st.st_uid == e->uid && memmem(args, (size_t)len, e->data, want);
}

/* As libpq reads it: a backslash before what would end or escape. */
static void append_quoted(struct buf *out, const char *value)
{
    for (; *value; value++) {
        if (*value == '\'' || *value == '\\')
            buf_append_char(out, '\\');
        buf_append_char(out, *value);
    }
}

/* Says everything that the environment could (PGHOSTADDR …), and whom we expect to answer. */
static void make_conninfo(struct db_embedded *e)
{
    struct buf out;
    buf_init_fixed(&out, e->conninfo, sizeof(e->conninfo));
    buf_append_cstr(&out, "dbname=postgres user=" DB_ROLE " port=5432 hostaddr='' sslmode=disable "
                          "gssencmode=disable target_session_attrs=any host='");
    append_quoted(&out, e->socket_dir);
    buf_append_cstr(&out, "' requirepeer='");
    append_quoted(&out, e->user);
    buf_append_cstr(&out, "'");
}

enum embedded_phase embedded_look(struct db_embedded *e, pid_t *pid)
{
    struct pid_file file;
    if (!read_pid_file(e, &file) || !embedded_is_alive(e, (pid_t)file.pid))
        return EMBEDDED_DOWN;
    *pid = (pid_t)file.pid;
    if (!file.is_ready)
        return EMBEDDED_BUSY;
    memcpy(e->socket_dir, file.socket_dir, sizeof(e->socket_dir));
    make_conninfo(e);
    return EMBEDDED_READY;
}

/* ---- making the cluster ---- */

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return remove(path);
}

/* What an initdb left that was killed. One that still writes has lost its folder's name, and may
 * keep it for the next time. */
static int remove_half_made(const struct db_embedded *e)
{
    DIR *dir = opendir(e->home);
    if (!dir)
        return errno;
    for (const struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
        char path[EMBEDDED_PATH_SIZE + sizeof(entry->d_name)];
        snprintf(path, sizeof(path), "%s/%s", e->home, entry->d_name);
        if (strncmp(entry->d_name, "new-", 4) == 0)
            nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    }
    closedir(dir);
    return 0;
}

static int sync_folder(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int status = fd < 0 || fsync(fd) ? errno : 0;
    if (fd >= 0)
        close(fd);
    return status;
}

/* initdb has synced what is in it; now the name. */
static int name_cluster(const struct db_embedded *e)
{
    return rename(e->fresh, e->data) ? errno : sync_folder(e->home);
}

static int run_initdb(struct db_embedded *e, struct error *err)
{
    char program[EMBEDDED_PATH_SIZE + 16];
    char why[160];
    snprintf(program, sizeof(program), "%s/initdb", e->bin);
    const char *argv[] = {program,
                          "-D",
                          e->fresh,
                          "-U",
                          DB_ROLE,
                          "-E",
                          "UTF8",
                          "--locale=C.UTF-8",
                          "--auth=peer",
                          "--auth-host=reject",
                          "--data-checksums",
                          "--no-instructions",
                          NULL};
    off_t from = embedded_log_size(e);
    int status = embedded_run(e, argv);
    if (!status)
        return 0;
    embedded_complaint(e, from, why, sizeof(why));
    return error_set(err, DB_EUNAVAILABLE, "DATA_DIR", "PostgreSQL's initdb failed: %s (%s)",
                     status > 0 ? strerror(status) : why, e->log_path);
}

int embedded_make_cluster(struct db_embedded *e, struct error *err)
{
    int failure = embedded_as_server(e, remove_half_made);
    if (!failure) {
        log_info(e->log, "making the database", log_str("directory", e->dir));
        int status = run_initdb(e, err);
        if (status)
            return status;
        failure = embedded_as_server(e, name_cluster);
    }
    return failure ? error_set(err, DB_EUNAVAILABLE, "DATA_DIR", "%.150s cannot be written: %s",
                               e->home, strerror(failure))
                   : 0;
}

/* ---- starting the server ---- */

static int write_file(const struct db_embedded *e, const char *name, const char *text)
{
    char path[EMBEDDED_PATH_SIZE + 16];
    snprintf(path, sizeof(path), "%s/%s", e->home, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return errno;
    ssize_t len = (ssize_t)strlen(text);
    int status = write(fd, text, (size_t)len) == len ? 0 : EIO;
    return close(fd) ? errno : status;
}

/* Only the owner, and root who may anyway, as the kernel names the peer of the socket. Written at
 * each start: the user may have another name by now. */
static int write_access_files(const struct db_embedded *e)
{
    char ident[sizeof(e->user) + 64];
    snprintf(ident, sizeof(ident), "owner root " DB_ROLE "\nowner \"%s\" " DB_ROLE "\n", e->user);
    int status = write_file(e, "pg_hba.conf", "local all all peer map=owner\n");
    return status ? status : write_file(e, "pg_ident.conf", ident);
}

/* postgres takes a living process of the same user for its forerunner, whatever it is. By name the
 * file no longer stands for one, and the shared memory still tells of servers that live. */
static int remove_stale_pid_file(const struct db_embedded *e)
{
    struct pid_file file;
    char path[EMBEDDED_PATH_SIZE + 16];
    if (!read_pid_file(e, &file) || (kill((pid_t)file.pid, 0) && errno == ESRCH))
        return 0; /* postgres knows what to do */
    snprintf(path, sizeof(path), "%s/postmaster.pid", e->data);
    return unlink(path) ? errno : 0;
}

static int prepare_start(const struct db_embedded *e)
{
    int status = remove_stale_pid_file(e);
    return status ? status : write_access_files(e);
}

static bool fits_socket(const char *dir)
{
    return strlen(dir) <= SOCKET_DIR_MAX && !strpbrk(dir, ",\"'\\");
}

/* A private folder for the socket, where the data's own path is too long for one. */
static int make_short_socket_dir(const struct db_embedded *e)
{
    struct stat st;
    if (mkdir(e->socket_dir, 0700) && errno != EEXIST)
        return errno;
    if (lstat(e->socket_dir, &st))
        return errno;
    bool is_private = S_ISDIR(st.st_mode) && st.st_uid == e->uid && !(st.st_mode & 077);
    return is_private ? 0 : EEXIST;
}

/* Not below /run/user: that goes when its user logs out, and the server may stay. */
static int choose_socket_dir(struct db_embedded *e, struct error *err)
{
    if (fits_socket(e->home)) {
        memcpy(e->socket_dir, e->home, sizeof(e->socket_dir));
        return 0;
    }
    uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a */
    for (const char *c = e->home; *c; c++)
        hash = (hash ^ (unsigned char)*c) * UINT64_C(1099511628211);
    snprintf(e->socket_dir, sizeof(e->socket_dir), "/tmp/todo-app-%lu-%016llx",
             (unsigned long)e->uid, (unsigned long long)hash);
    int failure = embedded_as_server(e, make_short_socket_dir);
    return failure ? error_set(err, DB_EUNAVAILABLE, "DATA_DIR",
                               "%s cannot be used for the database's socket (%s): remove it, or "
                               "set DATA_DIR to a path of at most 80 plain characters",
                               e->socket_dir, strerror(failure))
                   : 0;
}

static int launch(struct db_embedded *e, pid_t *pid)
{
    char program[EMBEDDED_PATH_SIZE + 16];
    char sockets[EMBEDDED_PATH_SIZE + 32];
    char hba[EMBEDDED_PATH_SIZE + 32];
    char ident[EMBEDDED_PATH_SIZE + 32];
    snprintf(program, sizeof(program), "%s/postgres", e->bin);
    snprintf(sockets, sizeof(sockets), "--unix_socket_directories=\"%s\"", e->socket_dir);
    snprintf(hba, sizeof(hba), "--hba_file=%s/pg_hba.conf", e->home);
    snprintf(ident, sizeof(ident), "--ident_file=%s/pg_ident.conf", e->home);
    /* Ours go by the command line, so that what an owner writes into postgresql.conf cannot open
     * the door or make a commit less than one. Errors of statements are told to the client; the
     * log needs neither them nor their values. */
    const char *argv[] = {program,
                          "-D",
                          e->data,
                          sockets,
                          hba,
                          ident,
                          "--listen_addresses=",
                          "--port=5432",
                          "--unix_socket_permissions=0700",
                          "--cluster_name=todo-app",
                          "--fsync=on",
                          "--synchronous_commit=on",
                          "--full_page_writes=on",
                          "--max_connections=200",
                          "--shared_buffers=64MB",
                          "--wal_level=minimal",
                          "--max_wal_senders=0",
                          "--min_wal_size=32MB",
                          "--max_wal_size=256MB",
                          "--max_worker_processes=2",
                          "--logging_collector=off",
                          "--log_destination=stderr",
                          "--log_min_messages=log",
                          "--log_error_verbosity=terse",
                          "--log_checkpoints=off",
                          "--lc_messages=C",
                          "--timezone=UTC",
                          "--log_timezone=UTC",
                          NULL};
    return embedded_launch(e, argv, pid);
}

int embedded_start_server(struct db_embedded *e, pid_t *pid, struct error *err)
{
    int failure = embedded_as_server(e, prepare_start);
    if (!failure) {
        int status = choose_socket_dir(e, err);
        if (status)
            return status;
        failure = launch(e, pid);
    }
    return failure
               ? error_set(err, DB_EUNAVAILABLE, "DATA_DIR",
                           "PostgreSQL cannot be started in %.120s: %s", e->home, strerror(failure))
               : 0;
}
