#include "support/postgres.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <glob.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "db/embedded.h"
#include "db/migrate.h"

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return remove(path);
}

void remove_tree(const char *path)
{
    nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* 0: no server */
static pid_t read_pid(const struct postgres *p)
{
    char path[128];
    char line[32] = "";
    snprintf(path, sizeof(path), "%s/postgres/data/postmaster.pid", p->dir);
    FILE *file = fopen(path, "re");
    if (file && !fgets(line, sizeof(line), file))
        *line = '\0';
    if (file)
        fclose(file);
    return (pid_t)strtol(line, NULL, 10);
}

#define ROOM_BYTES (UINT64_C(1) << 30)

static const char *roomy_directory(void)
{
    struct statvfs st;
    bool has_room = statvfs("/dev/shm", &st) == 0 && access("/dev/shm", W_OK | X_OK) == 0 &&
                    (uint64_t)st.f_bavail * st.f_frsize > ROOM_BYTES;
    return has_room ? "/dev/shm" : "/tmp";
}

bool make_directory(char *out, size_t size, const char *name)
{
    snprintf(out, size, "%s/%s", roomy_directory(), name);
    return mkdtemp(out) && chmod(out, 0711) == 0;
}

static int open_cluster(struct postgres *p)
{
    struct error err;
    if (db_embedded_open(p->dir, NULL, &p->embedded, &err)) {
        print_error("no PostgreSQL: %s\n", err.text);
        return -1;
    }
    p->conninfo = db_embedded_conninfo(p->embedded);
    snprintf(p->secret_text, sizeof(p->secret_text), "%s", p->conninfo);
    p->secret.fixed = p->secret_text;
    p->admin = PQconnectdb(p->conninfo);
    if (PQstatus(p->admin) == CONNECTION_OK)
        return 0;
    print_error("no connection: %s\n", PQerrorMessage(p->admin));
    return -1;
}

/* What a test program left that was killed: its server, found by a lock that nobody holds. */
static void remove_left_over(const char *dir)
{
    char path[64];
    struct postgres p = {0};
    struct stat st;
    if (stat(dir, &st) || st.st_mtime > time(NULL) - 60)
        return; /* it may just be starting, and hold no lock yet */
    snprintf(p.dir, sizeof(p.dir), "%s", dir);
    snprintf(path, sizeof(path), "%s/users.lock", dir);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
        pid_t pid = read_pid(&p);
        if (pid > 0)
            kill(pid, SIGQUIT);
        remove_tree(dir);
    }
    close(fd);
}

static void remove_left_overs(void)
{
    glob_t found;
    if (glob("{/tmp,/dev/shm}/todo-test-??????", GLOB_BRACE, NULL, &found))
        return;
    for (size_t i = 0; i < found.gl_pathc; i++)
        remove_left_over(found.gl_pathv[i]);
    globfree(&found);
}

int postgres_setup(void **state)
{
    struct error err;
    struct postgres *p = test_calloc(1, sizeof(*p));
    *state = p;
    remove_left_overs();
    if (!make_directory(p->dir, sizeof(p->dir), "todo-test-XXXXXX") || open_cluster(p))
        return -1;
    if (db_migrate(p->conninfo, NULL, &err)) {
        print_error("no schema: %s\n", err.text);
        return -1;
    }
    return 0;
}

int postgres_teardown(void **state)
{
    struct postgres *p = *state;
    PQfinish(p->admin);
    db_embedded_close(p->embedded);
    remove_tree(p->dir);
    test_free(p);
    return 0;
}

/* ---- SQL ---- */

static PGresult *execute(struct postgres *p, const char *format, va_list args)
{
    char sql[8192];
    int len = vsnprintf(sql, sizeof(sql), format, args);
    assert_in_range(len, 0, sizeof(sql) - 1);
    PGresult *res = PQexec(p->admin, sql);
    ExecStatusType status = PQresultStatus(res);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
        fail_msg("%s: %s", sql, PQresultErrorMessage(res));
    return res;
}

void postgres_run(struct postgres *p, const char *sql, ...)
{
    va_list args;
    va_start(args, sql);
    PQclear(execute(p, sql, args));
    va_end(args);
}

static const char *first_value(struct postgres *p, PGresult *res)
{
    assert_true(PQntuples(res) > 0);
    snprintf(p->text, sizeof(p->text), "%s", PQgetvalue(res, 0, 0));
    PQclear(res);
    return p->text;
}

int64_t postgres_int(struct postgres *p, const char *sql, ...)
{
    va_list args;
    va_start(args, sql);
    const char *text = first_value(p, execute(p, sql, args));
    va_end(args);
    char *end = NULL;
    long long value = strtoll(text, &end, 10);
    if (end == text || *end)
        fail_msg("no number: \"%s\"", text);
    return value;
}

const char *postgres_text(struct postgres *p, const char *sql, ...)
{
    va_list args;
    va_start(args, sql);
    const char *text = first_value(p, execute(p, sql, args));
    va_end(args);
    return text;
}

const char *postgres_refusal(struct postgres *p, const char *sql)
{
    PGresult *res = PQexec(p->admin, sql);
    const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
    const char *name = PQresultErrorField(res, PG_DIAG_CONSTRAINT_NAME);
    if (!state)
        fail_msg("was taken: %s", sql);
    int len = snprintf(p->text, sizeof(p->text), "%s", state);
    char *constraint = p->text + len + 1;
    snprintf(constraint, sizeof(p->text) - (size_t)len - 1, "%s", name ? name : "");
    PQclear(res);
    return constraint;
}

/* ---- faults ---- */

pid_t postgres_pid(const struct postgres *p)
{
    pid_t pid = read_pid(p);
    assert_true(pid > 0);
    return pid;
}

/* A killed process is init's to reap, in its own time. */
static bool is_gone(pid_t pid)
{
    char path[64];
    char args[8];
    snprintf(path, sizeof(path), "/proc/%ld/cmdline", (long)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? 0 : read(fd, args, sizeof(args));
    if (fd >= 0)
        close(fd);
    return len <= 0;
}

static void end_with(struct postgres *p, int number)
{
    const struct timespec pause = {.tv_nsec = 2000000};
    pid_t pid = postgres_pid(p);
    assert_int_equal(kill(pid, number), 0);
    while (!is_gone(pid))
        nanosleep(&pause, NULL);
}

void postgres_kill(struct postgres *p)
{
    end_with(p, SIGKILL);
}

void postgres_stop_fast(struct postgres *p)
{
    end_with(p, SIGINT);
}

void postgres_restart(struct postgres *p)
{
    struct db_embedded *before = p->embedded;
    PQfinish(p->admin);
    p->admin = NULL;
    assert_int_equal(open_cluster(p), 0);
    db_embedded_close(before);
}
