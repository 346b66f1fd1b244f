/* db/result.c */
