/* mcp/schema.c */
