/* db_migrate: a fresh database, again, by many at once, and what it refuses. Each test has a
 * database of its own. */
#include "support/unit.h"

#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "db/error.h"
#include "db/migrate.h"
#include "db/migrations_int.h"
#include "support/postgres.h"

struct database {
    struct postgres *pg;
    char name[64];
    char conninfo[4096];
    PGconn *connection;
};

static int database_setup(void **state)
{
    struct postgres *pg = *state;
    struct database *d = test_calloc(1, sizeof(*d));
    d->pg = pg;
    snprintf(d->name, sizeof(d->name), "db_%s",
             postgres_text(pg, "select substr(replace(gen_random_uuid()::text, '-', ''), 1, 12)"));
    postgres_run(pg, "create database %s template template0", d->name);
    snprintf(d->conninfo, sizeof(d->conninfo), "%s dbname=%s", pg->conninfo, d->name);
    *state = d;
    return 0;
}

static int database_teardown(void **state)
{
    struct database *d = *state;
    struct postgres *pg = d->pg;
    PQfinish(d->connection);
    postgres_run(pg, "drop database %s with (force)", d->name);
    test_free(d);
    *state = pg;
    return 0;
}

#define migrate_test(f) cmocka_unit_test_setup_teardown(f, database_setup, database_teardown)

/* One value of the test's own database. */
static const char *value(struct database *d, const char *sql)
{
    if (!d->connection)
        d->connection = PQconnectdb(d->conninfo);
    PGresult *res = PQexec(d->connection, sql);
    if (PQresultStatus(res) != PGRES_TUPLES_OK && PQresultStatus(res) != PGRES_COMMAND_OK)
        fail_msg("%s: %s", sql, PQresultErrorMessage(res));
    snprintf(d->pg->text, sizeof(d->pg->text), "%s", PQntuples(res) ? PQgetvalue(res, 0, 0) : "");
    PQclear(res);
    return d->pg->text;
}

static int migrate(struct database *d, struct error *err)
{
    err->text[0] = '\0';
    err->field[0] = '\0';
    return db_migrate(d->conninfo, NULL, err);
}

static void a_fresh_database_gets_every_migration_once(void **state)
{
    struct database *d = *state;
    struct error err;
    char count[16];
    snprintf(count, sizeof(count), "%d", db_migration_count);
    assert_int_equal(migrate(d, &err), 0);
    assert_string_equal(value(d, "select count(*) from todo.schema_migrations"), count);
    assert_string_equal(value(d, "select max(version) from todo.schema_migrations"), count);
    char *first = test_malloc(64);
    snprintf(first, 64, "%s", value(d, "select max(applied_at) from todo.schema_migrations"));
    assert_int_equal(migrate(d, &err), 0);
    assert_string_equal(value(d, "select max(applied_at) from todo.schema_migrations"), first);
    test_free(first);
}

#define AT_ONCE 4

/* Processes, since db_migrate blocks. */
static void several_at_once_make_one_schema(void **state)
{
    struct database *d = *state;
    pid_t pids[AT_ONCE];
    for (int i = 0; i < AT_ONCE; i++) {
        pids[i] = fork();
        if (pids[i] == 0)
            _exit(db_migrate(d->conninfo, NULL, NULL) ? 1 : 0);
        assert_true(pids[i] > 0);
    }
    for (int i = 0; i < AT_ONCE; i++) {
        int status = -1;
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_int_equal(status, 0);
    }
    assert_string_equal(value(d, "select count(*) = count(distinct version)"
                                 " from todo.schema_migrations"),
                        "t");
}

static void a_newer_schema_is_refused_and_left_alone(void **state)
{
    struct database *d = *state;
    struct error err;
    assert_int_equal(migrate(d, &err), 0);
    value(d, "insert into todo.schema_migrations (version, name, checksum)"
             " values (9999, 'future', 'x')");
    assert_int_equal(migrate(d, &err), DB_ENEWER);
    assert_non_null(strstr(err.text, "9999"));
    assert_non_null(strstr(err.text, "newer program"));
}

static void a_changed_migration_is_refused(void **state)
{
    struct database *d = *state;
    struct error err;
    assert_int_equal(migrate(d, &err), 0);
    value(d, "update todo.schema_migrations set checksum = '0000000000000000' where version = 1");
    assert_int_equal(migrate(d, &err), DB_EINTERNAL);
    assert_string_equal(err.field, db_migrations[0].name);
}

/* What fails half way leaves nothing, and a second try after the mend works. */
static void a_failed_migration_leaves_nothing_behind(void **state)
{
    struct database *d = *state;
    struct error err;
    value(d, "create schema todo");
    value(d, "create table todo.inbox (in_the_way integer)"); /* made late in the first file */
    assert_int_equal(migrate(d, &err), DB_EINTERNAL);
    assert_string_equal(err.field, db_migrations[0].name);
    assert_string_equal(value(d, "select count(*) from pg_tables where schemaname = 'todo'"), "1");
    value(d, "drop table todo.inbox");
    assert_int_equal(migrate(d, &err), 0);
}

static void a_database_that_is_not_utf8_is_refused(void **state)
{
    struct database *d = *state;
    struct error err;
    postgres_run(d->pg,
                 "create database %s_sql template template0 encoding 'SQL_ASCII'"
                 " locale 'C'",
                 d->name);
    char conninfo[4096];
    snprintf(conninfo, sizeof(conninfo), "%s dbname=%s_sql", d->pg->conninfo, d->name);
    int status = db_migrate(conninfo, NULL, &err);
    postgres_run(d->pg, "drop database %s_sql with (force)", d->name);
    assert_int_equal(status, DB_EINTERNAL);
    assert_non_null(strstr(err.text, "UTF8"));
}

static void a_server_that_is_not_there_is_unavailable(void **state)
{
    struct error err;
    (void)state;
    assert_int_equal(db_migrate("host=/nowhere-at-all dbname=x", NULL, &err), DB_EUNAVAILABLE);
    assert_string_equal(err.field, "DATABASE_URL");
}

static void a_wrong_connection_string_is_unavailable(void **state)
{
    struct error err;
    (void)state;
    assert_int_equal(db_migrate("postgresql://%zz", NULL, &err), DB_EUNAVAILABLE);
}

/* A password in the connection string must not come back in an error. */
static void an_error_does_not_tell_the_password(void **state)
{
    struct error err;
    (void)state;
    int status = db_migrate("host=/nowhere-at-all user=u password=s3cret dbname=x", NULL, &err);
    assert_int_equal(status, DB_EUNAVAILABLE);
    assert_null(strstr(err.text, "s3cret"));
    status = db_migrate("postgresql://u:s3cret@[::1/x", NULL, &err);
    assert_int_equal(status, DB_EUNAVAILABLE);
    assert_null(strstr(err.text, "s3cret"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        migrate_test(a_fresh_database_gets_every_migration_once),
        migrate_test(several_at_once_make_one_schema),
        migrate_test(a_newer_schema_is_refused_and_left_alone),
        migrate_test(a_changed_migration_is_refused),
        migrate_test(a_failed_migration_leaves_nothing_behind),
        migrate_test(a_database_that_is_not_utf8_is_refused),
        cmocka_unit_test(a_server_that_is_not_there_is_unavailable),
        cmocka_unit_test(a_wrong_connection_string_is_unavailable),
        cmocka_unit_test(an_error_does_not_tell_the_password),
    };
    return cmocka_run_group_tests(tests, postgres_setup, postgres_teardown);
}
