#include "place.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"

int place_setup(void **state)
{
    struct place *p = test_calloc(1, sizeof(*p));
    if (!make_directory(p->dir, sizeof(p->dir), "todo-embed-XXXXXX"))
        return -1;
    *state = p;
    return 0;
}

int place_teardown(void **state)
{
    struct place *p = *state;
    remove_tree(p->dir);
    test_free(p);
    return 0;
}

void pause_ms(long ms)
{
    const struct timespec time = {.tv_nsec = ms * 1000000};
    nanosleep(&time, NULL);
}

const char *path_of(struct place *p, const char *name)
{
    snprintf(p->text, sizeof(p->text), "%s/postgres/%s", p->dir, name);
    return p->text;
}

pid_t server_pid(struct place *p)
{
    char line[32] = "0";
    FILE *file = fopen(path_of(p, "data/postmaster.pid"), "re");
    if (file && !fgets(line, sizeof(line), file))
        *line = '0';
    if (file)
        fclose(file);
    return (pid_t)strtol(line, NULL, 10);
}

bool is_alive(pid_t pid)
{
    char path[64], args[8];
    snprintf(path, sizeof(path), "/proc/%ld/cmdline", (long)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? 0 : read(fd, args, sizeof(args));
    if (fd >= 0)
        close(fd);
    return len > 0;
}

struct db_embedded *open_here(const struct place *p)
{
    struct db_embedded *e = NULL;
    struct error err;
    if (db_embedded_open(p->dir, NULL, &e, &err))
        fail_msg("%s", err.text);
    return e;
}

const char *ask(struct place *p, const struct db_embedded *e, const char *sql)
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
