/* base/buf.c */
