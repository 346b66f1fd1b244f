#pragma once
/* db/migrate: brings the schema `todo` to this program's version.
 * The numbered SQL files of db/migrations are embedded in the binary. Blocking: start-up only. */
struct error;
struct log;

/* Applies what is missing, all in one transaction under an advisory lock, so that several
 * processes may start at once. 0, or DB_ENEWER (schema newer than the program), DB_EUNAVAILABLE,
 * DB_EINTERNAL with the file's name in err->field. */
__attribute__((warn_unused_result)) int db_migrate(const char *conninfo, const struct log *log,
                                                   struct error *err);
