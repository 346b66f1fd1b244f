#pragma once
/* A directory of its own for a test of db/embedded, and its server seen from outside. */
#include "support/unit.h"

#include <sys/types.h>

#include "db/embedded.h"
#include "support/postgres.h"

struct place {
    char dir[256];
    char text[4096];
};

/* Set-up and tear-down of a test; *state is the place. */
int place_setup(void **state);
int place_teardown(void **state);
#define place_test(f) cmocka_unit_test_setup_teardown(f, place_setup, place_teardown)

void pause_ms(long ms);
/* DIR/postgres/NAME, in p->text. */
const char *path_of(struct place *p, const char *name);
/* As the pid file says; 0: none. */
pid_t server_pid(struct place *p);
/* A zombie that init has not reaped yet is no server. */
bool is_alive(pid_t pid);
/* Fails the test when it cannot be opened. */
struct db_embedded *open_here(const struct place *p);
/* The answer to one statement, or what is wrong with it, in p->text. */
const char *ask(struct place *p, const struct db_embedded *e, const char *sql);
