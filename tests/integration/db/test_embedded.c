/* The private cluster: made once, shared, stopped by the last, and back after every kill. Users of
 * the cluster are processes of their own here. */
#include "support/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <grp.h>
#include <libpq-fe.h>
#include <pwd.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "db/embedded.h"
#include "db/error.h"
#include "support/mem_loop.h"
#include "support/postgres.h"

struct place {
    char dir[256];
    char text[4096];
};

static int place_setup(void **state)
{
    struct place *p = test_calloc(1, sizeof(*p));
    if (!make_directory(p->dir, sizeof(p->dir), "todo-embed-XXXXXX"))
        return -1;
    *state = p;
    return 0;
}

static int place_teardown(void **state)
{
    struct place *p = *state;
    remove_tree(p->dir);
    test_free(p);
    return 0;
}

#define place_test(f) cmocka_unit_test_setup_teardown(f, place_setup, place_teardown)

static void pause_ms(long ms)
{
    const struct timespec time = {.tv_nsec = ms * 1000000};
    nanosleep(&time, NULL);
}

/* ---- processes that use the cluster ---- */

struct user {
    pid_t pid;
    int to, from;
};

/* Opens, says 'r' (or 'f'), and closes when it hears something. */
static void live(const char *dir, int in, int out)
{
    struct db_embedded *e = NULL;
    struct error err;
    char word = db_embedded_open(dir, NULL, &e, &err) ? 'f' : 'r';
    if (word == 'f')
        fprintf(stderr, "%s\n", err.text);
    if (write(out, &word, 1) != 1 || read(in, &word, 1) != 1)
        _exit(1);
    db_embedded_close(e);
    _exit(0);
}

static struct user user_start(const char *dir)
{
    int to[2], from[2];
    assert_int_equal(pipe2(to, O_CLOEXEC) | pipe2(from, O_CLOEXEC), 0);
    struct user u = {.pid = fork(), .to = to[1], .from = from[0]};
    if (u.pid == 0) {
        close(to[1]);
        live(dir, to[0], from[1]);
    }
    close(to[0]);
    close(from[1]);
    return u;
}

static void user_wait(const struct user *u)
{
    char word = 'f';
    assert_int_equal(read(u->from, &word, 1), 1);
    assert_int_equal(word, 'r');
}

static int user_end(struct user *u)
{
    int status = 0;
    assert_int_equal(waitpid(u->pid, &status, 0), u->pid);
    close(u->to);
    close(u->from);
    return status;
}

static void user_leave(struct user *u)
{
    assert_int_equal(write(u->to, "c", 1), 1);
    assert_int_equal(user_end(u), 0);
}

static void user_kill(struct user *u)
{
    kill(u->pid, SIGKILL);
    user_end(u);
}

/* ---- the server, from outside ---- */

static const char *path_of(struct place *p, const char *name)
{
    snprintf(p->text, sizeof(p->text), "%s/postgres/%s", p->dir, name);
    return p->text;
}

static pid_t server_pid(struct place *p)
{
    char line[32] = "0";
    FILE *file = fopen(path_of(p, "data/postmaster.pid"), "re");
    if (file && !fgets(line, sizeof(line), file))
        *line = '0';
    if (file)
        fclose(file);
    return (pid_t)strtol(line, NULL, 10);
}

