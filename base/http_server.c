/* base/http_server.c */
