/* mcp/stdio.c */
