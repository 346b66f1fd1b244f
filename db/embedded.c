/* open:  start.lock -> users.lock, shared -> make the cluster if there is none -> start the server
 *        if it is down -> wait until it answers -> start.lock off
 * close: start.lock -> users.lock, exclusive? then we were the last: stop it -> both off
 *
 * The kernel lets go of a killed process's locks. A server whose users were all killed waits for
 * the next one, who finds it running and, as the last, stops it. */
#include "db/embedded.h"

#include <errno.h>
#include <fcntl.h>
#include <libpq-fe.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "db/embedded_int.h"
#include "db/error.h"

#define SECOND_US      INT64_C(1000000)
#define LOCK_WAIT_US   (90 * SECOND_US) /* another's start or stop, which has its own limits */
#define START_WAIT_US  (60 * SECOND_US) /* after a crash the server reads its log first */
#define EXEC_WAIT_US   (2 * SECOND_US)  /* a program just executed has no arguments to show yet */
#define ORPHAN_WAIT_US (20 * SECOND_US)
#define STOP_WAIT_US   (20 * SECOND_US)
#define REFUSALS_MAX   50 /* of a server that says it is ready, 20 ms apart */

static void pause_ms(long ms)
{
    const struct timespec time = {.tv_sec = 0, .tv_nsec = ms * 1000000};
    nanosleep(&time, NULL);
}

/* ---- whose, and where ---- */

/* As root: whoever has the data, else user postgres, since PostgreSQL refuses to run as root. */
static int find_server_user(struct db_embedded *e, struct error *err)
{
    struct stat st;
    uid_t me = geteuid();
    const struct passwd *user = NULL;
    if (me != 0)
        user = getpwuid(me);
    else if (stat(e->home, &st) == 0 && st.st_uid != 0)
        user = getpwuid(st.st_uid);
    else
        user = getpwnam("postgres");
    if (!user)
        return me != 0 ? error_set(err, DB_EUNAVAILABLE, "DATA_DIR",
                                   "user %lu has no name in /etc/passwd, which PostgreSQL needs: "
                                   "add one, or set DATABASE_URL",
                                   (unsigned long)me)
                       : error_set(err, DB_EUNAVAILABLE, "DATABASE_URL",
                                   "PostgreSQL does not run as root, and there is no user postgres "
                                   "to run it as: install the package postgresql, or start as an "
                                   "ordinary user");
    if (strlen(user->pw_name) >= sizeof(e->user) || strpbrk(user->pw_name, "\"\n"))
        return error_set(err, DB_EUNAVAILABLE, NULL, "the user's name is too strange");
    snprintf(e->user, sizeof(e->user), "%s", user->pw_name);
    e->uid = user->pw_uid;
    e->gid = user->pw_gid;
    e->must_become = me != e->uid;
    return 0;
}

/* mkdir -p: parents as the umask has them, the last one ours alone. Root's lets the server's user
 * pass through, no more. */
static int make_dirs(const char *directory)
{
    char path[EMBEDDED_PATH_SIZE];
    snprintf(path, sizeof(path), "%s", directory);
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(path, 0755) && errno != EEXIST)
            return errno;
        *slash = '/';
    }
    return mkdir(path, geteuid() == 0 ? 0711 : 0700) && errno != EEXIST ? errno : 0;
}

static int make_home(struct db_embedded *e)
{
    if (mkdir(e->home, 0700))
        return errno == EEXIST ? 0 : errno;
    return e->must_become && lchown(e->home, e->uid, e->gid) ? errno : 0;
}

static int check_home(const struct db_embedded *e)
{
    struct stat st;
    if (lstat(e->home, &st))
        return errno;
    if (!S_ISDIR(st.st_mode))
        return ENOTDIR;
    if (st.st_uid != e->uid)
        return EPERM;
    return access(e->home, R_OK | W_OK | X_OK) ? errno : 0;
}

static void set_path(char path[EMBEDDED_PATH_SIZE], const char *dir, const char *name)
{
    snprintf(path, EMBEDDED_PATH_SIZE, "%.*s/postgres%s", EMBEDDED_PATH_SIZE - 64, dir, name);
}

static int set_paths(struct db_embedded *e, const char *directory, struct error *err)
{
    char real[PATH_MAX] = "";
    char name[32];
    int failure = strlen(directory) > EMBEDDED_PATH_SIZE - 64 ? ENAMETOOLONG : make_dirs(directory);
    if (!failure && !realpath(directory, real))
        failure = errno;
    if (!failure && strlen(real) > EMBEDDED_PATH_SIZE - 64)
        failure = ENAMETOOLONG;
    snprintf(e->dir, sizeof(e->dir), "%.*s", EMBEDDED_PATH_SIZE - 64, real);
    snprintf(name, sizeof(name), "/new-%ld", (long)getpid());
    set_path(e->home, real, "");
    set_path(e->data, real, "/data");
    set_path(e->log_path, real, "/log");
    set_path(e->fresh, real, name);
    return failure ? error_set(err, DB_EUNAVAILABLE, "DATA_DIR", "%.150s cannot be used: %s",
                               directory, strerror(failure))
                   : 0;
}

