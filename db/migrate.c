/* is all applied? -> done; else, again and again:
 * begin -> advisory lock -> what is applied -> the next file (of an empty database all) -> commit.
 *
 * Programs of the version before go on meanwhile, and start beside the new schema. So a file only
 * adds; a lock that it does not get soon it gives up,
 * lest whoever comes after it in the queue waits too. What takes something away is a file of its
 * own, NNNN_contract_MMMM_….sql, which programs older than version MMMM cannot work with. */
#include "db/migrate.h"

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "db/error.h"
#include "db/migrations_int.h"

/* One number for all processes that migrate a database of ours. */
#define LOCK_SQL "select pg_advisory_xact_lock(7020611950)"
/* For the locks of tables, each. Another try comes after as long. */
#define TABLE_LOCK_SQL "set local lock_timeout = '1s'"
#define LOCK_RETRY_S   1
#define LOCK_TRIES     30

static const char setup_sql[] =
    "create schema if not exists todo;"
    "create table if not exists todo.schema_migrations ("
    " version integer primary key, name text not null, checksum text not null,"
    " applied_at timestamptz not null default now())";

static int refuse(const PGresult *res, const char *name, const struct log *log, struct error *err)
{
    const char *text = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);
    const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
    if (state && strcmp(state, "55P03") == 0) { /* lock_not_available */
        log_warn(log, "a table is in use: the migration waits", log_str("file", name));
        return error_set(
            err, DB_EBUSY, name,
            "the migration %s got no lock on a table: somebody has it open for long, as "
            "a backup does",
            name);
    }
    log_error(log, "migration failed", log_str("file", name), log_str("reason", text),
              log_str("sqlstate", state));
    return error_set(err, DB_EINTERNAL, name, "the migration %s failed: %s", name,
                     text ? text : "connection lost");
}

static int run(PGconn *pg, const char *sql, const char *name, const struct log *log,
               struct error *err)
{
    PGresult *res = PQexec(pg, sql);
    ExecStatusType status = PQresultStatus(res);
    bool is_done = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
    int code = is_done ? 0 : refuse(res, name, log, err);
    PQclear(res);
    return code;
}

/* FNV-1a, to see that an applied file was not changed; no defence against anyone. */
static void checksum(const char *sql, char out[17])
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (; *sql; sql++)
        hash = (hash ^ (unsigned char)*sql) * UINT64_C(1099511628211);
    snprintf(out, 17, "%016llx", (unsigned long long)hash);
}

/* A newer program has been here. Its files only added, but for those whose name says what they
 * need.
 */
static int check_newer(long version, const char *name, struct error *err)
{
    static const char mark[] = "_contract_";
    const char *at = strstr(name, mark);
    long needed = at ? strtol(at + sizeof(mark) - 1, NULL, 10) : 0; /* the name is ours */
    if (needed <= db_migration_count)
        return 0;
    return error_set(err, DB_ENEWER, NULL,
                     "the database schema has version %ld, which needs a program of version %ld or "
                     "newer; this one has %d: start a newer program",
                     version, needed, db_migration_count);
}

static int check_applied(int row, const PGresult *applied, struct error *err)
{
    long version = strtol(PQgetvalue(applied, row, 0), NULL, 10); /* an integer column, from 1 */
    if (version > db_migration_count)
        return check_newer(version, PQgetvalue(applied, row, 2), err);
    if (version < 1)
        return error_set(err, DB_EINTERNAL, NULL, "todo.schema_migrations has a version %ld",
                         version);
    char sum[17];
    checksum(db_migrations[version - 1].sql, sum);
    if (strcmp(sum, PQgetvalue(applied, row, 1)) != 0)
        return error_set(err, DB_EINTERNAL, db_migrations[version - 1].name,
                         "the applied migration %s differs from this program's",
                         db_migrations[version - 1].name);
    return 0;
}

