/* fork -> become the server's user -> close all but stdio -> exec; what fails on the way comes
 * back through a pipe that exec closes. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "db/embedded_int.h"

#define ARGS_MAX 64
/* The descriptor of the pipe, after which all are closed. */
#define REPORT_FD 3
/* The log starts anew when it has grown so long. */
#define LOG_BYTES_MAX (1 << 20)

static int become(const struct db_embedded *e)
{
    if (!e->must_become)
        return 0;
    if (setgroups(1, &e->gid) || setgid(e->gid) || setuid(e->uid))
        return errno;
    return 0;
}

/* The child has none of our signal handling: libuv's would write to our pipes. */
static pid_t fork_quietly(void)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    pid_t pid = fork();
    if (pid == 0) {
        static const int numbers[] = {SIGPIPE, SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGCHLD};
        for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
            signal(numbers[i], SIG_DFL);
        sigemptyset(&before);
    }
    sigprocmask(SIG_SETMASK, &before, NULL);
    return pid;
}

static int wait_for_exit(pid_t pid)
{
    int status = 0;
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR)
            return -1;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int embedded_as_server(const struct db_embedded *e, embedded_work_fn work)
{
    if (!e->must_become)
        return work(e);
    pid_t pid = fork_quietly();
    if (pid < 0)
        return errno;
    if (pid == 0) {
        int status = become(e);
        _exit(status ? status : work(e));
    }
    int status = wait_for_exit(pid);
    return status < 0 ? ECHILD : status;
}

/* ---- programs ---- */

/* stdin: nothing. stdout and stderr: the log, since ours belong to the protocol. */
static int redirect(const struct db_embedded *e)
{
    int in = open("/dev/null", O_RDONLY);
    int out = open(e->log_path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, 0600);
    if (in < 0 || out < 0 || (lseek(out, 0, SEEK_END) > LOG_BYTES_MAX && ftruncate(out, 0)))
        return errno;
    if (dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 || dup2(out, STDERR_FILENO) < 0)
        return errno;
    return 0;
}

/* Without the PG* variables and locale of whoever starts it. */
static int execute(const char *const *argv)
{
    char path[] = "PATH=/usr/local/bin:/usr/bin:/bin";
    char locale[] = "LC_ALL=C.UTF-8";
    char zone[] = "TZ=UTC";
    char *env[] = {path, locale, zone, NULL};
    char *args[ARGS_MAX + 1] = {NULL};
    size_t count = 0;
    while (count < ARGS_MAX && argv[count])
        count++;
    assert(count > 0 && !argv[count]);
    memcpy(args, argv, count * sizeof(*argv));
    execve(*argv, args, env);
    return errno;
}

static int prepare(const struct db_embedded *e, int *report_fd)
{
    /* Above stdio first: with our stdin closed, the pipe could stand there. */
    int fd = fcntl(*report_fd, F_DUPFD_CLOEXEC, REPORT_FD + 1);
    if (fd < 0)
        return errno;
    *report_fd = fd;
    int status = become(e);
    if (!status && chdir(e->home))
        status = errno;
    if (!status)
        status = redirect(e);
    if (status)
        return status;
    if (dup3(fd, REPORT_FD, O_CLOEXEC) < 0)
        return errno;
    *report_fd = REPORT_FD;
    umask(077);
    return close_range(REPORT_FD + 1, ~0U, 0) ? errno : 0;
}

struct report {
    int failure; /* 0: this is the pid */
    pid_t pid;
};

static void tell(int fd, int failure)
{
    const struct report report = {failure, getpid()};
    ssize_t written = write(fd, &report, sizeof(report)); /* below PIPE_BUF: whole or not at all */
    (void)written;
}

static void run_child(const struct db_embedded *e, const char *const *argv, int report_fd)
{
    setsid();
    int status = prepare(e, &report_fd);
    if (!status) {
        prctl(PR_SET_PDEATHSIG, SIGTERM); /* after becoming: that clears it */
        status = execute(argv);
    }
    tell(report_fd, status);
    _exit(127);
}

/* The child of a child: it becomes init's, so that the server, when it dies, is no zombie of a
 * process that does not expect it. */
static void launch_child(const struct db_embedded *e, const char *const *argv, int report_fd)
{
    setsid();
    pid_t pid = fork();
    if (pid != 0)
        _exit(pid < 0 ? 127 : 0);
    int status = prepare(e, &report_fd);
    if (!status) {
        tell(report_fd, 0);
        status = execute(argv);
    }
    tell(report_fd, status);
    _exit(127);
}

/* Reads until the pipe closes: by then the program runs, or the failure is known. */
static int hear(int fd, pid_t *pid)
{
    int failure = 0;
    struct report report = {ECHILD, 0};
    for (;;) {
        ssize_t len = read(fd, &report, sizeof(report));
        if (len < 0 && errno == EINTR)
            continue;
        if (len != (ssize_t)sizeof(report))
            return failure;
        failure = report.failure;
        *pid = report.pid;
    }
}

int embedded_run(const struct db_embedded *e, const char *const *argv)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC))
        return errno;
    pid_t child = fork_quietly();
    int failure = child < 0 ? errno : 0;
    if (child == 0)
        run_child(e, argv, ends[1]);
    close(ends[1]);
    pid_t pid = 0;
    if (child > 0) {
        failure = hear(ends[0], &pid);
        int status = wait_for_exit(child);
        if (!failure && status)
            failure = -1;
    }
    close(ends[0]);
    return failure;
}

int embedded_launch(const struct db_embedded *e, const char *const *argv, pid_t *out)
{
    int ends[2];
    *out = 0;
    if (pipe2(ends, O_CLOEXEC))
        return errno;
    pid_t child = fork_quietly();
    int failure = child < 0 ? errno : 0;
    if (child == 0)
        launch_child(e, argv, ends[1]);
    close(ends[1]);
    if (child > 0) {
        failure = hear(ends[0], out);
        wait_for_exit(child);
        if (!failure && *out == 0)
            failure = EAGAIN;
    }
    close(ends[0]);
    return failure;
}
