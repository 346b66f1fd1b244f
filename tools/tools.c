/* tools/tools.c */
