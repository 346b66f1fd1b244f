/* mcp/server.c */
