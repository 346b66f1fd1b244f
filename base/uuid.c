/* base/uuid.c */
