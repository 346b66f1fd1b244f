/* base/json_write.c */
