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

/* Beside a newer program: its files only added. */
static void a_schema_that_a_newer_program_added_to_will_do(void **state)
{
    struct database *d = *state;
    struct error err;
    assert_int_equal(migrate(d, &err), 0);
    value(d, "insert into todo.schema_migrations (version, name, checksum)"
             " select max(version) + 1, '9998_future.sql', 'x' from todo.schema_migrations");
    assert_int_equal(migrate(d, &err), 0);
    value(d,
          "insert into todo.schema_migrations (version, name, checksum)"
          " select max(version) + 1, '9999_contract_1_old.sql', 'x' from todo.schema_migrations");
    assert_int_equal(migrate(d, &err), 0);
}

static void a_schema_that_needs_a_newer_program_is_refused(void **state)
{
    struct database *d = *state;
    struct error err;
    assert_int_equal(migrate(d, &err), 0);
    value(d, "insert into todo.schema_migrations (version, name, checksum)"
             " values (9999, '9999_contract_9000_gone.sql', 'x')");
    assert_int_equal(migrate(d, &err), DB_ENEWER);
    assert_non_null(strstr(err.text, "9999"));
    assert_non_null(strstr(err.text, "9000"));
    assert_non_null(strstr(err.text, "newer program"));
}

/* Whether a migration waits for a lock of a table now. */
static bool is_waiting(struct database *d)
{
    return *value(d,
                  "select count(*) > 0 from pg_stat_activity where datname = current_database()"
                  " and application_name = 'todo-mcp migrate' and wait_event_type = 'Lock'") == 't';
}

/* The schema as an earlier program left it. */
static void make_version(struct database *d, int version)
{
    struct error err;
    char sql[4096];
    assert_int_equal(migrate(d, &err), 0);
    snprintf(sql, sizeof(sql),
             "select 'insert into todo.schema_migrations (version, name, checksum) values '"
             " || string_agg(format('(%%s, %%L, %%L)', version, name, checksum), ',')"
             " from todo.schema_migrations where version <= %d",
             version);
    snprintf(sql, sizeof(sql), "%s", value(d, sql));
    value(d, "create schema kept");
    value(d, "alter table todo.schema_migrations set schema kept");
    value(d, "drop schema todo cascade");
    for (int i = 0; i < version; i++)
        value(d, db_migrations[i].sql);
    value(d, "alter table kept.schema_migrations set schema todo");
    value(d, "truncate todo.schema_migrations");
    value(d, sql);
}

/* Who comes after it in the lock's queue would wait too: it steps back and comes again. */
static void a_table_in_use_holds_up_the_migration_alone(void **state)
{
    struct database *d = *state;
    make_version(d, 6); /* the next one sets an option of the outbox */
    value(d, "begin");
    value(d, "lock table todo.outbox in share update exclusive mode");
    pid_t pid = fork();
    if (pid == 0)
        _exit(db_migrate(d->conninfo, NULL, NULL) ? 1 : 0);
    assert_true(pid > 0);
    for (int wanted = 1; wanted >= 0; wanted--) {
        for (int i = 0; is_waiting(d) != wanted; i++) {
            assert_true(i < 6000);
            value(d, "select pg_sleep(0.005), pg_stat_clear_snapshot()");
        }
    }
    int status = -1;
    assert_int_equal(waitpid(pid, &status, WNOHANG), 0);
    value(d, "commit");
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    char count[16];
    snprintf(count, sizeof(count), "%d", db_migration_count);
    assert_string_equal(value(d, "select count(*) from todo.schema_migrations"), count);
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
        migrate_test(a_schema_that_a_newer_program_added_to_will_do),
        migrate_test(a_schema_that_needs_a_newer_program_is_refused),
        migrate_test(a_table_in_use_holds_up_the_migration_alone),
        migrate_test(a_changed_migration_is_refused),
        migrate_test(a_failed_migration_leaves_nothing_behind),
        migrate_test(a_database_that_is_not_utf8_is_refused),
        cmocka_unit_test(a_server_that_is_not_there_is_unavailable),
        cmocka_unit_test(a_wrong_connection_string_is_unavailable),
        cmocka_unit_test(an_error_does_not_tell_the_password),
    };
    return cmocka_run_group_tests(tests, postgres_setup, postgres_teardown);
}
