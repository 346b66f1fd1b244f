/* The private cluster: what its server gets of us, who gets to it, and which directories do. */
#include "place.h"

#include <fcntl.h>
#include <glob.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "db/error.h"
#include "support/mem_loop.h"

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
