#pragma once
/* apps/todo-mcp/dlq: todo-mcp dlq list | replay: the deliveries that consumers could not use, from
 * the database: the same for every transport. */

/* argv[0] is the command's own word. Returns the exit code. */
int dlq_main(int argc, char **argv);
