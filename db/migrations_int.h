#pragma once
/* db/migrations_int: the files of db/migrations, embedded by cmake/embed_sql.cmake. */

struct db_migration {
    const char *name; /* "0001_todo.sql" */
    const char *sql;
};
extern const struct db_migration db_migrations[]; /* version = index + 1 */
extern const int db_migration_count;
