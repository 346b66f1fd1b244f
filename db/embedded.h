#pragma once
/* db/embedded: a private PostgreSQL cluster in the user's data directory, for when no
 * DATABASE_URL is set: unix socket only, no TCP, made on first use, shared by all processes of
 * the user, stopped by the last one, recovered after kill -9 and stale pid files.
 *
 * The directory is the caller's choice ($XDG_DATA_HOME/todo-app or ~/.local/share/todo-app).
 * Sharing: each user of the cluster holds a shared flock(2) on DIR/users.lock for as long as it
 * lives, so that a killed process lets go by itself; starting and stopping happen under an
 * exclusive flock on DIR/start.lock; the last one (which can turn its lock on users.lock into an
 * exclusive one) stops the server. As root the server runs as user postgres.
 * Blocking: for start-up, exit and worker threads. */
struct db_embedded;
struct error;
struct log;
struct secret;

/* Makes the cluster when missing, starts it when it is down, waits until it answers. The server
 * is its own session, so that a terminal's Ctrl-C does not reach it. 0 and *out, or
 * DB_EUNAVAILABLE with a message that a person can act on (which package is missing, which
 * directory cannot be written, the last lines of the server's log). */
__attribute__((warn_unused_result)) int db_embedded_open(const char *directory,
                                                         const struct log *log,
                                                         struct db_embedded **out,
                                                         struct error *err);
/* libpq connection string; owned by the handle. */
const char *db_embedded_conninfo(const struct db_embedded *e);
/* The same as it was at first, for a pool. */
const struct secret *db_embedded_secret(const struct db_embedded *e);
/* Starts the server again when it is down, killed by somebody, with the data as it was; 0 also when
 * it runs. Blocking for seconds, so for a worker thread; not while db_embedded_close runs. */
__attribute__((warn_unused_result)) int db_embedded_mend(struct db_embedded *e, struct error *err);
/* Lets go; stops the server (fast shutdown, waited for) when this was its last user. Frees. */
void db_embedded_close(struct db_embedded *e);
