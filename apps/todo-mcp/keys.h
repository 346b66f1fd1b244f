#pragma once
/* apps/todo-mcp/keys: the commands `todo-mcp key create | list | revoke ID`. */

/* argv[0] is "key". Prints to stdout what was asked for, else to stderr; returns the exit code. */
int keys_main(int argc, char **argv);