static int read_applied(PGconn *pg, int *count, struct error *err)
{
    PGresult *res =
        PQexec(pg, "select version, checksum, name from todo.schema_migrations order by 1");
    int status = PQresultStatus(res) == PGRES_TUPLES_OK
                     ? 0
                     : error_set(err, DB_EINTERNAL, NULL, "cannot read todo.schema_migrations");
    *count = PQntuples(res);
    for (int row = 0; row < *count && !status; row++)
        status = check_applied(row, res, err);
    PQclear(res);
    return status;
}

/* The usual start, in one round trip and without a lock. Whatever else it finds, the long way finds
 * again and says. */
static bool is_up_to_date(PGconn *pg)
{
    struct error ignored;
    int applied = 0;
    return !read_applied(pg, &applied, &ignored) && applied >= db_migration_count;
}

static int apply(PGconn *pg, int version, const struct log *log, struct error *err)
{
    const struct db_migration *m = &db_migrations[version - 1];
    int status = run(pg, m->sql, m->name, log, err);
    if (status)
        return status;
    char sum[17];
    char sql[256];
    checksum(m->sql, sum);
    snprintf(sql, sizeof(sql),
             "insert into todo.schema_migrations (version, name, checksum) "
             "values (%d, '%s', '%s')",
             version, m->name, sum);
    log_info(log, "migration applied", log_str("file", m->name));
    return run(pg, sql, m->name, log, err);
}

/* One transaction. An empty database has no users yet: it gets all files at once. */
static int apply_next(PGconn *pg, const struct log *log, struct error *err)
{
    int applied = 0;
    int status = run(pg, "begin", "begin", log, err);
    if (!status)
        status = run(pg, LOCK_SQL, "lock", log, err);
    if (!status)
        status = run(pg, TABLE_LOCK_SQL, "lock", log, err);
    if (!status)
        status = run(pg, setup_sql, "setup", log, err);
    if (!status)
        status = read_applied(pg, &applied, err);
    int last = applied == 0 ? db_migration_count : applied + 1;
    for (int version = applied + 1; version <= last && version <= db_migration_count && !status;
         version++)
        status = apply(pg, version, log, err);
    if (status)
        PQclear(PQexec(pg, "rollback"));
    return status ? status : run(pg, "commit", "commit", log, err);
}

static int migrate(PGconn *pg, const struct log *log, struct error *err)
{
    int status = 0;
    int tries = 0;
    while (!status && !is_up_to_date(pg)) {
        status = apply_next(pg, log, err);
        if (status == DB_EBUSY && ++tries < LOCK_TRIES) {
            sleep(LOCK_RETRY_S);
            status = 0;
        }
    }
    return status;
}

static void drop_notice(void *ctx, const PGresult *res)
{
    (void)ctx;
    (void)res;
}

/* Of a string that libpq cannot read it shows the whole, with its password. */
static bool is_readable(const char *conninfo)
{
    if (!strchr(conninfo, '=') && !strstr(conninfo, "://"))
        return true; /* a database's name */
    PQconninfoOption *options = PQconninfoParse(conninfo, NULL);
    PQconninfoFree(options);
    return options != NULL;
}

static int refuse_connection(const PGconn *pg, const char *conninfo, struct error *err)
{
    if (!is_readable(conninfo))
        return error_set(err, DB_EUNAVAILABLE, "DATABASE_URL",
                         "DATABASE_URL is no PostgreSQL connection string: it wants the form "
                         "postgresql://user:password@host:5432/database");
    return error_set(err, DB_EUNAVAILABLE, "DATABASE_URL", "the database cannot be reached: %.180s",
                     PQerrorMessage(pg));
}

int db_migrate(const char *conninfo, const struct log *log, struct error *err)
{
    const char *keys[] = {"dbname", "application_name", "connect_timeout", NULL};
    const char *values[] = {conninfo, "todo-mcp migrate", "10", NULL};
    PGconn *pg = PQconnectdbParams(keys, values, 1);
    PQsetNoticeReceiver(pg, drop_notice, NULL); /* "already exists, skipping" is no news */
    int status = PQstatus(pg) == CONNECTION_OK ? migrate(pg, log, err)
                                               : refuse_connection(pg, conninfo, err);
    PQfinish(pg);
    return status;
}
