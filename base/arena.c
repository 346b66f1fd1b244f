/* base/arena.c */
