/* base/clock.c */
