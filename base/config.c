/* base/config.c */
