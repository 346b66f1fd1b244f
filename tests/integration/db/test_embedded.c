/* The private cluster: made once, shared, stopped by the last, and back after every kill. Users of
 * the cluster are processes of their own here. */
#include "place.h"

#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "db/error.h"

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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
