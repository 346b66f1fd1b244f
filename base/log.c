/* base/log.c */
