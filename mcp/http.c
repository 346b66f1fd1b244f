/* mcp/http.c */
