/* base/json_read.c */