static int prepare_home(struct db_embedded *e, struct error *err)
{
    int failure = make_home(e);
    if (!failure)
        failure = embedded_as_server(e, check_home);
    if (!failure)
        return 0;
    if (failure == EPERM)
        return error_set(err, DB_EUNAVAILABLE, "DATA_DIR",
                         "%.130s belongs to another user: run as that one, or set DATA_DIR",
                         e->home);
    if (e->must_become)
        return error_set(err, DB_EUNAVAILABLE, "DATA_DIR",
                         "user %.32s, whom PostgreSQL runs as, cannot use %.100s (%s): set "
                         "DATA_DIR to a directory that it may enter",
                         e->user, e->home, strerror(failure));
    return error_set(err, DB_EUNAVAILABLE, "DATA_DIR", "%.150s cannot be used: %s", e->home,
                     strerror(failure));
}

/* ---- locks ---- */

static int open_lock(const struct db_embedded *e, const char *name, int *fd, struct error *err)
{
    char path[EMBEDDED_PATH_SIZE + 16];
    snprintf(path, sizeof(path), "%s/%s", e->dir, name);
    *fd = open(path, O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    return *fd < 0 ? error_set(err, DB_EUNAVAILABLE, "DATA_DIR", "%.150s cannot be opened: %s",
                               path, strerror(errno))
                   : 0;
}

static int take_lock(int fd, int kind, int64_t limit_us)
{
    int64_t end = clock_monotonic_us() + limit_us;
    while (flock(fd, kind | LOCK_NB)) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return errno;
        if (clock_monotonic_us() >= end)
            return EWOULDBLOCK;
        pause_ms(10);
    }
    return 0;
}

static int take_locks(struct db_embedded *e, struct error *err)
{
    int status = open_lock(e, "start.lock", &e->start_fd, err);
    if (!status)
        status = open_lock(e, "users.lock", &e->users_fd, err);
    if (status)
        return status;
    int failure = take_lock(e->start_fd, LOCK_EX, LOCK_WAIT_US);
    if (!failure)
        failure = take_lock(e->users_fd, LOCK_SH, SECOND_US);
    return failure ? error_set(err, DB_EUNAVAILABLE, "DATA_DIR",
                               "the locks in %.120s are held by a process that neither starts nor "
                               "stops (%s)",
                               e->dir, strerror(failure))
                   : 0;
}

/* ---- starting ---- */

/* What the pid file says is one thing, that it lets us in another. */
static int check_answer(const struct db_embedded *e, struct error *err)
{
    const char *keys[] = {"dbname", "connect_timeout", "application_name", NULL};
    const char *values[] = {e->conninfo, "10", "todo-mcp start", NULL};
    PGconn *pg = PQconnectdbParams(keys, values, 1);
    int status =
        PQstatus(pg) == CONNECTION_OK
            ? 0
            : error_set(err, DB_EUNAVAILABLE, "DATA_DIR",
                        "the private PostgreSQL does not let us in: %.180s", PQerrorMessage(pg));
    PQfinish(pg);
    return status;
}

/* Children of a postmaster that was killed live on for a moment, and must be gone first. */
static bool is_left_by_forerunner(const char *complaint)
{
    return strstr(complaint, "shared memory block") || strstr(complaint, "lock file");
}

static int refuse_start(const struct db_embedded *e, const char *why, struct error *err)
{
    if (strstr(why, "incompatible with server"))
        return embedded_refuse_version(e, err);
    return error_set(err, DB_EUNAVAILABLE, "DATA_DIR", "PostgreSQL did not start: %.140s (%s)",
                     *why ? why : "it says nothing", e->log_path);
}

struct start {
    int64_t begin_us;
    pid_t launched; /* 0: none yet */
    int64_t launched_us;
    off_t log_start; /* where the log stood then */
    int refusals;
};

static int launch_again(struct db_embedded *e, struct start *start, struct error *err)
{
    if (start->launched) {
        char why[160];
        embedded_complaint(e, start->log_start, why, sizeof(why));
        if (!*why && clock_monotonic_us() - start->launched_us < EXEC_WAIT_US)
            return 0;
        if (!is_left_by_forerunner(why) || clock_monotonic_us() - start->begin_us > ORPHAN_WAIT_US)
            return refuse_start(e, why, err);
        pause_ms(100);
    }
    start->log_start = embedded_log_size(e);
    start->launched_us = clock_monotonic_us();
    return embedded_start_server(e, &start->launched, err);
}

/* One look: launches where there is none, asks one that is ready. `is_over`: it answers. */
static int step_start(struct db_embedded *e, struct start *start, bool *is_over, struct error *err)
{
    pid_t pid = 0;
    enum embedded_phase phase = embedded_look(e, &pid);
    if (phase == EMBEDDED_READY) {
        int status = check_answer(e, err);
        *is_over = !status;
        /* One that refuses may just be dying, and is launched anew by the next look. */
        return status && ++start->refusals == REFUSALS_MAX ? status : 0;
    }
    if (clock_monotonic_us() - start->begin_us > START_WAIT_US)
        return refuse_start(e, "it took longer than a minute", err);
    bool is_coming = start->launched && embedded_is_alive(e, start->launched);
    return phase == EMBEDDED_DOWN && !is_coming ? launch_again(e, start, err) : 0;
}

