/* db/task.c */
