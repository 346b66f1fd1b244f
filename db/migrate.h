#pragma once
/* db/migrate: brings the schema `todo` to this program's version.
 * The numbered SQL files of db/migrations are embedded in the binary. Blocking: start-up only. */
struct error;
struct log;

/* Applies what is missing, a file a transaction, under an advisory lock, so that several processes
 * may start at once; those of the version before go on. A schema that a newer program has added to
 * will do. 0; DB_ENEWER (the schema needs a newer program), DB_EUNAVAILABLE, DB_EBUSY (a table is
 * locked for minutes), DB_EINTERNAL with the file's name in err->field. */
__attribute__((warn_unused_result)) int db_migrate(const char *conninfo, const struct log *log,
                                                   struct error *err);