static int start_and_wait(struct db_embedded *e, struct error *err)
{
    struct start start = {.begin_us = clock_monotonic_us()};
    bool is_over = false;
    int status = 0;
    while (!status && !is_over) {
        status = step_start(e, &start, &is_over, err);
        if (!status && !is_over)
            pause_ms(start.refusals ? 20 : 5);
    }
    return status;
}

static int make_and_start(struct db_embedded *e, struct error *err)
{
    pid_t pid = 0;
    if (embedded_look(e, &pid) == EMBEDDED_READY && check_answer(e, err) == 0)
        return 0;
    int64_t begin = clock_monotonic_us();
    int status = embedded_find_programs(e, err);
    struct stat st;
    if (!status && stat(e->data, &st) && errno == ENOENT)
        status = embedded_make_cluster(e, err);
    if (!status)
        status = start_and_wait(e, err);
    if (!status)
        log_info(e->log, "database started", log_str("directory", e->dir),
                 log_int("duration_ms", (clock_monotonic_us() - begin) / 1000));
    return status;
}

static void free_embedded(struct db_embedded *e)
{
    if (e->users_fd >= 0)
        close(e->users_fd);
    if (e->start_fd >= 0)
        close(e->start_fd);
    if (e->secret.fixed)
        mem_free((void *)(uintptr_t)e->secret.fixed);
    mem_free(e);
}

int db_embedded_open(const char *directory, const struct log *log, struct db_embedded **out,
                     struct error *err)
{
    struct db_embedded *e = mem_calloc(1, sizeof(*e));
    *out = NULL;
    if (!e)
        return error_set(err, DB_ENOMEM, NULL, "out of memory");
    e->log = log;
    e->start_fd = -1;
    e->users_fd = -1;
    int status = set_paths(e, directory, err);
    if (!status)
        status = find_server_user(e, err);
    if (!status)
        status = take_locks(e, err);
    if (!status)
        status = prepare_home(e, err);
    if (!status)
        status = make_and_start(e, err);
    if (!status) {
        e->secret.fixed = mem_strdup(e->conninfo);
        status = e->secret.fixed ? 0 : error_set(err, DB_ENOMEM, NULL, "out of memory");
    }
    if (status) {
        free_embedded(e);
        return status;
    }
    flock(e->start_fd, LOCK_UN);
    *out = e;
    return 0;
}

const char *db_embedded_conninfo(const struct db_embedded *e)
{
    return e->conninfo;
}

const struct secret *db_embedded_secret(const struct db_embedded *e)
{
    return &e->secret;
}

/* Never makes a cluster: one whose data has gone would come back empty, and without the schema. */
int db_embedded_mend(struct db_embedded *e, struct error *err)
{
    pid_t pid = 0;
    if (take_lock(e->start_fd, LOCK_EX, LOCK_WAIT_US))
        return error_set(err, DB_EUNAVAILABLE, "DATA_DIR", "another process starts or stops it");
    int status = 0;
    if (embedded_look(e, &pid) != EMBEDDED_READY || check_answer(e, err))
        status = embedded_find_programs(e, err);
    if (!status)
        status = start_and_wait(e, err);
    flock(e->start_fd, LOCK_UN);
    return status;
}

/* ---- stopping ---- */

static bool stop_with(const struct db_embedded *e, pid_t pid, int number)
{
    int64_t end = clock_monotonic_us() + STOP_WAIT_US;
    kill(pid, number);
    while (embedded_is_alive(e, pid) && clock_monotonic_us() < end)
        pause_ms(5);
    return !embedded_is_alive(e, pid);
}

/* Fast shutdown: sessions end, a checkpoint is written. Immediate: the next start recovers. */
static void stop_server(struct db_embedded *e)
{
    pid_t pid = 0;
    if (embedded_look(e, &pid) == EMBEDDED_DOWN)
        return;
    bool is_down = stop_with(e, pid, SIGINT) || stop_with(e, pid, SIGQUIT);
    if (is_down && *e->socket_dir && strcmp(e->socket_dir, e->home) != 0)
        rmdir(e->socket_dir);
    if (is_down)
        log_info(e->log, "database stopped", log_str("directory", e->dir));
    else
        log_error(e->log, "the database does not stop", log_int("pid", pid));
}

void db_embedded_close(struct db_embedded *e)
{
    if (!e)
        return;
    bool is_alone = take_lock(e->start_fd, LOCK_EX, LOCK_WAIT_US) == 0 &&
                    flock(e->users_fd, LOCK_EX | LOCK_NB) == 0;
    if (is_alone)
        stop_server(e);
    free_embedded(e);
}
