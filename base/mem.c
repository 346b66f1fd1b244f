/* base/mem.c */
