/* db/migrate.c */
