/* db/embedded.c */
