/* db/user.c */
