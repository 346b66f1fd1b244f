#pragma once
/* db/embedded_int: the parts of the private cluster.
 *   embedded.c          the life: locks, make or start or join, stop
 *   embedded_server.c   PostgreSQL's programs: which, how called, what their pid file and log say
 *   embedded_process.c  child processes, as the user whom the server runs as */
#include <stdbool.h>
#include <sys/types.h>

#include "base/secret.h"
#include "db/embedded.h"

#define EMBEDDED_PATH_SIZE 1024

struct db_embedded {
    const struct log *log; /* borrowed from the caller of db_embedded_open */
    int start_fd;          /* DIR/start.lock: held while something starts or stops */
    int users_fd;          /* DIR/users.lock: shared for as long as we live */
    bool must_become;      /* we are root and the server's user is another */
    uid_t uid;             /* whom the server runs as */
    gid_t gid;
    char user[256];
    char dir[EMBEDDED_PATH_SIZE];   /* absolute, without links */
    char home[EMBEDDED_PATH_SIZE];  /* DIR/postgres: the server's own, mode 0700 */
    char data[EMBEDDED_PATH_SIZE];  /* DIR/postgres/data: the cluster; appears when it is whole */
    char fresh[EMBEDDED_PATH_SIZE]; /* DIR/postgres/new-<our pid>: where it is made */
    char log_path[EMBEDDED_PATH_SIZE];
    char bin[EMBEDDED_PATH_SIZE]; /* folder of initdb and postgres */
    char socket_dir[EMBEDDED_PATH_SIZE];
    struct secret secret; /* a copy of conninfo, which mending writes again */
    char conninfo[2 * EMBEDDED_PATH_SIZE + 1024]; /* room for each byte with a backslash */
};

/* ---- embedded_process.c ---- */

typedef int (*embedded_work_fn)(const struct db_embedded *e);

/* Runs `work` as the server's user, in a child where that needs one; 0 or a positive errno. */
int embedded_as_server(const struct db_embedded *e, embedded_work_fn work);
/* Runs a program as the server's user, output to its log, and waits. 0 when it exits with 0, -1
 * when it does not, or the positive errno that kept it from running. */
int embedded_run(const struct db_embedded *e, const char *const *argv);
/* Starts one that outlives us: its own session, nobody's child, no descriptor of ours. */
int embedded_launch(const struct db_embedded *e, const char *const *argv, pid_t *out);

/* ---- embedded_server.c ---- */

enum embedded_phase { EMBEDDED_DOWN, EMBEDDED_BUSY, EMBEDDED_READY }; /* busy: starts or stops */

/* As its pid file says and the process list confirms; fills *pid unless down. When ready, its
 * socket's folder goes to e->socket_dir and the connection string is made anew. */
enum embedded_phase embedded_look(struct db_embedded *e, pid_t *pid);
bool embedded_is_alive(const struct db_embedded *e, pid_t pid);
/* Sets e->bin: the version that made the cluster, else the newest. DB_EUNAVAILABLE. */
int embedded_find_programs(struct db_embedded *e, struct error *err);
/* Makes e->data, whole or not at all. DB_EUNAVAILABLE. */
int embedded_make_cluster(struct db_embedded *e, struct error *err);
/* Removes what a dead server left, writes who may connect, launches. DB_EUNAVAILABLE. */
int embedded_start_server(struct db_embedded *e, pid_t *pid, struct error *err);
/* The cluster's version is not installed, or is not what PATH leads to. */
int embedded_refuse_version(const struct db_embedded *e, struct error *err);
/* The last complaint in the log from `from` on, else its last line, or "". */
void embedded_complaint(const struct db_embedded *e, off_t from, char *out, size_t size);
off_t embedded_log_size(const struct db_embedded *e);
