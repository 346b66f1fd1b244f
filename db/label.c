/* db/label.c */