/* A zombie that init has not reaped yet is no server. */
static bool is_alive(pid_t pid)
{
    char path[64], args[8];
    snprintf(path, sizeof(path), "/proc/%ld/cmdline", (long)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? 0 : read(fd, args, sizeof(args));
    if (fd >= 0)
        close(fd);
    return len > 0;
}

static int count_in_log(struct place *p, const char *words)
{
    char line[1024];
    int count = 0;
    FILE *file = fopen(path_of(p, "log"), "re");
    assert_non_null(file);
    while (fgets(line, sizeof(line), file))
        count += strstr(line, words) != NULL;
    fclose(file);
    return count;
}

static struct db_embedded *open_here(const struct place *p)
{
    struct db_embedded *e = NULL;
    struct error err;
    if (db_embedded_open(p->dir, NULL, &e, &err))
        fail_msg("%s", err.text);
    return e;
}

static const char *ask(struct place *p, const struct db_embedded *e, const char *sql)
{
    PGconn *pg = PQconnectdb(db_embedded_conninfo(e));
    PGresult *res = PQexec(pg, sql);
    ExecStatusType status = PQresultStatus(res);
    snprintf(p->text, sizeof(p->text), "%s",
             status == PGRES_TUPLES_OK && PQntuples(res) ? PQgetvalue(res, 0, 0)
                                                         : PQerrorMessage(pg));
    PQclear(res);
    PQfinish(pg);
    return p->text;
}

/* ---- sharing ---- */

static void the_last_of_several_processes_stops_the_server(void **state)
{
    struct place *p = *state;
    struct user users[3];
    for (int i = 0; i < 3; i++) {
        users[i] = user_start(p->dir);
        user_wait(&users[i]);
    }
    pid_t pid = server_pid(p);
    assert_true(is_alive(pid));
    user_leave(&users[0]);
    user_leave(&users[2]);
    assert_true(is_alive(pid));
    assert_int_equal(server_pid(p), pid);
    user_leave(&users[1]);
    assert_false(is_alive(pid));
    assert_int_equal(server_pid(p), 0);
    assert_int_equal(count_in_log(p, "ready to accept connections"), 1);
    assert_int_equal(count_in_log(p, "database system is shut down"), 1);
}

static void five_that_start_at_once_share_one_new_server(void **state)
{
    struct place *p = *state;
    struct user users[5];
    for (int i = 0; i < 5; i++)
        users[i] = user_start(p->dir);
    for (int i = 0; i < 5; i++)
        user_wait(&users[i]);
    assert_int_equal(count_in_log(p, "ready to accept connections"), 1);
    pid_t pid = server_pid(p);
    for (int i = 0; i < 5; i++)
        assert_int_equal(write(users[i].to, "c", 1), 1); /* and leave at once */
    for (int i = 0; i < 5; i++)
        assert_int_equal(user_end(&users[i]), 0);
    assert_false(is_alive(pid));
}

static void what_was_stored_is_there_after_a_stop(void **state)
{
    struct place *p = *state;
    struct db_embedded *e = open_here(p);
    ask(p, e, "create table kept as select 'here' as value");
    db_embedded_close(e);
    e = open_here(p);
    assert_string_equal(ask(p, e, "select value from kept"), "here");
    db_embedded_close(e);
}

/* ---- kills ---- */

static void a_server_whose_users_were_killed_is_found_and_stopped_by_the_next(void **state)
{
    struct place *p = *state;
    struct user users[2] = {user_start(p->dir), user_start(p->dir)};
    user_wait(&users[0]);
    user_wait(&users[1]);
    user_kill(&users[0]);
    user_kill(&users[1]);
    pid_t pid = server_pid(p);
    assert_true(is_alive(pid));
    struct db_embedded *e = open_here(p);
    assert_int_equal(server_pid(p), pid);
    db_embedded_close(e);
    assert_false(is_alive(pid));
}

static void a_killed_user_does_not_count_as_one(void **state)
{
    struct place *p = *state;
    struct user killed = user_start(p->dir), other = user_start(p->dir);
    user_wait(&killed);
    user_wait(&other);
    pid_t pid = server_pid(p);
    user_kill(&killed);
    user_leave(&other);
    assert_false(is_alive(pid));
}

static void a_killed_server_is_started_again_with_its_data(void **state)
{
    struct place *p = *state;
    struct db_embedded *first = open_here(p);
    ask(p, first, "create table kept as select 'here' as value");
    pid_t pid = server_pid(p);
    assert_int_equal(kill(pid, SIGKILL), 0);
    while (is_alive(pid))
        pause_ms(2);
    struct db_embedded *second = open_here(p);
    assert_int_not_equal(server_pid(p), pid);
    assert_string_equal(ask(p, second, "select value from kept"), "here");
    db_embedded_close(first);
    assert_true(is_alive(server_pid(p))); /* the second still uses it */
    db_embedded_close(second);
    assert_int_equal(server_pid(p), 0);
}

static void mending_starts_a_killed_server_and_leaves_one_that_runs(void **state)
{
    struct place *p = *state;
    struct error err;
    struct db_embedded *e = open_here(p);
    ask(p, e, "create table kept as select 'here' as value");
    pid_t pid = server_pid(p);
    assert_int_equal(db_embedded_mend(e, &err), 0);
    assert_int_equal(server_pid(p), pid);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(db_embedded_mend(e, &err), 0);
    assert_int_not_equal(server_pid(p), pid);
    assert_string_equal(ask(p, e, "select value from kept"), "here");
    db_embedded_close(e);
    assert_int_equal(server_pid(p), 0);
}

/* Its data is gone: an empty one must not take its place. */
static void mending_makes_no_new_cluster(void **state)
{
    struct place *p = *state;
    struct error err;
    struct db_embedded *e = open_here(p);
    pid_t pid = server_pid(p);
    kill(pid, SIGKILL);
    while (is_alive(pid))
        pause_ms(2);
    remove_tree(path_of(p, "data"));
    assert_int_equal(db_embedded_mend(e, &err), DB_EUNAVAILABLE);
    db_embedded_close(e);
}

/* A session that computes does not notice the end of its postmaster: until it does, a new server
 * would write to the same files. */
static void a_killed_servers_sessions_end_before_the_next_server_starts(void **state)
{
    struct place *p = *state;
    struct db_embedded *first = open_here(p);
    PGconn *busy = PQconnectdb(db_embedded_conninfo(first));
    pid_t session = (pid_t)PQbackendPID(busy);
    PQclear(PQexec(busy, "set statement_timeout = '3s'"));
    assert_int_equal(PQsendQuery(busy, "select count(*) from generate_series(1, 1000000000)"), 1);
    kill(server_pid(p), SIGKILL);
    struct db_embedded *second = open_here(p);
    assert_true(count_in_log(p, "shared memory block") > 0);
    for (int i = 0; i < 500 && is_alive(session); i++)
        pause_ms(2); /* it lets go of the memory, and is gone a moment later */
    assert_false(is_alive(session));
    PQfinish(busy);
    db_embedded_close(first);
    db_embedded_close(second);
}

static void a_cluster_half_made_is_made_anew(void **state)
{
    struct place *p = *state;
    struct user u = user_start(p->dir);
    char pattern[300];
    glob_t found;
    snprintf(pattern, sizeof(pattern), "%s/postgres/new-*/global", p->dir);
    while (glob(pattern, 0, NULL, &found) == GLOB_NOMATCH)
        pause_ms(1);
    globfree(&found);
    user_kill(&u);
    assert_int_equal(access(path_of(p, "data"), F_OK), -1);
    struct db_embedded *e = open_here(p);
    assert_string_equal(ask(p, e, "select 'well'"), "well");
    db_embedded_close(e);
    snprintf(pattern, sizeof(pattern), "%s/postgres/new-*", p->dir);
    assert_int_equal(glob(pattern, 0, NULL, &found), GLOB_NOMATCH);
}

/* ---- pid files ---- */

static void write_pid_file(struct place *p, pid_t pid)
{
    struct stat st;
    assert_int_equal(stat(path_of(p, "data"), &st), 0);
    FILE *file = fopen(path_of(p, "data/postmaster.pid"), "we");
    assert_non_null(file);
    fprintf(file, "%ld\n%s\n1\n5432\n/tmp\n\n 1 1\nready   \n", (long)pid, path_of(p, "data"));
    assert_int_equal(fchown(fileno(file), st.st_uid, st.st_gid), 0);
    assert_int_equal(fclose(file), 0);
}

static void a_pid_file_of_a_dead_process_is_no_hindrance(void **state)
{
    struct place *p = *state;
    db_embedded_close(open_here(p));
    pid_t dead = fork();
    if (dead == 0)
        _exit(0);
    (void)waitpid(dead, NULL, 0);
    write_pid_file(p, dead);
    struct db_embedded *e = open_here(p);
    assert_string_equal(ask(p, e, "select 'well'"), "well");
    db_embedded_close(e);
}

/* After a reboot the pid may be anyone's, and of the server's own user too. */
static void a_pid_file_that_names_another_process_is_no_hindrance(void **state)
{
    struct place *p = *state;
    struct stat st;
    db_embedded_close(open_here(p));
    assert_int_equal(stat(path_of(p, "data"), &st), 0);
    pid_t other = fork();
    if (other == 0) {
        if (getuid() == 0 && (setgid(st.st_gid) || setuid(st.st_uid)))
            _exit(1);
        for (;;)
            pause();
    }
    write_pid_file(p, other);
    struct db_embedded *e = open_here(p);
    assert_string_equal(ask(p, e, "select 'well'"), "well");
    db_embedded_close(e);
    assert_int_equal(waitpid(other, NULL, WNOHANG), 0); /* was left alone */
    kill(other, SIGKILL);
    (void)waitpid(other, NULL, 0);
}

/* ---- what the server gets, and who gets to it ---- */

static void the_server_has_no_descriptor_and_no_terminal_of_ours(void **state)
{
    struct place *p = *state;
    char kept[300], link[300], target[512];
    snprintf(kept, sizeof(kept), "%s/kept-open", p->dir);
    int fd = open(kept, O_RDWR | O_CREAT, 0600); /* on purpose without O_CLOEXEC */
    struct db_embedded *e = open_here(p);
    pid_t pid = server_pid(p);
    assert_int_not_equal(getsid(pid), getsid(0));
    for (int i = 0; i < 256; i++) {
        snprintf(link, sizeof(link), "/proc/%ld/fd/%d", (long)pid, i);
        ssize_t len = readlink(link, target, sizeof(target) - 1);
        target[len > 0 ? len : 0] = '\0';
        assert_null(strstr(target, "kept-open"));
        assert_null(strstr(target, ".lock"));
        assert_true(i > 2 || len <= 0 || strstr(target, "/dev/null") || strstr(target, "/log"));
    }
    close(fd);
    db_embedded_close(e);
}

static void a_commit_is_durable_and_no_port_is_open(void **state)
{
    struct place *p = *state;
    struct db_embedded *e = open_here(p);
    assert_string_equal(
        ask(p, e,
            "select concat_ws(' ', current_setting('fsync'),"
            " current_setting('synchronous_commit'), current_setting('full_page_writes'),"
            " current_setting('data_checksums'), current_setting('server_encoding'),"
            " current_setting('listen_addresses') = '')"),
        "on on on on UTF8 t");
    db_embedded_close(e);
}

/* Even past the directory, the kernel says who the peer is. */
static void another_user_of_the_machine_is_refused(void **state)
{
    struct place *p = *state;
    const struct passwd *nobody = getpwnam("nobody");
    const uid_t uid = nobody ? nobody->pw_uid : 0; /* kept: the record is the next caller's */
    const gid_t gid = nobody ? nobody->pw_gid : 0;
    if (getuid() != 0 || uid == 0)
        skip();
    struct db_embedded *e = open_here(p);
    char path[300];
    int status = -1;
    snprintf(path, sizeof(path), "%s/postgres", p->dir);
    assert_int_equal(chmod(path, 0755), 0);
    snprintf(path, sizeof(path), "%s/postgres/.s.PGSQL.5432", p->dir);
    assert_int_equal(chmod(path, 0777), 0);
    pid_t pid = fork();
    if (pid == 0) {
        if (setgroups(0, NULL) || setgid(gid) || setuid(uid))
            _exit(3);
        PGconn *pg = PQconnectdb(db_embedded_conninfo(e));
        bool is_refused = PQstatus(pg) == CONNECTION_BAD &&
                          strstr(PQerrorMessage(pg), "Peer authentication failed");
        if (!is_refused)
            fprintf(stderr, "%d %s\n", (int)PQstatus(pg), PQerrorMessage(pg));
        _exit(is_refused ? 0 : 2);
    }
    (void)waitpid(pid, &status, 0);
    assert_int_equal(status, 0);
    db_embedded_close(e);
}

/* The environment of whoever starts the program is not the private server's business. */
static void the_environment_of_postgres_does_not_reach_it(void **state)
{
    struct place *p = *state;
    static const char *const names[] = {"PGHOSTADDR", "PGDATA",     "PGPORT",
                                        "PGUSER",     "PGDATABASE", "PGSSLMODE"};
    static const char *const values[] = {"127.0.0.1", "/nowhere", "1", "x", "x", "require"};
    for (size_t i = 0; i < 6; i++)
        setenv(names[i], values[i], 1);
    struct db_embedded *e = open_here(p);
    assert_string_equal(ask(p, e, "select current_user"), "todo");
    db_embedded_close(e);
    for (size_t i = 0; i < 6; i++)
        unsetenv(names[i]);
}

/* ---- directories ---- */

static void a_path_too_long_for_a_socket_works(void **state)
{
    struct place *p = *state;
    struct place deep = {0};
    glob_t found;
    size_t len = (size_t)snprintf(deep.dir, sizeof(deep.dir), "%.64s/", p->dir);
    memset(deep.dir + len, 'x', 150);
    struct db_embedded *e = open_here(&deep);
    assert_string_equal(ask(p, e, "select 'well'"), "well");
    db_embedded_close(e);
    assert_int_equal(glob("/tmp/todo-app-*/.s.PGSQL.*", 0, NULL, &found), GLOB_NOMATCH);
}

static void a_path_with_strange_characters_works(void **state)
{
    struct place *p = *state;
    struct place strange = {0};
    snprintf(strange.dir, sizeof(strange.dir), "%.64s/it's, a \"b\" \\ c=d", p->dir);
    struct db_embedded *e = open_here(&strange);
    assert_string_equal(ask(p, e, "select 'well'"), "well");
    db_embedded_close(e);
}

static void refused(const char *dir, const char *words)
{
    struct db_embedded *e = NULL;
    struct error err;
    assert_int_equal(db_embedded_open(dir, NULL, &e, &err), DB_EUNAVAILABLE);
    assert_null(e);
    if (!strstr(err.text, words))
        fail_msg("\"%s\" does not tell of \"%s\"", err.text, words);
}

static void a_directory_that_cannot_be_made_is_named(void **state)
{
    struct place *p = *state;
    char path[300];
    snprintf(path, sizeof(path), "%.64s/file", p->dir);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    fclose(file);
    snprintf(path + strlen(path), sizeof(path) - strlen(path), "/data");
    refused(path, path);
    refused(path, "Not a directory");
    refused("/proc/nothing/data", "/proc/nothing/data");
}

/* As root: one that the server's user cannot enter. Else: one that is not ours. */
static void a_directory_that_the_server_cannot_enter_is_named(void **state)
{
    struct place *p = *state;
    char path[300];
    snprintf(path, sizeof(path), "%.64s/closed", p->dir);
    assert_int_equal(mkdir(path, getuid() ? 0500 : 0700), 0);
    snprintf(path + strlen(path), sizeof(path) - strlen(path), "/data");
    refused(path, getuid() ? "Permission denied" : "user postgres");
}

static void data_of_a_version_that_is_not_installed_names_its_package(void **state)
{
    struct place *p = *state;
    db_embedded_close(open_here(p));
    FILE *file = fopen(path_of(p, "data/PG_VERSION"), "we");
    assert_non_null(file);
    fputs("9\n", file);
    fclose(file);
    refused(p->dir, "postgresql-9");
}

static void a_server_that_cannot_start_says_why(void **state)
{
    struct place *p = *state;
    db_embedded_close(open_here(p));
    assert_int_equal(unlink(path_of(p, "data/global/pg_control")), 0);
    refused(p->dir, "pg_control");
    /* It holds no lock afterwards: the next one is told the same, at once. */
    refused(p->dir, "pg_control");
}

static void out_of_memory_is_said(void **state)
{
    struct place *p = *state;
    struct mem_loop loop = {0};
    while (mem_loop_next(&loop)) {
        struct db_embedded *e = NULL;
        int status = db_embedded_open(p->dir, NULL, &e, NULL);
        mem_loop_expect(&loop, status, DB_ENOMEM);
        db_embedded_close(e);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        place_test(the_last_of_several_processes_stops_the_server),
        place_test(five_that_start_at_once_share_one_new_server),
        place_test(what_was_stored_is_there_after_a_stop),
        place_test(a_server_whose_users_were_killed_is_found_and_stopped_by_the_next),
        place_test(a_killed_user_does_not_count_as_one),
        place_test(a_killed_server_is_started_again_with_its_data),
        place_test(mending_starts_a_killed_server_and_leaves_one_that_runs),
        place_test(mending_makes_no_new_cluster),
        place_test(a_killed_servers_sessions_end_before_the_next_server_starts),
        place_test(a_cluster_half_made_is_made_anew),
        place_test(a_pid_file_of_a_dead_process_is_no_hindrance),
        place_test(a_pid_file_that_names_another_process_is_no_hindrance),
        place_test(the_server_has_no_descriptor_and_no_terminal_of_ours),
        place_test(a_commit_is_durable_and_no_port_is_open),
        place_test(another_user_of_the_machine_is_refused),
        place_test(the_environment_of_postgres_does_not_reach_it),
        place_test(a_path_too_long_for_a_socket_works),
        place_test(a_path_with_strange_characters_works),
        place_test(a_directory_that_cannot_be_made_is_named),
        place_test(a_directory_that_the_server_cannot_enter_is_named),
        place_test(data_of_a_version_that_is_not_installed_names_its_package),
        place_test(a_server_that_cannot_start_says_why),
        place_test(out_of_memory_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
