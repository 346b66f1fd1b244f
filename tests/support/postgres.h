#pragma once
/* tests/support/postgres: a real PostgreSQL of its own for a test program, made by db/embedded in
 * a temporary directory and migrated; and plain SQL beside the program's.
 * Use: cmocka_run_group_tests(tests, postgres_setup, postgres_teardown); *state is the struct. */
#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/secret.h"

struct postgres {
    struct db_embedded *embedded;
    char dir[64];
    const char *conninfo; /* borrowed from `embedded` */
    struct secret secret; /* the same, and the same over a restart */
    char secret_text[4096];
    PGconn *admin; /* for the functions below */
    char text[4096];
};

int postgres_setup(void **state);
int postgres_teardown(void **state);

/* Each runs one statement on p->admin and fails the test when it fails. */
__attribute__((format(printf, 2, 3))) void postgres_run(struct postgres *p, const char *sql, ...);
/* The first column of the first row; fails the test where there is none. */
__attribute__((format(printf, 2, 3))) int64_t postgres_int(struct postgres *p, const char *sql,
                                                           ...);
/* The same as text ("" for null), until the next call. */
__attribute__((format(printf, 2, 3))) const char *postgres_text(struct postgres *p, const char *sql,
                                                                ...);
/* Runs what must fail; the SQLSTATE is in p->text until the next call, the constraint's name (""
 * where none is named) is the result. */
const char *postgres_refusal(struct postgres *p, const char *sql);

/* The postmaster, as its pid file says. */
pid_t postgres_pid(const struct postgres *p);
/* kill -9 of the postmaster; returns when it has no process left. */
void postgres_kill(struct postgres *p);
/* As an administrator ends it: sessions are told. */
void postgres_stop_fast(struct postgres *p);
/* After these, as the next process of the user would. */
void postgres_restart(struct postgres *p);

/* Makes a directory that any user may pass through, in memory where there is room: what these tests
 * are about is not the disk's speed. `name` ends with six X. False: the errno says why. */
bool make_directory(char *out, size_t size, const char *name);
/* Removes a directory with all that is in it. */
void remove_tree(const char *path);
