/* db/pool.c */
